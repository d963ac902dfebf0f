"""Convolutions in groups that are computed as sums of shifted operands."""

import numpy as np
import pytest

from pullback import enable_x64, grad, jit, lax, vmap
from tests.rule_checks import check_rules_of

rng = np.random.default_rng(0)


def conv(strides, padding, spread=(1, 1), gaps=(1, 1), features=1, batches=1):
    """Give a convolution of two arrays with options."""

    def f(x, w):
        return lax.conv_general_dilated(
            x,
            w,
            strides,
            padding,
            lhs_dilation=spread,
            rhs_dilation=gaps,
            feature_group_count=features,
            batch_group_count=batches,
        )

    return f


VALID = [(0, 0), (0, 0)]
CASES = {
    "one feature": (conv((1, 1), VALID), (2, 1, 6, 7), (3, 1, 3, 2)),
    "a window each": (conv((1, 1), VALID, features=3), (2, 3, 6, 5), (3, 1, 2, 2)),
    "two for each": (conv((2, 1), VALID, features=3), (2, 3, 6, 5), (6, 1, 2, 2)),
    "pairs": (conv((1, 2), VALID, features=2), (1, 4, 5, 5), (6, 2, 2, 3)),
    "padded": (
        conv((2, 3), [(1, 2), (0, 3)], features=2),
        (2, 2, 5, 6),
        (2, 1, 3, 3),
    ),
    "cut": (
        conv((1, 1), [(-1, 2), (1, -2)], features=2),
        (1, 2, 6, 6),
        (2, 1, 2, 2),
    ),
    "dilated": (
        conv((1, 2), [(2, 1), (1, 2)], (2, 3), (2, 1), features=2),
        (2, 2, 4, 3),
        (4, 1, 2, 3),
    ),
    "batch groups": (
        conv((1, 2), [(1, 0), (0, 1)], gaps=(1, 2), batches=2),
        (4, 3, 5, 6),
        (4, 3, 2, 2),
    ),
}


def arrays(*shapes, dtype="f4"):
    """Give normal numbers."""
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", CASES)
def test_compiled_ones_agree_with_eager_ones(name, dtype):
    f, *shapes = CASES[name]
    x, w = arrays(*shapes, dtype=dtype)
    compiled = jit(f)
    with enable_x64(True):
        assert "stablehlo.convolution" not in compiled.lower(x, w).as_text()
        assert compiled(x, w).dtype == dtype
        np.testing.assert_allclose(compiled(x, w), f(x, w), 1e-4, 1e-5)


@pytest.mark.parametrize("name", CASES)
def test_all_rules_hold(name):
    f, *shapes = CASES[name]
    check_rules_of(f, *arrays(*shapes, dtype="f8"))


@pytest.mark.parametrize("name", ["a window each", "two for each", "padded"])
def test_gradients_and_batches_are_computed_so_too(name):
    f, *shapes = CASES[name]
    x, w = arrays(*shapes)

    g = grad(lambda x, w: (f(x, w) ** 2).sum(), (0, 1))
    for found, wanted in zip(jit(g)(x, w), g(x, w), strict=True):
        np.testing.assert_allclose(found, wanted, 1e-4, 1e-4)
    stacked = np.stack([x, 2 * x])
    mapped = vmap(f, (0, None))
    np.testing.assert_allclose(jit(mapped)(stacked, w), mapped(stacked, w), 1e-4, 1e-5)


def test_large_windows_and_dense_convolutions_stay_with_the_compiler():
    dense = conv((1, 1), VALID), (1, 2, 6, 6), (2, 2, 3, 3)
    large = conv((1, 1), VALID), (1, 1, 20, 20), (1, 1, 12, 12)
    for f, *shapes in (dense, large):
        assert "stablehlo.convolution" in jit(f).lower(*arrays(*shapes)).as_text()


def test_results_without_elements():
    f = conv((1, 1), VALID, features=2)
    x, w = arrays((0, 2, 5, 5), (2, 1, 3, 3))
    assert jit(f)(x, w).shape == f(x, w).shape == (0, 2, 3, 3)
