"""Batching rules of one's own: `custom_vmap`, and `sequential_vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import tree
from pullback.calls import loops
from pullback.custom.custom_vmap import custom_vmap as custom_vmap

__all__ = ["custom_vmap", "sequential_vmap"]


def sequential_vmap(f: Callable[..., Any]) -> custom_vmap:
    """Give the function that `vmap` applies to one element after another.

    It saves the memory of working on all at once, and serves functions that cannot.

    Args:
        f: a function of trees of arrays.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import vmap
        >>> print(vmap(sequential_vmap(jnp.sin))(jnp.arange(3.)))
        [0.        0.841471  0.9092974]
    """
    mapped: custom_vmap = custom_vmap(f)

    @mapped.def_vmap
    def one_by_one(axis_size: int, in_batched: Any, *args: Any) -> Any:
        """Map over the arguments with a batch axis; the others are shared."""
        leaves, treedef = tree.flatten(args)
        flags = tree.broadcast_prefix(tuple(in_batched), args)

        def one(batched: list[Any]) -> Any:
            rest = iter(batched)
            full = [next(rest) if b else x for x, b in zip(leaves, flags)]
            return f(*treedef.unflatten(full))

        out = loops.map(one, [x for x, b in zip(leaves, flags) if b])
        return out, tree.map(lambda _: True, out)

    return mapped
