"""Pytrees: nested containers, flattened and rebuilt by `optree`, wrapped here only."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import optree

TreeDef = optree.PyTreeSpec
_NAMESPACE = "pullback"
_Class = TypeVar("_Class", bound=type)

#: Called with each class registered as a container, so that the compiled call path's
#: own registry learns it too.
registration_listeners: list[Callable[[type, Any, Any], None]] = []
#: The containers registered so far, for listeners that come late.
registered: list[tuple[type, Any, Any]] = []

flatten: Callable[..., tuple[list[Any], TreeDef]] = functools.partial(
    optree.tree_flatten, namespace=_NAMESPACE
)
leaves: Callable[..., list[Any]] = functools.partial(
    optree.tree_leaves, namespace=_NAMESPACE
)
structure: Callable[..., TreeDef] = functools.partial(
    optree.tree_structure, namespace=_NAMESPACE
)
unflatten = optree.tree_unflatten
#: The structure of a single leaf.
leaf_structure = structure(0.0)
map = functools.partial(optree.tree_map, namespace=_NAMESPACE)
reduce = functools.partial(optree.tree_reduce, namespace=_NAMESPACE)
all = functools.partial(optree.tree_all, namespace=_NAMESPACE)
transpose = optree.tree_transpose
is_leaf: Callable[[Any], bool] = functools.partial(
    optree.tree_is_leaf, namespace=_NAMESPACE
)
#: A container -> its `children`, their `entries`, `metadata`, and `unflatten_func`.
one_level: Callable[[Any], Any] = functools.partial(
    optree.tree_flatten_one_level, namespace=_NAMESPACE
)


def flatten_with_path(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[tuple[Any, ...]], list[Any], TreeDef]:
    """Flatten to (paths, leaves, treedef); a path is a tuple of accessor entries."""
    accessors, found, treedef = optree.tree_flatten_with_accessor(
        tree, is_leaf, namespace=_NAMESPACE
    )
    return [tuple(a) for a in accessors], found, treedef


def path_string(path: Iterable[Any]) -> str:
    """Write a path as one would index: `['a'][0].x`; the root is the empty string."""
    return "".join(entry.codify("") for entry in path)


def path_strings(tree: Any) -> list[str]:
    """Give the path of every leaf of `tree`, in leaf order."""
    return [path_string(path) for path in flatten_with_path(tree)[0]]


def map_with_path(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Map `f(path, leaf, *others)` over the leaves of one or more like trees."""
    paths, found, treedef = flatten_with_path(tree)
    others = [treedef.flatten_up_to(r) for r in rest]
    return treedef.unflatten([f(p, *xs) for p, *xs in zip(paths, found, *others)])


def broadcast_prefix(
    prefix: Any, tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> list[Any]:
    """Repeat each leaf of `prefix` for every leaf of the subtree of `tree` at it."""
    return optree.broadcast_prefix(prefix, tree, is_leaf, namespace=_NAMESPACE)


def register_node(
    cls: type,
    flatten_func: Callable[[Any], tuple[Any, ...]],
    unflatten_func: Callable[[Any, Any], Any],
) -> None:
    """Make a class a container.

    Args:
        cls: the class.
        flatten_func: instance -> (children, auxiliary data), the latter hashable.
        unflatten_func: (auxiliary data, children) -> instance.
    """
    optree.register_pytree_node(cls, flatten_func, unflatten_func, namespace=_NAMESPACE)
    registered.append((cls, flatten_func, unflatten_func))
    for listener in registration_listeners:
        listener(cls, flatten_func, unflatten_func)


def register_node_class(cls: _Class) -> _Class:
    """Make a class with `tree_flatten` and `tree_unflatten` a container."""
    register_node(cls, lambda x: x.tree_flatten(), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_dataclass(
    cls: _Class,
    data_fields: Iterable[str] | None = None,
    meta_fields: Iterable[str] = (),
) -> _Class:
    """Make a dataclass a container: data fields are children, meta fields static.

    Without `data_fields`, fields with `metadata={"static": True}` are static too.
    """
    meta = tuple(meta_fields)
    if data_fields is None:
        fields = cls.__dataclass_fields__  # type: ignore[attr-defined]
        static = [n for n, f in fields.items() if f.init and f.metadata.get("static")]
        meta = (*meta, *(n for n in static if n not in meta))
        data = tuple(n for n, f in fields.items() if f.init and n not in meta)
    else:
        data = tuple(data_fields)

    def flatten_func(x: Any) -> tuple[Any, ...]:
        return (
            tuple(getattr(x, n) for n in data),
            tuple(getattr(x, n) for n in meta),
        )

    def unflatten_func(aux: Any, children: Any) -> Any:
        return cls(**dict(zip(data, children)), **dict(zip(meta, aux)))

    register_node(cls, flatten_func, unflatten_func)
    return cls


class Partial(functools.partial[Any]):
    """A `functools.partial` that is a container of its bound arguments."""


register_node(
    Partial,
    lambda p: ((p.args, p.keywords), p.func),
    lambda func, children: Partial(func, *children[0], **children[1]),
)


def structure_text(treedef: TreeDef) -> str:
    """Write a structure as its container would be written, `*` for each array."""
    return _text(treedef.unflatten([_STAR] * treedef.num_leaves))


_STAR = object()


def _text(x: Any) -> str:
    if x is _STAR:
        return "*"
    if x is None:
        return "None"
    if isinstance(x, dict):
        return f"{{{', '.join(f'{k!r}: {_text(v)}' for k, v in x.items())}}}"
    if is_leaf(x):
        return type(x).__name__
    level = one_level(x)
    children = [_text(child) for child in level.children]
    if type(x) is list:
        return f"[{', '.join(children)}]"
    if type(x) is tuple:
        return f"({children[0]},)" if len(children) == 1 else f"({', '.join(children)})"
    if hasattr(x, "_fields"):
        children = [f"{name}={child}" for name, child in zip(x._fields, children)]
    return f"{type(x).__name__}({', '.join(children)})"
