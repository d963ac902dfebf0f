"""Products of vectors, matrices and tensors against NumPy, with derivatives."""

import functools

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import make_jaxpr
from pullback.calls.jit import jit
from pullback.errors import ArgumentError, ShapeError
from tests.numpy.agreement import (
    agrees,
    assert_same,
    has_right_derivatives,
    integers,
    normal,
)

A, B, V, T, K = normal(3, 4), normal(4, 5), normal(4), normal(2, 3, 4), integers(3, 4)
S = normal(2, 4, 3)
Z = (A + 1j * A[::-1]).astype(np.complex64)


def shapes_of(case):
    """Names a case by its function and the shapes of its arguments."""
    return f"{case[0]}{[np.shape(x) for x in case[1:] if hasattr(x, 'shape')]}"


CASES = [
    ("dot", A, B),
    ("dot", V, V),
    ("dot", T, B),
    ("dot", T, S),
    ("dot", A, V),
    ("dot", A, 2.0),
    ("vdot", A, A),
    ("vdot", Z, Z),
    ("matmul", A, B),
    ("matmul", T, B),
    ("matmul", A, S),
    ("matmul", T, S),
    ("matmul", normal(5, 1, 2, 4), normal(3, 4, 2)),
    ("matmul", normal(1, 3, 2, 4), normal(5, 1, 4, 2)),
    ("matmul", V, B),
    ("matmul", A, V),
    ("matmul", T, V),
    ("matmul", V, S),
    ("matmul", K, K.T),
    ("inner", A, A),
    ("inner", T, V),
    ("outer", A, V),
    ("tensordot", A, B, 1),
    ("tensordot", T, T, ([1, 2], [1, 2])),
    ("tensordot", T, A, ((1, 2), (0, 1))),
    ("tensordot", A, V, (1, 0)),
    ("tensordot", A, B, 0),
    ("kron", A, B),
    ("kron", V, A),
    ("cross", A[:, :3], A[:, 1:]),
    ("cross", A[:, :3], V[:3]),
    ("trace", A),
    ("trace", T, 1, 1, 2),
    ("vecdot", A, A),
    ("vecdot", Z, Z),
    ("matvec", T, V),
    ("vecmat", V, S),
]


@pytest.mark.parametrize("case", CASES, ids=shapes_of)
def test_products_agree_with_numpy(case):
    agrees(*case)


SUBSCRIPTS = [
    ("ij,jk->ik", A, B),
    ("ij,jk", A, B),
    ("ji", A),
    ("ij->", A),
    ("ii->i", A[:, :3]),
    ("ii", A[:, :3]),
    ("iij->ij", T[:, :2]),
    ("bij,jk->bik", T, B),
    ("...ij,jk->...ik", T, B),
    ("...,...", A, A),
    ("i...->...", A),
    ("bij,bij->b", T, T),
    ("i,j->ij", V, V),
    ("ij,jk,kl->il", A, B, B.T),
    ("ij,j,i->", A, V, V[:3]),
    ("ij,kj->ik", A, A),
    ("ijk,ijk->k", T, T),
    ("bij->bji", T),
    (" i j , j -> i ", A, V),
    ("ij,ij->ij", A, A[:1]),
]


@pytest.mark.parametrize("case", SUBSCRIPTS, ids=lambda c: c[0])
def test_einsum_agrees_with_numpy(case):
    agrees("einsum", *case)
    wide = [np.asarray(x, np.float64) for x in case[1:]]
    assert_same(
        [jnp.einsum(case[0], *wide, optimize=False)], [np.einsum(case[0], *wide)], 2e-5
    )


@pytest.mark.parametrize(
    ("subscripts", "operands", "largest"),
    [
        ("ij,jk->ik", (A, B), 15),
        ("bij,bjk->bik", (T, S), 18),
        ("ij,jk,kl->il", (A, B, B.T), 15),
        ("ij,jk,ki->", (A, A.T, A @ A.T), 12),
    ],
)
@pytest.mark.parametrize("optimize", ["optimal", False])
def test_einsum_sums_as_it_multiplies(subscripts, operands, largest, optimize):
    # Once nothing but a later sum dropped the labels, and each product was kept whole.
    f = functools.partial(jnp.einsum, subscripts, optimize=optimize)
    eqns = make_jaxpr(f)(*operands).eqns
    assert {eqn.primitive.name for eqn in eqns} <= {"dot_general", "transpose"}
    assert max(v.aval.size for eqn in eqns for v in eqn.outputs) <= largest


def test_einsum_takes_lists_of_labels():
    want = np.einsum("ij,jk->ik", A, B)
    assert_same([jnp.einsum(A, [0, 1], B, [1, 2], [0, 2])], [want], 1e-5)
    assert_same([jnp.einsum(T, [..., 0])], [np.einsum("...a", T)], 1e-5)


def test_einsum_path_is_numpys():
    assert (
        jnp.einsum_path("ij,jk,kl", A, B, B.T)[0]
        == np.einsum_path("ij,jk,kl", A, B, B.T)[0]
    )


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(("n", "m"), [(4, 2), (2, 4), (4, 4), (4, 3), (3, 4), (1, 4)])
def test_filters_agree_with_numpy(mode, n, m):
    x, y = normal(n), normal(m)
    agrees("convolve", x, y, mode)
    agrees("correlate", x, y, mode)
    agrees("correlate", (x + 1j * x[::-1]).astype(np.complex64), y, mode)


def test_products_promote():
    assert (jnp.asarray(K) @ jnp.ones(4)).dtype == jnp.float32
    out = jnp.dot(
        jnp.ones(2, jnp.int8), jnp.ones(2, jnp.int8), preferred_element_type=int
    )
    assert out.dtype == jnp.int32


SMOOTH = {
    "dot": lambda x: jnp.dot(x, x.T),
    "matmul": lambda x: jnp.asarray(T) @ x.T,
    "stacked": lambda x: x[:, None, :] @ jnp.asarray(S, x.dtype)[:, None],
    "einsum": lambda x: jnp.einsum("ij,kj,bkl->bil", x, x, jnp.asarray(T)),
    "diagonal": lambda x: jnp.einsum("ii->i", x[:, :3]),
    "tensordot": lambda x: jnp.tensordot(jnp.asarray(T), x, ((1, 2), (0, 1))),
    "outer": lambda x: jnp.outer(x, x[0]),
    "inner": lambda x: jnp.inner(x, x),
    "kron": lambda x: jnp.kron(x, x[:2, :2]),
    "cross": lambda x: jnp.cross(x[:, :3], x[:, 1:]),
    "convolve": lambda x: jnp.convolve(x[0], x[1]),
    "correlate": lambda x: jnp.correlate(x[0], x[1, :2], "same"),
    "trace": jnp.trace,
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_right(name):
    has_right_derivatives(SMOOTH[name], A)


ERRORS = [
    (lambda: A @ jnp.ones((3, 2)), ShapeError, r"matmul.*f32\[3,4\] and f32\[3,2\]"),
    (lambda: jnp.matmul(1.0, jnp.ones(2)), ShapeError, "scalars"),
    (lambda: jnp.dot(A, A), ShapeError, "axis 0 of b"),
    (lambda: jnp.inner(A, B), ShapeError, "last axes"),
    (lambda: jnp.vecdot(A, B), ShapeError, "axis -1"),
    (lambda: jnp.tensordot(A, B), ShapeError, r"axes \(0, 1\) of a"),
    (lambda: jnp.tensordot(A, V, 2), ShapeError, "not 2 axes"),
    (lambda: jnp.cross(A, A), ShapeError, "2 or 3 components"),
    (lambda: jnp.einsum("ij,jk", A, A), ShapeError, "label 'j'"),
    (lambda: jnp.einsum("ij,jk", A), ArgumentError, "2 subscripts"),
    (lambda: jnp.einsum("ijk", A), ArgumentError, r"'ijk'.*f32\[3,4\]"),
    (lambda: jnp.einsum("ij->ijk", A), ArgumentError, "'ijk'"),
    (lambda: jnp.convolve(A, V), ShapeError, "two vectors"),
    (lambda: jnp.convolve(V, V, "all"), ArgumentError, "'all'"),
]


@pytest.mark.parametrize(("f", "kind", "text"), ERRORS, ids=[e[2] for e in ERRORS])
def test_what_does_not_fit_is_named(f, kind, text):
    with pytest.raises(kind, match=text):
        f()
    with pytest.raises(kind, match=text):
        jit(f)()
