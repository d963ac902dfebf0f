"""Random numbers: published values, distributions, transformations, errors."""

import numpy as np
import pytest
import scipy.stats

from pullback import jit, random, vmap
from pullback import numpy as jnp
from pullback.config import config
from pullback.errors import ArgumentError, DtypeError, ShapeError, TracerIntegerError
from pullback.transforms.derivatives import grad
from pullback.transforms.vjp import jvp

KEY = random.key(7)
MANY = (20_000,)
WEIGHTS = jnp.array([0.2, 0.3, 0.5])

# -- the ecosystem's values ------------------------------------------------------------


def test_uniform_numbers_are_those_printed_in_the_ecosystems_documentation():
    # docs.jax.dev, module jax.random, "Basic usage".
    key = random.key(0)
    assert f"{float(random.uniform(key)):.6f}" == "0.947667"
    key, subkey = random.split(key)
    assert f"{float(random.uniform(subkey)):.8f}" == "0.00729382"


def test_keys_of_seeds_are_their_bits():
    np.testing.assert_array_equal(random.key(0), [0, 0])
    np.testing.assert_array_equal(random.PRNGKey(-1), [0, 0xFFFFFFFF])
    np.testing.assert_array_equal(jit(random.key)(5), [0, 5])
    with config.context(enable_x64=True):
        np.testing.assert_array_equal(random.key((7 << 32) + 9), [7, 9])
        np.testing.assert_array_equal(random.key(-1), [0xFFFFFFFF] * 2)


# -- distributions ---------------------------------------------------------------------

CONTINUOUS = {
    "uniform": (lambda k, s: random.uniform(k, s), scipy.stats.uniform()),
    "uniform in an interval": (
        lambda k, s: random.uniform(k, s, minval=-2.0, maxval=3.0),
        scipy.stats.uniform(-2, 5),
    ),
    "normal": (random.normal, scipy.stats.norm()),
    "truncated_normal": (
        lambda k, s: random.truncated_normal(k, -1.0, 2.0, s),
        scipy.stats.truncnorm(-1, 2),
    ),
    "exponential": (random.exponential, scipy.stats.expon()),
    "gumbel": (random.gumbel, scipy.stats.gumbel_r()),
    "laplace": (random.laplace, scipy.stats.laplace()),
    "logistic": (random.logistic, scipy.stats.logistic()),
    "cauchy": (random.cauchy, scipy.stats.cauchy()),
    "maxwell": (random.maxwell, scipy.stats.maxwell()),
    "lognormal": (lambda k, s: random.lognormal(k, 0.5, s), scipy.stats.lognorm(0.5)),
    "pareto": (lambda k, s: random.pareto(k, 2.0, s), scipy.stats.pareto(2)),
    "rayleigh": (lambda k, s: random.rayleigh(k, 2.0, s), scipy.stats.rayleigh(0, 2)),
    "weibull_min": (
        lambda k, s: random.weibull_min(k, 2.0, 1.5, s),
        scipy.stats.weibull_min(1.5, 0, 2),
    ),
    "triangular": (
        lambda k, s: random.triangular(k, 0.0, 1.0, 4.0, s),
        scipy.stats.triang(0.25, 0, 4),
    ),
    "wald": (lambda k, s: random.wald(k, 1.5, s), scipy.stats.invgauss(1.5)),
    "gamma": (lambda k, s: random.gamma(k, 2.5, s), scipy.stats.gamma(2.5)),
    "gamma of small shape": (
        lambda k, s: random.gamma(k, 0.3, s),
        scipy.stats.gamma(0.3),
    ),
    "beta": (lambda k, s: random.beta(k, 2.0, 0.5, s), scipy.stats.beta(2, 0.5)),
    "chisquare": (lambda k, s: random.chisquare(k, 3.0, s), scipy.stats.chi2(3)),
    "f": (lambda k, s: random.f(k, 3.0, 7.0, s), scipy.stats.f(3, 7)),
    "t": (lambda k, s: random.t(k, 5.0, s), scipy.stats.t(5)),
    "generalized_normal": (
        lambda k, s: random.generalized_normal(k, 3.0, s),
        scipy.stats.gennorm(3),
    ),
    "dirichlet": (
        lambda k, s: random.dirichlet(k, jnp.array([1.0, 2.0, 3.0]), s)[:, 1],
        scipy.stats.beta(2, 4),
    ),
    "double_sided_maxwell": (
        lambda k, s: abs(random.double_sided_maxwell(k, 0.0, 1.0, s)),
        scipy.stats.maxwell(),
    ),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_numbers_follow_their_distribution(name):
    draw, distribution = CONTINUOUS[name]
    x = np.asarray(draw(KEY, MANY), np.float64)
    assert x.shape == MANY
    assert scipy.stats.kstest(x, distribution.cdf).pvalue > 1e-3


DISCRETE = {
    "poisson": (lambda k, s: random.poisson(k, 3.0, s), scipy.stats.poisson(3)),
    "poisson of large rate": (
        lambda k, s: random.poisson(k, 30.0, s),
        scipy.stats.poisson(30),
    ),
    "geometric": (lambda k, s: random.geometric(k, 0.3, s), scipy.stats.geom(0.3)),
    "bernoulli": (lambda k, s: random.bernoulli(k, 0.3, s), scipy.stats.bernoulli(0.3)),
    "randint": (lambda k, s: random.randint(k, s, -3, 4), scipy.stats.randint(-3, 4)),
    "rademacher": (
        lambda k, s: (random.rademacher(k, s) + 1) // 2,
        scipy.stats.bernoulli(0.5),
    ),
    "categorical": (
        lambda k, s: random.categorical(
            k, jnp.log(jnp.array([0.2, 0.3, 0.5])), shape=s
        ),
        scipy.stats.rv_discrete(values=([0, 1, 2], [0.2, 0.3, 0.5])),
    ),
    "choice": (
        lambda k, s: random.choice(k, 3, s, p=WEIGHTS),
        scipy.stats.rv_discrete(values=([0, 1, 2], [0.2, 0.3, 0.5])),
    ),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_numbers_follow_their_distribution(name):
    draw, distribution = DISCRETE[name]
    x = np.asarray(draw(KEY, MANY)).astype(int)
    values, counts = np.unique(x, return_counts=True)
    wanted = distribution.pmf(values) * x.size
    common = wanted > 20
    error = (counts - wanted)[common] ** 2 / wanted[common]
    assert error.sum() < 4 * common.sum() + 15


def test_vectors_and_matrices_follow_their_distributions():
    cov = np.array([[2.0, 0.6], [0.6, 1.0]], np.float32)
    for method in ("cholesky", "eigh", "svd"):
        x = random.multivariate_normal(
            KEY, jnp.array([1.0, -1.0]), jnp.array(cov), MANY, method=method
        )
        np.testing.assert_allclose(np.cov(np.asarray(x).T), cov, atol=0.08)
        np.testing.assert_allclose(np.mean(np.asarray(x), 0), [1, -1], atol=0.05)
    for rows, columns in ((3, 3), (2, 4), (4, 2)):
        q = np.asarray(random.orthogonal(KEY, rows, (5,), m=columns))
        small = min(rows, columns)
        gram = q @ q.swapaxes(1, 2) if rows < columns else q.swapaxes(1, 2) @ q
        np.testing.assert_allclose(gram, np.tile(np.eye(small), (5, 1, 1)), atol=1e-5)
    lengths = np.linalg.norm(np.asarray(random.ball(KEY, 2, shape=MANY)), axis=-1)
    assert scipy.stats.kstest(lengths**2, scipy.stats.uniform().cdf).pvalue > 1e-3
    z = np.asarray(random.normal(KEY, MANY, "complex64"))
    np.testing.assert_allclose(np.mean(np.abs(z) ** 2), 1, atol=0.03)


# -- shapes, types, transformations ----------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_uniform_numbers_of_every_float_lie_in_the_interval(dtype):
    x = random.uniform(KEY, (2000,), dtype)
    assert x.dtype == jnp.zeros(0, dtype).dtype
    wide = np.asarray(x, np.float32)
    assert wide.min() >= 0
    assert wide.max() < 1


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32"])
def test_integers_of_every_type_reach_both_ends(dtype):
    info = np.iinfo(dtype)
    x = np.asarray(random.randint(KEY, (50_000,), info.min, info.max + 1, dtype))
    assert x.dtype == dtype
    if info.bits == 8:
        assert (x.min(), x.max()) == (info.min, info.max)
    near = random.randint(KEY, (100,), info.max - 1, info.max + 1, dtype)
    assert set(np.asarray(near).tolist()) == {info.max - 1, info.max}
    np.testing.assert_array_equal(random.randint(KEY, (3,), 5, 5, dtype), 5)


SAMPLERS = {
    "normal": lambda k: random.normal(k, (3,)),
    "randint": lambda k: random.randint(k, (3,), 0, 10),
    "permutation": lambda k: random.permutation(k, 6),
    "gamma": lambda k: random.gamma(k, jnp.array([0.5, 3.0])),
    "poisson": lambda k: random.poisson(k, jnp.array([2.0, 30.0])),
    "choice": lambda k: random.choice(k, 9, (2, 2), replace=False),
    "orthogonal": lambda k: random.orthogonal(k, 3),
    "truncated_normal": lambda k: random.truncated_normal(k, -1.0, 1.0, (2,)),
    "categorical": lambda k: random.categorical(k, jnp.zeros((2, 3))),
    "split": random.split,
    "fold_in": lambda k: random.fold_in(k, 3),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_give_the_same_compiled_and_mapped(name):
    draw = SAMPLERS[name]
    np.testing.assert_allclose(jit(draw)(KEY), draw(KEY), 1e-5, 1e-6)
    keys = random.split(KEY, 3)
    mapped = np.asarray(vmap(draw)(keys))
    for key, row in zip(keys, mapped):
        np.testing.assert_allclose(row, draw(key), 1e-5, 1e-6)


def test_permutations_are_those_of_jax():
    # As jax 0.10.2 gives them.
    first = [0, 1, 8, 5, 6, 4, 3, 2, 7, 9]
    np.testing.assert_array_equal(random.permutation(random.key(0), 10), first)
    second = [10, 9, 0, 2, 4, 8, 1, 3, 5, 7, 11, 6]
    found = random.permutation(random.key(5), jnp.arange(12))
    np.testing.assert_array_equal(found, second)
    drawn = random.choice(random.key(0), 10, (4,), replace=False)
    np.testing.assert_array_equal(drawn, first[:4])


@pytest.mark.parametrize("n", [0, 1, 2, 1700, 20_000])
def test_permutations_are_complete_and_the_same_compiled(n):
    found = np.asarray(random.permutation(KEY, n))
    np.testing.assert_array_equal(np.sort(found), np.arange(n))
    compiled = jit(lambda key: random.permutation(key, n))(KEY)
    np.testing.assert_array_equal(compiled, found)
    # Sorted as pairs of a random word and a number, which is another way.
    pairs = random.permutation(KEY, jnp.arange(n)[:, None], independent=True)
    np.testing.assert_array_equal(pairs[:, 0], found)


def test_each_key_of_a_batch_has_its_own_permutation():
    keys = random.split(KEY, 3)
    found = vmap(lambda key: random.permutation(key, 9))(keys)
    for key, order in zip(keys, found, strict=True):
        np.testing.assert_array_equal(order, random.permutation(key, 9))


def test_all_permutations_are_as_likely():
    keys = random.split(random.key(1), 24_000)
    found = np.asarray(jit(vmap(lambda key: random.permutation(key, 4)))(keys))
    _, counts = np.unique(found, axis=0, return_counts=True)
    assert len(counts) == 24
    assert np.sum((counts - 1000) ** 2 / 1000) < 60  # chi-square: one in 30,000


def test_permutations_keep_the_elements():
    x = jnp.arange(12).reshape(3, 4)
    whole = np.asarray(random.permutation(KEY, x, 1))
    np.testing.assert_array_equal(np.sort(whole, 1), x)
    assert (np.diff(whole, axis=0) == 4).all()
    apart = np.asarray(random.permutation(KEY, x, 1, independent=True))
    np.testing.assert_array_equal(np.sort(apart, 1), x)


def test_choices_of_rows_and_without_replacement():
    x = jnp.arange(12).reshape(4, 3)
    assert random.choice(KEY, x, (5,)).shape == (5, 3)
    assert random.choice(KEY, x, (5, 2), axis=1).shape == (4, 5, 2)
    rows = np.asarray(random.choice(KEY, x, (4,), replace=False))
    np.testing.assert_array_equal(np.sort(rows[:, 0]), [0, 3, 6, 9])
    p = jnp.array([0.0, 0.5, 0.5, 0.0])
    drawn = random.choice(KEY, 4, (2,), replace=False, p=p)
    assert set(np.asarray(drawn).tolist()) == {1, 2}
    few = random.categorical(KEY, jnp.log(p), shape=(2,), replace=False)
    assert set(np.asarray(few).tolist()) == {1, 2}


def test_numbers_are_differentiable_in_their_parameters():
    def stretched(low):
        return random.uniform(KEY, (), minval=low, maxval=3.0)

    u = float(random.uniform(KEY))
    np.testing.assert_allclose(grad(stretched)(1.0), 1 - u, 1e-6)
    mean = jnp.array([1.0, 2.0])

    def vector(mean):
        return random.multivariate_normal(KEY, mean, jnp.eye(2)).sum()

    np.testing.assert_allclose(grad(vector)(mean), [1, 1])


@pytest.mark.parametrize("a", [0.4, 3.0, 40.0])
def test_gamma_numbers_move_along_their_quantile(a):
    with config.context(enable_x64=True):
        x, slope = jvp(lambda a: random.gamma(KEY, a), (a,), (1.0,))
        x = float(x)
        level = scipy.stats.gamma(a).cdf(x)
        near = [scipy.stats.gamma(b).ppf(level) for b in (a - 1e-5, a + 1e-5)]
        np.testing.assert_allclose(slope, (near[1] - near[0]) / 2e-5, 1e-5)
        _, log_slope = jvp(lambda a: random.loggamma(KEY, a), (a,), (1.0,))
        np.testing.assert_allclose(log_slope, slope / x, 1e-8)


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: random.uniform(random.split(KEY)), ShapeError, r"u32\[2,2\]; a key"),
        (lambda: random.uniform(KEY, (), "int32"), DtypeError, "not a float"),
        (lambda: random.bits(KEY, (), "int32"), DtypeError, "unsigned"),
        (lambda: random.randint(KEY, (), 0, 1, float), DtypeError, "an integer dtype"),
        (lambda: random.key(0, impl="rbg"), ArgumentError, "impl='rbg'"),
        (lambda: random.key(jnp.zeros(2, int)), ArgumentError, r"given i32\[2\]"),
        (lambda: random.gamma(KEY, jnp.ones(3), (2,)), ShapeError, "broadcast to the"),
        (lambda: random.choice(KEY, 3, (4,), False), ArgumentError, "4 draws from 3"),
        (lambda: random.choice(KEY, 3, p=jnp.ones(2)), ShapeError, "shape \\(2,\\)"),
        (
            lambda: random.categorical(KEY, jnp.ones(2), shape=(3,), replace=False),
            ArgumentError,
            "3 draws",
        ),
        (
            lambda: random.multivariate_normal(KEY, jnp.ones(2), jnp.eye(3)),
            ShapeError,
            "covariance",
        ),
        (
            lambda: random.multivariate_normal(
                KEY, jnp.ones(2), jnp.eye(2), method="lu"
            ),
            ArgumentError,
            "method='lu'",
        ),
        (
            lambda: jit(lambda n: random.uniform(KEY, (n,)))(3),
            TracerIntegerError,
            "static",
        ),
    ],
)
def test_errors_say_what_was_given_and_how_to_mend_it(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("name", ["laplace", "maxwell"])
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_floats_are_drawn_in_their_dtype(name, dtype):
    numbers = getattr(random, name)(random.key(0), (100,), dtype)
    assert numbers.dtype == dtype
    assert jnp.isfinite(numbers).all()
