"""Matrices of special form against SciPy."""

import numpy as np
import pytest
import scipy.linalg

from pullback import jit, vmap
from pullback import numpy as jnp
from pullback.config import config
from pullback.errors import ArgumentError, ShapeError
from pullback.scipy import linalg
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(5)
V, W = RNG.standard_normal(5), RNG.standard_normal(4)

OF_VECTORS = [
    ("toeplitz", (V,)),
    ("toeplitz", (V, W)),
    ("toeplitz", (V + 1j * V[::-1],)),
    ("hankel", (V,)),
    ("hankel", (W, V)),
    ("circulant", (V,)),
    ("companion", (V,)),
    ("companion", (V[:2],)),
    ("fiedler", (V,)),
    ("leslie", (V, W)),
    *(("fiedler_companion", (RNG.standard_normal(n),)) for n in range(2, 9)),
    ("block_diag", (V, np.ones((2, 3)), W.reshape(2, 2))),
    ("block_diag", (np.ones((2, 2)), np.ones((0, 3)))),
    ("block_diag", ()),
]
OF_SIZES = [
    ("dft", (4,)),
    ("dft", (5, "sqrtn")),
    ("dft", (3, "n")),
    ("hadamard", (8,)),
    ("helmert", (4,)),
    ("helmert", (4, True)),
    ("hilbert", (4,)),
    ("invhilbert", (5,)),
    ("pascal", (5,)),
    ("pascal", (5, "lower")),
    ("invpascal", (4, "upper")),
    ("invpascal", (4,)),
]


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


@pytest.mark.parametrize(("name", "args"), OF_VECTORS)
def test_matrices_of_vectors_agree(name, args):
    wanted = getattr(scipy.linalg, name)(*args)
    for f in (getattr(linalg, name), jit(getattr(linalg, name))):
        np.testing.assert_allclose(f(*map(jnp.array, args)), wanted)


@pytest.mark.parametrize(("name", "args"), OF_SIZES)
def test_matrices_of_a_size_agree(name, args):
    found = getattr(linalg, name)(*args)
    np.testing.assert_allclose(found, getattr(scipy.linalg, name)(*args), 1e-12, 1e-15)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("length", [1, 4, 9])
@pytest.mark.parametrize("n", [1, 3, 4, 6])
def test_matrices_of_convolutions_agree(length, n, mode):
    a = RNG.standard_normal(length)
    found = linalg.convolution_matrix(jnp.array(a), n, mode)
    np.testing.assert_array_equal(found, scipy.linalg.convolution_matrix(a, n, mode))


@pytest.mark.parametrize(
    "name", ["toeplitz", "hankel", "circulant", "companion", "fiedler_companion"]
)
def test_matrices_of_batches_of_vectors_are_batches_and_have_right_rules(name):
    batch = jnp.array(RNG.standard_normal((3, 5)) + 3)
    f = getattr(linalg, name)
    np.testing.assert_allclose(f(batch), vmap(f)(batch))
    check_rules_of(f, V + 3)


def test_other_matrices_of_vectors_have_right_rules():
    check_rules_of(linalg.leslie, V, W)
    check_rules_of(linalg.block_diag, V, W.reshape(2, 2))
    check_rules_of(lambda a: linalg.convolution_matrix(a, 3, "same"), V)


def test_errors_say_what_was_given():
    with pytest.raises(ShapeError, match=r"companion takes vectors of 2.*f64\[1\]"):
        linalg.companion(V[:1])
    with pytest.raises(ShapeError, match=r"leslie was given f64\[5\] and f64\[5\]"):
        linalg.leslie(V, V)
    with pytest.raises(ShapeError, match=r"hadamard was given n=6"):
        linalg.hadamard(6)
    with pytest.raises(ShapeError, match=r"at most two axes.*f64\[1,1,1\]"):
        linalg.block_diag(jnp.ones((1, 1, 1)))
    with pytest.raises(ArgumentError, match="pascal was given kind='flat'"):
        linalg.pascal(3, "flat")
    with pytest.raises(ArgumentError, match="convolution_matrix was given mode='all'"):
        linalg.convolution_matrix(V, 3, "all")
