"""Programs whose rules hold loops, branches and compiled calls that carry tangents."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    grad,
    jit,
    jvp,
    lax,
    linearize,
    vmap,
)


def scanned(x):
    return lax.scan(lambda c, s: (jnp.sin(c) * s, c), x, jnp.array([1.0, 2.0]))[0]


def branched(x):
    return lax.cond(x > 0, lambda x: jnp.sin(x) * x, jnp.cos, x)


def counted(x):
    return lax.fori_loop(0, 3, lambda i, c: jnp.sin(c) * x, x)


def looped(x):
    body = lambda c: (c[0] + 1, jnp.sin(c[1]) * 2)  # noqa: E731
    return lax.while_loop(lambda c: c[0] < 3, body, (0, x))[1]


def remade(x):
    return checkpoint(lambda x: jnp.sin(jnp.exp(x)))(x)


def compiled(x):
    return jit(lambda x: (jnp.sin(x), jnp.cos(x)))(x)[0]


def switched(x):
    return lax.switch(1, [jnp.cos, lambda x: jnp.sin(x) * x], x)


def mapped(x):
    return lax.map(lambda y: jnp.sin(y) * x, jnp.stack([x, 2 * x])).sum()


BODIES = {
    f.__name__: f
    for f in (scanned, branched, counted, remade, compiled, switched, mapped)
}
USES = {
    "grad": grad,
    "jit of grad": lambda f: jit(grad(f)),
    "grad of jit": lambda f: grad(jit(f)),
    "vmap of grad": lambda f: lambda x: vmap(grad(f))(x[None])[0],
    "grad of vmap": lambda f: lambda x: grad(lambda x: vmap(f)(x).sum())(x[None])[0],
    "linearize": lambda f: lambda x: linearize(f, x)[1](1.0),
    "jvp": lambda f: lambda x: jvp(f, (x,), (1.0,))[1],
    "grad of grad": lambda f: grad(grad(f)),
}


def by_jvp(body):
    """The body under a rule that pushes tangents through it by jvp."""
    f = custom_jvp(body)
    f.defjvp(lambda primals, tangents: jvp(body, primals, tangents))
    return f


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("use", USES)
def test_rule_pushes_tangents_through_its_body(body, use):
    plain = BODIES[body]
    x = jnp.float32(0.7)
    want = USES[use](plain)(x)
    np.testing.assert_allclose(USES[use](by_jvp(plain))(x), want, rtol=1e-5)


@pytest.mark.parametrize("use", ["jvp"])
def test_rule_pushes_tangents_through_a_while_loop(use):
    x = jnp.float32(0.7)
    want = USES[use](looped)(x)
    np.testing.assert_allclose(USES[use](by_jvp(looped))(x), want, rtol=1e-5)


@pytest.mark.parametrize("use", USES)
def test_rule_with_a_scan_over_primal_and_tangent_together(use):
    f = custom_jvp(scanned)

    @f.defjvp
    def rule(primals, tangents):
        def step(carry, s):
            x, t = carry
            return (jnp.sin(x) * s, jnp.cos(x) * s * t), x

        out, _ = lax.scan(step, (*primals, *tangents), jnp.array([1.0, 2.0]))
        return out

    x = jnp.float32(0.7)
    np.testing.assert_allclose(USES[use](f)(x), USES[use](scanned)(x), rtol=1e-5)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("use", USES)
def test_compiled_rule_pushes_tangents_through_its_body(body, use):
    plain = BODIES[body]
    f = custom_jvp(plain)
    f.defjvp(jit(lambda primals, tangents: jvp(plain, primals, tangents)))
    x = jnp.float32(0.7)
    np.testing.assert_allclose(USES[use](f)(x), USES[use](plain)(x), rtol=1e-5)


@pytest.mark.parametrize("use", USES)
def test_rule_with_a_branch_over_primal_and_tangent_together(use):
    f = custom_jvp(branched)

    @f.defjvp
    def rule(primals, tangents):
        return lax.cond(
            primals[0] > 0,
            lambda x, t: (jnp.sin(x) * x, (jnp.cos(x) * x + jnp.sin(x)) * t),
            lambda x, t: (jnp.cos(x), -jnp.sin(x) * t),
            *primals,
            *tangents,
        )

    x = jnp.float32(0.7)
    np.testing.assert_allclose(USES[use](f)(x), USES[use](branched)(x), rtol=1e-5)


@pytest.mark.parametrize("decorator", [custom_jvp, custom_vjp])
def test_constants_of_a_function_in_a_mapped_branch(decorator):
    weights = jnp.array([1.0, 2.0, 3.0])

    @decorator
    def f(x):
        return (x * weights).sum()

    if decorator is custom_jvp:
        f.defjvps(lambda t, ans, x: 10.0 * t * weights.sum())
    else:
        f.defvjp(lambda x: (f(x), None), lambda res, g: (10.0 * g * weights.sum(),))
    xs = jnp.array([1.0, -1.0])

    def branches(x):
        return lax.cond(x > 0, f, lambda x: 2.0 * x, x)

    for wrap in (lambda f: f, jit):
        np.testing.assert_array_equal(wrap(vmap(branches))(xs), [6.0, -2.0])
        np.testing.assert_array_equal(wrap(vmap(grad(branches)))(xs), [60.0, 2.0])
        total = wrap(grad(lambda xs: vmap(branches)(xs).sum()))
        np.testing.assert_array_equal(total(xs), [60.0, 2.0])
