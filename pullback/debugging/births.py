"""Where a value stops being finite: the operation, its operands, the user's line.

What an operation was part of is read off the stack of running functions, after the
fact, so that nothing is noted while all goes well.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes
from pullback.core.array import SCALARS, Array
from pullback.core.frozen import frozen
from pullback.core.origin import Origin, defined_at, name_of, speaks_for, user_origin
from pullback.core.primitive import Primitive
from pullback.core.trace import Value, aval_of
from pullback.custom.call import CustomCall
from pullback.custom.pull import Pull
from pullback.custom.rule import Rules
from pullback.custom.site import Site
from pullback.debugging.advice import advice
from pullback.transforms.jvp import JVPTrace
from pullback.transforms.linearize import LinearizeTrace, Step
from pullback.transforms.transpose import transpose_step


class StepOrigin(Origin):
    """The user's line that a derivative's operation belongs to.

    Args:
        origin: the line.
        operation: the operation there whose derivative it is.
    """

    __slots__ = ("operation",)

    def __init__(self, origin: Origin, operation: str) -> None:
        super().__init__(origin.code, origin.lasti)
        self.operation = operation


class NotedSteps(list[Step]):
    """Recorded linear steps that remember where they came from."""

    def __init__(self) -> None:
        super().__init__()
        #: id of a step -> where it came from; a step is kept by the list or the walk.
        self.origins: dict[int, StepOrigin] = {}

    def append(self, step: Step) -> None:
        """Add a step, and note the running operation and the user's line."""
        super().append(step)
        origin = user_origin()
        if isinstance(origin, StepOrigin):
            self.origins[id(step)] = origin
        elif origin is not None:
            self.origins[id(step)] = StepOrigin(origin, derived_operation())

    def transpose_each(
        self,
        found: dict[Any, Value],
        transpose: Callable[[Step, dict[Any, Value]], None],
        consume: bool,
    ) -> None:
        """Walk backwards, each step's operations standing at the step's line."""
        steps = self
        for i in range(len(steps) - 1, -1, -1):
            step = steps.pop() if consume else steps[i]
            transpose(step, found)


def step_origin(frame: FrameType) -> Origin | None:
    """Give the user's line of the step that a walk backwards is at.

    Args:
        frame: that of a function with `steps` and the present `step`.
    """
    values = frame.f_locals
    found: dict[int, StepOrigin] = values["steps"].origins
    return found.get(id(values.get("step")))


speaks_for(NotedSteps.transpose_each, step_origin)


@frozen
class Birth:
    """An operation whose result is not finite though its operands are.

    Fields:
        operation: its name.
        phase: "forward" or "backward"; partial derivatives count as backward.
        derivative_of: the operation whose derivative it is part of, or "".
        rule: the custom rule it is part of, described, or "".
        where: the user's file and line.
        operands: their values where the result is not finite.
        result: that value.
        inside: which step of which loop, or "".
        zero_meets_infinity: a zero meets an infinite factor.
        parent: the operation that made the infinity this one turned to nan.
    """

    operation: str
    phase: str
    derivative_of: str
    rule: str
    where: str
    operands: tuple[str, ...]
    result: str
    inside: str = ""
    zero_meets_infinity: bool = False
    parent: Birth | None = None

    @property
    def is_nan(self) -> bool:
        """Whether the result is a nan, and no infinity."""
        return self.result.startswith(_NAN)

    @property
    def first(self) -> Birth:
        """The first operation of the chain."""
        return self if self.parent is None else self.parent.first

    def sentence(self) -> str:
        """Say what happened, without the place."""
        given = ", ".join(self.operands)
        text = f"operation {self.operation} gave {self.result} from ({given})"
        if self.derivative_of and self.derivative_of != self.operation:
            text += f", as part of the derivative of {self.derivative_of}"
        text += f", in the {self.phase} pass"
        text += f", {self.inside}" if self.inside else ""
        return text + (f", in {self.rule}." if self.rule else ".")

    def explanation(self) -> str:
        """Say how a zero and an infinity came together, or "" if they did not."""
        if not self.zero_meets_infinity:
            return ""
        if self.phase == "forward" or (self.rule and self.parent is None):
            # A rule's own product may have nothing to do with a cotangent.
            return "Zero times infinity is not a number."
        of = self.derivative_of or self.operation
        if self.parent is None:
            return (
                f"A zero cotangent meets an infinite partial derivative of {of}: "
                "zero times infinity is not a number."
            )
        return (
            "An infinite derivative meets a zero one in the chain rule: zero times "
            "infinity is not a number."
        )

    def mend(self) -> str:
        """Say what would help."""
        first = self.first
        named = first.derivative_of or first.operation
        # A zero that is a partial derivative, not a cotangent, is another case.
        zero = self.zero_meets_infinity and self.parent is None
        return advice(named, zero, first.phase, bool(first.rule))

    def where_text(self) -> str:
        """Say where, as a sentence, or ""."""
        return f"Applied at {self.where}." if self.where else ""


#: How a result that is no number is written.
_NAN = "a nan"

# -- what is not finite ----------------------------------------------------------------


def host_of(x: Value) -> Any:
    """Give the NumPy value of an operand or result, None if it has none."""
    if type(x) is Array:
        return x.fetch()
    if type(x) in SCALARS or isinstance(x, (np.ndarray, np.generic)):
        return np.asarray(x)
    return None


def marked(x: Value, test: Callable[[Any], Any]) -> Any:
    """Give where a value passes a NumPy test; nowhere, if it holds no such numbers."""
    host = host_of(x)
    if host is None or not dtypes.is_inexact(host.dtype):
        return np.zeros(np.shape(x), np.bool_)
    return np.asarray(test(host))


def bad_at(x: Value) -> Any:
    """Give where a value is nan, or else where it is not finite."""
    nans = marked(x, np.isnan)
    return nans if nans.any() else marked(x, np.isinf)


def all_finite(x: Value) -> bool:
    """Whether a value has no nan and no infinity."""
    return not bad_at(x).any()


def has_nan(x: Value) -> bool:
    """Whether a value has a nan."""
    return bool(marked(x, np.isnan).any())


def has_infinity(x: Value) -> bool:
    """Whether a value has an infinity."""
    return bool(marked(x, np.isinf).any())


def infinity_at(primitive: Primitive, operands: Sequence[Value], out: Value) -> Any:
    """Give where a result is infinite though what it is made of is finite.

    An operation without operands gives what it was told to; and of one whose elements
    do not belong to its operands' elements, all operands must be finite.
    """
    found = marked(out, np.isinf)
    if not operands:
        return np.zeros_like(found)
    if not found.any() or all(map(all_finite, operands)):
        return found
    if not primitive.elementwise:
        return np.zeros_like(found)
    for x in operands:
        found = found & ~(marked(x, np.isinf) | marked(x, np.isnan))
    return found


def birth_of(
    primitive: Primitive,
    operands: Sequence[Value],
    outs: Sequence[Value],
    inside: str = "",
    parent: Birth | None = None,
    infinity: bool = False,
) -> Birth:
    """Describe an operation that has just given a value that is not finite.

    Args:
        primitive: the operation.
        operands: its operands.
        outs: its results.
        inside: which step of which loop is running, or "".
        parent: what made the infinity that became a nan.
        infinity: describe an infinity made of finite operands; otherwise a nan, or else
            any value that is not finite.
    """
    found = [
        (y, infinity_at(primitive, operands, y) if infinity else bad_at(y))
        for y in outs
    ]
    found = [pair for pair in found if pair[1].any()]
    # A nan says more than an infinity in another result.
    out, mask = next((p for p in found if has_nan(p[0]) and not infinity), found[0])
    bad = np.asarray(host_of(out))
    index = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(mask)))[: bad.ndim]
    values = [element_at(x, bad.shape, index) for x in operands]
    context = read_stack(primitive, operands)
    texts = tuple(
        value_text(v) if v is not None else summary(x) for v, x in zip(values, operands)
    )
    return Birth(
        primitive.name,
        context.phase,
        context.derivative_of,
        context.rule,
        context.where,
        texts,
        result_text(bad[index]) + (f" at {list(index)}" if index else ""),
        inside,
        zero_meets_infinity(primitive.name, values),
        parent,
    )


def element_at(x: Value, shape: tuple[int, ...], index: tuple[int, ...]) -> Any:
    """Give the element of an operand that belongs to an element of the result."""
    host = host_of(x)
    if host is None:
        return None
    try:
        return np.broadcast_to(host, shape)[index]
    except ValueError:
        return None


def value_text(value: Any) -> str:
    """Write one number."""
    item = value.item() if hasattr(value, "item") else value
    return f"{item:.7g}" if isinstance(item, float) else str(item)


def result_text(value: Any) -> str:
    """Write a number that is not finite."""
    return _NAN if np.isnan(value) else value_text(value)


def summary(x: Value) -> str:
    """Write the type of an array, and its range."""
    host = host_of(x)
    if host is None or not np.size(host) or host.dtype.kind == "c":
        return str(aval_of(x))
    return f"{aval_of(x)} from {value_text(np.min(host))} to {value_text(np.max(host))}"


def zero_meets_infinity(name: str, values: Sequence[Any]) -> bool:
    """Whether a product or quotient is one of zero and infinity, or of zeros."""
    if len(values) != 2 or any(v is None for v in values):
        return False
    x, y = values
    if name == "mul":
        return bool((x == 0 and not np.isfinite(y)) or (y == 0 and not np.isfinite(x)))
    if name == "div":
        return bool((x == 0 and y == 0) or (np.isinf(x) and np.isinf(y)))
    return False


# -- reading the stack -----------------------------------------------------------------


class Context(NamedTuple):
    """What a running operation is part of; fields as of `Birth`."""

    phase: str
    derivative_of: str
    rule: str
    where: str


_DERIVING: frozenset[CodeType] = frozenset(
    (LinearizeTrace.apply.__code__, JVPTrace.apply.__code__)
)
_TRANSPOSING = transpose_step.__code__
_FORWARD_RULES = {
    Site.jvp.__code__: "custom_jvp rule",
    Site._jvp_by_argument.__code__: "custom_jvp rule",
    Site.fwd.__code__: "custom_vjp fwd rule",
}
_BACKWARD_RULE = Pull.backward.__code__


def read_stack(primitive: Primitive, operands: Sequence[Value]) -> Context:
    """Find out what the operation being applied now is part of."""
    derivative_of = rule = ""
    phase = "forward"
    origin = user_origin()
    where = str(origin or "")
    if isinstance(origin, StepOrigin):
        phase, derivative_of = "backward", origin.operation
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code is _TRANSPOSING:
            phase = "backward"
        elif code in _DERIVING and phase == "forward" and not rule:
            values = frame.f_locals
            of = values["primitive"]
            if not is_itself(primitive, operands, of, values.get("primals", ())):
                phase = "backward"
                derivative_of = "" if isinstance(of, CustomCall) else of.name
        elif code in _FORWARD_RULES and not rule:
            values = frame.f_locals
            rule = rule_text(_FORWARD_RULES[code], values.get("rule"), values["self"])
        elif code is _BACKWARD_RULE and not rule:
            pull = frame.f_locals["self"]
            rule = rule_text("custom_vjp bwd rule", pull.site.rules.bwd, pull.site)
            phase = "backward"
        frame = frame.f_back
    if not rule and origin is not None and not isinstance(origin, StepOrigin):
        found = rule_with(origin.code)
        if found is not None:
            rule = found
            phase = "forward" if found.startswith("custom_vjp fwd") else "backward"
    return Context(phase, derivative_of, rule, where)


@functools.lru_cache(256)
def rule_with(code: CodeType) -> str | None:
    """Describe the custom rule whose code this is, None if it is no rule's.

    A compiled program remembers lines only, so all rules there are get searched; this
    happens once for each place, after a nan was met.
    """
    for rules in gc.get_objects():
        if type(rules) is not Rules:
            continue
        slots = {
            "custom_jvp rule": (rules.jvp, *(rules.jvps or ())),
            "custom_vjp fwd rule": (rules.fwd,),
            "custom_vjp bwd rule": (rules.bwd,),
        }
        for kind, some in slots.items():
            for rule in some:
                if rule is not None and getattr(rule, "__code__", None) is code:
                    text = f"{kind} `{name_of(rule)}` of {name_of(rules.fun)}"
                    return f"{text} (rule at {defined_at(rule)})"
    return None


def is_itself(
    primitive: Primitive, operands: Sequence[Value], of: Any, primals: Sequence[Value]
) -> bool:
    """Whether an operation in a derivative rule is the primal computation."""
    if isinstance(of, CustomCall) or of.calls or of.splits:
        return True
    return (primitive is of or primitive == of) and all(
        a is b for a, b in zip(operands, primals)
    )


def rule_text(kind: str, rule: Any, site: Any) -> str:
    """Describe a custom rule that is running, and the call it belongs to."""
    text = f"{kind} `{name_of(rule)}`" if rule is not None else kind
    text += f" of {site.name}"
    if rule is not None:
        text += f" (rule at {defined_at(rule)}"
        text += f", forward call at {site.origin})" if site.origin else ")"
    return text


def derived_operation() -> str:
    """Give the operation whose derivative rule is running now, or ""."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code in _DERIVING:
            of = frame.f_locals["primitive"]
            if isinstance(of, CustomCall):
                return str(of.site.name)
            return "" if of.calls or of.splits else str(of.name)
        frame = frame.f_back
    return ""
