"""Loops with a bound: both modes, any order, memory."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import custom_vjp, grad, jit, jvp, lax, vmap
from pullback.core.jaxpr import Jaxpr
from tests.rule_checks import check_rules_of


def growing(x, w, max_steps):
    """Grow until a limit; the number of steps depends on both arguments."""

    def body(c):
        y, total = c
        return jnp.sin(y) * w + y, total + y * w

    y, total = lax.while_loop(
        lambda c: jnp.sum(c[0]) < 6.0, body, (x, jnp.zeros_like(x)), max_steps=max_steps
    )
    return [y, total]


@pytest.mark.parametrize("max_steps", [12, 40])
def test_bounded_loop_rules(max_steps):
    check_rules_of(
        lambda x, w: growing(x, w, max_steps),
        np.array([0.5, 0.8]),
        np.array(0.9),
        tol=2e-5,
    )


def test_bounded_loop_under_jit_to_second_order():
    def f(x, w):
        return jnp.sum(growing(x, w, 100)[1])

    args = jnp.array([0.5, 0.8]), jnp.array(0.9)
    for g in (
        grad(f, 1),
        grad(grad(f, 1), 1),
        pullback.hessian(f, 0),
        pullback.jacrev(grad(f)),
    ):
        np.testing.assert_allclose(jit(g)(*args), g(*args), rtol=2e-4)


@pytest.mark.parametrize("bound", [0, 1, 3, 16, 17, 30, 100])
def test_a_loop_still_running_returns_its_state_at_the_bound(bound):
    def f(x):
        return lax.while_loop(lambda c: c < 1e9, lambda c: c * x, x, max_steps=bound)

    n = min(bound, 29)
    for run in (f, jit(f)):
        np.testing.assert_allclose(run(2.0), 2.0 ** (n + 1))
        np.testing.assert_allclose(grad(run)(2.0), (n + 1) * 2.0**n, rtol=1e-6)
    np.testing.assert_allclose(jit(grad(f))(2.0), (n + 1) * 2.0**n, rtol=1e-6)
    np.testing.assert_allclose(jvp(f, (2.0,), (1.0,))[1], (n + 1) * 2.0**n, rtol=1e-6)


def test_differing_counts_under_vmap_match_a_loop():
    def f(x):
        return lax.while_loop(
            lambda c: c < 100.0, lambda c: c * x + 1.0, x, max_steps=30
        )

    xs = jnp.array([1.5, 3.0, 200.0, 2.0])
    for g in (f, grad(f), grad(grad(f))):
        expected = [float(g(x)) for x in xs]
        np.testing.assert_allclose(vmap(g)(xs), expected, rtol=1e-5)
        np.testing.assert_allclose(jit(vmap(g))(xs), expected, rtol=1e-5)
    total = grad(lambda xs: jnp.sum(vmap(f)(xs)))(xs)
    np.testing.assert_allclose(total, [float(grad(f)(x)) for x in xs], rtol=1e-5)


def test_fori_loop_with_traced_bounds():
    def f(x, low, high):
        return lax.fori_loop(low, high, lambda i, y: y * x + i, 1.0, max_steps=20)

    def loop(x, low, high):
        y = 1.0
        for i in range(low, high):
            y = y * x + i
        return y

    for low, high in ((0, 5), (2, 4), (3, 3), (4, 1)):
        expected = loop(1.5, low, high)
        slope = (loop(1.5 + 1e-4, low, high) - loop(1.5 - 1e-4, low, high)) / 2e-4
        np.testing.assert_allclose(jit(f)(1.5, low, high), expected, rtol=1e-6)
        np.testing.assert_allclose(
            jit(grad(f))(1.5, low, high), slope, rtol=1e-4, atol=1e-5
        )
    highs = jnp.array([1, 5, 0])
    found = jit(vmap(grad(f), (None, None, 0)))(1.5, 0, highs)
    np.testing.assert_allclose(
        found, [grad(f)(1.5, 0, int(n)) for n in highs], rtol=1e-5
    )


def largest(jaxpr, found=()):
    """Give the number of elements of the greatest array in a program."""
    sizes = [v.aval.size for e in jaxpr.eqns for v in e.outputs]
    for eqn in jaxpr.eqns:
        for value in eqn.primitive.parameters().values():
            for inner in value if isinstance(value, tuple) else (value,):
                if isinstance(inner, Jaxpr):
                    sizes.append(largest(inner))
    return max(sizes, default=0)


def test_memory_grows_with_the_square_root_of_the_bound():
    def f(x, max_steps):
        y = lax.while_loop(
            lambda c: jnp.sum(c) < 1.0,
            lambda c: jnp.sin(c) * 1.1,
            x,
            max_steps=max_steps,
        )
        return jnp.sum(y)

    for bound in (100, 10_000, 1_000_000):
        closed = pullback.make_jaxpr(grad(lambda x, n=bound: f(x, n)))(jnp.ones(4))
        assert largest(closed.jaxpr) == 4 * int(bound**0.5)


def test_time_follows_the_steps_made_not_the_bound():
    calls = []

    def count(x):
        return pullback.pure_callback(lambda v: calls.append(1) or v, x, x)

    @custom_vjp
    def step(x):
        return count(2 * x)

    step.defvjp(lambda x: (step(x), None), lambda _, ct: (2 * ct,))

    def f(x):
        return lax.while_loop(lambda c: c < 50.0, step, x, max_steps=10_000)

    assert grad(f)(jnp.float32(1.0)) == 64.0
    assert len(calls) <= 3 * 6


def test_custom_rules_inside_are_used():
    @custom_vjp
    def step(x):
        return 2 * x

    step.defvjp(lambda x: (step(x), None), lambda _, ct: (5.0 * ct,))

    def f(x):
        return lax.while_loop(lambda c: c < 10.0, step, x, max_steps=40)

    assert grad(f)(1.0) == 5.0**4
    assert jit(grad(f))(1.0) == 5.0**4
    np.testing.assert_allclose(vmap(grad(f))(jnp.array([1.0, 6.0])), [625.0, 5.0])


def test_bounded_loops_nest():
    def f(x):
        def outer(c):
            inner = lax.while_loop(
                lambda d: d < c + 1.0, lambda d: d * 1.3 + 0.1 * x, c, max_steps=30
            )
            return inner

        return [lax.while_loop(lambda c: c < 5.0, outer, x, max_steps=25)]

    check_rules_of(f, np.array(0.9), tol=2e-5, order=1)


def test_a_rule_may_apply_a_bounded_loop_to_tangents():
    @pullback.custom_jvp
    def f(x):
        return x * 4

    @f.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents

        def body(c):
            return c[0] + 1, c[1] + t

        _, total = lax.while_loop(
            lambda c: c[0] < 4, body, (0, jnp.zeros_like(t)), max_steps=20
        )
        return f(x), total

    assert grad(f)(1.0) == 4.0
    assert jit(grad(f))(1.0) == 4.0


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_steps_of_elements_that_have_ended_must_not_reach_cotangents(wrap):
    def fall(a, x):
        return lax.while_loop(
            lambda c: c > 1.0, lambda c: jnp.sqrt(c - a), x, max_steps=6
        )

    def total(a, xs):
        return vmap(fall, (None, 0))(a, xs).sum()

    xs = jnp.array([1.5, 5.0, 26.0, 0.2])
    a_bar, xs_bar = wrap(grad(total, (0, 1)))(1.0, xs)
    single = [grad(fall, (0, 1))(1.0, x) for x in xs]
    np.testing.assert_allclose(xs_bar, [found[1] for found in single], rtol=1e-6)
    np.testing.assert_allclose(a_bar, sum(found[0] for found in single), rtol=1e-6)
