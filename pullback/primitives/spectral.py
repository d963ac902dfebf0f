"""Matrix factorizations with orthogonal factors and eigenvalues: QR, SVD, Eigh, Eig.

Derivatives are those of Giles (2008), sections 3.1 and 3.2, in the forms named at each.
Where eigenvalues or singular values coincide, the derivative of their vectors does not
exist; their mixing is taken as zero. So derivatives stay finite, and first derivatives
of symmetric functions of the values are right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.errors import MissingDerivative
from pullback.lazy import scipy_linalg
from pullback.primitives.contraction import matmul
from pullback.primitives.creation import broadcasted_iota
from pullback.primitives.diagonal import diagonal, on_diagonal
from pullback.primitives.lapack import Matrix, check_matrix, emit_lapack, over_batch
from pullback.primitives.linalg import (
    MatrixOperation,
    adjoint,
    as_column,
    as_row,
    real_part,
    resize,
    solve,
    transposed,
    triangle,
    triangular_solve,
    unless_failed,
)
from pullback.primitives.recipes import lower_as
from pullback.primitives.reduction import argmax
from pullback.primitives.row_order import permute_rows
from pullback.primitives.shaping import slice_in_dim
from pullback.primitives.structural import frozen, reduce_sum
from pullback.primitives.table import (
    abs,
    add,
    conj,
    convert,
    div,
    eq,
    gt,
    imag,
    make_complex,
    mul,
    real,
    select,
    stop_gradient,
    sub,
)


def like_matrix(x: Value, a: Value) -> Value:
    """Give real numbers in the dtype of a matrix."""
    return convert(x, a.dtype)


def inverse_or_zero(x: Value) -> Value:
    """Give 1/x, and 0 at 0."""
    flat = eq(x, 0.0)
    return select(flat, 0.0, div(1.0, select(flat, 1.0, x)))


def gaps(w: Value) -> Value:
    """Give the matrix 1 / (w_j - w_i), 0 on the diagonal.

    Where two coincide it is infinite: which vectors belong to them is arbitrary, and
    what is computed from vectors and values together has a derivative that cannot be
    told from theirs.
    """
    own = on_diagonal(w.shape[-1], w.shape[-1])
    apart = sub(as_row(w), as_column(w))
    return select(own, 0.0, div(1.0, select(own, 1.0, apart)))


def or_nan(operation: Any, factor: Callable[..., Any], a: Any) -> Any:
    """Factor matrices at once, giving nan for each for which NumPy raises."""

    def one(a: Any) -> tuple[Any, ...]:
        try:
            return tuple(factor(a))
        except np.linalg.LinAlgError:
            outs = operation.abstract(Aval(a.shape, a.dtype))
            return tuple(np.full(o.shape, np.nan, o.dtype) for o in outs)

    try:
        return factor(a)
    except np.linalg.LinAlgError:
        return over_batch(one, a)


# -- QR --------------------------------------------------------------------------------


@frozen
class Qr(MatrixOperation):
    """A = Q R, Q with orthonormal columns, R upper triangular.

    Q is [m, min(m, n)], or [m, m] if `full_matrices`.
    """

    full_matrices: bool

    multiple = True

    def abstract(self, a: Aval) -> list[Aval]:
        check_matrix("qr", a)
        *batch, rows, columns = a.shape
        inner = rows if self.full_matrices else min(rows, columns)
        return [
            Aval((*batch, rows, inner), a.dtype),
            Aval((*batch, inner, columns), a.dtype),
        ]

    def eager(self, a: Any) -> Any:
        return np.linalg.qr(a, "complete" if self.full_matrices else "reduced")

    def lower(self, ctx: Any, a: Any) -> Any:
        *batch, rows, columns = a.aval.shape
        tau = Aval((*batch, min(rows, columns)), a.aval.dtype)
        packed, tau = emit_lapack(ctx, "geqrf", [a], [Matrix(a.aval), tau], [(0, 0)])
        return emit_orthogonal(ctx, packed, tau, self.abstract(a.aval))

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a,), (t,) = primals, tangents
        q, r = self(a)
        if is_zero(t):
            return [q, r], [Zero(like=q), Zero(like=r)]
        return [q, r], qr_tangents(q, r, t)


def emit_orthogonal(ctx: Any, packed: Any, tau: Any, avals: Sequence[Aval]) -> Any:
    """Emit Q and R, of which LAPACK gave R above reflections, and their factors."""
    rows, inner = avals[0].shape[-2:]
    columns = avals[1].shape[-1]
    reflectors = lower_as(ctx, lambda x: resize(x, rows, inner), packed)
    routine = "ungqr" if dtypes.is_complex(packed.aval.dtype) else "orgqr"
    (q,) = emit_lapack(ctx, routine, [reflectors, tau], [Matrix(avals[0])], [(0, 0)])
    r = lower_as(ctx, lambda x: triangle(resize(x, inner, columns), False), packed)
    return [q, r]


def qr_tangents(q: Value, r: Value, t: Value) -> list[Value]:
    """Give the tangents of Q and R, given that of the matrix."""
    rows, columns = t.shape[-2:]
    if q.shape[-1] > columns:
        raise MissingDerivative(
            f"qr of a matrix {t.aval} with full_matrices has no derivative: the "
            "columns of Q beyond the matrix's are not determined by it.",
            where=called_at(),
            mend="Use mode='reduced'.",
        )
    # Walter and Lehmann, On higher-order derivatives of QR decomposition of real
    # matrices (2012). A wide matrix has the Q of its leading columns.
    short = min(rows, columns)
    axis = len(t.shape) - 1
    first = slice_in_dim(r, 0, short, axis)
    change = triangular_solve(first, slice_in_dim(t, 0, short, axis))
    inner = matmul(adjoint(q), change)
    below = triangle(inner, True, 1)
    turn = sub(below, adjoint(below))
    if dtypes.is_complex(t.dtype):
        turn = add(turn, select(on_diagonal(short, short), phase(inner), 0.0))
    q_dot = add(matmul(q, sub(turn, inner)), change)
    r_dot = sub(matmul(adjoint(q), t), matmul(turn, r))
    return [q_dot, triangle(r_dot, False)]


def phase(x: Value) -> Value:
    """Give i times the imaginary part."""
    return sub(x, convert(real(x), x.dtype))


def qr(a: Value, full_matrices: bool = False) -> tuple[Value, Value]:
    """Factor `a` into Q and R."""
    q, r = Qr(full_matrices)(a)
    return q, r


@frozen
class PivotedQr(MatrixOperation):
    """A with columns in an order is Q R, where the diagonal of R descends in size.

    Gives Q, R and the order: column i is A's column `order[i]`. Q is square if
    `full_matrices`. The derivative is that with the order held.
    """

    full_matrices: bool

    multiple = True

    def abstract(self, a: Aval) -> list[Aval]:
        order = Aval((*a.shape[:-2], *a.shape[-1:]), dtypes.int32)
        return [*Qr(self.full_matrices).abstract(a), order]

    def eager(self, a: Any) -> Any:
        if not a.size:
            return [np.zeros(x.shape, x.dtype) for x in self.abstract(a)]
        mode = "full" if self.full_matrices else "economic"

        def one(a: Any) -> tuple[Any, ...]:
            options = {"mode": mode, "pivoting": True, "check_finite": False}
            q, r, order = scipy_linalg.qr(a, **options)
            return q, r, order.astype(np.int32)

        return over_batch(one, a)

    def lower(self, ctx: Any, a: Any) -> Any:
        *batch, rows, columns = a.aval.shape
        *factors, order = self.abstract(a.aval)
        tau = Aval((*batch, min(rows, columns)), a.aval.dtype)
        packed, order, tau = emit_lapack(
            ctx,
            "geqp3",
            [a, ctx.constant(0, order)],
            [Matrix(a.aval), order, tau],
            [(0, 0), (1, 1)],
        )
        places = lower_as(ctx, lambda p: sub(p, 1), order)
        return [*emit_orthogonal(ctx, packed, tau, factors), places]

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a,), (t,) = primals, tangents
        q, r, order = self(a)
        if is_zero(t):
            return [q, r, order], [Zero(like=x) for x in (q, r, order)]
        moved = transposed(permute_rows(transposed(t), order))
        return [q, r, order], [*qr_tangents(q, r, moved), Zero(like=order)]


def pivoted_qr(a: Value, full_matrices: bool = False) -> tuple[Value, Value, Value]:
    """Factor `a` with its columns in an order: give Q, R, and the order."""
    q, r, order = PivotedQr(full_matrices)(a)
    return q, r, order


# -- Hermitian eigenvalues -------------------------------------------------------------


@frozen
class Eigh(MatrixOperation):
    """Eigenvalues, ascending, and eigenvectors of Hermitian matrices; reads a triangle.

    Without `vectors` it gives the eigenvalues only.
    """

    lower_a: bool = True
    vectors: bool = True

    multiple = True

    def abstract(self, a: Aval) -> list[Aval]:
        check_matrix("eigh", a, square=True)
        w = Aval(a.shape[:-1], dtypes.real_dtype(a.dtype))
        return [w, a.strong()] if self.vectors else [w]

    def eager(self, a: Any) -> Any:
        return or_nan(self, self.numpy, a)

    def numpy(self, a: Any) -> tuple[Any, ...]:
        """Call NumPy, which raises where it does not converge."""
        triangle: Any = "L" if self.lower_a else "U"
        if self.vectors:
            return tuple(np.linalg.eigh(a, triangle))
        return (np.linalg.eigvalsh(a, triangle),)

    def lower(self, ctx: Any, a: Any) -> Any:
        w = Aval(a.aval.shape[:-1], dtypes.real_dtype(a.aval.dtype))
        info = Aval(a.aval.shape[:-2], dtypes.int32)
        routine = "heevd" if dtypes.is_complex(a.aval.dtype) else "syevd"
        v, w, info = emit_lapack(
            ctx,
            routine,
            [a],
            [Matrix(a.aval), w, info],
            [(0, 0)],
            mode="V" if self.vectors else "N",
            uplo="L" if self.lower_a else "U",
        )
        found = [w, v] if self.vectors else [w]
        return [lower_as(ctx, lambda x, i: unless_failed(i, x), x, info) for x in found]

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a,), (t,) = primals, tangents
        if is_zero(t):
            out = self(a)
            return out, [Zero(like=x) for x in out]
        w, v = Eigh(self.lower_a)(a)
        inner = matmul(matmul(adjoint(v), t), v)
        w_dot = real_part(diagonal(inner))
        if not self.vectors:
            return [w], [w_dot]
        v_dot = matmul(v, mul(like_matrix(gaps(w), a), inner))
        return [w, v], [w_dot, v_dot]


def eigh(a: Value, lower: bool = True) -> tuple[Value, Value]:
    """Give ascending eigenvalues and the eigenvectors of Hermitian `a`."""
    w, v = Eigh(lower)(a)
    return w, v


def eigvalsh(a: Value, lower: bool = True) -> Value:
    """Give the ascending eigenvalues of Hermitian `a`."""
    return Eigh(lower, False)(a)[0]


# -- singular values -------------------------------------------------------------------


@frozen
class Svd(MatrixOperation):
    """A = U diag(s) V^H with descending s: gives U, s, V^H, or s only if not `vectors`.

    U and V^H are square if `full_matrices`, else they have min(m, n) vectors.
    `routine` is LAPACK's: "gesdd", which divides and conquers, or "gesvd".
    """

    full_matrices: bool = False
    vectors: bool = True
    routine: str = "gesdd"

    multiple = True

    def abstract(self, a: Aval) -> list[Aval]:
        check_matrix("svd", a)
        *batch, rows, columns = a.shape
        short = min(rows, columns)
        s = Aval((*batch, short), dtypes.real_dtype(a.dtype))
        if not self.vectors:
            return [s]
        left, right = (rows, columns) if self.full_matrices else (short, short)
        return [
            Aval((*batch, rows, left), a.dtype),
            s,
            Aval((*batch, right, columns), a.dtype),
        ]

    def eager(self, a: Any) -> Any:
        return or_nan(self, self.numpy, a)

    def numpy(self, a: Any) -> tuple[Any, ...]:
        """Call NumPy, which raises where it does not converge."""
        if self.routine != "gesdd":
            return tuple(over_batch(self.scipy, a))
        if self.vectors:
            return tuple(np.linalg.svd(a, self.full_matrices))
        return (np.linalg.svd(a, compute_uv=False),)

    def scipy(self, a: Any) -> tuple[Any, ...]:
        """Call SciPy, which has all routines, for one matrix."""
        options = {"lapack_driver": self.routine, "check_finite": False}
        if not self.vectors:
            return (scipy_linalg.svd(a, compute_uv=False, **options),)
        return tuple(scipy_linalg.svd(a, self.full_matrices, **options))

    def lower(self, ctx: Any, a: Any) -> Any:
        u, s, vh = Svd(self.full_matrices).abstract(a.aval)
        info = Aval(a.aval.shape[:-2], dtypes.int32)
        mode = "N" if not self.vectors else "A" if self.full_matrices else "S"
        outs: list[Any] = [Matrix(a.aval), s, Matrix(u), Matrix(vh), info]
        _, s, u, vh, info = emit_lapack(
            ctx, self.routine, [a], outs, [(0, 0)], mode=mode
        )
        found = [u, s, vh] if self.vectors else [s]
        return [lower_as(ctx, lambda x, i: unless_failed(i, x), x, info) for x in found]

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a,), (t,) = primals, tangents
        if is_zero(t):
            out = self(a)
            return out, [Zero(like=x) for x in out]
        rows, columns = a.shape[-2:]
        if self.vectors and self.full_matrices and rows != columns:
            raise MissingDerivative(
                f"svd of a matrix {a.aval} with full_matrices has no derivative: the "
                "vectors beyond the singular values are not determined by it.",
                where=called_at(),
                mend="Use full_matrices=False.",
            )
        u, s, vh = Svd(routine=self.routine)(a)
        inner = matmul(matmul(adjoint(u), t), adjoint(vh))
        s_dot = real_part(diagonal(inner))
        if not self.vectors:
            return [s], [s_dot]
        u_dot, vh_dot = svd_vector_tangents(a, t, (u, s, vh), inner)
        return [u, s, vh], [u_dot, s_dot, vh_dot]


def svd_vector_tangents(a: Value, t: Value, factors: Any, inner: Value) -> Any:
    """Give the tangents of U and V^H (Townsend, Differentiating the SVD, 2016).

    Args:
        a: the matrix.
        t: its tangent dA.
        factors: U, s, V^H.
        inner: U^H dA V.
    """
    u, s, vh = factors
    rows, columns = a.shape[-2:]
    across = like_matrix(
        inverse_or_zero(
            mul(sub(as_row(s), as_column(s)), add(as_row(s), as_column(s)))
        ),
        a,
    )
    s_row, s_column = like_matrix(as_row(s), a), like_matrix(as_column(s), a)
    s_inverse = like_matrix(as_row(inverse_or_zero(s)), a)
    right, left = mul(inner, s_row), mul(s_column, inner)
    u_turn = mul(across, add(right, adjoint(right)))
    v_turn = mul(across, add(left, adjoint(left)))
    if dtypes.is_complex(a.dtype):
        # The phases of a pair of vectors are tied: half of the turn to U's.
        n = s.shape[-1]
        skew = mul(sub(inner, adjoint(inner)), 0.5)
        turn = mul(select(on_diagonal(n, n), skew, 0.0), s_inverse)
        u_turn = add(u_turn, turn)
    u_dot, v = matmul(u, u_turn), adjoint(vh)
    v_dot = matmul(v, v_turn)
    if rows > columns:
        rest = sub(matmul(t, v), matmul(u, inner))
        u_dot = add(u_dot, mul(rest, s_inverse))
    elif columns > rows:
        rest = sub(matmul(adjoint(t), u), matmul(v, adjoint(inner)))
        v_dot = add(v_dot, mul(rest, s_inverse))
    return u_dot, adjoint(v_dot)


def svd(
    a: Value, full_matrices: bool = False, routine: str = "gesdd"
) -> tuple[Value, Value, Value]:
    """Give U, the descending singular values, and V^H."""
    u, s, vh = Svd(full_matrices, True, routine)(a)
    return u, s, vh


def svdvals(a: Value, routine: str = "gesdd") -> Value:
    """Give the singular values, descending."""
    return Svd(False, False, routine)(a)[0]


# -- eigenvalues of any square matrix --------------------------------------------------


@frozen
class Eig(MatrixOperation):
    """Complex eigenvalues, in no order, and right eigenvectors of length one.

    The largest entry of a vector is real. Without `vectors` it gives the eigenvalues.
    """

    vectors: bool = True

    multiple = True

    def abstract(self, a: Aval) -> list[Aval]:
        check_matrix("eig", a, square=True)
        dtype = dtypes.complex_dtype(a.dtype)
        w = Aval(a.shape[:-1], dtype)
        return [w, Aval(a.shape, dtype)] if self.vectors else [w]

    def eager(self, a: Any) -> Any:
        dtype = dtypes.complex_dtype(a.dtype)
        if not np.all(np.isfinite(a)):
            return [np.full(o.shape, np.nan, dtype) for o in self.abstract(a)]
        found = np.linalg.eig(a) if self.vectors else [np.linalg.eigvals(a)]
        return [x.astype(dtype) for x in found]

    def lower(self, ctx: Any, a: Any) -> Any:
        is_complex = dtypes.is_complex(a.aval.dtype)
        dtype = dtypes.complex_dtype(a.aval.dtype)
        w, v = Eig().abstract(a.aval)
        info = Aval(a.aval.shape[:-2], dtypes.int32)
        parts: list[Any] = [w] if is_complex else [Aval(w.shape, a.aval.dtype)] * 2
        outs: list[Any] = [*parts, Matrix(v), Matrix(v), info]
        *parts, _, v, info = emit_lapack(
            ctx,
            "geev",
            [a],
            outs,
            compute_left="N",
            compute_right="V" if self.vectors else "N",
        )
        w = parts[0] if is_complex else lower_as(ctx, make_complex, *parts)
        assert w.aval.dtype == dtype, "geev gives complex eigenvalues"
        found = [w, v] if self.vectors else [w]
        return [lower_as(ctx, lambda x, i: unless_failed(i, x), x, info) for x in found]

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a,), (t,) = primals, tangents
        if is_zero(t):
            out = self(a)
            return out, [Zero(like=x) for x in out]
        w, v = Eig()(a)
        inner = solve(v, matmul(convert(t, v.dtype), v))
        w_dot = diagonal(inner)
        if not self.vectors:
            return [w], [w_dot]
        free = matmul(v, mul(gaps(w), inner))
        return [w, v], [w_dot, keep_normal(v, free)]


def keep_normal(v: Value, v_dot: Value) -> Value:
    """Add multiples of the vectors so that lengths and real entries stay."""
    rank = len(v.shape)
    rows = (rank - 2,)
    growth = real(reduce_sum(mul(conj(v), v_dot), rows))
    v_dot = sub(v_dot, mul(v, convert(as_row(growth), v.dtype)))
    size = abs(stop_gradient(v))
    place = as_row(argmax(size, rank - 2, np.dtype(np.int32)))
    largest = eq(broadcasted_iota(np.int32, v.shape, rank - 2), place)
    entry = real(reduce_sum(select(largest, v, 0.0), rows))
    drift = imag(reduce_sum(select(largest, v_dot, 0.0), rows))
    turn = div(drift, entry)
    return sub(v_dot, mul(v, as_row(make_complex(mul(turn, 0.0), turn))))


def eig(a: Value) -> tuple[Value, Value]:
    """Give eigenvalues and right eigenvectors."""
    w, v = Eig()(a)
    return w, v


def eigvals(a: Value) -> Value:
    """Give the eigenvalues."""
    return Eig(False)(a)[0]


# -- pseudoinverse ---------------------------------------------------------------------


@frozen
class Pinv(MatrixOperation):
    """The Moore-Penrose inverse.

    Singular values below `rtol` times the largest count as zero; `rtol` is max(m, n)
    times the dtype's epsilon where None.
    """

    rtol: float | None = None

    def abstract(self, a: Aval) -> Aval:
        check_matrix("pinv", a)
        return Aval((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)

    def eager(self, a: Any) -> Any:
        if not a.size:
            return np.zeros(self.abstract(Aval(a.shape, a.dtype)).shape, a.dtype)
        found = or_nan(Svd(), Svd().numpy, a)
        u, s, vh = found
        cutoff = tolerance(self.rtol, a) * s[..., :1]
        inverse = np.where(s > cutoff, 1 / s, 0).astype(a.dtype)[..., None, :]
        return np.swapaxes((u.conj() * inverse) @ vh.conj(), -1, -2)

    def lower(self, ctx: Any, a: Any) -> Any:
        def by_svd(a: Value) -> Value:
            u, s, vh = svd(a)
            largest = slice_in_dim(s, 0, 1, len(s.shape) - 1)
            keep = gt(s, mul(largest, tolerance(self.rtol, a)))
            inverse = select(keep, div(1.0, s), 0.0)
            return matmul(mul(adjoint(vh), like_matrix(as_row(inverse), a)), adjoint(u))

        if 0 in a.aval.shape:
            return ctx.constant(0, self.abstract(a.aval))
        return lower_as(ctx, by_svd, a)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a,), (t,) = primals, tangents
        p = self(a)
        if is_zero(t):
            return p, Zero(like=p)
        # Golub and Pereyra, The differentiation of pseudo-inverses (1973), (4.12),
        # for changes that keep the rank.
        p_h, t_h = adjoint(p), adjoint(t)
        moved = product(p, t, p)
        left = product(p, p_h, t_h)
        left = sub(left, product(left, a, p))
        right = product(t_h, p_h, p)
        right = sub(right, product(p, a, right))
        return p, add(sub(left, moved), right)


def product(x: Value, y: Value, z: Value) -> Value:
    """Multiply three matrices, first the two that make less work.

    Of one with many more rows than columns and its adjoint, the square of the rows
    never stands in between.
    """
    (a, b), (c, d) = x.shape[-2:], z.shape[-2:]
    if a * c * (b + d) <= b * d * (a + c):
        return matmul(matmul(x, y), z)
    return matmul(x, matmul(y, z))


def tolerance(rtol: float | None, a: Any) -> float:
    """Give the relative size below which singular values count as zero."""
    if rtol is not None:
        return rtol
    return float(max(a.shape[-2:]) * dtypes.finfo(a.dtype).eps)


def pinv(a: Value, rtol: float | None = None) -> Value:
    """Give the Moore-Penrose inverse."""
    return Pinv(rtol)(a)
