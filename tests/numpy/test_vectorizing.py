"""Functions of small arrays applied to all of a larger one."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.errors import ArgumentError, ShapeError
from tests.numpy.agreement import has_right_derivatives, normal

A, V, T = normal(3, 4), normal(4), normal(2, 3, 4)


def test_functions_of_scalars_broadcast():
    f = jnp.vectorize(lambda a, b: a + 2 * b)
    assert f(jnp.ones((2, 1)), jnp.ones(3)).shape == (2, 3)
    np.testing.assert_allclose(f(A, V), A + 2 * V, rtol=1e-6)
    np.testing.assert_allclose(jit(f)(A, 1.0), A + 2, rtol=1e-6)


def test_a_signature_names_core_axes():
    f = jnp.vectorize(jnp.dot, signature="(n),(n)->()")
    np.testing.assert_allclose(f(A, V), A @ V, rtol=1e-5)
    want = np.einsum("aij,bij->abi", T, A[None])
    np.testing.assert_allclose(f(T[:, None], A), want, rtol=1e-5)
    assert f(jnp.ones((1, 3)), jnp.ones(3)).shape == (1,)


def test_several_results_and_fixed_arguments_work():
    @jnp.vectorize
    def both(a):
        return a + 1, a * 2

    more, twice = both(jnp.arange(3))
    assert (more.tolist(), twice.tolist()) == ([1, 2, 3], [0, 2, 4])
    f = jnp.vectorize(lambda name, x: x + len(name), excluded={0})
    assert f("abc", jnp.arange(2)).tolist() == [3, 4]


def test_functions_apply_along_an_axis():
    for f, g in ((jnp.sort, np.sort), (jnp.sum, np.sum)):
        got = jnp.apply_along_axis(f, 1, T)
        np.testing.assert_allclose(got, np.apply_along_axis(g, 1, T), rtol=1e-5)
    got = jnp.apply_along_axis(lambda r: jnp.outer(r, r[:2]), 1, T)
    want = np.apply_along_axis(lambda r: np.outer(r, r[:2]), 1, T)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_derivatives_are_right():
    f = jnp.vectorize(jnp.dot, signature="(n),(n)->()")
    has_right_derivatives(lambda x: f(x, x[0]), A)


def test_what_does_not_fit_is_named():
    f = jnp.vectorize(jnp.dot, signature="(n),(n)->()")
    with pytest.raises(ArgumentError, match="got 1 arguments"):
        f(A)
    with pytest.raises(ShapeError, match=r"1 core axes and got f32\[\]"):
        f(1.0, 2.0)
    with pytest.raises(ShapeError, match=r"\(3,\), \(2,\)"):
        f(A, jnp.ones((2, 4)))
    with pytest.raises(ArgumentError, match="wants a function"):
        jnp.vectorize("dot")  # type: ignore[arg-type]
