"""Spectra of segments against SciPy."""

import itertools

import numpy as np
import pytest
import scipy.signal

from pullback import grad, jit, vmap
from pullback import numpy as jnp
from pullback.config import config
from pullback.errors import ArgumentError, ShapeError
from pullback.scipy import signal
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(11)
X, Y = RNG.standard_normal((2, 61, 3)), RNG.standard_normal((2, 50, 3))
Z = X + 1j * RNG.standard_normal(X.shape)
TAPER = np.hanning(13) + 0.1
CUTS = [
    {"nperseg": 16},
    {"nperseg": 15, "noverlap": 4},
    {"nperseg": 16, "noverlap": 15, "nfft": 21},
    {"nperseg": 9, "noverlap": 0, "nfft": 20, "window": ("kaiser", 3.0)},
    {"nperseg": 13, "window": TAPER},
    {"nperseg": 7, "noverlap": -3},
]
CUT = pytest.mark.parametrize("cut", CUTS)
SIDES = pytest.mark.parametrize("onesided", [True, False])


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


def assert_agree(found, wanted, tol=1e-10):
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, tol, tol)


# -- values ----------------------------------------------------------------------------


@CUT
@SIDES
@pytest.mark.parametrize("boundary", ["zeros", "even", "odd", "constant", None])
def test_transforms_of_segments_agree(cut, onesided, boundary):
    rest = itertools.product(
        (True, False), (False, "constant", "linear"), ("spectrum", "psd")
    )
    for padded, detrend, scaling in rest:
        options = cut | {
            "boundary": boundary,
            "padded": padded,
            "detrend": detrend,
            "scaling": scaling,
            "return_onesided": onesided,
            "fs": 2.5,
            "axis": 1,
        }
        assert_agree(signal.stft(X, **options), scipy.signal.stft(X, **options))


@CUT
@SIDES
@pytest.mark.parametrize("average", ["mean", "median"])
@pytest.mark.parametrize("scaling", ["density", "spectrum"])
def test_powers_agree(cut, onesided, average, scaling):
    for detrend in (False, "constant", "linear"):
        options = cut | {
            "detrend": detrend,
            "average": average,
            "scaling": scaling,
            "return_onesided": onesided,
            "fs": 2.5,
            "axis": 1,
        }
        assert_agree(signal.welch(X, **options), scipy.signal.welch(X, **options))
        for pair in ((X, Y), (Y, X)):
            found = signal.csd(*pair, **options)
            assert_agree(found, scipy.signal.csd(*pair, **options))


def test_complex_signals_have_two_sides():
    options = {"nperseg": 12, "axis": 1, "return_onesided": False}
    assert_agree(signal.stft(Z, nperseg=12, axis=1), scipy.signal.stft(Z, **options))
    assert_agree(signal.welch(Z, nperseg=12, axis=1), scipy.signal.welch(Z, **options))
    found = signal.csd(Z, X, nperseg=12, axis=1, average="median")
    assert_agree(found, scipy.signal.csd(Z, X, **options, average="median"))


@SIDES
@pytest.mark.parametrize("boundary", [True, False])
@pytest.mark.parametrize("axes", [(-1, -2), (0, 2), (2, 0), (1, 2)])
@pytest.mark.parametrize("cut", [(16, 8, None), (15, 7, None), (15, 10, 31)])
def test_inverses_agree(cut, axes, boundary, onesided):
    x = X[..., 0] if onesided else Z[..., 0]
    options = dict(zip(("nperseg", "noverlap", "nfft"), cut), window="hamming")
    for scaling in ("spectrum", "psd"):
        options["scaling"] = scaling
        edges = {"boundary": "zeros" if boundary else None}
        parts = signal.stft(x, return_onesided=onesided, **options, **edges)[2]
        turned = jnp.moveaxis(parts, (-1, -2), axes)
        places = {"time_axis": axes[0], "freq_axis": axes[1], "boundary": boundary}
        more = options | places | {"input_onesided": onesided, "fs": 3.0}
        times, found = signal.istft(turned, **more)
        wanted = scipy.signal.istft(np.asarray(turned), **more)[1]
        assert_agree([found], [wanted])
        assert len(times) == max(wanted.shape)
        np.testing.assert_allclose(times, np.arange(len(times)) / 3, 1e-12)


@SIDES
def test_inverses_give_the_signal_again(onesided):
    x = X if onesided else Z
    options = {"nperseg": 15, "noverlap": 11, "scaling": "psd", "fs": 3.0}
    parts = signal.stft(x, return_onesided=onesided, axis=1, **options)[2]
    found = signal.istft(parts, input_onesided=onesided, freq_axis=1, **options)[1]
    np.testing.assert_allclose(jnp.moveaxis(found, -1, 1)[:, :61], x, 1e-10, 1e-10)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_segments_are_no_longer_than_the_signal(n):
    x = RNG.standard_normal(n)
    for name in ("stft", "welch"):
        found = getattr(signal, name)(x)
        assert_agree(found, getattr(scipy.signal, name)(x, nperseg=n))


def test_types_are_those_of_the_signal():
    with config.context(enable_x64=False):
        for x in (X.astype(np.float32), np.arange(40)):
            axis = x.ndim // 2
            found = [y.dtype for y in signal.stft(x, nperseg=8, axis=axis)]
            assert found == [np.float32, np.float32, np.complex64]
            assert signal.welch(x, nperseg=8, axis=axis)[1].dtype == np.float32
            found = signal.csd(x, x, nperseg=8, axis=axis)[1]
            assert found.dtype == np.complex64
        found = signal.welch(X.astype(np.float32), nperseg=8, axis=1)[1]
    np.testing.assert_allclose(
        found, scipy.signal.welch(X, nperseg=8, axis=1)[1], 1e-4, 1e-6
    )


def test_the_cross_power_with_none_is_the_power():
    assert_agree(signal.csd(X, None, axis=1), signal.welch(X, axis=1))


def test_a_function_may_take_the_trend_away():
    options = {"nperseg": 8, "axis": 1}
    found = signal.welch(
        X, detrend=lambda s: s - s.mean(axis=-1, keepdims=True), **options
    )
    assert_agree(found, signal.welch(X, detrend="constant", **options))


# -- transformations -------------------------------------------------------------------


@pytest.mark.parametrize("cut", CUTS[:3])
def test_spectra_have_right_rules(cut):
    x, y = X[0, :24, 0], Y[0, :20, 0]
    for f in (
        lambda x: signal.stft(x, 2.0, boundary="odd", detrend="linear", **cut)[2],
        lambda x: signal.welch(x, average="median", **cut)[1],
    ):
        check_rules_of(f, x)
    check_rules_of(lambda x, y: signal.csd(x, y, **cut)[1], x, y)


@SIDES
def test_inverses_have_right_rules(onesided):
    parts = signal.stft(X[0, :20, 0], nperseg=6, return_onesided=onesided)[2]

    def f(z):
        return signal.istft(z, nperseg=6, input_onesided=onesided)[1]

    check_rules_of(f, np.asarray(parts))


def test_rates_and_windows_have_right_rules():
    def f(x, window, fs):
        _, _, parts = signal.stft(x, fs, window, nperseg=7, scaling="psd")
        frequencies, power = signal.welch(x, fs, window)
        _, back = signal.istft(parts, fs, window * 2.0, nperseg=7)
        return [abs(parts), frequencies, power, back]

    check_rules_of(f, X[0, :20, 0], np.hamming(7), np.float64(2.0))


def test_a_window_is_learned_through_powers():
    def loss(window):
        return signal.welch(X[0, :, 0], window=window)[1].max()

    slope = jit(grad(loss))(jnp.array(TAPER))
    step = 1e-6 * np.eye(13)[4]
    wanted = (loss(TAPER + step) - loss(TAPER - step)) / 2e-6
    np.testing.assert_allclose(slope[4], wanted, 1e-6)


def test_batches_are_loops_along_any_axis():
    found = vmap(lambda x: signal.welch(x, nperseg=8)[1], 2, 2)(jnp.array(X))
    assert_agree([found], [signal.welch(X, nperseg=8, axis=1)[1]])


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"boundary": "edge"}, "stft was given boundary='edge'"),
        ({"scaling": "density"}, "stft was given scaling='density'"),
        ({"detrend": "cubic"}, "stft was given detrend='cubic'"),
        ({"axis": 1}, "stft was given axis 1, but the operand has 1 axes"),
        ({"nperseg": 0}, "stft was given nperseg=0. .*Give a length of 1 or more"),
        (
            {"nperseg": 8, "noverlap": 8},
            "noverlap=8 for segments of 8 .*Give a number of 7",
        ),
        ({"nperseg": 8, "nfft": 7}, "nfft=7 for segments of 8 .*Give a number of 8"),
        ({"window": "hat"}, "window='hat', which scipy.signal.get_window refuses"),
        ({"window": TAPER, "nperseg": 8}, r"a window f64\[13\] for segments of 8"),
        ({"window": np.ones(99)}, r"a window f64\[99\] for a signal of 40 samples"),
        ({"window": np.ones((2, 2))}, r"stft was given a window f64\[2,2\]"),
        ({"window": TAPER * 1j}, r"stft was given a window c128\[13\]"),
    ],
)
def test_options_that_do_not_fit_are_named(options, message):
    with pytest.raises((ArgumentError, ShapeError), match=message):
        signal.stft(X[0, :40, 0], **options)


def test_errors_of_powers_and_inverses_say_what_was_given():
    with pytest.raises(ArgumentError, match="welch was given average='mode'"):
        signal.welch(X, average="mode")
    with pytest.raises(ArgumentError, match="csd was given scaling='psd'"):
        signal.csd(X, X, scaling="psd")
    with pytest.raises(ShapeError, match=r"welch was given no samples: f64\[2,0\]"):
        signal.welch(np.ones((2, 0)))
    with pytest.raises(ShapeError, match=r"istft was given c128\[5\]. .*an axis of"):
        signal.istft(np.ones(5) + 0j)
    with pytest.raises(ArgumentError, match="istft was given axis 1 twice"):
        signal.istft(Z, time_axis=1, freq_axis=-2)
    with pytest.raises(ArgumentError, match="istft was given nfft=4 for segments"):
        signal.istft(Z, nfft=4)
    with pytest.raises(ArgumentError, match="istft was given scaling='density'"):
        signal.istft(Z, scaling="density")
