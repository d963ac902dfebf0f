"""Names by which the ecosystem imports custom rules, and annotations."""

import numpy as np

import pullback
import pullback.numpy as jnp
from pullback import custom_derivatives, typing


def test_the_names_are_those_of_the_package():
    for name in ("custom_jvp", "custom_vjp", "custom_gradient", "closure_convert"):
        assert getattr(custom_derivatives, name) is getattr(pullback, name)


def test_zeros_are_those_of_tangents():
    x = {"a": jnp.ones(2), "n": 3}
    zeros = custom_derivatives.zero_from_primal(x)
    assert zeros["a"].tolist() == [0, 0]
    assert zeros["n"].dtype == pullback.float0
    symbolic = custom_derivatives.zero_from_primal(x, symbolic_zeros=True)
    assert isinstance(symbolic["a"], pullback.SymbolicZero)
    assert symbolic["n"].dtype == pullback.float0


def test_annotations_hold_for_arrays_and_traced_values():
    for x in (jnp.ones(2), np.ones(2), 1.0, np.float32(2)):
        assert isinstance(x, typing.ArrayLike)
    pullback.jit(lambda x: (isinstance(x, typing.Array), x)[1])(1.0)
    assert not isinstance("a", typing.ArrayLike)
    assert "float32" in ("float32", typing.DTypeLike)
