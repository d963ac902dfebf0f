"""Which formulas and transposes are stored, by the programs that decide it."""

import re

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, jit, lax, ops
from pullback.lax import erf_inv

X = jnp.asarray(np.linspace(-1.0, 1.0, 10_000, dtype=np.float32).reshape(100, 100))
ROW = X[0]


def stored(f, *args):
    """Give the functions that a program calls without their being written in place."""
    lines = jit(f).lower(*args).as_text().split("\n")
    calls = [line for line in lines if 'inlineable = "false"' in line]
    return [re.split("[_>},]", line.split("callee = @host_")[1])[0] for line in calls]


def agrees(f, *args):
    """Check that a program's results are those of eager operations."""
    for a, b in zip(np.atleast_1d(jit(f)(*args)), np.atleast_1d(f(*args)), strict=True):
        np.testing.assert_allclose(a, b, 1e-3, 1e-3)


INLINE = {
    "alone": lambda x: jnp.sin(x),
    "in a loop": lambda x: 3.0 * jnp.sin(2.0 * x) + 1.0,
    "two of them": lambda x: jnp.sin(x) * jnp.cos(x),
    "twice in one loop": lambda x: (lambda y: y * y + y)(jnp.sin(x)),
    "under a sum": lambda x: jnp.sum(jnp.sin(x)),
    "of a product": lambda x: jnp.sin(x @ x),
    "of a reshaped array": lambda x: jnp.sin(x.reshape(50, 200)),
    "cut": lambda x: jnp.sin(x)[1:-1],
    "of a part": lambda x: jnp.sin(x[1:-1]),
    "of a sum repeated": lambda x: jnp.sin(x + jnp.sum(x, 0)),
}
STORED = {
    "shifted copies": lambda x: jnp.diff(jnp.sin(x)),
    "two results": lambda x: (lambda y: jnp.stack([y + 1.0, jnp.cumsum(y, 0)]))(
        jnp.sin(x)
    ),
    "in a sum and out of it": lambda x: (lambda y: y / jnp.sum(y + 1.0))(jnp.sin(x)),
    "of a transpose": lambda x: jnp.sin(x.T + 1.0),
    "transposed": lambda x: jnp.sin(x).T,
    "of tiles": lambda x: jnp.sin(jnp.tile(x, (2, 2))),
    "of a gather": lambda x: jnp.sin(x[jnp.arange(100)[::-1]]),
    "of every second": lambda x: jnp.sin(x[:, ::2]),
    "padded": lambda x: jnp.pad(jnp.sin(x), 1),
}


@pytest.mark.parametrize("name", INLINE)
def test_a_formula_read_once_and_in_order_stays_in_its_loop(name):
    assert stored(INLINE[name], X) == []
    agrees(INLINE[name], X)


@pytest.mark.parametrize("name", STORED)
def test_a_formula_read_more_than_once_or_out_of_order_is_stored(name):
    assert stored(STORED[name], X) == ["sin"]
    agrees(STORED[name], X)


def test_a_formula_of_what_is_repeated_is_stored_however_small():
    def f(x, row):
        return x + jnp.sin(row)

    x, row = jnp.ones((20, 600)), jnp.linspace(0.0, 1.0, 600)
    assert stored(f, x, row) == ["sin"]
    agrees(f, x, row)


def test_a_formula_of_a_formula_stores_the_inner_one():
    def f(x):
        return jnp.sin(jnp.tan(x) * 2.0)

    assert stored(f, X) == ["tan"]
    agrees(f, X)


def test_small_formulas_are_written_twice():
    assert stored(lambda x: jnp.diff(jnp.sin(x)), X[:4]) == []


def test_a_loop_of_its_own_works_in_the_body_of_a_scan():
    def f(x):
        return lax.scan(lambda c, t: (c + jnp.diff(jnp.sin(c * t)).sum(), c), x, ROW)[1]

    assert stored(f, X[:100]) == ["sin"]
    np.testing.assert_allclose(jit(f)(X), f(X), 1e-4, 1e-4)


def test_results_of_gradients_do_not_depend_on_it(monkeypatch):
    from pullback.primitives.host_math import rows

    def f(x):
        y = jnp.sin(x) * jnp.exp2(x)
        return jnp.sum(jnp.diff(y) ** 2) + jnp.sum(jnp.tile(jnp.cos(y), 2))

    apart = jit(grad(f))(X)
    monkeypatch.setattr(rows, "formula_has_own_loop", lambda *_: False)
    np.testing.assert_allclose(apart, jit(grad(lambda x: f(x)))(X), 1e-5, 1e-5)


@pytest.mark.parametrize(
    ("shape", "apart"),
    [
        ((100, 10), ["erf"]),
        ((5, 20, 30), ["erf"]),
        ((1000,), []),
        ((100, 16), []),
        ((300, 3), []),
        ((10, 70), []),
        ((10, 10), []),
    ],
)
@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_short_rows_of_erf_inv_are_one_line(shape, apart, dtype):
    x = np.linspace(-0.9, 0.9, np.prod(shape), dtype=dtype).reshape(shape)
    assert stored(erf_inv, x) == apart
    wanted = jit(erf_inv)(x.ravel()).reshape(shape)
    np.testing.assert_array_equal(jit(lambda x: erf_inv(x))(x), wanted)


PLACES = jnp.asarray(np.arange(600) % 100)


@pytest.mark.parametrize(
    ("f", "apart"),
    [
        (lambda x, i: jnp.tanh(x)[i], ["store"]),
        (lambda x, i: (2.0 * x).at[i].get(mode="fill") + 1.0, ["store"]),
        (lambda x, i: jnp.sin(x)[i], ["sin"]),  # stored anyway
        (lambda x, i: x[i] * 2.0, []),
        (lambda x, i: (x @ x)[i], []),
        (lambda x, i: jnp.tanh(x)[i[:2], i[:2]], []),  # little is read
    ],
)
def test_what_is_computed_is_stored_before_it_is_gathered(f, apart):
    assert stored(f, X, PLACES) == apart
    np.testing.assert_allclose(jit(f)(X, PLACES), f(X, PLACES), 1e-4, 1e-4)


def test_gradients_of_segment_sums_gather_what_was_stored():
    def f(x, i):
        return jnp.sum(jnp.tanh(ops.segment_sum(x[i], i[::-1], 100)))

    assert "store" in stored(grad(f), X, PLACES)
    wanted = grad(f)(X, PLACES)
    np.testing.assert_allclose(jit(grad(f))(X, PLACES), wanted, 1e-5, 1e-5)


@pytest.mark.parametrize(
    ("f", "n", "apart"),
    [
        (lambda x: x + x.T, 500, True),
        (lambda x: jnp.tanh(x - 1.0) / (2.0 * x).T, 500, True),
        (lambda x: x + x.T, 400, False),  # other code of the compiler's
        (lambda x: x + x.T, 100, False),
        (lambda x: jnp.tanh(x.T), 500, False),
        (lambda x: x + (x @ x).T, 500, False),
    ],
)
def test_a_matrix_read_in_both_orders_is_transposed_first(f, n, apart):
    x = jnp.asarray(np.random.default_rng(0).standard_normal((n, n), np.float32))
    assert stored(f, x) == (["transpose"] if apart else [])
    np.testing.assert_allclose(jit(f)(x), f(x), 1e-4, 1e-4)
