"""`numpy.fft` against NumPy: every function, length, axis and norm."""

import numpy as np
import pytest

from pullback import numpy as jnp
from pullback.config import config
from pullback.core.calling import as_value
from pullback.errors import ArgumentError
from pullback.numpy import fft
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(7)
REAL = RNG.standard_normal((3, 4, 5))
COMPLEX = REAL + 1j * RNG.standard_normal((3, 4, 5))


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


def operand(name):
    return REAL if name.startswith(("r", "ih")) else COMPLEX


@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_transforms_of_one_axis_agree(name, norm):
    x = operand(name)
    for n in (None, 4, 7):
        for axis in (-1, 0):
            found = getattr(fft, name)(as_value(x), n, axis, norm)
            wanted = getattr(np.fft, name)(x, n, axis, norm)
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(found, wanted, atol=1e-12)


SEVERAL = ["fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"]


@pytest.mark.parametrize("name", SEVERAL)
def test_transforms_of_several_axes_agree_and_have_right_rules(name):
    x = operand(name)
    for s, axes in ((None, (-2, -1)), ((3, 6), (0, 2)), (None, (2, 0))):
        found = getattr(fft, name)(as_value(x), s, axes, "ortho")
        wanted = getattr(np.fft, name)(x, s, axes, "ortho")
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    check_rules_of(getattr(fft, name), x, order=1)


def test_frequencies_and_shifts_agree():
    for n in (1, 4, 5):
        np.testing.assert_allclose(fft.fftfreq(n, 0.1), np.fft.fftfreq(n, 0.1))
        np.testing.assert_allclose(fft.rfftfreq(n), np.fft.rfftfreq(n))
    for axes in (None, 0, (1, 2)):
        for name in ("fftshift", "ifftshift"):
            found = getattr(fft, name)(as_value(REAL), axes)
            np.testing.assert_array_equal(found, getattr(np.fft, name)(REAL, axes))


def test_integers_and_narrow_floats_are_converted():
    assert fft.fft(jnp.arange(3)).dtype == np.complex128
    assert fft.rfft(jnp.ones(4, "bfloat16")).dtype == np.complex64


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: fft.fft(x, norm="unit"), "norm='unit'"),
        (lambda x: fft.rfft(x + 1j), "rfft takes real numbers"),
        (lambda x: fft.fft2(x, (2,)), "one length an axis"),
        (lambda x: fft.fft(x, 0), "length one or more"),
    ],
)
def test_errors_say_what_was_given(call, text):
    with pytest.raises(ArgumentError, match=text):
        call(jnp.ones((2, 3)))
