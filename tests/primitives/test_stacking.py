"""Members of an axis: picked, stacked and taken apart, as one operation each."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, jit, make_jaxpr
from pullback.errors import ShapeError
from pullback.primitives.stacking import Stack, pick, stack, unstack

X = jnp.asarray(np.arange(24, dtype="f4").reshape(2, 3, 4))


def names(f, *args):
    """Give the operations of a program."""
    return [eqn.primitive.name for eqn in make_jaxpr(f)(*args).eqns]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[1],
        lambda x: x[1, :, -1],
        lambda x: x[0, 1:, 2],
        lambda x: x[1, 2, 3],
    ],
    ids=["row", "column", "part", "element"],
)
def test_an_index_of_integers_and_slices_is_one_operation(f):
    assert names(f, X) == ["pick"]
    np.testing.assert_array_equal(jit(f)(X), f(np.asarray(X)))


def test_axes_that_run_backwards_are_turned_once_others_are_left_out():
    def f(x):
        return x[1, ::-1, 2]

    assert names(f, X) == ["pick", "rev"]
    np.testing.assert_array_equal(jit(f)(X), f(np.asarray(X)))


def test_arrays_are_stacked_and_unstacked_by_one_operation():
    assert names(lambda x, y: jnp.stack([x, y], -1), X, X) == ["stack"]
    assert names(lambda x: jnp.array([x, x + 1]), X) == ["add", "stack"]
    assert names(lambda x: list(x), X) == ["unstack"]
    assert names(lambda x: jnp.unstack(x, axis=1), X) == ["unstack"]


def test_one_member_needs_no_cut_and_no_join():
    assert names(lambda x: stack([x], 1), X) == ["reshape"]
    assert names(lambda x: unstack(x[:1], 0), X) == ["slice", "reshape"]
    assert unstack(X[:0], 0) == []


def test_nothing_left_out_is_a_slice():
    f = lambda x: pick(x, (0, 1, 0), (1, 3, 4), (1, 1, 2), ())  # noqa: E731
    assert names(f, X) == ["slice"]


def test_the_transpose_of_members_is_one_join():
    def f(x):
        a, b = x
        return jnp.sum(a * b)

    traced = names(grad(f), X)
    assert traced.count("stack") == 1
    assert "pad" not in traced
    np.testing.assert_array_equal(grad(f)(X), X[::-1])


def test_one_member_of_many_has_no_joined_cotangent():
    def f(x):
        return jnp.sum(jnp.unstack(x, axis=2)[3] ** 2)

    assert "stack" not in names(grad(f), X)
    wanted = np.zeros(X.shape, "f4")
    wanted[..., 3] = 2 * np.asarray(X)[..., 3]
    for found in (grad(f)(X), jit(grad(f))(X)):
        np.testing.assert_array_equal(found, wanted)


def test_arrays_of_different_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"stack was given .*f32\[2\], f32\[3\]"):
        make_jaxpr(Stack(0))(jnp.ones(2), jnp.ones(3))
