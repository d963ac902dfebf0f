"""Functions across mapped axes, which `vmap(..., axis_name=...)` gave their names.

Each takes a tree of arrays, and one name or a tuple of names. A tuple stands for one
axis that runs through all of its own, the last one fastest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes, tree
from pullback.core.array import SCALARS, from_host
from pullback.core.aval import Aval
from pullback.core.calling import as_value
from pullback.core.origin import called_at
from pullback.core.trace import Axes, Value, aval_of
from pullback.errors import ArgumentError, DtypeError
from pullback.primitives.collectives import (
    AllGather,
    AllToAll,
    AxisIndex,
    PMax,
    PMin,
    PPermute,
    PSum,
    PSumScatter,
    bound_size,
)
from pullback.primitives.recipes import canonical_axes, canonical_axis, shape_error
from pullback.primitives.reduction import reduce_max, reduce_min
from pullback.primitives.slicing import dynamic_slice
from pullback.primitives.structural import (
    broadcast_to,
    move_axis,
    reduce_sum,
    reshape,
    zeros_of,
)
from pullback.primitives.table import add, convert, lt, mul, select

# -- names -----------------------------------------------------------------------------


def bound_axes(axis_name: Any, who: str, groups: Any = None) -> Axes:
    """Give the names in a name or a tuple of names, each with its length.

    Raises:
        UnboundAxisError: no mapped axis has such a name here.
        ArgumentError: a name twice, or groups.
    """
    if groups is not None:
        raise ArgumentError(
            f"{who} was given axis_index_groups, which axes of vmap do not have.",
            where=called_at(),
            mend="Split the axis: reshape it to (groups, members), map both with a "
            "vmap of its own, and name the members' axis.",
        )
    names = axis_name if isinstance(axis_name, (tuple, list)) else (axis_name,)
    if any(a == b for i, a in enumerate(names) for b in names[:i]):
        raise ArgumentError(
            f"{who} was given a name twice: {tuple(names)}.",
            where=called_at(),
            mend="Name each axis once.",
        )
    return tuple([(name, bound_size(name, who)) for name in names])


def length_of(axes: Axes) -> int:
    """Give how many elements the axes have together."""
    return math.prod([size for _, size in axes])


def of_each(f: Callable[[Any], Any], x: Any) -> Any:
    """Apply a function to each leaf; errors then name the user's line."""
    leaves, treedef = tree.flatten(x)
    return treedef.unflatten([f(leaf) for leaf in leaves])


def axis_size(axis_name: Any) -> int:
    """Give the length of a mapped axis, or of several together, as a Python int.

    Raises:
        UnboundAxisError: no mapped axis has the name here.
    """
    return length_of(bound_axes(axis_name, "axis_size"))


def axis_index(axis_name: Any) -> Value:
    """Give the place of this element along a mapped axis, or along several together.

    Raises:
        UnboundAxisError: no mapped axis has the name here.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import lax, vmap
        >>> vmap(lambda x: 10 * x + lax.axis_index('i'), axis_name='i')(jnp.arange(3))
        Array([ 0, 11, 22], dtype=int32)
    """
    axes = bound_axes(axis_name, "axis_index")
    return index_along(axes) if axes else zeros_of(Aval((), dtypes.int32))


def index_along(axes: Axes) -> Value:
    """Give the place of this element along several axes, the last one fastest."""
    (first, _), *rest = axes
    index = AxisIndex(first)()
    for name, size in rest:
        index = add(mul(index, size), AxisIndex(name)())
    return index


# -- reductions ------------------------------------------------------------------------


def psum(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """Sum over mapped axes; every element gets the sum.

    The sum of a Python number is a Python number: `psum(1, name)` is the axis's length.
    Booleans are counted.

    Args:
        x: a tree of arrays.
        axis_name: a name, or a tuple of names; an int among them is an axis of `x`.
        axis_index_groups: refused.

    Raises:
        UnboundAxisError: no mapped axis has the name here.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import lax, vmap
        >>> print(vmap(lambda x: x / lax.psum(x, 'i'), axis_name='i')(jnp.arange(4.)))
        [0.         0.16666667 0.33333334 0.5       ]
    """
    positions, axes = split_names(axis_name, "psum", axis_index_groups)
    return of_each(lambda leaf: summed(leaf, positions, axes, "psum")[0], x)


def pmean(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """Give the mean over mapped axes to every element; arguments are those of `psum`.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import lax, vmap
        >>> print(vmap(lambda x: x - lax.pmean(x, 'i'), axis_name='i')(jnp.arange(3.)))
        [-1.  0.  1.]
    """
    positions, axes = split_names(axis_name, "pmean", axis_index_groups)

    def mean(leaf: Any) -> Any:
        total, count = summed(leaf, positions, axes, "pmean")
        return total / count

    return of_each(mean, x)


def summed(leaf: Any, positions: Any, axes: Axes, who: str) -> tuple[Any, int]:
    """Sum a leaf over axes of its own and mapped ones; say also over how many."""
    count = length_of(axes)
    if type(leaf) in SCALARS and type(leaf) is not bool and not positions:
        return leaf * count, count
    y = as_value(leaf, who)
    own = canonical_axes(positions, len(y.shape), who)
    count *= math.prod([y.shape[i] for i in own])
    if y.dtype == dtypes.bool_:
        y = convert(y, dtypes.int32)
    y = reduce_sum(y, own)
    for name, _ in axes:
        y = PSum(name)(y)
    return y, count


def pmax(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """Give the greatest value along mapped axes; arguments are those of `psum`."""
    return extremum(x, axis_name, axis_index_groups, PMax, reduce_max)


def pmin(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """Give the least value along mapped axes; arguments are those of `psum`."""
    return extremum(x, axis_name, axis_index_groups, PMin, reduce_min)


def extremum(
    x: Any,
    axis_name: Any,
    groups: Any,
    operation: type[PMax] | type[PMin],
    reduce: Callable[[Value, Any], Value],
) -> Any:
    """Give the extremum over mapped axes, and over axes of the operand."""
    who = operation.__name__.lower()
    positions, axes = split_names(axis_name, who, groups)

    def best(leaf: Any) -> Value:
        y = as_value(leaf, who)
        if dtypes.is_complex(y.dtype):
            raise DtypeError(
                f"{who} was given an array of type {aval_of(y)}; complex numbers have "
                "no order.",
                where=called_at(),
                mend="Take the absolute value or the real part first.",
            )
        y = reduce(y, canonical_axes(positions, len(y.shape), who))
        for name, _ in axes:
            y = operation(name)(y)
        return y

    return of_each(best, x)


def split_names(axis_name: Any, who: str, groups: Any) -> tuple[tuple[int, ...], Axes]:
    """Separate ints, which are axes of the operand, from names."""
    names = axis_name if isinstance(axis_name, (tuple, list)) else (axis_name,)
    positions = tuple([n for n in names if isinstance(n, int)])
    return positions, bound_axes([n for n in names if n not in positions], who, groups)


# -- places ----------------------------------------------------------------------------


def ppermute(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """Send values along a mapped axis; zero where none arrives.

    Args:
        x: a tree of arrays.
        axis_name: a name, or a tuple of names.
        perm: pairs (from, to) of places; none stands twice on one side.

    Raises:
        UnboundAxisError: no mapped axis has the name here.
        ArgumentError: places that do not exist, or twice on one side.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import lax, vmap
        >>> def shift(x):
        ...     return lax.ppermute(x, 'i', [(0, 1), (1, 2)])
        >>> print(vmap(shift, axis_name='i')(jnp.array([5., 6., 7.])))
        [0. 5. 6.]
    """
    axes = bound_axes(axis_name, "ppermute")
    pairs = checked_pairs(perm, length_of(axes))

    def sent(leaf: Any) -> Value:
        y = as_value(leaf, "ppermute")
        if len(axes) == 1:
            return PPermute(axes[0][0], pairs)(y)
        return received(y, axes, pairs) if axes else y

    return of_each(sent, x)


def received(y: Value, axes: Axes, pairs: Sequence[tuple[int, int]]) -> Value:
    """Give what arrives at this element from all others along several axes."""
    size = length_of(axes)
    table = np.full(size, size, np.int32)
    for i, j in pairs:
        table[j] = i
    source = reshape(dynamic_slice(from_host(table), [index_along(axes)], [1]), ())
    everything = gathered(y, axes, 0)
    starts = [source, *[0] * len(y.shape)]
    found = reshape(dynamic_slice(everything, starts, [1, *y.shape]), y.shape)
    arrives = broadcast_to(lt(source, size), y.shape)
    return select(arrives, found, zeros_of(y.aval))


def checked_pairs(perm: Any, size: int) -> tuple[tuple[int, int], ...]:
    """Give the pairs of a permutation as Python ints.

    Raises:
        ArgumentError: they are none of the places up to a length.
    """
    try:
        pairs = tuple([(int(i), int(j)) for i, j in perm])
        sides = tuple(zip(*pairs))
        good = all(set(side) <= set(range(size)) for side in sides)
        good = good and all(len(set(side)) == len(side) for side in sides)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ArgumentError(
            f"ppermute was given {perm!r} for an axis of length {size}.",
            where=called_at(),
            mend=f"Give pairs (from, to) of places from 0 to {size - 1}, each at most "
            "once on each side.",
        )
    return pairs


def pshuffle(x: Any, axis_name: Any, perm: Sequence[int]) -> Any:
    """Give element i of a mapped axis what element `perm[i]` has.

    Raises:
        UnboundAxisError: no mapped axis has the name here.
        ArgumentError: `perm` does not name each place once.
    """
    size = length_of(bound_axes(axis_name, "pshuffle"))
    if sorted(perm) != list(range(size)):
        raise ArgumentError(
            f"pshuffle was given {list(perm)} for an axis of length {size}.",
            where=called_at(),
            mend=f"Name each place from 0 to {size - 1} once.",
        )
    return ppermute(x, axis_name, list(zip(perm, range(size))))


# -- exchanges -------------------------------------------------------------------------


def all_gather(
    x: Any,
    axis_name: Any,
    *,
    axis_index_groups: Any = None,
    axis: int = 0,
    tiled: bool = False,
) -> Any:
    """Give every element what all have, side by side.

    Args:
        x: a tree of arrays.
        axis_name: a name, or a tuple of names.
        axis_index_groups: refused.
        axis: where the mapped axis goes.
        tiled: make no new axis, but concatenate along that one.

    Raises:
        UnboundAxisError: no mapped axis has the name here.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import lax, vmap
        >>> def distances(x):
        ...     return x - lax.all_gather(x, 'i')
        >>> print(vmap(distances, axis_name='i')(jnp.arange(3.)))
        [[ 0. -1. -2.]
         [ 1.  0. -1.]
         [ 2.  1.  0.]]
    """
    axes = bound_axes(axis_name, "all_gather", axis_index_groups)

    def gather(leaf: Any) -> Value:
        y = as_value(leaf, "all_gather")
        at = canonical_axis(axis, len(y.shape) + (not tiled), "all_gather")
        y = gathered(y, axes, at)
        return merged(y, at, 2) if tiled else y

    return of_each(gather, x)


def gathered(y: Value, axes: Axes, at: int) -> Value:
    """Gather along several mapped axes, which become one new axis."""
    for name, size in reversed(axes):
        y = AllGather(name, size, at)(y)
    return merged(y, at, len(axes))


def merged(y: Value, at: int, count: int) -> Value:
    """Make one axis of `count` axes from `at` on."""
    shape = y.shape
    n = math.prod(shape[at : at + count])
    return reshape(y, (*shape[:at], n, *shape[at + count :]))


def parted(y: Value, at: int, sizes: Sequence[int]) -> Value:
    """Make several axes of one."""
    return reshape(y, (*y.shape[:at], *sizes, *y.shape[at + 1 :]))


def with_parts(y: Value, at: int, axes: Axes, tiled: bool, who: str) -> Value:
    """Take an axis apart into one for each mapped axis, and if tiled one for the rest.

    Raises:
        ShapeError: its length is not theirs, or if tiled no multiple of it.
    """
    n, size = y.shape[at], length_of(axes)
    sizes = [length for _, length in axes]
    if n % size if tiled else n != size:
        named = ", ".join(repr(name) for name, _ in axes)
        raise shape_error(
            f"{who} over {named} of length {size} was given an operand of shape "
            f"{y.shape}, whose axis {at} has length {n}.",
            "Make that axis a multiple of the length."
            if tiled
            else "Make that axis as long, or use tiled=True for a multiple of it.",
        )
    return parted(y, at, [*sizes, n // size] if tiled else sizes)


def psum_scatter(
    x: Any,
    axis_name: Any,
    *,
    scatter_dimension: int = 0,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Sum over a mapped axis, and give element i part i of the sum only.

    Args:
        x: a tree of arrays.
        axis_name: a name, or a tuple of names.
        scatter_dimension: the axis of `x` that holds the parts.
        axis_index_groups: refused.
        tiled: keep that axis, with one part of it; else it has one place an element,
            and disappears.

    Raises:
        UnboundAxisError: no mapped axis has the name here.
        ShapeError: the axis does not have as many parts.
    """
    axes = bound_axes(axis_name, "psum_scatter", axis_index_groups)

    def scatter(leaf: Any) -> Value:
        y = as_value(leaf, "psum_scatter")
        at = canonical_axis(scatter_dimension, len(y.shape), "psum_scatter")
        y = with_parts(y, at, axes, tiled, "psum_scatter")
        for name, _ in axes:
            y = PSumScatter(name, at)(y)
        return y

    return of_each(scatter, x)


def all_to_all(
    x: Any,
    axis_name: Any,
    split_axis: int,
    concat_axis: int,
    *,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Send part j of an axis to element j, and put what arrives along another axis.

    Args:
        x: a tree of arrays.
        axis_name: a name, or a tuple of names.
        split_axis: the axis of `x` that holds the parts.
        concat_axis: the axis of the result for what arrives.
        axis_index_groups: refused.
        tiled: keep both axes, the first with one part of it, the second longer; else
            the first has one place an element and disappears, and the second is new.

    Raises:
        UnboundAxisError: no mapped axis has the name here.
        ShapeError: the axis does not have as many parts.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import lax, vmap
        >>> def turn(row):
        ...     return lax.all_to_all(row, 'i', 0, 0)
        >>> print(vmap(turn, axis_name='i')(jnp.array([[1, 2], [3, 4]])))
        [[1 3]
         [2 4]]
    """
    axes = bound_axes(axis_name, "all_to_all", axis_index_groups)

    def exchange(leaf: Any) -> Value:
        y = as_value(leaf, "all_to_all")
        split = canonical_axis(split_axis, len(y.shape), "all_to_all")
        concat = canonical_axis(concat_axis, len(y.shape), "all_to_all")
        y = with_parts(y, split, axes, tiled, "all_to_all")
        y = exchanged(y, axes, split, concat)
        return merged(y, concat, 2) if tiled else y

    return of_each(exchange, x)


def exchanged(y: Value, axes: Axes, split: int, concat: int) -> Value:
    """Exchange the axes of `y` from `split` on, one for each mapped axis."""
    if len(axes) == 1:
        return AllToAll(axes[0][0], split, concat)(y)
    for k, (name, _) in enumerate(axes):
        # In front are what arrived before; the parts not yet sent follow one by one.
        y = AllToAll(name, split + k, k)(y)
    return move_axis(merged(y, 0, len(axes)), 0, concat)


def pswapaxes(
    x: Any, axis_name: Any, axis: int, *, axis_index_groups: Any = None
) -> Any:
    """Exchange a mapped axis with an axis of the operand of the same length.

    Raises:
        UnboundAxisError: no mapped axis has the name here.
        ShapeError: the lengths differ.
    """
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)
