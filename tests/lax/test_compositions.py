"""Operations made of others, and shapes known beforehand."""

import numpy as np
import pytest
import scipy.special

from pullback import enable_x64, grad, jit, lax
from pullback import numpy as jnp
from pullback.errors import ArgumentError, DtypeError, ShapeError
from tests.numpy.agreement import has_right_derivatives, normal
from tests.rule_checks import check_rules_of

X = normal(3, 5)


def test_axes_are_transformed():
    x = X.astype(np.complex64)
    for kind in ("FFT", lax.FftType.FFT):
        np.testing.assert_allclose(lax.fft(x, kind, (5,)), np.fft.fft(x), 1e-5, 1e-5)
    half = lax.fft(X, "RFFT", (3, 5))
    np.testing.assert_allclose(half, np.fft.rfftn(X), 1e-5, 1e-5)
    back = lax.fft(half, lax.FftType.IRFFT, (3, 5))
    np.testing.assert_allclose(back, X, 1e-5, 1e-5)


def test_a_barrier_gives_its_operands_and_stands_in_programs():
    f = lambda x: lax.optimization_barrier({"a": jnp.sin(x), "b": x})["a"]  # noqa: E731
    assert "optimization_barrier" in jit(f).lower(1.0).as_text()
    check_rules_of(f, X.astype(np.float64), reference=np.sin)
    assert lax.optimization_barrier([]) == []
    assert [x.dtype for x in lax.optimization_barrier((1, 1.0))] == ["int32", "float32"]


def test_arrays_are_stacked_tiled_and_taken_apart():
    both = lax.stack([X, 2 * X], 1)
    assert both.shape == (3, 2, 5)
    one, other = lax.unstack(both, 1)
    np.testing.assert_array_equal(one * 2, other)
    np.testing.assert_array_equal(lax.tile(X, (2, 1)), np.tile(X, (2, 1)))
    assert lax.broadcast_like(X[0], X).shape == X.shape
    assert lax.empty((2,), np.int8).dtype == lax.dtype(np.int8(1)) == np.int8
    assert lax.dtype(1.0) == np.float32
    with pytest.raises(DtypeError, match=r"f32\[3,5\], i32\[3,5\]"):
        lax.stack([X, X.astype(np.int32)])
    with pytest.raises(ShapeError, match=r"reps \(2,\)"):
        lax.tile(X, (2,))


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"]
)
def test_upper_halves_of_products_are_exact(dtype):
    info = np.iinfo(dtype)
    ends = [info.min, info.max, 3, info.max // 2 + 5, info.max - 1, 7, info.min + 1]
    x, y = np.array(ends, dtype), np.array(ends[::-1], dtype)
    want = [(int(a) * int(b)) >> info.bits for a, b in zip(x, y)]
    with enable_x64():
        for f in (lax.mulhi, jit(lax.mulhi)):
            assert f(x, y).tolist() == want
    with pytest.raises(DtypeError, match=r"f32\[3,5\]"):
        lax.mulhi(X, X)


def test_gamma_numbers_move_with_their_parameter():
    a, p, step = np.array([0.7, 2.0, 9.0]), np.array([0.2, 0.5, 0.9]), 1e-6
    x = scipy.special.gammaincinv(a, p)
    moved = scipy.special.gammaincinv(a + step, p) - scipy.special.gammaincinv(
        a - step, p
    )
    with enable_x64():
        found = lax.random_gamma_grad(a, x)
    np.testing.assert_allclose(found, moved / (2 * step), 1e-6)


def test_greatest_elements_are_found_along_any_axis():
    values, places = lax.top_k(jnp.asarray(X), 2, axis=0)
    np.testing.assert_array_equal(values, -np.sort(-X, 0)[:2])
    np.testing.assert_array_equal(np.take_along_axis(X, np.asarray(places), 0), values)
    high, _ = jit(lambda x: lax.approx_max_k(x, 2, 0))(X)
    np.testing.assert_array_equal(high, values)
    low, places = lax.approx_min_k(X, 3)
    np.testing.assert_array_equal(low, np.sort(X)[:, :3])
    np.testing.assert_array_equal(np.take_along_axis(X, np.asarray(places), 1), low)
    with pytest.raises(DtypeError, match="approx_max_k takes floats"):
        lax.approx_max_k(jnp.arange(3), 1)
    has_right_derivatives(lambda x: lax.top_k(x, 2, axis=0)[0], X)


def test_groups_of_rows_have_a_matrix_each():
    x, y, sizes = normal(6, 2), normal(3, 2, 4), np.array([2, 0, 3])
    want = np.concatenate([x[:2] @ y[0], x[2:5] @ y[2], np.zeros((1, 4))])
    for f in (lax.ragged_dot, jit(lax.ragged_dot)):
        np.testing.assert_allclose(f(x, y, sizes), want, 1e-5, 1e-6)
    has_right_derivatives(lambda x, y: lax.ragged_dot(x, y, sizes), x, y)
    with pytest.raises(ShapeError, match=r"f32\[6,2\], f32\[3,2,4\] and .* i32\[2\]"):
        lax.ragged_dot(x, y, sizes[:2].astype(np.int32))


def test_patches_are_what_windows_see():
    x = normal(2, 3, 5, 6)
    found = lax.conv_general_dilated_patches(
        x, (2, 3), (1, 2), "VALID", rhs_dilation=(2, 1)
    )
    assert found.shape == (2, 18, 3, 2)
    want = x[:, :, 1:4:2, 2:5].reshape(2, 18)
    np.testing.assert_allclose(found[:, :, 1, 1], want, 1e-6)
    last = lax.conv_general_dilated_patches(
        *(np.moveaxis(x, 1, -1), (2, 3), (1, 1), "SAME"),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    assert last.shape == (2, 5, 6, 18)
    kernel = normal(4, 3, 2, 3)
    made = jnp.einsum("nphw,op->nohw", found, kernel.reshape(4, 18))
    same = lax.conv_with_general_padding(x, kernel, (1, 2), "VALID", None, (2, 1))
    np.testing.assert_allclose(made, same, 1e-4, 1e-5)
    has_right_derivatives(
        lambda x: lax.conv_general_dilated_patches(x, (2, 2), (1, 1), "SAME"),
        x[:1, :2, :2, :3],
    )


def test_shapes_are_those_of_the_operations():
    x, kernel = normal(2, 3, 5, 6), normal(4, 3, 2, 3)
    names = ("NCHW", "OIHW", "NHWC")
    shape = lax.conv(x, kernel, (1, 2), "SAME").shape
    assert lax.conv_shape_tuple(x.shape, kernel.shape, (1, 2), "SAME") == shape
    general = lax.conv_general_shape_tuple(x.shape, kernel.shape, (1, 2), "SAME", names)
    assert general == (2, 5, 3, 4)
    layout = ("NHWC", "HWIO", "NHWC")
    grown = lax.conv_transpose_shape_tuple(
        (1, 5, 5, 2), (3, 3, 2, 3), (2, 2), "SAME", layout
    )
    assert grown == (1, 10, 10, 3)
    assert lax.conv_general_permutations(layout)[1] == (3, 2, 0, 1)
    assert lax.padtype_to_pads((5, 5), (3, 2), (2, 1), "SAME") == [(1, 1), (0, 1)]
    windows = lax.reduce_window_shape_tuple((5, 5), (2, 2), (1, 2), ((0, 0), (0, 1)))
    assert windows == (4, 3)


def test_subtracted_updates_are_the_negative_of_added_ones():
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    args = (jnp.zeros(4), jnp.array([[1], [1], [3]]), jnp.array([1.0, 2.0, 4.0]))
    assert lax.scatter_sub(*args, numbers).tolist() == [0, -3, 0, -4]


def test_the_function_of_the_platform_is_called(monkeypatch):
    f = lambda x: lax.platform_dependent(x, cpu=jnp.sin, default=jnp.cos)  # noqa: E731
    monkeypatch.delenv("PULLBACK_PLATFORM", raising=False)
    assert f(0.5) == jnp.sin(0.5)
    assert jit(grad(f))(0.5) == jit(jnp.cos)(0.5)
    assert lax.platform_dependent(0.5, cuda=jnp.sin, default=jnp.cos) == jnp.cos(0.5)
    with pytest.raises(ArgumentError, match=r"functions for cuda; this is cpu\."):
        lax.platform_dependent(0.5, cuda=jnp.sin)
