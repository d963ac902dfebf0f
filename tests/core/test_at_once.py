"""NumPy's own functions where all operands are at hand, and only there."""

import functools

import ml_dtypes
import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import config, grad, jit, jvp, make_jaxpr, vmap
from pullback.core.at_once import at_once, numpy_values
from pullback.core.trace import current_trace
from pullback.errors import IndexBoundsError, NanError

X = jnp.asarray([3.0, 1.0, 2.0])


def seen_inside(transformed, f=lambda x: x * 1.0):
    """Whether NumPy may compute on arrays at hand inside a transformed function."""
    seen = []

    def watched(x):
        seen.append((current_trace().at_once, numpy_values(x) is not None))
        return f(x)

    transformed(watched)
    return seen[0]


def test_arrays_in_eager_code_are_at_hand():
    assert current_trace().at_once
    (value,) = numpy_values(X)
    assert type(value) is np.ndarray


@pytest.mark.parametrize(
    "transformed",
    [
        lambda f: grad(lambda x: f(x).sum())(X),
        lambda f: jvp(f, (X,), (X,)),
        lambda f: vmap(f)(X),
        lambda f: grad(lambda x: vmap(f)(x).sum())(X),
    ],
    ids=["grad", "jvp", "vmap", "grad of vmap"],
)
def test_what_is_not_traced_is_at_hand_inside_eager_transformations(transformed):
    assert seen_inside(transformed) == (True, False)


@pytest.mark.parametrize(
    "transformed",
    [lambda f: jit(f)(X), lambda f: make_jaxpr(f)(X), lambda f: jit(grad(f))(X[0])],
    ids=["jit", "make_jaxpr", "jit of grad"],
)
def test_nothing_is_at_hand_while_a_program_is_traced(transformed):
    assert seen_inside(transformed) == (False, False)


def test_constants_of_a_traced_program_are_part_of_it():
    names = [e.primitive.name for e in make_jaxpr(lambda: jnp.linalg.norm(X))().eqns]
    assert "reduce_sum" in names


def test_dtypes_that_numpy_computes_in_otherwise_are_left_to_the_operations():
    for dtype in (np.float16, ml_dtypes.bfloat16):
        assert at_once(np.sqrt, jnp.ones(3, dtype)) is None
    assert numpy_values(1.0) is None


def test_results_are_weak_if_all_operands_are():
    weak, strong = jnp.asarray(2.0), jnp.float32(2.0)
    assert at_once(np.add, weak, weak).weak_type
    assert not at_once(np.add, weak, strong).weak_type
    assert not at_once(lambda: np.float32(1)).weak_type


def test_numpy_does_not_warn():
    assert np.isnan(at_once(np.sqrt, jnp.float32(-1.0)).fetch())


def test_switch_for_nans_sees_functions_taken_apart():
    with config.context(debug_nans=True):
        assert not current_trace().at_once
        with pytest.raises(NanError):
            jnp.var(jnp.asarray([jnp.inf, 1.0]))


FUNCTIONS = {
    "an element": lambda x: x[1, 2],
    "a row": lambda x: x[-1],
    "backwards": lambda x: x[::-1, None, ..., 1:],
    "rows": lambda x: x[jnp.asarray([2, 0, -1])],
    "rows by NumPy": lambda x: x[np.asarray([2, 0])],
    "elements apart": lambda x: x[jnp.asarray([0, 1]), :, None][:, 0],
    "pairs": lambda x: x[jnp.asarray([0, 1]), jnp.asarray([[3], [2]])],
    "clipped": lambda x: x[jnp.asarray([0, 7])],
    "a mask": lambda x: x[np.asarray([True, False, True])],
    "take": lambda x: jnp.take(x, jnp.asarray([1, -1]), axis=1),
    "take outside": lambda x: jnp.take(x, jnp.asarray([1, 9]), axis=1),
    "take clipped": lambda x: jnp.take(x, jnp.asarray([-2, 9]), mode="clip"),
    "take wrapped": lambda x: jnp.take(x, jnp.asarray([-2, 9]), mode="wrap"),
    "dot": lambda x: jnp.dot(x, x.T),
    "matmul": lambda x: x[0] @ x.T,
    "cross": lambda x: jnp.cross(x[:, :3], x[:, 1:]),
    "searchsorted": lambda x: jnp.searchsorted(x[0], x, side="right"),
    "interp": lambda x: jnp.interp(x, jnp.arange(4.0), x[1]),
    "diff": lambda x: jnp.diff(x, axis=0),
    "quantile": lambda x: jnp.quantile(x, jnp.asarray([0.2, 0.7]), axis=1),
    "quantile beyond": lambda x: jnp.quantile(x, 1.5),
    "median": lambda x: jnp.median(x, axis=(0, 1), keepdims=True),
    "norm": lambda x: jnp.linalg.norm(x, axis=1),
    "norm of complex": lambda x: jnp.linalg.norm(x * (1 + 2j)),
    "variance": lambda x: jnp.var(x, 1, ddof=1),
    "variance of too few": lambda x: jnp.var(x, 1, ddof=4),
    "std": lambda x: jnp.std(x, keepdims=True),
    "eye": lambda x: jnp.eye(3, 4, k=1) + x,
    "triu": lambda x: jnp.triu(x, 1),
    "trace": lambda x: jnp.trace(x, offset=1),
    "cholesky": lambda x: jnp.linalg.cholesky(x @ x.T + jnp.eye(3)),
    "inverse": lambda x: jnp.linalg.inv(x @ x.T + jnp.eye(3)),
    "stack": lambda x: jnp.stack([x, x], axis=1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpy_gives_what_the_operations_give(name):
    x = jnp.asarray(np.sort(np.random.default_rng(0).normal(size=(3, 4)), axis=1))
    x = x.astype(jnp.float32)
    f = FUNCTIONS[name]
    quick, compiled = f(x), jit(f)(x)
    assert quick.dtype == compiled.dtype
    assert quick.shape == compiled.shape
    assert quick.weak_type == compiled.weak_type
    np.testing.assert_allclose(quick, compiled, rtol=2e-5, atol=1e-6)


def test_indices_outside_are_explained_as_ever():
    with pytest.raises(IndexBoundsError, match="index 3 is out of bounds"):
        X[3]
    with pytest.raises(IndexBoundsError, match="2 indices"):
        X[0, 0]
    with pytest.raises(IndexBoundsError, match="truth value"):
        X[True]


@pytest.mark.parametrize("q", [0.0, 0.3, 1.0, [0.25, 0.5]])
def test_quantiles_at_once_know_infinities_and_nans(q):
    x = jnp.asarray([[1.0, np.inf, 3.0], [np.nan, 1.0, 2.0], [4.0, 2.0, 9.0]])
    for options in ({"axis": 1}, {"axis": (0, 1), "keepdims": True}, {"axis": None}):
        quantiles = functools.partial(jnp.quantile, q=jnp.asarray(q), **options)
        np.testing.assert_allclose(quantiles(x), jit(quantiles)(x), rtol=1e-6)


@pytest.mark.parametrize("f", [jnp.linalg.solve, lambda a, b: jnp.linalg.inv(a)])
def test_matrices_that_numpy_refuses_are_left_to_the_operations(f):
    singular, b = jnp.ones((2, 2)), jnp.ones(2)
    assert not np.isfinite(f(singular, b)).all()
    assert np.isnan(jnp.linalg.cholesky(-jnp.eye(2))).any()


def test_ties_among_maxima_share_the_derivative_in_eager_code():
    x = jnp.asarray([[1.0, 3.0, 3.0], [2.0, 1.0, 0.0]])
    wanted = [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]
    np.testing.assert_array_equal(grad(lambda x: jnp.max(x, 1).sum())(x), wanted)
    np.testing.assert_array_equal(grad(jnp.max)(x[1]), wanted[1])


def test_products_at_once_need_no_division():
    x = jnp.asarray([2.0, 0.0, 3.0])
    np.testing.assert_array_equal(grad(jnp.prod)(x), [0.0, 6.0, 0.0])
    rows = jnp.asarray([[2.0, 5.0], [0.0, 0.0]])
    found = grad(lambda x: jnp.prod(x, axis=1).sum())(rows)
    np.testing.assert_array_equal(found, [[5.0, 2.0], [0.0, 0.0]])
