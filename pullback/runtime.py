"""Where arrays live and when they are ready: devices, transfers, waiting."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from pullback import tree
from pullback.backend.xla import backend
from pullback.config import config
from pullback.core.array import Array
from pullback.core.calling import as_value


def devices() -> list[Any]:
    """Give the devices that compiled programs run on; loads the compiler."""
    return list(backend().devices)


local_devices = devices


def device_count() -> int:
    """Give the number of devices."""
    return len(devices())


local_device_count = device_count


def default_backend() -> str:
    """Give the name of the platform: "cpu" or "cuda"."""
    return backend().platform


def device_put(x: Any, device: Any = None) -> Any:
    """Make arrays of every leaf of a tree, to be used by compiled programs.

    Args:
        x: a tree of arrays, NumPy arrays and numbers.
        device: accepted for compatibility; there is one device.
    """
    return tree.map(lambda leaf: as_value(leaf, "device_put"), x)


def device_get(x: Any) -> Any:
    """Make NumPy arrays of every array in a tree; other leaves stay as they are."""
    return tree.map(_on_host, x)


def _on_host(leaf: Any) -> Any:
    return np.asarray(leaf) if isinstance(leaf, Array) else leaf


def block_until_ready(x: Any) -> Any:
    """Wait until every array in a tree has been computed, and give the tree."""
    for leaf in tree.leaves(x):
        if isinstance(leaf, Array):
            leaf.block_until_ready()
    return x


@contextlib.contextmanager
def disable_jit(disable: bool = True) -> Iterator[None]:
    """Run jitted functions operation by operation inside a `with` block."""
    with config.context(disable_jit=disable):
        yield


@contextlib.contextmanager
def enable_x64(enable: bool = True) -> Iterator[None]:
    """Keep 64-bit types inside a `with` block."""
    with config.context(enable_x64=enable):
        yield
