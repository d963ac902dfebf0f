"""Freed memory is kept where that is known to work, and wanted."""

import platform
import resource
import sys

import numpy as np
import pytest

from pullback.backend import memory
from pullback.calls.jit import jit
from pullback.config import config
from pullback.core.array import from_host

GLIBC = platform.libc_ver()[0] == "glibc"


@pytest.fixture
def plain_environment(monkeypatch):
    for name in memory._SETTINGS:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.skipif(not GLIBC, reason="another C library")
def test_memory_is_kept_unless_the_user_says_otherwise(plain_environment):
    assert memory.keep_freed_memory()
    with config.context(keep_memory=False):
        assert not memory.keep_freed_memory()
    for name in memory._SETTINGS:
        with plain_environment.context() as patch:
            patch.setenv(name, "0")
            assert not memory.keep_freed_memory()


def test_another_c_library_is_left_alone(plain_environment):
    plain_environment.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert not memory.keep_freed_memory()


@pytest.mark.skipif(not GLIBC or sys.platform != "linux", reason="another system")
def test_large_results_use_pages_again(plain_environment):
    assert memory.keep_freed_memory()
    f = jit(lambda x: -x)
    x = from_host(np.ones(12_000_000, np.float32))
    for _ in range(6):
        f(x).block_until_ready()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(6):
        f(x).block_until_ready()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 3 * 12_000_000 * 4 // 4096, "not six results' pages"
