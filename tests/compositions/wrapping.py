"""Transformations, each as a map from functions of a vector to functions of a vector.

So they nest in every order. A reference is made with `jit` and `checkpoint` left out.
"""

import pullback.numpy as jnp
from pullback import custom_jvp, grad, jit, jvp, linearize, vjp, vmap
from pullback.calls.checkpoint import checkpoint
from pullback.calls.cond import cond, switch
from pullback.calls.loops import fori_loop, scan

WEIGHTS = (0.3, -0.7, 1.1)


def weights(x):
    return jnp.array(WEIGHTS, x.dtype)


def by_vmap(f):
    """Map over rows made of x, and add the rows of the result."""

    def g(x):
        rows = jnp.stack([x, 0.5 * x + 0.1, jnp.sin(x)])
        return jnp.sum(vmap(f)(rows), 0) / 3

    return g


def by_columns(f):
    """Map over columns, with results in columns too."""

    def g(x):
        columns = jnp.stack([x, jnp.cos(x)], 1)
        return vmap(f, in_axes=1, out_axes=1)(columns)[:, 0]

    return g


def by_grad(f):
    return grad(lambda x: jnp.sum(weights(x) * f(x)))


def by_vjp(f):
    return lambda x: vjp(f, x)[1](jnp.cos(x))[0]


def by_jvp(f):
    return lambda x: jvp(f, (x,), (jnp.sin(x) + 0.3,))[1]


def by_linearize(f):
    return lambda x: linearize(f, x)[1](weights(x))


def by_scan(f):
    """Apply f to a carry that takes up one more row at each step."""

    def g(x):
        def body(carry, row):
            new = 0.5 * f(carry) + row
            return new, carry

        last, rows = scan(body, x, jnp.stack([0.1 * x, 0.2 + 0.0 * x]))
        return last + jnp.sum(rows, 0)

    return g


def by_scan_rows(f):
    """Apply f to the rows only, with x as a constant of the body."""

    def g(x):
        rows = jnp.stack([x, 0.5 * x])
        return jnp.sum(scan(lambda c, row: (c, f(row) * x), 0.0, rows)[1], 0)

    return g


def by_loop(f):
    return lambda x: fori_loop(0, 2, lambda i, c: 0.5 * f(c) + 0.1 * i, x)


def by_cond(f):
    return lambda x: cond(jnp.sum(x) > -5.0, f, lambda x: 2.0 * x, x)


def by_other_branch(f):
    return lambda x: switch(jnp.argmax(x * 0.0), [lambda x: jnp.sin(x), f][::-1], x)


def by_closure(f):
    """Let f be called in a function that captures it and a traced value."""

    def g(x):
        scale = jnp.sum(x)

        def inner(y):
            return f(y * jnp.cos(scale))

        return inner(x)

    return g


def by_rule(f):
    """Give f's derivative by a custom rule that asks for it."""

    @custom_jvp
    def g(x):
        return f(x)

    @g.defjvp
    def g_jvp(primals, tangents):
        return jvp(f, primals, tangents)

    return g


def by_nothing(f):
    return f


FORWARD = {"jvp": by_jvp, "linearize": by_linearize, "custom_jvp": by_rule}
BACKWARD = {
    "jit": jit,
    "vmap": by_vmap,
    "columns": by_columns,
    "grad": by_grad,
    "vjp": by_vjp,
    "checkpoint": checkpoint,
    "scan": by_scan,
    "rows": by_scan_rows,
    "fori_loop": by_loop,
    "cond": by_cond,
    "switch": by_other_branch,
    "closure": by_closure,
}
WRAPPERS = {**BACKWARD, **FORWARD}
#: What reference values are made with: nothing is compiled or computed twice.
PLAIN = {
    **WRAPPERS,
    "jit": by_nothing,
    "checkpoint": by_nothing,
    "custom_jvp": by_nothing,
}

TRIPLES = [
    ("jit", "vmap", "grad"),
    ("jit", "grad", "vmap"),
    ("vmap", "jit", "grad"),
    ("vmap", "grad", "jit"),
    ("grad", "jit", "vmap"),
    ("grad", "vmap", "jit"),
    ("grad", "scan", "vmap"),
    ("vmap", "scan", "grad"),
    ("scan", "vmap", "grad"),
    ("jit", "grad", "scan"),
    ("grad", "cond", "vmap"),
    ("vmap", "grad", "cond"),
    ("grad", "checkpoint", "scan"),
    ("grad", "scan", "checkpoint"),
    ("vmap", "grad", "checkpoint"),
    ("grad", "grad", "scan"),
    ("grad", "grad", "vmap"),
    ("jit", "grad", "grad"),
    ("vmap", "vmap", "grad"),
    ("grad", "vmap", "columns"),
    ("vjp", "closure", "jit"),
    ("scan", "cond", "grad"),
]
FORWARD_TRIPLES = [
    ("jvp", "grad", "vmap"),
    ("jvp", "grad", "jit"),
    ("vmap", "jvp", "grad"),
    ("jit", "jvp", "grad"),
    ("grad", "jvp", "vmap"),
    ("grad", "jvp", "scan"),
    ("jvp", "jvp", "scan"),
    ("jvp", "scan", "vmap"),
    ("jvp", "checkpoint", "grad"),
    ("linearize", "vmap", "scan"),
    ("grad", "custom_jvp", "vmap"),
    ("vmap", "custom_jvp", "grad"),
]


def nest(names, f, plain=False):
    """Apply transformations, the last name innermost."""
    table = PLAIN if plain else WRAPPERS
    for name in reversed(names):
        f = table[name](f)
    return f
