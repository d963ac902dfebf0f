"""Programs about zeros, integers and containers: rules.md, section 4."""

import collections

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    SymbolicZero,
    custom_jvp,
    custom_vjp,
    float0,
    grad,
    jacfwd,
    jit,
    jvp,
    linearize,
    tree_util,
    vjp,
    vmap,
)
from pullback.errors import DtypeError, GradError

Point = collections.namedtuple("Point", "x y")
WRAPS = pytest.mark.parametrize("wrap", [lambda f: f, jit], ids=["eager", "jit"])


def with_bwd(fun, bwd, **options):
    f = custom_vjp(fun)
    f.defvjp(lambda *xs: (f(*xs), xs), bwd, **options)
    return f


def with_jvp(fun, rule, **options):
    f = custom_jvp(fun)
    f.defjvp(lambda p, t: (f(*p), rule(p, t)), **options)
    return f


@WRAPS
def test_none_as_tangent_given_to_jvp(wrap):
    f = wrap(lambda x, y: x * y)
    assert jvp(f, (2.0, 3.0), (1.0, None))[1] == 3.0
    assert jvp(f, (2.0, 3.0), (None, None))[1] == 0.0
    got = jvp(
        lambda d: d["a"] * d["b"]["c"],
        ({"a": 2.0, "b": {"c": 3.0}},),
        ({"a": 1.0, "b": None},),
    )
    assert got[1] == 3.0


@WRAPS
def test_none_as_cotangent_given_to_a_pullback(wrap):
    _, pull = vjp(wrap(lambda x: {"a": x, "b": (2 * x, 3 * x)}), 1.0)
    assert pull({"a": 1.0, "b": None}) == (1.0,)
    assert pull({"a": None, "b": (None, 1.0)}) == (3.0,)
    assert pull(None) == (0.0,)


@WRAPS
def test_none_as_tangent_given_to_a_linearization(wrap):
    _, f_lin = linearize(wrap(lambda x, y: x * y), 2.0, 3.0)
    assert f_lin(None, 1.0) == 2.0


@WRAPS
def test_none_returned_for_an_argument_a_subtree_and_a_leaf(wrap):
    f = with_bwd(
        lambda p, q, r: p["a"]["u"] + q[0] + r,
        lambda res, g: ({"a": {"u": None, "v": 2 * g}, "b": None}, (g, None), None),
    )
    args = ({"a": {"u": 1.0, "v": 1.0}, "b": [1.0, 1.0]}, (1.0, 1.0), 1.0)
    p, q, r = grad(wrap(f), (0, 1, 2))(*args)
    assert p == {"a": {"u": 0.0, "v": 2.0}, "b": [0.0, 0.0]}
    assert (q, r) == ((1.0, 0.0), 0.0)


@WRAPS
def test_none_returned_as_tangent(wrap):
    f = with_jvp(lambda x: {"a": x, "b": (x, x)}, lambda p, t: {"a": t[0], "b": None})
    _, dot = jvp(wrap(f), (1.0,), (1.0,))
    assert dot == {"a": 1.0, "b": (0.0, 0.0)}
    assert grad(lambda x: wrap(f)(x)["b"][0])(1.0) == 0.0
    assert with_jvp_none(wrap) == 0.0


def with_jvp_none(wrap):
    return jvp(wrap(with_jvp(lambda x: x, lambda p, t: None)), (1.0,), (1.0,))[1]


@pytest.mark.parametrize(
    "zero",
    [None, np.zeros((), float0), 0, 0.0, np.int32(0), jnp.zeros((), "int32")],
    ids=["none", "float0", "int", "float", "numpy", "array"],
)
@WRAPS
def test_what_bwd_may_return_for_an_integer(zero, wrap):
    f = with_bwd(lambda n, x: n * x, lambda res, g: (zero, 2.0 * g))
    assert grad(wrap(f), 1)(3, 1.0) == 2.0
    n_bar, x_bar = vjp(wrap(f), 3, 1.0)[1](1.0)
    assert n_bar.dtype == float0
    assert x_bar == 2.0


@WRAPS
def test_what_bwd_may_return_for_a_boolean_array(wrap):
    mask = jnp.array([True, False])
    f = with_bwd(lambda m, x: jnp.where(m, x, 0.0), lambda res, g: (jnp.zeros(2), g))
    got = grad(lambda x: wrap(f)(mask, x).sum())(jnp.ones(2))
    np.testing.assert_array_equal(got, [1.0, 1.0])


@pytest.mark.parametrize(
    "tangent", [None, 0, np.zeros((), float0), np.int32(0), jnp.int32(0)]
)
@WRAPS
def test_integer_zeros_are_tangents_of_integers(tangent, wrap):
    f = with_jvp(lambda n, x: n * x, lambda p, t: p[0] * t[1])
    assert jvp(wrap(f), (3, 1.0), (tangent, 1.0))[1] == 3.0


@WRAPS
def test_rule_receives_float0_tangent_of_an_integer(wrap):
    seen = []

    def rule(p, t):
        seen.append(t[0].dtype)
        return p[0] * t[1]

    f = with_jvp(lambda n, x: n * x, rule)
    assert grad(wrap(f), 1)(3, 1.0) == 3.0
    assert all(d == float0 for d in seen)
    assert seen


@WRAPS
def test_integer_tangent_may_be_passed_on(wrap):
    @custom_jvp
    def f(n, x):
        return n, n * x

    @f.defjvp
    def rule(primals, tangents):
        return jvp(lambda n, x: (n, n * x), primals, tangents)

    (n, y), (n_dot, y_dot) = jvp(wrap(f), (3, 2.0), (None, 1.0))
    assert (n, y, y_dot) == (3, 6.0, 3.0)
    assert n_dot.dtype == float0
    assert grad(lambda x: wrap(f)(3, x)[1])(2.0) == 3.0


@WRAPS
def test_integer_output_has_float0_cotangent_in_bwd(wrap):
    seen = []

    @custom_vjp
    def f(x):
        return x, jnp.int32(7)

    def bwd(res, g):
        seen.append(g[1].dtype)
        return (4.0 * g[0],)

    f.defvjp(lambda x: (f(x), None), bwd)
    assert grad(lambda x: wrap(f)(x)[0])(1.0) == 4.0
    assert seen[0] == float0


def test_grad_over_a_tree_with_an_integer_leaf_names_its_path():
    def loss(params, x):
        return params["w"][0] * x

    with pytest.raises(GradError, match=r"params\['step'\]\[1\].*int32"):
        grad(loss)({"w": [1.0], "step": (2.0, 3)}, 1.0)


def test_allow_int_gives_float0():
    got = grad(lambda p: p["w"] * p["n"], allow_int=True)({"w": 2.0, "n": 3})
    assert got["w"] == 3.0
    assert got["n"].dtype == float0


@WRAPS
def test_defjvps_runs_only_the_rules_that_are_needed(wrap):
    ran = []
    f = custom_jvp(lambda x, y, z: x * y * z)
    f.defjvps(
        lambda t, ans, x, y, z: (ran.append("x"), t * y * z)[1],
        lambda t, ans, x, y, z: (ran.append("y"), t * x * z)[1],
        None,
    )
    assert grad(wrap(f))(1.0, 2.0, 3.0) == 6.0
    assert set(ran) == {"x"}
    ran.clear()
    assert jvp(lambda y: wrap(f)(1.0, y, 3.0), (2.0,), (1.0,))[1] == 3.0
    assert set(ran) == {"y"}
    ran.clear()
    assert grad(wrap(f), 2)(1.0, 2.0, 3.0) == 0.0
    assert ran == []


@WRAPS
def test_symbolic_zeros_reach_a_jvp_rule(wrap):
    seen = []

    def rule(p, t):
        seen.append([isinstance(x, SymbolicZero) for x in t])
        return p[1] * t[0]

    f = with_jvp(lambda x, y: x * y, rule, symbolic_zeros=True)
    assert grad(wrap(f))(2.0, 3.0) == 3.0
    assert seen == [[False, True]]


def test_symbolic_zero_has_shape_and_dtype():
    def rule(p, t):
        assert t[1].shape == (2,)
        assert t[1].dtype == jnp.float32
        return t[1]

    f = with_jvp(lambda x, y: x + y, rule, symbolic_zeros=True)
    got = jvp(lambda x: f(x, jnp.ones(2)), (jnp.ones(2),), (jnp.ones(2),))[1]
    np.testing.assert_array_equal(got, [0.0, 0.0])


def test_rule_without_symbolic_zeros_gets_arrays():
    def rule(p, t):
        assert not isinstance(t[1], SymbolicZero)
        return t[0] + 1.0 * t[1]

    f = with_jvp(lambda x, y: x + y, rule)
    assert grad(f)(1.0, 1.0) == 1.0


@WRAPS
def test_symbolic_zeros_tell_fwd_what_is_perturbed(wrap):
    seen = []
    f = custom_vjp(lambda x, y: (x * y, y))

    def fwd(x, y):
        seen.append((x.perturbed, y["a"].perturbed))
        return (x.value * y["a"].value, y["a"].value), (x.value, y["a"].value)

    f = custom_vjp(lambda x, y: (x * y["a"], y["a"]))

    def bwd(res, g):
        seen.append(isinstance(g[1], SymbolicZero))
        return 5.0 * g[0], None

    f.defvjp(fwd, bwd, symbolic_zeros=True)
    assert grad(lambda x: wrap(f)(x, {"a": 2.0})[0])(1.0) == 5.0
    assert seen == [(True, False), True]


@WRAPS
def test_every_container_is_welcome(wrap):
    f = with_bwd(
        lambda p: Point({"u": [p.x[0]]}, (p.y, None)),
        lambda res, g: (Point([2 * g.x["u"][0], None], 3 * g.y[0]),),
    )
    got = grad(lambda p: wrap(f)(p).x["u"][0] + wrap(f)(p).y[0])(Point([1.0, 2.0], 3.0))
    assert got == Point([2.0, 0.0], 3.0)


@WRAPS
def test_own_container_class_as_argument_output_and_residual(wrap):
    @tree_util.register_pytree_node_class
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

        def tree_flatten(self):
            return (self.a, self.b), "pair"

        @classmethod
        def tree_unflatten(cls, aux, children):
            assert aux == "pair"
            return cls(*children)

    f = custom_vjp(lambda p: Pair(p.a * p.b, p.b))
    f.defvjp(
        lambda p: (f(p), p),
        lambda p, g: (Pair(g.a * p.b, g.a * p.a + g.b),),
    )
    got = grad(lambda a, b: wrap(f)(Pair(a, b)).a, (0, 1))(2.0, 3.0)
    assert got == (3.0, 2.0)


@WRAPS
def test_empty_containers_and_no_arguments(wrap):
    f = with_bwd(lambda x, nothing: x, lambda res, g: (2.0 * g, ()))
    assert grad(wrap(f))(1.0, ()) == 2.0
    constant = custom_vjp(lambda: jnp.float32(3.0))
    constant.defvjp(lambda: (constant(), None), lambda res, g: ())
    assert grad(lambda x: x * wrap(constant)())(1.0) == 3.0


@WRAPS
def test_none_as_an_argument(wrap):
    f = with_bwd(
        lambda x, bias: x if bias is None else x + bias, lambda res, g: (2.0 * g, None)
    )
    assert grad(wrap(f))(1.0, None) == 2.0


class Marker:
    """Equal to nothing but itself."""


MARKER = Marker()


@WRAPS
def test_residuals_come_back_as_they_were(wrap):
    kept = {
        "text": "a",
        "function": np.sin,
        "dtype": jnp.float32,
        "numpy type": np.float32,
        "numpy dtype": np.dtype("int8"),
        "int": 3,
        "bool": True,
        "float": 0.5,
        "none": None,
        "object": MARKER,
        "set": frozenset({1}),
        "slice": slice(0, 2),
        "bytes": b"x",
    }
    f = custom_vjp(lambda x: x)

    def bwd(res, g):
        array, rest = res
        assert rest == kept
        for name, value in kept.items():
            assert type(rest[name]) is type(value), name
        assert rest["object"] is MARKER
        return (g * rest["int"] * array,)

    f.defvjp(lambda x: (f(x), (x, dict(kept))), bwd)
    assert grad(wrap(f))(2.0) == 6.0
    assert wrap(grad(wrap(f)))(2.0) == 6.0
    np.testing.assert_array_equal(
        vmap(grad(wrap(f)))(jnp.array([1.0, 2.0])), [3.0, 6.0]
    )


@WRAPS
def test_residual_function_that_captures_a_traced_value(wrap):
    f = custom_vjp(lambda x: x * x)
    f.defvjp(lambda x: (f(x), lambda g: 2 * x * g), lambda pull, g: (pull(g),))
    assert grad(wrap(f))(3.0) == 6.0
    assert wrap(grad(wrap(f)))(3.0) == 6.0
    np.testing.assert_array_equal(
        vmap(grad(wrap(f)))(jnp.array([1.0, 2.0])), [2.0, 4.0]
    )
    np.testing.assert_array_equal(
        grad(lambda x: vmap(wrap(f))(x).sum())(jnp.array([1.0, 2.0])), [2.0, 4.0]
    )


@WRAPS
def test_pullback_as_residual(wrap):
    f = custom_vjp(lambda x: jnp.sin(x))
    f.defvjp(lambda x: vjp(jnp.sin, x), lambda pull, g: (10.0 * pull(g)[0],))
    np.testing.assert_allclose(grad(wrap(f))(3.0), 10 * np.cos(3.0), rtol=1e-6)
    np.testing.assert_allclose(wrap(grad(f))(3.0), 10 * np.cos(3.0), rtol=1e-6)
    np.testing.assert_allclose(
        grad(lambda x: vmap(wrap(f))(x).sum())(jnp.ones(2)),
        np.full(2, 10 * np.cos(1.0)),
        rtol=1e-6,
    )


def test_pullback_is_a_container_that_jit_can_return():
    pull = jit(lambda x: vjp(jnp.sin, x)[1])(3.0)
    np.testing.assert_allclose(pull(1.0)[0], np.cos(3.0), rtol=1e-6)
    assert len(tree_util.tree_leaves(pull)) == 1


@WRAPS
def test_bare_cotangent_for_a_function_of_one_argument(wrap):
    assert grad(wrap(with_bwd(lambda x: x, lambda res, g: 2.0 * g)))(1.0) == 2.0
    f = with_bwd(lambda d: d["a"], lambda res, g: {"a": 3.0 * g})
    assert grad(wrap(f))({"a": 1.0}) == {"a": 3.0}
    assert grad(wrap(with_bwd(lambda x: x, lambda res, g: None)))(1.0) == 0.0
    f = with_bwd(lambda p: p[0], lambda res, g: (4.0 * g,))
    assert grad(wrap(f))((1.0,)) == (4.0,)
    f = with_bwd(lambda p: p[0][0], lambda res, g: ((4.0 * g,),))
    assert grad(wrap(f))(((1.0,),)) == ((4.0,),)


@WRAPS
def test_bwd_may_return_a_list(wrap):
    f = with_bwd(lambda x, y: x + y, lambda res, g: [2.0 * g, 3.0 * g])
    assert grad(wrap(f), (0, 1))(1.0, 1.0) == (2.0, 3.0)


@WRAPS
def test_single_tuple_argument_and_its_cotangent(wrap):
    f = with_bwd(lambda p: p[0] + p[1], lambda res, g: ((2.0 * g, 3.0 * g),))
    assert grad(wrap(f))((1.0, 1.0)) == (2.0, 3.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@WRAPS
def test_cotangents_are_cast_to_the_primals_dtype(dtype, wrap):
    def bwd(res, g):
        assert g.dtype == jnp.float32
        return (g.astype("float32") * 2,)

    f = with_bwd(lambda x: x.astype("float32"), bwd)
    got = grad(lambda x: wrap(f)(x).sum())(jnp.ones(2, dtype))
    assert got.dtype == jnp.dtype(dtype)
    np.testing.assert_array_equal(got.astype("float32"), [2.0, 2.0])


@WRAPS
def test_tangents_are_cast_to_the_outputs_dtype(wrap):
    f = with_jvp(lambda x: x.astype("float16"), lambda p, t: 2.0 * t[0])
    x = jnp.ones(2)
    assert jvp(wrap(f), (x,), (x,))[1].dtype == jnp.float16
    assert grad(lambda x: wrap(f)(x).astype("float32").sum())(x).dtype == jnp.float32


@WRAPS
def test_python_numbers_adapt_to_the_wanted_dtype(wrap):
    f = with_bwd(lambda x, y: x * y, lambda res, g: (1, 2.5))
    got = grad(wrap(f), (0, 1))(jnp.float16(2.0), jnp.float16(3.0))
    assert [x.dtype for x in got] == [jnp.float16, jnp.float16]
    assert got == (1.0, 2.5)


@WRAPS
def test_real_cotangent_for_a_complex_primal_is_cast(wrap):
    f = with_bwd(lambda z: jnp.real(z), lambda res, g: (2.0 * g,))
    got = grad(lambda x: wrap(f)(x * (1 + 0j)))(1.0)
    assert got == 2.0
    (z_bar,) = vjp(wrap(f), jnp.complex64(1j))[1](1.0)
    assert z_bar.dtype == jnp.complex64


@WRAPS
def test_complex_values_are_not_conjugated_in_either_mode(wrap):
    c = 2.0 + 3.0j
    f = with_jvp(lambda z: c * z, lambda p, t: c * t[0])
    g = with_bwd(lambda z: c * z, lambda res, ct: (c * ct,))
    plain = lambda z: c * z  # noqa: E731
    z, one = jnp.complex64(1.0 - 1.0j), jnp.complex64(1.0)
    for h in (f, g, plain):
        assert vjp(wrap(h), z)[1](one) == (c,)
        assert grad(wrap(h), holomorphic=True)(z) == c
    for h in (f, plain):
        assert jvp(wrap(h), (z,), (one,))[1] == c
        assert jacfwd(wrap(h), holomorphic=True)(z) == c


@WRAPS
def test_sum_of_the_function_used_several_times(wrap):
    f = with_bwd(lambda x: x, lambda res, g: (2.0 * g,))
    h = wrap(f)
    assert grad(lambda x: h(x) + h(x) * h(2.0))(1.0) == 2.0 + 4.0


@WRAPS
def test_same_value_for_two_arguments(wrap):
    f = with_bwd(lambda x, y: x * y, lambda res, g: (2.0 * g, 3.0 * g))
    assert grad(lambda x: wrap(f)(x, x))(1.0) == 5.0


@WRAPS
def test_unused_output_gives_zero_cotangents(wrap):
    f = with_bwd(lambda x: (x, x), lambda res, g: (2.0 * g[0] + 30.0 * g[1],))
    assert grad(lambda x: wrap(f)(x)[1])(1.0) == 30.0


@WRAPS
def test_output_that_is_an_input(wrap):
    f = with_jvp(lambda x, y: (y, x), lambda p, t: (t[1], t[0]))
    assert grad(lambda x, y: wrap(f)(x, y)[0] * 3.0, (0, 1))(1.0, 2.0) == (0.0, 3.0)


@WRAPS
def test_integer_tangent_has_zeros_like_it(wrap):
    @custom_jvp
    def count_up(x, n):
        return x * n, n + 1

    @count_up.defjvp
    def count_up_jvp(primals, tangents):
        x_dot, n_dot = tangents
        return count_up(*primals), (x_dot * primals[1], jnp.zeros_like(n_dot))

    assert grad(wrap(lambda x: count_up(*count_up(x, 1))[0]))(2.0) == 2.0


def test_computing_with_the_tangent_of_an_integer_is_explained():
    (none,) = vjp(lambda n: 2.0 * n, 3)[1](1.0)
    assert repr(none) == "Array(no numbers, shape=(), dtype=float0)"
    for compute in (lambda t: 2.0 * t, jnp.sin, lambda t: -t, lambda t: t + t):
        with pytest.raises(DtypeError, match=r"float0, holds no number.*return None"):
            compute(none)
