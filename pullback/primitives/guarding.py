"""Values whose cotangents are zero where a program does not use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback.core.aval import Aval
from pullback.core.primitive import Dim
from pullback.core.trace import Value, aval_of
from pullback.primitives.elementwise import Elementwise
from pullback.primitives.reduction import ReduceOr
from pullback.primitives.table import select, zeros_like

#: How many elements a vector may have to be copied for each element of a batch.
FEW = 128


class Guard(Elementwise):
    """A value whose cotangent is zero where it is not used: `guard(used, x)`."""

    __slots__ = ()

    def check_dtypes(self, avals: Any) -> None:
        """Take any: the library applies it, to a boolean and a float."""

    def linear_result(self, operands: Any) -> Aval:
        return self.abstract(*self.operand_avals(operands))

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        used, x = operands
        if dims[1] is not None or dims[0] is None or is_small(aval_of(x)):
            return super().batch(size, operands, dims)
        # The batch shares what it is made of, and so one cotangent.
        return guard(ReduceOr((dims[0],))(used), x), None


guard: Elementwise = Guard(
    "guard",
    lambda used, x: np.broadcast_arrays(used, x)[1],
    lambda ctx, out, used, x: x,
    "fc",
    [None, lambda t, ans, used, x: guard(used, t)],
    linear=((1,),),
    transposes=[None, lambda ct, used, x: select(used, ct, zeros_like(ct))],
)


def is_small(aval: Aval) -> bool:
    """Whether to copy an unmapped value for each element, to guard each by itself.

    Copies of vectors cost no more than what a batch computes from them; those of
    matrices would make many small products of one large.
    """
    return len(aval.shape) < 2 and aval.size <= FEW
