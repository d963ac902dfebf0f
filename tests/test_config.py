"""Switches: set, read, put back, and taken from the environment."""

import os
import subprocess
import sys

import pytest

from pullback import config as public
from pullback import dtypes, enable_x64
from pullback.config import Config, config
from pullback.errors import ConfigError

DEFAULTS = {
    "enable_x64": False,
    "debug_nans": False,
    "debug_infs": False,
    "check_tracer_leaks": False,
    "nondiff_arrays": "error",
    "custom_vjp_forward": "error",
    "full_traceback": False,
    "log_compiles": False,
    "explain_cache_misses": False,
    "no_tracing": False,
    "disable_jit": False,
    "compilation_cache": True,
    "call_path": "fast",
    "strong_zeros": False,
    "keep_memory": True,
    "default_matmul_precision": "default",
    "numpy_dtype_promotion": "standard",
    "numpy_rank_promotion": "allow",
}


@pytest.fixture
def fresh(monkeypatch):
    """A configuration of its own, from an empty environment."""
    for name in list(os.environ):
        if name.startswith("PULLBACK_"):
            monkeypatch.delenv(name)
    return Config()


@pytest.mark.parametrize("name", DEFAULTS)
def test_switch_must_start_with_its_default(fresh, name):
    assert getattr(fresh, name) == DEFAULTS[name]


def test_config_must_be_the_one_of_the_package():
    assert public is config


def test_update_must_set_a_switch(fresh):
    fresh.update("call_path", "numpy")
    assert fresh.call_path == "numpy"


def test_update_must_take_the_ecosystems_prefix(fresh):
    fresh.update("jax_enable_x64", True)
    assert fresh.enable_x64 is True


def test_switches_must_be_read_by_either_name(fresh):
    fresh.update("jax_debug_infs", True)
    assert fresh.debug_infs
    assert fresh.jax_debug_infs
    assert fresh.read("debug_infs")
    assert fresh.read("jax_debug_infs")
    assert fresh.values == {**DEFAULTS, "debug_infs": True}
    assert fresh.changed() == {"debug_infs": True}


def test_reading_must_refuse_an_unknown_switch(fresh):
    message = r"config has no switch '\w+'\. Use one of call_path,"
    with pytest.raises(ConfigError, match=message):
        fresh.read("jax_speed")
    for name in ("jax_speed", "speed"):
        with pytest.raises(AttributeError, match=message):
            getattr(fresh, name)
    assert not hasattr(fresh, "jax_epoch")


def test_update_must_make_booleans_of_numbers(fresh):
    fresh.update("debug_nans", 1)
    assert fresh.debug_nans is True


def test_update_must_refuse_an_unknown_switch(fresh):
    with pytest.raises(ConfigError, match=r"no switch 'speed'\. Use one of call_path,"):
        fresh.update("speed", 1)


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [("enable_x64", "yes", "False, True"), ("call_path", "c", "'fast', 'python',")],
)
def test_update_must_refuse_an_unknown_value(fresh, name, value, choices):
    message = f"switch '{name}' was given '{value}'. Use one of {choices}"
    with pytest.raises(ConfigError) as caught:
        fresh.update(name, value)
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_new_attributes_must_be_refused(fresh):
    with pytest.raises(AttributeError):
        fresh.speed = 1


def test_context_must_put_the_old_values_back(fresh):
    with fresh.context(call_path="numpy", debug_nans=True):
        assert (fresh.call_path, fresh.debug_nans) == ("numpy", True)
    assert (fresh.call_path, fresh.debug_nans) == ("fast", False)


def test_context_must_put_the_old_values_back_after_an_error(fresh):
    def fail():
        with fresh.context(debug_nans=True):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert fresh.debug_nans is False


def test_context_must_put_back_what_was_set_before_a_wrong_value(fresh):
    def fail():
        with fresh.context(debug_nans=True, call_path="none"):
            pytest.fail("the block was entered")

    with pytest.raises(ConfigError, match=r"call_path"):
        fail()
    assert fresh.debug_nans is False


def test_context_must_refuse_an_unknown_switch(fresh):
    def fail():
        with fresh.context(speed=1):
            pytest.fail("the block was entered")

    with pytest.raises(ConfigError, match=r"config has no switch 'speed'"):
        fail()


def test_context_must_take_the_ecosystems_prefix(fresh):
    with fresh.context(jax_enable_x64=True):
        assert fresh.enable_x64
    assert not fresh.enable_x64


def test_contexts_must_nest():
    with enable_x64(), enable_x64(False):
        assert dtypes.scalar_dtype(float) == dtypes.float32


def test_listeners_must_hear_of_every_change(fresh, monkeypatch):
    heard: list = []
    module = sys.modules[Config.__module__]
    monkeypatch.setattr(module, "listeners", [lambda: heard.append(1)])
    fresh.update("debug_nans", True)
    with fresh.context(debug_nans=False):
        assert len(heard) == 2
    fresh.outdate()
    assert len(heard) == 4


def test_outdate_must_count_epochs(fresh):
    fresh.outdate()
    fresh.outdate()
    assert fresh.epoch == 2


def test_repr_must_show_every_switch(fresh):
    shown = ", ".join(f"{name}={value!r}" for name, value in DEFAULTS.items())
    assert repr(fresh) == f"Config({shown})"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", True),
        ("true", True),
        ("YES", True),
        ("on", True),
        ("0", False),
        ("", False),
    ],
)
def test_environment_must_set_a_switch(fresh, monkeypatch, text, value):
    monkeypatch.setenv("PULLBACK_ENABLE_X64", text)
    assert Config().enable_x64 is value


def test_environment_must_set_a_choice(fresh, monkeypatch):
    monkeypatch.setenv("PULLBACK_CALL_PATH", "numpy")
    assert Config().call_path == "numpy"


def test_environment_must_refuse_an_unknown_value(fresh, monkeypatch):
    monkeypatch.setenv("PULLBACK_CALL_PATH", "c")
    message = "PULLBACK_CALL_PATH is 'c'. Use one of fast, python, numpy."
    with pytest.raises(ConfigError) as caught:
        Config()
    assert str(caught.value) == f"environment variable {message}"


def test_environment_must_be_read_on_import():
    code = "import pullback; print(pullback.numpy.asarray(1.).dtype)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PULLBACK_ENABLE_X64": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "float64\n"
