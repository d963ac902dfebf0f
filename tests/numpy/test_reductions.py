"""Reductions and running sums against NumPy, with derivatives."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.config import config
from pullback.errors import ArgumentError, DtypeError, NotAnArrayError, ShapeError
from pullback.transforms.derivatives import grad
from pullback.transforms.stage import make_jaxpr
from tests.numpy.agreement import agrees, has_right_derivatives, integers, normal

A, K, T, V = normal(3, 4), integers(3, 4), normal(2, 3, 4), normal(4)
M = A > 0
HOLES = A.copy()
HOLES[0, 1] = np.nan
HOLES[2] = np.nan

SUMS = "sum prod mean std var any all count_nonzero max min".split()
PLACES = "argmax argmin".split()
RUNNING = "cumsum cumprod nancumsum nancumprod".split()
NAN = "nansum nanprod nanmean nanvar nanstd nanmax nanmin".split()


@pytest.mark.parametrize("name", [*SUMS, "ptp"])
@pytest.mark.parametrize("x", [A, K, T], ids=["floats", "integers", "three axes"])
def test_reductions_agree_with_numpy(name, x):
    agrees(name, x)
    agrees(name, x, axis=0)
    agrees(name, x, axis=(0, -1))
    agrees(name, x, axis=1, keepdims=True)


@pytest.mark.parametrize("name", SUMS)
def test_reductions_of_truth_values_agree_with_numpy(name):
    agrees(name, M)
    agrees(name, M, axis=1)


@pytest.mark.parametrize("name", NAN)
def test_reductions_without_nan_agree_with_numpy(name):
    agrees(name, HOLES)
    agrees(name, HOLES, axis=0)
    agrees(name, HOLES, axis=1, keepdims=True)
    agrees(name, K, axis=1)


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "any", "all", "std", "var"])
def test_masked_reductions_agree_with_numpy(name):
    agrees(name, A, where=M, axis=0)
    agrees(name, A, where=M)


def test_starts_agree_with_numpy():
    agrees("sum", A, initial=3.0)
    agrees("prod", A, axis=0, initial=3.0)
    agrees("max", A, axis=0, where=M, initial=-9.0)
    agrees("min", A[:0], axis=0, initial=9.0)
    agrees("sum", K, dtype=np.float32)


def test_degrees_of_freedom_agree_with_numpy():
    for name in ("std", "var"):
        agrees(name, A, ddof=1)
        agrees(name, A, axis=1, ddof=1)
        agrees(name, A, axis=1, correction=1)
        agrees(name, A + 1j * A[::-1])


@pytest.mark.parametrize("name", PLACES)
def test_places_agree_with_numpy(name):
    agrees(name, A)
    agrees(name, T, axis=1)
    agrees(name, K, axis=1, keepdims=True)
    agrees(name, HOLES)
    agrees(f"nan{name}", HOLES[:2], axis=1)
    assert getattr(jnp, f"nan{name}")(HOLES[2]) == -1


@pytest.mark.parametrize("name", RUNNING)
def test_running_reductions_agree_with_numpy(name):
    agrees(name, A)
    agrees(name, T, axis=1)
    agrees(name, K, axis=-1)
    agrees(name, M)
    if name.startswith("nan"):
        agrees(name, HOLES, axis=0)


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
def test_running_reductions_take_a_start(name):
    agrees(name, V)
    agrees(name, A, axis=1, include_initial=True)
    with pytest.raises(ArgumentError, match="needs axis"):
        getattr(jnp, name)(A)


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
def test_running_reductions_of_small_integers_widen_where_numpys_do(name):
    for dtype in (np.int8, np.uint8, np.bool_):
        agrees(name, np.array([1, 100, 100, 3]).astype(dtype))
    assert getattr(jnp, name)(jnp.ones(2, jnp.uint8)).dtype == jnp.uint32


@pytest.mark.parametrize("name", [n for n in NAN if n not in ("nanmax", "nanmin")])
def test_masked_reductions_without_nan_agree_with_numpy(name):
    agrees(name, HOLES, where=M, axis=0)
    agrees(name, HOLES, where=M[0], axis=1, keepdims=True)
    agrees(name, K, where=M)


def test_starts_of_reductions_without_nan_agree_with_numpy():
    agrees("nansum", HOLES, axis=0, initial=3.0, where=M)
    agrees("nanprod", HOLES, axis=1, initial=3.0)
    agrees("nanmax", HOLES, axis=1, initial=0.5)
    agrees("nanmin", HOLES, axis=0, initial=0.5, where=M)
    agrees("nanmax", K, axis=0, initial=-9, where=M)


@pytest.mark.parametrize("name", ["var", "std"])
def test_spreads_about_a_known_mean_agree_with_numpy(name):
    agrees(name, A, axis=1, mean=A.mean(1, keepdims=True))
    agrees(name, A, mean=np.ones((1, 1), np.float32), ddof=1)


def test_small_integers_keep_their_dtype_if_asked():
    x = jnp.full(3, 100, jnp.int8)
    assert jnp.sum(x, promote_integers=False).dtype == jnp.int8
    assert int(jnp.sum(x, promote_integers=False)) == 300 - 256
    assert int(jnp.prod(x, promote_integers=False)) == 64
    assert int(jnp.sum(x > 0, promote_integers=False)) == 3


def test_spreads_have_a_floating_dtype_and_one_number_of_degrees():
    with pytest.raises(DtypeError, match=r"var was given dtype=uint32.*floating"):
        jnp.std(A, dtype=jnp.uint32)
    with pytest.raises(ArgumentError, match=r"both ddof=1 and correction=1"):
        jnp.var(A, ddof=1, correction=1)


OUT = "sum prod max min any all mean var std ptp argmax cumsum nansum nanmax median"


@pytest.mark.parametrize("name", OUT.split())
def test_results_are_not_written_elsewhere(name):
    with pytest.raises(ArgumentError, match=f"{name} was given out=.*Leave out= out"):
        getattr(jnp, name)(A, out=np.zeros(()))


def test_average_agrees_with_numpy():
    agrees("average", A)
    agrees("average", A, weights=np.abs(A))
    agrees("average", A, axis=1, weights=np.abs(V), returned=True)
    agrees("average", A, axis=1, returned=True)
    with pytest.raises(ShapeError, match=r"f32\[3,4\].*f32\[2\]"):
        jnp.average(A, weights=jnp.ones(2))


def test_small_integers_are_summed_in_32_bits():
    assert jnp.sum(jnp.full(3, 100, jnp.int8)).dtype == jnp.int32
    assert int(jnp.sum(jnp.full(3, 100, jnp.int8))) == 300
    assert jnp.sum(jnp.full(3, 200, jnp.uint8)).dtype == jnp.uint32


def test_truth_values_are_counted():
    x = np.array([[True, False, True], [True, True, False]])
    agrees("sum", x)
    agrees("sum", x, axis=0, keepdims=True)
    agrees("sum", x, axis=1, where=np.array([True, False, True]), initial=7)
    agrees("sum", x, axis=())
    assert jnp.sum(x).dtype == jnp.int32
    assert jnp.sum(x, dtype=jnp.int8).dtype == jnp.int8
    assert float(jnp.sum(x, dtype=jnp.float32)) == 4.0
    with config.context(enable_x64=True):
        assert jnp.sum(x).dtype == jnp.int64
    assert "count" in str(make_jaxpr(jnp.sum)(x))
    agrees("mean", x, axis=0)
    assert jnp.mean(x).dtype == jnp.float32
    # As floats, one by one, they would be no more than 2**24.
    many = np.ones((3, 2**24), bool)
    assert float(jit(jnp.mean)(many)) == 1.0
    assert float(jit(lambda x: jnp.mean(x, dtype=jnp.float16))(many)) == 1.0


def test_halves_are_averaged_in_floats():
    x = jnp.full(4096, 0.1, jnp.bfloat16)
    assert jnp.mean(x).dtype == jnp.bfloat16
    np.testing.assert_allclose(float(jnp.mean(x)), 0.1, rtol=4e-3)


SMOOTH = (
    "sum prod mean std var max min ptp nansum nanmean nanstd nanmax cumsum cumprod"
).split()


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_right(name):
    has_right_derivatives(getattr(jnp, name), A)
    has_right_derivatives(lambda x: getattr(jnp, name)(x, axis=1), A)


def test_masked_derivatives_are_right():
    has_right_derivatives(lambda x: jnp.sum(x, where=x > 0, axis=0), A)
    has_right_derivatives(lambda x: jnp.average(x, axis=0, weights=x * x), A)


def test_the_deviation_of_a_constant_has_derivative_zero():
    assert grad(jnp.std)(jnp.ones(3)).tolist() == [0, 0, 0]
    assert grad(lambda x: grad(jnp.std)(x).sum())(jnp.ones(3)).tolist() == [0, 0, 0]


def test_the_product_has_a_derivative_at_zeros():
    assert grad(jnp.prod)(jnp.array([0.0, 2.0, 3.0])).tolist() == [6, 0, 0]
    assert grad(jnp.prod)(jnp.array([0.0, 2.0, 0.0])).tolist() == [0, 0, 0]


def test_nan_left_out_has_derivative_zero():
    assert grad(jnp.nansum)(jnp.array([1.0, jnp.nan])).tolist() == [1, 0]
    assert grad(jnp.nanvar)(jnp.array([1.0, jnp.nan, 3.0])).tolist() == [-1, 0, 1]


ERRORS = [
    (lambda: jnp.sum(jnp.ones(3), axis=2), ArgumentError, "axis 2"),
    (lambda: jnp.sum(jnp.ones((2, 2)), axis=(0, 0)), ArgumentError, "twice"),
    (lambda: jnp.sum([1.0]), NotAnArrayError, "sum.*list"),
    (lambda: jnp.max(jnp.zeros(0)), ShapeError, r"f32\[0\]"),
    (lambda: jnp.argmax(jnp.zeros(0)), ShapeError, r"f32\[0\]"),
    (lambda: jnp.max(jnp.ones(2) * 1j), DtypeError, r"c64\[2\]"),
    (lambda: jnp.max(A, where=M), ArgumentError, "initial="),
]


@pytest.mark.parametrize(("f", "kind", "text"), ERRORS, ids=[e[2] for e in ERRORS])
def test_what_does_not_fit_is_named(f, kind, text):
    with pytest.raises(kind, match=text):
        f()
