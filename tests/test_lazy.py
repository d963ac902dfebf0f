"""Modules that are imported when first used."""

import subprocess
import sys

from pullback.lazy import LazyModule


def test_a_lazy_module_imports_at_the_first_attribute_and_keeps_it():
    module = LazyModule("math")
    assert "sqrt" not in vars(module)
    assert module.sqrt(4.0) == 2.0
    assert "sqrt" in vars(module)
    assert repr(module) == "<lazy module math>"


def test_importing_the_library_does_not_import_scipy():
    code = (
        "import sys, pullback, pullback.numpy.linalg, pullback.random, pullback.nn, "
        "pullback.scipy; print('scipy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
