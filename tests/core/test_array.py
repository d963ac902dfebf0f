import copy
import pickle

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import jit
from pullback.core.array import Array, Operators, fill_operators, from_host
from pullback.errors import ArgumentError


def test_array_prints_as_numpy_does_under_our_name():
    assert repr(jnp.arange(3.0)) == "Array([0., 1., 2.], dtype=float32)"
    assert str(jnp.arange(3)) == "[0 1 2]"
    assert repr(jnp.zeros((0, 2))) == "Array([], shape=(0, 2), dtype=float32)"
    assert repr(jnp.asarray(2.0)).startswith("Array(2., dtype=float32")
    assert f"{jnp.float32(0.25):.1f}" == "0.2"


def test_array_cannot_be_hashed_and_says_what_to_do():
    with pytest.raises(ArgumentError, match=r"cannot be hashed.*tobytes"):
        hash(jnp.ones(2))


def test_array_is_its_own_copy_and_pickles():
    x = jnp.arange(3.0)
    assert copy.copy(x) is x
    assert copy.deepcopy(x) is x
    y = pickle.loads(pickle.dumps(x))
    assert type(y) is Array
    np.testing.assert_array_equal(x, y)


def test_array_as_numpy_is_not_writable():
    x = jnp.arange(3.0)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0] = 1.0
    y = np.array(x)
    y[0] = 7.0
    assert x[0] == 0.0


@pytest.mark.parametrize("make", [lambda x: x, jit(lambda x: x + 0)])
def test_scalars_become_python_numbers(make):
    assert float(make(jnp.float32(1.5))) == 1.5
    assert int(make(jnp.int32(3))) == 3
    assert complex(make(jnp.complex64(1j))) == 1j
    assert [1, 2, 3][make(jnp.int32(1))] == 2
    assert make(jnp.arange(2)).tolist() == [0, 1]
    assert make(jnp.float32(2.5)).item() == 2.5
    assert make(jnp.int32(1)).tobytes() == b"\x01\x00\x00\x00"
    assert bool(make(jnp.int32(1)))


def test_array_exports_dlpack():
    np.testing.assert_array_equal(np.from_dlpack(jnp.arange(3)), [0, 1, 2])


def test_array_made_of_a_host_value_tells_its_type():
    x = from_host(np.float32(2.0), True)
    assert (x.shape, x.dtype, x.weak_type) == ((), np.float32, True)
    assert x.concrete() is x
    assert x.block_until_ready() is x


def test_operators_are_filled_only_once():
    with pytest.raises(RuntimeError, match="filled before"):
        fill_operators({"__add__": Operators.__add__})
