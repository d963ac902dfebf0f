"""Fourier transforms: values against NumPy, and every rule."""

import numpy as np
import pytest

from pullback import jit
from pullback.config import config
from pullback.core.calling import as_value
from pullback.errors import ArgumentError, DtypeError, ShapeError
from pullback.primitives.fourier import fft
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(4)


def operand(kind, lengths):
    half = (*lengths[:-1], lengths[-1] // 2 + 1)
    shape = (2, *(half if kind == "IRFFT" else lengths))
    x = RNG.standard_normal(shape)
    return x if kind == "RFFT" else x + 1j * RNG.standard_normal(shape)


@pytest.mark.parametrize("kind", ["FFT", "IFFT", "RFFT", "IRFFT"])
@pytest.mark.parametrize("lengths", [(6,), (5,), (1,), (3, 4), (2, 3, 5)])
def test_transforms_agree_with_numpy_and_have_right_rules(kind, lengths):
    axes = tuple(range(1, 1 + len(lengths)))
    check_rules_of(
        lambda x: fft(x, kind, lengths),
        operand(kind, lengths),
        reference=lambda x: getattr(np.fft, f"{kind.lower()}n")(x, lengths, axes),
        order=1,
    )


@pytest.mark.parametrize("kind", ["FFT", "IFFT", "RFFT", "IRFFT"])
def test_more_axes_than_the_compiler_takes_are_transformed_in_parts(kind):
    lengths = (2, 3, 2, 3, 4)
    x = operand(kind, lengths)
    with config.context(enable_x64=True):
        found = jit(lambda x: fft(x, kind, lengths))(as_value(x))
    wanted = getattr(np.fft, f"{kind.lower()}n")(x, lengths, (1, 2, 3, 4, 5))
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_errors_name_the_transform():
    x = as_value(np.ones(4, np.float32))
    with pytest.raises(DtypeError, match="FFT takes complex numbers"):
        jit(lambda x: fft(x, "FFT", (4,)))(x)
    with pytest.raises(ShapeError, match=r"RFFT of lengths \(3,\)"):
        jit(lambda x: fft(x, "RFFT", (3,)))(x)
    with pytest.raises(ArgumentError, match="kind 'DFT'"):
        jit(lambda x: fft(x, "dft", (4,)))(x)
