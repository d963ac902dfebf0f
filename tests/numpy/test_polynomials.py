"""Polynomials against NumPy, with derivatives."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, jit, make_jaxpr
from pullback.errors import ArgumentError, ShapeError, TracerIntegerError
from tests.numpy.agreement import (
    agrees,
    floats,
    has_right_derivatives,
    integers,
    normal,
)

A, V, K = normal(3, 4), normal(4), integers(4)
X = floats([0.5, 1.0, 2.0, 4.0])

CASES = [
    ("polyval", V, A),
    ("polyval", K, K),
    ("polyadd", V, V[:2]),
    ("polysub", V[:2], V),
    ("polymul", V, V[:2]),
    ("polyder", V),
    ("polyder", V, 2),
    ("polyder", V, 9),
    ("polyint", V),
    ("polyint", V, 2),
    ("polyint", V, 2, [3.0, 4.0]),
    ("poly", V),
    ("polydiv", floats([3, -1, 2, 0.5, 4]), floats([2, 1, -0.5])),
    ("polydiv", np.array([6, 5, -1, 2]), floats([2, 1])),
    ("polydiv", V[:2], V),
    ("polyfit", X, V, 2),
    ("polyfit", X, normal(4, 3), 1),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}{c[2:]}")
def test_polynomials_agree_with_numpy(case):
    name, *args = case
    if name != "polydiv":
        agrees(*case)
        return
    quotient, rest = np.polydiv(*args)
    for divide in (jnp.polydiv, jit(jnp.polydiv)):
        got = divide(*args)
        np.testing.assert_allclose(got[0], quotient, 1e-5)
        full = np.concatenate([np.zeros(len(args[0]) - len(rest)), rest])
        np.testing.assert_allclose(got[1], full, 1e-4, 1e-5)


SMOOTH = {
    "polyval": lambda x: jnp.polyval(x[0], x),
    "polymul": lambda x: jnp.polymul(x[0], x[1]),
    "polyadd": lambda x: jnp.polyadd(x[0], x[1, :2] ** 2),
    "polyint": lambda x: jnp.polyder(jnp.polyint(x[0] ** 2, 2)),
    "poly": lambda x: jnp.poly(x[0]),
    "polydiv": lambda x: [*jnp.polydiv(x[0], x[1, :2])],
    "polyfit": lambda x: jnp.polyfit(x[0], x[1], 2),
    "roots": lambda x: jnp.abs(jnp.roots(x[0])),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_right(name):
    has_right_derivatives(SMOOTH[name], A)


def test_what_does_not_fit_is_named():
    for function in (jnp.polyder, jnp.polyint, lambda p: jnp.polyval(p, 1.0)):
        with pytest.raises(ShapeError, match=r"f32\[3,4\]"):
            function(A)
    with pytest.raises(ArgumentError, match="m=-1"):
        jnp.polyder(V, -1)


def test_leading_zeros_are_trimmed_on_demand():
    p = jnp.array([0.0, 0.0, 1.0, 2.0])
    assert jnp.polymul(p, p, trim_leading_zeros=True).tolist() == [1, 4, 4]
    assert jnp.polydiv(jnp.array([2.0, 4.0]), p[2:], trim_leading_zeros=True)[
        1
    ].tolist() == [0.0]


def in_order(z):
    """Sorts complex numbers by what is left of them after rounding."""
    return sorted(np.asarray(z).tolist(), key=lambda c: (round(c.real, 3), c.imag))


ROOTS = [[1.0, -3, 2], [0, 0, 1, -3, 2, 0], [1, 0, 1], [2, 1], [3], [0, 0], [5, 0, 0]]


@pytest.mark.parametrize("p", ROOTS, ids=str)
def test_roots_agree_with_numpy(p):
    p = floats(p)
    np.testing.assert_allclose(in_order(jnp.roots(p)), in_order(np.roots(p)), 1e-5)
    full = np.asarray(jit(lambda p: jnp.roots(p, strip_zeros=False))(p))
    assert full.shape == (len(p) - 1,)
    known = full[~np.isnan(full)]
    np.testing.assert_allclose(in_order(known), in_order(np.roots(p)), 1e-5)


def test_the_number_of_roots_must_be_known():
    with pytest.raises(TracerIntegerError, match="roots needs the values of p"):
        jit(jnp.roots)(V)


def test_fits_give_what_else_numpy_gives():
    x, y, w = X, V, floats([1, 2, 1, 0.5])
    for options in ({"full": True}, {"cov": True}, {"cov": "unscaled", "w": w}):
        want = np.polyfit(x.astype(np.float64), y, 1, **options)
        fit = lambda x, y, o=options: jnp.polyfit(x, y, 1, **o)  # noqa: E731
        for f in (fit, jit(fit)):
            for a, b in zip(f(x, y)[:4], want):
                np.testing.assert_allclose(a, b, 1e-3)


def test_fits_of_points_that_do_not_belong_together_are_refused():
    with pytest.raises(ShapeError, match=r"f32\[4\], f32\[3\]"):
        jnp.polyfit(V, V[:3], 1)
    with pytest.raises(ArgumentError, match="deg=-1"):
        jnp.polyfit(V, V, -1)


@pytest.mark.parametrize("n", [32, 33, 100])
@pytest.mark.parametrize("dtype", ["float32", "complex64", "int16", "uint8"])
def test_long_polynomials_are_evaluated_by_pieces(n, dtype):
    random = np.random.default_rng(n)
    p = random.integers(0, 5, n).astype(dtype)
    x = (random.integers(0, 3, (4, 3)) / (1 if dtype[-1] in "68" else 2)).astype(dtype)
    wanted = np.polyval(p, x)
    for f in (jnp.polyval, jit(jnp.polyval)):
        found = f(p, x)
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_derivatives_of_long_polynomials():
    p, x = np.linspace(-1.0, 1.0, 70), np.array([0.0, -0.5, 1.01])
    slopes = grad(lambda p, x: jnp.sum(jnp.polyval(p, x)), (0, 1))(p, x)
    np.testing.assert_allclose(slopes[0], np.vander(x, 70).sum(0), rtol=1e-4)
    np.testing.assert_allclose(slopes[1], np.polyval(np.polyder(p), x), rtol=1e-4)


@pytest.mark.parametrize("increasing", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "complex64", "int32", "int8", "uint32"])
def test_matrices_of_many_powers(dtype, increasing):
    x = np.array([0, 1, 2, 3]).astype(dtype)
    wide = np.vander(x.astype("O"), 20, increasing)
    found = jit(lambda x: jnp.vander(x, 20, increasing))(x)
    assert found.dtype == dtype
    if x.dtype.kind in "iu":
        wide = np.array([int(v) % 2 ** (8 * x.itemsize) for v in wide.ravel()], "u8")
    np.testing.assert_allclose(
        np.asarray(found).ravel(), wide.astype(dtype).ravel(), rtol=1e-6
    )
    bases = np.array([0.0, -1.5, 1.0])
    slopes = grad(lambda x: jnp.sum(jnp.vander(x, 20)))(bases)
    wanted = sum(k * bases ** max(k - 1, 0) for k in range(20))
    np.testing.assert_allclose(slopes, wanted, rtol=1e-5)


def test_programs_do_not_grow_with_the_number_of_powers():
    def count(f, n):
        return len(make_jaxpr(grad(lambda x: jnp.sum(f(x))))(np.ones(n)).eqns)

    for f in (jnp.vander, lambda x: jnp.polyval(x, x)):
        assert count(f, 800) < 3 * count(f, 200)
