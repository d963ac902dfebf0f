"""Operations: a class each, static parameters as fields, rules as methods."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

from pullback.core.aval import Aval
from pullback.core.frozen import replaced
from pullback.core.origin import called_at
from pullback.core.trace import Value, aval_of, current_trace
from pullback.core.zero import Zero
from pullback.errors import MissingRule

#: The batch axis of an operand, None where it has none.
Dim = int | None
Tangent = Any


class Primitive:
    """One operation; an instance is the operation with its static parameters.

    Subclasses are made by `core.frozen.frozen`. Their fields are the static
    parameters: bool, int, str, dtype, Jaxpr, `Rule`, or tuples of these. Calling an
    instance applies the operation under the current trace. The rules, by who asks:

    - `abstract(*avals)`: the types of the results (staging, checking).
    - `eager(*arrays)`: NumPy arrays to NumPy arrays (no transformation active).
    - `lower(ctx, *operands)`: StableHLO text (`jit`).
    - `jvp(primals, tangents)`: primal results and tangent results (forward mode, and
      Taylor mode, which takes it for y' = jvp(x, x')). A tangent may be a `Zero`, given
      and returned.
    - `linearize(primals, tangents)`: as `jvp`, when tangents are being recorded for
      reverse mode; only operations that hold a jaxpr override it.
    - `transpose(cotangents, *operands)`: one cotangent or None an operand; those to
      give are of class `Unknown`. `cotangents` is a single value unless `multiple`.
    - `batch(size, operands, dims)`: results and their batch axes (`vmap`). The size is
      an `AxisSize` if the axis has a name, and `uses_axis` says yes to it.
    - `stage(trace, operands)`: one eqn; only operations that hold a function override.

    All rules apply other operations freely; they run in the trace below.

    Class attributes:
        multiple: the operation gives a list of results.
        calls: it holds a function or jaxpr: `eager` takes and gives arrays of ours, not
            NumPy's, and applies other operations.
        effects: it must not be dropped when its results are unused.
        elementwise: each element of the result depends on those of the operands at its
            place only.
        weak_parameter: a parameter may make results of strong operands weak.
        keeps_weak: `weak_result` need not be asked: results are weak if all operands
            are.
        reads_part: it reads a part of its first operand only. What is summed up of that
            operand's cotangent goes through `transpose_onto(total, ct, *others)`, which
            adds in place what a cotangent of the result gives.
        splits: it holds one program, and has `split(unknown)` and `with_jaxpr`, so that
            the part of the program that tangents do not reach runs by itself.
        separates: it holds programs, and has `separate(operands, unknown)` to the same
            end, where that takes more than one program.
        scales: it is elementwise, and linear in the first of two operands by itself.
        linear: groups of operand positions in which it is jointly linear; `...` after
            the last position means "and all later ones". () where it is not linear.
    """

    __slots__ = ()

    multiple: ClassVar[bool] = False
    calls: ClassVar[bool] = False
    effects: ClassVar[bool] = False
    elementwise: ClassVar[bool] = False
    weak_parameter: ClassVar[bool] = False
    keeps_weak: ClassVar[bool] = False
    reads_part: ClassVar[bool] = False
    splits: ClassVar[bool] = False
    separates: ClassVar[bool] = False
    scales: ClassVar[bool] = False
    linear: ClassVar[tuple[tuple[Any, ...], ...]] = ()

    def __call__(self, *operands: Value) -> Any:
        """Apply the operation under the current trace."""
        return current_trace().apply(self, operands)

    def bind(self, *operands: Value, **changes: Any) -> Any:
        """Apply the operation, with other values for some of its static parameters."""
        return (replaced(self, **changes) if changes else self)(*operands)

    @property
    def multiple_results(self) -> bool:
        """Whether it gives a list of results, under the ecosystem's name."""
        return self.multiple

    @property
    def name(self) -> str:
        """The name in jaxprs: the class's in snake case."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    def parameters(self) -> dict[str, Any]:
        """Give the static parameters by name, for printing."""
        return fields_of(self)

    def weak_result(self, all_weak: bool) -> bool:
        """Whether results are weak, given whether all operands are."""
        return all_weak

    def operand_avals(self, operands: Sequence[Value]) -> list[Aval]:
        """Give the operands' types; elementwise operations adapt Python scalars."""
        return [aval_of(x) for x in operands]

    def linear_result(self, operands: Sequence[Value]) -> Any:
        """Give the types of the results for operands among which are tangents."""
        return self.abstract(*self.operand_avals(operands))

    def linear_in(self, unknown: Sequence[bool]) -> tuple[int, ...] | None:
        """Give the group of operands in which it is jointly linear, None if none.

        Args:
            unknown: for each operand, whether it is a linear (tangent) value.
        """
        wanted = {i for i, u in enumerate(unknown) if u}
        for group in self.linear:
            if group[-1] is ...:
                group = (*group[:-1], *range(group[-2] + 1, len(unknown)))
            if wanted <= set(group):
                return group
        return None

    def split(self, unknown: tuple[bool, ...]) -> Any:
        """Take the program apart by which operands are tangents, where `splits`."""
        raise NotImplementedError

    def with_jaxpr(self, jaxpr: Any) -> Primitive:
        """Give the operation with another program, where `splits`."""
        raise NotImplementedError

    def separate(
        self, operands: Sequence[Value], unknown: tuple[bool, ...]
    ) -> list[Value] | None:
        """Run the part that tangents do not reach and record the rest, or give None.

        Where tangents reach all of it, there is nothing to separate: that is None.
        """
        raise NotImplementedError

    def abstract(self, *avals: Aval) -> Any:
        """Give the types of the results."""
        self.missing("abstract")

    def eager(self, *arrays: Any) -> Any:
        """Compute with NumPy."""
        self.missing("eager")

    def lower(self, ctx: Any, *operands: Any) -> Any:
        """Emit StableHLO through `ctx` and give the names of the results."""
        self.missing("lower")

    def jvp(
        self, primals: Sequence[Value], tangents: Sequence[Tangent]
    ) -> tuple[Any, Any]:
        """Give primal results and tangent results."""
        self.missing("jvp")

    def linearize(
        self, primals: Sequence[Value], tangents: Sequence[Tangent]
    ) -> tuple[Any, Any]:
        """Give primal results, and tangent results as recorded linear steps."""
        return self.jvp(primals, tangents)

    def transpose(self, cotangents: Any, *operands: Value) -> Sequence[Any]:
        """Give a cotangent or None for each operand."""
        self.missing("transpose")

    def transpose_onto(self, total: Value, cotangent: Value, *others: Value) -> Value:
        """Add the first operand's cotangent to a total; only if `reads_part`."""
        self.missing("transpose_onto")

    def batch(
        self, size: int, operands: Sequence[Value], dims: Sequence[Dim]
    ) -> tuple[Any, Any]:
        """Give results and their batch axes."""
        self.missing("batch")

    def uses_axis(self, name: Any) -> bool:
        """Whether it depends on the mapped axis of a name, or what it holds may.

        It is batched over that axis then, even if none of its operands is. None asks
        whether it, or a program in it, is known to depend on an axis of any name.
        """
        return False

    def stage(self, trace: Any, operands: tuple[Value, ...]) -> Any:
        """Emit one eqn into the jaxpr that `trace` builds."""
        return trace.emit(self, operands)

    def missing(self, rule: str) -> NoReturn:
        """Raise the error for a rule that this operation does not have."""
        kind = type(self).__name__
        raise MissingRule(
            f"operation {self.name} has no {rule} rule.",
            where=called_at(),
            mend=f"Write the method {kind}.{rule}{_SIGNATURES[rule]}.",
        )


_SIGNATURES = {
    "abstract": "(self, *avals), giving the results' types (Aval)",
    "eager": "(self, *arrays), computing with NumPy",
    "lower": "(self, ctx, *operands), emitting StableHLO; for what other operations "
    "can do, `return extend.lower_as(ctx, f, *operands)`",
    "jvp": "(self, primals, tangents), giving (primals_out, tangents_out)",
    "transpose": "(self, cotangents, *operands), giving a cotangent or None an operand",
    "transpose_onto": "(self, total, cotangent, *others), giving the new total",
    "batch": "(self, size, operands, dims), giving (results, their batch axes)",
}


def fields_of(primitive: Primitive) -> dict[str, Any]:
    """Give the static parameters of an operation by name."""
    names = getattr(primitive, "__match_args__", ())
    return {name: getattr(primitive, name) for name in names}


def zeros_like_outputs(out: Any) -> Any:
    """Give symbolic zero tangents for primal results."""
    if isinstance(out, (list, tuple)):
        return [Zero(aval_of(x).tangent()) for x in out]
    return Zero(aval_of(out).tangent())
