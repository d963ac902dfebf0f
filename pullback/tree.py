"""Pytrees: nested containers, flattened and rebuilt by `optree`, wrapped here only."""

from __future__ import annotations

import builtins
import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import optree

from pullback.errors import TreeError

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
all = functools.partial(optree.tree_all, namespace=_NAMESPACE)
is_leaf: Callable[[Any], bool] = functools.partial(
    optree.tree_is_leaf, namespace=_NAMESPACE
)
#: A container -> its `children`, their `entries`, `metadata`, and `unflatten_func`.
one_level: Callable[[Any], Any] = functools.partial(
    optree.tree_flatten_one_level, namespace=_NAMESPACE
)


_NOTHING: Any = object()


def reduce(
    function: Callable[[Any, Any], Any],
    tree: Any,
    initializer: Any = _NOTHING,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """Combine the leaves from the first to the last, after `initializer` if given."""
    start = () if initializer is _NOTHING else (initializer,)
    return functools.reduce(function, leaves(tree, is_leaf), *start)


def reduce_associative(
    operation: Callable[[Any, Any], Any],
    tree: Any,
    *,
    identity: Any = _NOTHING,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """Combine the leaves in pairs, pairs of pairs and so on.

    Raises:
        TreeError: there are no leaves, and no `identity` is given.
    """
    found = leaves(tree, is_leaf)
    if not found:
        if identity is _NOTHING:
            raise TreeError(
                "reduce_associative was given a tree without leaves.",
                mend="Give identity=.",
            )
        return identity
    while len(found) > 1:
        last = found[len(found) // 2 * 2 :]
        pairs = zip(found[::2], found[1::2])
        found = [*(operation(x, y) for x, y in pairs), *last]
    return found[0]


def transpose(outer: TreeDef, inner: TreeDef | None, tree: Any) -> Any:
    """Turn a tree of trees inside out; `inner` None is the structure found first."""
    if inner is None:
        inner = structure(outer.flatten_up_to(tree)[0])
    return optree.tree_transpose(outer, inner, tree)


def all_leaves(
    iterable: Iterable[Any], is_leaf: Callable[[Any], bool] | None = None
) -> bool:
    """Whether every item is a leaf; None is none."""
    items = list(iterable)
    found = leaves(items, is_leaf and (lambda x: x is not items and is_leaf(x)))
    return len(found) == len(items) and builtins.all(
        x is y for x, y in zip(found, items)
    )


# -- paths -----------------------------------------------------------------------------


class Key:
    """A step of a path into a container, written as one would index."""

    __slots__: tuple[str, ...] = ()

    @property
    def value(self) -> Any:
        """What the step is: a key, a number or a name."""
        return getattr(self, type(self).__slots__[0])

    def __eq__(self, other: object) -> bool:
        """Whether the other is the same step."""
        return type(self) is type(other) and self.value == other.value

    def __hash__(self) -> int:
        """Hash what the step is."""
        return hash((type(self), self.value))

    def __repr__(self) -> str:
        """Show the step as it is made."""
        return f"{type(self).__name__}({type(self).__slots__[0]}={self.value!r})"


class DictKey(Key):
    """The key of a dictionary."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __str__(self) -> str:
        return f"[{self.key!r}]"


class SequenceKey(Key):
    """The place in a list or tuple."""

    __slots__ = ("idx",)

    def __init__(self, idx: int) -> None:
        self.idx = idx

    def __str__(self) -> str:
        return f"[{self.idx}]"


class GetAttrKey(Key):
    """The name of an attribute, or of a field of a named tuple."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f".{self.name}"


class FlattenedIndexKey(Key):
    """The number of a child of a container that names its children in no other way."""

    __slots__ = ("key",)

    def __init__(self, key: int) -> None:
        self.key = key

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


Path = tuple[Any, ...]


def _key(entry: Any) -> Any:
    """Give the step for one of optree's; a container may have given its own."""
    inner = entry.entry
    if isinstance(entry, optree.NamedTupleEntry | optree.StructSequenceEntry):
        return GetAttrKey(entry.field)
    if isinstance(entry, optree.MappingEntry):
        return DictKey(inner)
    if isinstance(entry, optree.SequenceEntry):
        return SequenceKey(inner)
    return FlattenedIndexKey(inner) if type(inner) is int else inner


def paths_and_leaves(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[Path], list[Any], TreeDef]:
    """Flatten to (paths, leaves, treedef)."""
    accessors, found, treedef = optree.tree_flatten_with_accessor(
        tree, is_leaf, namespace=_NAMESPACE
    )
    return [tuple([_key(entry) for entry in a]) for a in accessors], found, treedef


def flatten_with_path(
    tree: Any,
    is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> tuple[list[tuple[Path, Any]], TreeDef]:
    """Flatten to a list of (path, leaf), and the structure.

    A path is a tuple of `DictKey`, `SequenceKey`, `GetAttrKey`, `FlattenedIndexKey`, or
    of what the container's class was registered with. With `is_leaf_takes_path`,
    `is_leaf` is given path and node.
    """
    if is_leaf is not None and is_leaf_takes_path:
        paths, found, treedef = paths_and_leaves(_stopped((), tree, is_leaf))
        return list(zip(paths, [x.node for x in found])), treedef
    paths, found, treedef = paths_and_leaves(tree, is_leaf)
    return list(zip(paths, found)), treedef


class _Stop:
    """Holds a node that is to be a leaf."""

    def __init__(self, node: Any) -> None:
        self.node = node


def _stopped(path: Path, x: Any, is_leaf: Callable[[Path, Any], bool]) -> Any:
    """Put the nodes that are to be leaves where flattening stops."""
    if is_leaf(path, x) or (x is not None and leaf_structure == structure(x)):
        return _Stop(x)
    pairs, treedef = _children(x)
    inside = [_stopped((*path, key), child, is_leaf) for key, child in pairs]
    return treedef.unflatten(inside)


def _children(x: Any) -> tuple[list[tuple[Any, Any]], TreeDef]:
    """Give the children of a container with their keys, and what rebuilds it."""
    accessors, found, treedef = optree.tree_flatten_with_accessor(
        x, lambda y: y is not x, namespace=_NAMESPACE
    )
    return [(_key(a[0]), child) for a, child in zip(accessors, found)], treedef


def leaves_with_path(
    tree: Any,
    is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> list[tuple[Path, Any]]:
    """Give a list of (path, leaf)."""
    return flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def path_string(
    keys: Iterable[Any], *, simple: bool = False, separator: str = ""
) -> str:
    """Write a path as one would index: `['a'][0].x`; the root is the empty string.

    With `simple`, only what the steps are, between separators: `a/0/x`.
    """
    if simple:
        return separator.join(str(getattr(k, "value", k)) for k in keys)
    return separator.join([str(k) for k in keys])


def path_strings(tree: Any) -> list[str]:
    """Give the path of every leaf of `tree`, in leaf order."""
    return [path_string(path) for path in paths_and_leaves(tree)[0]]


def map_with_path(
    f: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> Any:
    """Map `f(path, leaf, *others)` over the leaves of one or more like trees."""
    pairs, treedef = flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    others = [treedef.flatten_up_to(r) for r in rest]
    return treedef.unflatten([f(*pair, *xs) for pair, *xs in zip(pairs, *others)])


# -- prefixes, structures --------------------------------------------------------------


def broadcast_prefix(
    prefix: Any, tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> list[Any]:
    """Repeat each leaf of `prefix` for every leaf of the subtree of `tree` at it."""
    return optree.broadcast_prefix(prefix, tree, is_leaf, namespace=_NAMESPACE)


def broadcast(
    prefix_tree: Any, full_tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """Give a tree like `full_tree`, of the leaves of a prefix of it."""
    repeated = broadcast_prefix(prefix_tree, full_tree, is_leaf)
    return structure(full_tree, is_leaf).unflatten(repeated)


def structure_of_tuple(treedefs: Iterable[TreeDef]) -> TreeDef:
    """Give the structure of a tuple of trees of these structures."""
    return optree.treespec_tuple(treedefs, namespace=_NAMESPACE)


def structures_of_children(treedef: TreeDef) -> list[TreeDef]:
    """Give the structures of a container's children."""
    return treedef.children()


def structure_is_leaf(treedef: TreeDef) -> bool:
    """Whether a structure is that of a single leaf."""
    return treedef.is_leaf()


def flatten_one_level(tree: Any) -> tuple[list[Any], Any]:
    """Give a container's children and its static data.

    Raises:
        TreeError: a leaf, which has none.
    """
    level = _level(tree)
    return list(level.children), level.metadata


def flatten_one_level_with_keys(tree: Any) -> tuple[list[tuple[Any, Any]], Any]:
    """Give a container's children with their keys, and its static data."""
    level = _level(tree)
    return _children(tree)[0], level.metadata


def _level(x: Any) -> Any:
    if x is not None and is_leaf(x):
        raise TreeError(
            f"a {type(x).__name__} is a leaf, and has no children.",
            mend="Ask is_leaf first, or register its class as a container.",
        )
    return one_level(x)


def is_node_class(cls: type) -> bool:
    """Whether instances of a class are containers."""
    return optree.register_pytree_node.get(cls, namespace=_NAMESPACE) is not None


# -- classes ---------------------------------------------------------------------------


def register_node(
    cls: type,
    flatten_func: Callable[[Any], tuple[Any, ...]],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_with_keys_func: Callable[[Any], tuple[Any, ...]] | None = None,
) -> None:
    """Make a class a container.

    Args:
        cls: the class.
        flatten_func: instance -> (children, auxiliary data), the latter hashable.
        unflatten_func: (auxiliary data, children) -> instance.
        flatten_with_keys_func: instance -> (pairs of key and child, auxiliary data);
            the keys stand in paths.
    """
    if flatten_with_keys_func is not None:
        flatten_func = _with_entries(flatten_with_keys_func)
    optree.register_pytree_node(cls, flatten_func, unflatten_func, namespace=_NAMESPACE)
    registered.append((cls, flatten_func, unflatten_func))
    for listener in registration_listeners:
        listener(cls, flatten_func, unflatten_func)


def register_node_class(cls: _Class) -> _Class:
    """Make a class with `tree_flatten` and `tree_unflatten` a container."""
    register_node(cls, lambda x: x.tree_flatten(), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def _with_entries(
    flatten_with_keys: Callable[[Any], tuple[Any, ...]],
) -> Callable[[Any], tuple[Any, ...]]:
    """Take pairs of key and child apart, as the registry wants them."""

    def flatten_func(x: Any) -> tuple[Any, ...]:
        pairs, aux = flatten_with_keys(x)
        pairs = tuple(pairs)
        return tuple(c for _, c in pairs), aux, tuple(k for k, _ in pairs)

    return flatten_func


def register_with_keys(
    cls: type,
    flatten_with_keys: Callable[[Any], tuple[Any, ...]],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_func: Callable[[Any], tuple[Any, ...]] | None = None,
) -> None:
    """Make a class a container that names its children; see `register_node`.

    `flatten_func` is accepted for compatibility, and not needed.
    """
    register_node(cls, _with_entries(flatten_with_keys), unflatten_func)


def register_with_keys_class(cls: _Class) -> _Class:
    """Make a class with `tree_flatten_with_keys` and `tree_unflatten` a container."""
    register_with_keys(cls, lambda x: x.tree_flatten_with_keys(), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_static(cls: _Class) -> _Class:
    """Make instances of a class containers of nothing: part of the structure.

    They must be hashable, and equal where they mean the same.
    """
    register_node(cls, lambda x: ((), x), lambda x, children: x)
    return cls


def static(**options: Any) -> Any:
    """Declare a dataclass field that `register_dataclass` makes static."""
    options["metadata"] = {**(options.get("metadata") or {}), "static": True}
    return dataclasses.field(**options)


def register_dataclass(
    cls: _Class,
    data_fields: Iterable[str] | None = None,
    meta_fields: Iterable[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> _Class:
    """Make a dataclass a container: data fields are children, meta fields static.

    Args:
        cls: the class.
        data_fields: the children; by default all fields that are neither static nor
            set by the class itself.
        meta_fields: the static fields, by default those declared with `static`.
        drop_fields: fields that are left to their defaults.
    """
    fields: dict[str, Any] = {
        n: f
        for n, f in cls.__dataclass_fields__.items()  # type: ignore[attr-defined]
        if f.init and n not in drop_fields
    }
    if meta_fields is None:
        given = () if data_fields is None else tuple(data_fields)
        meta_fields = [
            n
            for n, f in fields.items()
            if f.metadata.get("static", False) and n not in given
        ]
    meta = tuple(meta_fields)
    data = tuple(
        [n for n in fields if n not in meta] if data_fields is None else data_fields
    )
    keys = tuple([GetAttrKey(n) for n in data])

    def flatten_func(x: Any) -> tuple[Any, ...]:
        return (
            tuple([getattr(x, n) for n in data]),
            tuple([getattr(x, n) for n in meta]),
            keys,
        )

    def unflatten_func(aux: Any, children: Any) -> Any:
        return cls(**dict(zip(data, children)), **dict(zip(meta, aux)))

    register_node(cls, flatten_func, unflatten_func)
    return cls


class Partial(functools.partial[Any]):
    """A `functools.partial` that is a container of its bound arguments."""


_PARTIAL = (GetAttrKey("args"), GetAttrKey("keywords"))
register_node(
    Partial,
    lambda p: ((p.args, p.keywords), p.func, _PARTIAL),
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
