"""Systems of band matrices, which are given by their diagonals.

Values are LAPACK's, whose factorizations exchange rows: they are stable, and cost as
much as there are unknowns. Derivatives solve with the same matrix again:
A dx = db - dA x.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.errors import ShapeError
from pullback.lazy import scipy_linalg
from pullback.primitives.callbacks import emit_callback
from pullback.primitives.host_matrices import HostMatrices
from pullback.primitives.lapack import (
    Matrix,
    check_matrix,
    emit_lapack,
    letter_of,
    over_batch,
)
from pullback.primitives.linalg import (
    MatrixOperation,
    as_column,
    as_row,
    solve_beside,
    unless_failed,
)
from pullback.primitives.recipes import check_same_dtype, lower_as
from pullback.primitives.shaping import concatenate, pad, slice_in_dim
from pullback.primitives.structural import add_tangents, frozen, full, reshape
from pullback.primitives.table import mul, neg


def moved_along(x: Value, places: int, axis: int = -1) -> Value:
    """Move entries along an axis to higher places, or lower ones; zeros come in."""
    size = x.shape[axis]
    places = max(-size, min(places, size))
    edges = [(0, 0, 0)] * len(x.shape)
    edges[axis] = (places, -places, 0)
    return pad(x, full((), 0, x.dtype), edges)


@frozen
class TridiagonalSolve(MatrixOperation):
    """The x of A x = b, A given by the diagonals below, on and above the main one.

    Row i of A x is dl[i] x[i - 1] + d[i] x[i] + du[i] x[i + 1]; dl[0] and du[n - 1] are
    not read. With `perturb_singular` pivots that are next to zero are made larger.
    """

    perturb_singular: bool = False

    linear = ((3,),)

    def abstract(self, dl: Aval, d: Aval, du: Aval, b: Aval) -> Aval:
        check_matrix("tridiagonal_solve", b)
        check_same_dtype((dl, d, du, b), "tridiagonal_solve")
        if any(x.shape != b.shape[:-1] for x in (dl, d, du)):
            raise ShapeError(
                f"tridiagonal_solve was given diagonals {dl}, {d}, {du} and a right "
                f"side {b}.",
                where=called_at(),
                mend="Give three diagonals [..., n] and a right side [..., n, k]; "
                "x[..., None] makes one of vectors.",
            )
        return b.strong()

    def eager(self, dl: Any, d: Any, du: Any, b: Any) -> Any:
        # SciPy would convert and cut what does not fit.
        self.abstract(*[Aval(x.shape, x.dtype) for x in (dl, d, du, b)])
        if not b.size:
            return b
        if self.perturb_singular:
            return over_batch(_solve_perturbed, b, dl, d, du)[0]
        # A batch is one system, whose blocks nothing connects.
        lower, upper = dl.copy(), du.copy()
        lower[..., 0] = upper[..., -1] = 0
        flat = b.reshape((-1, b.shape[-1]))
        (x,) = _solve_or_nan(flat, lower.ravel(), d.ravel(), upper.ravel())
        if b.ndim > 2 and not np.isfinite(x).all():
            return over_batch(_solve_or_nan, b, dl, d, du)[0]
        return x.reshape(b.shape)

    def lower(self, ctx: Any, dl: Any, d: Any, du: Any, b: Any) -> Any:
        if self.perturb_singular:

            def call(*arrays: Any) -> Any:
                return [self.eager(*map(np.asarray, arrays))]

            return emit_callback(ctx, call, (dl, d, du, b), [b.aval], False)[0]
        info = Aval(b.aval.shape[:-2], dtypes.int32)
        outs = [dl.aval, d.aval, du.aval, Matrix(b.aval), info]
        same = [(i, i) for i in range(4)]
        *_, x, info = emit_lapack(ctx, "gtsv", [dl, d, du, b], outs, same)
        return lower_as(ctx, lambda x, i: unless_failed(i, x), x, info)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        *diagonals, b = primals
        *changes, right = tangents
        x = self(*diagonals, b)
        for change, places in zip(changes, (1, 0, -1)):
            if not is_zero(change):
                term = mul(as_column(change), moved_along(x, places, -2))
                right = add_tangents(right, neg(term))
        return x, Zero(like=x) if is_zero(right) else self(*diagonals, right)

    def transpose(self, ct: Any, dl: Any, d: Any, du: Any, b: Any) -> Any:
        x = self(moved_along(du, 1), d, moved_along(dl, -1), ct)
        return None, None, None, x

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        dl, d, du, b = operands
        if any(dim is not None for dim in dims[:3]):
            return MatrixOperation.batch(self, size, operands, dims)
        return solve_beside(partial(self, dl, d), du, b, dims[3], True)


def _solve_or_nan(b: Any, dl: Any, d: Any, du: Any) -> tuple[Any]:
    """Solve one system; nan if its matrix is singular."""
    gtsv = getattr(scipy_linalg.lapack, f"{letter_of(b.dtype)}gtsv")
    if len(d) > 1:  # SciPy wants one place in them even where none is read
        dl, du = dl[1:], du[:-1]
    *_, x, info = gtsv(dl, d, du, b)
    return (np.full_like(b, np.nan) if info else x,)


def _solve_perturbed(b: Any, dl: Any, d: Any, du: Any) -> tuple[Any]:
    """Solve one system, with pivots that are no smaller than what rounding leaves."""
    # As LAPACK's lagts: eps times the greatest entry of U.
    factor, solve = (
        getattr(scipy_linalg.lapack, f"{letter_of(b.dtype)}{name}")
        for name in ("gttrf", "gttrs")
    )
    if len(d) < 3:  # which SciPy's gttrf does not take
        more = np.zeros(3 - len(d), d.dtype)
        rows = np.concatenate([b, np.zeros((len(more), b.shape[1]), b.dtype)])
        dl, du = (np.concatenate([x, more]) for x in (dl, du))
        du[len(d) - 1] = 0
        return (_solve_perturbed(rows, dl, np.append(d, more), du)[0][: len(d)],)
    lower, pivots, *upper, exchanges, _ = factor(dl[1:], d, du[:-1])
    found = dtypes.finfo(d.dtype)
    most = max(float(np.abs(x).max(initial=0)) for x in (pivots, *upper))
    least = max(float(found.eps) * most, float(found.tiny))
    size = np.abs(pivots)
    phase = np.where(size > 0, pivots / np.where(size > 0, size, 1), 1)
    pivots = np.where(size < least, phase * least, pivots).astype(d.dtype)
    return (solve(lower, pivots, *upper, exchanges, b)[0],)


tridiagonal_solve = TridiagonalSolve()


@frozen
class BandedSolve(HostMatrices):
    """The x of A x = b, A given by some diagonals below and above the main one.

    They are rows of one array: entry [above + i - j, j] is A[i, j].
    """

    below: int
    above: int

    linear = ((1,),)

    def abstract(self, bands: Aval, b: Aval) -> Aval:
        check_matrix("solve_banded", bands)
        check_same_dtype((bands, b), "solve_banded")
        *batch, count, n = bands.shape
        if count != self.below + self.above + 1 or b.shape[:-1] != (*batch, n):
            raise ShapeError(
                f"solve_banded was given diagonals {bands}, {self.below} below and "
                f"{self.above} above the main one, and a right side {b}.",
                where=called_at(),
                mend="Give diagonals [..., below + above + 1, n] and a right side [n] "
                "or [..., n, k].",
            )
        return b.strong()

    def one(self, bands: Any, b: Any) -> tuple[Any, ...]:
        return (scipy_linalg.solve_banded((self.below, self.above), bands, b),)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (bands, b), (change, right) = primals, tangents
        x = self(bands, b)
        if not is_zero(change):
            for row in range(self.below + self.above + 1):
                term = mul(as_column(band(change, row)), x)
                moved = moved_along(term, row - self.above, -2)
                right = add_tangents(right, neg(moved))
        return x, Zero(like=x) if is_zero(right) else self(bands, right)

    def transpose(self, ct: Any, bands: Any, b: Any) -> Any:
        rows = [
            as_row(moved_along(band(bands, row), row - self.above))
            for row in reversed(range(self.below + self.above + 1))
        ]
        turned = concatenate(rows, len(bands.shape) - 2)
        return None, BandedSolve(self.above, self.below)(turned, ct)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        if dims[0] is not None:
            return MatrixOperation.batch(self, size, operands, dims)
        return solve_beside(self, operands[0], operands[1], dims[1], True)


def band(x: Value, row: int) -> Value:
    """Give one of the diagonals that are rows of an array."""
    found = slice_in_dim(x, row, row + 1, len(x.shape) - 2)
    return reshape(found, (*x.shape[:-2], x.shape[-1]))


def solve_banded(bands: Value, b: Value, below: int, above: int) -> Value:
    """Solve A x = b for a matrix of some diagonals, which are rows of an array."""
    if (below, above) != (1, 1):
        return BandedSolve(below, above)(bands, b)
    upper, middle, lower = (band(bands, row) for row in range(3))
    dl, du = moved_along(lower, 1), moved_along(upper, -1)
    return tridiagonal_solve(dl, middle, du, b)
