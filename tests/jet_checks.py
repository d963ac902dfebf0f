"""One check for Taylor mode: `jet` against `jvp` of `jvp` of t -> f(x(t))."""

import math

import numpy as np

from pullback import dtypes, jvp
from pullback.core.array import Array
from pullback.core.calling import as_value
from pullback.experimental.jet import jet


def random_like(x, rng):
    """Draw an array of the type of `x`."""
    x = np.asarray(x)
    out = rng.standard_normal(x.shape)
    if x.dtype.kind == "c":
        out = out + 1j * rng.standard_normal(x.shape)
    return as_value(np.asarray(out).astype(x.dtype))


def real_type(x):
    """Give the dtype in which time runs, for a value that moves."""
    return np.asarray(x).real.dtype if np.asarray(x).dtype.kind == "c" else x.dtype


def derivatives_by_jvp(f, columns, order):
    """Give the derivatives of f(x(t)) at 0, from the value to one of an order.

    Args:
        f: a function of arrays, giving a list of arrays.
        columns: for each argument its value and its derivatives.
        order: how often to differentiate.
    """

    def along(t):
        moved = []
        for x, *terms in columns:
            for k, d in enumerate(terms, 1):
                power = (t**k / math.factorial(k)).astype(x.dtype)
                x = x + power * d
            moved.append(x)
        return [y for y in f(*moved) if dtypes.is_inexact(y.dtype)]

    def derivative(g):
        return lambda t: jvp(g, (t,), (as_value(np.ones((), t.dtype)),))[1]

    start = as_value(np.zeros((), real_type(columns[0][0])))
    found = []
    for _ in range(order + 1):
        found.append(along(start))
        along = derivative(along)
    return found


def check_jet(f, args, order=3, tol=1e-9, seed=0):
    """Hold `jet` against nested `jvp`, along a random curve of all arguments.

    Args:
        f: a function of arrays, giving a list of arrays.
        args: arrays of floats.
        order: up to which derivative.
        tol: the tolerance, relative to the greatest entry (or 1).
        seed: of the curve.
    """
    rng = np.random.default_rng(seed)
    columns = [[x, *[random_like(x, rng) for _ in range(order)]] for x in args]
    wanted = derivatives_by_jvp(f, columns, order)
    outs, series = jet(f, args, [terms for _, *terms in columns])
    found = [
        [y, *terms]
        for y, terms in zip(outs, series)
        if isinstance(y, Array) and dtypes.is_inexact(y.dtype)
    ]
    assert len(found) == len(wanted[0])
    for i, column in enumerate(found):
        for k, (got, row) in enumerate(zip(column, wanted, strict=True)):
            close(got, row[i], tol, f"derivative {k} of output {i}")


def close(found, wanted, tol, what):
    """Compare two arrays in type and, nearly, in value."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), what
    kind = np.complex128 if found.dtype.kind == "c" else np.float64
    found, wanted = found.astype(kind), wanted.astype(kind)
    scale = max(1.0, np.abs(wanted).max()) if wanted.size else 1.0
    np.testing.assert_allclose(found, wanted, rtol=tol, atol=tol * scale, err_msg=what)
