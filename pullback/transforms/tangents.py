"""Tangents and cotangents at the user's edge: None for zero, casts, and checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, NoReturn

from pullback import dtypes, tree
from pullback.core.array import SCALARS, Array
from pullback.core.aval import Aval
from pullback.core.calling import as_value, is_arraylike
from pullback.core.trace import Tracer, Value
from pullback.core.zero import Zero, is_zero
from pullback.primitives.table import convert


class Mismatch(NamedTuple):
    """How a tangent differs from what is wanted.

    Fields:
        kind: "tree", "key", "shape" or "dtype".
        what: what was given, and what is expected.
        path: where in the container.
    """

    kind: str
    what: str
    path: str


#: Raises an error about a mismatch.
Complain = Callable[[Mismatch], NoReturn]


def flatten_like(like: Any, given: Any, complain: Complain) -> list[Any]:
    """Flatten `given` as `like` is; None stands for a whole subtree of zeros.

    Args:
        like: the tree whose structure is wanted.
        given: a tree of that structure, where any subtree may be None.
        complain: raises the error for a structure that differs.

    Returns:
        One entry a leaf of `like`: the leaf of `given`, or None.
    """
    leaves, treedef = tree.flatten(given)
    if tree.structure(like) == treedef:
        return leaves
    out: list[Any] = []
    _walk(like, given, "", out, complain)
    return out


def flatten_up_to(like: Any, given: Any, complain: Complain) -> list[Any]:
    """Flatten `given` down to the leaves of `like`, where it may have any subtree.

    Args:
        like: the tree whose structure is wanted.
        given: a tree of which that structure is the upper part, where any subtree may
            be None.
        complain: raises the error for a structure that differs.

    Returns:
        One entry a leaf of `like`: the subtree of `given`, or None.
    """
    out: list[Any] = []
    _walk(like, given, "", out, complain, deeper=True)
    return out


def _walk(
    like: Any,
    given: Any,
    path: str,
    out: list[Any],
    complain: Complain,
    deeper: bool = False,
) -> None:
    """Append the leaves of `given` that stand at the leaves of `like`."""
    if given is None or is_zero(given):
        out.extend([None] * len(tree.leaves(like)))
        return
    if tree.is_leaf(like):
        if not deeper and not tree.is_leaf(given):
            wanted = f"an array {aval_text(like)} is expected"
            complain(Mismatch("tree", f"{_kind(given)} where {wanted}", path))
        out.append(given)
        return
    if tree.is_leaf(given) or type(like) is not type(given):
        wanted = f"a {type(like).__name__} is expected"
        complain(Mismatch("tree", f"{_kind(given)} where {wanted}", path))
    one, other = tree.one_level(like), tree.one_level(given)
    if list(one.entries) != list(other.entries):
        kind = "key" if isinstance(like, dict) else "tree"
        difference = _difference(like, one.entries, other.entries)
        complain(Mismatch(kind, difference, path))
    for entry, x, y in zip(one.entries, one.children, other.children):
        _walk(x, y, path + _index(like, entry), out, complain, deeper)


def _index(container: Any, entry: Any) -> str:
    """Write one step of a path."""
    named = hasattr(container, "_fields")
    return f".{container._fields[entry]}" if named else f"[{entry!r}]"


def _kind(x: Any) -> str:
    return f"an array {aval_text(x)}" if is_arraylike(x) else f"a {type(x).__name__}"


def _difference(like: Any, wanted: Any, found: Any) -> str:
    """Say how two containers of one class differ."""
    if isinstance(like, dict):
        missing = [k for k in wanted if k not in found]
        extra = [k for k in found if k not in wanted]
        parts = [f"missing key {k!r}" for k in missing]
        parts += [f"unexpected key {k!r}" for k in extra]
        return ", ".join(parts)
    entries = "entry" if len(found) == 1 else "entries"
    expected = "is expected" if len(wanted) == 1 else "are expected"
    return f"{len(found)} {entries} where {len(wanted)} {expected}"


def aval_text(x: Any) -> str:
    """Write the type of any array-like as `f32[3]`."""
    if isinstance(x, Aval):
        return str(x)
    if type(x) in SCALARS:
        return f"Python {type(x).__name__}"
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return str(Aval(tuple(x.shape), x.dtype))
    return type(x).__name__


class Paths:
    """The paths of a tree's leaves, written only when an error needs one."""

    __slots__ = ("tree",)

    def __init__(self, tree: Any) -> None:
        self.tree = tree

    def named(self, index: int) -> Callable[[], str]:
        """Give what writes the path of one leaf."""
        return lambda: tree.path_strings(self.tree)[index]


def fit_tangent(
    given: Any, aval: Aval, complain: Complain, path: Callable[[], str]
) -> Any:
    """Make a tangent (or cotangent) of a value of type `aval` of what the user gave.

    Floats are cast to the value's dtype, Python numbers adapt to it, None is zero;
    for an integer value None, `float0` and integers are all zero.

    Args:
        given: an array, number, None or `Zero`.
        aval: the type of the value whose tangent it is.
        complain: raises the error for a wrong shape or dtype.
        path: writes where it stands in its container.
    """
    kind = type(given)
    if (kind is Array or isinstance(given, Tracer)) and given.dtype == aval.dtype:
        if given.shape == aval.shape and dtypes.is_inexact(aval.dtype):
            return given
    if given is None or is_zero(given):
        return Zero(aval.tangent())
    if not is_arraylike(given):
        what = f"a {kind.__name__} where an array {aval} is expected"
        complain(Mismatch("dtype", what, path()))
    if not dtypes.is_inexact(aval.dtype):
        return Zero(aval.tangent())
    value = as_value(given)
    if value.shape != aval.shape:
        what = f"{aval_text(value)} where {aval} is expected"
        complain(Mismatch("shape", what, path()))
    return _fit_dtype(value, aval, kind in SCALARS, complain, path)


def fit_tangents(
    like: Any,
    given: Any,
    avals: Iterable[Aval],
    complain: Complain,
    fit: Callable[..., Any] = fit_tangent,
) -> list[Any]:
    """Flatten a tree of tangents (or cotangents), and fit each.

    Args:
        like: the tree whose structure is wanted.
        given: a tree of that structure, where any subtree may be None.
        avals: the types of the leaves of `like`.
        complain: raises the error for what does not fit.
        fit: fits one of them; takes what `fit_tangent` does.
    """
    leaves = flatten_like(like, given, complain)
    paths = Paths(like)
    return [
        fit(t, a, complain, paths.named(i))
        for i, (t, a) in enumerate(zip(leaves, avals))
    ]


def _fit_dtype(
    value: Value, aval: Aval, adapts: bool, complain: Complain, path: Callable[[], str]
) -> Value:
    """Cast a floating-point tangent; refuse complex ones for real values."""
    if value.dtype == aval.dtype:
        return value
    if dtypes.is_complex(value.dtype) and not dtypes.is_complex(aval.dtype):
        what = f"complex {aval_text(value)} where real {aval} is expected"
        complain(Mismatch("dtype", what, path()))
    if not dtypes.is_inexact(value.dtype) and not adapts:
        if value.dtype == dtypes.float0:
            return Zero(aval.tangent())
    return convert(value, aval.dtype, aval.weak)
