"""Derivatives with respect to complex numbers."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, jacfwd, jacrev, jvp, lax
from pullback.errors import GradError


def test_grad_of_a_real_output_takes_complex_inputs():
    # The convention is the ecosystem's: no conjugation.
    found = grad(lambda z: jnp.abs(z) ** 2)(3.0 + 4.0j)
    np.testing.assert_allclose(found, 6.0 - 8.0j)


def test_jacrev_takes_complex_inputs():
    found = jacrev(lambda z: jnp.real(z))(jnp.array([1.0 + 2.0j]))
    np.testing.assert_allclose(found, [[1.0]])


def test_jacfwd_refuses_complex_inputs():
    with pytest.raises(GradError, match="use holomorphic=True; else use grad"):
        jacfwd(lambda z: z * z)(3.0 + 4.0j)


def test_holomorphic_derivatives_are_complex():
    np.testing.assert_allclose(
        grad(lambda z: z * z, holomorphic=True)(3.0 + 4.0j), 6.0 + 8.0j
    )


def test_parts_of_complex_numbers_keep_infinite_tangents_apart():
    _, tangent = jvp(lambda y: lax.complex(1.0, y), (2.0,), (np.inf,))
    assert np.real(tangent) == 0.0
    assert np.imag(tangent) == np.inf


def test_imaginary_parts_have_derivatives():
    assert float(grad(lambda x: jnp.imag(lax.complex(x, 2.0 * x)))(2.0)) == 2.0
