"""Programs whose rules do not fit their function: rules.md, section 4.

Each message names rule, function, argument path, expected and given types, the places
of the rule and of the call, and how to mend it.
"""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import config, custom_jvp, custom_vjp, grad, jit, jvp, vjp, vmap
from pullback.errors import (
    RuleArityError,
    RuleDtypeError,
    RuleKeyError,
    RuleShapeError,
    RuleTreeError,
    TreeError,
)

HERE = "test_agreement.py:"
NESTS = pytest.mark.parametrize(
    "nest",
    [
        lambda f, *xs: grad(f, tuple(range(len(xs))))(*xs),
        lambda f, *xs: jit(grad(f, tuple(range(len(xs)))))(*xs),
        lambda f, *xs: grad(jit(f), tuple(range(len(xs))))(*xs),
    ],
    ids=["eager", "jit of grad", "grad of jit"],
)


def failing(error, use, *parts):
    """The message of the error that `use()` raises, which has all of these parts."""
    with pytest.raises(error) as caught:
        use()
    message = str(caught.value)
    for part in parts:
        assert part in message, message
    return message


def with_bwd(fun, bwd):
    f = custom_vjp(fun)
    f.defvjp(lambda *xs: (fun(*xs), xs), bwd)
    f.__name__ = "energy"
    fun.__name__ = "energy"
    return f


def check(error, fun, bwd, args, *parts, nest=None):
    bwd.__name__ = "energy_bwd"
    f = with_bwd(fun, bwd)
    use = nest or (lambda f, *xs: grad(f, tuple(range(len(xs))))(*xs))
    message = failing(
        error, lambda: use(f, *args), "rule `energy_bwd` of energy", *parts
    )
    assert message.count(HERE) >= 2, message
    assert issubclass(error, TypeError)


@NESTS
def test_too_few_cotangents(nest):
    check(
        RuleArityError,
        lambda x, y: x * y,
        lambda res, g: (g,),
        (1.0, 2.0),
        "returned 1 cotangent; energy has 2 differentiable arguments",
        "Return one entry per argument; None stands for a zero cotangent.",
        nest=nest,
    )


@NESTS
def test_too_many_cotangents(nest):
    check(
        RuleArityError,
        lambda x: x,
        lambda res, g: (g, g),
        (1.0,),
        "returned 2 cotangents; energy has 1 differentiable argument",
        nest=nest,
    )


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (lambda res, g: g, "one array f32[]"),
        (lambda res, g: None, "None"),
        (lambda res, g: {"x": g, "y": g}, "a dict"),
        (lambda res, g: "xy", "a str"),
    ],
)
def test_no_tuple_for_several_arguments(given, named):
    check(
        RuleArityError,
        lambda x, y: x * y,
        given,
        (1.0, 2.0),
        f"returned {named}, not a tuple",
        "Return a tuple",
    )


@NESTS
def test_cotangent_of_a_wrong_shape(nest):
    check(
        RuleShapeError,
        lambda x, y: jnp.sum(x) * y,
        lambda res, g: (g, g),
        (jnp.ones(3), 2.0),
        "argument `x`",
        "f32[] where f32[3] is expected",
        nest=nest,
    )


@NESTS
def test_cotangent_of_a_wrong_shape_inside_a_container(nest):
    check(
        RuleShapeError,
        lambda p: jnp.sum(p["w"][1]),
        lambda res, g: ({"b": g, "w": (g, jnp.ones((2, 2)))},),
        ({"b": 1.0, "w": (1.0, jnp.ones(2))},),
        "argument `p['w'][1]`",
        "f32[2,2] where f32[2] is expected",
        nest=nest,
    )


def test_cotangent_missing_a_sum_over_a_broadcast_axis():
    check(
        RuleShapeError,
        lambda x, y: jnp.sum(x * y),
        lambda res, g: (g * res[1] * jnp.ones(3), g * res[0]),
        (jnp.ones(3), 2.0),
        "argument `y`",
        "f32[3] where f32[] is expected",
    )


@NESTS
def test_cotangent_with_a_missing_key(nest):
    check(
        RuleKeyError,
        lambda p: p["a"] * p["b"],
        lambda res, g: ({"a": g},),
        ({"a": 1.0, "b": 2.0},),
        "argument `p`",
        "missing key 'b'",
        nest=nest,
    )


def test_cotangent_with_an_unexpected_key():
    check(
        RuleKeyError,
        lambda p: p["a"]["b"],
        lambda res, g: ({"a": {"b": g, "c": g}},),
        ({"a": {"b": 1.0}},),
        "argument `p['a']`",
        "unexpected key 'c'",
    )


def test_cotangent_of_another_container_class():
    check(
        RuleTreeError,
        lambda p: p[0] * p[1],
        lambda res, g: ([g, g],),
        ((1.0, 2.0),),
        "argument `p`",
        "a list where a tuple is expected",
    )


def test_cotangent_of_another_length():
    check(
        RuleTreeError,
        lambda x, p: x * p[0] * p[1],
        lambda res, g: (g, (g,)),
        (1.0, (1.0, 2.0)),
        "argument `p`",
        "1 entry where 2 are expected",
    )


def test_cotangent_that_is_an_array_where_a_container_is_expected():
    check(
        RuleTreeError,
        lambda x, p: x * p["a"],
        lambda res, g: (g, g),
        (1.0, {"a": 1.0}),
        "argument `p`",
        "f32[] where a dict is expected",
    )


def test_cotangent_that_is_a_container_where_an_array_is_expected():
    check(
        RuleTreeError,
        lambda x, y: x * y,
        lambda res, g: (g, {"y": g}),
        (1.0, 1.0),
        "argument `y`",
        "a dict where an array f32[] is expected",
    )


def test_cotangent_that_is_a_string():
    check(
        RuleDtypeError,
        lambda x, y: x * y,
        lambda res, g: (g, "zero"),
        (1.0, 1.0),
        "argument `y`",
        "a str where an array f32[] is expected",
    )


@NESTS
def test_complex_cotangent_of_a_real_argument(nest):
    check(
        RuleDtypeError,
        lambda x: x,
        lambda res, g: (g * 1j,),
        (jnp.ones(()),),
        "argument `x`",
        "complex c64[] where real f32[] is expected",
        nest=nest,
    )


def test_cotangent_of_a_tuple_argument_given_flat():
    check(
        RuleArityError,
        lambda x, p: x * p[0],
        lambda res, g: (g, g, g),
        (1.0, (1.0, 1.0)),
        "returned 3 cotangents; energy has 2",
    )


def test_message_shows_the_places_of_rule_and_calls():
    def energy(x):
        return x

    def energy_bwd(res, g):
        return (g, g)

    f = custom_vjp(energy)
    f.defvjp(lambda x: (x, None), energy_bwd)

    def loss(x):
        return f(x)

    message = failing(RuleArityError, lambda: grad(loss)(1.0))
    assert f"Rule at {HERE}{energy_bwd.__code__.co_firstlineno}" in message
    assert f"Forward call at {HERE}{loss.__code__.co_firstlineno + 1} (loss)" in message


# Primal outputs.

OUT = pytest.mark.parametrize("kind", ["jvp", "fwd"])


def with_primal(kind, fun, wrong):
    """A function whose rule gives a wrong primal output."""
    if kind == "jvp":
        f = custom_jvp(fun)

        @f.defjvp
        def the_rule(primals, tangents):
            out = wrong(*primals)
            return out, jax_like_zeros(out)

        return f
    f = custom_vjp(fun)

    def the_rule(x):
        return wrong(x), None

    f.defvjp(the_rule, lambda res, g: (None,))
    return f


def jax_like_zeros(out):
    return None


@OUT
@NESTS
@pytest.mark.parametrize(
    ("wrong", "error", "parts"),
    [
        (lambda x: jnp.ones(2) * x, RuleShapeError, ["f32[2]", "f32[]"]),
        (lambda x: x.astype("float16"), RuleDtypeError, ["f16[]", "f32[]"]),
        (lambda x: (x,), RuleTreeError, ["(*,)", "*"]),
        (lambda x: {"y": x}, RuleTreeError, ["{'y': *}"]),
        (lambda x: None, RuleTreeError, ["None"]),
    ],
)
def test_primal_output_is_held_against_the_function(kind, nest, wrong, error, parts):
    def energy(x):
        return jnp.sin(x)

    f = with_primal(kind, energy, wrong)
    name = "custom_jvp rule" if kind == "jvp" else "custom_vjp fwd rule"
    message = failing(
        error,
        lambda: nest(f, jnp.float32(1.0)),
        f"{name} `the_rule` of energy",
        "primal output",
        *parts,
    )
    assert message.count(HERE) >= 2


@OUT
def test_primal_output_in_a_container_names_the_path(kind):
    f = with_primal(kind, lambda x: {"a": (x, x)}, lambda x: {"a": (x, jnp.ones(3))})
    failing(
        RuleShapeError,
        lambda: grad(lambda x: f(x)["a"][0])(1.0),
        "at ['a'][1] of type f32[3]; the function's is f32[]",
    )


def test_structure_of_primal_output_is_written_readably():
    f = with_primal(
        "fwd", lambda x: {"a": (x, x), "b": [x]}, lambda x: ({"a": x}, [x, x])
    )
    failing(
        RuleTreeError,
        lambda: grad(lambda x: f(x)["a"][0])(1.0),
        "expected {'a': (*, *), 'b': [*]}, given ({'a': *}, [*, *])",
    )


@pytest.mark.parametrize("nondiff", [[1, 2], lambda: 3, {"a": np.ones(2)}])
def test_primal_output_is_held_against_functions_with_any_static_value(nondiff):
    f = custom_vjp(lambda s, x: x, nondiff_argnums=(0,))
    f.defvjp(lambda s, x: (jnp.ones(2), None), lambda s, res, g: (None,))
    failing(RuleShapeError, lambda: grad(lambda x: f(nondiff, x).sum())(1.0), "f32[2]")


def test_primal_output_of_a_branching_function_is_not_checked_by_tracing():
    @custom_jvp
    def f(x):
        return jnp.sin(x) if x > 0 else jnp.cos(x)

    f.defjvp(lambda p, t: (p[0], 2.0 * t[0]))
    assert grad(f)(1.0) == 2.0


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("jvp", lambda: None, "None"),
        ("jvp", lambda: (1.0, 2.0, 3.0), "3 values"),
        ("jvp", lambda: jnp.float32(1.0), "one array f32[]"),
        ("fwd", lambda: jnp.float32(1.0), "one array f32[]"),
        ("fwd", lambda: (1.0,), "1 value"),
    ],
)
def test_rule_returning_no_pair(kind, given, said):
    def the_rule(*args):
        return given()

    f = custom_jvp(lambda x: x)
    if kind == "jvp":
        f.defjvp(the_rule)
    else:
        f.defvjp(the_rule, lambda r, g: (g,))
    wanted = "primal_out, tangent_out" if kind == "jvp" else "residuals"
    failing(
        RuleArityError,
        lambda: grad(f)(1.0),
        f"rule `the_rule` of <lambda> returned {said}, not a pair",
        wanted,
    )


# Tangent outputs.


@NESTS
@pytest.mark.parametrize(
    ("fun", "dot", "error", "part"),
    [
        (
            lambda x: x,
            lambda t: jnp.stack([t, t]),
            RuleShapeError,
            "f32[2] where f32[] is expected",
        ),
        (
            lambda x: (x, x),
            lambda t: t,
            RuleTreeError,
            "f32[] where a tuple is expected",
        ),
        (lambda x: {"a": x}, lambda t: {"b": t}, RuleKeyError, "missing key 'a'"),
        (
            lambda x: (x, x),
            lambda t: (t,),
            RuleTreeError,
            "1 entry where 2 are expected",
        ),
        (
            lambda x: x,
            lambda t: 1j * t,
            RuleDtypeError,
            "complex c64[] where real f32[]",
        ),
    ],
)
def test_tangent_output_is_held_against_the_primal_output(nest, fun, dot, error, part):
    f = custom_jvp(fun)

    @f.defjvp
    def the_rule(primals, tangents):
        return f(*primals), dot(tangents[0])

    def total(x):
        return sum(jnp.sum(y) for y in leaves(f(x)))

    message = failing(
        error,
        lambda: nest(total, jnp.float32(1.0)),
        "custom_jvp rule `the_rule` of <lambda>",
        "tangent output",
        part,
    )
    assert message.count(HERE) >= 2


def leaves(x):
    if isinstance(x, dict):
        return list(x.values())
    return list(x) if isinstance(x, tuple) else [x]


def test_tangent_output_of_a_single_argument_rule():
    f = custom_jvp(lambda x, y: x * y)

    def second(t, ans, x, y):
        return jnp.ones(3) * t

    f.defjvps(lambda t, ans, x, y: t * y, second)
    failing(
        RuleShapeError,
        lambda: grad(f, 1)(1.0, 2.0),
        "rule `second` of <lambda>",
        "f32[3] where f32[] is expected",
    )


def test_tangent_inside_a_container_names_the_path():
    f = custom_jvp(lambda x: {"a": [x, x]})
    f.defjvp(lambda p, t: (f(*p), {"a": [t[0], jnp.ones(2) * t[0]]}))
    failing(RuleShapeError, lambda: jvp(f, (1.0,), (1.0,)), "at ['a'][1]", "f32[2]")


def test_output_that_is_no_array():
    f = custom_vjp(lambda x: "text")
    f.defvjp(lambda x: ("text", None), lambda res, g: (g,))
    failing(TypeError, lambda: grad(f)(1.0), "is a str, not an array")
    failing(TypeError, lambda: jit(f)(1.0), "a str")


# What is given to jvp and to pullbacks.


def test_cotangent_given_to_a_pullback_is_checked():
    f = with_bwd(lambda x: {"a": x}, lambda res, g: (g["a"],))
    _, pull = vjp(f, 1.0)
    failing(TreeError, lambda: pull(1.0), "pullback of energy", "dict")
    failing(TreeError, lambda: pull({"b": 1.0}), "missing key 'a'")
    failing(TreeError, lambda: pull({"a": jnp.ones(2)}), "cotangent['a']", "f32[2]")


def test_tangent_given_to_jvp_is_checked():
    failing(
        TreeError,
        lambda: jvp(lambda x, y: x, (1.0, {"a": 2.0}), (1.0, {"b": 1.0})),
        "tangents[1]",
        "missing key 'a'",
    )
    failing(TreeError, lambda: jvp(lambda x: x, (1.0,), (jnp.ones(3),)), "f32[3]")
    failing(TreeError, lambda: jvp(lambda x: x, (1.0,), (1j,)), "complex")
    failing(TreeError, lambda: jvp(lambda x: x, 1.0, 1.0), "not a tuple")


def test_errors_under_vmap_speak_of_single_examples():
    f = with_bwd(lambda x: x.sum(), lambda res, g: (jnp.ones(5),))
    failing(
        RuleShapeError,
        lambda: vmap(grad(f))(jnp.ones((4, 3))),
        "f32[5] where f32[3] is expected",
    )


# Exceptions of the user's own.


@NESTS
def test_exception_in_bwd_keeps_its_type_and_shows_the_forward_call(nest):
    class Mine(Exception):
        pass

    def energy_bwd(res, g):
        raise Mine("boom")

    f = custom_vjp(lambda x: x)
    f.defvjp(lambda x: (f(x), None), energy_bwd)

    def model(x):
        return f(x)

    with pytest.raises(Mine) as caught:
        nest(model, 1.0)
    notes = " ".join(caught.value.__notes__)
    assert "bwd rule `energy_bwd` of <lambda>" in notes
    assert f"Forward call at {HERE}{model.__code__.co_firstlineno + 1} (model)" in notes


@pytest.mark.parametrize("kind", ["fwd", "jvp"])
def test_exception_in_other_rules_keeps_its_type(kind):
    def bad(*args):
        raise KeyError("mine")

    f = custom_jvp(lambda x: x)
    if kind == "jvp":
        f.defjvp(bad)
    else:
        f.defvjp(bad, lambda r, g: (g,))
    with pytest.raises(KeyError, match="mine"):
        grad(f)(1.0)


def test_value_leaked_from_fwd_to_bwd_through_a_variable():
    kept = []
    f = custom_vjp(lambda x: x * x)

    def f_fwd(x):
        kept.append(jnp.sin(x))
        return f(x), None

    def f_bwd(res, g):
        return (kept[-1] * g,)

    f.defvjp(f_fwd, f_bwd)
    with pytest.raises(RuntimeError, match="residual") as caught:
        grad(jit(f))(1.0)
    message = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert "bwd" in message
    assert HERE in message


@pytest.mark.parametrize("wrap", [lambda f: f, jit], ids=["eager", "jit"])
def test_type_that_depends_on_a_global_may_change(wrap):
    count = 2

    @custom_jvp
    def head(x):
        return x[:count] if count < 4 else {"all": x}

    head.defjvp(lambda p, t: (head(*p), head(*t)))
    x = jnp.arange(4.0)
    for now in (2, 3, 1, 4):
        count = now
        y, y_dot = wrap(lambda x: jvp(head, (x,), (x,)))(x)
        np.testing.assert_array_equal(y["all"] if count == 4 else y, x[:count])
        np.testing.assert_array_equal(y_dot["all"] if count == 4 else y_dot, x[:count])


def test_type_that_depends_on_a_switch_may_change():
    @custom_vjp
    def widest(x):
        return x.astype(float)

    widest.defvjp(lambda x: (widest(x), None), lambda res, g: (g,))
    x = jnp.float32(1.0)
    assert grad(widest)(x).dtype == "float32"
    with config.context(enable_x64=True):
        assert vjp(widest, x)[0].dtype == "float64"
        assert grad(widest)(x) == 1.0
    assert vjp(widest, x)[0].dtype == "float32"


def test_rule_is_wrong_still_where_the_type_has_changed():
    count = 2

    @custom_vjp
    def head(x):
        return x[:count]

    head.defvjp(lambda x: (x[:size], None), lambda res, g: (jnp.zeros(4),))
    x, size = jnp.arange(4.0), 2
    grad(lambda x: head(x).sum())(x)
    count, size = 3, 1
    with pytest.raises(RuleShapeError, match=r"f32\[1\]; the function's is f32\[3\]"):
        grad(lambda x: head(x).sum())(x)


def test_exception_of_bwd_keeps_what_it_was_raised_from():
    @custom_vjp
    def f(x):
        return x

    def bwd(res, g):
        try:
            return res["missing"]
        except KeyError as error:
            raise ValueError("no residual") from error

    f.defvjp(lambda x: (x, {}), bwd)
    for wrapped in (f, jit(f)):
        with pytest.raises(ValueError, match="no residual") as caught:
            grad(wrapped)(1.0)
        assert isinstance(caught.value.__cause__, KeyError)
