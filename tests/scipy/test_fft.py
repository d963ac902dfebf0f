"""Cosine and sine transforms against SciPy."""

import numpy as np
import pytest
import scipy.fft

from pullback import jit, vmap
from pullback import numpy as jnp
from pullback.config import config
from pullback.errors import ArgumentError
from pullback.scipy import fft
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(12)
SINGLE = pytest.mark.parametrize("name", ["dct", "idct", "dst", "idst"])
SEVERAL = pytest.mark.parametrize("name", ["dctn", "idctn", "dstn", "idstn"])
TYPE = pytest.mark.parametrize("kind", [1, 2, 3, 4])
NORMS = [None, "backward", "ortho", "forward"]


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


def assert_agree(found, wanted, tol=1e-11):
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, tol, tol * max(1, abs(wanted).max()))


@SINGLE
@TYPE
@pytest.mark.parametrize("n", [2, 3, 8, 9, 30])
def test_transforms_agree_for_every_norm(name, kind, n):
    x = RNG.standard_normal(n)
    for norm in NORMS:
        for orthogonalize in (None, True, False):
            options = {"norm": norm, "orthogonalize": orthogonalize}
            wanted = getattr(scipy.fft, name)(x, kind, **options)
            assert_agree(getattr(fft, name)(x, kind, **options), wanted)


@SINGLE
@TYPE
def test_transforms_agree_in_every_dtype_and_compiled(name, kind):
    f = getattr(fft, name)
    x = RNG.standard_normal((3, 7))
    for dtype, tol in (("f8", 1e-11), ("c16", 1e-11), ("f4", 2e-6), ("c8", 2e-6)):
        y = (x + (0.5j * x[::-1] if dtype[0] == "c" else 0)).astype(dtype)
        wanted = getattr(scipy.fft, name)(y, kind, norm="ortho")
        for g in (f, jit(f, static_argnames=("type", "norm"))):
            assert_agree(g(jnp.array(y), type=kind, norm="ortho"), wanted, tol)
    assert_agree(f(np.arange(5), kind), getattr(scipy.fft, name)(np.arange(5.0), kind))
    assert f(x.astype(np.float16), kind).dtype == np.float32


@SINGLE
@TYPE
def test_axes_are_cut_off_or_filled_up(name, kind):
    x = RNG.standard_normal((2, 5, 3))
    for n in (2, 5, 8):
        wanted = getattr(scipy.fft, name)(x, kind, n, 1)
        assert_agree(getattr(fft, name)(x, kind, n, 1), wanted)


def test_one_element_is_transformed_where_that_means_something():
    for name, kinds in (("dct", (2, 3, 4)), ("idst", (1, 2, 3, 4))):
        for kind in kinds:
            wanted = getattr(scipy.fft, name)(np.array([1.5]), kind)
            assert_agree(getattr(fft, name)(np.array([1.5]), kind), wanted)


@SEVERAL
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"s": (4, 6)},
        {"s": (4, -1), "axes": (2, 0)},
        {"axes": (1, -1), "norm": "ortho"},
        {"axes": 1, "type": 3},
        {"s": 3, "type": 1},
        {"axes": (), "type": 4},
        {"type": 4, "norm": "forward", "orthogonalize": True},
    ],
)
def test_transforms_of_several_axes_agree(name, options):
    x = RNG.standard_normal((4, 5, 3))
    assert_agree(
        getattr(fft, name)(x, **options), getattr(scipy.fft, name)(x, **options)
    )


@SINGLE
@TYPE
@pytest.mark.parametrize("n", [4, 5])
def test_transforms_have_right_rules(name, kind, n):
    f = getattr(fft, name)
    check_rules_of(lambda x: f(x, kind, norm="ortho"), RNG.standard_normal(n), order=1)


def test_transforms_of_several_axes_have_right_rules():
    x = RNG.standard_normal((3, 4))
    check_rules_of(lambda x: fft.dctn(x, s=(4, 3)) ** 2, x)
    check_rules_of(lambda x: fft.idct(x, 1, axis=0), x + 1j)


def test_batches_are_loops():
    x = jnp.array(RNG.standard_normal((3, 6)))
    assert_agree(vmap(fft.dct, 1, 1)(x), fft.dct(x, axis=0))


def test_errors_say_what_was_given():
    x = np.ones((3, 1))
    with pytest.raises(
        ArgumentError, match=r"dct was given type=5. .*Give one of 1, 2"
    ):
        fft.dct(x, 5)
    with pytest.raises(ArgumentError, match="idst was given norm='unit'"):
        fft.idst(x, norm="unit")
    with pytest.raises(
        ArgumentError, match=r"dct of type 1 was given the length 1. .*2"
    ):
        fft.dct(x, 1)
    with pytest.raises(
        ArgumentError, match=r"dst of type 2 was given the length 0. .*1"
    ):
        fft.dst(x, n=0)
    with pytest.raises(ArgumentError, match="dct was given axis 2, but the operand"):
        fft.dct(x, axis=2)
    with pytest.raises(
        ArgumentError, match=r"dctn was given axes \(0, 0\) and lengths"
    ):
        fft.dctn(x, axes=(0, -2))
    with pytest.raises(ArgumentError, match=r"idctn was given axes \(0,\) and lengths"):
        fft.idctn(x, s=(2, 2), axes=0)
