"""Comparisons of trees of arrays, and random directions."""

import numpy as np

import pullback.numpy as jnp
from pullback import tree


def arrays(xs):
    return [jnp.array(x) for x in xs]


def direction(xs, seed):
    """Draw a random array like each of the given ones."""
    rng = np.random.default_rng(seed)
    return [jnp.array(rng.standard_normal(np.shape(x))) for x in xs]


def flat(x):
    return [np.asarray(leaf) for leaf in tree.leaves(x)]


def same(found, expected, tol=1e-9):
    """Compare two trees leaf by leaf in shape, dtype and value."""
    found, expected = flat(found), flat(expected)
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if a.dtype.kind in "fc":
            np.testing.assert_allclose(a, b, rtol=tol, atol=tol)
        else:
            np.testing.assert_array_equal(a, b)


def inner(xs, ys):
    """Give the sum of products of all corresponding elements."""
    return sum(np.sum(a * b) for a, b in zip(flat(xs), flat(ys), strict=True))
