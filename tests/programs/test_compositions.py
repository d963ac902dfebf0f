"""Programs that nest transformations around right rules: the body's own derivatives."""

import functools
import itertools

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    grad,
    jacfwd,
    jit,
    jvp,
    lax,
    linearize,
    vjp,
    vmap,
)


def plain(x, y):
    return {"out": jnp.sin(x) * y["k"], "same": x}


def with_jvp():
    f = custom_jvp(plain)

    @f.defjvp
    def f_jvp(primals, tangents):
        (x, y), (dx, dy) = primals, tangents
        dot = jnp.cos(x) * y["k"] * dx + jnp.sin(x) * dy["k"]
        return f(x, y), {"out": dot, "same": dx}

    return f


def with_jvps():
    f = custom_jvp(plain)
    f.defjvps(
        lambda t, ans, x, y: {"out": jnp.cos(x) * y["k"] * t, "same": t},
        lambda t, ans, x, y: {"out": jnp.sin(x) * t["k"], "same": None},
    )
    return f


def with_vjp(**options):
    f = custom_vjp(plain, **options)
    f.defvjp(
        lambda x, y: (f(x, y), (x, y)),
        lambda res, g: (
            jnp.cos(res[0]) * res[1]["k"] * g["out"] + g["same"],
            {"k": jnp.sin(res[0]) * g["out"]},
        ),
    )
    return f


def with_both():
    f = with_vjp()
    other = with_jvp()
    f.defjvp(other.rules.jvp)
    return f


def with_closure():
    apply = custom_vjp(lambda f, x: f(x))
    apply.defvjp(
        lambda f, x: (apply(f, x), (f, x)),
        lambda res, g: vjp(lambda f, x: f(x), *res)[1](g),
    )
    apply.defjvp(lambda p, t: jvp(lambda f, x: f(x), p, t))
    return lambda x, y: apply(lambda x: plain(x, y), x)


KINDS = {
    "jvp": with_jvp,
    "jvps": with_jvps,
    "vjp": functools.partial(with_vjp, forward="transpose"),
    "both": with_both,
    "closure": with_closure,
}
AROUND = {
    "jit": jit,
    "vmap": lambda f: lambda x: vmap(f)(jnp.stack([x, 0.5 * x])).sum(),
    "grad": grad,
    "jvp": lambda f: lambda x: jvp(f, (x,), (1.5 * x,))[1],
    "vjp": lambda f: lambda x: vjp(f, x)[1](0.7 * x)[0],
    "linearize": lambda f: lambda x: linearize(f, x)[1](x),
    "jacfwd": jacfwd,
    "checkpoint": checkpoint,
    "scan": lambda f: lambda x: lax.scan(lambda c, t: (f(c) * t, c), x, TIMES)[0],
    "cond": lambda f: lambda x: lax.cond(x > 0, f, lambda x: -x, x),
}
TIMES = np.array([0.9, 1.1], "float32")


def scalar(f):
    """A function of one number that uses `f` twice, with shared and unused parts."""

    def g(x):
        first = f(x, {"k": x * x})
        second = f(first["out"], {"k": 2.0})
        return second["out"] + first["same"]

    return g


def compare(kind, nest):
    want, got = scalar(plain), scalar(KINDS[kind]())
    for name in reversed(nest):
        want, got = AROUND[name](want), AROUND[name](got)
    x = jnp.float32(0.8)
    np.testing.assert_allclose(got(x), want(x), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "nest", list(itertools.product(AROUND, repeat=2)), ids="-".join
)
def test_rule_agrees_with_the_body_in_nest_of_two(kind, nest):
    compare(kind, nest)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "nest", list(itertools.product(AROUND, repeat=3)), ids="-".join
)
def test_rule_agrees_with_the_body_in_nest_of_three(kind, nest):
    compare(kind, nest)
