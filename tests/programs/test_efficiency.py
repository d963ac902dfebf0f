"""Programs that count what is run: rules.md, section 5."""

import collections
import re

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    custom_jvp,
    custom_vjp,
    grad,
    jit,
    jvp,
    make_jaxpr,
    value_and_grad,
    vjp,
    vmap,
)


class Counted:
    """A decorated function of three arguments that counts what of it runs."""

    def __init__(self, decorator):
        self.runs = collections.Counter()
        runs = self.runs

        @decorator
        def mix(x, y, z):
            runs["fun"] += 1
            return x * y * z

        if decorator is custom_jvp:

            @mix.defjvp
            def mix_jvp(primals, tangents):
                runs["jvp"] += 1
                (x, y, z), (dx, dy, dz) = primals, tangents
                return mix(x, y, z), dx * y * z + x * dy * z + x * y * dz

        else:

            def mix_fwd(x, y, z):
                runs["fwd"] += 1
                return mix(x, y, z), (y * z, jnp.exp(x * z), jnp.tanh(x * y))

            def mix_bwd(res, g):
                runs["bwd"] += 1
                yz, xz, xy = res
                return g * yz, g * jnp.log(xz), g * xy

            mix.defvjp(mix_fwd, mix_bwd)
        self.f = mix


BOTH = pytest.mark.parametrize("decorator", [custom_jvp, custom_vjp])
ARGS = (1.0, 2.0, 3.0)


@BOTH
@pytest.mark.parametrize(
    "use",
    [
        lambda f: f(*ARGS),
        lambda f: jit(f)(*ARGS),
        lambda f: vmap(f, (0, None, None))(jnp.ones(2), 2.0, 3.0),
        lambda f: jit(vmap(f, (0, None, None)))(jnp.ones(2), 2.0, 3.0),
        lambda f: vmap(jit(f), (0, None, None))(jnp.ones(2), 2.0, 3.0),
        lambda f: make_jaxpr(f)(*ARGS),
        lambda f: make_jaxpr(vmap(f, (0, None, None)))(jnp.ones(2), 2.0, 3.0),
        lambda f: grad(lambda w: w * f(*ARGS))(1.0),
        lambda f: jit(f).lower(*ARGS).as_text(),
    ],
)
def test_rules_never_run_without_differentiation(decorator, use):
    counted = Counted(decorator)
    use(counted.f)
    assert set(counted.runs) == {"fun"}


@BOTH
def test_function_runs_once_under_jit_and_vmap(decorator):
    counted = Counted(decorator)
    jit(counted.f)(*ARGS)
    assert counted.runs == {"fun": 1}
    counted.runs.clear()
    vmap(counted.f, (0, None, None))(jnp.ones(2), 2.0, 3.0)
    assert counted.runs == {"fun": 1}


def test_gradient_runs_each_part_once():
    counted = Counted(custom_vjp)
    grad(counted.f)(*ARGS)
    assert counted.runs == {"fwd": 1, "fun": 1, "bwd": 1}
    counted.runs.clear()
    vjp(counted.f, *ARGS)
    assert counted.runs == {"fwd": 1, "fun": 1}
    counted = Counted(custom_jvp)
    grad(counted.f)(*ARGS)
    assert counted.runs == {"jvp": 1, "fun": 1}


@BOTH
def test_gradient_of_jit_runs_no_rule_again_at_the_second_call(decorator):
    counted = Counted(decorator)
    compiled = jit(counted.f)
    grad(compiled)(*ARGS)
    counted.runs.clear()
    grad(compiled)(*ARGS)
    assert not counted.runs


@BOTH
def test_jaxpr_shows_function_and_rules(decorator):
    counted = Counted(decorator)
    text = str(make_jaxpr(counted.f)(*ARGS))
    assert f"{decorator.__name__}_call[" in text
    assert "name=mix" in text
    rules = (
        ["jvp=mix_jvp"] if decorator is custom_jvp else ["fwd=mix_fwd", "bwd=mix_bwd"]
    )
    for rule in rules:
        assert rule in text


def test_unused_residuals_and_their_work_vanish():
    f = Counted(custom_vjp).f
    text = jit(grad(f)).lower(*ARGS).as_text()
    assert "exponential" not in text
    assert "tanh" not in text
    text = jit(grad(f, 2)).lower(*ARGS).as_text()
    assert "tanh" in text
    assert "exponential" not in text
    text = jit(grad(jit(f))).lower(*ARGS).as_text()
    assert "exponential" not in text
    assert "tanh" not in text


def test_unused_primal_output_vanishes():
    @custom_vjp
    def f(x):
        return jnp.exp(x)

    f.defvjp(lambda x: (f(x), x), lambda x, g: (g * x,))
    text = jit(grad(f)).lower(1.0).as_text()
    assert "exponential" not in text


def test_unused_branch_of_a_jvp_rule_vanishes():
    f = custom_jvp(lambda x, y: x * y)
    f.defjvp(lambda p, t: (f(*p), jnp.tanh(p[1]) * t[0] + jnp.exp(p[0]) * t[1]))
    text = jit(grad(f)).lower(1.0, 2.0).as_text()
    assert "tanh" in text
    assert "exponential" not in text


def test_bwd_sums_unbatched_cotangents_inside_the_batched_program():
    @custom_vjp
    def affine(w, x):
        return w * x

    affine.defvjp(
        lambda w, x: (affine(w, x), (w, x)), lambda r, g: (g * r[1], g * r[0])
    )

    def loss(w, xs):
        return vmap(affine, (None, 0))(w, xs).sum()

    xs = jnp.arange(4.0)
    assert grad(loss)(2.0, xs) == 6.0
    _, pull = vjp(lambda w: vmap(affine, (None, 0))(w, xs), 2.0)
    text = str(make_jaxpr(pull)(jnp.ones(4)))
    assert len(re.findall(r"reduce_sum", text)) == 1
    text = jit(grad(loss)).lower(2.0, xs).as_text()
    assert "while" not in text


def test_cotangent_of_unbatched_argument_independent_of_the_batch_counts_the_batch():
    f = custom_vjp(lambda w, x: w + x)
    f.defvjp(lambda w, x: (f(w, x), None), lambda res, g: (jnp.float32(2.0), g))
    got = grad(lambda w: vmap(f, (None, 0))(w, jnp.ones(5)).sum())(1.0)
    assert got == 10.0


@BOTH
def test_rules_run_once_under_vmap(decorator):
    counted = Counted(decorator)
    grad(lambda x: vmap(counted.f, (0, None, None))(x, 2.0, 3.0).sum())(jnp.ones(8))
    assert all(n <= 1 for n in counted.runs.values()), counted.runs


def tower(decorator, depth, runs):
    """Nested custom functions, each calling the one below in body and rules."""
    if depth == 0:
        return lambda x: jnp.sin(x)
    below = tower(decorator, depth - 1, runs)

    @decorator
    def level(x):
        runs["fun"] += 1
        return below(x)

    if decorator is custom_jvp:

        @level.defjvp
        def level_jvp(primals, tangents):
            runs["jvp"] += 1
            return jvp(below, primals, tangents)

    else:

        def fwd(x):
            runs["fwd"] += 1
            return vjp(below, x)

        def bwd(pull, g):
            runs["bwd"] += 1
            return pull(g)

        level.defvjp(fwd, bwd)
    return level


@BOTH
@pytest.mark.parametrize(
    "use",
    [
        lambda f: grad(f)(1.0),
        lambda f: jit(grad(f))(1.0),
        lambda f: grad(jit(f))(1.0),
        lambda f: grad(lambda x: vmap(f)(x).sum())(jnp.ones(2)),
    ],
    ids=["grad", "jit of grad", "grad of jit", "grad of vmap"],
)
def test_nests_of_rules_are_traced_linearly_in_depth(decorator, use):
    totals = []
    for depth in (4, 8, 16):
        runs = collections.Counter()
        use(tower(decorator, depth, runs))
        totals.append(sum(runs.values()))
    assert totals[1] <= 2 * totals[0] + 4
    assert totals[2] <= 2 * totals[1] + 8


def test_chain_of_calls_is_traced_linearly_in_length():
    counted = Counted(custom_vjp)

    def chain(length):
        def f(x):
            for _ in range(length):
                x = counted.f(x, 1.0, 1.0)
            return x

        counted.runs.clear()
        jit(value_and_grad(f))(1.0)
        return sum(counted.runs.values())

    assert chain(20) <= 2 * chain(10) + 6


def test_derivative_under_jit_is_one_program():
    counted = Counted(custom_vjp)
    text = jit(value_and_grad(counted.f)).lower(*ARGS).as_text()
    assert "custom_call" not in text
    got = jit(value_and_grad(counted.f))(*ARGS)
    np.testing.assert_allclose(got[1], 6.0)
