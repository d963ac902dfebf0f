"""Solvers with checks in them."""

import pytest

import pullback.numpy as jnp
from pullback import grad, implicit, jit, lax, vmap
from pullback.errors import StagedCheckError
from pullback.experimental.checkify import check, checkify


def solved(a, has_aux=False):
    """Solves a x = 6, if a is positive."""

    def solve(matvec, b):
        slope = matvec(jnp.ones_like(b))
        check(slope > 0, "slope: {}", slope)
        x = b / slope
        return (x, slope) if has_aux else x

    found = lax.custom_linear_solve(
        lambda x: a * x, 6.0, solve, symmetric=True, has_aux=has_aux
    )
    return found[0] + found[1] if has_aux else found


def message(f, *args):
    error, _ = f(*args)
    return error.get() and error.get().split(" (`")[0]


def test_linear_solvers_are_checked():
    for f in (solved, lambda a: solved(a, has_aux=True)):
        for way in (checkify(f), jit(checkify(f)), checkify(jit(f))):
            assert message(way, -2.0) == "slope: -2.0"
            assert message(way, 2.0) is None


def test_mapped_linear_solvers_are_checked():
    xs = jnp.array([2.0, -2.0])
    for way in (vmap(checkify(solved)), checkify(vmap(solved))):
        assert message(way, xs) == "at mapped index 1: slope: -2.0"


def test_linear_solvers_are_checked_under_gradients_inside_and_outside():
    assert message(checkify(grad(solved)), -2.0) == "slope: -2.0"

    def loss(a):
        error, x = checkify(solved)(a)
        return x, error

    slope, error = grad(loss, has_aux=True)(2.0)
    assert slope == -1.5
    assert error.get() is None
    # The solver runs again for the derivative, where nobody asks what it finds.
    with pytest.raises(StagedCheckError, match=r"inside: checkify\(grad\(f\)\)"):
        jit(grad(loss, has_aux=True))(2.0)


def test_compiled_solvers_without_checks_stay_as_they_are():
    def f(a):
        return implicit.linear_solve(jnp.diag(a), jnp.ones(2)).x

    error, x = checkify(jit(f))(jnp.array([2.0, 4.0]))
    assert x.tolist() == [0.5, 0.25]
    assert error.info.records == ()


def test_roots_are_checked():
    def f(a):
        def solve(g, x):
            check(a > 0, "a: {}", a)
            return jnp.sqrt(a)

        return lax.custom_root(lambda x: x * x - a, 1.0, solve, lambda g, y: y / g(1.0))

    for way in (checkify(f), jit(checkify(f)), checkify(grad(f))):
        assert message(way, -4.0) == "a: -4.0"
    assert checkify(grad(f))(4.0)[1] == 0.25
