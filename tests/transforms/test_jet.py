"""jet: derivatives along curves, of functions, programs, rules; alone and composed."""

import gc
import math

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    debug,
    float0,
    grad,
    jit,
    jvp,
    lax,
    make_jaxpr,
    ode,
    scipy,
    vmap,
)
from pullback.config import config
from pullback.errors import (
    ArgumentError,
    CapturedError,
    ForwardModeError,
    MissingRule,
    TreeError,
)
from pullback.experimental.jet import jet
from pullback.extend import Primitive, frozen
from pullback.transforms.curves import Curve
from tests.jet_checks import check_jet


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


def derivatives(f, x, order):
    """Give the derivatives of a function of one number, by `jet`."""
    terms = [1.0, *[None] * (order - 1)]
    return np.array(jet(f, (x,), (terms,))[1])


def nested(f, x, order):
    """Give them by `jvp`, again and again."""
    found = []
    for _ in range(order):
        f = (lambda g: lambda t: jvp(g, (t,), (1.0,))[1])(f)
        found.append(f(x))
    return np.array(found)


def check(f, x=0.4, order=4):
    np.testing.assert_allclose(derivatives(f, x, order), nested(f, x, order), 1e-9)


# Closed forms.

ORDERS = range(1, 11)


@pytest.mark.parametrize(
    ("f", "wanted"),
    [
        (jnp.exp, [math.exp(0.7) for _ in ORDERS]),
        (jnp.sin, [math.sin(0.7 + k * math.pi / 2) for k in ORDERS]),
        (jnp.cos, [math.cos(0.7 + k * math.pi / 2) for k in ORDERS]),
        (jnp.sinh, [(math.sinh, math.cosh)[k % 2](0.7) for k in ORDERS]),
        (
            jnp.log,
            [-((-1.0) ** k) * math.factorial(k - 1) / 0.7**k for k in ORDERS],
        ),
        (
            lambda x: 1 / x,
            [(-1.0) ** k * math.factorial(k) / 0.7 ** (k + 1) for k in ORDERS],
        ),
        (lambda x: x**5, [math.perm(5, k) * 0.7 ** max(5 - k, 0) for k in ORDERS]),
        (
            lambda x: x**2.5,
            [math.prod(2.5 - i for i in range(k)) * 0.7 ** (2.5 - k) for k in ORDERS],
        ),
    ],
    ids=["exp", "sin", "cos", "sinh", "log", "reciprocal", "integer power", "power"],
)  # fmt: skip
def test_derivatives_are_the_closed_forms(f, wanted):
    np.testing.assert_allclose(derivatives(f, 0.7, 10), wanted, 1e-11, 1e-11)


def test_a_power_is_right_where_its_base_is_zero():
    exponents = jnp.array([2.0, 0.0, 3.0])
    zeros, ones = jnp.zeros(3), jnp.ones(3)
    terms = [ones, None, None]
    found = jet(lambda x: jnp.power(x, exponents), (zeros,), (terms,))[1]
    np.testing.assert_array_equal(found, [[0, 0, 0], [2, 0, 0], [0, 0, 6]])


def test_a_quotient_may_move_late():
    def terms(x, y):
        return jet(jnp.divide, (3.0, 2.0), (x, y))[1]

    np.testing.assert_allclose(terms([None, 1.0], [None, None]), [0, 1 / 2])
    np.testing.assert_allclose(terms([None, None], [None, 1.0]), [0, -3 / 4])
    np.testing.assert_allclose(terms([None, 1.0], [None, 1.0]), [0, -1 / 4])
    np.testing.assert_allclose(terms([1.0, None], [None, 1.0]), [1 / 2, -3 / 4])


def test_an_equation_is_integrated_by_its_series():
    def rhs(y):
        return y * (1 - y)

    start, order = jnp.float64(0.25), 12
    terms = [rhs(start)]
    for _ in range(order - 1):
        f, series = jet(rhs, (start,), (terms,))
        terms = [f, *series]
    t = 0.5
    found = start + sum(c * t**k / math.factorial(k) for k, c in enumerate(terms, 1))
    np.testing.assert_allclose(found, 1 / (1 + 3 * np.exp(-t)), 1e-10)


# What goes in and comes out.


def test_series_are_lists_in_the_place_of_arrays_in_containers():
    def f(d, c):
        return {"product": d["a"] * d["b"][0], "sum": (d["a"] + c, c)}

    d = {"a": 2.0, "b": [3.0]}
    out, series = jet(f, (d, 5.0), ({"a": [1.0, 0.5], "b": [(7.0, None)]}, None))
    assert (out["product"], out["sum"]) == (6.0, (7.0, 5.0))
    assert series["product"] == [1.0 * 3 + 2 * 7, 0.5 * 3 + 2 * 1.0 * 7]
    assert series["sum"] == ([1.0, 0.5], [0.0, 0.0])


def test_outputs_of_one_jet_are_inputs_of_another():
    x, terms = 0.3, [1.0, 0.5, -1.0]
    y, series = jet(lambda x: (jnp.sin(x), x * x), (x,), (terms,))
    once = jet(lambda p: p[0] * p[1], (y,), (series,))
    whole = jet(lambda x: jnp.sin(x) * x * x, (x,), (terms,))
    np.testing.assert_allclose(once[1], whole[1], 1e-12)


def test_terms_may_be_coefficients():
    terms = [1.0, 0.5, -1.0]
    scales = [1, 2, 6]
    found = jet(jnp.sin, (0.3,), (terms,), factorial_scaled=False)[1]
    scaled = [c * n for c, n in zip(terms, scales)]
    wanted = np.array(jet(jnp.sin, (0.3,), (scaled,))[1]) / scales
    np.testing.assert_allclose(found, wanted, 1e-12)


def test_an_empty_series_gives_the_value():
    assert jet(jnp.sin, (0.5,), ([],)) == (jnp.sin(0.5), [])
    assert jet(lambda: 1.0, (), ()) == (1.0, [])


def test_integers_rest():
    def f(x, n):
        return x * n, n + 1, jnp.floor(x), x > 0

    out, series = jet(f, (0.5, 3), ([1.0, 2.0], None))
    assert [float(c) for c in series[0]] == [3.0, 6.0]
    assert [c.dtype for c in series[1]] == [float0, float0]
    assert [float(c) for c in series[2]] == [0.0, 0.0]
    assert out[1] == 4


def test_a_python_branch_may_ask_for_the_value():
    f = lambda x: x * x if x > 0 else -x  # noqa: E731
    np.testing.assert_array_equal(derivatives(f, 0.5, 2), [1.0, 2.0])
    seen = []
    jet(lambda x: seen.append(repr(x)) or x, (0.5,), ([1.0],))
    assert seen == ["JetTracer<f64[]>"]


# Programs.


def body(c, a):
    return jnp.sin(c) * a, c * c


PROGRAMS = {
    "jit": jit(lambda x: jnp.sin(x) * x),
    "jit in jit": jit(lambda x: jit(jnp.exp)(x) * jit(lambda y: y * 2)(x)),
    "checkpoint": checkpoint(lambda x: jnp.sin(x) * x),
    "scan": lambda x: lax.scan(body, x, jnp.arange(3.0) + x)[0],
    "scan, stacked": lambda x: lax.scan(body, x, jnp.arange(1.0, 4.0))[1].sum(),
    "scan, a constant moves": lambda x: lax.scan(
        lambda c, a: (c * x + a, a), 0.5, jnp.arange(3.0), reverse=True
    )[0],
    "fori_loop": lambda x: lax.fori_loop(0, 4, lambda i, y: jnp.sin(y) * x, 0.3),
    "while_loop": lambda x: lax.while_loop(
        lambda s: s[0] < 3.0, lambda s: (s[0] * 1.5 + x * s[1], s[1] * x), (x, x)
    )[0],
    "while_loop, bounded": lambda x: lax.while_loop(
        lambda y: y < 3.0, lambda y: y * 1.5 + x * y, x, max_steps=2
    ),
    "cond": lambda x: lax.cond(x > 0, lambda y: y**3 * x, lambda y: y, x),
    "switch": lambda x: lax.switch(
        jnp.int32(x * 4), [lambda y: y, lambda y: jnp.exp(y) * x, lambda y: 3.0], x
    ),
    "solve": lambda x: jnp.linalg.solve(
        jnp.stack([x, 1.0, 2.0, x * x + 3]).reshape(2, 2), jnp.stack([x, 1.0])
    ).sum(),
    "custom_root": lambda x: lax.custom_root(
        lambda y: y**3 + x * y - 2,
        1.0,
        lambda f, y: lax.fori_loop(
            0, 30, lambda i, y: y - f(y) / jvp(f, (y,), (1.0,))[1], y
        ),
        lambda g, y: y / g(1.0),
    ),
    "odeint": lambda x: ode.odeint(
        lambda y, t: -x * y, 1.0, jnp.array([0.0, 1.0]), rtol=1e-11, atol=1e-11
    )[-1],
    "minimum found": lambda x: scipy.linalg.expm(
        jnp.stack([x, 1.0, 2.0, x * x]).reshape(2, 2)
    ).sum(),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_moves_as_its_operations(name):
    f = PROGRAMS[name]
    check(f, 0.4, 3)
    compiled = jit(lambda x: jet(f, (x,), ([1.0, None, None],))[1])(0.4)
    np.testing.assert_allclose(compiled, derivatives(f, 0.4, 3), 1e-9)


def test_a_jitted_function_stays_one_call():
    f = jit(lambda x: jnp.sin(x) * x)
    closed = make_jaxpr(lambda x: jet(f, (x,), ([1.0, None],)))(0.4)
    assert [e.primitive.name for e in closed.eqns] == ["jit", "mul"]


def test_a_loop_carries_only_what_moves():
    def f(x):
        return lax.scan(lambda c, a: ((c[0] * a, c[1] + 1.0), a), (x, 0.0), ROWS)[0]

    closed = make_jaxpr(lambda x: jet(f, (x,), ([1.0, None],)))(0.4)
    (loop,) = [e for e in closed.eqns if e.primitive.name == "scan"]
    assert loop.primitive.num_carry == 3


ROWS = jnp.arange(1.0, 4.0)


# Rules of users.


@custom_jvp
def odd(x):
    return jnp.sin(x)


@odd.defjvp
def odd_jvp(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    return odd(x), 2 * jnp.cos(x) * odd(x) * x_dot


@custom_jvp
def growing(x):
    return jnp.exp(x)


growing.defjvps(lambda t, ans, x: 3 * ans * t)


@custom_jvp
def compiled_rule(x):
    return jnp.sin(x)


@compiled_rule.defjvp
def compiled_rule_jvp(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    ans = compiled_rule(x)
    slope = jit(lambda y, x: y * jnp.cos(x))(ans, x)
    total, _ = lax.scan(lambda c, a: (c * a + ans, None), slope, jnp.arange(3.0))
    return ans, jit(jnp.tanh)(x) * total * x_dot


@pytest.mark.parametrize("f", [odd, growing, compiled_rule, jit(odd), vmap(growing)])
def test_a_jvp_rule_says_all_derivatives(f):
    if f.__name__ == "growing" and f is not growing:
        f = (lambda g: lambda x: g(jnp.stack([x, 2 * x])).sum())(f)
    check(f)


def test_a_jvp_rule_says_what_the_value_is():
    f = custom_jvp(lambda x: x * x)
    f.defjvp(lambda primals, tangents: (primals[0] * 10, tangents[0]))
    assert jet(f, (2.0,), ([1.0, None],)) == (20.0, [1.0, 0.0])


def test_a_long_rule_is_no_deep_recursion():
    @custom_jvp
    def long(x):
        return jnp.sin(x)

    @long.defjvp
    def long_jvp(primals, tangents):
        y = slope = long(*primals)
        for _ in range(1200):
            slope = slope * 1.0
        return y, slope * tangents[0]

    y = math.sin(0.3)
    np.testing.assert_allclose(derivatives(long, 0.3, 3), [y, y, y], 1e-12)


def test_a_reverse_rule_alone_gives_the_error_of_forward_mode():
    f = custom_vjp(lambda x: x * x)
    f.defvjp(lambda x: (x * x, x), lambda x, ct: (2 * x * ct,))
    with pytest.raises(ForwardModeError, match="only the reverse rule"):
        jet(f, (2.0,), ([1.0],))
    check(grad(f))


def test_a_captured_value_that_moves_is_an_error_where_it_is_asked_for():
    def f(x):
        g = custom_vjp(lambda y: y * x)
        g.defvjp(lambda y: (y * x, None), lambda res, ct: (ct,))
        y = g(1.0)
        z, positive = jit(lambda y: (y * 2.0, y > 0))(jnp.sin(y))
        return (x, positive), y, z

    (_, positive), (terms, _) = jet(lambda x: f(x)[0], (3.0,), ([1.0, 2.0],))
    assert (terms, positive) == ([1.0, 2.0], True)
    for i in (1, 2):
        with pytest.raises(CapturedError, match="captures `x`"):
            jet(lambda x, i=i: f(x)[i], (3.0,), ([1.0, 2.0],))


def test_a_rule_may_ask_for_the_derivative_by_a_captured_value():
    f = custom_jvp(lambda x: x * x)

    @f.defjvp
    def f_jvp(primals, tangents):
        (x,), (x_dot,) = primals, tangents
        g = custom_vjp(lambda y: y * x)
        g.defvjp(lambda y: (y * x, None), lambda res, ct: (ct,))
        return f(x), 2 * g(1.0) * x_dot

    assert jet(f, (3.0,), ([1.0],))[1] == [6.0]
    with pytest.raises(CapturedError, match="captures `x`"):
        jet(f, (3.0,), ([1.0, 2.0],))


def test_a_rule_may_print():
    seen = []

    def f(x):
        debug.callback(seen.append, x)
        return x * x

    assert jet(f, (3.0,), ([1.0, None],))[1] == [6.0, 2.0]
    assert seen == [3.0]


@frozen
class Doubled(Primitive):
    """Twice the operand, without a derivative."""

    def abstract(self, x):
        return x

    def eager(self, x):
        return 2 * x


@frozen
class Noted(Doubled):
    """The same, for its effects, with a derivative."""

    effects = True

    def jvp(self, primals, tangents):
        return self(*primals), self(*tangents)


def test_an_operation_of_effects_has_its_derivative():
    f = lambda x: Noted()(x * x)  # noqa: E731
    assert jet(f, (3.0,), ([1.0, None],)) == (18.0, [12.0, 4.0])


def test_an_operation_without_a_derivative_says_so():
    with pytest.raises(MissingRule, match="operation doubled has no jvp rule"):
        jet(lambda x: Doubled()(jnp.asarray(x)), (3.0,), ([1.0],))


# Compositions.


def curve(x):
    return jet(lambda y: jnp.sin(y) * y, (x,), ([1.0, x],))[1]


def test_jet_under_jit_and_vmap():
    xs = jnp.arange(1.0, 4.0)
    wanted = np.stack([curve(x) for x in xs], axis=1)
    np.testing.assert_allclose(vmap(curve)(xs), wanted, 1e-12)
    np.testing.assert_allclose(jit(vmap(curve))(xs), wanted, 1e-12)


def test_jet_of_vmap():
    xs = jnp.arange(1.0, 4.0)
    terms = [jnp.ones(3), xs]
    found = jet(vmap(lambda y: jnp.sin(y) * y), (xs,), (terms,))[1]
    np.testing.assert_allclose(found, vmap(curve)(xs), 1e-12)


def test_jet_across_a_mapped_axis():
    def f(x):
        return jet(lambda y: lax.psum(y * y, "i"), (x,), ([1.0, None],))[1]

    found = vmap(f, axis_name="i")(jnp.arange(3.0))
    np.testing.assert_allclose(found, [[6.0] * 3, [6.0] * 3])


@pytest.mark.parametrize("outer", [grad, lambda f: jit(grad(f))])
def test_grad_of_jet(outer):
    found = outer(lambda x: curve(x)[1])(0.4)
    eps = 1e-6
    wanted = (curve(0.4 + eps)[1] - curve(0.4 - eps)[1]) / (2 * eps)
    np.testing.assert_allclose(found, wanted, 1e-7)


@pytest.mark.parametrize(
    "f",
    [
        grad(lambda x: jnp.sin(x) * jnp.exp(x)),
        jit(grad(jit(lambda x: jnp.sin(x) * jnp.exp(x)))),
        grad(lambda x: lax.scan(body, x, jnp.arange(1.0, 4.0))[0]),
        lambda x: jvp(jnp.tanh, (x,), (x * x,))[1],
        lambda x: jet(jnp.sin, (x,), ([x * x, 1.0],))[1][1],
    ],
    ids=["grad", "jit of grad of jit", "grad of scan", "jvp", "jet"],
)
def test_jet_of_other_transformations(f):
    check(f)


def test_complex_functions_have_series():
    z = jnp.array([0.3 + 0.4j, 1.0 - 0.5j])
    check_jet(lambda z: [jnp.exp(z) / (1 + z * z), jnp.abs(z)], [z])


# What it costs.


def test_curves_made_of_themselves_are_no_cycles():
    gc.collect()
    gc.disable()
    try:
        derivatives(lambda x: jnp.exp(x) * jnp.sin(jnp.sqrt(x)), 0.3, 4)
        left = [x for x in gc.get_objects() if isinstance(x, Curve)]
    finally:
        gc.enable()
    assert left == []


def test_what_a_rule_applies_for_its_effects_is_applied_each_time():
    seen = []
    f = custom_jvp(lambda x: x)

    @f.defjvp
    def f_jvp(primals, tangents):
        for _ in range(2):
            debug.callback(lambda x: seen.append(float(x)), primals[0])
        return primals[0], tangents[0]

    jet(f, (3.0,), ([1.0, None],))
    assert seen == [3.0, 3.0]


def chain(x):
    for _ in range(4):
        x = jnp.sin(x * x) / (1 + jnp.exp(x))
    return x


def count_eqns(f, order):
    terms = [1.0] * order
    closed = make_jaxpr(lambda x, *c: jet(f, (x,), (list(c),)))(0.5, *terms)
    return len(closed.eqns)


@pytest.mark.parametrize(
    ("f", "power"),
    [
        *[(f, 2.1) for f in (chain, jnp.tan, jnp.arctan2, jnp.tanh, lax.erf)],
        *[(f, 3.0) for f in (lambda x: x**2.5, lax.lgamma, growing)],
    ],
    ids="chain tan atan2 tanh erf power lgamma custom".split(),
)
def test_the_number_of_operations_grows_as_a_power_of_the_order(f, power):
    if f is jnp.arctan2:
        f = lambda x: jnp.arctan2(x, 1 + x * x)  # noqa: E731
    growth = count_eqns(f, 24) / count_eqns(f, 12)
    assert growth < 2**power


def test_constants_cost_nothing():
    def f(x, y):
        return jnp.sin(x) * y

    def g(x, y):
        return jet(f, (x, y), (None, [1.0, None, 0.0]))

    names = [e.primitive.name for e in make_jaxpr(g)(0.5, 2.0).eqns]
    assert [n for n in names if n != "full"] == ["sin", "mul", "mul"]


# Errors.


def line(f, *args):
    with pytest.raises((TreeError, ArgumentError)) as info:
        jet(f, *args)
    assert "test_jet.py:" in str(info.value)
    return str(info.value)


def test_what_is_no_tuple_is_refused():
    assert "jet of sin: primals is a float, not a tuple." in line(jnp.sin, 1.0, ([],))
    said = line(jnp.sin, (1.0,), 1.0)
    assert "jet of sin: series is a float, not a tuple." in said
    assert (
        "Write jet(fun, (x,), ([x_dot, x_dot_dot],)), with a tuple for series" in said
    )


def test_what_is_no_list_of_terms_is_refused():
    said = line(jnp.sin, (1.0,), (1.0,))
    wanted = "series[0] is Python float where a list of terms f64[] is expected."
    assert wanted in said
    assert "Give each array a list of terms in its place" in said


def test_lists_of_different_lengths_are_refused():
    said = line(jnp.add, (1.0, 1.0), ([1.0], [1.0, 2.0]))
    assert "inconsistent lengths: 1 at series[0], 2 at series[1]." in said
    assert "None stands for zero" in said
    with pytest.raises(ValueError, match="inconsistent lengths"):
        jet(jnp.add, (1.0, 1.0), ([1.0], []))


@pytest.mark.parametrize(
    ("primal", "terms", "said"),
    [
        (1.0, [np.ones(3)], "series[0][0] is f64[3] where f64[] is expected"),
        (1.0, [None, "a"], "series[0][1] is a str where an array f64[] is expected"),
        (1.0, [1j], "series[0][0] is complex c128[] where real f64[] is expected"),
        (1, [1.0], "series[0][0] is Python float where None or float0 is expected"),
        ({"a": 1.0}, {"b": [1.0]}, "series[0] is missing key 'a', unexpected key 'b'"),
        ({"a": 1.0}, [1.0], "series[0] is a list where a dict is expected"),
    ],
)
def test_terms_that_do_not_fit_are_refused(primal, terms, said):
    assert said in line(lambda x: x, (primal,), (terms,))


def test_too_many_series_are_refused():
    said = line(jnp.sin, (1.0,), ([1.0], [1.0]))
    assert "series is 2 entries where 1 is expected" in said


def test_a_value_kept_too_long_is_named():
    kept = []
    jet(lambda x: kept.append(x) or x, (0.5,), ([1.0],))
    with pytest.raises(Exception, match=r"with a Taylor series \(jet\)"):
        jnp.sin(kept[0])
