"""Jaxprs and StableHLO of small functions, as text that a reader can check.

The texts stand in tests/golden. With PULLBACK_REWRITE_GOLDEN=1 in the environment these
tests write them anew, and the difference shows in the version control.
"""

import os
from pathlib import Path

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
    make_jaxpr,
    vmap,
)

FOLDER = Path(__file__).parent / "golden"
REWRITE = os.environ.get("PULLBACK_REWRITE_GOLDEN") == "1"


def log1pexp(x):
    return jnp.log(1.0 + jnp.exp(x))


@custom_jvp
def log1pexp_with_rule(x):
    return jnp.log(1.0 + jnp.exp(x))


@log1pexp_with_rule.defjvp
def log1pexp_jvp(primals, tangents):
    (x,) = primals
    (x_dot,) = tangents
    ans = log1pexp_with_rule(x)
    return ans, (1 - 1 / (1 + jnp.exp(x))) * x_dot


@custom_vjp
def clip_gradient(lo, hi, x):
    return x


clip_gradient.defvjp(
    lambda lo, hi, x: (x, (lo, hi)),
    lambda bounds, g: (None, None, jnp.clip(g, bounds[0], bounds[1])),
)


def mlp(w, b, x):
    return jnp.sum(jnp.tanh(x @ w + b) ** 2)


def running(x):
    return lax.scan(lambda c, y: (jnp.sin(c) * y, c), 1.0, x)


def branch(x):
    return lax.cond(x > 0, jnp.sin, lambda x: 2.0 * x, x)


def countdown(x):
    return lax.while_loop(lambda s: s > 1.0, lambda s: s / 2.0, x)


def pieces(x):
    first, *_ = jnp.split(x, 2)
    return jnp.concatenate([first, x[::-1]]).reshape(-1, 1).at[0].add(1.0)


V = jnp.arange(4.0)
W, B, X = jnp.ones((3, 2)), jnp.zeros(2), jnp.ones((5, 3))

#: name -> (function, arguments).
PROGRAMS = {
    "log1pexp": (log1pexp, (3.0,)),
    "log1pexp_grad": (grad(log1pexp), (3.0,)),
    "log1pexp_with_rule": (log1pexp_with_rule, (3.0,)),
    "log1pexp_with_rule_grad": (grad(log1pexp_with_rule), (3.0,)),
    "log1pexp_with_rule_jvp": (
        lambda x: jvp(log1pexp_with_rule, (x,), (1.0,)),
        (3.0,),
    ),
    "log1pexp_with_rule_vmap_grad": (vmap(grad(log1pexp_with_rule)), (V,)),
    "clip_gradient": (lambda x: clip_gradient(-1.0, 1.0, jnp.sin(x)), (2.0,)),
    "clip_gradient_grad": (
        grad(lambda x: clip_gradient(-1.0, 1.0, jnp.sin(x))),
        (2.0,),
    ),
    "mlp": (mlp, (W, B, X)),
    "mlp_grad": (grad(mlp, (0, 1)), (W, B, X)),
    "jit_inside": (grad(lambda x: jit(log1pexp)(x) * x), (2.0,)),
    "scan": (running, (V,)),
    "scan_grad": (grad(lambda x: running(x)[0]), (V,)),
    "cond": (branch, (1.0,)),
    "cond_grad": (grad(branch), (1.0,)),
    "while_loop": (countdown, (9.0,)),
    "checkpoint": (grad(checkpoint(lambda x: jnp.sin(jnp.sin(x)))), (1.0,)),
    "shaping": (pieces, (V,)),
}
LOWERED = (
    "log1pexp",
    "log1pexp_grad",
    "log1pexp_with_rule",
    "log1pexp_with_rule_grad",
    "mlp",
    "mlp_grad",
    "scan",
    "cond",
    "while_loop",
    "shaping",
)


def compare(name, text):
    """Hold a text against the one that is kept, or keep it."""
    path = FOLDER / name
    if REWRITE:
        path.write_text(text)
    assert path.exists(), f"{name} is not kept yet: run with PULLBACK_REWRITE_GOLDEN=1"
    assert text == path.read_text()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_jaxpr_reads_as_it_did(name):
    f, args = PROGRAMS[name]
    compare(f"{name}.jaxpr", f"{make_jaxpr(f)(*args)}\n")


@pytest.mark.parametrize("name", LOWERED)
def test_stablehlo_reads_as_it_did(name):
    f, args = PROGRAMS[name]
    compare(f"{name}.mlir", jit(f).lower(*args).as_text())


def test_no_text_is_kept_without_a_test():
    wanted = {f"{n}.jaxpr" for n in PROGRAMS} | {f"{n}.mlir" for n in LOWERED}
    assert {path.name for path in FOLDER.iterdir()} == wanted
