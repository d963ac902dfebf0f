"""The switches `debug_nans` and `debug_infs`: raise where the first one appears."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pullback.calls import executable
from pullback.config import config, listeners
from pullback.core.calling import as_value
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.primitive import Primitive
from pullback.core.trace import EVAL, EvalTrace, Value, using
from pullback.debugging.births import (
    Birth,
    NotedSteps,
    birth_of,
    has_infinity,
    has_nan,
    infinity_at,
)
from pullback.debugging.stepping import can_unfold, unfold
from pullback.debugging.watch import Found, WatchTrace
from pullback.errors import InfError, NanError
from pullback.transforms.linearize import make_steps


class CheckedEvalTrace(EvalTrace):
    """Computes at once, and raises where a nan or an infinity appears.

    While a switch is on, this is the class of the outermost trace; so nothing is
    tested while it is off.
    """

    __slots__ = ()

    at_once = False

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Compute, and look at the results."""
        out = EvalTrace.apply(self, primitive, operands)
        outs = out if primitive.multiple else [out]
        if config.debug_nans and any(map(has_nan, outs)):
            if can_unfold(primitive):
                run_to_first(lambda: unfold(primitive, operands))
            raise birth_error(birth_of(primitive, operands, outs))
        if config.debug_infs and any(map(has_infinity, outs)):
            refuse_infinity(primitive, operands, outs)
        return out


def refuse_infinity(
    primitive: Primitive, operands: Sequence[Value], outs: Sequence[Value]
) -> None:
    """Raise if an operation made an infinity, and did not pass one on.

    Raises:
        InfError: names operation, operands and the user's line.
    """
    if can_unfold(primitive):
        run_to_first(lambda: unfold(primitive, operands))
    elif not primitive.calls and any(
        infinity_at(primitive, operands, y).any() for y in outs
    ):
        # What an operation calls has been looked at already.
        raise birth_error(birth_of(primitive, operands, outs, infinity=True))


def birth_error(birth: Birth) -> NanError | InfError:
    """Make the error for the operation that gave a nan or an infinity."""
    sentence = birth.sentence()
    text = " ".join(t for t in (sentence, birth.explanation()) if t)
    kind = NanError if birth.is_nan else InfError
    return kind(text, where=birth.where_text(), mend=birth.mend())


def run_to_first(run: Callable[[], Any]) -> Any:
    """Run something one operation at a time, and raise at the first value refused.

    Returns:
        What `run` returns, if it makes no such value.

    Raises:
        NanError: names operation, operands and the user's line.
        InfError: does so for an infinity.
    """
    watch = WatchTrace(config.debug_nans, config.debug_infs)
    with checks_off(), using(watch):
        try:
            return run()
        except Found as found:
            birth = found.birth
    raise birth_error(birth)


def find_in_program(jaxpr: Jaxpr, values: Sequence[Any]) -> Sequence[Any]:
    """Run a compiled program's source one operation at a time, to its first nan."""
    return run_to_first(  # type: ignore[no-any-return]
        lambda: evaluate(jaxpr, [as_value(x) for x in values])
    )


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
    """Do as `config.debug_nans` and `config.debug_infs` say."""
    EVAL.__class__ = CheckedEvalTrace if config.checks_values else EvalTrace
    make_steps[0] = NotedSteps if config.checks_values else list


listeners.append(follow_switch)
executable.nan_finder[0] = find_in_program
follow_switch()
