"""Interpolation in images and on grids, and integrals of samples, against SciPy."""

import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.ndimage

from pullback import jit
from pullback import numpy as jnp
from pullback.config import config
from pullback.errors import ArgumentError, ShapeError
from pullback.scipy import integrate, interpolate, ndimage
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(8)
IMAGE = RNG.standard_normal((5, 4))
PLACES = RNG.uniform(-8, 12, (2, 40))
GRID = (np.array([0.0, 1.0, 3.0, 4.0]), np.array([-1.0, 0.0, 0.5, 2.0]))
VALUES = RNG.standard_normal((4, 4, 2))
POINTS = np.concatenate(
    [RNG.uniform(-1, 4, (30, 2)), [[0.0, -1.0], [4.0, 2.0], [0.5, 0.25]]]
)
THEIRS = {"constant": "grid-constant", "wrap": "grid-wrap"}


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("mode", ["constant", "nearest", "wrap", "mirror", "reflect"])
def test_places_in_images_agree(mode, order):
    f = ndimage.map_coordinates
    theirs = THEIRS.get(mode, mode)
    wanted = scipy.ndimage.map_coordinates(
        IMAGE, PLACES, order=order, mode=theirs, cval=-1.5
    )
    places = list(map(jnp.array, PLACES))
    for g in (f, jit(f, static_argnums=(2, 3))):
        np.testing.assert_allclose(
            g(jnp.array(IMAGE), places, order, mode, -1.5), wanted
        )
    np.testing.assert_allclose(f(IMAGE, places, order, theirs, -1.5), wanted)


def test_places_in_images_have_right_rules_and_keep_integers():
    def f(image, x, y):
        return ndimage.map_coordinates(image, [x, y], 1, "mirror")

    check_rules_of(f, IMAGE, *PLACES[:, :3])
    line = np.arange(9)
    found = ndimage.map_coordinates(line, PLACES[:1], 1, "nearest")
    wanted = scipy.ndimage.map_coordinates(line, PLACES[:1], order=1, mode="nearest")
    np.testing.assert_array_equal(found, wanted)
    one = ndimage.map_coordinates(np.ones(1), [np.array([-3.0, 7.0])], 1, "mirror")
    np.testing.assert_array_equal(one, 1)


@pytest.mark.parametrize("fill", [np.nan, None, 2.0])
@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_points_on_grids_agree(method, fill):
    ours = interpolate.RegularGridInterpolator(GRID, VALUES, method, False, fill)
    theirs = scipy.interpolate.RegularGridInterpolator(
        GRID, VALUES, method, False, fill
    )
    for f in (ours, jit(ours)):
        np.testing.assert_allclose(f(jnp.array(POINTS)), theirs(POINTS))
    np.testing.assert_allclose(
        ours((jnp.array(POINTS[:, :1]), 0.3)), theirs((POINTS[:, :1], 0.3))
    )
    np.testing.assert_allclose(ours(POINTS, "nearest"), theirs(POINTS, "nearest"))


def test_points_on_grids_have_right_rules():
    def f(values, points):
        return interpolate.RegularGridInterpolator(GRID, values, fill_value=None)(
            points
        )

    check_rules_of(f, VALUES, POINTS[:4], batched=False)
    line = interpolate.RegularGridInterpolator((np.ones(1),), np.array([5.0]))
    np.testing.assert_array_equal(line(np.array([1.0, 2.0])), [5, np.nan])


def test_integrals_of_samples_agree():
    x = np.sort(RNG.uniform(size=4))
    found = integrate.trapezoid(IMAGE, x)
    np.testing.assert_allclose(found, scipy.integrate.trapezoid(IMAGE, x))
    found = integrate.trapezoid(IMAGE, dx=0.3, axis=0)
    np.testing.assert_allclose(found, scipy.integrate.trapezoid(IMAGE, dx=0.3, axis=0))


def test_errors_say_what_was_given():
    with pytest.raises(ShapeError, match=r"given 1 coordinates for f64\[5,4\]"):
        ndimage.map_coordinates(jnp.array(IMAGE), [1.0], 1)
    with pytest.raises(ArgumentError, match="map_coordinates was given order=3"):
        ndimage.map_coordinates(IMAGE, PLACES, 3)
    with pytest.raises(ArgumentError, match="map_coordinates was given mode='far'"):
        ndimage.map_coordinates(IMAGE, PLACES, 1, "far")
    make = interpolate.RegularGridInterpolator
    with pytest.raises(ArgumentError, match="bounds_error=True"):
        make(GRID, VALUES, bounds_error=True)
    with pytest.raises(ArgumentError, match="method='cubic'"):
        make(GRID, VALUES, "cubic")
    with pytest.raises(ShapeError, match=r"for f64\[4,4,2\]"):
        make((GRID[0], GRID[1][:2]), VALUES)
    with pytest.raises(ShapeError, match=r"has 2 axes; it was given points f64\[3\]"):
        make(GRID, VALUES)(jnp.ones(3))
