"""Pytrees under the ecosystem's longer names; short ones are in `pullback.tree`."""

from __future__ import annotations

from pullback.tree import Partial, register_dataclass
from pullback.tree import TreeDef as PyTreeDef
from pullback.tree import all as tree_all
from pullback.tree import flatten as tree_flatten
from pullback.tree import flatten_with_path as tree_flatten_with_path
from pullback.tree import leaves as tree_leaves
from pullback.tree import map as tree_map
from pullback.tree import map_with_path as tree_map_with_path
from pullback.tree import path_string as keystr
from pullback.tree import reduce as tree_reduce
from pullback.tree import register_node as register_pytree_node
from pullback.tree import register_node_class as register_pytree_node_class
from pullback.tree import structure as tree_structure
from pullback.tree import transpose as tree_transpose
from pullback.tree import unflatten as tree_unflatten

__all__ = [
    "Partial",
    "PyTreeDef",
    "keystr",
    "register_dataclass",
    "register_pytree_node",
    "register_pytree_node_class",
    "tree_all",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_leaves",
    "tree_map",
    "tree_map_with_path",
    "tree_reduce",
    "tree_structure",
    "tree_transpose",
    "tree_unflatten",
]
