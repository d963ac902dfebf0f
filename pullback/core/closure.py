"""Values that callables capture: found, named, and replaced in a rebuilt callable.

A callable captures through the cells of its closure, its defaults, the arguments of a
`partial`, the instance of a bound method, and other callables it captures in turn.
"""

from __future__ import annotations

import copy
import functools
import operator
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pullback import tree
from pullback.core.array import Array
from pullback.core.origin import defined_at, name_of
from pullback.core.trace import Tracer

_ATOMS = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType)
_CONTAINERS = (list, tuple, dict)


class Captured(NamedTuple):
    """A value that a callable captures.

    Fields:
        value: the array or tracer.
        name: the variable's name in the user's code.
        where: the file and line of the function that captures it.
    """

    value: Any
    name: str
    where: str


class _Part(NamedTuple):
    """One thing that an object holds: under which name, and which callable holds it."""

    name: str
    value: Any
    where: Any


def find_captured(f: Any) -> list[Captured]:
    """Give the arrays and tracers that a callable captures, each once, in order."""
    if type(f) is types.FunctionType and _captures_nothing(f):
        return []
    return list(_Walk([f]).leaves.values())


class TracerFinder:
    """Finds the tracers that several callables capture; remembers that there are none.

    Looking through closures costs more than a small function. A search that met no
    tracer holds as long as each cell and container holds what it held then.
    """

    __slots__ = ("cells", "contents", "fields", "known")

    def __init__(self) -> None:
        self.known: Sequence[Any] | None = None
        self.cells: list[tuple[Any, Any]] = []
        self.fields: list[tuple[Any, str, Any]] = []
        self.contents: list[tuple[Any, tuple[Any, ...]]] = []

    def find(self, roots: Sequence[Any]) -> list[Captured]:
        """Give the tracers captured by any of the callables, each once, in order."""
        if self._still_none(roots):
            return []
        walk = _Walk(roots)
        found = [c for c in walk.leaves.values() if isinstance(c.value, Tracer)]
        if not found and walk.fixed:
            self.known = list(roots)
            self.cells, self.fields = walk.cells, walk.fields
            self.contents = walk.contents
        return found

    def _still_none(self, roots: Sequence[Any]) -> bool:
        known = self.known
        if known is None or len(known) != len(roots):
            return False
        for f, g in zip(known, roots):
            if f is not g:
                return False
        try:
            for cell, content in self.cells:
                if cell.cell_contents is not content:
                    return False
        except ValueError:
            return False
        for x, name, value in self.fields:
            if getattr(x, name, None) is not value:
                return False
        for x, held in self.contents:
            now = _contents(x)
            if len(now) != len(held) or not all(map(operator.is_, now, held)):
                return False
        return True


def substitute(f: Any, values: Mapping[int, Any]) -> Any:
    """Rebuild a callable with captured values replaced.

    Args:
        f: the callable; it is not changed.
        values: id of a captured value -> its replacement.
    """
    if not values:
        return f
    walk = _Walk([f])
    return _Rebuild(walk.touched(values), values).visit(f)


def _captures_nothing(f: types.FunctionType) -> bool:
    """Whether a plain function has no cells and no defaults."""
    return not (f.__closure__ or f.__defaults__ or f.__kwdefaults__)


def _parts(x: Any) -> Iterator[_Part]:
    """Give what an object holds that may capture values."""
    if isinstance(x, types.FunctionType):
        for name, cell in zip(x.__code__.co_freevars, x.__closure__ or ()):
            try:
                yield _Part(name, cell.cell_contents, x)
            except ValueError:  # a variable that is not assigned yet
                continue
        for value in x.__defaults__ or ():
            yield _Part("a default", value, x)
        for name, value in (x.__kwdefaults__ or {}).items():
            yield _Part(name, value, x)
    elif isinstance(x, types.MethodType):
        yield _Part("__func__", x.__func__, None)
        yield _Part("self", x.__self__, x)
    elif isinstance(x, functools.partial):
        yield _Part("func", x.func, None)
        for value in x.args:
            yield _Part("a partial argument", value, x)
        for name, value in x.keywords.items():
            yield _Part(name, value, x)
    elif isinstance(x, _CONTAINERS):
        items = x.items() if isinstance(x, dict) else enumerate(x)
        for key, value in items:
            yield _Part(f"[{key!r}]", value, None)
    elif attributes := _attributes(x):
        for name, value in attributes:
            yield _Part(f".{name}", value, None)
    elif not tree.is_leaf(x):
        level = tree.one_level(x)
        for entry, value in zip(level.entries, level.children):
            yield _Part(f"[{entry!r}]", value, None)


def _kind(x: Any, parts: Sequence[_Part]) -> Any:
    """Give what two objects have in common that do the same with like parts."""
    if isinstance(x, types.FunctionType):
        return x.__code__
    return type(x) if parts or isinstance(x, _CONTAINERS) else id(x)


def _attributes(x: Any) -> list[tuple[str, Any]]:
    """Give the instance attributes of a user's object or one of our callables."""
    closure_fields = getattr(type(x), "__closure_fields__", None)
    if closure_fields is not None:
        return [(n, getattr(x, n, None)) for n in closure_fields]
    kind: Any = type(x)
    module = kind.__module__
    if module in ("builtins", "numpy") or module.startswith(("pullback.", "jaxlib.")):
        return []
    items = list(getattr(x, "__dict__", {}).items())
    for name in _slots(kind):
        if hasattr(x, name):
            items.append((name, getattr(x, name)))
    return items


@functools.lru_cache(1024)
def _slots(cls: type) -> tuple[str, ...]:
    """Give the attributes that instances of a user's class keep in slots."""
    return tuple(
        name
        for base in cls.__mro__
        if "__slots__" in vars(base)
        for name, value in vars(base).items()
        if isinstance(value, types.MemberDescriptorType)
    )


def _contents(x: Any) -> tuple[Any, ...]:
    """Give what a container or an object holds, to see later whether it still does."""
    if isinstance(x, dict):
        return tuple(x.values())
    if isinstance(x, list):
        return tuple(x)
    return tuple([value for _, value in _attributes(x)])


class _Walk:
    """The graph of everything reachable from callables, and the values in it.

    `fixed` tells that it can change only through `cells` (cell, content), `fields` of
    our callables (object, name, value) and `contents` (container, what it holds).
    """

    def __init__(self, roots: Sequence[Any]) -> None:
        self.leaves: dict[int, Captured] = {}
        self.holders: dict[int, list[int]] = {}
        self.kept: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.cells: list[tuple[Any, Any]] = []
        self.fields: list[tuple[Any, str, Any]] = []
        self.contents: list[tuple[Any, tuple[Any, ...]]] = []
        self.fixed = True
        # What of the graph is no value: equal for callables that do the same.
        self.form: list[Any] = []
        for root in roots:
            self._visit(root, None, "", None)

    def _visit(self, x: Any, holder: int | None, name: str, where: Any) -> None:
        if isinstance(x, _ATOMS):
            self.form.append((type(x), x))
            return
        key = id(x)
        known = key in self.holders
        self.holders.setdefault(key, [])
        if holder is not None:
            self.holders[key].append(holder)
        if known:
            self.form.append(self.numbers[key])
            return
        self.numbers[key] = len(self.kept)
        self.kept.append(x)
        if isinstance(x, (Array, Tracer)):
            self.leaves[key] = Captured(x, name, defined_at(where) if where else "")
            self.form.append("a value")
            return
        self._note(x)
        parts = list(_parts(x))
        self.form.append((_kind(x, parts), len(parts)))
        for part in parts:
            inner = name + part.name if part.name[0] in ".[" else part.name
            self._visit(part.value, key, inner, part.where or where)

    def _note(self, x: Any) -> None:
        """Remember by what an object could come to capture something else."""
        if isinstance(x, types.FunctionType):
            for cell in x.__closure__ or ():
                try:
                    self.cells.append((cell, cell.cell_contents))
                except ValueError:
                    self.fixed = False
        elif not isinstance(x, (types.MethodType, functools.partial, tuple)):
            if getattr(type(x), "__closure_fixed__", False):
                return
            names = getattr(type(x), "__closure_fields__", None)
            if names is not None:
                self.fields.extend([(x, n, getattr(x, n, None)) for n in names])
            elif isinstance(x, _CONTAINERS) or hasattr(x, "__dict__") or _attributes(x):
                self.contents.append((x, _contents(x)))
            elif not tree.is_leaf(x):
                self.fixed = False

    def touched(self, values: Mapping[int, Any]) -> set[int]:
        """Give the ids of the objects from which some of the values are reached."""
        found: set[int] = set()
        stack = [key for key in values if key in self.holders]
        while stack:
            key = stack.pop()
            if key not in found:
                found.add(key)
                stack.extend(self.holders[key])
        return found


class _Rebuild:
    """Copies the part of a graph that is touched, with values replaced."""

    def __init__(self, touched: set[int], values: Mapping[int, Any]) -> None:
        self.touched = touched
        self.values = values
        self.made: dict[int, Any] = {}

    def visit(self, x: Any) -> Any:
        """Give the rebuilt object, or the object itself if nothing in it changes."""
        key = id(x)
        if isinstance(x, _ATOMS) or key not in self.touched:
            return x
        if key in self.values:
            return self.values[key]
        if key in self.made:
            return self.made[key]
        if isinstance(x, types.FunctionType):
            return self._function(x, key)
        if isinstance(x, types.MethodType):
            return types.MethodType(self.visit(x.__func__), self.visit(x.__self__))
        if isinstance(x, functools.partial):
            args = [self.visit(a) for a in x.args]
            keywords = {n: self.visit(v) for n, v in x.keywords.items()}
            return type(x)(self.visit(x.func), *args, **keywords)
        if isinstance(x, _CONTAINERS):
            return self._container(x, key)
        return self._instance(x, key)

    def _function(self, f: types.FunctionType, key: int) -> types.FunctionType:
        cells = tuple(types.CellType() for _ in f.__closure__ or ())
        made = types.FunctionType(
            f.__code__, f.__globals__, f.__name__, f.__defaults__, cells
        )
        self.made[key] = made  # before the cells: functions may capture themselves
        functools.update_wrapper(made, f)
        del made.__wrapped__  # type: ignore[attr-defined]
        made.__dict__.update(f.__dict__)
        for new, old in zip(cells, f.__closure__ or ()):
            try:
                new.cell_contents = self.visit(old.cell_contents)
            except ValueError:
                continue
        if f.__defaults__:
            made.__defaults__ = tuple(self.visit(v) for v in f.__defaults__)
        if f.__kwdefaults__:
            keywords = f.__kwdefaults__.items()
            made.__kwdefaults__ = {n: self.visit(v) for n, v in keywords}
        return made

    def _container(self, x: Any, key: int) -> Any:
        if isinstance(x, dict):
            made = self.made[key] = copy.copy(x)
            made.update((k, self.visit(v)) for k, v in x.items())
            return made
        if isinstance(x, list):
            items: list[Any] = copy.copy(x)
            self.made[key] = items
            items[:] = [self.visit(v) for v in x]
            return items
        values = [self.visit(v) for v in x]
        return type(x)(*values) if hasattr(x, "_fields") else type(x)(values)

    def _instance(self, x: Any, key: int) -> Any:
        attributes = _attributes(x)
        if not attributes and not tree.is_leaf(x):
            level = tree.one_level(x)
            children = [self.visit(v) for v in level.children]
            made = level.unflatten_func(level.metadata, children)
            self.made[key] = made
            return made
        made = self.made[key] = copy.copy(x)
        for name, value in attributes:
            new = self.visit(value)
            if new is not value:
                object.__setattr__(made, name, new)
        return made


class Hole:
    """Stands in a callable for a value that it captures."""

    __slots__ = ()


class Template:
    """A callable with holes for what it captures: equal if it does the same.

    Args:
        function: the callable that captures; what it holds is taken out.
    """

    __slots__ = ("form", "function", "holes", "names")

    def __init__(self, function: Callable[..., Any], walk: _Walk) -> None:
        captured = walk.leaves.values()
        self.names = tuple(c.name for c in captured)
        self.holes = tuple(Hole() for _ in captured)
        self.form = tuple(walk.form)
        values = dict(zip(walk.leaves, self.holes))
        self.function = _Rebuild(walk.touched(values), values).visit(function)

    def fill(self, values: Sequence[Any]) -> Any:
        """Give the callable with values in the holes."""
        return substitute(self.function, dict(zip(map(id, self.holes), values)))

    def __eq__(self, other: object) -> bool:
        return self is other or (
            type(other) is Template
            and self.form == other.form
            and self.names == other.names
        )

    def __hash__(self) -> int:
        return hash(self.form)

    def __repr__(self) -> str:
        return name_of(self.function)


class Closure:
    """A callable as a container whose leaves are the values it captures.

    It is called as the callable is. Cotangents of callables have the same structure.
    """

    __slots__ = ("filled", "leaves", "template")

    def __init__(self, function: Callable[..., Any]) -> None:
        walk = _Walk([function])
        self.leaves = tuple(c.value for c in walk.leaves.values())
        self.template = Template(function, walk)
        self.filled: Any = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with the values that the leaves now have."""
        return self.rebuilt()(*args, **kwargs)

    def rebuilt(self) -> Any:
        """Give the plain callable with the leaves in place of what it captured."""
        if self.filled is None:
            self.filled = self.template.fill(self.leaves)
        return self.filled

    def __getattr__(self, name: str) -> Any:
        """Give the callable's own attribute, as a rule may ask for it."""
        if name.startswith("__") or name in Closure.__slots__:
            raise AttributeError(name)
        return getattr(self.rebuilt(), name)

    def __repr__(self) -> str:
        """Show the function and what it captures."""
        captured = zip(self.template.names, self.leaves)
        values = "".join(f", {n}={x!r}" for n, x in captured)
        return f"Closure({self.template!r}{values})"


def _unflatten(template: Template, leaves: Any) -> Closure:
    made = object.__new__(Closure)
    made.template = template
    made.leaves = tuple(leaves)
    made.filled = None
    return made


tree.register_node(Closure, lambda c: (c.leaves, c.template), _unflatten)
