"""Boxes cut out of an array, and their cotangents added up in place."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, hessian, jit, make_jaxpr, vmap
from pullback.primitives.boxes import AddBoxes, overlaps
from pullback.transforms import transpose
from tests.operation_examples import BOXES, DROPPED

RNG = np.random.default_rng(5)


def test_pieces_are_added_where_boxes_overlap():
    shapes = [[end - start for start, end in box] for box in BOXES]
    boxed = [RNG.normal(size=shape).astype("f4") for shape in shapes]
    wanted = np.zeros((2, 3), "f4")
    for box, piece in zip(BOXES, boxed):
        wanted[tuple(slice(*ends) for ends in box)] += piece
    pieces = [piece.squeeze(axes) for piece, axes in zip(boxed, DROPPED)]
    add = AddBoxes(BOXES, DROPPED, (2, 3))
    for found in (add(*pieces), jit(add)(*pieces)):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_overlaps_are_with_boxes_before():
    bounds = (((0, 2),), ((2, 4),), ((1, 3),), ((4, 6),))
    assert list(overlaps(bounds)) == [False, False, True, False]


def row_by_row(x):
    """Add up functions of single rows, columns, blocks and elements."""
    total = jnp.sum(x[1] * x[0, :1])
    for i in range(len(x)):
        total = total + i * jnp.sum(jnp.sin(x[i]) * x[i - 1])
        total = total + jnp.sum(x[i : i + 2, 3:5] ** 2) + x[i, i] * jnp.sum(x[:, -i])
    return total


def element_by_element(x):
    """Add up functions of single elements."""
    x = x[:, 0]
    return sum(jnp.sin(x[i]) * x[i - 1] for i in range(len(x)))


@pytest.fixture
def padded(monkeypatch):
    """Give a function's value where every slice adds its own padded cotangent."""

    def value(f, *args):
        with monkeypatch.context() as context:
            context.setattr(transpose, "join_slices", lambda steps: steps)
            return np.asarray(f(*args))

    return value


@pytest.mark.parametrize("f", [row_by_row, element_by_element])
@pytest.mark.parametrize("shape", [(6, 7), (6, 400)])
def test_cotangents_of_many_slices_are_those_of_each(f, shape, padded):
    x = RNG.normal(size=shape).astype("f4")
    wanted = padded(lambda x: grad(f)(x), x)
    for found in (grad(f)(x), jit(grad(f))(x), vmap(grad(f))(x[None])[0]):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_second_derivatives_of_many_slices(padded):
    x = RNG.normal(size=(6, 40)).astype("f4")

    def f(v):
        return row_by_row(x * v)

    v = np.linspace(0.5, 1, 40, dtype="f4")
    wanted = padded(lambda v: hessian(f)(v), v)
    for found in (hessian(f)(v), jit(hessian(f))(v)):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def operations(f, x):
    """Name the operations of a program."""
    return [eqn.primitive.name for eqn in make_jaxpr(f)(x).eqns]


def test_many_slices_of_a_large_array_have_one_cotangent():
    x = np.ones((50, 50), "f4")
    found = operations(grad(lambda x: sum(jnp.sum(x[i] ** 2) for i in range(50))), x)
    assert found.count("add_boxes") == 1
    assert "pad" not in found
    assert "add_any" not in found


@pytest.mark.parametrize(
    "reads",
    [
        lambda x: x[0] * x[1],
        lambda x: x[:, 0] * x[:, 1] * x[:, 2] * x[:, 3],
        lambda x: sum([x[::2], x[1::2]]),
    ],
)
def test_few_or_spread_slices_are_padded(reads):
    found = operations(grad(lambda x: jnp.sum(reads(x))), np.ones((50, 50), "f4"))
    assert "pad" in found or "concatenate" in found
    assert "add_boxes" not in found


def test_columns_are_put_together_from_five_on():
    def f(x):
        return jnp.sum(jnp.tanh(x[:, 0] * x[:, 1] * x[:, 2] * x[:, 3] * x[:, 4]))

    x = RNG.normal(size=(500, 5)).astype("f4")
    assert operations(grad(f), x).count("add_boxes") == 1
    np.testing.assert_allclose(jit(grad(f))(x), grad(f)(x), rtol=1e-3, atol=1e-5)


def test_the_sum_is_stored_before_it_is_used():
    def step(x):
        return x - 0.1 * grad(lambda x: sum(jnp.sum(x[i] ** 2) for i in range(50)))(x)

    x = np.ones((50, 50), "f4")
    assert "@host_store" in jit(step).lower(x).as_text()
    np.testing.assert_allclose(jit(step)(x), 0.8 * x, rtol=1e-6)


def test_integer_parts_and_parts_not_used_have_no_cotangent():
    x = np.ones((40, 60), "f4")

    def f(x):
        rows = [x[i] for i in range(40)]
        return jnp.sum(rows[3]) + jnp.sum(jnp.round(rows[4]).astype(int))

    wanted = np.zeros_like(x)
    wanted[3] = 1
    np.testing.assert_array_equal(grad(f)(x), wanted)
