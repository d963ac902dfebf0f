"""Devices, transfers, waiting, and the switches as context managers."""

from types import SimpleNamespace

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
from pullback.errors import BackendError, NotAnArrayError


def test_devices_must_be_counted():
    assert device_count() == len(devices()) >= 1
    assert local_device_count() == device_count()
    assert local_devices() == devices()


def test_backend_must_be_named():
    assert default_backend() in ("cpu", "cuda")


def test_the_environment_is_described(capsys):
    text = pullback.print_environment_info(return_string=True)
    assert capsys.readouterr().out == ""
    lines = dict(line.split(": ", 1) for line in text.splitlines())
    assert list(lines) == [
        *("pullback", "jaxlib", "numpy", "scipy"),
        *("python", "devices", "switches", "platform"),
    ]
    assert lines["pullback"] == pullback.__version__
    assert lines["numpy"].strip() == np.__version__
    assert lines["devices"].strip().startswith(f"{device_count()}: ")
    assert lines["switches"].strip() == "all by default"
    with config.context(debug_infs=True):
        assert pullback.print_environment_info() is None
    assert "switches: debug_infs=True\n" in capsys.readouterr().out


def test_the_environment_is_described_without_a_compiler(monkeypatch):
    def missing():
        raise BackendError("the compiler could not be loaded: no.")

    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("pullback.runtime.backend", missing)
    monkeypatch.setattr("pullback.runtime.metadata", SimpleNamespace(version=absent))
    text = pullback.print_environment_info(return_string=True)
    assert "devices:  none, since the compiler could not be loaded: no.\n" in text
    assert "jaxlib:   not installed\n" in text


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


# -- types, scopes, what is known early ------------------------------------------------


def test_the_type_of_a_value_is_given():
    assert str(pullback.typeof(jnp.ones((2, 3)))) == "f32[2,3]"
    assert pullback.typeof(1.0).weak_type
    assert jit(lambda x: x * (pullback.typeof(x).shape == (2,)))(jnp.ones(2)).sum() == 2


def test_what_is_known_is_computed_at_once_in_a_traced_function():
    @jit
    def f(x):
        with pullback.ensure_compile_time_eval():
            count = int(jnp.sum(jnp.arange(4)))
            twice = jit(lambda y: y * 2)(jnp.ones(2))
            assert isinstance(twice, Array)
            chosen = pullback.lax.cond(twice[0] > 1, lambda: 1.0, lambda: 2.0)
            y = x * float(chosen)
        return y * count

    assert f(2.0) == 12
    assert pullback.grad(f)(2.0) == 6
    assert pullback.vmap(f)(jnp.ones(2)).tolist() == [6, 6]


def test_scopes_are_named_in_errors():
    @pullback.named_call
    def encoder(x):
        with pullback.named_scope("norm"):
            y = x + 1
        return float(y)

    with pytest.raises(TypeError, match=r"add at .*\(encoder\) in encoder/norm"):
        jit(encoder)(1.0)
    assert pullback.named_call(lambda x: x, name="other")(3) == 3


def test_functions_are_staged_anew_after_caches_were_cleared():
    calls = []
    f = jit(lambda x: calls.append(1) or x + 1)
    f(1.0)
    f(2.0)
    pullback.clear_caches()
    assert f(1.0) == 2
    assert len(calls) == 2


def test_a_barrier_waits_for_effects(capsys):
    jit(lambda x: pullback.debug.print("x is {}", x))(1.0)
    pullback.effects_barrier()
    assert capsys.readouterr().out == "x is 1.0\n"


def test_one_process_computes():
    assert (pullback.process_count(), pullback.process_index()) == (1, 0)
    assert pullback.process_indices() == [0]


def test_nans_are_looked_for_inside_a_block():
    with pullback.debug_nans(True), pytest.raises(FloatingPointError, match="log"):
        jnp.log(jnp.float32(-1.0))
    assert jnp.isnan(jnp.log(jnp.float32(-1.0)))


def test_infinities_are_looked_for_inside_a_block():
    with (
        pullback.debug_infs(),
        pytest.raises(FloatingPointError, match="log gave -inf"),
    ):
        jnp.log(jnp.float32(0.0))
    assert jnp.isinf(jnp.log(jnp.float32(0.0)))


def test_products_take_the_precision_of_the_block():
    x = jnp.ones((2, 2))
    with pullback.default_matmul_precision("float32"):
        assert "HIGHEST" in str(pullback.make_jaxpr(jnp.matmul)(x, x))
        assert "HIGHEST" in jit(jnp.matmul).lower(x, x).as_text()
    assert "HIGHEST" not in jit(jnp.matmul).lower(x, x).as_text()
    with (
        pytest.raises(ValueError, match="'exact'"),
        pullback.default_matmul_precision("exact"),
    ):
        pass


def test_strict_promotion_lets_python_numbers_only_meet_arrays():
    with pullback.numpy_dtype_promotion("strict"):
        assert (jnp.float32(1) + 1).dtype == np.float32
        assert (jnp.arange(3) * 2 < 3).tolist() == [True, True, False]
        for other in (jnp.int32(1), jnp.float16(1), np.array([1, 2]), jnp.bool_(1)):
            with pytest.raises(TypeError, match="'strict'"):
                jnp.float32(1) + other
        with pytest.raises(TypeError, match=r"i32, f32 \(weak\)"):
            jit(lambda n: n * 1.5)(jnp.int32(1))
    assert (jnp.float32(1) + jnp.int32(1)).dtype == np.float32


# -- arrays that are let go ------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [lambda: jnp.ones(2), lambda: jit(lambda: jnp.ones(2))()]
)
def test_a_deleted_array_has_a_type_only(make):
    x = make()
    pullback.copy_to_host_async([x])
    assert x.is_ready()
    assert not x.is_deleted()
    view = np.asarray(x)
    x.delete()
    x.delete()
    assert x.is_deleted()
    assert (x.shape, x.dtype, view.tolist()) == ((2,), np.float32, [1, 1])
    for use in (np.asarray, lambda x: x + 1, str):
        with pytest.raises(RuntimeError, match=r"f32\[2\] was asked for after"):
            use(x)
    with pytest.raises(RuntimeError, match="or deleted"):
        jit(lambda x: x + 1)(x)
