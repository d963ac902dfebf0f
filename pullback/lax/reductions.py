"""Reductions and scans as users call them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes, tree
from pullback.core.calling import as_value
from pullback.core.origin import called_at, name_of
from pullback.core.trace import Value
from pullback.errors import TreeError
from pullback.primitives import (
    convolution,
    cumulative,
    reduction,
    structural,
    table,
    windows,
)
from pullback.primitives.recipes import canonical_axes, canonical_axis, shape_error
from pullback.primitives.scans import associative_scan as associative_scan_of

# -- reduction -------------------------------------------------------------------------


def reducing(operation: Callable[[Value, Any], Value], sentence: str) -> Any:
    """Make the public function of a reduction."""
    name = operation.__name__

    def function(operand: Any, axes: Sequence[int]) -> Value:
        x = as_value(operand, name)
        return operation(x, canonical_axes(axes, len(x.shape), name))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = sentence
    return function


reduce_sum = reducing(structural.reduce_sum, "Sum over axes.")
reduce_prod = reducing(reduction.reduce_prod, "Multiply over axes.")
reduce_max = reducing(reduction.reduce_max, "Give the greatest elements over axes.")
reduce_min = reducing(reduction.reduce_min, "Give the least elements over axes.")
reduce_and = reducing(reduction.reduce_and, "Conjoin booleans or bits over axes.")
reduce_or = reducing(reduction.reduce_or, "Disjoin booleans or bits over axes.")
reduce_xor = reducing(
    reduction.reduce_xor, "Disjoin booleans or bits over axes exclusively."
)


def argmax(operand: Any, axis: int, index_dtype: Any) -> Value:
    """Find the first greatest element along an axis; nan counts as such."""
    x = as_value(operand, "argmax")
    axis = canonical_axis(axis, len(x.shape), "argmax")
    return reduction.argmax(x, axis, dtypes.canonical(index_dtype))


def argmin(operand: Any, axis: int, index_dtype: Any) -> Value:
    """Find the first least element along an axis; nan counts as such."""
    x = as_value(operand, "argmin")
    axis = canonical_axis(axis, len(x.shape), "argmin")
    return reduction.argmin(x, axis, dtypes.canonical(index_dtype))


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Value:
    """Round floats to what fewer bits of exponent and mantissa can hold."""
    x = as_value(operand, "reduce_precision")
    return reduction.reduce_precision(x, exponent_bits, mantissa_bits)


def reduce(
    operand: Any,
    init_value: Any,
    computation: Callable[[Any, Any], Any],
    dimensions: Sequence[int],
) -> Value:
    """Reduce axes by any associative function of two arrays.

    Args:
        operand: an array.
        init_value: a scalar that every reduction begins with.
        computation: an associative function that works elementwise, such as `lax.add`.
        dimensions: the axes, which disappear.
    """
    x = as_value(operand, "reduce")
    initial = table.convert(as_value(init_value, "reduce"), x.dtype)
    axes = canonical_axes(dimensions, len(x.shape), "reduce")
    return windows.fold_last(computation, reduction.merge_last(x, axes), initial)


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable[[Any, Any], Any],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Value:
    """Reduce each window of an operand by any associative function of two arrays.

    Args:
        operand: an array.
        init_value: a scalar that every reduction begins with, and that stands outside.
        computation: an associative function that works elementwise; `lax.add`,
            `lax.max` and `lax.min` with the usual initial value are one operation.
        window_dimensions: the lengths of a window, one for each axis.
        window_strides: the steps between windows.
        padding: "SAME", "VALID", or (low, high) for each axis.
        base_dilation: the factors by which the operand is spread out.
        window_dilation: the factors by which windows are.
    """
    x = as_value(operand, "reduce_window")
    rank = len(x.shape)
    base = tuple(base_dilation or (1,) * rank)
    wide = tuple(window_dilation or (1,) * rank)
    sizes = [convolution.dilated(n, p) for n, p in zip(x.shape, base)]
    reach = [convolution.dilated(k, q) for k, q in zip(window_dimensions, wide)]
    pairs = convolution.padding_pairs(padding, sizes, reach, window_strides)
    kind = known_reduction(computation, init_value, x.dtype)
    operation = windows.window_operation(
        kind or "sum", window_dimensions, window_strides, pairs, base, wide
    )
    if kind is not None:
        return operation(x)
    initial = table.convert(as_value(init_value, "reduce_window"), x.dtype)
    return windows.fold_windows(computation, x, operation, initial)


def known_reduction(computation: Any, initial: Any, dtype: dtypes.Dtype) -> str | None:
    """Give the kind of window reduction that is an operation of its own, if one is."""
    name = getattr(computation, "__name__", getattr(computation, "name", ""))
    kind = {"add": "sum", "max": "max", "min": "min"}.get(name)
    module = getattr(computation, "__module__", "")
    concrete = getattr(initial, "concrete", lambda: initial)()
    if kind is None or concrete is None or not module.startswith("pullback."):
        return None
    usual = windows.WINDOW_KINDS[kind].initial(None, dtype)  # type: ignore[arg-type]
    return kind if concrete == usual else None


# -- scans -----------------------------------------------------------------------------


def scanning(operation: Callable[[Value, int, bool], Value], sentence: str) -> Any:
    """Make the public function of a running combination."""
    name = operation.__name__

    def function(operand: Any, axis: int = 0, reverse: bool = False) -> Value:
        x = as_value(operand, name)
        return operation(x, canonical_axis(axis, len(x.shape), name), reverse)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = sentence
    return function


cumsum = scanning(cumulative.cumsum, "Sum along an axis, keeping partial sums.")
cumprod = scanning(
    cumulative.cumprod, "Multiply along an axis, keeping partial products."
)
cummax = scanning(cumulative.cummax, "Give the greatest element so far along an axis.")
cummin = scanning(cumulative.cummin, "Give the least element so far along an axis.")
cumlogsumexp = scanning(
    cumulative.cumlogsumexp, "Sum exponentials along an axis, keeping all logarithms."
)


def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """Give all running combinations along an axis, in O(log n) operations.

    Args:
        fn: an associative function of two trees like `elems`, whose arrays hold many
            elements along the axis; it combines them elementwise.
        elems: a tree of arrays with this axis.
        reverse: whether to begin at the end.
        axis: the axis.
    """
    leaves, treedef = tree.flatten(elems)
    arrays = [as_value(x, "associative_scan") for x in leaves]
    axes = [canonical_axis(axis, len(x.shape), "associative_scan") for x in arrays]
    if len({x.shape[a] for x, a in zip(arrays, axes)}) != 1 or len(set(axes)) != 1:
        raise shape_error(
            "associative_scan was given arrays of types "
            f"{', '.join(str(x.aval) for x in arrays)}.",
            f"Give arrays of one length along axis {axis}.",
        )

    def combine(a: Sequence[Value], b: Sequence[Value]) -> list[Value]:
        found, out_tree = tree.flatten(fn(treedef.unflatten(a), treedef.unflatten(b)))
        if out_tree != treedef:
            raise TreeError(
                f"associative_scan: {name_of(fn)} gave the structure {out_tree}; its "
                f"arguments have {treedef}.",
                where=called_at(),
                mend="Return a tree like the arguments.",
            )
        return [as_value(x, "associative_scan") for x in found]

    outs = associative_scan_of(combine, arrays, axes[0], reverse)
    return treedef.unflatten(outs)
