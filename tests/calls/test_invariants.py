"""What loops compute before their first step: same results, less work."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import debug, grad, hessian, jit, jvp, lax, make_jaxpr, vmap
from pullback.calls.scan import Scan
from pullback.calls.while_loop import While
from pullback.core.array import from_host
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(3)
M = from_host(RNG.standard_normal((8, 8)))
V = from_host(RNG.standard_normal(4))
XS = from_host(RNG.standard_normal((5, 4)))
ONES = from_host(np.ones((4, 4)))


def body_of(f, *args):
    """Give the names of the operations before a loop, and of those in its body."""
    before = []
    for eqn in make_jaxpr(f)(*args).eqns:
        if isinstance(eqn.primitive, (Scan, While)):
            body = getattr(eqn.primitive, "jaxpr", None) or eqn.primitive.body_jaxpr
            return before, [e.primitive.name for e in body.eqns]
        before.append(eqn.primitive.name)
    raise AssertionError("no loop")


def summed(step):
    """Make a function that scans with a matrix captured."""
    return lambda m, xs: lax.scan(lambda c, x: (step(c, x, m), c), V, xs)


CASES = {
    "a part": lambda c, x, m: jnp.tanh(c @ m[:4, :4]) + x,
    "a chain": lambda c, x, m: jnp.tanh(c @ jnp.exp(m[:4, :4] / 3.0).T) + x,
    "used in both places": lambda c, x, m: c * m[0, :4] + jnp.sin(m[0, :4]) * x,
    "a repeated row": lambda c, x, m: jnp.mean(m[:4, :1] * ONES * c, 0) + x,
    "zeros": lambda c, x, m: c + x + (m[0, :4] + 0.0 * ONES[0]),
    "a result": lambda c, x, m: jnp.cos(m[0, :4]),
    "nothing": lambda c, x, m: c + x,
}


@pytest.mark.parametrize("name", CASES)
def test_results_and_rules_are_those_of_the_steps_written_out(name):
    step = CASES[name]

    def written_out(m, xs):
        c, ys = V, []
        for x in xs:
            ys.append(c)
            c = step(c, x, m)
        return c, jnp.stack(ys)

    for f in (summed(step), jit(summed(step))):
        for a, b in zip(f(M, XS), written_out(M, XS), strict=True):
            np.testing.assert_allclose(a, b, 1e-10)
    check_rules_of(summed(step), M, XS)


def test_what_depends_on_constants_alone_goes_before_the_loop():
    before, inside = body_of(summed(CASES["a chain"]), M, XS)
    assert {"slice", "div", "exp", "transpose"} <= set(before)
    assert inside == ["dot_general", "tanh", "add"]


def test_what_would_take_more_memory_stays():
    _, inside = body_of(
        lambda v: lax.scan(lambda c, _: (c @ jnp.outer(v, v), None), v, None, 3), V
    )
    assert "mul" in inside or "dot_general" in inside
    assert len(inside) > 1


def test_effects_stay_in_the_loop(capsys):
    def f(v):
        def step(c, _):
            debug.print("v {}", v[0])
            return c + jnp.sin(v), None

        return lax.scan(step, v, None, 3)[0]

    jit(f)(jnp.ones(2)).block_until_ready()
    assert capsys.readouterr().out.count("v 1.0") == 3


def test_one_step_and_none_move_nothing():
    for n in (0, 1):
        _, inside = body_of(
            lambda v, n=n: lax.scan(lambda c, _: (c + jnp.sin(v), None), v, None, n), V
        )
        assert "sin" in inside


def test_loops_with_a_condition_compute_their_constants_once():
    def f(m):
        return lax.while_loop(
            lambda c: jnp.sum(c) < jnp.sum(jnp.exp(m)),
            lambda c: c + jnp.exp(m[0]),
            jnp.zeros_like(m[0]),
        )

    before, inside = body_of(f, M)
    assert before.count("exp") == 2
    assert inside == ["add"]
    np.testing.assert_allclose(jit(f)(M), f(M), 1e-10)
    dots = [jvp(g, (M,), (M,))[1] for g in (f, jit(f))]
    np.testing.assert_allclose(*dots, 1e-10)


def test_mapped_loops_and_second_derivatives_agree():
    def f(m):
        return jnp.sum(summed(CASES["a chain"])(m, XS)[0] ** 2)

    ms = jnp.stack([M, 2.0 * M])
    mapped = vmap(grad(f))(ms)
    for a, m in zip(mapped, ms, strict=True):
        np.testing.assert_allclose(a, grad(f)(m), 1e-9)
    check_rules_of(grad(f), M, order=1)


def test_the_cotangent_of_a_part_is_as_small_as_the_part():
    def f(m):
        return jnp.sum(summed(CASES["a part"])(m, XS)[0])

    loops = [e for e in make_jaxpr(grad(f))(M).eqns if isinstance(e.primitive, Scan)]
    backward = loops[-1].primitive.jaxpr
    assert max(v.aval.size for e in backward.eqns for v in e.outputs) <= 16


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_cotangents_come_only_from_a_loop_that_makes_a_step(wrap):
    def roots(w, n, start):
        def step(carry):
            return carry[0] + 1, carry[1] + jnp.sqrt(w)

        return lax.while_loop(lambda c: c[0] < n, step, (0, start), max_steps=3)[1]

    f = wrap(grad(lambda w, n: roots(w, n, 2.0 * w)))
    assert f(0.0, 0) == 2.0
    assert f(4.0, 2) == 2.5
    counts = jnp.array([0, 2])
    found = wrap(vmap(grad(lambda n, w: roots(w, n, 2.0 * w), 1)))
    np.testing.assert_allclose(found(counts, jnp.array([0.0, 4.0])), [2.0, 2.5])
    total = grad(lambda w: vmap(lambda n: roots(w, n, 2.0 * w))(0 * counts).sum())
    assert wrap(total)(0.0) == 4.0
    assert wrap(hessian(lambda w: roots(w, 2, w * w)))(4.0) == 2.0 - 2 / 32
