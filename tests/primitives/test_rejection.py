"""Random numbers by rejection: compiled programs give those of eager code."""

import numpy as np
import pytest
import scipy.stats

from pullback import grad, jit, random, vmap
from pullback import numpy as jnp
from pullback.config import config

KEY = random.key(11)
EXTREME = [1e-3, 0.3, 1.0, 2.5, 50.0, 1e6, np.nan, 0.0, np.inf, -1.0]


def assert_same_numbers(found, wanted, rtol, share=1e-4):
    """Equal within `rtol` but for a share of numbers that were hardly rejected."""
    found, wanted = (np.asarray(x, np.float64) for x in (found, wanted))
    assert found.shape == wanted.shape
    near = np.isclose(found, wanted, rtol, 1e-30, equal_nan=True)
    assert np.count_nonzero(~near) <= share * near.size


def same_numbers(draw, *args, rtol=3e-5):
    """Hold a compiled function against itself run eagerly."""
    found, wanted = jit(draw)(*args), draw(*args)
    assert found.dtype == wanted.dtype
    assert_same_numbers(found, wanted, rtol)


# -- gamma -----------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", EXTREME)
@pytest.mark.parametrize("n", [7, 1000])
def test_compiled_gamma_numbers_are_those_of_eager_code(alpha, n):
    same_numbers(random.gamma, KEY, jnp.full((n,), alpha))


@pytest.mark.parametrize("n", [0, 1, 128, 129, 100_000])
def test_compiled_gamma_numbers_of_any_count_are_those_of_eager_code(n):
    alpha = jnp.asarray(np.resize(np.float32(EXTREME), n))
    same_numbers(random.gamma, KEY, alpha)


@pytest.mark.parametrize(
    ("dtype", "rtol"),
    [("float16", 1e-3), ("bfloat16", 8e-3), ("float32", 3e-5), ("float64", 1e-12)],
)
def test_compiled_gamma_numbers_of_every_dtype_are_those_of_eager_code(dtype, rtol):
    with config.context(enable_x64=True):
        alpha = jnp.asarray(np.resize([0.3, 1.0, 2.5, 50.0], 20_000), dtype)
        same_numbers(lambda a: random.gamma(KEY, a, None, dtype), alpha, rtol=rtol)


def test_compiled_logs_of_gamma_numbers_reach_far_below_what_a_float_holds():
    alpha = jnp.full((5000,), 1e-3)
    found = np.asarray(jit(random.loggamma)(KEY, alpha))
    np.testing.assert_allclose(found, random.loggamma(KEY, alpha), 2e-5, 1e-4)
    assert found.min() < -1000


def test_compiled_gamma_numbers_of_mapped_keys_are_those_of_each_key():
    keys = random.split(KEY, 300)
    alpha = jnp.asarray(np.linspace(0.1, 5, 900, dtype=np.float32).reshape(300, 3))
    found = jit(vmap(random.gamma))(keys, alpha)
    rows = [random.gamma(k, a) for k, a in zip(keys, alpha)]
    assert_same_numbers(found, np.stack(rows), 3e-5)


def test_derivatives_of_compiled_gamma_numbers_are_those_of_eager_code():
    alpha = jnp.asarray(np.linspace(0.3, 9, 50, dtype=np.float32))
    slope = grad(lambda a: random.gamma(KEY, a).sum())
    same_numbers(slope, alpha, rtol=1e-3)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 7.0])
def test_a_million_compiled_gamma_numbers_have_their_law(alpha):
    x = np.asarray(jit(random.gamma)(KEY, jnp.full((1_000_000,), alpha)))
    assert abs(x.mean() - alpha) < 4 * np.sqrt(alpha / x.size)
    # The fourth central moment is 3 alpha^2 + 6 alpha.
    spread = np.sqrt((2 * alpha**2 + 6 * alpha) / x.size)
    assert abs(x.var(dtype=np.float64) - alpha) < 4 * spread
    assert scipy.stats.kstest(x[::20], scipy.stats.gamma(alpha).cdf).pvalue > 1e-3


def test_more_rejections_than_the_buffer_holds_are_all_tried_again(monkeypatch):
    monkeypatch.setattr("pullback.primitives.rejection_lowered.SHARE", 10**9)
    same_numbers(random.gamma, KEY, jnp.full((5000,), 1.0))


def test_compiled_gamma_numbers_call_nothing_back():
    text = jit(random.gamma).lower(KEY, jnp.ones(1000)).as_text()
    assert "custom_call" not in text


# -- Poisson ---------------------------------------------------------------------------

RATES = [0.0, 0.1, 5.0, 9.99, 10.0, 100.0, 1e6, np.nan]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("n", [7, 1000, 100_000])
def test_compiled_poisson_numbers_are_those_of_eager_code(rate, n):
    same_numbers(random.poisson, KEY, jnp.full((n,), rate), rtol=0)


@pytest.mark.parametrize("n", [0, 1, 128, 129, 100_000])
def test_compiled_poisson_numbers_of_mixed_rates_are_those_of_eager_code(n):
    rate = jnp.asarray(np.resize(np.float32(RATES), n))
    same_numbers(random.poisson, KEY, rate, rtol=0)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64"])
def test_compiled_poisson_numbers_of_every_dtype_are_those_of_eager_code(dtype):
    with config.context(enable_x64=True):
        rate = jnp.asarray([0.5, 20.0, np.nan, 0.0])
        same_numbers(lambda r: random.poisson(KEY, r, None, dtype), rate, rtol=0)


def test_compiled_poisson_numbers_of_mapped_keys_are_those_of_each_key():
    # Each key goes on until its own numbers are all accepted.
    keys = random.split(KEY, 300)
    rate = jnp.asarray(np.linspace(0.1, 30, 900, dtype=np.float32).reshape(300, 3))
    found = jit(vmap(random.poisson))(keys, rate)
    rows = [random.poisson(k, r) for k, r in zip(keys, rate)]
    np.testing.assert_array_equal(found, np.stack(rows))


@pytest.mark.parametrize("rate", [3.0, 12.0, 300.0])
def test_a_million_compiled_poisson_numbers_have_their_law(rate):
    x = np.asarray(jit(random.poisson)(KEY, jnp.full((1_000_000,), rate)), np.float64)
    assert abs(x.mean() - rate) < 4 * np.sqrt(rate / x.size)
    # The fourth central moment is 3 rate^2 + rate.
    assert abs(x.var() - rate) < 4 * np.sqrt((2 * rate**2 + rate) / x.size)


def test_more_poisson_rejections_than_the_buffer_holds_are_all_tried(monkeypatch):
    monkeypatch.setattr("pullback.primitives.poisson_lowered.SHARE", 10**9)
    same_numbers(random.poisson, KEY, jnp.full((5000,), 10.0), rtol=0)


def test_compiled_poisson_numbers_call_nothing_back():
    text = jit(random.poisson).lower(KEY, jnp.ones(1000)).as_text()
    assert "custom_call" not in text
