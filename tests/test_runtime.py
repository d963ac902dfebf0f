"""Devices, transfers, waiting, and the switches as context managers."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import (
    block_until_ready,
    config,
    default_backend,
    device_count,
    device_get,
    device_put,
    devices,
    disable_jit,
    enable_x64,
    jit,
    local_device_count,
    local_devices,
)
from pullback.core.array import Array
from pullback.errors import NotAnArrayError


def test_devices_must_be_counted():
    assert device_count() == len(devices()) >= 1
    assert local_device_count() == device_count()
    assert local_devices() == devices()


def test_backend_must_be_named():
    assert default_backend() in ("cpu", "cuda")


def test_device_put_must_make_arrays_of_every_leaf():
    out = device_put({"a": np.ones(2), "b": [1.0, jnp.zeros(3)]})
    assert [type(x) for x in pullback.tree.leaves(out)] == [Array] * 3
    assert out["b"][0].weak_type


def test_device_put_must_take_a_device():
    assert device_put(1.0, devices()[0]) == 1.0


def test_device_put_must_refuse_other_leaves():
    with pytest.raises(NotAnArrayError, match=r"device_put was given .* type str"):
        device_put({"a": "text"})


def test_device_put_must_be_traced():
    assert jit(lambda x: device_put(x) * 2)(3.0) == 6.0


def test_device_get_must_make_numpy_arrays_of_arrays_only():
    out = device_get({"a": jnp.ones(2), "b": (1.0, "text")})
    assert type(out["a"]) is np.ndarray
    assert out["b"] == (1.0, "text")


def test_block_until_ready_must_give_the_tree():
    tree = {"a": jit(lambda x: x * 2)(jnp.ones(2)), "b": 1.0}
    assert block_until_ready(tree) is tree


def test_disable_jit_must_run_operations_one_by_one():
    seen: list = []
    f = jit(lambda x: seen.append(float(x)) or x)
    with disable_jit():
        f(2.0)
        f(3.0)
        with disable_jit(False):
            assert not config.disable_jit
    assert seen == [2.0, 3.0]


def test_enable_x64_must_keep_wide_types():
    with enable_x64():
        assert jnp.ones(2).dtype == np.float64
        with enable_x64(False):
            assert jnp.ones(2).dtype == np.float32
    assert jnp.ones(2).dtype == np.float32
