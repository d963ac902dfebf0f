"""Binomial and multinomial numbers have their laws."""

import numpy as np
import pytest
import scipy.stats

from pullback import grad, jit, random, vmap
from pullback import numpy as jnp
from pullback.errors import ShapeError

KEY = random.key(3)


@pytest.mark.parametrize(
    ("n", "p"),
    [
        (10, 0.3),
        (10, 0.8),
        (1000, 0.01),
        (40, 0.5),
        (1000, 0.4),
        (1e6, 0.37),
        (30, 0.97),
    ],
)
def test_binomial_numbers_have_their_law(n, p):
    law = scipy.stats.binom(n, p)
    drawn = np.asarray(random.binomial(KEY, n, p, (20_000,)))
    bins = np.unique(law.ppf(np.linspace(0.02, 0.98, 25)))
    wanted = np.diff(np.concatenate([[0], law.cdf(bins), [1]]))
    edges = np.concatenate([[-0.5], bins + 0.5, [n + 1.0]])
    found = np.histogram(drawn, edges)[0]
    likely = wanted > 1e-4
    wanted = wanted[likely] / wanted[likely].sum() * found[likely].sum()
    assert scipy.stats.chisquare(found[likely], wanted).pvalue > 1e-3


def test_binomial_numbers_are_the_same_compiled_and_mapped():
    n = jnp.array([4.0, 100.0, 1000.0])
    found = random.binomial(KEY, n, 0.3)
    np.testing.assert_array_equal(jit(random.binomial)(KEY, n, 0.3), found)
    keys = random.split(KEY, 3)
    many = vmap(lambda k, n: random.binomial(k, n, 0.3))(keys, n)
    each = [random.binomial(k, m, 0.3) for k, m in zip(keys, n)]
    np.testing.assert_array_equal(many, each)


def test_edges_of_binomial_numbers():
    n, p = (
        jnp.array([-1.0, 3.0, 3.0, 0.0, jnp.nan]),
        jnp.array([0.2, 1.5, 0.0, 0.3, 0.3]),
    )
    np.testing.assert_array_equal(
        random.binomial(KEY, n, p), [np.nan, np.nan, 0, 0, np.nan]
    )
    assert random.binomial(KEY, 7, 1.0) == 7
    assert random.binomial(KEY, 7, 0.3, dtype="bfloat16").dtype == "bfloat16"
    assert grad(lambda p: random.binomial(KEY, 10.0, p))(0.3) == 0


def test_multinomial_numbers_have_their_moments_and_add_up():
    p = np.array([0.2, 0.3, 0.0, 0.5])
    f = jit(lambda key: random.multinomial(key, 20, p, shape=(20_000, 4)))
    drawn = np.asarray(f(KEY))
    np.testing.assert_array_equal(drawn.sum(1), 20)
    np.testing.assert_allclose(drawn.mean(0), 20 * p, atol=0.06)
    wanted = 20 * (np.diag(p) - np.outer(p, p))
    np.testing.assert_allclose(np.cov(drawn.T), wanted, atol=0.12)
    assert random.multinomial(KEY, jnp.array([5, 8]), jnp.ones(3) / 3).shape == (2, 3)


def test_keys_name_their_generator_and_are_cloned():
    assert random.key_impl(KEY) == random.key_impl(random.split(KEY)) == "threefry2x32"
    np.testing.assert_array_equal(random.clone(KEY), KEY)


def test_errors_say_what_was_given():
    with pytest.raises(ShapeError, match=r"multinomial was given n f32\[3\] and p"):
        random.multinomial(KEY, jnp.array([1, 2, 3]), jnp.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"for shape=\(4, 2\)"):
        random.multinomial(KEY, 3, jnp.ones(3), shape=(4, 2))
    with pytest.raises(ShapeError, match=r"random.key_impl was given a key"):
        random.key_impl(jnp.ones(3))
