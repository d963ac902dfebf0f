"""vmap: single examples to whole batches."""

from typing import NamedTuple

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, hessian, jit, jvp, lax, make_jaxpr, vmap
from pullback.errors import ArgumentError, BatchError, NotAnArrayError

X = jnp.arange(6.0).reshape(3, 2)
Y = jnp.arange(3.0)


class Point(NamedTuple):
    x: object
    y: object


def stack(f, *columns):
    return np.stack([np.asarray(f(*row)) for row in zip(*columns)])


# What is mapped.


def test_vmap_must_map_every_argument_over_its_first_axis():
    f = lambda x, y: jnp.sin(x).sum() * y  # noqa: E731
    np.testing.assert_allclose(vmap(f)(X, Y), stack(f, X, Y), rtol=1e-6)


@pytest.mark.parametrize("axes", [(1, None), [1, None], (-1, None)])
def test_vmap_must_map_the_axes_it_is_given(axes):
    f = lambda x, y: (x * y).sum()  # noqa: E731
    np.testing.assert_allclose(vmap(f, axes)(X, Y), stack(lambda x: f(x, Y), X.T))


def test_vmap_must_map_leaves_of_containers():
    f = lambda p: p["a"] * p["b"][0]  # noqa: E731
    got = vmap(f, ({"a": 0, "b": [None]},))({"a": Y, "b": [2.0]})
    np.testing.assert_array_equal(got, 2 * np.arange(3))


def test_vmap_must_map_all_leaves_under_a_prefix():
    got = vmap(lambda p, s: p.x * p.y[0] * s, (Point(0, None), None))(
        Point(Y, (2.0,)), 3.0
    )
    np.testing.assert_array_equal(got, 6 * np.arange(3))


def test_vmap_must_map_keyword_arguments_over_their_first_axis():
    got = vmap(lambda x, *, scale: x * scale, (None,))(2.0, scale=Y)
    np.testing.assert_array_equal(got, [0, 2, 4])


def test_vmap_must_map_keywords_alone():
    got = vmap(lambda *, x: x + 1, None)(x=Y)  # type: ignore[arg-type]
    np.testing.assert_array_equal(got, [1, 2, 3])


def test_vmap_must_take_its_size_where_nothing_is_mapped():
    got = vmap(lambda x: x * 2, None, axis_size=3)(2.0)
    np.testing.assert_array_equal(got, [4, 4, 4])


def test_vmap_must_take_numpy_arrays_and_lists_of_numbers():
    np.testing.assert_array_equal(vmap(jnp.sin)(np.zeros(3)), np.zeros(3))


def test_vmap_must_keep_the_name_of_its_function():
    def cube(x):
        """Cube it."""
        return x**3

    assert (vmap(cube).__name__, vmap(cube).__doc__) == ("cube", "Cube it.")


# Where outputs go.


@pytest.mark.parametrize(
    ("axis", "shape"), [(0, (3, 2, 4)), (1, (2, 3, 4)), (-1, (2, 4, 3)), (2, (2, 4, 3))]
)
def test_output_axis_must_go_where_it_is_wanted(axis, shape):
    f = lambda x: x * jnp.ones((2, 4))  # noqa: E731
    assert vmap(f, out_axes=axis)(Y).shape == shape


def test_output_axes_must_be_a_prefix_of_the_output():
    f = lambda x: {"a": x * X, "b": (x, 2.0)}  # noqa: E731
    out = vmap(f, out_axes={"a": 2, "b": (0, None)})(Y)
    assert (out["a"].shape, out["b"][0].shape, out["b"][1]) == ((3, 2, 3), (3,), 2.0)


def test_output_axes_may_be_a_list():
    for kind in (list, tuple):
        a, b = vmap(lambda x, kind=kind: kind([x * X, x]), out_axes=[1, 0])(Y)
        assert (a.shape, b.shape) == ((3, 3, 2), (3,))


def test_output_that_is_not_mapped_must_be_repeated():
    out = vmap(lambda x: Y, out_axes=1)(jnp.ones(2))
    np.testing.assert_array_equal(out, np.repeat(np.arange(3.0)[:, None], 2, 1))


def test_output_that_is_not_mapped_must_stay_single_if_asked():
    assert vmap(lambda x: 5.0, out_axes=None)(Y) == 5.0


def test_empty_outputs_must_be_kept():
    assert vmap(lambda x: (x, None, {}))(Y)[1:] == (None, {})


# Nesting.


def test_nested_vmap_must_be_a_nested_loop():
    outer = vmap(vmap(lambda x, y: x * y, (None, 0)), (0, None))(Y, Y)
    np.testing.assert_array_equal(outer, np.outer(np.arange(3), np.arange(3)))


def test_inner_vmap_must_take_values_of_the_outer():
    got = vmap(lambda x: vmap(lambda y: x - y)(Y))(Y)
    np.testing.assert_array_equal(got, np.subtract.outer(np.arange(3), np.arange(3)))


def quartic(x):
    return x**4


@pytest.mark.parametrize(
    "derivative",
    [
        vmap(grad(quartic)),
        jit(vmap(grad(quartic))),
        vmap(jit(grad(quartic))),
        vmap(grad(jit(quartic))),
        grad(lambda x: vmap(quartic)(x).sum()),
        lambda x: jvp(vmap(quartic), (x,), (jnp.ones(3),))[1],
        vmap(lambda x: jvp(quartic, (x,), (1.0,))[1]),
    ],
)
def test_vmap_must_nest_with_first_derivatives(derivative):
    x = np.asarray([1.0, 2.0, 3.0], np.float32)
    np.testing.assert_allclose(derivative(jnp.asarray(x)), 4 * x**3, rtol=1e-5)


@pytest.mark.parametrize(
    "derivative",
    [
        vmap(grad(grad(quartic))),
        vmap(hessian(quartic)),
        grad(lambda x: vmap(grad(quartic))(x).sum()),
        lambda x: jvp(vmap(grad(quartic)), (x,), (jnp.ones(3),))[1],
        lambda x: jnp.diagonal(hessian(lambda x: vmap(quartic)(x).sum())(x)),
    ],
)
def test_vmap_must_nest_with_second_derivatives(derivative):
    x = np.asarray([1.0, 2.0, 3.0], np.float32)
    np.testing.assert_allclose(derivative(jnp.asarray(x)), 12 * x**2, rtol=1e-5)


def test_axis_may_have_a_name():
    for name in ("i", frozenset("ij"), object()):
        got = vmap(lambda x: x + 1, axis_name=name)(jnp.zeros(3))
        np.testing.assert_array_equal(got, [1, 1, 1])


@pytest.mark.parametrize("name", [0, True, ("i",), ["i"]])
def test_what_cannot_name_one_axis_is_refused(name):
    with pytest.raises(BatchError, match=r"axis_name .* is no name for one axis"):
        vmap(lambda x: x, axis_name=name)


def test_outputs_that_all_elements_share_need_no_axis():
    def f(x):
        return lax.psum(x, "i")

    assert vmap(f, axis_name="i", out_axes=None)(jnp.ones(3)) == 3.0
    assert vmap(f, axis_name="i", axis_size=3, in_axes=None)(1.0).shape == (3,)
    assert vmap(lambda: lax.axis_index("i"), axis_name="i", axis_size=2)()[1] == 1


def test_lengths_given_to_functions_are_plain_integers():
    types = []

    def f(x):
        types.extend(map(type, (*jnp.broadcast_to(x, (2,)).shape, lax.axis_size("i"))))
        return 1.0, x

    outs = vmap(f, axis_name="i", out_axes=(0, -1))(jnp.ones((3, 2)))
    types += [type(n) for y in outs for n in y.shape]
    assert set(types) == {int}


def test_where_jax_spreads_an_axis_over_devices_has_no_effect():
    got = vmap(lambda x: lax.psum(x, "i"), axis_name="i", spmd_axis_name="data")
    np.testing.assert_array_equal(got(jnp.ones(3)), [3.0] * 3)


def test_vmap_must_add_no_operations_for_what_is_not_mapped():
    closed = make_jaxpr(vmap(lambda x, y: x * jnp.sin(y), (0, None)))(Y, 2.0)
    assert [str(e.outputs[0].aval) for e in closed.eqns] == ["f32[]", "f32[3]"]


# Errors.


def f(left, right):
    return left


BAD = {
    "count": (
        lambda: vmap(f, (0,))(Y, Y),
        r"in_axes has 1 entries for 2 positional arguments.*an int, None, or a tuple",
    ),
    "kind": (
        lambda: vmap(f, {"left": 0})(Y, Y),
        r"in_axes has \{'left': 0\} entries for 2",
    ),
    "prefix": (
        lambda: vmap(f, ((0, 0), 0))(Y, Y),
        r"in_axes \(0, 0\) does not fit a value of structure",
    ),
    "entries": (
        lambda: vmap(f, ("a", 0))(Y, Y),
        r"in_axes must hold ints and None, not 'a'",
    ),
    "scalar": (
        lambda: vmap(f)(Y, 2.0),
        r"right has shape \(\), which has no axis 0 to map over.*in_axes=None",
    ),
    "range": (
        lambda: vmap(f, (2, 0))({"w": X}, Y),
        r"left\['w'\] has shape \(3, 2\), which has no axis 2",
    ),
    "nothing": (
        lambda: vmap(f, None)(Y, Y),
        r"maps no argument: all axes are None.*give axis_size",
    ),
    "lengths": (
        lambda: vmap(f)(Y, X.T),
        r"inconsistent sizes for array axes to be mapped: left: 3, right: 2\.",
    ),
    "size": (
        lambda: vmap(f, axis_size=4)(Y, Y),
        r"left: 3, right: 3, axis_size: 4",
    ),
    "keyword": (
        lambda: vmap(lambda x, *, k: x)(Y, k=X.T),
        r"x: 3, k'\]: 2|x: 3, k: 2",
    ),
    "mapped output": (
        lambda: vmap(f, out_axes=None)(Y, Y),
        r"out_axes is None for an output that differs from element to element.*an int",
    ),
    "output range": (
        lambda: vmap(f, out_axes=1)(Y, Y),
        r"out_axes 1 is out of range for an output with 1 axes.*from -1 to 0",
    ),
    "constant output range": (
        lambda: vmap(lambda x: 2.0, out_axes=1)(Y),
        r"out_axes 1 is out of range for an output with 1 axes",
    ),
    "output prefix": (
        lambda: vmap(f, out_axes=(0, 0))(Y, Y),
        r"out_axes \(0, 0\) does not fit a value of structure",
    ),
    "output entries": (
        lambda: vmap(f, out_axes="a")(Y, Y),
        r"out_axes must hold ints and None",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_axes_that_do_not_fit_must_be_refused(case):
    call, message = BAD[case]
    with pytest.raises(BatchError, match=message) as caught:
        call()
    assert "Called at test_vmap.py:" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_vmap_must_refuse_what_is_no_function():
    with pytest.raises(ArgumentError, match=r"vmap was given a list.*vmap\(f\)\(x\)"):
        vmap([])  # type: ignore[arg-type]


def test_vmap_must_refuse_arguments_that_are_no_arrays():
    with pytest.raises(NotAnArrayError, match=r"vmap of f was given .* type str"):
        vmap(f)(Y, "text")


def test_vmap_must_refuse_outputs_that_are_no_arrays():
    with pytest.raises(NotAnArrayError, match=r"vmap: the output of .* type str"):
        vmap(lambda x: "text")(Y)


def test_vmap_must_pass_on_what_is_not_mapped_and_no_array():
    def apply(x, how, options):
        return options["f"](x) if how == "apply" else x

    axes = (0, None, {"f": None})
    found = vmap(apply, axes)(jnp.arange(3.0), "apply", {"f": jnp.square})
    np.testing.assert_array_equal(found, [0, 1, 4])
