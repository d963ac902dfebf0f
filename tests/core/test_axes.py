"""The length of a mapped axis with its name, and what is bound where."""

import pullback.numpy as jnp
from pullback import grad, jit, vmap
from pullback.core.axes import AxisSize, axis_key
from pullback.core.trace import current_trace


def test_a_size_with_a_name_must_be_told_from_one_without():
    assert AxisSize(3, "i") == 3
    assert axis_key(AxisSize(3, "i")) == (3, "i")
    assert axis_key(3) == (3, None)
    assert type(axis_key(AxisSize(3, "i"))[0]) is int


def bound():
    return current_trace().axes


def test_names_are_bound_inside_of_their_vmap_alone():
    found = []

    def inner(x):
        found.append(bound())
        return x

    f = vmap(vmap(grad(jit(inner)), axis_name="j"), axis_name="i")
    f(jnp.ones((2, 3)))
    vmap(inner)(jnp.ones(2))
    assert found == [(("j", 3), ("i", 2)), ()]
    assert bound() == ()
