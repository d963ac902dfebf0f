"""The switch `check_tracer_leaks`: traced values that outlive their transformation.

They are found as the transformation ends, by asking the garbage collector who refers to
them; so nothing is noted while the switch is off.
"""

from __future__ import annotations

import functools
import gc
import sys
import types
import weakref
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from pullback.config import config, listeners
from pullback.core.origin import (
    called_at,
    defined_at,
    file_name,
    is_internal,
    user_origin,
)
from pullback.core.primitive import Primitive
from pullback.core.trace import Trace, Tracer, Value, leak_watches
from pullback.errors import LeakedTracerError
from pullback.transforms.batch import BatchTrace
from pullback.transforms.jvp import JVPTrace
from pullback.transforms.linearize import LinearizeTrace
from pullback.transforms.stage import StageTracer

#: How many values an error describes; how far holders are followed, and how many.
SHOWN, DEPTH, WIDTH = 3, 12, 100


class LeakWatch:
    """Looks, at the end of a transformation, for what is left of its values."""

    __slots__ = ()

    def begin(self, trace: Trace) -> Trace:
        """Give a trace that does the same, and remembers where it made each value."""
        kind: Any = type(trace)
        made = object.__new__(remembering(kind))
        for cls in kind.__mro__:
            for name in cls.__dict__.get("__slots__", ()):
                setattr(made, name, getattr(trace, name))
        made.births = {}
        return made  # type: ignore[no-any-return]

    def end(self, trace: Trace, *known: Any) -> None:
        """Look for values of a trace that has ended.

        Args:
            trace: the trace.
            known: lists of the caller's that still hold some.

        Raises:
            LeakedTracerError: names values, where they were made, and who holds them.
        """
        left = values_of(trace, known)
        ignored = {id(left), *map(id, known)}
        if all(id(r) in ignored for r in gc.get_referrers(*left)):
            return
        left.clear()
        gc.collect()  # what only cycles keep does no harm
        left += values_of(trace, known)
        held: list[tuple[Tracer, list[str]]] = []
        for x in left:
            holders = Holders(ignored)
            way = holders.way(x)
            ignored.add(id(way))
            if way:
                held.append((x, list(said_of_way(way, holders.running))))
                ignored.add(id(held[-1]))
        if held:
            raise leak_error(trace, held)


def values_of(trace: Any, known: Iterable[list[Any]]) -> list[Tracer]:
    """Give the values of a trace that are there: those it made, and those in lists."""
    made = [reference() for reference, *_ in getattr(trace, "births", {}).values()]
    given = [x for values in known for x in values if owner_is(x, trace)]
    found = {id(x): x for x in (*made, *given) if x is not None}
    return list(found.values())


def owner_is(x: Any, trace: Trace) -> bool:
    """Whether a value belongs to a trace."""
    return getattr(x, "owner", None) is trace


@functools.cache
def remembering(kind: Any) -> Any:
    """Give a class of traces that remember which operation and line made a value."""

    def apply(self: Any, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        out = kind.apply(self, primitive, operands)
        for x in out if isinstance(out, list) else [out]:
            if owner_is(x, self):
                self.births[id(x)] = weakref.ref(x), primitive.name, user_origin()
        return out

    return type(kind.__name__, (kind,), {"__slots__": ("births",), "apply": apply})


def leak_error(trace: Trace, held: list[tuple[Tracer, list[str]]]) -> LeakedTracerError:
    """Make the error for values that are still held."""
    lines = [
        f"{x.describe()}{made_by(trace, x)}, is held by {', held by '.join(links)}"
        for x, links in held[:SHOWN]
    ]
    more = f"; and {len(held) - SHOWN} more" if len(held) > SHOWN else ""
    return LeakedTracerError(
        f"{title(trace)} has ended, but its values are kept: {'; '.join(lines)}{more}.",
        where=called_at(),
        mend="Return the value from the transformed function (has_aux=True gives it "
        "beside the output), or let go of it before the function ends.",
    )


def title(trace: Trace) -> str:
    """Name a transformation."""
    if isinstance(trace, LinearizeTrace):
        return "a transformation in reverse mode (grad, vjp, linearize)"
    if isinstance(trace, JVPTrace):
        return "a transformation in forward mode (jvp, jacfwd)"
    if isinstance(trace, BatchTrace):
        return "vmap"
    name = getattr(trace, "name", None)
    return "jet" if name is None else f"the tracing of {name}"


def made_by(trace: Any, x: Tracer) -> str:
    """Say where a value was made, if its description does not."""
    if isinstance(x, StageTracer) and x.eqn is not None:
        return ""
    birth = getattr(trace, "births", {}).get(id(x))
    if birth is None or birth[0]() is not x:
        return ", an argument of the function"
    _, name, origin = birth
    return f", made by {name} at {origin}" if origin else f", made by {name}"


# -- who holds a value -----------------------------------------------------------------


class Holders:
    """Looks for the shortest way from a value to something that keeps it.

    That is a module, a variable of a running function of the user's, or what nothing
    refers to. What operations hold is theirs: they capture values only to know which
    they are, and use none of an ended trace.

    Args:
        ignored: ids of objects that do not count.
    """

    __slots__ = ("below", "objects", "own", "running")

    def __init__(self, ignored: set[int]) -> None:
        self.running, views = running_variables()
        #: By id, since what holds an object would be a holder of it.
        self.objects: dict[int, Any] = {}
        self.below: dict[int, int] = {}
        self.own = {*ignored, *views, id(self.objects), id(self.running)}

    def way(self, x: Any) -> list[Any]:
        """Give the value, who holds it, who holds that; [] if only operations do."""
        level = [x]
        for _ in range(DEPTH):
            self.own.add(id(level))
            self.objects.update({id(y): y for y in level})
            above = [r for r in gc.get_referrers(*level) if id(r) not in self.own]
            self.own.add(id(above))
            held = self.connect(level, above)
            for y in level:
                if y is not x and self.keeps(y, id(y) in held):
                    return self.path(y)
            level = [r for r in above if id(r) not in self.objects]
            level = [r for r in level if not isinstance(r, Primitive)][:WIDTH]
            if not level:
                break
        return []

    def connect(self, level: list[Any], above: list[Any]) -> set[int]:
        """Note which objects hold which, and give the ids of those that are held."""
        ids, held = set(map(id, level)), set()
        for r in above:
            for y in gc.get_referents(r):
                if id(y) in ids:
                    held.add(id(y))
                    if id(r) not in self.objects:
                        self.below.setdefault(id(r), id(y))
        return held

    def keeps(self, y: Any, held: bool) -> bool:
        """Whether an object needs nobody else to stay."""
        if id(y) in self.running or (isinstance(y, dict) and module_of(y)):
            return True
        return not held and not type(y).__module__.startswith("pullback.")

    def path(self, y: Any) -> list[Any]:
        """Give the way back to the value."""
        found = [y]
        while id(y) in self.below:
            y = self.objects[self.below[id(y)]]
            found.append(y)
        return found[::-1]


def running_variables() -> tuple[dict[int, str], set[int]]:
    """Name what the variables of running functions of the user's hold, by id.

    Returns:
        The names, and the ids of the dicts that Python makes to show variables.
    """
    found: dict[int, str] = {}
    views: set[int] = set()
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not is_internal(code.co_filename) and code.co_name != "<module>":
            views.add(id(frame.f_locals))
            for name, value in frame.f_locals.items():
                text = f"the variable `{name}` of {code.co_name} ({file_name(code)})"
                found.setdefault(id(value), text)
        frame = frame.f_back
    return found, views


def said_of_way(way: list[Any], running: dict[int, str]) -> Iterator[str]:
    """Say of each on the way who holds it."""
    steps = iter(pairwise(way))
    for x, parent in steps:
        if isinstance(parent, types.CellType):
            yield captured(parent)
            return
        module = module_of(parent)
        if module:
            yield f"the global {name_in(parent, x)} of {module}"
            return
        owner = owner_of(parent, way)
        if owner is not None:
            yield f"the attribute {name_in(parent, x)} of a {type(owner).__name__}"
            next(steps)
        else:
            yield said_of(parent, x)
    if id(way[-1]) in running:
        yield running[id(way[-1])]


def module_of(namespace: Any) -> str:
    """Name the module whose variables a dict holds, "" if it is none."""
    name = namespace.get("__name__") if isinstance(namespace, dict) else None
    module = sys.modules.get(name) if isinstance(name, str) else None
    return str(name) if getattr(module, "__dict__", None) is namespace else ""


def owner_of(namespace: Any, way: list[Any]) -> Any:
    """Give the object whose attributes a dict holds, if it is next on the way."""
    after = [r for d, r in pairwise(way) if d is namespace]
    if isinstance(namespace, dict) and after:
        return after[0] if getattr(after[0], "__dict__", None) is namespace else None
    return None


def name_in(namespace: dict[Any, Any], x: Any) -> str:
    """Give the key under which a dict holds a value."""
    return next((f"`{k}`" for k, v in namespace.items() if v is x), "?")


def said_of(parent: Any, x: Any) -> str:
    """Say what holds a value, and at which place of it."""
    if isinstance(parent, dict):
        return (
            f"the key {next((k for k, v in parent.items() if v is x), '?')!r} of a dict"
        )
    if isinstance(parent, (list, tuple)):
        index = next((i for i, v in enumerate(parent) if v is x), "?")
        return f"element {index} of a {type(parent).__name__}"
    if isinstance(parent, types.FrameType):
        return (
            f"a variable of {parent.f_code.co_name}, which an error or generator keeps"
        )
    names = [n for n in attributes(parent) if getattr(parent, n, None) is x]
    kind = type(parent).__name__
    return f"the attribute `{names[0]}` of a {kind}" if names else f"a {kind}"


def attributes(x: Any) -> list[str]:
    """Give the names of what an object holds itself."""
    slots = [n for c in type(x).__mro__ for n in c.__dict__.get("__slots__", ())]
    return [*getattr(x, "__dict__", ()), *slots]


def captured(cell: types.CellType) -> str:
    """Name the variable that functions share through a cell."""
    for closure in gc.get_referrers(cell):
        for f in gc.get_referrers(closure) if isinstance(closure, tuple) else ():
            if isinstance(f, types.FunctionType) and f.__closure__ is closure:
                pairs = zip(f.__code__.co_freevars, f.__closure__ or ())
                name = next(name for name, c in pairs if c is cell)
                where = defined_at(f)
                return f"the variable `{name}` that {f.__name__} captures ({where})"
    return "a variable that a function captures"


def follow_switch() -> None:
    """Do as `config.check_tracer_leaks` says."""
    leak_watches[:] = [LeakWatch()] if config.check_tracer_leaks else []


listeners.append(follow_switch)
follow_switch()
