"""Windows against NumPy, and the derivative of Kaiser's in its parameter."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import jit
from pullback.errors import ArgumentError, TracerIntegerError
from tests.numpy.agreement import agrees, has_right_derivatives


@pytest.mark.parametrize("name", ["bartlett", "blackman", "hamming", "hanning"])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 12])
def test_windows_agree_with_numpy(name, count):
    agrees(name, count)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("beta", [0.0, 3.5, -2.0, 200.0, 14])
def test_kaiser_agrees_with_numpy(count, beta):
    agrees("kaiser", count, np.array(beta))


def test_kaiser_is_differentiable_in_its_parameter():
    has_right_derivatives(lambda beta: jnp.kaiser(6, beta), np.array(2.5))


def test_lengths_are_static_integers():
    with pytest.raises(ArgumentError, match="bartlett needs M as an integer"):
        jnp.bartlett(2.5)
    with pytest.raises(TracerIntegerError, match="hanning needs M as a static integer"):
        jit(jnp.hanning)(3)
