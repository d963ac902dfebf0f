"""`vmap`: a function of single examples as a function of whole batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from pullback import tree
from pullback.core.array import Array
from pullback.core.axes import AxisSize
from pullback.core.calling import as_value, check_callable, is_arraylike, leaf_names
from pullback.core.origin import called_at, name_of
from pullback.core.primitive import Dim
from pullback.core.trace import Value
from pullback.errors import BatchError
from pullback.primitives.structural import broadcast_new_axis, move_axis
from pullback.transforms.batch import batch_flat


def vmap(
    fun: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
) -> Callable[..., Any]:
    """Give the function that applies `fun` to every element along an axis, at once.

    Args:
        fun: a function of pytrees of arrays.
        in_axes: the axis to map for each argument: an int, None (not mapped), or a
            tuple with one entry an argument, each an int, None, or a tree prefix.
            Keyword arguments are mapped over axis 0. What is not mapped may be
            anything, a function or a string too.
        out_axes: where the axis goes in each output: an int, None, or a tree prefix.
        axis_name: a name for the axis, by which `lax.psum` and its kin refer to it
            inside `fun`; anything hashable but an int, a tuple or a list. Where a
            mapped function maps another one by the same name, the inner axis has it.
        axis_size: its length, needed where no argument is mapped.
        spmd_axis_name: taken and without effect: it says how JAX spreads the axis over
            devices, and there is one.

    Raises:
        BatchError: lengths that disagree, axes out of range, nothing mapped, or a name
            that cannot be one.

    Example:
        >>> import pullback.numpy as jnp
        >>> print(vmap(jnp.square)(jnp.arange(3.)))
        [0. 1. 4.]
    """
    check_callable(fun, "vmap")
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if axis_name is not None:
        check_name(fun, axis_name)

    @functools.wraps(
        fun, assigned=("__module__", "__name__", "__qualname__", "__doc__")
    )
    def vmapped(*args: Any, **kwargs: Any) -> Any:
        """Apply the function to the whole batch."""
        leaves, in_tree = tree.flatten((args, kwargs))
        dims = input_dims(fun, in_axes, args, kwargs)
        values = [
            x if type(x) is Array else operand(fun, x, d) for x, d in zip(leaves, dims)
        ]

        def names() -> list[str]:
            return [*leaf_names(fun, args), *[p[2:] for p in tree.path_strings(kwargs)]]

        dims = check_dims(fun, values, dims, names)
        size = batch_size(fun, values, dims, names, axis_size)
        out_trees: list[tree.TreeDef] = []

        def flat(*xs: Value) -> list[Value]:
            inner_args, inner_kwargs = in_tree.unflatten(xs)
            outs, out_tree = tree.flatten(fun(*inner_args, **inner_kwargs))
            out_trees.append(out_tree)
            return [as_value(y, f"vmap: the output of {name_of(fun)}") for y in outs]

        if axis_name is not None:
            size = AxisSize(size, axis_name)
        outs, out_dims = batch_flat(flat, size, values, dims)
        wanted = output_dims(fun, out_axes, out_trees[0])
        results = [place(fun, y, d, w, size) for y, d, w in zip(outs, out_dims, wanted)]
        return out_trees[0].unflatten(results)

    return vmapped


def check_name(f: Callable[..., Any], name: Any) -> None:
    """Raise unless operations can refer to an axis by a name."""
    try:
        hash(name)
        good = not isinstance(name, (int, tuple))
    except TypeError:
        good = False
    if not good:
        raise BatchError(
            f"vmap of {name_of(f)}: axis_name {name!r} is no name for one axis.",
            where=called_at(),
            mend="Use a string: ints are positions of axes, and tuples hold several "
            "names.",
        )


def operand(f: Callable[..., Any], x: Any, dim: Dim) -> Any:
    """Make a value of a leaf; what is no array and not mapped is passed on as it is."""
    if dim is None and not is_arraylike(x):
        return x
    return as_value(x, f"vmap of {name_of(f)}")


def _is_axis(x: Any) -> bool:
    return x is None or isinstance(x, int)


def input_dims(
    f: Callable[..., Any], in_axes: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Dim]:
    """Give the axis of every leaf of the arguments."""
    if isinstance(in_axes, int):
        return [in_axes] * len(tree.leaves((args, kwargs)))
    if in_axes is None:
        in_axes = (None,) * len(args)
    if not isinstance(in_axes, tuple) or len(in_axes) != len(args):
        count = len(in_axes) if isinstance(in_axes, tuple) else in_axes
        raise BatchError(
            f"vmap of {name_of(f)}: in_axes has {count} entries for {len(args)} "
            "positional arguments.",
            where=called_at(),
            mend="Give in_axes as an int, None, or a tuple with one entry an argument.",
        )
    dims: list[Dim] = []
    for axes, arg in zip(in_axes, args):
        dims.extend(spread_axes(f, "in_axes", axes, arg))
    return dims + [0] * len(tree.leaves(kwargs))


def spread_axes(f: Callable[..., Any], what: str, axes: Any, like: Any) -> list[Dim]:
    """Give the axis of every leaf of a tree from a prefix of the tree."""
    if _is_axis(axes):
        return [axes] * len(tree.leaves(like))
    try:
        found = tree.broadcast_prefix(axes, like, is_leaf=lambda x: x is None)
    except ValueError as error:
        raise BatchError(
            f"vmap of {name_of(f)}: {what} {axes!r} does not fit a value of structure "
            f"{tree.structure_text(tree.structure(like))}.",
            where=called_at(),
            mend="Give an int, None, or a tree of these that is a prefix of the value.",
        ) from error
    if not all(map(_is_axis, found)):
        raise BatchError(
            f"vmap of {name_of(f)}: {what} must hold ints and None, not {axes!r}.",
            where=called_at(),
            mend="Use an int for a mapped leaf, None for one that is not.",
        )
    return found


def check_dims(
    f: Callable[..., Any],
    values: Sequence[Value],
    dims: Sequence[Dim],
    names: Callable[[], Sequence[str]],
) -> list[Dim]:
    """Make axes non-negative; raise for those out of range."""
    out: list[Dim] = []
    for i, (x, d) in enumerate(zip(values, dims)):
        if d is not None:
            rank = len(x.shape)
            if not -rank <= d < rank:
                raise BatchError(
                    f"vmap of {name_of(f)}: {names()[i]} has shape {x.shape}, which "
                    f"has no axis {d} to map over.",
                    where=called_at(),
                    mend="Use in_axes=None for arguments that are not mapped.",
                )
            d %= rank
        out.append(d)
    return out


def batch_size(
    f: Callable[..., Any],
    values: Sequence[Value],
    dims: Sequence[Dim],
    names: Callable[[], Sequence[str]],
    given: int | None,
) -> int:
    """Give the common length of the mapped axes."""
    lengths = [None if d is None else x.shape[d] for x, d in zip(values, dims)]
    sizes = {n for n in (*lengths, given) if n is not None}
    if not sizes:
        raise BatchError(
            f"vmap of {name_of(f)} maps no argument: all axes are None, or there are "
            "no arrays.",
            where=called_at(),
            mend="Map at least one argument, or give axis_size.",
        )
    if len(sizes) > 1:
        pairs = zip((*names(), "axis_size"), (*lengths, given))
        listed = ", ".join(f"{name}: {n}" for name, n in pairs if n is not None)
        raise BatchError(
            f"vmap of {name_of(f)} got inconsistent sizes for array axes to be mapped: "
            f"{listed}.",
            where=called_at(),
            mend="Give arrays of one length along their mapped axes, or in_axes=None "
            "for those that are not mapped.",
        )
    return sizes.pop()


def output_dims(
    f: Callable[..., Any], out_axes: Any, out_tree: tree.TreeDef
) -> list[Dim]:
    """Give the wanted axis of every output leaf."""
    if _is_axis(out_axes):
        return [out_axes] * out_tree.num_leaves
    like = out_tree.unflatten(range(out_tree.num_leaves))
    if isinstance(out_axes, list) and isinstance(like, tuple):
        out_axes = tuple(out_axes)
    return spread_axes(f, "out_axes", out_axes, like)


def place(f: Callable[..., Any], y: Value, dim: Dim, wanted: Dim, size: int) -> Value:
    """Move the batch axis of an output to where it is wanted."""
    if wanted is None:
        if dim is None:
            return y
        raise BatchError(
            f"vmap of {name_of(f)}: out_axes is None for an output that differs from "
            "element to element.",
            where=called_at(),
            mend="Use an int for it in out_axes.",
        )
    rank = len(y.shape) + (dim is None)
    if not -rank <= wanted < rank:
        raise BatchError(
            f"vmap of {name_of(f)}: out_axes {wanted} is out of range for an output "
            f"with {rank} axes.",
            where=called_at(),
            mend=f"Use an axis from {-rank} to {rank - 1}.",
        )
    wanted %= rank
    if dim is None:
        return broadcast_new_axis(y, int(size), wanted)
    return move_axis(y, dim, wanted)
