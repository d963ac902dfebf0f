"""Holding functions against NumPy's: at once and compiled, and their derivatives."""

import warnings

import numpy as np

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.config import config
from pullback.core.array import Array
from tests.rule_checks import check_derivatives

RNG = np.random.default_rng(0)


def floats(values):
    """Makes an array of float32."""
    return np.array(values, np.float32)


def normal(*shape):
    """Draws floats."""
    return RNG.normal(size=shape).astype(np.float32)


def integers(*shape, low=-5, high=6):
    """Draws integers."""
    return RNG.integers(low, high, size=shape).astype(np.int32)


def flat(tree):
    """Gives the arrays in nested tuples and lists."""
    if isinstance(tree, (tuple, list)):
        return [leaf for item in tree for leaf in flat(item)]
    return [tree]


def expected(name, args, options):
    """Asks NumPy, in the precision that Pullback computes in."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return flat(getattr(np, name)(*args, **options))


def assert_same(got, want, tol):
    """Compares shapes, kinds of dtype, and values."""
    assert len(got) == len(want)
    for x, y in zip(got, want):
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape
        assert (x.dtype.kind in "fc") == (y.dtype.kind in "fc")
        assert (x.dtype.kind == "b") == (y.dtype.kind == "b")
        np.testing.assert_allclose(x, y, rtol=tol, atol=tol)


def agrees(name, *args, tol=2e-5, compiled=True, **options):
    """Checks `jnp.name` against `np.name`, and compiled with its arrays traced."""
    want = expected(name, args, options)
    function = getattr(jnp, name)
    ours = [jnp.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
    assert_same(flat(function(*ours, **options)), want, tol)
    if not compiled:
        return
    places = [i for i, a in enumerate(ours) if isinstance(a, Array)]

    def on_arrays(*arrays):
        full = list(ours)
        for i, a in zip(places, arrays):
            full[i] = a
        return function(*full, **options)

    got = jit(on_arrays)(*[ours[i] for i in places])
    assert_same(flat(got), want, tol)


def has_right_derivatives(f, *args, order=2, tol=2e-5):
    """Checks jvp and vjp against finite differences and each other, to second order."""
    with config.context(enable_x64=True):
        values = [jnp.asarray(np.asarray(x, np.float64)) for x in args]
        check_derivatives(f, values, order, tol)
