"""Programs about arguments that are not differentiated: rules.md, section 1."""

import functools

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import custom_jvp, custom_vjp, grad, jit, jvp, make_jaxpr, vjp, vmap
from pullback.errors import ArgumentError, NondiffError

BOTH = pytest.mark.parametrize("decorator", [custom_jvp, custom_vjp])


def scaled_power(decorator, **options):
    """x * weight ** 2, whose derivative is said to be 100 * weight."""

    @decorator(nondiff_argnums=(1,), **options)
    def f(x, weight):
        return x * weight**2

    if decorator is custom_jvp:
        f.defjvp(
            lambda w, primals, tangents: (f(primals[0], w), 100.0 * w * tangents[0])
        )
    else:
        f.defvjp(lambda x, w: (f(x, w), None), lambda w, res, g: (100.0 * w * g,))
    return f


@pytest.fixture
def stop_gradient():
    with pullback.config.context(nondiff_arrays="stop_gradient"):
        yield


@BOTH
def test_nondiff_values_come_first_in_rules(decorator):
    @decorator(nondiff_argnums=(2, 0))
    def f(a, x, b, y):
        return x + y

    if decorator is custom_jvp:

        @f.defjvp
        def rule(a, b, primals, tangents):
            assert (a, b) == ("left", "right")
            (x, y), (dx, dy) = primals, tangents
            return f(a, x, b, y), 2.0 * dx + 3.0 * dy

    else:

        def fwd(a, x, b, y):
            assert (a, b) == ("left", "right")
            return f(a, x, b, y), None

        def bwd(a, b, res, g):
            assert (a, b) == ("left", "right")
            return 2.0 * g, 3.0 * g

        f.defvjp(fwd, bwd)
    assert grad(f, (1, 3))("left", 1.0, "right", 1.0) == (2.0, 3.0)


@BOTH
def test_nondiff_argument_can_be_given_by_keyword(decorator):
    f = scaled_power(decorator)
    assert grad(lambda x: f(weight=2.0, x=x))(1.0) == 200.0


@BOTH
def test_nondiff_argnames_mark_keyword_only_parameters(decorator):
    @decorator(nondiff_argnames=("mode",))
    def f(x, *, mode="up"):
        return x if mode == "up" else -x

    if decorator is custom_jvp:
        f.defjvp(
            lambda mode, primals, tangents: (
                f(*primals, mode=mode),
                len(mode) * tangents[0],
            )
        )
    else:
        f.defvjp(
            lambda x, *, mode: (f(x, mode=mode), None),
            lambda mode, res, g: (float(len(mode)) * g,),
        )
    assert grad(f)(1.0) == 2.0
    assert grad(lambda x: f(x, mode="down"))(1.0) == 4.0


def test_nondiff_argnames_may_be_one_string():
    f = custom_jvp(lambda x, k: x * k, nondiff_argnames="k")
    f.defjvp(lambda k, primals, tangents: (primals[0] * k, tangents[0] * k * 10))
    assert grad(f)(1.0, 3) == 30.0


def test_defjvps_takes_nondiff_values_first():
    @custom_jvp(nondiff_argnums=(1,))
    def f(x, n, y):
        return x**n * y

    f.defjvps(
        lambda n, t, ans, x, y: n * x ** (n - 1) * y * t,
        lambda n, t, ans, x, y: 1000.0 * t,
    )
    assert grad(f)(2.0, 3, 1.0) == 12.0
    assert grad(f, 2)(2.0, 3, 1.0) == 1000.0


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        {"a": [np.float32(3)]},
        {4, 5},
        np.arange(3),
        object(),
        None,
        "text",
        (slice(0, 1), range(3)),
        lambda x: x,
    ],
    ids=lambda v: type(v).__name__,
)
@BOTH
def test_any_python_value_may_be_nondiff(decorator, value):
    @decorator(nondiff_argnums=(0,))
    def f(thing, x):
        return jnp.sin(x)

    if decorator is custom_jvp:

        @f.defjvp
        def rule(thing, primals, tangents):
            assert thing is value
            return f(thing, *primals), 5.0 * tangents[0]

    else:
        f.defvjp(
            lambda thing, x: (f(thing, x), None),
            lambda thing, res, g: (5.0 * g if thing is value else None,),
        )
    assert grad(f, 1)(value, 1.0) == 5.0
    assert jit(lambda x: grad(f, 1)(value, x))(1.0) == 5.0
    assert grad(jit(lambda x: f(value, x)))(1.0) == 5.0


@BOTH
def test_concrete_array_may_be_nondiff(decorator):
    f = scaled_power(decorator)
    w = jnp.array(2.0)
    assert grad(f)(1.0, w) == 200.0
    assert jit(grad(lambda x: f(x, w)))(1.0) == 200.0
    np.testing.assert_array_equal(
        vmap(grad(lambda x: f(x, w)))(jnp.ones(2)), [200, 200]
    )


TRACED = {
    "jit": lambda f: jit(f)(1.0, 2.0),
    "vmap": lambda f: vmap(f, (None, 0))(1.0, jnp.ones(2)),
    "grad": lambda f: grad(f, 1)(1.0, 2.0),
    "jvp": lambda f: jvp(f, (1.0, 2.0), (1.0, 1.0)),
    "grad of jit": lambda f: grad(jit(f))(1.0, 2.0),
    "jit of grad": lambda f: jit(grad(f))(1.0, 2.0),
    "make_jaxpr": lambda f: make_jaxpr(f)(1.0, 2.0),
    "container": lambda f: jit(lambda x, w: f(x, w))(1.0, 2.0),
}


@BOTH
@pytest.mark.parametrize("how", TRACED)
def test_traced_array_in_nondiff_position_is_a_clear_error(decorator, how):
    f = scaled_power(decorator)
    with pytest.raises(NondiffError, match=r"`weight` of f ") as caught:
        TRACED[how](f)
    message = str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert "nondiff_argnums" in message
    assert "Arrays need no marking" in message
    assert message.count("test_nondiff.py:") >= 2


def test_traced_array_inside_a_nondiff_container_is_an_error():
    f = custom_jvp(lambda options, x: x * options["k"], nondiff_argnums=(0,))
    f.defjvp(lambda o, primals, tangents: (f(o, *primals), tangents[0]))
    with pytest.raises(NondiffError, match="`options`"):
        jit(lambda k: f({"k": k}, 2.0))(1.0)


def test_position_out_of_range_is_told_at_the_decorator():
    with pytest.raises(ArgumentError, match=r"holds 3, but it has 2"):
        custom_jvp(lambda x, y: x, nondiff_argnums=(3,))


def test_unknown_name_is_told_at_the_decorator():
    with pytest.raises(ArgumentError, match=r"'axis', which is none of .*\(x, y\)"):
        custom_vjp(lambda x, y: x, nondiff_argnames=("axis",))


def test_negative_position_counts_from_the_end():
    f = custom_jvp(lambda x, n: x * n, nondiff_argnums=(-1,))
    f.defjvp(lambda n, primals, tangents: (primals[0] * n, 10.0 * n * tangents[0]))
    assert grad(f)(1.0, 2) == 20.0


def test_string_in_differentiable_position_says_mark_it():
    f = custom_jvp(lambda mode, x: x)
    f.defjvps(None, lambda t, ans, mode, x: t)
    with pytest.raises(
        TypeError, match=r"`mode` of .* is a str .*nondiff_argnums=\(0,\)"
    ):
        grad(f, 1)("fast", 1.0)


ORDERS = {
    "grad": lambda g: grad(g)(1.0, 2.0),
    "jit": lambda g: jit(grad(g))(1.0, 2.0),
    "grad of jit": lambda g: grad(jit(g))(1.0, 2.0),
    "vmap": lambda g: vmap(grad(g))(jnp.ones(2), jnp.full(2, 2.0))[0],
    "grad of vmap": lambda g: grad(lambda x, w: jnp.sum(vmap(g)(x, w)))(
        jnp.ones(2), jnp.full(2, 2.0)
    )[0],
    "vmap over w only": lambda g: vmap(grad(g), (None, 0))(1.0, jnp.full(2, 2.0))[0],
    "jvp": lambda g: jvp(lambda x: g(x, jnp.float32(2.0)), (1.0,), (1.0,))[1],
    "jit of jvp": lambda g: jit(lambda w: jvp(lambda x: g(x, w), (1.0,), (1.0,))[1])(
        2.0
    ),
    "vmap of jit": lambda g: vmap(jit(grad(g)))(jnp.ones(2), jnp.full(2, 2.0))[0],
    "inner grad of w": lambda g: grad(lambda w: 1.0 * w)(2.0) * grad(g)(1.0, 2.0),
}


@BOTH
@pytest.mark.parametrize("order", ORDERS)
def test_switch_lets_traced_arrays_in(decorator, order, stop_gradient):
    f = scaled_power(decorator)
    if "jvp" in order and decorator is custom_vjp:
        f.defjvp(lambda w, p, t: (f(p[0], w), 100.0 * w * t[0]))
    assert ORDERS[order](lambda x, w: f(x, w)) == 200.0


@BOTH
@pytest.mark.parametrize(
    "outer", [grad, lambda f: jit(grad(f)), lambda f: grad(jit(f))]
)
def test_switch_still_refuses_derivative_by_nondiff_value(
    decorator, outer, stop_gradient
):
    f = scaled_power(decorator)
    with pytest.raises(NondiffError, match=r"`weight` of .* f is marked"):
        outer(lambda w: f(3.0, w))(2.0)


@BOTH
def test_switch_allows_derivative_that_does_not_pass(decorator, stop_gradient):
    f = scaled_power(decorator)

    def g(x, w):
        return f(x, pullback.lax.stop_gradient(w)) + w

    if not hasattr(pullback, "lax"):
        pytest.skip("lax is not there yet")
    assert grad(g, 1)(1.0, 2.0) == 1.0


@BOTH
def test_switch_second_order(decorator, stop_gradient):
    f = scaled_power(decorator)
    outer = jit(lambda x, w: grad(lambda x: grad(lambda x: f(x, w) * x)(x))(x))
    assert outer(1.0, 2.0) == 400.0


def test_rule_may_use_the_nondiff_array_after_a_transformation_ended(stop_gradient):
    f = scaled_power(custom_vjp)
    assert jit(lambda w: vjp(lambda x: f(x, w), 1.0)[0])(2.0) == 4.0
    out, pull = vjp(lambda x: f(x, jnp.float32(2.0)), 1.0)
    assert out == 4.0
    assert pull(1.0) == (200.0,)


def test_nondiff_function_may_capture_concrete_arrays():
    table = jnp.arange(3.0)

    @functools.partial(custom_vjp, nondiff_argnums=(0,))
    def app(f, x):
        return f(x)

    app.defvjp(lambda f, x: (f(x), x), lambda f, x, g: (f(g),))
    assert grad(app, 1)(lambda x: x * table[2], 1.0) == 2.0


def test_nondiff_function_capturing_a_tracer_just_works_under_jit_and_vmap():
    @functools.partial(custom_vjp, nondiff_argnums=(0,))
    def app(f, x):
        return f(x)

    app.defvjp(lambda f, x: (f(x), None), lambda f, res, g: (f(g),))

    def h(a, x):
        return grad(app, 1)(lambda y: a * y, x)

    assert jit(h)(3.0, 1.0) == 3.0
    np.testing.assert_array_equal(vmap(h)(jnp.array([3.0, 4.0]), jnp.ones(2)), [3, 4])


@pytest.mark.parametrize("rest", [(), (1.0,), (1.0, 2.0)], ids=len)
@pytest.mark.parametrize("wrap", [lambda f: f, jit], ids=["eager", "jit"])
def test_keyword_only_names_are_marked_beside_variable_arguments(wrap, rest):
    @functools.partial(custom_jvp, nondiff_argnums=0, nondiff_argnames="mode")
    def total(what, x, *rest, mode, y=2.0):
        assert (what, mode) == ("what", "mode")
        return x * y + sum(rest)

    @total.defjvp
    def total_jvp(what, mode, primals, tangents):
        x, *rest, y = primals
        x_dot, *rest_dots, y_dot = tangents
        out = total(what, x, *rest, mode=mode, y=y)
        return out, 10.0 * (y * x_dot + x * y_dot + sum(rest_dots))

    f = wrap(lambda x, y, *rest: total("what", x, *rest, mode="mode", y=y))
    found = grad(f, tuple(range(2 + len(rest))))(3.0, 4.0, *rest)
    assert found == (40.0, 30.0, *[10.0] * len(rest))


def test_variable_arguments_are_named_by_their_number():
    f = custom_vjp(lambda x, *rest, y=1.0: x, nondiff_argnums=-1)
    with pytest.raises(TypeError, match=r"argument `rest\[1\]` .* is a str"):
        grad(f)(1.0, 2.0, "text")
    f.defvjp(lambda x, *rest, y: (x, None), lambda y, res, g: (g, "text"))
    with pytest.raises(TypeError, match=r"argument `rest\[0\]` .* a str where"):
        grad(f)(1.0, 2.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nondiff_argnums": "b"}, "holds 'b', which is no integer"),
        ({"nondiff_argnums": (1.5,)}, "holds 1.5, which is no integer"),
        ({"nondiff_argnums": 1.5}, "holds 1.5, which is no integer"),
        ({"nondiff_argnames": "rest"}, "stands for any number of arguments"),
    ],
)
def test_marks_that_are_no_position_or_name_are_told(options, message):
    with pytest.raises(ArgumentError, match=message):
        custom_jvp(lambda a, *rest: a, **options)
