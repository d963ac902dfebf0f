"""Matrix factorizations that solve linear systems: Cholesky, triangular, LU.

Matrices stand in the last two axes, leading axes are a batch. Derivatives follow Giles,
Collected matrix derivative results for forward and reverse mode algorithmic
differentiation (2008), where no other source is named. Linear operations are
transposed, so that only forward derivatives are written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.at_once import at_once
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.errors import ShapeError
from pullback.primitives.contraction import matmul
from pullback.primitives.creation import broadcasted_iota
from pullback.primitives.diagonal import diagonal, on_diagonal
from pullback.primitives.lapack import (
    Matrix,
    check_matrix,
    emit_lapack,
    factor_lu,
    over_batch,
    permutation_of,
    solve_triangular,
)
from pullback.primitives.recipes import batch_to_front, check_same_dtype, lower_as
from pullback.primitives.reduction import reduce_prod
from pullback.primitives.row_order import emit_permutation, permute_rows
from pullback.primitives.shaping import pad, slice_in_dim
from pullback.primitives.structural import (
    add_tangents,
    frozen,
    full,
    move_axis,
    reduce_sum,
    reshape,
    transpose,
)
from pullback.primitives.table import (
    abs,
    add,
    conj,
    convert,
    div,
    eq,
    ge,
    log,
    mul,
    ne,
    real,
    rem,
    select,
    sign,
    sub,
)

# -- matrix algebra in rules -----------------------------------------------------------


def transposed(x: Value) -> Value:
    """Exchange the last two axes."""
    rank = len(x.shape)
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def conjugate(x: Value) -> Value:
    """Conjugate complex numbers; real ones are their own conjugates."""
    return conj(x) if dtypes.is_complex(x.dtype) else x


def real_part(x: Value) -> Value:
    """Give the real part; real numbers are their own."""
    return real(x) if dtypes.is_complex(x.dtype) else x


def adjoint(x: Value) -> Value:
    """Transpose and conjugate the last two axes."""
    return conjugate(transposed(x))


def triangle(x: Value, lower: bool, offset: int = 0) -> Value:
    """Keep a triangle, `offset` diagonals short of the main one; zero elsewhere."""

    def cut(x: Any) -> Any:
        return np.tril(x, -offset) if lower else np.triu(x, offset)

    found = at_once(cut, x)
    if found is not None:
        return found
    shape = x.shape[-2:]
    kept: Value | None = at_once(lambda: cut(np.ones(shape, bool)))
    if kept is None:
        rows = broadcasted_iota(np.int32, shape, 0)
        columns = broadcasted_iota(np.int32, shape, 1)
        first, second = (rows, columns) if lower else (columns, rows)
        kept = ge(first, add(second, offset))
    return select(kept, x, 0.0)


def identity(n: int, dtype: dtypes.Dtype) -> Value:
    """Give the identity matrix."""
    return convert(on_diagonal(n, n), dtype)


def as_row(x: Value) -> Value:
    """Give `x[..., None, :]`."""
    return reshape(x, (*x.shape[:-1], 1, x.shape[-1]))


def as_column(x: Value) -> Value:
    """Give `x[..., :, None]`."""
    return reshape(x, (*x.shape, 1))


def resize(x: Value, rows: int, columns: int) -> Value:
    """Cut matrices, or extend them with zeros, to a size."""
    rank = len(x.shape)
    x = slice_in_dim(x, 0, min(rows, x.shape[-2]), rank - 2)
    x = slice_in_dim(x, 0, min(columns, x.shape[-1]), rank - 1)
    grow = (rows - x.shape[-2], columns - x.shape[-1])
    if grow == (0, 0):
        return x
    edges = [(0, 0, 0)] * (rank - 2) + [(0, n, 0) for n in grow]
    return pad(x, full((), 0, x.dtype), edges)


def unless_failed(info: Value, x: Value) -> Value:
    """Give nan in place of results of a factorization that reports a failure."""
    extra = len(x.shape) - len(info.shape)
    flat = reshape(eq(info, 0), (*info.shape, *[1] * extra))
    return select(flat, x, complex(np.nan) if dtypes.is_complex(x.dtype) else np.nan)


class MatrixOperation(Primitive):
    """An operation on matrices: a batch axis becomes the leading axis."""

    __slots__ = ()

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        out = self(*batch_to_front(size, operands, dims))
        return out, [0] * len(out) if self.multiple else 0


# -- Cholesky --------------------------------------------------------------------------


@frozen
class Cholesky(MatrixOperation):
    """The lower triangular L with L L^H = A; reads a triangle of A; nan if none."""

    def abstract(self, a: Aval) -> Aval:
        check_matrix("cholesky", a, square=True)
        return a.strong()

    def eager(self, a: Any) -> Any:
        try:
            return np.linalg.cholesky(a)
        except np.linalg.LinAlgError:
            return over_batch(_cholesky_or_nan, a)[0]

    def lower(self, ctx: Any, a: Any) -> Any:
        info = Aval(a.aval.shape[:-2], dtypes.int32)
        found = emit_lapack(
            ctx, "potrf", [a], [Matrix(a.aval), info], [(0, 0)], uplo="L"
        )
        return lower_as(ctx, lambda x, i: unless_failed(i, triangle(x, True)), *found)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a,), (t,) = primals, tangents
        factor = self(a)
        if is_zero(t):
            return factor, Zero(like=factor)
        # L^-1 dA L^-H is L^-1 dL plus its adjoint; its lower triangle with half of
        # the diagonal is L^-1 dL (Murray, Differentiation of the Cholesky
        # decomposition, 2016).
        right = triangular_solve(
            factor, t, left_side=False, lower=True, transpose_a=True, conjugate_a=True
        )
        both = triangular_solve(factor, right, left_side=True, lower=True)
        n = a.shape[-1]
        half = mul(select(on_diagonal(n, n), 0.5, full((n, n), 1.0, a.dtype)), both)
        return factor, matmul(factor, triangle(half, True))


def _cholesky_or_nan(a: Any) -> tuple[Any]:
    """Factor one matrix; nan if it is not positive definite."""
    try:
        return (np.linalg.cholesky(a),)
    except np.linalg.LinAlgError:
        return (np.full_like(a, np.nan),)


cholesky = Cholesky()

# -- triangular systems ----------------------------------------------------------------


@frozen
class TriangularSolve(MatrixOperation):
    """The x of op(a) x = b, or of x op(a) = b if not `left_side`, a triangular.

    op transposes if `transpose_a` and conjugates if `conjugate_a`. Only the triangle
    that `lower` says is read, without the diagonal if it is `unit_diagonal`.
    """

    left_side: bool
    lower_a: bool
    transpose_a: bool
    conjugate_a: bool
    unit_diagonal: bool

    linear = ((1,),)

    def abstract(self, a: Aval, b: Aval) -> Aval:
        check_matrix("triangular_solve", a, square=True)
        check_same_dtype((a, b), "triangular_solve")
        axis = -2 if self.left_side else -1
        if (
            b.ndim != a.ndim
            or b.shape[:-2] != a.shape[:-2]
            or (b.shape[axis] != a.shape[-1])
        ):
            raise ShapeError(
                f"triangular_solve was given a matrix {a} and a right side {b}.",
                where=called_at(),
                mend="Give equal leading axes, and a right side of as many "
                f"{'rows' if self.left_side else 'columns'} as the matrix has.",
            )
        return b.strong()

    def eager(self, a: Any, b: Any) -> Any:
        op = 0 if not self.transpose_a else 2 if self.conjugate_a else 1
        if self.conjugate_a and not op:
            a = a.conj()
        options = (self.left_side, self.lower_a, op, self.unit_diagonal)
        return over_batch(lambda x, y: (solve_triangular(x, y, *options),), a, b)[0]

    def lower(self, ctx: Any, a: Any, b: Any) -> Any:
        if self.conjugate_a and not self.transpose_a:
            a = lower_as(ctx, conjugate, a)
        op = "N" if not self.transpose_a else "C" if self.conjugate_a else "T"
        return emit_lapack(
            ctx,
            "trsm",
            [a, b],
            [Matrix(b.aval)],
            [(0, 1)],
            side="L" if self.left_side else "R",
            uplo="L" if self.lower_a else "U",
            trans_x=op,
            diag="U" if self.unit_diagonal else "N",
        )[0]

    def op(self, a: Value) -> Value:
        """Transpose and conjugate as the operation does."""
        if self.conjugate_a:
            a = conjugate(a)
        return transposed(a) if self.transpose_a else a

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a, b), (s, t) = primals, tangents
        x = self(a, b)
        right = t
        if not is_zero(s):
            # op(a) dx = db - op(da) x
            change = self.op(triangle(s, self.lower_a, int(self.unit_diagonal)))
            moved = matmul(change, x) if self.left_side else matmul(x, change)
            right = add_tangents(t, mul(moved, -1.0))
        return x, Zero(like=x) if is_zero(right) else self(a, right)

    def transpose(self, ct: Any, a: Any, b: Any) -> Any:
        back = TriangularSolve(
            self.left_side,
            self.lower_a,
            not self.transpose_a,
            self.conjugate_a,
            self.unit_diagonal,
        )
        return None, back(a, ct)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        if dims[0] is not None:
            return MatrixOperation.batch(self, size, operands, dims)
        return solve_beside(self, operands[0], operands[1], dims[1], self.left_side)


def solve_beside(
    solve: Callable[[Value, Value], Any],
    a: Value,
    b: Value,
    dim: int,
    left_side: bool,
) -> tuple[Value, int]:
    """Solve for mapped right sides and one matrix: they stand side by side."""
    b = move_axis(b, dim, len(b.shape) - 1 if left_side else len(b.shape) - 3)
    *batch, rows, columns, size = b.shape
    if left_side:
        x = solve(a, reshape(b, (*batch, rows, columns * size)))
    else:
        *batch, size, rows, columns = b.shape
        x = solve(a, reshape(b, (*batch, size * rows, columns)))
    return reshape(x, b.shape), len(b.shape) - 1 if left_side else len(b.shape) - 3


def triangular_solve(
    a: Value,
    b: Value,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Value:
    """Solve op(a) x = b (left) or x op(a) = b for triangular `a`."""
    kind = TriangularSolve(left_side, lower, transpose_a, conjugate_a, unit_diagonal)
    return kind(a, b)


# -- LU --------------------------------------------------------------------------------


@frozen
class Lu(MatrixOperation):
    """P A = L U with row exchanges: L and U in one array, the exchanges, the order.

    `pivots[i]` is the row exchanged with row i; `permutation` is where rows come from.
    """

    multiple = True

    def abstract(self, a: Aval) -> list[Aval]:
        check_matrix("lu", a)
        *batch, rows, columns = a.shape
        return [
            a.strong(),
            Aval((*batch, min(rows, columns)), dtypes.int32),
            Aval((*batch, rows), dtypes.int32),
        ]

    def eager(self, a: Any) -> Any:
        lu, pivots = over_batch(factor_lu, a)
        return [lu, pivots, permutation_of(pivots, a.shape[-2])]

    def lower(self, ctx: Any, a: Any) -> Any:
        matrix, pivots, _ = self.abstract(a.aval)
        info = Aval(matrix.shape[:-2], dtypes.int32)
        lu, pivots, _ = emit_lapack(
            ctx, "getrf", [a], [Matrix(matrix), pivots, info], [(0, 0)]
        )
        pivots = lower_as(ctx, lambda p: sub(p, 1), pivots)
        return [lu, pivots, emit_permutation(ctx, pivots, matrix.shape[-2])]

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a,), (t,) = primals, tangents
        lu, pivots, permutation = self(a)
        tail = [Zero(like=pivots), Zero(like=permutation)]
        if is_zero(t):
            return [lu, pivots, permutation], [Zero(like=lu), *tail]
        # With F = L^-1 P dA U^-1, dL is L times the strict lower triangle of F and dU
        # is its upper triangle times U (de Hoog, Anderssen, Lukas, Differentiation of
        # matrix functionals using triangular factorization, 2011). The identity
        # completes the factors of an oblong matrix to square ones.
        rows, columns = a.shape[-2:]
        short = min(rows, columns)
        lower = add(
            triangle(resize(resize(lu, rows, short), rows, rows), True, 1),
            identity(rows, a.dtype),
        )
        beyond = ge(broadcasted_iota(np.int32, (columns, columns), 0), short)
        fill = select(beyond, identity(columns, a.dtype), 0.0)
        upper = triangle(resize(resize(lu, short, columns), columns, columns), False)
        upper = add(upper, fill)
        found = triangular_solve(
            lower,
            permute_rows(t, permutation),
            left_side=True,
            lower=True,
            unit_diagonal=True,
        )
        found = triangular_solve(upper, found)
        lower_dot = matmul(lower, triangle(resize(found, rows, rows), True, 1))
        upper_dot = matmul(triangle(resize(found, columns, columns), False), upper)
        lu_dot = add(resize(lower_dot, rows, columns), resize(upper_dot, rows, columns))
        return [lu, pivots, permutation], [lu_dot, *tail]


lu = Lu()


# -- general systems -------------------------------------------------------------------


@frozen
class Solve(MatrixOperation):
    """The x of a x = b, for a square matrix and a matrix b of right sides."""

    linear = ((1,),)

    def abstract(self, a: Aval, b: Aval) -> Aval:
        check_matrix("solve", a, square=True)
        check_same_dtype((a, b), "solve")
        if b.ndim != a.ndim or b.shape[:-1] != a.shape[:-1]:
            raise ShapeError(
                f"solve was given a matrix {a} and a right side {b}.",
                where=called_at(),
                mend="Give a right side [..., n, k] for a matrix [..., n, n].",
            )
        return b.strong()

    def eager(self, a: Any, b: Any) -> Any:
        try:
            return np.linalg.solve(a, b)
        except np.linalg.LinAlgError:
            return over_batch(_solve_or_infinite, a, b)[0]

    def lower(self, ctx: Any, a: Any, b: Any) -> Any:
        def by_factors(a: Value, b: Value) -> Value:
            factors, _, permutation = lu(a)
            return lu_solve(factors, permutation, b)

        return lower_as(ctx, by_factors, a, b)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a, b), (s, t) = primals, tangents
        if is_zero(s):
            x = self(a, b)
            return x, Zero(like=x) if is_zero(t) else self(a, t)
        # One factorization serves the solution, its tangent and its cotangent.
        factors, _, permutation = lu(a)
        x = lu_solve(factors, permutation, b)
        right = add_tangents(t, mul(matmul(s, x), -1.0))
        return x, lu_solve(factors, permutation, right)

    def transpose(self, ct: Any, a: Any, b: Any) -> Any:
        return None, self(transposed(a), ct)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        if dims[0] is not None:
            return MatrixOperation.batch(self, size, operands, dims)
        return solve_beside(self, operands[0], operands[1], dims[1], True)


def _solve_or_infinite(a: Any, b: Any) -> tuple[Any]:
    """Solve one system; infinities and nans if the matrix is singular."""
    factors, pivots = factor_lu(a)
    ordered = b[permutation_of(pivots, len(a))]
    half = solve_triangular(factors, ordered, True, True, 0, True)
    return (solve_triangular(factors, half, True, False, 0, False),)


solve = Solve()


def lu_solve(factors: Value, permutation: Value, b: Value) -> Value:
    """Solve a x = b for matrices `b`, given the factors of `a`."""
    ordered = permute_rows(b, permutation)
    half = triangular_solve(
        factors, ordered, left_side=True, lower=True, unit_diagonal=True
    )
    return triangular_solve(factors, half, left_side=True)


# -- determinants ----------------------------------------------------------------------


@frozen
class Det(MatrixOperation):
    """The determinant of square matrices."""

    def abstract(self, a: Aval) -> Aval:
        check_matrix("det", a, square=True)
        return Aval(a.shape[:-2], a.dtype)

    def eager(self, a: Any) -> Any:
        return np.linalg.det(a)

    def lower(self, ctx: Any, a: Any) -> Any:
        def by_factors(a: Value) -> Value:
            factors, pivots, _ = lu(a)
            return mul(parity(pivots, a.dtype), product(diagonal(factors)))

        return lower_as(ctx, by_factors, a)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a,), (t,) = primals, tangents
        if is_zero(t):
            out = self(a)
            return out, Zero(like=out)
        # Jacobi: d det A = tr(adj(A) dA), with adj(A) = det(P) adj(U) L^-1 P. With
        # U = [[V, u], [0, e]] and d = det V, adj(U) = [[d e V^-1, -d V^-1 u], [0, d]],
        # which does not divide by the last pivot: it holds for matrices of rank n - 1.
        n = a.shape[-1]
        rank = len(a.shape)
        factors, pivots, permutation = lu(a)
        rows = triangular_solve(
            factors,
            permute_rows(t, permutation),
            left_side=True,
            lower=True,
            unit_diagonal=True,
        )
        corner = slice_in_dim(
            slice_in_dim(factors, n - 1, n, rank - 2), n - 1, n, rank - 1
        )
        side = resize(slice_in_dim(factors, n - 1, n, rank - 1), n - 1, 1)
        bottom = slice_in_dim(rows, n - 1, n, rank - 2)
        right = sub(
            mul(corner, resize(rows, n - 1, n - 1)),
            mul(side, slice_in_dim(bottom, 0, n - 1, rank - 1)),
        )
        inner = triangular_solve(resize(factors, n - 1, n - 1), right, left_side=True)
        pivot = diagonal(factors)
        sign = parity(pivots, a.dtype)
        minor = mul(sign, product(slice_in_dim(pivot, 0, n - 1, rank - 2)))
        last = slice_in_dim(bottom, n - 1, n, rank - 1)
        trace = add(
            reduce_sum(diagonal(inner), (rank - 2,)), reshape(last, a.shape[:-2])
        )
        return mul(sign, product(pivot)), mul(minor, trace)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(move_axis(operands[0], dims[0], 0)), 0


det = Det()


@frozen
class SlogDet(MatrixOperation):
    """The sign of determinants, x / |x| for complex ones, and the log of their size."""

    multiple = True

    def abstract(self, a: Aval) -> list[Aval]:
        check_matrix("slogdet", a, square=True)
        return [
            Aval(a.shape[:-2], a.dtype),
            Aval(a.shape[:-2], dtypes.real_dtype(a.dtype)),
        ]

    def eager(self, a: Any) -> Any:
        return list(np.linalg.slogdet(a))

    def lower(self, ctx: Any, a: Any) -> Any:
        return lower_as(ctx, lambda a: sign_and_log(*lu(a)[:2]), a)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a,), (t,) = primals, tangents
        if is_zero(t):
            outs = self(a)
            return outs, [Zero(like=y) for y in outs]
        # d log det A = tr(A^-1 dA); its imaginary part turns the sign.
        factors, pivots, permutation = lu(a)
        phase, logs = sign_and_log(factors, pivots)
        slopes = diagonal(lu_solve(factors, permutation, t))
        trace = reduce_sum(slopes, (len(a.shape) - 2,))
        if not dtypes.is_complex(a.dtype):
            return [phase, logs], [Zero(like=phase), trace]
        growth = real(trace)
        turn = sub(trace, convert(growth, trace.dtype))
        return [phase, logs], [mul(phase, turn), growth]


slogdet = SlogDet()


def sign_and_log(factors: Value, pivots: Value) -> list[Value]:
    """Give the sign of a determinant and the log of its size by an LU factorization."""
    pivot = diagonal(factors)
    size = abs(pivot)
    if dtypes.is_complex(pivot.dtype):
        phase = div(pivot, convert(select(eq(size, 0.0), 1.0, size), pivot.dtype))
    else:
        phase = sign(pivot)
    logs = reduce_sum(log(size), (len(pivot.shape) - 1,))
    return [mul(parity(pivots, pivot.dtype), product(phase)), logs]


def product(x: Value) -> Value:
    """Multiply along the last axis."""
    return reduce_prod(x, (len(x.shape) - 1,))


def parity(pivots: Value, dtype: dtypes.Dtype) -> Value:
    """Give the determinant of row exchanges, 1 or -1."""
    here = broadcasted_iota(np.int32, pivots.shape, len(pivots.shape) - 1)
    count = reduce_sum(
        convert(ne(pivots, here), dtypes.int32), (len(pivots.shape) - 1,)
    )
    return convert(sub(1, mul(rem(count, 2), 2)), dtype)
