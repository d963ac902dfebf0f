"""Reductions and scans with the arguments users write."""

import numpy as np
import pytest

import pullback
from pullback import lax
from pullback.errors import ShapeError

X = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


def close(found, wanted):
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-5, atol=1e-6)


def test_reductions_take_negative_axes():
    close(lax.reduce_sum(X, (-1,)), X.sum(-1))
    close(lax.reduce_max(X, (0, 1)), X.max())
    close(lax.reduce_and(X > 0, (0,)), (X > 0).all(0))
    close(lax.argmin(X, -1, np.int32), X.argmin(-1))
    close(lax.reduce_precision(np.array([1.1], np.float32), 8, 7), [1.1015625])


def test_reduce_takes_any_associative_function():
    close(lax.reduce(X, 0.0, lax.add, (1,)), X.sum(1))
    close(lax.reduce(X, -np.inf, lax.max, (0,)), X.max(0))
    close(lax.reduce(X, 2.0, lambda a, b: lax.mul(a, b), (0, 1)), 2 * X.prod())


@pytest.mark.parametrize(
    ("computation", "initial", "reducer"),
    [
        (lax.add, 0.0, np.sum),
        (lax.max, -np.inf, np.max),
        (lax.min, np.inf, np.min),
        (lax.mul, 1.0, np.prod),
        (lambda a, b: lax.max(a, b), -np.inf, np.max),
    ],
)
def test_reduce_window_pools(computation, initial, reducer):
    found = lax.reduce_window(X, initial, computation, (1, 2), (1, 2), "VALID")
    close(found, reducer(X.reshape(3, 2, 2), axis=2))


def test_known_window_reductions_are_one_operation():
    def pool(x):
        return lax.reduce_window(x, -np.inf, lax.max, (1, 2), (1, 2), "SAME")

    assert "reduce_window_max" in str(pullback.make_jaxpr(pool)(X))
    slope = pullback.grad(lambda x: lax.reduce_sum(pool(x), (0, 1)))(X)
    pairs = X.reshape(3, 2, 2)
    close(slope, (pairs == pairs.max(2, keepdims=True)).reshape(3, 4))


def test_scans_go_in_both_directions():
    close(lax.cumsum(X, -1), np.cumsum(X, -1))
    close(lax.cumprod(X, reverse=True), np.cumprod(X[::-1], 0)[::-1])
    close(lax.cumlogsumexp(X), np.logaddexp.accumulate(X, 0))


@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan_takes_trees(reverse):
    def combine(a, b):
        return {"m": lax.mul(a["m"], b["m"]), "s": lax.add(a["s"], b["s"])}

    found = lax.associative_scan(combine, {"m": X, "s": X}, reverse=reverse, axis=-1)
    turned = X[:, ::-1] if reverse else X
    wanted = np.cumprod(turned, 1), np.cumsum(turned, 1)
    for name, value in zip("ms", wanted):
        close(found[name], value[:, ::-1] if reverse else value)


def test_associative_scan_refuses_lengths_that_differ():
    with pytest.raises(ShapeError, match=r"f32\[3,4\], f32\[2,4\]"):
        lax.associative_scan(lambda a, b: a, [X, X[:2]])
