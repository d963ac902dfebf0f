"""Convolutions: by the definition, in every layout, and every rule."""

import itertools

import numpy as np
import pytest

from pullback.core.array import from_host
from pullback.core.calling import as_value
from pullback.errors import ShapeError
from pullback.primitives import convolution
from pullback.primitives.convolution import conv_general_dilated
from tests.rule_checks import check_dtypes_of, check_rules_of

RNG = np.random.default_rng(7)


def brute_conv(x, kernel, strides, padding, p, q, f=1, b=1):
    """Convolve by the definition, one element of the result at a time."""
    n, _, *space = x.shape
    o, i, *window = kernel.shape
    wide = [m + (m - 1) * (r - 1) if m else 0 for m, r in zip(space, p)]
    lows = [low for low, _ in padding]
    out_space = [
        (m + sum(pad) - (1 + (k - 1) * r)) // s + 1
        for m, pad, k, r, s in zip(wide, padding, window, q, strides)
    ]
    out = np.zeros((n // b, o, *out_space), x.dtype)
    for place in np.ndindex(*out.shape):
        m, feature, *at = place
        group = feature // (o // f)
        row = (feature // (o // b)) * (n // b) + m
        for tap in itertools.product(range(i), *map(range, window)):
            spread = [
                a * s + t * r - low
                for a, s, t, r, low in zip(at, strides, tap[1:], q, lows)
            ]
            if all(0 <= c < w and c % r == 0 for c, w, r in zip(spread, wide, p)):
                source = [c // r for c, r in zip(spread, p)]
                value = x[(row, group * i + tap[0], *source)]
                out[place] += value * kernel[(feature, *tap)]
    return out


#: operand shape, kernel shape, strides, padding, dilations, feature and batch groups.
CASES = {
    "plain": ((2, 3, 6), (4, 3, 3), (1,), [(0, 0)], (1,), (1,), 1, 1),
    "strided": ((2, 3, 7), (4, 3, 3), (2,), [(1, 2)], (1,), (1,), 1, 1),
    "spread out": ((2, 2, 4), (3, 2, 3), (1,), [(2, 1)], (2,), (1,), 1, 1),
    "wide kernel": ((1, 2, 8), (3, 2, 3), (2,), [(1, 1)], (1,), (2,), 1, 1),
    "all at once": ((2, 2, 5), (3, 2, 2), (2,), [(3, 2)], (2,), (3,), 1, 1),
    "cut edges": ((1, 2, 8), (2, 2, 3), (1,), [(-1, -2)], (1,), (1,), 1, 1),
    "grouped": ((2, 4, 6), (6, 2, 3), (1,), [(1, 1)], (1,), (1,), 2, 1),
    "depthwise": ((2, 3, 5), (3, 1, 2), (2,), [(1, 0)], (1,), (1,), 3, 1),
    "batch groups": ((4, 2, 5), (6, 2, 3), (1,), [(0, 1)], (1,), (1,), 1, 2),
    "a plane":
        ((2, 2, 5, 4), (3, 2, 3, 2), (2, 1), [(1, 1), (0, 2)], (1, 2), (2, 1), 1, 1),
    "no space": ((2, 3), (4, 3), (), [], (), (), 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_convolutions_follow_the_definition_and_have_right_rules(name):
    shape, kernel_shape, strides, padding, p, q, f, b = CASES[name]
    check_rules_of(
        lambda x, k: conv_general_dilated(
            x,
            k,
            strides,
            padding,
            p,
            q,
            None,
            feature_group_count=f,
            batch_group_count=b,
        ),
        RNG.standard_normal(shape),
        RNG.standard_normal(kernel_shape),
        reference=lambda x, k: brute_conv(x, k, strides, padding, p, q, f, b),
    )


@pytest.mark.parametrize("padding", ["SAME", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_padding_by_name_gives_the_usual_lengths(padding, stride):
    x = as_value(RNG.standard_normal((1, 1, 8)).astype(np.float32))
    k = as_value(RNG.standard_normal((1, 1, 4)).astype(np.float32))
    found = convolution.conv(x, k, (stride,), padding)
    wanted = -(-8 // stride) if padding != "VALID" else -(-5 // stride)
    assert found.shape == (1, 1, wanted)


def test_layouts_are_transposed_on_the_way_in_and_out():
    x, k = RNG.standard_normal((2, 5, 4, 3)), RNG.standard_normal((3, 2, 3, 4))
    layout = ("NHWC", "HWIO", "NHWC")

    def reference(x, k):
        out = brute_conv(
            x.transpose(0, 3, 1, 2),
            k.transpose(3, 2, 0, 1),
            (1, 1),
            [(0, 0), (0, 0)],
            (1, 1),
            (1, 1),
        )
        return out.transpose(0, 2, 3, 1)

    check_rules_of(
        lambda x, k: conv_general_dilated(
            x, k, (1, 1), "VALID", dimension_numbers=layout
        ),
        x,
        k,
        reference=reference,
        order=1,
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_conv_transpose_lengthens_by_the_stride(padding, stride):
    x, k = RNG.standard_normal((1, 5, 2)), RNG.standard_normal((3, 2, 4))
    found = convolution.conv_transpose(from_host(x), from_host(k), (stride,), padding)
    wanted = 5 * stride + (max(3 - stride, 0) if padding == "VALID" else 0)
    assert found.shape == (1, wanted, 4)


def test_conv_transpose_with_turned_kernel_is_the_transpose_of_conv():
    # <conv(x), y> = <x, conv_transpose(y)> for the same kernel.
    kernel = RNG.standard_normal((4, 2, 3))
    x, y = RNG.standard_normal((1, 10, 2)), RNG.standard_normal((1, 5, 3))
    layout = ("NHC", "HIO", "NHC")
    k = from_host(kernel)
    ahead = conv_general_dilated(
        from_host(x), k, (2,), [(1, 1)], dimension_numbers=layout
    )
    back = convolution.conv_transpose(
        from_host(y), k, (2,), [(2, 2)], dimension_numbers=layout, transpose_kernel=True
    )
    left = np.sum(np.asarray(ahead) * y)
    np.testing.assert_allclose(left, np.sum(x * np.asarray(back)), rtol=1e-12)


def test_convolutions_keep_every_dtype():
    x = RNG.integers(-3, 4, (2, 3, 6)).astype(np.float64)
    k = RNG.integers(-3, 4, (4, 3, 2)).astype(np.float64)
    check_dtypes_of(lambda x, k: convolution.conv(x, k, (1,), "SAME"), x, k)


def test_complex_convolutions_have_right_rules():
    x = RNG.standard_normal((1, 2, 4)) + 1j * RNG.standard_normal((1, 2, 4))
    k = RNG.standard_normal((2, 2, 2)) + 1j * RNG.standard_normal((2, 2, 2))
    check_rules_of(lambda x, k: convolution.conv(x, k, (1,), "VALID"), x, k, order=1)


def test_what_does_not_fit_is_refused():
    x, k = from_host(np.zeros((1, 3, 5))), from_host(np.zeros((2, 2, 3)))
    with pytest.raises(ShapeError, match="3 features"):
        conv_general_dilated(x, k, (1,), "VALID")
    with pytest.raises(ShapeError, match="'AROUND'"):
        conv_general_dilated(x, k, (1,), "AROUND")
    with pytest.raises(ShapeError, match="dimension_numbers"):
        conv_general_dilated(x, k, (1,), "SAME", dimension_numbers=("NC", "OI", "NC"))
