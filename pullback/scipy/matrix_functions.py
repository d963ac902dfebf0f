"""Functions of matrices and decompositions beyond NumPy's, for `scipy.linalg`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.trace import Value
from pullback.custom.custom_jvp import custom_jvp
from pullback.numpy import linalg
from pullback.numpy.arguments import option, static_int, wrong_shape
from pullback.numpy.contraction import matmul
from pullback.numpy.diagonals import diag
from pullback.numpy.norms import matrices, matrix
from pullback.numpy.promotion import promote_arrays, real_arguments
from pullback.numpy.shaping import broadcast_to
from pullback.primitives import reflections, spectral, table
from pullback.primitives import schur as forms
from pullback.primitives.linalg import adjoint, as_row
from pullback.primitives.structural import reshape

__all__ = [
    "eigh_tridiagonal",
    "funm",
    "hessenberg",
    "polar",
    "qr_multiply",
    "rsf2csf",
    "schur",
    "solve_sylvester",
    "sqrtm",
]


def schur(a: Any, output: str = "real") -> tuple[Value, Value]:
    """Give T and Z with a = Z T Z^H, T triangular; as `scipy.linalg.schur`.

    It has no derivative.

    Args:
        a: square matrices.
        output: "real": for real matrices T has blocks of two on its diagonal, for
            pairs of eigenvalues; "complex": T is triangular and complex.
    """
    option("schur", "output", output, ("real", "complex"))
    x = matrix("schur", a, square=True)
    if output == "complex":
        x = table.convert(x, dtypes.complex_dtype(x.dtype))
    t, z = forms.schur(x)
    return t, z


def rsf2csf(T: Any, Z: Any, check_finite: bool = True) -> tuple[Value, Value]:
    """Give the complex Schur form of a real one; as `scipy.linalg.rsf2csf`."""
    T, Z = promote_arrays("rsf2csf", T, Z, inexact=True)
    return forms.complex_schur(T, Z)


def hessenberg(
    a: Any,
    *,
    calc_q: bool = False,
    overwrite_a: bool = False,
    check_finite: bool = True,
) -> Any:
    """Give H with a = Q H Q^H, zero below its subdiagonal; with `calc_q`, Q too.

    It has no derivative.
    """
    h, q = reflections.hessenberg(matrix("hessenberg", a, square=True))
    return (h, q) if calc_q else h


def solve_sylvester(
    A: Any, B: Any, C: Any, *, method: str = "schur", tol: float = 1e-8
) -> Value:
    """Solve A X + X B = C; as `scipy.linalg.solve_sylvester`.

    Args:
        A: matrices [..., m, m].
        B: matrices [..., n, n].
        C: matrices [..., m, n].
        method: "schur" or "eigen", which are the same here.
        tol: changes nothing.
    """
    option("solve_sylvester", "method", method, ("schur", "eigen"))
    a, b, c = matrices("solve_sylvester", A, B, C)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2], c.shape[:-2])
    fitted = [broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b, c)]
    return forms.sylvester(*fitted)


def sqrtm(A: Any, blocksize: int = 1) -> Value:
    """Give the principal square root, which is complex; as `scipy.linalg.sqrtm`."""
    return forms.square_root(matrix("sqrtm", A, square=True))


def funm(A: Any, func: Callable[[Value], Any], disp: bool = True) -> Any:
    """Give a function of matrices that have a basis of eigenvectors.

    As `scipy.linalg.funm`, but by eigenvectors, so that it has derivatives. Far from
    such a basis digits are lost; a matrix without one gives nan or garbage, of which
    the error tells.

    Args:
        A: square matrices.
        func: a function of an array of complex eigenvalues.
        disp: False gives an estimate of the relative error too.
    """
    a = matrix("funm", A, square=True)
    w, v = spectral.eig(a)
    found = _of_eigenvalues(v, func(w))
    if not disp:
        return found, _misfit(a, w, v)
    return found


def _of_eigenvalues(v: Value, w: Value) -> Value:
    """Give v diag(w) v^-1."""
    turned = linalg.solve(adjoint(v), adjoint(v * as_row(w)))
    return adjoint(turned)


def _misfit(a: Value, w: Value, v: Value) -> Value:
    """Give how far the eigenvectors are from giving the matrix again."""
    gap = _of_eigenvalues(v, w) - a
    size = linalg.matrix_norm(a, ord=1)
    error = linalg.matrix_norm(gap, ord=1) / table.select(
        table.eq(size, 0.0), 1.0, size
    )
    return table.max(error, float(dtypes.finfo(error.dtype).eps))


# -- polar -----------------------------------------------------------------------------


def polar(
    a: Any,
    side: str = "right",
    *,
    method: str = "qdwh",
    eps: float | None = None,
    max_iterations: int | None = None,
) -> tuple[Value, Value]:
    """Give U with orthonormal columns or rows, and P, with a = U P, or P U.

    As `scipy.linalg.polar`. Derivatives are those of matrices of full rank.

    Args:
        a: matrices [m, n].
        side: "right" for a = U P, "left" for a = P U.
        method: "qdwh" or "svd", which are the same here.
        eps: changes nothing.
        max_iterations: changes nothing.
    """
    option("polar", "side", side, ("right", "left"))
    option("polar", "method", method, ("qdwh", "svd"))
    x = matrix("polar", a)
    if side == "right":
        return _right(x)
    u, p = _right(adjoint(x))
    return adjoint(u), p


def _right(x: Value) -> tuple[Value, Value]:
    """Give U and P of x = U P."""
    if x.shape[-2] >= x.shape[-1]:
        u, p = _polar(x)
        return u, p
    u = adjoint(_polar(adjoint(x))[0])
    p = matmul(adjoint(u), x)
    return u, (p + adjoint(p)) * 0.5


@custom_jvp
def _polar(x: Value) -> tuple[Value, Value]:
    """Give U and P of a matrix with as many rows as columns, or more."""
    u, s, vh = spectral.svd(x)
    scaled = vh * table.convert(reshape(s, (*s.shape, 1)), x.dtype)
    return matmul(u, vh), matmul(adjoint(vh), scaled)


@_polar.defjvp
def _polar_tangents(primals: Any, tangents: Any) -> Any:
    # U^H dA is W P + dP with W = U^H dU, which is skew; so W P + P W is twice the skew
    # part. Of singular values that coincide this asks nothing, unlike the vectors.
    (x,), (t,) = primals, tangents
    u, p = _polar(x)
    inner = matmul(adjoint(u), t)
    turn = forms.sylvester(p, p, inner - adjoint(inner))
    p_dot = inner - matmul(turn, p)
    p_dot = (p_dot + adjoint(p_dot)) * 0.5
    rest = t - matmul(u, inner)
    away = adjoint(linalg.solve(p, adjoint(rest)))
    return (u, p), (matmul(u, turn) + away, p_dot)


# -- others ----------------------------------------------------------------------------


def qr_multiply(
    a: Any,
    c: Any,
    mode: str = "right",
    pivoting: bool = False,
    conjugate: bool = False,
    overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> tuple[Value, ...]:
    """Give c Q (or Q c for mode "left") and R of a = Q R; as SciPy's.

    With `pivoting` the order of the columns of `a` is given too.
    """
    option("qr_multiply", "mode", mode, ("right", "left"))
    a, c = promote_arrays("qr_multiply", matrix("qr_multiply", a), c, inexact=True)
    q, *rest = (spectral.pivoted_qr if pivoting else spectral.qr)(a)
    if conjugate and dtypes.is_complex(q.dtype):
        q = table.conj(q)
    rows, inner = q.shape[-2:]
    wanted, axis = (inner, 0) if mode == "left" else (rows, -1)
    if not c.shape or c.shape[axis if len(c.shape) > 1 else 0] != wanted:
        raise wrong_shape(
            "qr_multiply",
            f"was given a {a.aval} and c {c.aval} for mode={mode!r}.",
            f"Give c {'rows' if mode == 'left' else 'columns'} of number {wanted}.",
        )
    return (matmul(q, c) if mode == "left" else matmul(c, q)), *rest


def eigh_tridiagonal(
    d: Any,
    e: Any,
    *,
    eigvals_only: bool = False,
    select: str = "a",
    select_range: tuple[int, int] | None = None,
    tol: float | None = None,
    key: Any = None,
) -> Any:
    """Give eigenvalues and vectors of real symmetric tridiagonal matrices.

    As `scipy.linalg.eigh_tridiagonal`; the matrix is filled in.

    Args:
        d: the diagonal [n].
        e: the diagonal beside it [n - 1].
        eigvals_only: give no vectors.
        select: "a" for all, "i" for those with the indices in `select_range`.
        select_range: the first and last index.
        tol: changes nothing.
        key: changes nothing.
    """
    option("eigh_tridiagonal", "select", select, ("a", "i"))
    d, e = real_arguments("eigh_tridiagonal", d, e)
    n = d.shape[-1] if len(d.shape) == 1 else 0
    if not n or e.shape != (n - 1,):
        raise wrong_shape(
            "eigh_tridiagonal",
            f"was given d {d.aval} and e {e.aval}.",
            "Give vectors [n] and [n - 1].",
        )
    rows = slice(None)
    if select == "i":
        first, last = select_range or (0, n - 1)
        ends = (first, last + 1)
        rows = slice(*[static_int(k, "eigh_tridiagonal", "select_range") for k in ends])
    full = diag(d) + diag(e, 1) + diag(e, -1)
    if eigvals_only:
        return spectral.eigvalsh(full)[rows]
    w, v = spectral.eigh(full)
    return w[rows], v[:, rows]
