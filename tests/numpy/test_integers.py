"""Divisors and multiples against NumPy."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.errors import DtypeError
from tests.numpy.agreement import agrees, integers


@pytest.mark.parametrize("name", ["gcd", "lcm"])
def test_divisors_and_multiples_agree_with_numpy(name):
    agrees(name, np.arange(20), np.arange(20)[::-1].copy())
    agrees(name, integers(3, 4, low=-60, high=60), integers(4))
    agrees(name, np.array([12, 18], np.uint8), np.array([8, 27], np.uint8))
    agrees(name, 12, 18)


def test_floats_have_no_divisors():
    with pytest.raises(DtypeError, match=r"gcd.*f32\[\]"):
        jnp.gcd(2.5, 2)
