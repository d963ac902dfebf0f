"""Pullbacks: many calls, checks of cotangents, residuals."""

import gc
import weakref

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import float0, grad, jit, jvp, linearize, tree_util, vjp, vmap
from pullback.errors import ArgumentError, GradError, TreeError
from pullback.transforms.vjp import merge_logs


def test_vjp_gives_a_cotangent_for_each_argument():
    y, pull = vjp(lambda x, d: x * d["a"], 2.0, {"a": 3.0})
    assert y == 6.0
    assert pull(1.0) == (3.0, {"a": 2.0})
    assert pull(10.0) == (30.0, {"a": 20.0})


def test_vjp_with_aux_integers_and_containers():
    out, pull, aux = vjp(lambda x, n: ({"y": x * n}, [x]), 2.0, 3, has_aux=True)
    assert (out, aux) == ({"y": 6.0}, [2.0])
    x_bar, n_bar = pull({"y": 1.0})
    assert x_bar == 3.0
    assert n_bar.dtype == float0


def test_unused_arguments_have_zero_cotangents():
    _, pull = vjp(lambda x, y: x, 1.0, jnp.ones(2))
    np.testing.assert_array_equal(pull(1.0)[1], [0.0, 0.0])


def test_output_that_does_not_depend_on_the_input():
    _, pull = vjp(lambda x: jnp.ones(3), 2.0)
    assert pull(jnp.ones(3)) == (0.0,)


def test_pullback_prints_function_and_types():
    def energy(x):
        return jnp.sum(x), x

    assert (
        repr(vjp(energy, jnp.ones(2))[1]) == "<pullback of energy, from f32[], f32[2]>"
    )


@pytest.mark.parametrize(
    ("cotangent", "said"),
    [
        (1.0, "cotangent is an array Python float where a dict is expected"),
        ({"b": 1.0}, "missing key 'a'"),
        ({"a": jnp.ones(3)}, r"cotangent\['a'\] is f32\[3\] where f32\[\] is expected"),
        ({"a": 1j}, r"cotangent\['a'\] is complex"),
        ({"a": "text"}, r"cotangent\['a'\] is a str"),
    ],
)
def test_pullback_errors_say_where_and_what(cotangent, said):
    _, pull = vjp(lambda x: {"a": x}, 1.0)
    with pytest.raises(TreeError, match=f"the pullback of .*{said}") as caught:
        pull(cotangent)
    assert "test_vjp.py:" in str(caught.value)


def test_pullback_is_a_container():
    _, pull = vjp(lambda x: jnp.sin(x) * 2, 1.0)
    leaves, treedef = tree_util.tree_flatten(pull)
    again = treedef.unflatten([2 * leaf for leaf in leaves])
    assert again(1.0)[0] == 2 * pull(1.0)[0]
    assert tree_util.tree_structure(again) == treedef
    out = jit(lambda x: vjp(jnp.sin, x)[1])(2.0)
    np.testing.assert_allclose(out(1.0)[0], np.cos(2.0), rtol=1e-6)
    got = jit(lambda pull, g: pull(g))(pull, 3.0)
    np.testing.assert_allclose(got[0], 6 * np.cos(1.0), rtol=1e-6)
    pulls = vmap(lambda x: vjp(jnp.sin, x)[1])(jnp.arange(3.0))
    got = vmap(lambda pull: pull(1.0)[0])(pulls)
    np.testing.assert_allclose(got, np.cos(np.arange(3)), rtol=1e-6)


def test_pullback_with_an_integer_argument_is_a_container():
    pull = jit(lambda x, n: vjp(lambda x, n: x * n, x, n)[1])(2.0, 3)
    x_bar, n_bar = pull(1.0)
    assert x_bar == 3.0
    assert n_bar.dtype == float0


def test_vjp_of_a_callable_argument():
    a = jnp.float32(2.0)
    _, pull = vjp(lambda f: f(3.0), lambda x: a * x)
    (f_bar,) = pull(1.0)
    assert tree_util.tree_leaves(f_bar) == [3.0]


def test_aux_must_come_in_a_pair():
    with pytest.raises(GradError, match="not a pair"):
        vjp(lambda x: x, 1.0, has_aux=True)


def test_logs_that_are_no_dicts_are_given_one_by_one():
    assert merge_logs([]) == {}
    assert merge_logs([{"a": 1, "b": 2}, {"a": 3}]) == {"a": 3, "b": 2}
    assert merge_logs(["one"]) == "one"
    assert merge_logs(["one", {"a": 1}]) == ["one", {"a": 1}]


def test_pullback_is_called_many_times():
    runs = []
    _, pull = vjp(lambda x: runs.append(1) or jnp.sin(x) * x, jnp.arange(3.0))
    first, second = pull(jnp.ones(3))[0], pull(2 * jnp.ones(3))[0]
    np.testing.assert_allclose(second, 2 * np.asarray(first), rtol=1e-6)
    assert len(runs) == 1


def test_pullback_releases_its_residuals_when_it_goes():
    def f(x):
        y = jnp.exp(x)
        kept.append(weakref.ref(y.primal))
        return jnp.sin(y) * 2

    kept: list = []
    _, pull = vjp(f, jnp.ones(3))
    pull(jnp.ones(3))
    del pull
    gc.collect()
    assert kept[0]() is None


def test_gradient_keeps_no_residuals():
    def f(x):
        y = jnp.exp(x)
        kept.append(weakref.ref(y.primal))
        return (jnp.sin(y) * 2).sum()

    kept: list = []
    grad(f)(jnp.ones(3))
    gc.collect()
    assert kept[0]() is None


@pytest.mark.parametrize("transform", [vjp, linearize])
def test_what_is_no_function_is_refused(transform):
    name = transform.__name__
    with pytest.raises(ArgumentError, match=rf"{name} was given a float.*{name}\(f\)"):
        transform(1.0, 2.0)


@pytest.mark.parametrize("tangent", [1.0, jnp.float32(1.0)])
def test_a_float_must_be_refused_as_tangent_of_an_integer(tangent):
    words = r"tangents\[0\] is .* None or float0 is expected.* i32\[\]"
    with pytest.raises(TreeError, match=words + ".*convert it to a float"):
        jvp(lambda n: 2 * n, (3,), (tangent,))
    with pytest.raises(TreeError, match=words):
        linearize(lambda n: 2 * n, 3)[1](tangent)
