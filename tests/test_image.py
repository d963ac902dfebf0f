"""Images made larger or smaller: against known pixels, with derivatives."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import image, jit, vmap
from pullback.errors import ArgumentError, ShapeError
from tests.numpy.agreement import has_right_derivatives, normal

X = normal(4, 7, 3)
METHODS = ["nearest", "linear", "cubic", "cubic_pytorch", "lanczos3", "lanczos5"]


def kernel(method, x):
    """Gives the kernel at one place, from its definition."""
    x = abs(x)
    if method == "linear":
        return max(1 - x, 0)
    if method.startswith("lanczos"):
        radius = float(method[-1])
        return np.sinc(x) * np.sinc(x / radius) if x < radius else 0
    a = -0.5 if method == "cubic" else -0.75
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0


def by_loop(row, m, method, antialias, scale=None, shift=0.0):
    """Resizes a vector pixel by pixel."""
    n = len(row)
    scale = m / n if scale is None else scale
    out = []
    for i in range(m):
        middle = (i + 0.5 - shift) / scale - 0.5
        if method == "nearest":
            out.append(row[int(np.floor((i + 0.5) * n / m))])
            continue
        wide = max(1 / scale, 1) if antialias else 1
        weights = np.array([kernel(method, (middle - j) / wide) for j in range(n)])
        inside = -0.5 <= middle <= n - 0.5 and abs(weights.sum()) > 1e-3
        out.append(weights @ row / weights.sum() if inside else 0)
    return np.array(out)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", [2, 7, 5, 14])
def test_pixels_are_those_of_the_definition(method, antialias, size):
    row = X[0, :, 0]
    make = lambda x: image.resize(x, (size,), method, antialias)  # noqa: E731
    for f in (make, jit(make)):
        want = by_loop(row, size, method, antialias)
        np.testing.assert_allclose(f(row), want, 1e-4, 1e-5)


def test_axes_are_resized_one_after_another():
    found = image.resize(X, (8, 5, 3), "bicubic")
    assert found.shape == (8, 5, 3)
    first = image.resize(X, (8, 7, 3), image.ResizeMethod.CUBIC)
    np.testing.assert_allclose(
        found, image.resize(first, (8, 5, 3), "cubic"), 1e-4, 1e-5
    )
    mapped = vmap(lambda x: image.resize(x, (8, 5), "cubic"), 2, 2)(X)
    np.testing.assert_allclose(mapped, found, 1e-4, 1e-5)


def test_images_are_scaled_and_moved():
    row, scale, shift = X[0, :, 0], 1.3, -1.2
    found = image.scale_and_translate(
        row, (6,), (0,), jnp.array([scale]), jnp.array([shift]), "linear"
    )
    want = by_loop(row, 6, "linear", True, scale, shift)
    np.testing.assert_allclose(found, want, 1e-4, 1e-5)


def test_derivatives_are_right():
    for method in METHODS:
        has_right_derivatives(
            lambda x, m=method: image.resize(x, (3, 9), m), X[:, :, 0]
        )
    has_right_derivatives(
        lambda x, s, t: image.scale_and_translate(x, (3,), (0,), s, t, "cubic"),
        *(X[0, :5, 0], np.array([0.71]), np.array([0.33])),
    )


def test_integers_become_floats_unless_the_nearest_is_taken():
    x = np.arange(4, dtype=np.uint8)
    assert image.resize(x, (8,), "nearest").dtype == np.uint8
    assert image.resize(x, (8,), "linear").dtype == np.float32
    assert image.resize(X.astype(np.float16), (2, 2, 3), "linear").dtype == np.float16


def test_what_does_not_fit_is_named():
    with pytest.raises(ArgumentError, match=r"method='sharp'.*'lanczos5'"):
        image.resize(X, (2, 2, 3), "sharp")
    with pytest.raises(ShapeError, match=r"f32\[4,7,3\] and shape \(2, 2\)"):
        image.resize(X, (2, 2), "linear")
    move = jnp.zeros(1)
    with pytest.raises(ShapeError, match=r"2 spatial_dims .* f32\[1\]"):
        image.scale_and_translate(X, (2, 2, 3), (0, 1), move + 1, move, "linear")
    with pytest.raises(ArgumentError, match="method='nearest'"):
        image.scale_and_translate(X, (2, 7, 3), (0,), move + 1, move, "nearest")
    with pytest.raises(ShapeError, match=r"f32\[4,7,3\] and shape \(2, 7, 4\)"):
        image.scale_and_translate(X, (2, 7, 4), (0,), move + 1, move, "linear")
