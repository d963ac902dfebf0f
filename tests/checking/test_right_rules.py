"""Right rules of all kinds pass: stiff, tiny, complex, with integers and trees."""

import functools
from typing import Any

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, custom_vjp, jit, vjp
from pullback.errors import ArgumentError
from pullback.test_util import check_rules, rule_report

X = np.array([0.3, -0.7, 1.2], np.float32)
M = np.array([[0.5, 1.0], [-0.3, 0.8]], np.float32)

RIGHT: dict[str, Any] = {}


def right(*args, **options):
    """Register a maker of a function with a right rule."""

    def register(make):
        RIGHT[make.__name__] = make, args, options
        return make

    return register


def with_vjp(f, fwd, bwd, **options):
    made = custom_vjp(f, **options)
    made.defvjp(fwd, bwd)
    return made


def with_jvps(f, *rules, **options):
    made = custom_jvp(f, **options)
    made.defjvps(*rules)
    return made


@right(X)
def sine():
    return with_jvps(lambda x: jnp.sin(x), lambda t, ans, x: t * jnp.cos(x))


@right(2.0, 3.0)
def product():
    return with_vjp(
        lambda x, y: x * y,
        lambda x, y: (x * y, (x, y)),
        lambda r, g: (g * r[1], g * r[0]),
    )


@right(0.5)
def stiff_exponential():
    return with_jvps(lambda x: jnp.exp(-500 * x), lambda t, ans, x: -500 * t * ans)


@right(np.array([1e-3, 2.0, 40.0], np.float32))
def stiff_scales():
    return with_jvps(lambda x: x**4, lambda t, ans, x: 4 * t * x**3)


@right(1e12)
def large():
    return with_vjp(lambda x: x * x, lambda x: (x * x, x), lambda x, g: (2 * g * x,))


@right(1e-12)
def tiny():
    return with_vjp(lambda x: x * x, lambda x: (x * x, x), lambda x, g: (2 * g * x,))


@right(1e-25)
def logarithm_of_a_tiny_number():
    return with_jvps(lambda x: jnp.log(x), lambda t, ans, x: t / x)


@right(np.complex64(1 + 2j))
def holomorphic():
    return with_vjp(lambda z: z * z, lambda z: (z * z, z), lambda z, g: (2 * g * z,))


@right(np.array([1 + 2j, -0.5j], np.complex64))
def not_holomorphic():
    return with_jvps(
        lambda z: jnp.real(z * jnp.conj(z)),
        lambda t, ans, z: 2 * jnp.real(jnp.conj(z) * t),
    )


@right(X, 3)
def integer_argument():
    return with_vjp(
        lambda x, n: x * n, lambda x, n: (x * n, n), lambda n, g: (g * n, None)
    )


@right(X, np.array([2, 0]))
def integer_indices():
    return with_vjp(
        lambda x, i: x[i],
        lambda x, i: (x[i], (x, i)),
        lambda r, g: (jnp.zeros_like(r[0]).at[r[1]].add(g), None),
    )


@right({"w": M, "b": (X[:2], 2.0)})
def containers():
    def f(p):
        return p["w"] @ p["b"][0] * p["b"][1]

    def bwd(p, g):
        w, (x, s) = p["w"], p["b"]
        return ({"w": s * jnp.outer(g, x), "b": (s * (w.T @ g), g @ (w @ x))},)

    return with_vjp(f, lambda p: (f(p), p), bwd)


@right(lambda x: x**3, 1.5)
def nondiff_function():
    return with_vjp(
        lambda f, x: f(x) * 2,
        lambda f, x: (f(x) * 2, x),
        lambda f, x, g: (6 * g * x**2,),
        nondiff_argnums=(0,),
    )


@right(X, "double")
def nondiff_string():
    return with_jvps(
        lambda x, how: x * (2.0 if how == "double" else 3.0),
        lambda how, t, ans, x: t * (2.0 if how == "double" else 3.0),
        nondiff_argnums=(1,),
    )


@right(M, X[:2])
def broadcast_bias():
    return with_vjp(
        lambda a, b: a + b, lambda a, b: (a + b, None), lambda _, g: (g, g.sum(0))
    )


@right(1.0, extremes=[0.0, 100.0, -100.0])
def log1pexp():
    return with_jvps(
        lambda x: jnp.logaddexp(x, 0.0),
        lambda t, ans, x: t * (1 - 1 / (1 + jnp.exp(x))),
    )


@right(100.0)
def derivative_of_the_body_is_nan():
    return with_jvps(
        lambda x: jnp.where(x > 0, x + jnp.log1p(jnp.exp(-x)), jnp.log1p(jnp.exp(x))),
        lambda t, ans, x: t / (1 + jnp.exp(-x)),
    )


@right(np.zeros(2, np.float32) + 1.0)
def several_outputs():
    return with_vjp(
        lambda x: {"s": jnp.sin(x), "n": jnp.sum(x)},
        lambda x: ({"s": jnp.sin(x), "n": jnp.sum(x)}, x),
        lambda x, g: (g["s"] * jnp.cos(x) + g["n"],),
    )


@right(0.0)
def subgradient_at_a_kink():
    return with_jvps(
        lambda x: jnp.maximum(x, 0.0), lambda t, ans, x: jnp.where(x > 0, t, 0.0)
    )


@right(4.0)
def square_root_by_newton():
    def newton(a):
        x = a
        for _ in range(30):
            x = 0.5 * (x + a / x)
        return x

    return with_jvps(newton, lambda t, ans, a: t / (2 * ans))


@right(X)
def both_rules_and_a_batching_rule():
    f = with_vjp(
        lambda x: jnp.exp(x), lambda x: (jnp.exp(x), jnp.exp(x)), lambda y, g: (g * y,)
    )
    f.defjvps(lambda t, ans, x: t * ans)
    f.defvmap(lambda size, in_batched, x: (jnp.exp(x), True))
    return f


@right(np.float16(0.5))
def half_precision():
    return with_jvps(lambda x: jnp.sin(x), lambda t, ans, x: t * jnp.cos(x))


@right(2.0)
def default_and_keyword_only_arguments():
    return with_vjp(
        lambda x, y=3.0, *, z=4.0: x * y * z,
        lambda x, y=3.0, *, z=4.0: (x * y * z, (x, y, z)),
        lambda r, g: (g * r[1] * r[2], g * r[0] * r[2], g * r[0] * r[1]),
    )


@right(3.0)
def branch_in_python():
    return with_vjp(
        lambda x: jnp.sin(x) if float(x) > 0 else x,
        lambda x: (jnp.sin(x) if float(x) > 0 else x, x),
        lambda x, g: (g * jnp.cos(x) if float(x) > 0 else g,),
    )


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rule_passes(name):
    make, args, options = RIGHT[name]
    check_rules(make(), *args, **options)


def test_values_that_a_callable_argument_captures_are_checked():
    @custom_vjp
    def twice(f, x):
        return 2 * f(x)

    def bwd(res, g):
        return vjp(lambda f, x: 2 * f(x), *res)[1](g)

    twice.defvjp(lambda f, x: (2 * f(x), (f, x)), bwd)
    c = jnp.array(3.0)
    report = rule_report(twice, lambda x: c * x**2, 3.0)
    assert report
    assert sum(line.check == "derivative" for line in report.lines) == 2
    twice.defvjp(lambda f, x: (2 * f(x), (f, x)), lambda r, g: (None, bwd(r, g)[1]))
    assert "missing" in str(rule_report(twice, lambda x: c * x**2, 3.0))


def test_methods_partials_and_compiled_functions_are_seen_through():
    class Scale:
        factor = 3.0

        @custom_vjp
        def apply(self, x):
            return self.factor * x

    Scale.apply.defvjp(
        lambda self, x: (self.factor * x, self.factor), lambda c, g: (None, c * g)
    )
    check_rules(Scale().apply, 2.0)
    check_rules(functools.partial(product(), 2.0), 3.0)
    check_rules(jit(product()), 2.0, 3.0)


def test_a_function_without_rules_is_refused():
    with pytest.raises(ArgumentError, match="check_grads"):
        check_rules(jnp.sin, 1.0)
    with pytest.raises(ArgumentError, match="no custom rules"):
        check_rules(custom_jvp(lambda x: x), 1.0)


def test_the_report_of_right_rules_is_true():
    report = rule_report(product(), 2.0, 3.0)
    assert report
    assert str(report).endswith("checks passed.")


def test_keywords_are_given_by_partial():
    @functools.partial(custom_jvp, nondiff_argnames="mode")
    def f(x, *rest, mode, scale=2.0):
        return x * scale * rest[0]

    @f.defjvp
    def f_jvp(mode, primals, tangents):
        x, y, scale = primals
        x_dot, y_dot, scale_dot = tangents
        out = f(x, y, mode=mode, scale=scale)
        return out, x_dot * scale * y + x * scale_dot * y + x * scale * y_dot

    check_rules(functools.partial(f, mode="a", scale=3.0), 2.0, 5.0)
    text = str(rule_report(functools.partial(f, mode="a"), 2.0, 5.0))
    assert "rest[0]" in text
    assert "scale" in text
