"""Comparisons of trees, and derivatives by differences."""

import numpy as np

from pullback import numpy as jnp
from pullback import tree


def assert_close(given, wanted, rtol=1e-7, atol=1e-9):
    """Compare two trees of arrays, leaf by leaf."""
    found, expected = tree.leaves(given), tree.leaves(wanted)
    if len(found) != len(expected):
        found, expected = [given], [wanted]
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=atol)


def difference(f, args, i, step=1e-5):
    """Give the derivative of a scalar or array function by central differences."""
    x = np.asarray(args[i], np.float64)
    rows = []
    for index in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[index] = step
        ahead, behind = list(args), list(args)
        ahead[i], behind[i] = jnp.array(x + e), jnp.array(x - e)
        rows.append((np.asarray(f(*ahead)) - np.asarray(f(*behind))) / (2 * step))
    stacked = np.stack(rows, axis=-1)
    return stacked.reshape((*stacked.shape[:-1], *x.shape))
