"""Pieces of random programs: each takes arrays of any shapes and gives one array.

All are smooth where they are used (almost everywhere), and keep values of order one, so
that finite differences can tell. `seed` numbers choose static parameters.
"""

import pullback.numpy as jnp
from pullback import custom_jvp, custom_vjp, jit, vmap
from pullback.calls.checkpoint import checkpoint
from pullback.calls.cond import cond, switch
from pullback.calls.loops import fori_loop, scan
from pullback.calls.while_loop import while_loop
from pullback.primitives import special, table

SHAPES = ((), (3,), (2, 3), (3, 3))


def shaped(x, shape):
    """Repeat or cut the elements of an array to a shape."""
    count = 1
    for n in shape:
        count *= n
    flat = jnp.ravel(x)
    if flat.shape[0] < count:
        flat = jnp.tile(flat, -(-count // flat.shape[0]))
    return jnp.reshape(flat[:count], shape)


def tame(x):
    """Bring values to order one, smoothly."""
    return 2.0 * jnp.tanh(0.5 * x)


def vector(x):
    return shaped(x, (3,))


def matrix(x):
    return shaped(x, (3, 3))


def regular(x):
    """Give a matrix far from singular."""
    return 0.3 * jnp.tanh(matrix(x)) + 2.0 * jnp.eye(3)


def definite(x):
    a = jnp.tanh(matrix(x))
    return a @ a.T + 2.0 * jnp.eye(3)


# -- elementwise -----------------------------------------------------------------------

UNARY = {
    "sin": jnp.sin,
    "cos": jnp.cos,
    "tanh": jnp.tanh,
    "exp": lambda x: jnp.exp(jnp.tanh(x)),
    "expm1": lambda x: jnp.expm1(jnp.sin(x)),
    "log": lambda x: jnp.log(1.5 + jnp.sin(x)),
    "log1p": lambda x: jnp.log1p(x * x),
    "sqrt": lambda x: jnp.sqrt(1.0 + x * x),
    "rsqrt": lambda x: table.rsqrt(1.0 + x * x),
    "square": lambda x: tame(x) ** 2,
    "cube": lambda x: tame(x) ** 3,
    "inverse": lambda x: (1.5 + jnp.sin(x)) ** -2,
    "arctan": jnp.arctan,
    "arcsinh": jnp.arcsinh,
    "arcsin": lambda x: jnp.arcsin(0.7 * jnp.sin(x)),
    "arctanh": lambda x: jnp.arctanh(0.7 * jnp.sin(x)),
    "sinh": lambda x: jnp.sinh(jnp.tanh(x)),
    "cosh": lambda x: jnp.cosh(jnp.tanh(x)),
    "logistic": table.logistic,
    "erf": special.erf,
    "lgamma": lambda x: special.lgamma(2.0 + jnp.sin(x)),
    "neg": lambda x: -x,
    "abs": lambda x: jnp.abs(x + 0.37),
    "clip": lambda x: jnp.clip(x, -0.71, 0.83),
    "cbrt": lambda x: jnp.cbrt(1.5 + jnp.sin(x)),
}

BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: tame(x) * tame(y),
    "div": lambda x, y: x / (2.0 + jnp.sin(y)),
    "power": lambda x, y: (1.5 + jnp.sin(x)) ** jnp.tanh(y),
    "maximum": jnp.maximum,
    "minimum": lambda x, y: jnp.minimum(x, y + 0.11),
    "where": lambda x, y: jnp.where(x > 0.13, jnp.sin(x), y),
    "arctan2": lambda x, y: jnp.arctan2(x, 2.0 + jnp.cos(y)),
    "logaddexp": jnp.logaddexp,
    "hypot": lambda x, y: jnp.hypot(x, 1.0 + jnp.abs(y)),
    "fmod": lambda x, y: jnp.fmod(jnp.tanh(x), 5.0 + jnp.sin(y)),
    "weak": lambda x, y: 2 * x + y / 3 - 1,
}

# -- along axes ------------------------------------------------------------------------

REDUCING = {
    "sum": lambda x, i: jnp.sum(matrix(x), axis=i % 2),
    "mean": lambda x, i: jnp.mean(matrix(x), axis=(None, 0, 1)[i % 3], keepdims=True),
    "max": lambda x, i: jnp.max(matrix(x), axis=i % 2),
    "min": lambda x, i: jnp.min(x),
    "prod": lambda x, i: jnp.prod(jnp.tanh(matrix(x)), axis=i % 2),
    "var": lambda x, i: jnp.var(tame(matrix(x)), axis=i % 2),
    "norm": lambda x, i: jnp.sqrt(1.0 + jnp.sum(x * x)),
    "cumsum": lambda x, i: jnp.cumsum(matrix(x), axis=i % 2),
    "cumprod": lambda x, i: jnp.cumprod(jnp.cos(matrix(x)), axis=i % 2),
    "sort": lambda x, i: jnp.sort(matrix(x), axis=i % 2),
    "logsumexp": lambda x, i: jnp.log(jnp.sum(jnp.exp(jnp.tanh(x)))),
}

SHAPING = {
    "transpose": lambda x, i: matrix(x).T,
    "reshape": lambda x, i: jnp.reshape(shaped(x, (2, 3)), (3, 2))[:, 0],
    "flip": lambda x, i: jnp.flip(matrix(x), i % 2),
    "roll": lambda x, i: jnp.roll(matrix(x), i, axis=i % 2),
    "pad": lambda x, i: jnp.pad(vector(x), (i % 3, 1))[:3],
    "concatenate": lambda x, i: jnp.concatenate([vector(x)[:1], vector(x)[:2] ** 2]),
    "stack": lambda x, i: jnp.stack([vector(x), jnp.sin(vector(x))], axis=0),
    "split": lambda x, i: jnp.split(matrix(x), [1 + i % 2], axis=0)[0],
    "expand": lambda x, i: jnp.expand_dims(vector(x), i % 2) * vector(x),
    "broadcast": lambda x, i: jnp.broadcast_to(vector(x), (2, 3)),
    "diag": lambda x, i: jnp.diag(vector(x)),
    "triangle": lambda x, i: jnp.tril(matrix(x)),
}

INDEXING = {
    "row": lambda x, i: matrix(x)[i % 3],
    "reverse": lambda x, i: matrix(x)[::-1, 1:],
    "take": lambda x, i: vector(x)[jnp.array([2, 0, 2])],
    "points": lambda x, i: matrix(x)[jnp.array([0, 2, 1]), jnp.array([1, 1, 0])],
    "best": lambda x, i: matrix(x)[jnp.argmax(vector(x))],
    "set": lambda x, i: matrix(x).at[i % 3].set(jnp.sin(vector(x))),
    "add_at": lambda x, i: vector(x).at[jnp.array([1, 1])].add(jnp.cos(vector(x)[:2])),
    "multiply_at": lambda x, i: vector(x).at[i % 3].multiply(1.5),
    "along": lambda x, i: jnp.take_along_axis(
        matrix(x), jnp.argsort(matrix(x), axis=1)[:, :2], axis=1
    ),
}

CONTRACTING = {
    "matmul": lambda x, y, i: tame(matrix(x)) @ matrix(y) / 3,
    "matvec": lambda x, y, i: tame(matrix(x)) @ vector(y) / 3,
    "dot": lambda x, y, i: jnp.dot(vector(x), jnp.tanh(vector(y))),
    "outer": lambda x, y, i: jnp.outer(vector(x), jnp.sin(vector(y))),
    "einsum": lambda x, y, i: (
        jnp.einsum("ij,kj->ik", matrix(x), jnp.tanh(matrix(y))) / 3
    ),
    "tensordot": lambda x, y, i: jnp.tensordot(matrix(x), jnp.tanh(matrix(y)), 2) / 9,
    "solve": lambda x, y, i: jnp.linalg.solve(regular(x), vector(y)),
    "inv": lambda x, y, i: jnp.linalg.inv(regular(x)) * vector(y),
    "det": lambda x, y, i: jnp.linalg.det(regular(x)) / 8,
    "cholesky": lambda x, y, i: jnp.linalg.cholesky(definite(x)) / 2,
}

# -- control flow and calls ------------------------------------------------------------


def branched(x, y, i):
    return cond(
        jnp.sum(x) > 0.17 * i - 0.3,
        lambda x: jnp.sin(x) * shaped(y, x.shape),
        lambda x: x * x * 0.5,
        jnp.tanh(x),
    )


def switched(x, y, i):
    index = jnp.argmax(vector(y))
    return switch(index, [jnp.sin, lambda x: x * jnp.sum(y) / 9, jnp.tanh], x)


def scanned(x, y, i):
    def body(carry, row):
        carry = jnp.tanh(carry * row + vector(y))
        return carry, carry * jnp.sin(row)

    carry, rows = scan(body, vector(x), matrix(y), reverse=bool(i % 2))
    return rows + carry


def counted(x, y, i):
    return fori_loop(
        0, 1 + i % 3, lambda k, c: jnp.sin(c) + 0.1 * k * vector(y), vector(x)
    )


def looped(x, y, i):
    def going(state):
        return (state[0] < 4) & (jnp.sum(state[1]) < 5.0)

    def step(state):
        return state[0] + 1, jnp.tanh(state[1] + 0.5 * vector(y))

    return while_loop(going, step, (0, vector(x)), max_steps=5)[1]


def mapped(x, y, i):
    return vmap(lambda row, c: jnp.sum(jnp.sin(row) * c), in_axes=(i % 2, None))(
        matrix(x), vector(y)
    )


@jit
def compiled(x, y):
    return jnp.sin(vector(x)) * jnp.sum(y), vector(y) ** 2


@checkpoint
def computed_twice(x, y):
    return jnp.sin(jnp.cos(vector(x)) * vector(y))


@custom_jvp
def forward_rule(x, y):
    return jnp.sin(x) * y


forward_rule.defjvps(
    lambda x_dot, ans, x, y: jnp.cos(x) * x_dot * y,
    lambda y_dot, ans, x, y: jnp.sin(x) * y_dot,
)


def reverse_rule_forward(x, y):
    return jnp.sin(x) * y, (jnp.cos(x), jnp.sin(x), y)


def reverse_rule_backward(res, ct):
    cos_x, sin_x, y = res
    return cos_x * y * ct, sin_x * ct


def both_rules_jvp(primals, tangents):
    (x, y), (x_dot, y_dot) = primals, tangents
    return jnp.sin(x) * y, jnp.cos(x) * y * x_dot + jnp.sin(x) * y_dot


@custom_vjp
def both_rules(x, y):
    return jnp.sin(x) * y


both_rules.defvjp(reverse_rule_forward, reverse_rule_backward)
both_rules.defjvp(both_rules_jvp)

HOLDING = {
    "cond": branched,
    "switch": switched,
    "scan": scanned,
    "fori_loop": counted,
    "while_loop": looped,
    "vmap": mapped,
    "jit": lambda x, y, i: compiled(x, y)[i % 2],
    "checkpoint": lambda x, y, i: computed_twice(x, y),
    "custom_jvp": lambda x, y, i: forward_rule(matrix(x), tame(matrix(y))),
    "custom_vjp": lambda x, y, i: both_rules(matrix(x), tame(matrix(y))),
}

#: All pieces as functions of two arrays and a number.
PIECES = {
    **{name: lambda x, y, i, f=f: f(x) for name, f in UNARY.items()},
    **{
        name: lambda x, y, i, f=f: f(x, shaped(y, x.shape))
        for name, f in BINARY.items()
    },
    **{name: lambda x, y, i, f=f: f(x, i) for name, f in REDUCING.items()},
    **{name: lambda x, y, i, f=f: f(x, i) for name, f in SHAPING.items()},
    **{name: lambda x, y, i, f=f: f(x, i) for name, f in INDEXING.items()},
    **CONTRACTING,
    **HOLDING,
}
