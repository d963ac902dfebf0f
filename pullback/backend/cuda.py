"""The way to an NVIDIA GPU: the compiler's plugin, loaded without importing jax.

This was written from the plugin's sources, and has not been run: no GPU was at hand.
"""

from __future__ import annotations

import ctypes
import functools
import glob
import importlib
import importlib.util
import os
from collections.abc import Callable
from typing import Any

from pullback.errors import BackendError

#: The suffix of the packages' names: CUDA 13, then 12.
GENERATIONS = ("cuda13", "cuda12")
#: Libraries the plugin needs, by package folder below `nvidia`; loaded in this order.
LIBRARIES = (
    "libcudart",
    "libnvrtc",
    "libcublasLt",
    "libcublas",
    "libcupti",
    "libnvJitLink",
    "libcusparse",
    "libcusolver",
    "libcufft",
    "libnccl",
    "libcudnn",
)
#: Modules of the compiler that hold the GPU's numerical library.
SOLVERS = ("gpu_solver", "gpu_linalg", "gpu_prng", "gpu_sparse")
#: Gives one of the compiler's modules by its name in the package.
Load = Callable[[str], Any]


def make_client(load: Load) -> Any:
    """Connect to the first GPU.

    Args:
        load: gives the compiler's modules.

    Raises:
        BackendError: the plugin is not installed.
    """
    xla = load("xla_client")
    generation, path = find_plugin()
    load_libraries()
    if not xla.pjrt_plugin_loaded("cuda"):
        api = xla.load_pjrt_plugin_dynamically("cuda", path)
        register_functions(load, api, generation)
    if not xla.pjrt_plugin_initialized("cuda"):
        xla.initialize_pjrt_plugin("cuda")
    options = {**xla.generate_pjrt_gpu_plugin_options(), "visible_devices": [0]}
    return xla.make_c_api_client("cuda", options, None)


def find_plugin() -> tuple[str, str]:
    """Give the generation and the path of the plugin's shared library.

    The package itself is not imported, for it imports jax.
    """
    parent = importlib.util.find_spec("jax_plugins")
    for folder in (parent.submodule_search_locations or ()) if parent else ():
        for generation in GENERATIONS:
            path = os.path.join(folder, f"xla_{generation}", "xla_cuda_plugin.so")
            if os.path.exists(path):
                return generation, path
    raise BackendError(
        "PULLBACK_PLATFORM is 'cuda', but the compiler's GPU plugin is not installed.",
        mend="Install `jax-cuda13-pjrt` and `jax-cuda13-plugin` of jaxlib's version.",
    )


def load_libraries() -> None:
    """Load NVIDIA's libraries from their Python packages, where these are installed."""
    parent = importlib.util.find_spec("nvidia")
    for folder in (parent.submodule_search_locations or ()) if parent else ():
        for library in LIBRARIES:
            for path in sorted(glob.glob(f"{folder}/*/lib/{library}.so.*")):
                try:
                    ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
                except OSError:
                    continue


def register_functions(load: Load, api: Any, generation: str) -> None:
    """Tell the compiler the functions that programs call: solvers, callbacks."""
    xla = load("xla_client")
    extension = importlib.import_module(
        f"jax_{generation}_plugin.cuda_plugin_extension"
    )
    xla.register_custom_type_handler(
        "CUDA", functools.partial(extension.register_custom_type, api)
    )
    xla.register_custom_call_handler(
        "CUDA", functools.partial(extension.register_custom_call_target, api)
    )
    for name, value in extension.ffi_types().items():
        xla.register_custom_type(name, value, platform="CUDA")
    for name, value in extension.ffi_handlers().items():
        xla.register_custom_call_target(name, value, platform="CUDA", api_version=1)
    for name in SOLVERS:
        for target, value, version in load(name).registrations()["CUDA"]:
            xla.register_custom_call_target(
                target, value, platform="CUDA", api_version=version
            )
