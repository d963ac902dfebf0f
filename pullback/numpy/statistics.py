"""Quantiles, covariances and histograms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.calls.cond import cond
from pullback.core.at_once import at_once
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import (
    composed,
    contraction,
    creation,
    diagonals,
    reductions,
    shaping,
    sorting,
    taking,
    ufuncs,
)
from pullback.numpy.arguments import (
    array_argument,
    describe,
    no_out,
    static_int,
    wrong_dtype,
    wrong_shape,
)
from pullback.numpy.promotion import as_inexact, convert, promote_arrays
from pullback.primitives import structural, table
from pullback.primitives.recipes import canonical_axes

#: Methods that read at a place linear in q, with the parameters alpha and beta of
#: Hyndman and Fan, Sample quantiles in statistical packages (1996), section 2.
_SPACED = {
    "linear": (1.0, 1.0),
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
_STEPPED = ("inverted_cdf", "averaged_inverted_cdf", "closest_observation")
_METHODS = (*_SPACED, *_STEPPED, "lower", "higher", "nearest", "midpoint")

# -- quantiles -------------------------------------------------------------------------


def _quantile(
    who: str, a: Any, q: Any, axis: Any, method: str, keepdims: bool, skip: bool
) -> Value:
    """Give quantiles over axes; `skip` leaves nan out, else it spreads."""
    if method not in _METHODS:
        raise ArgumentError(
            f"{who} was given method={method!r}.",
            where=called_at(),
            mend=f"Use one of {', '.join(_METHODS)}.",
        )
    a = as_inexact(a, who)
    found, weak = a.dtype, a.weak_type
    a, q = promote_arrays(who, a, q, inexact=True)
    if ufuncs.is_complex(a):
        raise wrong_dtype(who, f"takes real numbers; got {describe(a)}.", "Take abs.")
    if len(q.shape) > 1:
        raise wrong_shape(
            who, f"takes a scalar or vector q; got {describe(q)}.", "Ravel."
        )
    axes = canonical_axes(axis, len(a.shape), who)
    if not math.prod(a.shape[i] for i in axes):
        raise wrong_shape(
            who, f"of no elements was asked for: {describe(a)}.", "Check."
        )
    out = None if skip else _quantile_at_once(who, a, q, axes, method, keepdims)
    if out is None:
        out = _quantile_of_sorted(a, q, axes, method, keepdims, skip)
    return convert(out, found, weak)


def _quantile_of_sorted(
    a: Value, q: Value, axes: tuple[int, ...], method: str, keepdims: bool, skip: bool
) -> Value:
    """Give quantiles by sorting, and reading between two elements."""
    kept = [i for i in range(len(a.shape)) if i not in axes]
    lead = tuple(a.shape[i] for i in kept)
    n = math.prod(a.shape[i] for i in axes)
    x = structural.reshape(structural.transpose(a, [*kept, *axes]), (*lead, n))
    x = sorting.sort(x)
    nan = composed.isnan(x)
    if skip:
        present = convert(table.not_(nan), x.dtype)
        count = structural.expand_axes(
            structural.reduce_sum(present, (len(lead),)), (len(lead),)
        )
    else:
        count = structural.full((*(1,) * len(lead), 1), n, x.dtype)
    out = _interpolated(x, _places(q, count, method), method)
    if skip:
        bad = structural.broadcast_to(
            table.eq(count, ufuncs.zero_like(count)), out.shape
        )
    else:
        bad = structural.broadcast_to(reductions.any(nan, -1, keepdims=True), out.shape)
    out = table.select(bad, structural.full((), math.nan, x.dtype), out)
    out = shaping.moveaxis(out, -1, 0)
    if keepdims:
        shape = [1 if i in axes else m for i, m in enumerate(a.shape)]
        out = structural.reshape(out, (out.shape[0], *shape))
    return out if q.shape else structural.reshape(out, out.shape[1:])


def _quantile_at_once(
    who: str, a: Value, q: Value, axes: tuple[int, ...], method: str, keepdims: bool
) -> Value | None:
    """Let NumPy give quantiles; None where it may not."""
    if who == "median" or method == "linear":
        return at_once(lambda a, q: _between_elements(a, q, axes, keepdims), a, q)
    along: Any = axes[0] if len(axes) == 1 else axes
    how: Any = {"axis": along, "method": method, "keepdims": keepdims}

    def quantiles(a: Any, q: Any) -> Any:
        try:
            return np.quantile(a, q, **how)
        except ValueError:  # of a q below 0 or above 1
            return None

    return at_once(quantiles, a, q)


def _between_elements(a: Any, q: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """Give NumPy's quantiles by the method "linear", in a fourth of its time."""
    if not ((0 <= q) & (q <= 1)).all():
        return None
    kept = [i for i in range(a.ndim) if i not in axes]
    x = a.transpose(*kept, *axes).reshape(*[a.shape[i] for i in kept], -1)
    x = np.sort(x, axis=-1)
    last = x.shape[-1] - 1
    place = q * a.dtype.type(last)
    below = place.astype(np.intp)
    low, high = x[..., below], x[..., np.ceil(place).astype(np.intp)]
    out = low + (high - low) * (place - below).astype(a.dtype)
    # Where there is a nan, it is sorted to the end.
    greatest = x[(..., -1, *[None] * q.ndim)]
    out = np.where(np.isnan(greatest), greatest, out)
    if q.ndim:
        out = np.moveaxis(out, -1, 0)
    if keepdims:
        shape = [1 if i in axes else n for i, n in enumerate(a.shape)]
        out = out.reshape(*q.shape, *shape)
    return out


def _places(q: Value, count: Value, method: str) -> Value:
    """Give where in sorted elements the quantiles lie, along a new last axis."""
    q = shaping.atleast_1d(q)
    last = table.sub(count, ufuncs.one_like(count))
    if method in _STEPPED:
        return composed.clip(_stepped(ufuncs.multiply(q, count), method), 0, last)
    alpha, beta = _SPACED.get(method, (1.0, 1.0))
    if alpha == beta == 1.0:
        return table.mul(q, last)
    moved = ufuncs.add(ufuncs.multiply(q, 1 - alpha - beta), alpha - 1)
    return composed.clip(ufuncs.add(ufuncs.multiply(q, count), moved), 0, last)


def _stepped(number: Value, method: str) -> Value:
    """Give places that step where the number of elements below is whole."""
    if method == "inverted_cdf":
        return ufuncs.subtract(table.ceil(number), 1)
    place = ufuncs.subtract(number, 1.0 if method != "closest_observation" else 1.5)
    below = table.floor(place)
    whole, above = table.eq(place, below), ufuncs.add(below, 1)
    if method == "averaged_inverted_cdf":
        return table.select(whole, ufuncs.add(below, 0.5), above)
    # Of two as near, the one of even rank, counted from 1.
    odd = ufuncs.equal(ufuncs.remainder(below, 2), 1)
    return table.select(table.and_(whole, odd), below, above)


def _interpolated(x: Value, places: Value, method: str) -> Value:
    """Read sorted elements between whole places."""
    below, above = table.floor(places), table.ceil(places)
    if method == "nearest":
        below = above = table.round(places)
    elif method == "lower":
        above = below
    elif method == "higher":
        below = above
    low, high = (_read(x, p) for p in (below, above))
    if below is above:
        return low
    if method == "midpoint":
        whole = table.eq(below, above)
        half = table.mul(table.add(low, high), structural.full((), 0.5, x.dtype))
        return table.select(whole, low, half)
    weight = table.sub(places, below)
    return table.add(low, table.mul(table.sub(high, low), weight))


def _read(x: Value, places: Value) -> Value:
    """Read the last axis at whole places given as floats."""
    index = convert(
        table.max(places, ufuncs.zero_like(places)), dtypes.scalar_dtype(int)
    )
    return taking.take_along_axis(x, index, -1, mode="clip")


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Value:
    """Give quantiles over axes, by NumPy's methods; integers become floats."""
    no_out(out, "quantile")
    return _quantile("quantile", a, q, axis, method, keepdims, False)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Value:
    """Give quantiles of what is not nan."""
    no_out(out, "nanquantile")
    return _quantile("nanquantile", a, q, axis, method, keepdims, True)


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Value:
    """Give percentiles over axes, by NumPy's methods; integers become floats."""
    no_out(out, "percentile")
    q = ufuncs.divide(creation.asarray(q), 100.0)
    return _quantile("percentile", a, q, axis, method, keepdims, False)


def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Value:
    """Give percentiles of what is not nan."""
    no_out(out, "nanpercentile")
    q = ufuncs.divide(creation.asarray(q), 100.0)
    return _quantile("nanpercentile", a, q, axis, method, keepdims, True)


def median(
    a: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Value:
    """Give the median over axes."""
    no_out(out, "median")
    return _quantile("median", a, 0.5, axis, "midpoint", keepdims, False)


def nanmedian(
    a: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Value:
    """Give the median of what is not nan."""
    no_out(out, "nanmedian")
    return _quantile("nanmedian", a, 0.5, axis, "midpoint", keepdims, True)


# -- covariance ------------------------------------------------------------------------


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
) -> Value:
    """Give the covariance matrix of variables, one a row."""
    x = _variables(m, y, rowvar)
    weights = None
    if fweights is not None:
        weights = creation.asarray(fweights)
    if aweights is not None:
        each = creation.asarray(aweights)
        weights = each if weights is None else ufuncs.multiply(weights, each)
    free = (0 if bias else 1) if ddof is None else ddof
    if weights is None:
        gap = table.sub(x, reductions.mean(x, 1, keepdims=True))
        scaled, norm = gap, structural.full((), max(x.shape[1] - free, 0.0), gap.dtype)
    else:
        total = reductions.sum(convert(weights, dtypes.real_dtype(x.dtype)))
        mean = reductions.average(x, 1, weights, keepdims=True)
        gap = table.sub(x, mean)
        scaled = ufuncs.multiply(gap, weights)
        norm = total
        if free and aweights is None:
            norm = ufuncs.subtract(total, free)
        elif free:
            pulled = reductions.sum(
                ufuncs.multiply(weights, creation.asarray(aweights))
            )
            norm = ufuncs.subtract(
                total, ufuncs.divide(ufuncs.multiply(free, pulled), total)
            )
    product = contraction.dot(scaled, composed.conj(shaping.transpose(gap)))
    return shaping.squeeze(ufuncs.divide(product, convert(norm, product.dtype)))


def _variables(m: Any, y: Any, rowvar: bool) -> Value:
    """Stack variables as rows."""
    first, *rest = promote_arrays("cov", m, *([] if y is None else [y]), inexact=True)
    rows = []
    for x in (first, *rest):
        if len(x.shape) > 2:
            raise wrong_shape(
                "cov", f"takes up to two axes; got {describe(x)}.", "Reshape."
            )
        matrix = shaping.atleast_2d(x)
        turn = not rowvar and len(x.shape) == 2
        rows.append(shaping.transpose(matrix) if turn else matrix)
    return shaping.concatenate(rows, 0)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Value:
    """Give the matrix of correlation coefficients of variables, one a row."""
    c = cov(x, y, rowvar)
    if not c.shape:
        return ufuncs.divide(c, c)
    spread = ufuncs.sqrt(composed.real(diagonals.diagonal(c)))
    c = ufuncs.divide(ufuncs.divide(c, spread[:, None]), spread[None, :])
    if ufuncs.is_complex(c):
        parts = (composed.clip(p, -1.0, 1.0) for p in (c.real, c.imag))
        return table.make_complex(*parts)
    return composed.clip(c, -1.0, 1.0)


# -- histograms ------------------------------------------------------------------------


def histogram_bin_edges(
    a: Any, bins: Any = 10, range: Any = None, weights: Any = None
) -> Value:
    """Give the edges of equal bins; rules by name for their number are missing."""
    if isinstance(bins, str):
        raise ArgumentError(
            f"histogram_bin_edges was given bins={bins!r}.",
            where=called_at(),
            mend="Give a number of bins, or their edges.",
        )
    if np.ndim(bins) == 1:
        return array_argument(creation.asarray(bins), "histogram_bin_edges", "bins")
    count = static_int(bins, "histogram_bin_edges", "bins")
    x = shaping.ravel(creation.asarray(a))
    x = convert(x, dtypes.scalar_dtype(float)) if ufuncs.is_exact(x) else x
    low, high = (
        (reductions.min(x, initial=math.inf), reductions.max(x, initial=-math.inf))
        if range is None
        else range
    )
    low, high = promote_arrays("histogram", low, high, x[:0].sum(), inexact=True)[:2]
    flat = ufuncs.equal(low, high)
    half = structural.full((), 0.5, low.dtype)
    low = table.select(flat, table.sub(low, half), low)
    high = table.select(flat, table.add(high, half), high)
    return creation.linspace(low, high, count + 1)


#: From this many elements on, their places among equal bins are computed.
MANY = 4096


def place_by_search(x: Value, edges: Value) -> Value:
    """Give the last place of which the edge is not greater, by binary search."""
    return table.sub(sorting.searchsorted(edges, x, "right"), 1)


def place_by_step(x: Value, edges: Value) -> Value:
    """Give the same among edges of equal distance, computed if it can be.

    What is computed rises with `x`. So it is wrong by one at most, and mended by the
    edges on both sides, if this holds for the edges themselves. It does not where
    neighbouring edges are rounded to the same number; then they are searched.
    """
    near = reductions.all(step_errors_small(edges))
    return cond(near, mended_place, place_by_search, x, edges)


def step_errors_small(edges: Value) -> Value:
    """Say for which edges the computed place is theirs or the one before."""
    last = edges.shape[0] - 1
    places = creation.arange(last + 1)
    short = table.sub(places, computed_place(edges, edges))
    return table.and_(table.ge(short, 0), table.le(short, 1))


def computed_place(x: Value, edges: Value) -> Value:
    """Give the whole number of steps from the first edge, from 0 to the last bin's."""
    last = edges.shape[0] - 2
    steps = ufuncs.divide(last + 1, table.sub(edges[-1], edges[0]))
    place = table.mul(table.sub(x, edges[0]), steps)
    place = table.select(table.eq(place, place), composed.clip(place, 0, last), 0.0)
    return convert(place, dtypes.scalar_dtype(int))


def mended_place(x: Value, edges: Value) -> Value:
    """Give the computed place, corrected by comparing with the edges beside it."""
    place = computed_place(x, edges)
    low = convert(table.lt(x, taking.take(edges, place, mode="clip")), place.dtype)
    above = taking.take(edges, table.add(place, 1), mode="clip")
    high = convert(table.ge(x, above), place.dtype)
    found = table.add(table.sub(place, low), high)
    return table.select(table.eq(x, x), found, edges.shape[0] - 1)


def bin_of(x: Value, edges: Value, equal: bool) -> tuple[Value, Value]:
    """Give the bins that elements fall into, and which fall into any.

    `equal` says that the edges were spaced equally.
    """
    last = edges.shape[0] - 2
    search = place_by_step if equal and x.size >= MANY else place_by_search
    place = search(x, edges)
    place = table.select(table.eq(x, edges[-1]), last, place)
    inside = table.and_(table.ge(place, 0), table.le(place, last))
    return composed.clip(place, 0, last), inside


def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Value, Value]:
    """Count elements in bins; the last bin includes its right edge."""
    edges = histogram_bin_edges(a, bins, range, weights)
    x = shaping.ravel(creation.asarray(a))
    unit: Any = None if weights is None else shaping.ravel(creation.asarray(weights))
    if unit is not None and unit.shape != x.shape:
        raise wrong_shape(
            "histogram",
            f"was given a of type {describe(a)} and weights of type "
            f"{describe(weights)}.",
            "Make the shapes equal.",
        )
    count = edges.shape[0] - 1
    x, edges = promote_arrays("histogram", x, edges)
    place, inside = bin_of(x, edges, np.ndim(bins) == 0)
    found = dtypes.scalar_dtype(int) if unit is None else unit.dtype
    add = convert(inside, found) if unit is None else composed.where(inside, unit, 0)
    counts = creation.zeros(count, found).at[place].add(add)
    if density:
        widths = table.sub(edges[1:], edges[:-1])
        counts = ufuncs.divide(ufuncs.divide(counts, widths), reductions.sum(counts))
    return counts, edges
