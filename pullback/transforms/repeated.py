"""Operations that are a function of others, run again wherever it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import Value, aval_of
from pullback.core.zero import is_zero
from pullback.transforms.batch import batch_flat
from pullback.transforms.jvp import jvp_flat
from pullback.transforms.linearize import linearize_flat
from pullback.transforms.stage import stage_flat


class Repeated(Primitive):
    """An operation whose rules, but for `transpose`, are those of `forward`."""

    __slots__ = ()

    multiple: ClassVar[bool] = True
    calls: ClassVar[bool] = True

    def forward(self, *operands: Value) -> list[Value]:
        """Compute the results by other operations."""
        raise NotImplementedError

    def eager(self, *operands: Value) -> list[Value]:
        return self.forward(*operands)

    def stage(self, trace: Any, operands: tuple[Value, ...]) -> Any:
        return self.forward(*operands)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        closed = stage_flat(self.forward, [x.aval for x in operands], self.name)
        consts = [ctx.constant(x.fetch(), aval_of(x)) for x in closed.consts]
        return ctx.jaxpr(closed.jaxpr, [*consts, *operands])

    def jvp(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        return jvp_flat(self.forward, primals, tangents)

    def linearize(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        nonzero = [not is_zero(t) for t in tangents]
        outs, program = linearize_flat(self.forward, primals, nonzero)
        return outs, program(*[t for t in tangents if not is_zero(t)])

    def uses_axis(self, name: Any) -> bool:
        """Say yes to a name: `forward` may be any code."""
        return name is not None

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        return batch_flat(self.forward, size, operands, dims)
