"""Pullback: composable function transformations, and derivatives you control."""

import gc as _gc
from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from pullback.collector import resting_collector as _resting_collector

# What an import makes stays: the collector's passes over it find nothing, and take a
# tenth of the time. To freeze and unfreeze it makes it old without such a pass.
with _resting_collector():
    from pullback import core as core
    from pullback import custom_batching as custom_batching
    from pullback import dtypes as dtypes
    from pullback import errors as errors
    from pullback import numpy as numpy
    from pullback import tree as tree
    from pullback import tree_util as tree_util
    from pullback.calls import policies as _policies
    from pullback.calls.checkpoint import checkpoint as checkpoint
    from pullback.calls.checkpoint import checkpoint_name as checkpoint_name
    from pullback.calls.jit import jit as jit
    from pullback.config import config as config
    from pullback.config import listeners as _listeners
    from pullback.core.aval import ShapeDtypeStruct as ShapeDtypeStruct
    from pullback.core.zero import SymbolicZero as SymbolicZero
    from pullback.custom.closure import closure_convert as closure_convert
    from pullback.custom.custom_jvp import custom_jvp as custom_jvp
    from pullback.custom.custom_transpose import custom_transpose as custom_transpose
    from pullback.custom.custom_vjp import custom_vjp as custom_vjp
    from pullback.custom.gradient import custom_gradient as custom_gradient
    from pullback.custom.linear_call import linear_call as linear_call
    from pullback.debugging import tracebacks as _tracebacks
    from pullback.dtypes import float0 as float0
    from pullback.errors import missing_name as _missing_name
    from pullback.external import external as external
    from pullback.primitives.callbacks import io_callback as io_callback
    from pullback.primitives.callbacks import pure_callback as pure_callback
    from pullback.primitives.strong import strong_zeros as strong_zeros
    from pullback.runtime import block_until_ready as block_until_ready
    from pullback.runtime import check_tracer_leaks as check_tracer_leaks
    from pullback.runtime import checking_leaks as checking_leaks
    from pullback.runtime import clear_caches as clear_caches
    from pullback.runtime import copy_to_host_async as copy_to_host_async
    from pullback.runtime import debug_infs as debug_infs
    from pullback.runtime import debug_nans as debug_nans
    from pullback.runtime import default_backend as default_backend
    from pullback.runtime import default_matmul_precision as default_matmul_precision
    from pullback.runtime import device_count as device_count
    from pullback.runtime import device_get as device_get
    from pullback.runtime import device_put as device_put
    from pullback.runtime import devices as devices
    from pullback.runtime import disable_jit as disable_jit
    from pullback.runtime import effects_barrier as effects_barrier
    from pullback.runtime import enable_x64 as enable_x64
    from pullback.runtime import ensure_compile_time_eval as ensure_compile_time_eval
    from pullback.runtime import explain_cache_misses as explain_cache_misses
    from pullback.runtime import local_device_count as local_device_count
    from pullback.runtime import local_devices as local_devices
    from pullback.runtime import log_compiles as log_compiles
    from pullback.runtime import named_call as named_call
    from pullback.runtime import named_scope as named_scope
    from pullback.runtime import no_tracing as no_tracing
    from pullback.runtime import numpy_dtype_promotion as numpy_dtype_promotion
    from pullback.runtime import numpy_rank_promotion as numpy_rank_promotion
    from pullback.runtime import print_environment_info as print_environment_info
    from pullback.runtime import process_count as process_count
    from pullback.runtime import process_index as process_index
    from pullback.runtime import process_indices as process_indices
    from pullback.runtime import typeof as typeof
    from pullback.transforms.derivatives import grad as grad
    from pullback.transforms.derivatives import hessian as hessian
    from pullback.transforms.derivatives import jacfwd as jacfwd
    from pullback.transforms.derivatives import jacrev as jacrev
    from pullback.transforms.derivatives import value_and_grad as value_and_grad
    from pullback.transforms.stage import eval_shape as eval_shape
    from pullback.transforms.stage import make_jaxpr as make_jaxpr
    from pullback.transforms.transpose import linear_transpose as linear_transpose
    from pullback.transforms.vjp import jvp as jvp
    from pullback.transforms.vjp import linearize as linearize
    from pullback.transforms.vjp import vjp as vjp
    from pullback.transforms.vmap import vmap as vmap

    if _gc.get_freeze_count() == 0:
        _gc.freeze()
        _gc.unfreeze()

# `isinstance(x, Array)` holds for traced values too: code asks it of arguments.
globals()["Array"] = core.array.Operators

if _TYPE_CHECKING:
    from pullback import ad_checkpoint as ad_checkpoint
    from pullback import custom_derivatives as custom_derivatives
    from pullback import debug as debug
    from pullback import experimental as experimental
    from pullback import extend as extend
    from pullback import flatten_util as flatten_util
    from pullback import image as image
    from pullback import implicit as implicit
    from pullback import lax as lax
    from pullback import nn as nn
    from pullback import ode as ode
    from pullback import ops as ops
    from pullback import random as random
    from pullback import scipy as scipy
    from pullback import stages as stages
    from pullback import test_util as test_util
    from pullback import typing as typing
    from pullback.calls.passes import fwd_and_bwd as fwd_and_bwd
    from pullback.core.array import Array as Array
    from pullback.drawing.picture import draw as draw
    from pullback.implicit.decorator import implicit_diff as implicit_diff

checkpoint_policies = _policies
jacobian = jacrev
remat = checkpoint

_tracebacks.install()

__version__ = "0.1.0"


#: Namespaces that are imported when first asked for: a sixth of the import's time.
_LATE = frozenset(
    (
        "ad_checkpoint",
        "custom_derivatives",
        "debug",
        "experimental",
        "extend",
        "flatten_util",
        "image",
        "implicit",
        "lax",
        "nn",
        "ode",
        "ops",
        "random",
        "scipy",
        "stages",
        "test_util",
        "typing",
    )
)
#: Functions that are, and the modules that they come from.
_LATE_FUNCTIONS = {
    "draw": "drawing.picture",
    "fwd_and_bwd": "calls.passes",
    "implicit_diff": "implicit.decorator",
}


def __getattr__(name: str) -> _Any:
    """Import what is imported late, or say that a name is not here."""
    if name in _LATE:
        return _import_module(f"pullback.{name}")
    if name in _LATE_FUNCTIONS:
        module = _import_module(f"pullback.{_LATE_FUNCTIONS[name]}")
        found = globals()[name] = getattr(module, name)
        return found
    raise _missing_name("pullback", name)


def __dir__() -> list[str]:
    """List also what is imported late."""
    return sorted({*globals(), *_LATE, *_LATE_FUNCTIONS})


def _follow_checks() -> None:
    """Import what a debugging switch wants when that is on; it follows by itself."""
    if config.checks_values:
        _import_module("pullback.debugging.switch")
    if config.check_tracer_leaks:
        _import_module("pullback.debugging.leaks")


_listeners.append(_follow_checks)
_follow_checks()
