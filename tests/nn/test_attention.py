"""Attention against a loop over batches and heads, with derivatives."""

import numpy as np
import pytest

from pullback import jit, nn, vmap
from pullback.errors import ArgumentError, DtypeError, ShapeError
from tests.numpy.agreement import has_right_derivatives, normal

B, T, S, N, G, H = 2, 4, 5, 4, 2, 3
Q, K, V = normal(B, T, N, H), normal(B, S, G, H), normal(B, S, G, H)
BIAS, MASK = normal(1, N, T, S), normal(B, 1, T, S) > -0.5
ROW, COLUMN = np.arange(T)[:, None], np.arange(S)[None, :]


def by_loop(q, k, v, bias=0.0, keep=True, scale=H**-0.5):
    """Computes head by head, with NumPy."""
    bias, keep = (np.broadcast_to(x, (B, N, T, S)) for x in (bias, keep))
    out, sums = np.zeros((B, T, N, H)), np.zeros((B, T, N))
    for b in range(B):
        for n in range(N):
            g = n // (N // G)
            products = q[b, :, n] @ k[b, :, g].T * scale + bias[b, n]
            powers = np.exp(products) * keep[b, n]
            total = powers.sum(-1, keepdims=True)
            out[b, :, n] = powers / total @ v[b, :, g]
            sums[b, :, n] = np.log(total[:, 0])
    return out, sums


CASES = [
    ({}, {}),
    ({"bias": BIAS, "mask": MASK, "scale": 0.3}, {"bias": BIAS, "keep": MASK}),
    ({"is_causal": True}, {"keep": COLUMN <= ROW}),
    ({"local_window_size": 1}, {"keep": abs(COLUMN - ROW) <= 1}),
    (
        {"local_window_size": (2, 0), "mask": COLUMN[0] >= 0},
        {"keep": (COLUMN <= ROW) & (COLUMN >= ROW - 2)},
    ),
    (
        {"key_value_seq_lengths": np.array([2, 5])},
        {"keep": COLUMN[None] < np.array([2, 5])[:, None, None, None]},
    ),
]


@pytest.mark.parametrize(("options", "plain"), CASES)
def test_attention_is_the_softmax_of_products_times_values(options, plain):
    if "scale" in options:
        plain = {**plain, "scale": options["scale"]}
    out, sums = by_loop(Q, K, V, **plain)
    attend = lambda *args: nn.dot_product_attention(  # noqa: E731
        *args, **options, return_residual=True
    )
    for f in (attend, jit(attend)):
        found = f(Q, K, V)
        np.testing.assert_allclose(found[0], out, 1e-5, 1e-6)
        np.testing.assert_allclose(found[1], sums, 1e-5, 1e-6)


def test_queries_after_the_end_give_zeros():
    ends = np.array([1, 4])
    found = nn.dot_product_attention(Q, K, V, query_seq_lengths=ends)
    want = by_loop(Q, K, V)[0] * (ROW < ends[:, None, None])[..., None]
    np.testing.assert_allclose(found, want, 1e-5, 1e-6)


def test_rows_without_keys_have_finite_derivatives():
    f = lambda q, k, v: nn.dot_product_attention(q, k, v, mask=MASK & (ROW > 0))  # noqa: E731
    has_right_derivatives(f, Q, K, V)


def test_derivatives_are_right():
    has_right_derivatives(
        lambda q, k, v, b: nn.dot_product_attention(q, k, v, b, is_causal=True),
        *(Q[:1, :2], K[:1, :2], V[:1, :2], BIAS[:, :, :2, :2]),
    )


def test_the_batch_may_be_left_out_or_mapped():
    whole = nn.dot_product_attention(Q, K, V)
    np.testing.assert_allclose(nn.dot_product_attention(Q[0], K[0], V[0]), whole[0])
    mapped = vmap(nn.dot_product_attention)(Q, K, V)
    np.testing.assert_allclose(mapped, whole, 1e-6, 1e-6)


def test_half_floats_are_multiplied_in_float32():
    short = [x.astype(np.float16) for x in (Q, K, V)]
    found, sums = nn.dot_product_attention(*short, return_residual=True)
    assert (found.dtype, sums.dtype) == (np.float16, np.float32)
    np.testing.assert_allclose(found, by_loop(Q, K, V)[0], 5e-3, 5e-3)


@pytest.mark.parametrize(
    ("args", "options", "error", "text"),
    [
        ((Q, K, V[:, :3]), {}, ShapeError, r"a value f32\[2,3,2,3\]"),
        ((Q[:, :, :3], K, V), {}, ShapeError, "multiple of the groups"),
        ((Q, K, V.astype(np.float16)), {}, DtypeError, "one floating-point dtype"),
        ((Q, K, V), {"mask": BIAS}, DtypeError, r"a mask of type f32\[1,4,4,5\]"),
        (
            (Q, K, V),
            {"bias": BIAS[..., :2]},
            ShapeError,
            r"bias of type f32\[1,4,4,2\]",
        ),
        ((Q, K, V), {"implementation": "cudnn"}, ArgumentError, "'cudnn'"),
    ],
)
def test_what_does_not_fit_is_named(args, options, error, text):
    with pytest.raises(error, match=text):
        nn.dot_product_attention(*args, **options)
