"""Schur forms, and what they compute: Sylvester's equation, roots.

Values are SciPy's; where LAPACK alone does not give them, compiled programs call it
back. The forms themselves have no derivative here. What is made of them has: it is
written without them.
"""

from __future__ import annotations

from typing import Any

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.errors import ShapeError
from pullback.lazy import scipy_linalg
from pullback.primitives.contraction import matmul
from pullback.primitives.host_matrices import HostMatrices
from pullback.primitives.lapack import Matrix, check_matrix, emit_lapack
from pullback.primitives.linalg import transposed, unless_failed
from pullback.primitives.recipes import check_same_dtype, lower_as
from pullback.primitives.reflections import Form
from pullback.primitives.structural import add_tangents, frozen
from pullback.primitives.table import convert, neg


@frozen
class Schur(Form, HostMatrices):
    """A = Z T Z^H, T triangular; for real forms with blocks of two on the diagonal.

    Without `vectors` it gives T only.
    """

    vectors: bool = True

    def abstract(self, a: Aval) -> list[Aval]:
        check_matrix("schur", a, square=True)
        return [a.strong(), a.strong()] if self.vectors else [a.strong()]

    def one(self, a: Any) -> tuple[Any, ...]:
        kind = "complex" if a.dtype.kind == "c" else "real"
        return tuple(scipy_linalg.schur(a, kind))

    def lower(self, ctx: Any, a: Any) -> Any:
        w = Aval(a.aval.shape[:-1], a.aval.dtype)
        count = Aval(a.aval.shape[:-2], dtypes.int32)
        parts = [w] if dtypes.is_complex(w.dtype) else [w, w]
        t, z, *_, info = emit_lapack(
            ctx,
            "gees",
            [a],
            [Matrix(a.aval), Matrix(a.aval), *parts, count, count],
            [(0, 0)],
            mode="V" if self.vectors else "N",
            sort="N",
        )
        found = [t, z] if self.vectors else [t]
        return [lower_as(ctx, lambda x, i: unless_failed(i, x), x, info) for x in found]


@frozen
class ComplexSchur(Form, HostMatrices):
    """The complex Schur form of a real one: of T and Z."""

    def abstract(self, t: Aval, z: Aval) -> list[Aval]:
        check_matrix("rsf2csf", t, square=True)
        check_same_dtype((t, z), "rsf2csf")
        if t.shape != z.shape:
            raise ShapeError(
                f"rsf2csf was given {t} and {z}.",
                where=called_at(),
                mend="Give the two results of schur.",
            )
        out = Aval(t.shape, dtypes.complex_dtype(t.dtype))
        return [out, out]

    def one(self, t: Any, z: Any) -> tuple[Any, ...]:
        return tuple(scipy_linalg.rsf2csf(t, z))


@frozen
class Sylvester(HostMatrices):
    """The X of A X + X B = C."""

    linear = ((2,),)

    def abstract(self, a: Aval, b: Aval, c: Aval) -> Aval:
        check_matrix("solve_sylvester", a, square=True)
        check_matrix("solve_sylvester", b, square=True)
        check_same_dtype((a, b, c), "solve_sylvester")
        if c.shape != (*a.shape[:-1], b.shape[-1]) or a.shape[:-2] != b.shape[:-2]:
            raise ShapeError(
                f"solve_sylvester was given {a}, {b} and a right side {c}.",
                where=called_at(),
                mend="Give matrices [..., m, m], [..., n, n] and [..., m, n].",
            )
        return c.strong()

    def one(self, a: Any, b: Any, c: Any) -> tuple[Any, ...]:
        return (scipy_linalg.solve_sylvester(a, b, c),)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a, b, _), (a_dot, b_dot, c_dot) = primals, tangents
        x = self(*primals)
        right = c_dot
        if not is_zero(a_dot):
            right = add_tangents(right, neg(matmul(a_dot, x)))
        if not is_zero(b_dot):
            right = add_tangents(right, neg(matmul(x, b_dot)))
        return x, Zero(like=x) if is_zero(right) else self(a, b, right)

    def transpose(self, ct: Any, a: Any, b: Any, c: Any) -> Any:
        return None, None, self(transposed(a), transposed(b), ct)


@frozen
class SquareRoot(HostMatrices):
    """The principal square root of matrices, which is complex."""

    def abstract(self, a: Aval) -> Aval:
        check_matrix("sqrtm", a, square=True)
        return Aval(a.shape, dtypes.complex_dtype(a.dtype))

    def one(self, a: Any) -> tuple[Any, ...]:
        return (scipy_linalg.sqrtm(a),)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (a,), (t,) = primals, tangents
        x = self(a)
        if is_zero(t):
            return x, Zero(like=x)
        # The differential of X X = A.
        return x, sylvester(x, x, convert(t, x.dtype))


sylvester = Sylvester()
square_root = SquareRoot()


def schur(a: Value, vectors: bool = True) -> tuple[Value, ...]:
    """Give T and Z, or T only."""
    return tuple(Schur(vectors)(a))


def complex_schur(t: Value, z: Value) -> tuple[Value, Value]:
    """Give the complex form of a real one."""
    t, z = ComplexSchur()(t, z)
    return t, z
