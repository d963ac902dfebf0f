"""Attention by scaled dot products.

Vaswani et al., Attention is all you need (2017), equation (1); heads in groups: Ainslie
et al., GQA (2023).
"""

from __future__ import annotations

import math
from typing import Any

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.nn.normalizations import logsumexp, softmax
from pullback.numpy import contraction, creation, shaping, taking, ufuncs
from pullback.numpy.arguments import array_argument, describe, wrong_dtype, wrong_shape
from pullback.numpy.promotion import convert
from pullback.primitives import table

__all__ = ["dot_product_attention"]

#: What stands for minus infinity, as a part of the greatest number: a row without any
#: place to look at weighs all alike, and its derivative is no nan.
_MASKED = -0.7


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    *,
    scale: Any = None,
    is_causal: bool = False,
    query_seq_lengths: Any = None,
    key_value_seq_lengths: Any = None,
    local_window_size: Any = None,
    implementation: str | None = None,
    return_residual: bool = False,
) -> Any:
    """Give means of values, weighted by the softmax of products of queries and keys.

    Args:
        query: [batch, T, heads, H], or without the batch.
        key: [batch, S, groups, H]; so many heads in order share one as are equal parts.
        value: as `key`.
        bias: added to the scaled products; broadcasts to [batch, heads, T, S].
        mask: where the products count, in booleans; broadcasts likewise.
        scale: of the products; 1 / sqrt(H) by default.
        is_causal: a query looks at no key of a greater place.
        query_seq_lengths: [batch]; later queries give zeros.
        key_value_seq_lengths: [batch]; later keys do not count.
        local_window_size: how far before and after its place a query looks, as a pair
            or one number for both.
        implementation: None or "xla".
        return_residual: give also the logarithms of the sums of the weights.

    Returns:
        An array like `query`; with `return_residual` a pair, second [batch, T, heads].
        Products and weights of shorter floats are computed in float32.
    """
    if implementation not in (None, "xla"):
        raise ArgumentError(
            f"dot_product_attention was given implementation={implementation!r}.",
            where=called_at(),
            mend="Leave it out, or use 'xla'.",
        )
    q, k, v = (array_argument(x, "dot_product_attention") for x in (query, key, value))
    alone = len(q.shape) == 3
    if alone:
        q, k, v = (x[None] if len(x.shape) == 3 else x for x in (q, k, v))
    _check(q, k, v)
    heads = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
    products = _products(q, k, scale)
    if bias is not None:
        products = ufuncs.add(products, _spread(bias, heads, "bias"))
    keep = _kept(heads, is_causal, local_window_size)
    if mask is not None:
        keep.append(_boolean(_spread(mask, heads, "mask")))
    inside = None
    if query_seq_lengths is not None:
        inside = _before(query_seq_lengths, heads[2])[:, None, :, None]
        keep.append(inside)
    if key_value_seq_lengths is not None:
        keep.append(_before(key_value_seq_lengths, heads[3])[:, None, None, :])
    for each in keep:
        far = _MASKED * float(dtypes.finfo(products.dtype).max)
        products = taking.where(each, products, far)
    out = _averages(convert(softmax(products, -1), v.dtype), v)
    if inside is not None:
        out = taking.where(shaping.moveaxis(inside, 1, 2), out, 0)
    sums = shaping.swapaxes(logsumexp(products, -1), 1, 2) if return_residual else None
    if alone:
        out, sums = out[0], None if sums is None else sums[0]
    return (out, sums) if return_residual else out


def _check(q: Value, k: Value, v: Value) -> None:
    """Raise unless the shapes and dtypes of queries, keys and values fit together."""
    fits = (
        len(q.shape) == len(k.shape) == 4
        and k.shape == v.shape
        and (q.shape[0], q.shape[3]) == (k.shape[0], k.shape[3])
        and k.shape[2] > 0
        and q.shape[2] % k.shape[2] == 0
    )
    if not fits:
        raise wrong_shape(
            "dot_product_attention",
            f"was given a query {describe(q)}, a key {describe(k)} and a value "
            f"{describe(v)}.",
            "Give [batch, T, heads, H] and twice [batch, S, groups, H], the heads a "
            "multiple of the groups.",
        )
    if len({q.dtype, k.dtype, v.dtype}) > 1 or not dtypes.is_float(q.dtype):
        raise wrong_dtype(
            "dot_product_attention",
            f"was given a query {describe(q)}, a key {describe(k)} and a value "
            f"{describe(v)}.",
            "Convert them to one floating-point dtype.",
        )


def _products(q: Value, k: Value, scale: Any) -> Value:
    """Give the scaled products [batch, heads, T, S] of queries and keys."""
    batch, count, heads, width = q.shape
    groups = k.shape[2]
    wide = dtypes.promote((q.dtype, False), (dtypes.float32, False))[0]
    split = shaping.reshape(q, (batch, count, groups, heads // groups, width))
    found = contraction.einsum(
        "btkgh,bskh->bkgts", split, k, preferred_element_type=wide
    )
    found = shaping.reshape(found, (batch, heads, count, k.shape[1]))
    return ufuncs.multiply(found, 1 / math.sqrt(width) if scale is None else scale)


def _averages(weights: Value, v: Value) -> Value:
    """Give the weighted means [batch, T, heads, H] of values."""
    batch, heads, count, keys = weights.shape
    groups = v.shape[2]
    split = shaping.reshape(weights, (batch, groups, heads // groups, count, keys))
    found = contraction.einsum("bkgts,bskh->btkgh", split, v)
    return shaping.reshape(found, (batch, count, heads, v.shape[3]))


def _spread(x: Any, shape: tuple[int, ...], name: str) -> Value:
    """Give a bias or mask of four axes.

    Raises:
        ShapeError: it does not broadcast to the products.
    """
    x = array_argument(x, "dot_product_attention", name)
    x = shaping.reshape(x, (1,) * (4 - len(x.shape)) + x.shape)
    if len(x.shape) != 4 or any(n not in (1, m) for n, m in zip(x.shape, shape)):
        raise wrong_shape(
            "dot_product_attention",
            f"was given a {name} of type {describe(x)} for products of shape {shape}.",
            "Make it broadcast to [batch, heads, T, S].",
        )
    return x


def _boolean(mask: Value) -> Value:
    """Give a mask back.

    Raises:
        DtypeError: it is not of booleans.
    """
    if mask.dtype != dtypes.bool_:
        raise wrong_dtype(
            "dot_product_attention",
            f"was given a mask of type {describe(mask)}.",
            "Make it boolean: mask > 0, say; or add it as bias.",
        )
    return mask


def _kept(shape: tuple[int, ...], is_causal: bool, window: Any) -> list[Value]:
    """Give which keys, by their place, a query looks at."""
    rows = creation.arange(shape[2])[:, None]
    columns = creation.arange(shape[3])[None, :]
    keep = [table.ge(rows, columns)] if is_causal else []
    if window is not None:
        before, after = window if isinstance(window, (tuple, list)) else (window,) * 2
        keep.append(table.ge(columns, rows - before))
        keep.append(table.le(columns, rows + after))
    return keep


def _before(lengths: Any, count: int) -> Value:
    """Give which of `count` places come before the end of each sequence."""
    lengths = creation.asarray(lengths)
    return table.lt(creation.arange(count, dtype=lengths.dtype), lengths[:, None])
