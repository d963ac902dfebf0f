"""Where arrays live and when they are ready: devices, transfers, waiting."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pullback import tree
from pullback.backend.xla import backend, loaded
from pullback.calls.jit import jit
from pullback.config import config
from pullback.core import origin
from pullback.core.array import Array
from pullback.core.aval import Aval
from pullback.core.calling import as_value, check_callable
from pullback.core.primitive import Primitive
from pullback.core.trace import (
    EVAL,
    Trace,
    Tracer,
    Value,
    aval_of,
    current_trace,
    using,
)
from pullback.errors import BackendError
from pullback.lazy import metadata


def devices() -> list[Any]:
    """Give the devices that compiled programs run on; loads the compiler."""
    return list(backend().devices)


local_devices = devices


def device_count() -> int:
    """Give the number of devices."""
    return len(devices())


local_device_count = device_count


def process_count() -> int:
    """Give the number of processes that compute together: one."""
    return 1


def process_indices() -> list[int]:
    """Give the numbers of all processes that compute together: [0]."""
    return [0]


def process_index() -> int:
    """Give the number of this process among those: zero."""
    return 0


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
    for leaf in [x] if type(x) is Array else tree.leaves(x):
        if isinstance(leaf, Array):
            leaf.block_until_ready()
    return x


def print_environment_info(return_string: bool = False) -> str | None:
    """Print what a report of an error should say: versions, devices, the platform.

    Args:
        return_string: give the text, and print nothing.
    """
    lines = [
        f"pullback: {sys.modules['pullback'].__version__}",
        *[f"{f'{name}:':9} {_version(name)}" for name in ("jaxlib", "numpy", "scipy")],
        f"python:   {sys.version}",
        f"devices:  {_devices_in_words()}",
        f"switches: {_changed_switches()}",
        f"platform: {platform.platform()}, {os.cpu_count()} CPUs",
    ]
    text = "\n".join(lines)
    if return_string:
        return text
    print(text)
    return None


def _version(name: str) -> str:
    """Give the version of an installed distribution, without importing it."""
    try:
        return str(metadata.version(name))
    except ModuleNotFoundError:
        return "not installed"


def _devices_in_words() -> str:
    """Name the devices; or say why there is no compiler to ask."""
    try:
        found = [f"{d.device_kind} ({d.platform})" for d in devices()]
    except BackendError as error:
        return f"none, since {error.what}"
    return f"{len(found)}: {', '.join(found)}"


def _changed_switches() -> str:
    """Name the switches that are not as they are by default."""
    changed = [f"{n}={v!r}" for n, v in config.changed().items()]
    return ", ".join(changed) or "all by default"


def copy_to_host_async(x: Any) -> Any:
    """Begin to copy every array in a tree to the host, and give the tree."""
    for leaf in tree.leaves(x):
        if isinstance(leaf, Array):
            leaf.copy_to_host_async()
    return x


def effects_barrier() -> None:
    """Wait until all that compiled programs were asked to do is done, prints too."""
    if loaded():  # devices run programs in order
        jit(lambda x: x + 1)(0).block_until_ready()


def clear_caches() -> None:
    """Let every function be staged and compiled anew; the cache on disk stays."""
    config.outdate()


def typeof(x: Any) -> Aval:
    """Give the type of an array, a traced value or a number: `f32[3]`."""
    return aval_of(as_value(x, "typeof"))


# -- what holds inside a block ---------------------------------------------------------


class EarlyTrace(Trace):
    """Computes at once what depends on no traced value.

    Args:
        outer: the trace that traced values are left to.
    """

    __slots__ = ("outer",)

    def __init__(self, outer: Trace) -> None:
        self.outer = outer

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Compute, or let the outer trace do with traced values what it does."""
        traced = any(isinstance(x, Tracer) for x in operands)
        with using(self.outer if traced else EVAL) as trace:
            return trace.apply(primitive, operands)


@contextlib.contextmanager
def ensure_compile_time_eval() -> Iterator[None]:
    """Compute at once, inside a `with` block of a traced function, what is known there.

    Example:
        >>> import pullback, pullback.numpy as jnp
        >>> @pullback.jit
        ... def f(x):
        ...     with ensure_compile_time_eval():
        ...         n = int(jnp.sum(jnp.arange(4)))
        ...     return x * n
        >>> f(2.0)
        Array(12., dtype=float32, weak_type=True)
    """
    with using(EarlyTrace(current_trace())):
        yield


@contextlib.contextmanager
def named_scope(name: str) -> Iterator[None]:
    """Name what is traced inside a `with` block, or in a decorated function.

    Errors and `print_saved_residuals` show the names of scopes with the line.
    """
    outer = origin.scope.get()
    token = origin.scope.set(f"{outer}/{name}" if outer else name)
    try:
        yield
    finally:
        origin.scope.reset(token)


def named_call(
    fun: Callable[..., Any], *, name: str | None = None
) -> Callable[..., Any]:
    """Run a function in a scope of its own name, or of another."""
    check_callable(fun, "named_call")
    label = origin.name_of(fun) if name is None else name

    @functools.wraps(fun)
    def called(*args: Any, **kwargs: Any) -> Any:
        with named_scope(label):
            return fun(*args, **kwargs)

    return called


@contextlib.contextmanager
def disable_jit(disable: bool = True) -> Iterator[None]:
    """Run jitted functions operation by operation inside a `with` block."""
    with config.context(disable_jit=disable):
        yield


@contextlib.contextmanager
def no_tracing(enable: bool = True) -> Iterator[None]:
    """Refuse, inside a `with` block, to trace jitted functions for further types.

    Example:
        >>> import pullback
        >>> f = pullback.jit(lambda x: x + 1)
        >>> f(1.0)
        Array(2., dtype=float32, weak_type=True)
        >>> with no_tracing():  # the loop that is to be quick
        ...     f(2.0)
        Array(3., dtype=float32, weak_type=True)
    """
    with config.context(no_tracing=enable):
        yield


@contextlib.contextmanager
def enable_x64(enable: bool = True) -> Iterator[None]:
    """Keep 64-bit types inside a `with` block."""
    with config.context(enable_x64=enable):
        yield


@contextlib.contextmanager
def log_compiles(enable: bool = True) -> Iterator[None]:
    """Log, inside a `with` block, what is traced and why, and what is compiled.

    The logger is Python's `logging.getLogger("pullback")`, the level `WARNING`, which
    is shown where nothing is set up.
    """
    with config.context(log_compiles=enable):
        yield


@contextlib.contextmanager
def explain_cache_misses(enable: bool = True) -> Iterator[None]:
    """Log, inside a `with` block, what is traced and why: a part of `log_compiles`."""
    with config.context(explain_cache_misses=enable):
        yield


@contextlib.contextmanager
def debug_infs(enable: bool = True) -> Iterator[None]:
    """Raise where the first infinity is made of finite operands, inside a `with` block.

    Infinities that are given, as arguments or as constants, may be used.
    """
    with config.context(debug_infs=enable):
        yield


@contextlib.contextmanager
def debug_nans(enable: bool = True) -> Iterator[None]:
    """Raise where the first nan appears inside a `with` block."""
    with config.context(debug_nans=enable):
        yield


@contextlib.contextmanager
def check_tracer_leaks(enable: bool = True) -> Iterator[None]:
    """Raise where a transformation ends and its values are kept, inside a block.

    Example:
        >>> import pullback
        >>> kept = []
        >>> with checking_leaks():
        ...     pullback.grad(lambda x: (kept.append(x), x * x)[1])(3.0)
        Traceback (most recent call last):
            ...
        pullback.errors.LeakedTracerError: a transformation in reverse mode (grad, vjp,
        linearize) has ended, but its values are kept: a value of type f32[] being
        differentiated, an argument of the function, is held by element 0 of a list...
    """
    with config.context(check_tracer_leaks=enable):
        yield


checking_leaks = check_tracer_leaks


#: JAX's names of precisions beside "default", "high" and "highest".
_PRECISIONS = {
    "fastest": "default",
    "bfloat16": "default",
    "bfloat16_3x": "high",
    "tensorfloat32": "high",
    "float32": "highest",
    "None": "default",
}


@contextlib.contextmanager
def default_matmul_precision(precision: str | None) -> Iterator[None]:
    """Multiply with a precision inside a `with` block where none is given.

    Args:
        precision: "default", "high", "highest", or "bfloat16", "tensorfloat32",
            "float32", which mean the same; matters on accelerators only.
    """
    name = _PRECISIONS.get(str(precision), precision)
    with config.context(default_matmul_precision=name):
        yield


@contextlib.contextmanager
def numpy_dtype_promotion(promotion: str) -> Iterator[None]:
    """Let operands of different dtypes meet or not inside a `with` block.

    Args:
        promotion: "standard", or "strict": they are refused, unless all but one are
            Python numbers.
    """
    with config.context(numpy_dtype_promotion=promotion):
        yield


@contextlib.contextmanager
def numpy_rank_promotion(promotion: str) -> Iterator[None]:
    """Let operands of different ranks meet or not inside a `with` block.

    Args:
        promotion: "allow", or "warn" or "raise" where functions of NumPy's interface
            broadcast operands of different ranks; scalars may meet anything.
    """
    with config.context(numpy_rank_promotion=promotion):
        yield
