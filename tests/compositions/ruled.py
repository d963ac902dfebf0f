"""Functions of a vector with custom rules, and the same without.

Rules are right: derivatives of any order must agree with those of the plain function.
"""

import functools

import pullback.numpy as jnp
from pullback import custom_gradient, custom_jvp, custom_vjp
from pullback.calls.loops import scan
from pullback.primitives.table import stop_gradient


def plain(x, y):
    return jnp.sin(x) * y


def second(x):
    return jnp.cos(x) + 0.3 * x


def plain_of_one(x):
    return plain(x, second(x))


# -- one kind of rule ------------------------------------------------------------------


@custom_jvp
def with_jvp(x, y):
    return plain(x, y)


@with_jvp.defjvp
def with_jvp_rule(primals, tangents):
    (x, y), (x_dot, y_dot) = primals, tangents
    return with_jvp(x, y), jnp.cos(x) * y * x_dot + jnp.sin(x) * y_dot


@custom_jvp
def with_jvps(x, y):
    return plain(x, y)


with_jvps.defjvps(
    lambda x_dot, ans, x, y: jnp.cos(x) * y * x_dot,
    lambda y_dot, ans, x, y: jnp.sin(x) * y_dot,
)


def forward_pass(x, y):
    return plain(x, y), (jnp.cos(x), jnp.sin(x), y)


def backward_pass(res, ct):
    cos_x, sin_x, y = res
    return cos_x * y * ct, sin_x * ct


@custom_vjp
def with_vjp(x, y):
    return plain(x, y)


with_vjp.defvjp(forward_pass, backward_pass)


@functools.partial(custom_vjp, forward="transpose")
def with_transpose(x, y):
    return plain(x, y)


with_transpose.defvjp(forward_pass, backward_pass)


@custom_vjp
def with_both(x, y):
    return plain(x, y)


with_both.defvjp(forward_pass, backward_pass)
with_both.defjvp(with_jvp_rule)


@custom_gradient
def with_gradient(x, y):
    return plain(x, y), lambda ct: (jnp.cos(x) * y * ct, jnp.sin(x) * ct)


# -- symbolic zeros --------------------------------------------------------------------


@custom_jvp
def with_zeros(x, y):
    return plain(x, y)


@functools.partial(with_zeros.defjvp, symbolic_zeros=True)
def with_zeros_rule(primals, tangents):
    (x, y), (x_dot, y_dot) = primals, tangents
    dot = jnp.zeros_like(x)
    if hasattr(x_dot, "at"):
        dot = dot + jnp.cos(x) * y * x_dot
    if hasattr(y_dot, "at"):
        dot = dot + jnp.sin(x) * y_dot
    return plain(x, y), dot


@custom_vjp
def with_flags(x, y):
    return plain(x, y)


def flags_forward(x, y):
    keep = jnp.cos(x.value) * y.value if x.perturbed else None
    return plain(x.value, y.value), (keep, x.value)


def flags_backward(res, ct):
    keep, x = res
    return None if keep is None else keep * ct, jnp.sin(x) * ct


with_flags.defvjp(flags_forward, flags_backward, symbolic_zeros=True)

# -- nondiff arguments and captured values ---------------------------------------------


@functools.partial(custom_jvp, nondiff_argnums=(0, 1))
def applied(f, power, x):
    return f(x) ** power


@applied.defjvp
def applied_rule(f, power, primals, tangents):
    (x,), (x_dot,) = primals, tangents
    y = f(x)
    step = (f(x + 1.0) - f(x - 1.0)) / 2.0
    return y**power, power * y ** (power - 1) * step * x_dot


def linear_with(scale):
    return lambda x: scale * x + 0.7


def nondiff_ruled(x):
    return applied(linear_with(jnp.array([1.0, 2.0, 3.0], x.dtype)), 2, x)


def nondiff_plain(x):
    return linear_with(jnp.array([1.0, 2.0, 3.0], x.dtype))(x) ** 2


@functools.partial(custom_vjp, nondiff_argnums=(0,))
def scaled_by(f, x):
    return f(x) * x


scaled_by.defvjp(
    lambda f, x: (f(x) * x, (f(x), x)),
    lambda f, res, ct: (res[0] * ct + f(res[1]) * ct,),
)


def nondiff_vjp_ruled(x):
    return scaled_by(lambda t: 2.5 * t, x)


def nondiff_vjp_plain(x):
    return 2.5 * x * x


def held(x):
    """Give a value made of x that carries no derivative; under vmap it is traced."""
    return jnp.cos(stop_gradient(x)) + 1.5


def captured_jvp(x):
    scale = held(x)

    @custom_jvp
    def inner(y):
        return jnp.sin(y) * scale

    inner.defjvps(lambda y_dot, ans, y: jnp.cos(y) * scale * y_dot)
    return inner(x)


def captured_vjp(x):
    scale = held(x)

    @custom_vjp
    def inner(y):
        return jnp.sin(y) * scale

    inner.defvjp(
        lambda y: (jnp.sin(y) * scale, y), lambda y, ct: (jnp.cos(y) * scale * ct,)
    )
    return inner(x)


def captured_plain(x):
    return jnp.sin(x) * held(x)


# -- trees, and rules inside rules -----------------------------------------------------


@custom_vjp
def of_trees(options, x):
    return {"out": plain(options["a"], x) * options["n"], "twice": 2.0 * x}


def trees_forward(options, x):
    return of_trees(options, x), (options["a"], options["n"], x)


def trees_backward(res, ct):
    (a, _, x), g = res, ct["out"] * res[1]
    return {"a": jnp.cos(a) * x * g, "n": None}, jnp.sin(a) * g + 2.0 * ct["twice"]


of_trees.defvjp(trees_forward, trees_backward)


def trees_ruled(x):
    out = of_trees({"a": x, "n": 3}, second(x))
    return out["out"] + out["twice"]


def trees_plain(x):
    return plain(x, second(x)) * 3 + 2.0 * second(x)


@custom_vjp
def outer_rule(x, y):
    return with_jvp(x, y) * y


def outer_forward(x, y):
    z = with_jvps(x, y)
    return z * y, (x, y, z)


def outer_backward(res, ct):
    x, y, z = res
    return jnp.cos(x) * with_both(y, y) / jnp.sin(y) * y * ct, 2.0 * z * ct


outer_rule.defvjp(outer_forward, outer_backward)


def nested_ruled(x):
    return outer_rule(x, 1.5 + 0.2 * second(x))


def nested_plain(x):
    y = 1.5 + 0.2 * second(x)
    return jnp.sin(x) * y * y


@custom_vjp
def with_loop(x):
    return scan(lambda c, t: (jnp.sin(c) * t, None), x, jnp.array([1.5, 0.5], x.dtype))[
        0
    ]


def loop_forward(x):
    def body(carry, t):
        return jnp.sin(carry) * t, (carry, t)

    return scan(body, x, jnp.array([1.5, 0.5], x.dtype))


def loop_backward(rows, ct):
    return (
        scan(lambda g, r: (jnp.cos(r[0]) * r[1] * g, None), ct, rows, reverse=True)[0],
    )


with_loop.defvjp(loop_forward, loop_backward)


def loop_plain(x):
    return jnp.sin(jnp.sin(x) * 1.5) * 0.5


def of_one(f):
    return lambda x: f(x, second(x))


#: name -> (with rules, without, whether forward mode works too).
RULED = {
    "jvp": (of_one(with_jvp), plain_of_one, True),
    "vjp": (of_one(with_vjp), plain_of_one, False),
    "both": (of_one(with_both), plain_of_one, True),
    "captured vjp": (captured_vjp, captured_plain, False),
    "jvps": (of_one(with_jvps), plain_of_one, True),
    "transpose": (of_one(with_transpose), plain_of_one, True),
    "gradient": (of_one(with_gradient), plain_of_one, False),
    "zeros": (of_one(with_zeros), plain_of_one, True),
    "flags": (of_one(with_flags), plain_of_one, False),
    "nondiff jvp": (nondiff_ruled, nondiff_plain, True),
    "nondiff vjp": (nondiff_vjp_ruled, nondiff_vjp_plain, False),
    "captured jvp": (captured_jvp, captured_plain, True),
    "trees": (trees_ruled, trees_plain, False),
    "nested": (nested_ruled, nested_plain, False),
    "loop": (with_loop, loop_plain, False),
}
