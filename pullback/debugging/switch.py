"""The switch `debug_nans`: raise where the first nan appears, eager and compiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pullback.calls import executable
from pullback.config import config, listeners
from pullback.core.calling import as_value
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.primitive import Primitive
from pullback.core.trace import EVAL, EvalTrace, Value, using
from pullback.debugging.births import Birth, NotedSteps, birth_of, has_nan
from pullback.debugging.stepping import can_unfold, unfold
from pullback.debugging.watch import Found, WatchTrace
from pullback.errors import NanError
from pullback.transforms.linearize import make_steps


class CheckedEvalTrace(EvalTrace):
    """Computes at once, and raises where a nan appears.

    While the switch is on, this is the class of the outermost trace; so nothing is
    tested while it is off.
    """

    __slots__ = ()

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Compute, and look at the results."""
        out = EvalTrace.apply(self, primitive, operands)
        outs = out if primitive.multiple else [out]
        if any(map(has_nan, outs)):
            if can_unfold(primitive):
                run_to_nan(lambda: unfold(primitive, operands))
            raise nan_error(birth_of(primitive, operands, outs))
        return out


def nan_error(birth: Birth) -> NanError:
    """Make the error for the operation that gave a nan."""
    sentence = birth.sentence()
    text = " ".join(t for t in (sentence, birth.explanation()) if t)
    return NanError(text, where=birth.where_text(), mend=birth.mend())


def run_to_nan(run: Any) -> None:
    """Run something one operation at a time, and raise at the first nan.

    Raises:
        NanError: names operation, operands and the user's line.
    """
    watch = WatchTrace(stop_at_nan=True)
    birth: Birth | None = None
    with checks_off(), using(watch):
        try:
            run()
        except Found as found:
            birth = found.birth
    if birth is not None:
        raise nan_error(birth)


def find_in_program(jaxpr: Jaxpr, values: Sequence[Any]) -> None:
    """Run a compiled program's source one operation at a time, to its first nan."""
    run_to_nan(lambda: evaluate(jaxpr, [as_value(x) for x in values]))


@contextmanager
def noting_steps() -> Iterator[None]:
    """Let recorded linear steps remember the user's lines inside a `with` block."""
    old = make_steps[0]
    make_steps[0] = NotedSteps
    try:
        yield
    finally:
        make_steps[0] = old


@contextmanager
def checks_off() -> Iterator[None]:
    """Test nothing inside a `with` block, but go on noting where steps come from."""
    old = EVAL.__class__
    EVAL.__class__ = EvalTrace
    try:
        yield
    finally:
        EVAL.__class__ = old


def follow_switch() -> None:
    """Do as `config.debug_nans` says."""
    EVAL.__class__ = CheckedEvalTrace if config.debug_nans else EvalTrace
    make_steps[0] = NotedSteps if config.debug_nans else list


listeners.append(follow_switch)
executable.nan_finder[0] = find_in_program
follow_switch()
