"""Operations on matrices that compiled programs, too, ask SciPy for."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.aval import Aval
from pullback.primitives.callbacks import emit_callback
from pullback.primitives.lapack import over_batch
from pullback.primitives.linalg import MatrixOperation


class HostMatrices(MatrixOperation):
    """An operation on matrices which is a function of NumPy arrays, one at a time."""

    __slots__ = ()

    def one(self, *matrices: Any) -> tuple[Any, ...]:
        """Give the results for single matrices."""
        raise NotImplementedError

    def eager(self, *operands: Any) -> Any:
        avals = self.abstract(*[Aval(x.shape, x.dtype) for x in operands])
        outs = avals if self.multiple else [avals]

        def safe(*matrices: Any) -> tuple[Any, ...]:
            ranks = len(operands[0].shape) - 2
            try:
                if not all(np.isfinite(m).all() for m in matrices):
                    raise np.linalg.LinAlgError
                return tuple(
                    np.asarray(y).astype(o.dtype)
                    for y, o in zip(self.one(*matrices), outs)
                )
            except np.linalg.LinAlgError:
                return tuple(np.full(o.shape[ranks:], np.nan, o.dtype) for o in outs)

        if any(x.size == 0 for x in operands):
            found: Any = [np.zeros(o.shape, o.dtype) for o in outs]
        else:
            found = over_batch(safe, *operands)
        return found if self.multiple else found[0]

    def lower(self, ctx: Any, *operands: Any) -> Any:
        avals = self.abstract(*[x.aval for x in operands])

        def call(*arrays: Any) -> Any:
            arrays = tuple(np.asarray(x) for x in arrays)
            return self.eager(*arrays) if self.multiple else [self.eager(*arrays)]

        outs = avals if self.multiple else [avals]
        found = emit_callback(ctx, call, operands, outs, False)
        return found if self.multiple else found[0]
