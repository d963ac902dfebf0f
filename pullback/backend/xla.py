"""The compiler: the one module that knows `jaxlib`, which it loads on first need.

What the private interface of `jaxlib` expects was found by experiment; the names used
here, all of them attributes of `jaxlib._jax` and `jaxlib.xla_client`, are stable over
0.10.0 to 0.10.2. Nothing here imports `jax`, and both may live in one process.
"""

from __future__ import annotations

import collections
import ctypes
import functools
import importlib
import operator
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes, tree
from pullback.backend import cuda, memory
from pullback.backend.disk_cache import (
    DiskCache,
    compiling_threads,
    machine_fingerprint,
)
from pullback.backend.executable import (
    Buffer,
    Executable,
    FastCall,
    donated_error,
    guarded,
)
from pullback.backend.lower import Module
from pullback.backend.miscompiled import may_be_wrong, remedy
from pullback.backend.options import Options, choose_options
from pullback.config import config, listeners
from pullback.core import array as arrays
from pullback.core.array import Array
from pullback.core.aval import Aval
from pullback.errors import BackendError
from pullback.lazy import subprocess

#: Versions that are accepted, from the first up to but not including the second.
ACCEPTED = ((0, 10, 0), (0, 11, 0))
#: Versions whose fast call path was tested here; others are tried in a subprocess.
TESTED = frozenset(((0, 10, 0), (0, 10, 2)))

#: Dtypes with a buffer format; the others are read through their address.
_FORMATS = frozenset("?bhilqBHILQefdFD")

# The attributes are read by name from C++.
_FastPathData = collections.namedtuple(
    "_FastPathData",
    "xla_executable out_pytree_def in_shardings out_shardings out_avals out_committed "
    "kept_var_bitvec in_device_local_layouts const_args",
)


class Backend:
    """One device and its compiler, behind a few verbs.

    Made by `backend()`. The platform is "cpu", or "cuda" if the environment variable
    `PULLBACK_PLATFORM` says so.
    """

    def __init__(self) -> None:
        self._load()
        self.platform: str = os.environ.get("PULLBACK_PLATFORM", "cpu")
        self.device = self._client().local_devices()[0]
        self.devices = [self.device]
        self.device_list = self.jax.DeviceList((self.device,))
        self.sharding = self.jax.GSPMDSharding(
            self.device_list, self.xla.HloSharding.replicate()
        )
        self.cache = DiskCache()
        self.counts: collections.Counter[str] = collections.Counter()
        self._contexts = threading.local()
        self._dialects = self.ir.DialectRegistry()
        self._mlir._jax_mlir_ext.register_dialects(self._dialects)
        self._registries_of_calls()
        self._process_state()
        arrays.to_host[0] = self.to_host
        arrays.begin_to_host[0] = self.begin_to_host

    # -- loading ---------------------------------------------------------------------

    def _load(self) -> None:
        """Import the compiler's modules, quietly, and check their version."""
        jax_came_first = "jax" in sys.modules
        quiet = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        try:
            self.version = check_version(load("version").__version__)
            self.jax = load("_jax")
            self.xla = load("xla_client")
            self.ir = load("mlir.ir")
            self._mlir = load("mlir._mlir_libs")
            for name in ("_jax_mlir_ext", "_stablehlo", "_chlo"):
                load(f"mlir._mlir_libs.{name}")
        except ImportError as error:
            if isinstance(error, BackendError):
                raise
            raise BackendError(
                f"the compiler could not be loaded: {error}.",
                mend="Install it with `pip install 'jaxlib>=0.10,<0.11'`, or go on "
                "without: config.update('call_path', 'numpy').",
            ) from error
        finally:
            if quiet is None:
                del os.environ["TF_CPP_MIN_LOG_LEVEL"]
        self.runtime_error: type[Exception] = self.jax.JaxRuntimeError
        self.array_type: type = self.jax.ArrayImpl
        self.fast = not jax_came_first

    def _client(self) -> Any:
        """Make the connection to the device."""
        # Those of now: the client takes as many, and keeps them.
        self.threads = compiling_threads()
        if self.platform == "cpu":
            memory.keep_freed_memory()
            # A program runs in the thread that calls it: handing it to another costs
            # 6 us, and 30 where other processes keep the cores busy.
            self.client = self.xla.make_cpu_client(asynchronous=False, num_devices=1)
        elif self.platform == "cuda":
            self.client = cuda.make_client(load)
        else:
            raise BackendError(
                f"PULLBACK_PLATFORM is {self.platform!r}.", mend="Use 'cpu' or 'cuda'."
            )
        return self.client

    def _registries_of_calls(self) -> None:
        """Make the registries of containers that the C++ call path flattens and makes.

        In them an `Array` is a container of its buffer, so that C++ takes arrays apart
        and makes them again; everywhere else an `Array` is a leaf. There are two, since
        what is taken apart fastest is not made fastest: each spares 0.1 us a call.
        """
        self.arguments, self.results = self._registry(), self._registry()
        self.arguments.register_dataclass_node(Array, ["buffer"], ["weak"])
        self.results.register_node(Array, lambda x: ((x.buffer,), x.weak), Array)
        self._register_node(
            collections.OrderedDict,
            lambda d: (tuple(d.values()), tuple(d)),
            lambda keys, values: collections.OrderedDict(zip(keys, values)),
        )
        self._register_node(
            collections.defaultdict,
            lambda d: (tuple(d[k] for k in sorted(d)), (d.default_factory, *sorted(d))),
            lambda aux, values: collections.defaultdict(aux[0], zip(aux[1:], values)),
        )
        self._register_node(
            collections.deque,
            lambda d: (tuple(d), d.maxlen),
            lambda maxlen, values: collections.deque(values, maxlen),
        )
        for cls, flatten, unflatten in tree.registered:
            self._register_user_node(cls, flatten, unflatten)
        tree.registration_listeners.append(self._register_user_node)

    def _registry(self) -> Any:
        return self.jax.pytree.PyTreeRegistry(
            enable_none=True,
            enable_tuple=True,
            enable_namedtuple=True,
            enable_list=True,
            enable_dict=True,
        )

    def _register_node(self, cls: type, flatten: Any, unflatten: Any) -> None:
        for registry in (self.arguments, self.results):
            registry.register_node(cls, flatten, unflatten)

    def _register_user_node(self, cls: type, flatten: Any, unflatten: Any) -> None:
        """Let the call path know a container class of the user's."""
        self._register_node(cls, lambda x: flatten(x)[:2], unflatten)

    def _process_state(self) -> None:
        """Give the C++ call path the switches that are part of its cache key.

        These states belong to the process, not to this backend. If jax was imported
        first they are its own: then nothing is set, and calls go through Python.
        """
        if not self.fast:
            return
        jit, make = self.jax.jax_jit, self.jax.config.Config
        self.x64 = make("pullback_x64", config.enable_x64)
        # All switches are in it, also the one above.
        self.switches = make("pullback_switches", repr(config), include_in_jit_key=True)
        jit.set_enable_x64_state(self.x64)
        jit.set_disable_jit_state(make("pullback_disable_jit", False))
        jit.set_post_hook_state(make("pullback_post_hook", None))
        # 0.3 us of 4.6 a call; jax, if it came first, keeps its own setting.
        self.jax.set_tracebacks_enabled(False)
        listeners.append(self._follow_switches)

    def _follow_switches(self) -> None:
        """Let calls after a switch was set miss the entries made before."""
        self.x64.set_global(config.enable_x64)
        self.switches.set_global(f"{config!r} {config.epoch}")

    def fast_path_works(self) -> bool:
        """Whether calls can go through C++; an untested version is tried apart."""
        if self.fast and self.version not in TESTED:
            self.fast = self._tried_apart()
        return self.fast

    def _tried_apart(self) -> bool:
        """Try the fast path in a subprocess, which may crash, and note the outcome."""
        key = self.cache.key("self-test", self.version, self.xla._version)
        known = self.cache.get(key)
        if known is None:
            code = f"from {__name__} import self_test; self_test()"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True)
            known = b"works" if done.returncode == 0 else b"fails"
            self.cache.put(key, known)
        if known != b"works":
            warnings.warn(
                f"the fast call path does not work with jaxlib "
                f"{'.'.join(map(str, self.version))}; calls go through Python.",
                RuntimeWarning,
                stacklevel=2,
            )
        return known == b"works"

    # -- host and device -------------------------------------------------------------

    def put(self, x: Any, aval: Aval | None = None, copy: bool = False) -> Buffer:
        """Move a NumPy value to the device.

        Args:
            x: the value. Unless `copy`, nobody may write to its memory any more: the
                buffer shares it if it is aligned to 64 bytes.
            aval: the type it is to have, its own if None.
            copy: take a copy before returning.
        """
        value = np.asarray(x, None if aval is None else stored_dtype(aval.dtype))
        aval = Aval(value.shape, value.dtype) if aval is None else aval
        semantics = self.jax.HostBufferSemantics
        mode = semantics.IMMUTABLE_ONLY_DURING_CALL if copy else semantics.ZERO_COPY
        stored = Aval(aval.shape, value.dtype, aval.weak)
        buffer = self.jax.batched_device_put(
            stored, self.sharding, [value], self.devices, True, False, mode, True
        )
        if self.platform == "cpu":
            # A copy of 100 kB or more may still be under way, and a program that has to
            # wait for an argument does not run in the thread that calls it.
            buffer.block_until_ready()
        return buffer

    def is_buffer(self, x: Any) -> bool:
        """Whether `x` is a device buffer."""
        return type(x) is self.array_type

    def begin_to_host(self, buffer: Any) -> None:
        """Begin to copy a buffer to the host; what is no buffer, or gone, is left."""
        if self.is_buffer(buffer) and not buffer.is_deleted():
            buffer._copy_single_device_array_to_host_async()

    def to_host(self, buffer: Buffer) -> Any:
        """Give the NumPy value of a buffer, sharing its memory on the CPU.

        Raises:
            BackendError: the buffer was given away to a donated argument.
        """
        if buffer.is_deleted():
            raise donated_error()
        buffer.block_until_ready()
        if self.platform != "cpu":
            return self._copied_to_host(buffer)
        dtype = buffer.aval.dtype
        if dtype.isbuiltin == 1 and dtype.char in _FORMATS:
            view = np.asarray(memoryview(buffer))
            return view if view.ndim else view[()]
        return view_of_address(buffer, dtype)

    def _copied_to_host(self, buffer: Buffer) -> Any:
        """Copy a buffer from another device; never run here, for want of one."""
        with without_jax():
            return buffer._single_device_array_to_np_array_did_copy()[0]

    # -- compiling -------------------------------------------------------------------

    def compile(
        self, module: Module, out_avals: Sequence[Aval], options: Options | None = None
    ) -> Executable:
        """Compile a module, or load it from disk if it was compiled before.

        Args:
            module: StableHLO text and its callbacks.
            out_avals: the types of the results of `main`.
            options: the compiler's debug options by name; None to choose by the shape
                of the program.

        Raises:
            BackendError: the compiler refuses the program.
        """
        text = module.text
        if options is None:
            options = choose_options(text) if self.platform == "cpu" else ()
        if "lapack_" in text:
            self._register_lapack()
        raised: list[BaseException] = []
        callbacks = [guarded(f, raised) for f in module.callbacks]
        loaded = self._load_or_compile(text, callbacks, options)
        return Executable(self, loaded, out_avals, bool(callbacks), raised)

    def _load_or_compile(
        self, text: str, callbacks: list[Any], options: Options
    ) -> Any:
        key = self.cache_key(text, options) if config.compilation_cache else ""
        entry = self.cache.get(key) if key else None
        if entry is not None:
            try:
                loaded = self.client.deserialize_executable(
                    entry, self.device_list, self._settings(options), callbacks
                )
                self.counts["loaded"] += 1
                return loaded
            except Exception:
                # Whatever is wrong with an entry, the program can still be compiled.
                self.cache.remove(key)
                self.counts["unreadable"] += 1
        loaded = self._compile(text, callbacks, options)
        if self.platform == "cpu" and may_be_wrong(text):
            mended = remedy(loaded.get_hlo_text())
            if mended:
                loaded = self._compile(text, callbacks, options + mended)
        self.counts["compiled"] += 1
        if key:
            self.cache.put(key, loaded.serialize())
        return loaded

    def _compile(self, text: str, callbacks: list[Any], options: Options) -> Any:
        try:
            parsed = self.ir.Module.parse(text, self._context())
            return self.client.compile_and_load(
                parsed, self.device_list, self._settings(options), callbacks
            )
        except (self.runtime_error, self.ir.MLIRError, ValueError) as error:
            raise BackendError(
                f"the compiler refused a program: {str(error)[:2000]}",
                mend="If no option you gave is at fault, this is an error of the "
                "library: please report it with jit(f).lower(...).as_text().",
            ) from error

    def _settings(self, options: Options) -> Any:
        settings = self.xla.CompileOptions()
        settings.env_option_overrides = list(options)
        return settings

    def cache_key(self, text: str, options: Options) -> str:
        """Hash all that the compiled form of a program depends on."""
        return self.cache.key(
            text,
            self.version,
            self.xla._version,
            self.client.platform_version,
            machine_key(),
            self.threads,
            self.device.device_kind,
            sorted(options),
            "mended",  # programs kept before there were remedies may be wrong
            os.environ.get("XLA_FLAGS", ""),
        )

    def _context(self) -> Any:
        """Give this thread's MLIR context: a shared one would make threads wait."""
        context = getattr(self._contexts, "context", None)
        if context is None:
            context = self._contexts.context = self.ir.Context()
            context.append_dialect_registry(self._dialects)
            for dialect in (self._mlir._stablehlo, self._mlir._chlo):
                dialect.register_dialect(context)
            context.load_all_available_dialects()
        return context

    @functools.cached_property
    def _lapack_targets(self) -> int:
        """Register LAPACK's functions with the compiler once, and count them."""
        lapack = load("cpu._lapack")
        lapack.initialize()
        targets = lapack.registrations()
        for name, function in targets.items():
            self.xla.register_custom_call_target(
                name, function, platform="cpu", api_version=1
            )
        return len(targets)

    def _register_lapack(self) -> None:
        assert self._lapack_targets, "LAPACK has functions"

    # -- calling ---------------------------------------------------------------------

    @functools.cached_property
    def _handlers(self) -> dict[Aval, Any]:
        return {}

    def result_handler(self, aval: Aval) -> Any:
        """Give what makes a buffer of a type of the compiler's raw result."""
        handler = self._handlers.get(aval)
        if handler is None:
            stored = Aval(aval.shape, stored_dtype(aval.dtype), aval.weak)
            handler = self._handlers[aval] = self.jax.array_result_handler(
                stored, self.sharding, True, True
            )
        return handler

    def result_tree(self, out: Any) -> Any:
        """Give the call path's treedef of a tree of `Array`s.

        None if it does not list the leaves `Array(weak, (0,))`, `Array(weak, (1,))`...
        in order: then C++ cannot make this result.
        """
        try:
            leaves, treedef = self.results.flatten(out)
        except (TypeError, ValueError):
            return None
        return treedef if leaves == list(range(len(leaves))) else None

    def same_leaves(self, arguments: Any, leaves: Sequence[Any]) -> bool:
        """Whether the C++ path finds these leaves in the arguments, in this order."""
        try:
            found = self.arguments.flatten(arguments)[0]
        except (TypeError, ValueError):
            return False
        inner = [x.buffer if type(x) is Array else x for x in leaves]
        return len(found) == len(inner) and all(map(operator.is_, found, inner))

    def dispatcher(
        self,
        name: str,
        function: Callable[..., Any],
        miss: Callable[[Any, Any], tuple[Any, FastCall | None]],
        static_argnums: Sequence[int] = (),
        static_argnames: Sequence[str] = (),
    ) -> Callable[..., Any]:
        """Give a C++ callable that repeats calls whose signature it has met.

        Args:
            name: the function's name.
            function: what to run if jax, in the same process, disables jit.
            miss: called as `miss(args, kwargs)` for a new signature; gives the result,
                and what is needed to repeat the call, None if it cannot be.
            static_argnums: positions whose values are part of the signature.
            static_argnames: the same for keyword arguments.
        """

        def cache_miss(*args: Any, **kwargs: Any) -> tuple[Any, Any, bool]:
            out, call = miss(args, kwargs)
            repeatable = call is not None and self._x64_is_ours()
            data = self._fast_path_data(call) if call and repeatable else None
            return out, data, False

        return self.jax.pjit(  # type: ignore[no-any-return]
            name,
            function,
            cache_miss,
            list(static_argnums),
            list(static_argnames),
            (),
            self.arguments,
            lambda x, sharding, layout: self.put(x),
        )

    def _fast_path_data(self, call: FastCall) -> Any:
        avals = call.executable.out_avals
        inputs = len(call.consts) + len(call.kept)
        return _FastPathData(
            call.executable.loaded,
            call.out_tree,
            [self.sharding] * inputs,
            [self.sharding] * len(avals),
            avals,
            [True] * len(avals),
            [True] * len(call.consts) + list(call.kept),
            [None] * inputs,
            list(call.consts),
        )

    def _x64_is_ours(self) -> bool:
        """Whether C++ converts arguments by our switch: jax may have put in its own."""
        probe = self.jax.batched_device_put(
            Aval((), dtypes.float64),
            self.sharding,
            [np.float64(0)],
            self.devices,
            True,
            False,
            self.jax.HostBufferSemantics.ZERO_COPY,
        )
        return bool((probe.on_device_size_in_bytes() == 8) == config.enable_x64)


def load(name: str) -> Any:
    """Import one of the compiler's modules."""
    return importlib.import_module(f"jaxlib.{name}")


def check_version(text: str) -> tuple[int, ...]:
    """Give the version as numbers.

    Raises:
        BackendError: it is not known to work, and `PULLBACK_ANY_JAXLIB` is not set.
    """
    version = tuple(int(n) for n in re.findall(r"\d+", text)[:3])
    if ACCEPTED[0] <= version < ACCEPTED[1] or os.environ.get("PULLBACK_ANY_JAXLIB"):
        return version
    first, end = (".".join(map(str, v)) for v in ACCEPTED)
    raise BackendError(
        f"jaxlib {text} is installed; this library knows versions from {first} up to "
        f"{end}.",
        mend="Install `jaxlib>=0.10,<0.11`, or set PULLBACK_ANY_JAXLIB=1 to try, or "
        "go on without a compiler: config.update('call_path', 'numpy').",
    )


@functools.cache
def machine_key() -> str:
    """Give the machine's fingerprint, computed once."""
    return machine_fingerprint()


def stored_dtype(dtype: dtypes.Dtype) -> dtypes.Dtype:
    """Give the dtype a buffer has; tangents of integers, `float0`, are booleans."""
    return dtypes.bool_ if dtype == dtypes.float0 else dtype


def view_of_address(buffer: Buffer, dtype: dtypes.Dtype) -> Any:
    """Give a NumPy view of a buffer whose dtype has no buffer format (bfloat16)."""
    shape = buffer.aval.shape
    count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if count == 0:
        return np.empty(shape, dtype)
    memory: Any = (ctypes.c_char * count).from_address(buffer.unsafe_buffer_pointer())
    memory._keep = buffer
    view: Any = np.frombuffer(memory, dtype).reshape(shape)
    view.flags.writeable = False
    return view if view.ndim else view[()]


class without_jax:
    """Keeps C++ from importing jax inside a `with` block, if it is not imported."""

    def __enter__(self) -> None:
        self.absent = "jax" not in sys.modules
        if self.absent:
            sys.modules["jax"] = None  # type: ignore[assignment]

    def __exit__(self, *_: object) -> None:
        if self.absent:
            del sys.modules["jax"]


def self_test() -> None:
    """Raise, or crash, unless the fast call path works with the installed version."""
    here = backend()
    aval = Aval((), dtypes.float32)
    text = (
        "module @double { func.func public @main(%x: tensor<f32>) -> tensor<f32> { "
        '%y = "stablehlo.add"(%x, %x) : (tensor<f32>, tensor<f32>) -> tensor<f32> '
        "return %y : tensor<f32> } }"
    )
    executable = here.compile(Module(text, ()), [aval])
    out_tree = here.result_tree([Array(None, (0,))])

    def miss(args: Any, kwargs: Any) -> tuple[Any, FastCall]:
        (x,) = here.arguments.flatten((args, kwargs))[0]
        outs = executable([x if here.is_buffer(x) else here.put(x, aval)])
        return [Array(None, (y,)) for y in outs], FastCall(
            executable, (), [True], out_tree
        )

    call = here.dispatcher("double", float, miss)
    for x in (2.0, np.float32(2), Array(None, (here.put(np.float32(2)),))):
        for _ in range(2):
            (y,) = call(x)
            assert type(y) is Array, "results are wrapped"
            assert float(y) == 4.0, "the program doubles"


_loading = threading.Lock()


def backend() -> Backend:
    """Give the only backend, loading the compiler when first asked.

    Raises:
        BackendError: the compiler is missing or of a version that is not known.
    """
    with _loading:
        return _only_backend()


def loaded() -> bool:
    """Whether the compiler has been loaded."""
    return _only_backend.cache_info().currsize > 0


@functools.cache
def _only_backend() -> Backend:
    return Backend()
