"""Products of reflections, and the forms of matrices that LAPACK gives as such.

A product (1 - tau_1 v_1 v_1^H) (1 - tau_2 v_2 v_2^H) ... is held in a matrix, whose
column i has v_i below a 1 that is not stored, and in the factors tau.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import MissingDerivative
from pullback.lazy import scipy_linalg
from pullback.primitives.contraction import matmul
from pullback.primitives.lapack import (
    Matrix,
    check_matrix,
    emit_lapack,
    letter_of,
    over_batch,
)
from pullback.primitives.linalg import (
    MatrixOperation,
    adjoint,
    as_column,
    conjugate,
    identity,
    real_part,
    resize,
    triangle,
    triangular_solve,
    unless_failed,
)
from pullback.primitives.recipes import lower_as
from pullback.primitives.shaping import pad, slice_in_dim
from pullback.primitives.structural import broadcast_to, frozen, full, reshape
from pullback.primitives.table import add, mul, sub

# -- products --------------------------------------------------------------------------


def reflect(
    a: Value, taus: Value, c: Value, *, left: bool = True, adjoint_q: bool = False
) -> Value:
    """Give Q c, or c Q if not `left`; of Q^H if `adjoint_q`.

    Q is 1 - V T V^H with T = (1 + D S)^-1 D, D the diagonal matrix of the factors and
    S what of V^H V stands above its diagonal (Puglisi, Modification of the Householder
    method based on the compact WY representation, SIAM J. Sci. Stat. Comput. 13, 1992).

    Args:
        a: matrices [..., m, n] of reflections.
        taus: factors [..., k], k <= min(m, n).
        c: matrices [..., m, p], or [..., p, m] if not `left`.
        left: whether Q stands on the left.
        adjoint_q: whether Q^H stands for Q.
    """
    if not left:
        return adjoint(reflect(a, taus, adjoint(c), adjoint_q=not adjoint_q))
    rows, count = a.shape[-2], taus.shape[-1]
    below = triangle(resize(a, rows, count), True, 1)
    v = add(below, resize(identity(rows, a.dtype), rows, count))
    weights = as_column(taus)
    mixed = mul(weights, triangle(matmul(adjoint(v), v), False, 1))
    seen = matmul(adjoint(v), c)
    solved = triangular_solve(
        mixed,
        seen if adjoint_q else mul(weights, seen),
        left_side=True,
        transpose_a=adjoint_q,
        conjugate_a=adjoint_q and dtypes.is_complex(a.dtype),
        unit_diagonal=True,
    )
    if adjoint_q:
        solved = mul(conjugate(weights), solved)
    return sub(c, matmul(v, solved))


def householder_product(a: Value, taus: Value) -> Value:
    """Give as many columns of Q as the matrix of reflections has."""
    rows, columns = a.shape[-2:]
    start = resize(identity(rows, a.dtype), rows, columns)
    return reflect(a, taus, broadcast_to(start, a.shape))


# -- forms -----------------------------------------------------------------------------


class Form(MatrixOperation):
    """A form of matrices that they do not determine, which so has no derivative."""

    __slots__ = ()

    multiple = True

    def jvp(self, primals: Any, tangents: Any) -> Any:
        raise MissingDerivative(
            f"{self.name} of {primals[0].aval} has no derivative: the form is not "
            "determined by the matrix.",
            where=called_at(),
            mend="Differentiate what is made of it: eigenvalues by eigvals, functions "
            "of matrices by funm, sqrtm or expm.",
        )


def _by_scipy(routine: str, a: Any, **options: int) -> tuple[Any, ...]:
    """Call a routine of LAPACK, with room to work in blocks, for one matrix."""
    call = getattr(scipy_linalg.lapack, f"{letter_of(a.dtype)}{routine}")
    *found, _ = call(a, lwork=64 * len(a), **options)
    return tuple(found)


@frozen
class Hessenberg(Form):
    """H of A = Q H Q^H, below whose subdiagonal are the reflections, and their factors.

    H is zero there; reflection i begins in row i + 1.
    """

    def abstract(self, a: Aval) -> list[Aval]:
        check_matrix("hessenberg", a, square=True)
        *batch, n = a.shape[:-1]
        return [a.strong(), Aval((*batch, max(n - 1, 0)), a.dtype)]

    def eager(self, a: Any) -> Any:
        _, taus = self.abstract(Aval(a.shape, a.dtype))
        if a.shape[-1] < 2:
            return [a, np.zeros(taus.shape, a.dtype)]
        return over_batch(lambda x: _by_scipy("gehrd", x), a)

    def lower(self, ctx: Any, a: Any) -> Any:
        packed, taus = self.abstract(a.aval)
        if a.aval.shape[-1] < 2:
            return [a, ctx.constant(0, taus)]
        info = Aval(a.aval.shape[:-2], dtypes.int32)
        *found, info = emit_lapack(
            ctx,
            "gehrd",
            [a],
            [Matrix(packed), taus, info],
            [(0, 0)],
            low=1,
            high=a.aval.shape[-1],
        )
        return [lower_as(ctx, lambda x, i: unless_failed(i, x), x, info) for x in found]


@frozen
class Tridiagonal(Form):
    """T of Hermitian A = Q T Q^H beside the reflections, its diagonals, the factors.

    Reads a triangle of A; its diagonal and the one beside it are those of T.
    """

    lower_a: bool = True

    def abstract(self, a: Aval) -> list[Aval]:
        check_matrix("tridiagonal", a, square=True)
        *batch, n = a.shape[:-1]
        real, beside = dtypes.real_dtype(a.dtype), (*batch, max(n - 1, 0))
        return [
            a.strong(),
            Aval((*batch, n), real),
            Aval(beside, real),
            Aval(beside, a.dtype),
        ]

    def eager(self, a: Any) -> Any:
        avals = self.abstract(Aval(a.shape, a.dtype))
        if a.shape[-1] < 2:
            none = [np.zeros(x.shape, x.dtype) for x in avals[2:]]
            return [a, a.reshape(a.shape[:-1]).real, *none]
        routine = "hetrd" if dtypes.is_complex(a.dtype) else "sytrd"
        lower = int(self.lower_a)
        return over_batch(lambda x: _by_scipy(routine, x, lower=lower), a)

    def lower(self, ctx: Any, a: Any) -> Any:
        packed, *vectors = self.abstract(a.aval)
        if a.aval.shape[-1] < 2:
            d = lower_as(ctx, lambda x: real_part(reshape(x, x.shape[:-1])), a)
            return [a, d, *[ctx.constant(0, x) for x in vectors[1:]]]
        info = Aval(a.aval.shape[:-2], dtypes.int32)
        *found, info = emit_lapack(
            ctx,
            "hetrd" if dtypes.is_complex(a.aval.dtype) else "sytrd",
            [a],
            [Matrix(packed), *vectors, info],
            [(0, 0)],
            uplo="L" if self.lower_a else "U",
        )
        return [lower_as(ctx, lambda x, i: unless_failed(i, x), x, info) for x in found]


def hessenberg(a: Value) -> tuple[Value, Value]:
    """Give H and Q with A = Q H Q^H, H zero below its subdiagonal."""
    n, rank = a.shape[-1], len(a.shape)
    packed, taus = Hessenberg()(a)
    if n < 2:
        return packed, broadcast_to(identity(n, a.dtype), a.shape)
    vectors = slice_in_dim(slice_in_dim(packed, 1, n, rank - 2), 0, n - 1, rank - 1)
    q = householder_product(vectors, taus)
    zero = full((), 0, a.dtype)
    q = pad(q, zero, [(0, 0, 0)] * (rank - 2) + [(1, 0, 0)] * 2)
    corner = resize(identity(1, a.dtype), n, n)
    return triangle(packed, False, -1), add(q, corner)
