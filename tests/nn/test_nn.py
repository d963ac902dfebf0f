"""Activations, normalizations and initial weights."""

import numpy as np
import pytest
import scipy.special

from pullback import jit, nn, random
from pullback import numpy as jnp
from pullback.config import config
from pullback.core.calling import as_value
from pullback.errors import ArgumentError
from pullback.transforms.derivatives import grad
from tests.rule_checks import check_rules_of

X = np.array([-4.3, -1.2, -0.4, 0.3, 1.7, 5.5])

REFERENCES = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": scipy.special.expit,
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(x, 0),
    "log_sigmoid": lambda x: -np.logaddexp(-x, 0),
    "silu": lambda x: x * scipy.special.expit(x),
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "soft_sign": lambda x: x / (1 + abs(x)),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "identity": lambda x: x,
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_activations_agree_with_their_formula_and_have_right_rules(name):
    check_rules_of(getattr(nn, name), X, reference=REFERENCES[name])


def test_gelu_and_selu_have_right_rules():
    check_rules_of(lambda x: nn.gelu(x, approximate=False), X)
    check_rules_of(nn.gelu, X)
    check_rules_of(nn.selu, X)
    exact = nn.gelu(as_value(X), approximate=False)
    np.testing.assert_allclose(exact, X * scipy.special.ndtr(X), 1e-5, 1e-6)
    np.testing.assert_allclose(nn.gelu(as_value(X)), exact, atol=2e-3)


def test_log1mexp_is_exact_near_zero_and_far_away():
    x = np.array([1e-9, 1e-3, 0.5, np.log(2), 0.8, 5.0, 50.0])
    check_rules_of(nn.log1mexp, x[1:], reference=lambda x: np.log(-np.expm1(-x)))
    with config.context(enable_x64=True):
        found = nn.log1mexp(jnp.array(x))
    np.testing.assert_allclose(
        found[[0, -1]], [np.log(1e-9) - 5e-10, -np.exp(-50)], 1e-14
    )


def test_sparse_plus_and_glu():
    np.testing.assert_allclose(
        nn.sparse_plus(jnp.array([-2.0, 0.0, 2.0])), [0, 0.25, 2]
    )
    check_rules_of(lambda x: nn.glu(x, 0), X)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("relu", 0.0),
        ("relu6", 0.0),
        ("softplus", 0.5),
        ("log_sigmoid", 0.5),
        ("elu", 1),
    ],
)
def test_derivatives_at_zero(name, wanted):
    for f in (grad(getattr(nn, name)), jit(grad(getattr(nn, name)))):
        assert float(f(0.0)) == wanted


def test_derivatives_far_out_are_finite():
    for name in REFERENCES:
        for x in (-1e4, 1e4):
            assert np.isfinite(float(grad(getattr(nn, name))(x))), name


def test_integers_stay_integers_under_relu():
    assert nn.relu(jnp.array([-1, 2])).dtype == np.int32


# -- normalizations --------------------------------------------------------------------


def test_softmax_and_its_logarithm():
    x = np.random.default_rng(0).standard_normal((3, 4))
    check_rules_of(nn.softmax, x, reference=lambda x: scipy.special.softmax(x, -1))
    check_rules_of(nn.log_softmax, x)
    check_rules_of(lambda x: nn.logmeanexp(x, 1), x)
    check_rules_of(nn.standardize, x, tol=1e-5)


def test_masked_normalizations_leave_elements_out():
    x, mask = jnp.array([1.0, 2.0, 3.0]), jnp.array([True, False, True])
    kept = scipy.special.softmax([1.0, 3.0])
    np.testing.assert_allclose(nn.softmax(x, where=mask), [kept[0], 0, kept[1]], 1e-6)
    logs = nn.log_softmax(x, where=mask)
    np.testing.assert_allclose(logs, [np.log(kept[0]), -np.inf, np.log(kept[1])], 1e-6)
    found = nn.logmeanexp(x, where=mask)
    np.testing.assert_allclose(found, np.log((np.exp(1) + np.exp(3)) / 2), 1e-6)
    np.testing.assert_allclose(
        nn.logsumexp(x, b=jnp.array([1.0, 0.0, 1.0])), np.logaddexp(1, 3), 1e-6
    )


def test_softmax_of_large_numbers_does_not_overflow():
    np.testing.assert_allclose(nn.softmax(jnp.array([1e4, 1e4])), [0.5, 0.5])
    np.testing.assert_allclose(nn.softmax(jnp.array([-jnp.inf, 0.0])), [0, 1])


def test_standardize_gives_mean_zero_and_variance_one():
    x = nn.standardize(jnp.array([[1.0, 2.0, 6.0]]), epsilon=0.0)
    np.testing.assert_allclose([x.mean(), x.var()], [0, 1], atol=1e-6)
    given = nn.standardize(jnp.array([3.0]), mean=1.0, variance=4.0, epsilon=0.0)
    np.testing.assert_allclose(given, [1.0], 1e-6)


def test_one_hot_codes():
    x = jnp.array([0, 2, 5])
    wanted = [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_array_equal(nn.one_hot(x, 3), wanted)
    np.testing.assert_array_equal(nn.one_hot(x, 3, axis=0), np.transpose(wanted))
    assert nn.one_hot(x, 3, dtype=jnp.int32).dtype == np.int32


# -- initial weights -------------------------------------------------------------------

SCALED = {
    "glorot_uniform": 1 / 250,
    "glorot_normal": 1 / 250,
    "lecun_uniform": 1 / 200,
    "lecun_normal": 1 / 200,
    "he_uniform": 2 / 200,
    "he_normal": 2 / 200,
}


@pytest.mark.parametrize("name", SCALED)
def test_scaled_initializers_have_their_variance(name):
    init = getattr(nn.initializers, name)()
    for shape in ((200, 300), (2, 5, 20, 30)):
        w = np.asarray(init(random.key(1), shape))
        assert w.shape == shape
        np.testing.assert_allclose(w.var(), SCALED[name], 0.05)


def test_plain_initializers():
    key, inits = random.key(2), nn.initializers
    assert not np.asarray(inits.zeros(key, (2, 3))).any()
    assert np.asarray(inits.ones(key, (2, 3))).all()
    np.testing.assert_array_equal(inits.constant(3.0)(key, (2,)), [3, 3])
    np.testing.assert_allclose(np.std(inits.normal(0.5)(key, (9999,))), 0.5, 0.05)
    cut = np.asarray(inits.truncated_normal(0.5)(key, (999,)))
    assert np.abs(cut).max() <= 1
    wide = np.asarray(inits.uniform(2.0)(key, (999,)))
    assert 0 <= wide.min() < wide.max() <= 2
    w = np.asarray(inits.delta_orthogonal()(key, (3, 4, 2, 5)))
    np.testing.assert_allclose(w[1, 1] @ w[1, 1].T, np.eye(2), atol=1e-6)
    assert np.count_nonzero(np.abs(w).sum((2, 3))) == 1
    with pytest.raises(ArgumentError, match=r"delta_orthogonal was given shape \(3, 5"):
        inits.delta_orthogonal()(key, (3, 5, 2))
    q = np.asarray(inits.orthogonal(2.0)(key, (3, 4, 5)))
    flat = q.reshape(12, 5)
    np.testing.assert_allclose(flat.T @ flat, 4 * np.eye(5), atol=1e-5)
    with config.context(enable_x64=True):
        assert inits.normal(dtype=jnp.float32)(key, (2,)).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: nn.initializers.variance_scaling(1, "fan", "normal"), "mode='fan'"),
        (
            lambda: nn.initializers.variance_scaling(1, "fan_in", "x"),
            "distribution='x'",
        ),
        (lambda: nn.initializers.he_normal()(random.key(0), (3,)), r"shape \(3,\)"),
    ],
)
def test_errors_name_the_choices(call, text):
    with pytest.raises(ArgumentError, match=text):
        call()


@pytest.mark.parametrize("name", ["relu", "relu6"])
@pytest.mark.parametrize("run", [lambda f: f, jit])
def test_rectified_truth_values_are_integers(name, run):
    out = run(getattr(nn, name))(jnp.array([True, False]))
    assert (out.dtype, out.tolist()) == (jnp.int32, [1, 0])
