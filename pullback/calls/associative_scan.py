"""All partial results of an associative function, in logarithmic depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback import tree
from pullback.core.calling import as_value, check_callable
from pullback.core.origin import called_at, name_of
from pullback.core.trace import Value, aval_of
from pullback.errors import ArgumentError, ControlFlowError
from pullback.primitives import shaping
from pullback.primitives.shaping import concatenate, slice_in_dim
from pullback.primitives.structural import expand_axes, reshape

_Combine = Callable[[list[Value], list[Value]], list[Value]]


def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """Combine elements along an axis: result i is that of elements 0 to i.

    The number of calls of `fn` grows with the logarithm of the length (Blelloch, Prefix
    Sums and Their Applications, 1990); each works on whole arrays.

    Args:
        fn: an associative function of two trees like `elems`, elementwise along `axis`.
        elems: a tree of arrays with equal lengths along `axis`.
        reverse: result i is that of elements i to the last.
        axis: the axis.

    Raises:
        ArgumentError: lengths that disagree.
        ControlFlowError: `fn` changes structure, shape or dtype.

    Example:
        >>> import pullback.numpy as jnp
        >>> print(associative_scan(jnp.add, jnp.arange(5)))
        [ 0  1  3  6 10]
    """
    check_callable(fn, "associative_scan")
    leaves, treedef = tree.flatten(elems)
    values = [as_value(x, "associative_scan: an array of elems") for x in leaves]
    if not values:
        return elems
    check_lengths(elems, values, axis)
    axis %= len(values[0].shape)
    if reverse:
        values = [flip(x, axis) for x in values]

    def combine(a: list[Value], b: list[Value]) -> list[Value]:
        out = fn(treedef.unflatten(a), treedef.unflatten(b))
        found, out_tree = tree.flatten(out)
        outs = [as_value(y, "associative_scan") for y in found]
        if out_tree != treedef or any(
            not aval_of(y).matches(aval_of(x)) for x, y in zip(b, outs)
        ):
            wanted = ", ".join(str(aval_of(x)) for x in b)
            given = ", ".join(str(aval_of(y)) for y in outs)
            raise ControlFlowError(
                f"associative_scan: {name_of(fn)} gave {out_tree} of ({given}) for "
                f"{treedef} of ({wanted}).",
                where=called_at(),
                mend="Return the structure, shapes and dtypes of the arguments.",
            )
        return outs

    outs = prefix(combine, values, axis)
    if reverse:
        outs = [flip(y, axis) for y in outs]
    return treedef.unflatten(outs)


def flip(x: Value, axis: int) -> Value:
    """Turn an axis round."""
    return shaping.reverse(x, (axis,))


def check_lengths(elems: Any, values: Sequence[Value], axis: int) -> None:
    """Raise unless all arrays have the axis, with one length."""
    paths = tree.path_strings(elems)
    sizes = {}
    for x, path in zip(values, paths):
        if not -len(x.shape) <= axis < len(x.shape):
            raise ArgumentError(
                f"associative_scan: elems{path} of type {aval_of(x)} has no axis "
                f"{axis}.",
                where=called_at(),
                mend="Give arrays that have the axis.",
            )
        sizes[f"elems{path}"] = x.shape[axis]
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise ArgumentError(
            f"associative_scan got different lengths along axis {axis}: {listed}.",
            where=called_at(),
            mend="Give arrays of one length along the axis.",
        )


def prefix(combine: _Combine, values: list[Value], axis: int) -> list[Value]:
    """Give all partial results: those of pairs first, then the ones between."""
    n = values[0].shape[axis]
    if n < 2:
        return values
    pairs = combine(
        [slice_in_dim(x, 0, n - 1, axis, 2) for x in values],
        [slice_in_dim(x, 1, n, axis, 2) for x in values],
    )
    odd = prefix(combine, pairs, axis)
    count = (n + 1) // 2 - 1
    even = [slice_in_dim(x, 0, 1, axis) for x in values]
    if count:
        later = combine(
            [slice_in_dim(y, 0, count, axis) for y in odd],
            [slice_in_dim(x, 2, n, axis, 2) for x in values],
        )
        even = [concatenate(pair, axis) for pair in zip(even, later)]
    return [interleave(a, b, axis) for a, b in zip(even, odd)]


def interleave(a: Value, b: Value, axis: int) -> Value:
    """Take elements from two arrays in turn; `a` may have one more."""
    n, m = a.shape[axis], b.shape[axis]
    if n > m:
        b = concatenate([b, slice_in_dim(a, n - 1, n, axis)], axis)
    both = concatenate(
        [expand_axes(a, [axis + 1]), expand_axes(b, [axis + 1])], axis + 1
    )
    shape = (*a.shape[:axis], 2 * n, *a.shape[axis + 1 :])
    return slice_in_dim(reshape(both, shape), 0, n + m, axis)
