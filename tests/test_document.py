"""Every example of a document on custom derivative rules, in its order.

It is "Custom derivative rules for JAX-transformable Python functions" (2020). The code
is the document's own, and so is each text a test expects: words must agree exactly, in
the order printed; numbers to a relative 1e-5, as befits float32.
"""

import pdb
import re
import sys
import textwrap
from collections import namedtuple
from functools import partial

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
    vjp,
    vmap,
)
from pullback.lax import while_loop

NUMBER = re.compile(r"(?<![\w.])-?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|nan|inf)(?!\w)")


def words_and_numbers(text):
    """Splits printed text into its words and the numbers among them."""
    text = re.sub(r"\b(?:DeviceArray|Array|array)\(", "Array(", text)
    text = text.replace(", weak_type=True", "")
    lines = [line.strip() for line in text.strip().splitlines()]
    text = "\n".join(re.sub(r"\s+(?=])|(?<=\[)\s+", "", line) for line in lines)
    numbers = [float(number) for number in NUMBER.findall(text)]
    return re.sub(r"[ ]+", " ", NUMBER.sub("#", text)), numbers


@pytest.fixture
def printed(capsys):
    """Compares what was printed since the last call with the document's text."""

    def check(expected):
        words, numbers = words_and_numbers(capsys.readouterr().out)
        want_words, want_numbers = words_and_numbers(textwrap.dedent(expected))
        assert words == want_words
        np.testing.assert_allclose(numbers, want_numbers, rtol=1e-5)

    return check


# TL;DR


def test_tldr_custom_jvp_prints_value_tangent_and_gradient(printed):
    @custom_jvp
    def f(x, y):
        return jnp.sin(x) * y

    @f.defjvp
    def f_jvp(primals, tangents):
        x, y = primals
        x_dot, y_dot = tangents
        primal_out = f(x, y)
        tangent_out = jnp.cos(x) * x_dot * y + jnp.sin(x) * y_dot
        return primal_out, tangent_out

    print(f(2.0, 3.0))
    y, y_dot = jvp(f, (2.0, 3.0), (1.0, 0.0))
    print(y)
    print(y_dot)
    print(grad(f)(2.0, 3.0))
    printed("""
        2.7278922
        2.7278922
        -1.2484405
        -1.2484405
    """)


def test_tldr_defjvps_is_equivalent(printed):
    @custom_jvp
    def f(x, y):
        return jnp.sin(x) * y

    f.defjvps(
        lambda x_dot, primal_out, x, y: jnp.cos(x) * x_dot * y,
        lambda y_dot, primal_out, x, y: jnp.sin(x) * y_dot,
    )

    print(f(2.0, 3.0))
    y, y_dot = jvp(f, (2.0, 3.0), (1.0, 0.0))
    print(y)
    print(y_dot)
    print(grad(f)(2.0, 3.0))
    printed("""
        2.7278922
        2.7278922
        -1.2484405
        -1.2484405
    """)


def test_tldr_custom_vjp_prints_gradient(printed):
    @custom_vjp
    def f(x, y):
        return jnp.sin(x) * y

    def f_fwd(x, y):
        return f(x, y), (jnp.cos(x), jnp.sin(x), y)

    def f_bwd(res, g):
        cos_x, sin_x, y = res
        return (cos_x * g * y, sin_x * g)

    f.defvjp(f_fwd, f_bwd)

    print(grad(f)(2.0, 3.0))
    printed("-1.2484405")


# Numerical stability


def plain_log1pexp(x):
    return jnp.log(1.0 + jnp.exp(x))


def show_log1pexp(log1pexp):
    """Prints the three lines which the document prints for each `log1pexp`."""
    print(jit(log1pexp)(3.0))
    print(jit(grad(log1pexp))(3.0))
    print(vmap(jit(grad(log1pexp)))(jnp.arange(3.0)))


LOG1PEXP_LINES = """
    3.0485873
    0.95257413
    [0.5 0.7310586 0.8807971]
"""


def test_log1pexp_shows_itself_as_a_float32_array(printed):
    print(repr(plain_log1pexp(3.0)))
    printed("DeviceArray(3.0485873, dtype=float32)")


def test_log1pexp_is_transformable(printed):
    show_log1pexp(plain_log1pexp)
    printed(LOG1PEXP_LINES)


def test_log1pexp_without_a_rule_has_a_nan_gradient_at_100(printed):
    print(grad(plain_log1pexp)(100.0))
    printed("nan")


def test_log1pexp_gradient_jaxpr_applies_the_documents_operations_in_order():
    text = str(make_jaxpr(grad(plain_log1pexp))(100.0))
    operations = re.findall(r"= (\w+)", text)
    assert operations == ["exp", "add", "log", "div", "mul"]


def test_log1pexp_with_custom_jvp_is_stable(printed):
    @custom_jvp
    def log1pexp(x):
        return jnp.log(1.0 + jnp.exp(x))

    @log1pexp.defjvp
    def log1pexp_jvp(primals, tangents):
        (x,) = primals
        (x_dot,) = tangents
        ans = log1pexp(x)
        ans_dot = (1 - 1 / (1 + jnp.exp(x))) * x_dot
        return ans, ans_dot

    print(grad(log1pexp)(100.0))
    printed("1.0")
    show_log1pexp(log1pexp)
    printed(LOG1PEXP_LINES)


def test_log1pexp_with_defjvps_is_stable(printed):
    @custom_jvp
    def log1pexp(x):
        return jnp.log(1.0 + jnp.exp(x))

    log1pexp.defjvps(lambda t, ans, x: (1 - 1 / (1 + jnp.exp(x))) * t)

    print(grad(log1pexp)(100.0))
    printed("1.0")
    show_log1pexp(log1pexp)
    printed(LOG1PEXP_LINES)


# Enforcing a differentiation convention


def test_convention_without_a_rule_gives_nan_at_zero(printed):
    def f(x):
        return x / (1 + jnp.sqrt(x))

    print(grad(f)(0.0))
    printed("nan")


def test_convention_with_custom_jvp_gives_the_derivative_from_the_right(printed):
    @custom_jvp
    def f(x):
        return x / (1 + jnp.sqrt(x))

    @f.defjvp
    def f_jvp(primals, tangents):
        (x,) = primals
        (x_dot,) = tangents
        ans = f(x)
        ans_dot = ((jnp.sqrt(x) + 2) / (2 * (jnp.sqrt(x) + 1) ** 2)) * x_dot
        return ans, ans_dot

    print(grad(f)(0.0))
    printed("1.0")


def test_convention_with_defjvps_gives_the_derivative_from_the_right(printed):
    @custom_jvp
    def f(x):
        return x / (1 + jnp.sqrt(x))

    f.defjvps(lambda t, ans, x: ((jnp.sqrt(x) + 2) / (2 * (jnp.sqrt(x) + 1) ** 2)) * t)

    print(grad(f)(0.0))
    printed("1.0")


# Gradient clipping


@custom_vjp
def clip_gradient(lo, hi, x):
    return x


def clip_gradient_fwd(lo, hi, x):
    return x, (lo, hi)


def clip_gradient_bwd(res, g):
    lo, hi = res
    return (None, None, jnp.clip(g, lo, hi))


clip_gradient.defvjp(clip_gradient_fwd, clip_gradient_bwd)


def clip_sin(x):
    x = clip_gradient(-0.75, 0.75, x)
    return jnp.sin(x)


def test_sine_and_its_gradient_give_the_curves_of_the_first_plot():
    t = jnp.linspace(0, 10, 1000)
    assert t.shape == (1000,)
    np.testing.assert_allclose(jnp.sin(t), np.sin(np.asarray(t)), atol=1e-6)
    np.testing.assert_allclose(vmap(grad(jnp.sin))(t), np.cos(np.asarray(t)), atol=1e-6)


def test_clip_gradient_clips_the_gradient_and_not_the_value():
    t = jnp.linspace(0, 10, 1000)
    np.testing.assert_allclose(clip_sin(t), np.sin(np.asarray(t)), atol=1e-6)
    clipped = np.clip(np.cos(np.asarray(t)), -0.75, 0.75)
    np.testing.assert_allclose(vmap(grad(clip_sin))(t), clipped, atol=1e-6)


# Implicit function differentiation of iterative implementations


def plain_fixed_point(f, a, x_guess):
    def cond_fun(carry):
        x_prev, x = carry
        return jnp.abs(x_prev - x) > 1e-6

    def body_fun(carry):
        _, x = carry
        return x, f(a, x)

    _, x_star = while_loop(cond_fun, body_fun, (x_guess, f(a, x_guess)))
    return x_star


fixed_point = partial(custom_vjp, nondiff_argnums=(0,))(plain_fixed_point)


def fixed_point_fwd(f, a, x_init):
    x_star = fixed_point(f, a, x_init)
    return x_star, (a, x_star)


def fixed_point_rev(f, res, x_star_bar):
    a, x_star = res
    _, vjp_a = vjp(lambda a: f(a, x_star), a)
    (a_bar,) = vjp_a(
        fixed_point(partial(rev_iter, f), (a, x_star, x_star_bar), x_star_bar)
    )
    return a_bar, jnp.zeros_like(x_star)


def rev_iter(f, packed, u):
    a, x_star, x_star_bar = packed
    _, vjp_x = vjp(lambda x: f(a, x), x_star)
    return x_star_bar + vjp_x(u)[0]


fixed_point.defvjp(fixed_point_fwd, fixed_point_rev)


def newton_sqrt(a, solver=fixed_point):
    update = lambda a, x: 0.5 * (x + a / x)
    return solver(update, a, a)


def test_newton_sqrt_runs_mapped_and_compiled_without_a_rule(printed):
    plain = partial(newton_sqrt, solver=plain_fixed_point)
    print(plain(2.0))
    print(jit(vmap(plain))(jnp.array([1.0, 2.0, 3.0, 4.0])))
    printed("""
        1.4142135
        [1. 1.4142135 1.7320509 2. ]
    """)


def test_newton_sqrt_differentiates_twice_through_its_rule(printed):
    print(newton_sqrt(2.0))
    print(grad(newton_sqrt)(2.0))
    print(grad(grad(newton_sqrt))(2.0))
    printed("""
        1.4142135
        0.35355338
        -0.088388346
    """)


@pytest.mark.parametrize("nest", ["jit(grad)", "grad(jit)", "jit(grad(grad))"])
def test_newton_sqrt_differentiates_under_jit(nest):
    derivative, expected = {
        "jit(grad)": (jit(grad(newton_sqrt)), 0.35355338),
        "grad(jit)": (grad(jit(newton_sqrt)), 0.35355338),
        "jit(grad(grad))": (jit(grad(grad(newton_sqrt))), -0.088388346),
    }[nest]
    np.testing.assert_allclose(derivative(2.0), expected, rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("order", [1, 2])
def test_newton_sqrt_differentiates_under_vmap(compiled, order):
    a = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    derivative = grad(newton_sqrt) if order == 1 else grad(grad(newton_sqrt))
    mapped = jit(vmap(derivative)) if compiled else vmap(derivative)
    expected = 0.5 * a**-0.5 if order == 1 else -0.25 * a**-1.5
    np.testing.assert_allclose(mapped(a), expected, rtol=1e-5)


def test_sqrt_itself_has_the_same_derivatives(printed):
    print(grad(jnp.sqrt)(2.0))
    print(grad(grad(jnp.sqrt))(2.0))
    printed("""
        0.35355338
        -0.08838835
    """)


# Basic usage of custom_jvp


def test_custom_jvp_basic_usage_in_both_modes(printed):
    @custom_jvp
    def f(x):
        return jnp.sin(x)

    def f_jvp(primals, tangents):
        (x,) = primals
        (t,) = tangents
        return f(x), jnp.cos(x) * t

    f.defjvp(f_jvp)

    print(f(3.0))
    y, y_dot = jvp(f, (3.0,), (1.0,))
    print(y)
    print(y_dot)
    print(grad(f)(3.0))
    print(grad(grad(f))(3.0))
    printed("""
        0.14112
        0.14112
        -0.9899925
        -0.9899925
        -0.14112
    """)


def test_custom_jvp_takes_several_arguments(printed):
    @custom_jvp
    def f(x, y):
        return x**2 * y

    @f.defjvp
    def f_jvp(primals, tangents):
        x, y = primals
        x_dot, y_dot = tangents
        primal_out = f(x, y)
        tangent_out = 2 * x * y * x_dot + x**2 * y_dot
        return primal_out, tangent_out

    print(grad(f)(2.0, 3.0))
    printed("12.0")


def test_defjvps_of_one_argument(printed):
    @custom_jvp
    def f(x):
        return jnp.sin(x)

    f.defjvps(lambda t, ans, x: jnp.cos(x) * t)

    print(grad(f)(3.0))
    printed("-0.9899925")


def test_defjvps_of_several_arguments(printed):
    @custom_jvp
    def f(x, y):
        return x**2 * y

    f.defjvps(
        lambda x_dot, primal_out, x, y: 2 * x * y * x_dot,
        lambda y_dot, primal_out, x, y: x**2 * y_dot,
    )

    print(grad(f)(2.0, 3.0))
    print(grad(f, 0)(2.0, 3.0))
    print(grad(f, 1)(2.0, 3.0))
    printed("""
        12.0
        12.0
        4.0
    """)


def test_defjvps_takes_none_for_a_zero_derivative(printed):
    @custom_jvp
    def f(x, y):
        return x**2 * y

    f.defjvps(lambda x_dot, primal_out, x, y: 2 * x * y * x_dot, None)

    print(grad(f)(2.0, 3.0))
    print(grad(f, 0)(2.0, 3.0))
    print(grad(f, 1)(2.0, 3.0))
    printed("""
        12.0
        12.0
        0.0
    """)


@pytest.fixture
def talking_jvp():
    """The document's sine whose function and jvp rule say when they are called."""

    @custom_jvp
    def f(x):
        print("called f!")
        return jnp.sin(x)

    @f.defjvp
    def f_jvp(primals, tangents):
        print("called f_jvp!")
        (x,) = primals
        (t,) = tangents
        return f(x), jnp.cos(x) * t

    return f


def test_custom_jvp_calls_only_the_function_outside_differentiation(
    printed, talking_jvp
):
    f = talking_jvp
    print(f(3.0))
    print(vmap(f)(jnp.arange(3.0)))
    print(jit(f)(3.0))
    printed("""
        called f!
        0.14112
        called f!
        [0. 0.84147096 0.9092974 ]
        called f!
        0.14112
    """)


def test_custom_jvp_calls_its_rule_in_forward_mode(printed, talking_jvp):
    _, y_dot = jvp(talking_jvp, (3.0,), (1.0,))
    print(y_dot)
    printed("""
        called f_jvp!
        called f!
        -0.9899925
    """)


def test_custom_jvp_calls_its_rule_in_reverse_mode(printed, talking_jvp):
    print(grad(talking_jvp)(3.0))
    printed("""
        called f_jvp!
        called f!
        -0.9899925
    """)


def test_custom_jvp_calls_its_rule_once_per_order(printed, talking_jvp):
    print(repr(grad(grad(talking_jvp))(3.0)))
    printed("""
        called f_jvp!
        called f_jvp!
        called f!
        DeviceArray(-0.14112, dtype=float32)
    """)


def test_custom_jvp_allows_python_control_flow(printed):
    @custom_jvp
    def f(x):
        if x > 0:
            return jnp.sin(x)
        else:
            return jnp.cos(x)

    @f.defjvp
    def f_jvp(primals, tangents):
        (x,) = primals
        (x_dot,) = tangents
        ans = f(x)
        if x > 0:
            return ans, 2 * x_dot
        else:
            return ans, 3 * x_dot

    print(grad(f)(1.0))
    print(grad(f)(-1.0))
    printed("""
        2.0
        3.0
    """)


# Basic usage of custom_vjp


def test_custom_vjp_basic_usage(printed):
    @custom_vjp
    def f(x):
        return jnp.sin(x)

    def f_fwd(x):
        return f(x), jnp.cos(x)

    def f_bwd(cos_x, y_bar):
        return (cos_x * y_bar,)

    f.defvjp(f_fwd, f_bwd)

    print(f(3.0))
    print(grad(f)(3.0))
    printed("""
        0.14112
        -0.9899925
    """)


def test_custom_vjp_takes_several_arguments(printed):
    @custom_vjp
    def f(x, y):
        return jnp.sin(x) * y

    def f_fwd(x, y):
        return f(x, y), (jnp.cos(x), jnp.sin(x), y)

    def f_bwd(res, g):
        cos_x, sin_x, y = res
        return (cos_x * g * y, -sin_x * g)

    f.defvjp(f_fwd, f_bwd)

    print(grad(f)(2.0, 3.0))
    printed("-1.2484405")


@pytest.fixture
def talking_vjp():
    """The document's sine whose function, fwd and bwd say when they are called."""

    @custom_vjp
    def f(x):
        print("called f!")
        return jnp.sin(x)

    def f_fwd(x):
        print("called f_fwd!")
        return f(x), jnp.cos(x)

    def f_bwd(cos_x, y_bar):
        print("called f_bwd!")
        return (cos_x * y_bar,)

    f.defvjp(f_fwd, f_bwd)
    return f


def test_custom_vjp_calls_only_the_function_outside_differentiation(
    printed, talking_vjp
):
    print(talking_vjp(3.0))
    printed("""
        called f!
        0.14112
    """)


def test_custom_vjp_calls_fwd_then_function_then_bwd(printed, talking_vjp):
    print(grad(talking_vjp)(3.0))
    printed("""
        called f_fwd!
        called f!
        called f_bwd!
        -0.9899925
    """)


def test_vjp_calls_bwd_only_when_the_pullback_is_applied(printed, talking_vjp):
    y, f_vjp = vjp(talking_vjp, 3.0)
    print(y)
    printed("""
        called f_fwd!
        called f!
        0.14112
    """)
    print(f_vjp(1.0))
    printed("""
        called f_bwd!
        (DeviceArray(-0.9899925, dtype=float32),)
    """)


def test_forward_mode_on_custom_vjp_says_it_cannot(printed, talking_vjp):
    with pytest.raises(
        TypeError,
        match=re.escape(
            "can't apply forward-mode autodiff (jvp) to a custom_vjp function"
        ),
    ):
        jvp(talking_vjp, (3.0,), (1.0,))
    printed("""
        called f_fwd!
        called f!
    """)


# Python debugging


def test_pdb_stops_in_the_backward_pass_on_concrete_values(monkeypatch):
    seen = []
    monkeypatch.setattr(
        pdb, "set_trace", lambda: seen.append(dict(sys._getframe(1).f_locals))
    )

    @custom_vjp
    def debug(x):
        return x

    def debug_fwd(x):
        return x, x

    def debug_bwd(x, g):
        pdb.set_trace()
        return g

    debug.defvjp(debug_fwd, debug_bwd)

    def foo(x):
        y = x**2
        y = debug(y)
        return jnp.sin(y)

    gradient = grad(foo)(3.0)
    [stop] = seen
    np.testing.assert_allclose([stop["x"], stop["g"]], [9.0, -0.91113025], rtol=1e-5)
    np.testing.assert_allclose(gradient, 6 * -0.91113025, rtol=1e-5)


# Containers

Point = namedtuple("Point", ["x", "y"])

POINT_LINES = """
    {'a': 1.0, 'b': (DeviceArray(0.84147096, dtype=float32), \
DeviceArray(-0.41614684, dtype=float32))}
    Point(x=DeviceArray(2.5403023, dtype=float32), y=array(0., dtype=float32))
"""


def show_point(f):
    """Prints the value and the gradient which the document prints for each `f`."""

    def fun(pt):
        dct = f(pt)
        return dct["a"] + dct["b"][0]

    pt = Point(1.0, 2.0)
    print(f(pt))
    print(grad(fun)(pt))


def test_custom_jvp_takes_and_returns_containers(printed):
    @custom_jvp
    def f(pt):
        x, y = pt.x, pt.y
        return {"a": x**2, "b": (jnp.sin(x), jnp.cos(y))}

    @f.defjvp
    def f_jvp(primals, tangents):
        (pt,) = primals
        (pt_dot,) = tangents
        ans = f(pt)
        ans_dot = {
            "a": 2 * pt.x * pt_dot.x,
            "b": (jnp.cos(pt.x) * pt_dot.x, -jnp.sin(pt.y) * pt_dot.y),
        }
        return ans, ans_dot

    show_point(f)
    printed(POINT_LINES)


def test_custom_vjp_takes_and_returns_containers(printed):
    @custom_vjp
    def f(pt):
        x, y = pt.x, pt.y
        return {"a": x**2, "b": (jnp.sin(x), jnp.cos(y))}

    def f_fwd(pt):
        return f(pt), pt

    def f_bwd(pt, g):
        a_bar, (b0_bar, b1_bar) = g["a"], g["b"]
        x_bar = 2 * pt.x * a_bar + jnp.cos(pt.x) * b0_bar
        y_bar = -jnp.sin(pt.y) * b1_bar
        return (Point(x_bar, y_bar),)

    f.defvjp(f_fwd, f_bwd)

    show_point(f)
    printed(POINT_LINES)


# Non-differentiable arguments


def test_custom_jvp_takes_a_nondiff_argument(printed):
    @partial(custom_jvp, nondiff_argnums=(0,))
    def app(f, x):
        return f(x)

    @app.defjvp
    def app_jvp(f, primals, tangents):
        (x,) = primals
        (x_dot,) = tangents
        return f(x), 2.0 * x_dot

    print(app(lambda x: x**3, 3.0))
    print(grad(app, 1)(lambda x: x**3, 3.0))
    printed("""
        27.0
        2.0
    """)


def test_nondiff_arguments_come_first_in_the_jvp_rule(printed):
    @partial(custom_jvp, nondiff_argnums=(0, 2))
    def app2(f, x, g):
        return f(g(x))

    @app2.defjvp
    def app2_jvp(f, g, primals, tangents):
        (x,) = primals
        (x_dot,) = tangents
        return f(g(x)), 3.0 * x_dot

    print(app2(lambda x: x**3, 3.0, lambda y: 5 * y))
    print(grad(app2, 1)(lambda x: x**3, 3.0, lambda y: 5 * y))
    printed("""
        3375.0
        3.0
    """)


def test_custom_vjp_takes_a_nondiff_argument(printed):
    @partial(custom_vjp, nondiff_argnums=(0,))
    def app(f, x):
        return f(x)

    def app_fwd(f, x):
        return f(x), x

    def app_bwd(f, x, g):
        return (5 * g,)

    app.defvjp(app_fwd, app_bwd)

    print(app(lambda x: x**2, 4.0))
    print(grad(app, 1)(lambda x: x**2, 4.0))
    printed("""
        16.0
        5.0
    """)


@pytest.mark.parametrize("decorator", [custom_jvp, custom_vjp])
def test_a_traced_array_in_a_nondiff_position_is_an_error(decorator):
    @partial(decorator, nondiff_argnums=(0,))
    def scale(factor, x):
        return factor * x

    with pytest.raises(TypeError, match="nondiff_argnums"):
        jit(scale)(2.0, 3.0)


# Keyword and default arguments


@pytest.mark.parametrize("decorator", [custom_jvp, custom_vjp])
def test_keyword_and_default_arguments_map_to_positions(printed, decorator):
    @decorator
    def f(x, y=3.0):
        return jnp.sin(x) * y

    if decorator is custom_jvp:
        f.defjvps(lambda t, ans, x, y: jnp.cos(x) * t * y, None)
    else:
        f.defvjp(
            lambda x, y: (f(x, y), (jnp.cos(x), y)),
            lambda res, g: (res[0] * g * res[1], None),
        )

    print(f(2.0), f(2.0, y=3.0), f(y=3.0, x=2.0))
    print(grad(f)(2.0), grad(f)(2.0, y=3.0))
    printed("""
        2.7278922 2.7278922 2.7278922
        -1.2484405 -1.2484405
    """)
