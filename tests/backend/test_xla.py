"""The compiler behind its verbs: moving, compiling, calling, and what is kept."""

import importlib
import importlib.util
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from pullback.backend import cuda, xla
from pullback.backend.disk_cache import DiskCache
from pullback.backend.executable import FastCall, guarded
from pullback.backend.lower import Module
from pullback.backend.options import choose_options
from pullback.backend.xla import backend, check_version, self_test
from pullback.calls.jit import jit
from pullback.config import config
from pullback.core.array import Array, from_host
from pullback.core.aval import Aval
from pullback.core.trace import EVAL, current_trace
from pullback.errors import BackendError
from pullback.primitives.table import add, mul, neg, sin

F32 = np.dtype("f4")


def program(body, arguments="%x: tensor<f32>", results="tensor<f32>", name="p"):
    return Module(
        f"module @{name} {{ func.func public @main({arguments}) -> ({results}) "
        f"{{ {body} }} }}",
        (),
    )


DOUBLE = program(
    '%y = "stablehlo.add"(%x, %x) : (tensor<f32>, tensor<f32>) -> tensor<f32> '
    "return %y : tensor<f32>"
)


def run_python(code, **environment):
    """Runs a program in another process; gives what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- host and device -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    "bool int8 uint8 int32 int64 float16 bfloat16 float8_e5m2 float32 float64 complex64"
    " complex128".split(),
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_values_come_back_from_the_device(name, shape):
    value = np.arange(6)[: int(np.prod(shape))].reshape(shape).astype(name)
    found = backend().to_host(backend().put(value))
    assert found.dtype == value.dtype
    assert found.shape == shape
    assert np.array_equal(np.asarray(found, "c16"), np.asarray(value, "c16"))


def test_strided_values_can_be_put():
    value = np.arange(24.0, dtype="f4").reshape(4, 6)[::2, ::-3].T
    assert np.array_equal(backend().to_host(backend().put(value)), value)


def test_results_are_seen_without_a_copy():
    x = jit(neg)(from_host(np.ones(1000, "f4")))
    view = x.fetch()
    address = x.buffer.unsafe_buffer_pointer()
    assert view.__array_interface__["data"] == (address, True)


def test_a_view_keeps_its_buffer():
    view = jit(neg)(from_host(np.ones(100_000, "f4"))).fetch()
    for _ in range(10):
        jit(lambda x: add(x, 1.0))(np.zeros(100_000, "f4"))
    assert np.all(view == -1)


def test_put_with_copy_does_not_share_memory():
    value = np.zeros(16, "f4")
    buffer = backend().put(value, copy=True)
    value[:] = 1
    assert not np.any(backend().to_host(buffer))


def test_a_deleted_buffer_is_explained():
    buffer = backend().put(np.float32(1))
    buffer.delete()
    with pytest.raises(BackendError, match="donate_argnums"):
        backend().to_host(buffer)


# -- compiling -------------------------------------------------------------------------


def test_a_program_is_compiled_and_run():
    executable = backend().compile(DOUBLE, [Aval((), F32)])
    (y,) = executable([backend().put(np.float32(3))])
    assert backend().to_host(y) == 6.0


def test_a_refused_program_is_an_error_with_the_reason():
    with pytest.raises(BackendError, match="refused a program: Unable to parse"):
        backend().compile(program('"no_such_op"() : () -> ()'), [])


def test_a_wrong_buffer_is_an_error_of_ours():
    executable = backend().compile(DOUBLE, [Aval((), F32)])
    with pytest.raises(BackendError, match="the compiled program failed"):
        executable([backend().put(np.ones(3, "f4"))])


def test_a_program_is_loaded_from_disk_the_second_time(monkeypatch, tmp_path):
    here = backend()
    monkeypatch.setattr(here, "cache", DiskCache(str(tmp_path)))
    monkeypatch.setattr(here, "counts", here.counts.__class__())
    for _ in range(2):
        (y,) = here.compile(DOUBLE, [Aval((), F32)])([here.put(np.float32(3))])
        assert here.to_host(y) == 6.0
    assert here.counts == {"compiled": 1, "loaded": 1}
    key = here.cache_key(DOUBLE.text, choose_options(DOUBLE.text))
    here.cache.put(key, b"not an executable")
    here.compile(DOUBLE, [Aval((), F32)])
    assert here.counts == {"compiled": 2, "loaded": 1, "unreadable": 1}


def test_the_disk_cache_can_be_switched_off(monkeypatch, tmp_path):
    here = backend()
    monkeypatch.setattr(here, "cache", DiskCache(str(tmp_path / "none")))
    with config.context(compilation_cache=False):
        here.compile(DOUBLE, [Aval((), F32)])
    assert not (tmp_path / "none").exists()


def test_another_process_finds_the_program(tmp_path):
    code = (
        "from pullback.backend.xla import backend, self_test; self_test(); "
        "print(dict(backend().counts))"
    )
    where = {"PULLBACK_CACHE_DIR": str(tmp_path / "cache")}
    assert run_python(code, **where) == "{'compiled': 1}"
    assert run_python(code, **where) == "{'loaded': 1}"


def test_a_process_with_fewer_threads_compiles_anew(tmp_path):
    code = (
        "from pullback.backend.xla import backend, self_test; self_test(); "
        "print(dict(backend().counts))"
    )
    where = {"PULLBACK_CACHE_DIR": str(tmp_path / "cache")}
    assert run_python(code, **where, PJRT_NPROC="1") == "{'compiled': 1}"
    assert run_python(code, **where, PJRT_NPROC="2") == "{'compiled': 1}"


def test_callbacks_run_outside_of_transformations_and_leave_their_errors():
    raised: list[BaseException] = []
    assert guarded(lambda x: current_trace() is EVAL, raised)(1)
    with pytest.raises(KeyError):
        guarded(lambda x: {}[x], raised)(1)
    assert [type(e) for e in raised] == [KeyError]


def test_threads_share_one_backend_and_compile():
    f = jit(lambda x: mul(sin(x), 3.0))
    found = []

    def work(x):
        for _ in range(20):
            found.append(float(f(x)) == pytest.approx(3 * np.sin(x), rel=1e-6))
            assert backend() is here

    here = backend()
    threads = [threading.Thread(target=work, args=(float(i),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80


# -- the call path ---------------------------------------------------------------------


def test_the_self_test_passes():
    self_test()


def test_a_repeated_call_does_not_come_back_to_python():
    here, misses = backend(), []
    executable = here.compile(DOUBLE, [Aval((), F32)])
    out_tree = here.result_tree([Array(None, (0,))])

    def miss(args, kwargs):
        misses.append(args)
        outs = executable([here.put(args[0])])
        return [Array(None, (outs[0],))], FastCall(executable, (), [True], out_tree)

    call = here.dispatcher("double", float, miss)
    for x in (1.0, 2.0, 3.0):
        assert float(call(np.float32(x))[0]) == 2 * x
    assert len(misses) == 1
    with config.context(strong_zeros=True):
        call(np.float32(1))
    assert len(misses) == 2
    call(np.float32(1))
    assert len(misses) == 2


def test_trees_the_call_path_orders_otherwise_are_not_repeated():
    here = backend()
    assert here.result_tree({"b": Array(None, (1,)), "a": Array(None, (0,))})
    assert here.result_tree([Array(None, (1,)), Array(None, (0,))]) is None
    assert here.result_tree({1: Array(None, (0,)), "a": Array(None, (1,))}) is None
    assert not here.same_leaves({1: 1.0, "a": 2.0}, [1.0, 2.0])


def test_another_librarys_switch_for_64_bits_turns_the_fast_path_off():
    here = backend()
    other = here.jax.config.Config("another_x64", True)
    here.jax.jax_jit.set_enable_x64_state(other)
    try:
        f = jit(neg)
        assert [f(np.float64(x)).dtype for x in (1, 2)] == [F32, F32]
        assert f.trace.__self__._dispatch._cache_size() in (0, 1)
        assert not here._x64_is_ours()
    finally:
        here.jax.jax_jit.set_enable_x64_state(here.x64)
    assert here._x64_is_ours()


JAX_FIRST = """
import sys, types
sys.modules["jax"] = types.ModuleType("jax")
from pullback.backend.xla import backend
from pullback.calls.jit import jit
from pullback.primitives.table import neg
f = jit(neg)
print([float(f(x)) for x in (1.0, 2.0)], backend().fast, hasattr(backend(), "x64"))
"""


def test_calls_go_through_python_if_jax_was_there_first():
    assert run_python(JAX_FIRST) == "[-1.0, -2.0] False False"


NO_JAX = """
import sys
import pullback.backend.xla as xla
assert "jaxlib" not in sys.modules
from pullback.calls.jit import jit
from pullback.primitives.table import neg
import numpy as np
f = jit(neg)
for _ in range(3):
    f(1.0).fetch(); f(np.ones(3, "f4")).fetch()
print("jaxlib" in sys.modules, "jax" in sys.modules, "scipy" in sys.modules)
"""


def test_the_compiler_is_loaded_late_and_never_loads_jax():
    assert run_python(NO_JAX) == "True False False"


def test_without_jax_blocks_its_import():
    assert "jax" not in sys.modules
    with xla.without_jax(), pytest.raises(ImportError):
        importlib.import_module("jax")
    assert "jax" not in sys.modules


# -- versions and platforms ------------------------------------------------------------


def test_untried_versions_are_refused(monkeypatch):
    assert check_version("0.10.2") == (0, 10, 2)
    for text in ("0.9.2", "0.13.0"):
        with pytest.raises(BackendError, match=f"jaxlib {text} is installed"):
            check_version(text)
    monkeypatch.setenv("PULLBACK_ANY_JAXLIB", "1")
    assert check_version("0.13.0") == (0, 13, 0)


def test_an_untested_version_is_tried_in_another_process(monkeypatch, tmp_path):
    here = backend()
    monkeypatch.setattr(here, "cache", DiskCache(str(tmp_path)))
    monkeypatch.setattr(here, "version", (0, 10, 99))
    tried = []

    def run(arguments, **options):
        tried.append(arguments)
        return subprocess.CompletedProcess(arguments, returncode=-11)

    monkeypatch.setattr(subprocess, "run", run)
    for _ in range(2):
        monkeypatch.setattr(here, "fast", True)
        with pytest.warns(RuntimeWarning, match=r"0\.10\.99; calls go through Python"):
            assert not here.fast_path_works()
    assert len(tried) == 1


def test_a_missing_compiler_is_explained():
    code = """
import sys
sys.modules["jaxlib"] = None
from pullback.backend.xla import backend
from pullback.config import config
from pullback.calls.jit import jit
from pullback.primitives.table import neg
try:
    jit(neg)(1.0)
except ImportError as error:
    print(error.mend.split(":")[-1].strip())
config.update("call_path", "numpy")
print(jit(neg)(1.0))
"""
    assert run_python(code) == "config.update('call_path', 'numpy').\n-1.0"


def test_a_missing_gpu_plugin_is_explained(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    cuda.load_libraries()
    with pytest.raises(BackendError, match="plugin is not installed"):
        cuda.find_plugin()


def test_an_unknown_platform_is_refused():
    code = """
from pullback.backend.xla import backend
try:
    backend()
except RuntimeError as error:
    print(error)
"""
    found = run_python(code, PULLBACK_PLATFORM="abacus")
    assert found == "PULLBACK_PLATFORM is 'abacus'. Use 'cpu' or 'cuda'."
