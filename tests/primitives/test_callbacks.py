"""Calls back into Python: values, every way of mapping, effects, errors."""

import numpy as np
import pytest

from pullback import jit, make_jaxpr, vmap
from pullback.core.aval import ShapeDtypeStruct
from pullback.core.calling import as_value
from pullback.errors import (
    ArgumentError,
    BatchError,
    MissingDerivative,
    ShapeError,
    TreeError,
)
from pullback.primitives.callbacks import (
    debug_callback,
    io_callback,
    pure_callback,
)
from pullback.primitives.table import add, integer_pow
from pullback.transforms.derivatives import grad

X = as_value(np.arange(3, dtype=np.float32))
LIKE = ShapeDtypeStruct((3,), np.float32)


def sine(x):
    return pure_callback(np.sin, LIKE, x)


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_a_callback_gives_what_the_function_gives(transform):
    np.testing.assert_allclose(transform(sine)(X), np.sin(np.asarray(X)), 1e-6)


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_containers_go_in_and_come_out_and_dtypes_are_cast(transform):
    def host(d, *, scale):
        return {"sum": d["x"].sum() * scale, "n": np.int64(d["x"].size)}

    like = {
        "sum": ShapeDtypeStruct((), np.float32),
        "n": ShapeDtypeStruct((), np.int32),
    }
    out = transform(lambda x: pure_callback(host, like, {"x": x}, scale=2.0))(X)
    assert (float(out["sum"]), int(out["n"])) == (6.0, 3)
    assert out["n"].dtype == np.int32


METHODS = ["sequential", "expand_dims", "broadcast_all", "legacy_vectorized"]


@pytest.mark.parametrize("transform", [lambda f: f, jit])
@pytest.mark.parametrize("method", METHODS)
def test_every_way_of_mapping_gives_the_same(method, transform):
    def host(x, y):
        return np.asarray(x * y, np.float32)

    def f(x, y):
        like = ShapeDtypeStruct((), np.float32)
        return pure_callback(host, like, x, y, vmap_method=method)

    mapped = transform(vmap(f, in_axes=(0, None)))
    np.testing.assert_array_equal(mapped(X, as_value(2.0)), [0.0, 2.0, 4.0])


def test_sequential_mapping_nests():
    shapes = []

    def host(x):
        shapes.append(x.shape)
        return x + 1

    def f(x):
        like = ShapeDtypeStruct((), np.float32)
        return pure_callback(host, like, x, vmap_method="sequential")

    x = as_value(np.zeros((2, 3), np.float32))
    assert vmap(vmap(f))(x).shape == (2, 3)
    assert shapes == [()] * 6


def test_mapping_without_a_method_is_an_error_that_names_the_choices():
    with pytest.raises(BatchError, match=r"how to map sin.*vmap_method='sequential'"):
        vmap(lambda x: pure_callback(np.sin, ShapeDtypeStruct((), np.float32), x))(X)
    with pytest.raises(ArgumentError, match="vmap_method='loop'"):
        pure_callback(np.sin, LIKE, X, vmap_method="loop")


def test_differentiating_is_an_error_that_names_the_ways_out():
    with pytest.raises(MissingDerivative, match=r"external.*custom_jvp or custom_vjp"):
        grad(lambda x: sine(x)[0])(X)


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_a_wrong_shape_or_tree_is_an_error_that_names_the_function(transform):
    def short(x):
        return x[:2]

    with pytest.raises(ShapeError, match=r"callback short returned shape \(2,\)"):
        np.asarray(transform(lambda x: pure_callback(short, LIKE, x))(X))

    def pair(x):
        return x, x

    with pytest.raises(TreeError, match="callback pair returned"):
        np.asarray(transform(lambda x: pure_callback(pair, LIKE, x))(X))


def test_staging_twice_gives_equal_operations_and_readable_text():
    first, second = (make_jaxpr(sine)(X) for _ in range(2))
    assert first.eqns[0].primitive == second.eqns[0].primitive
    assert "pure_callback" in str(first)
    assert "sin" in str(first)


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_effects_keep_their_order_and_see_primal_values(transform):
    seen = []

    def f(x):
        for i in range(5):
            debug_callback(lambda x, i=i: seen.append((i, float(x))), x)
        return integer_pow(x, 2)

    assert float(transform(grad(f))(as_value(3.0))) == 6.0
    assert seen == [(i, 3.0) for i in range(5)]


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_effects_under_vmap_happen_for_each_element(transform):
    seen = []

    def f(x):
        debug_callback(lambda x, y: seen.append((float(x), float(y))), x, 7.0)
        return x

    np.asarray(transform(vmap(f))(X))
    assert seen == [(0.0, 7.0), (1.0, 7.0), (2.0, 7.0)]


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_an_effectful_callback_runs_though_its_result_is_unused(transform):
    seen = []

    def host(x):
        seen.append(float(x))
        return x

    def f(x):
        io_callback(host, ShapeDtypeStruct((), np.float32), x, ordered=True)
        return add(x, 1.0)

    assert float(transform(f)(as_value(1.0))) == 2.0
    assert seen == [1.0]
