"""Pytrees under the ecosystem's longer names; short ones are in `pullback.tree`."""

from __future__ import annotations

from pullback.tree import (
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    Partial,
    SequenceKey,
    all_leaves,
    flatten_one_level,
    flatten_one_level_with_keys,
    register_dataclass,
    register_static,
)
from pullback.tree import Key as KeyEntry
from pullback.tree import Path as KeyPath
from pullback.tree import TreeDef as PyTreeDef
from pullback.tree import all as tree_all
from pullback.tree import broadcast as tree_broadcast
from pullback.tree import flatten as tree_flatten
from pullback.tree import flatten_with_path as tree_flatten_with_path
from pullback.tree import is_node_class as is_tree_node
from pullback.tree import leaves as tree_leaves
from pullback.tree import leaves_with_path as tree_leaves_with_path
from pullback.tree import map as tree_map
from pullback.tree import map_with_path as tree_map_with_path
from pullback.tree import path_string as keystr
from pullback.tree import reduce as tree_reduce
from pullback.tree import reduce_associative as tree_reduce_associative
from pullback.tree import register_node as register_pytree_node
from pullback.tree import register_node_class as register_pytree_node_class
from pullback.tree import register_with_keys as register_pytree_with_keys
from pullback.tree import register_with_keys_class as register_pytree_with_keys_class
from pullback.tree import structure as tree_structure
from pullback.tree import structure_is_leaf as treedef_is_leaf
from pullback.tree import structure_of_tuple as treedef_tuple
from pullback.tree import structures_of_children as treedef_children
from pullback.tree import transpose as tree_transpose
from pullback.tree import unflatten as tree_unflatten

__all__ = [
    "DictKey",
    "FlattenedIndexKey",
    "GetAttrKey",
    "KeyEntry",
    "KeyPath",
    "Partial",
    "PyTreeDef",
    "SequenceKey",
    "all_leaves",
    "flatten_one_level",
    "flatten_one_level_with_keys",
    "is_tree_node",
    "keystr",
    "register_dataclass",
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
    "tree_all",
    "tree_broadcast",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_leaves",
    "tree_leaves_with_path",
    "tree_map",
    "tree_map_with_path",
    "tree_reduce",
    "tree_reduce_associative",
    "tree_structure",
    "tree_transpose",
    "tree_unflatten",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_tuple",
]
