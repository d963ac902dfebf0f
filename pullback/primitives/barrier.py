"""Values that the compiler must have all of before it uses any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback.core.aval import Aval
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Unknown, is_zero
from pullback.primitives.structural import frozen


@frozen
class OptimizationBarrier(Primitive):
    """The operands; compiled programs move no operation across."""

    multiple = True
    linear = ((0, ...),)

    def abstract(self, *avals: Aval) -> list[Aval]:
        weak = all(a.weak for a in avals)
        return [a if weak else a.strong() for a in avals]

    def eager(self, *arrays: Any) -> list[Any]:
        return list(arrays)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        avals = [x.aval for x in operands]
        return ctx.emit_many("stablehlo.optimization_barrier", operands, avals)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        return self(*primals), self._of_nonzero(tangents)

    def _of_nonzero(self, tangents: Sequence[Any]) -> list[Any]:
        """Apply it to those that are not zero."""
        given = [t for t in tangents if not is_zero(t)]
        made = iter(self(*given) if given else ())
        return [t if is_zero(t) else next(made) for t in tangents]

    def transpose(self, ct: Any, *operands: Any) -> Any:
        made = self._of_nonzero(ct)
        return [t if isinstance(x, Unknown) else None for t, x in zip(made, operands)]

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(*operands), list(dims)


def optimization_barrier(operands: Sequence[Value]) -> list[Value]:
    """Give the operands, which the compiler must have all of first."""
    return OptimizationBarrier()(*operands)  # type: ignore[no-any-return]
