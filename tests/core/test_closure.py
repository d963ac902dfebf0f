"""Values that callables capture: found, named, and replaced."""

import collections
import dataclasses
import functools
import types
from typing import Any, NamedTuple

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, dtypes, jit, linearize, tree, vjp
from pullback.core.aval import Aval
from pullback.core.closure import Closure, TracerFinder, find_captured, substitute
from pullback.transforms.stage import stage_flat

A = jnp.arange(2.0)
B = jnp.arange(3.0)


class Plain:
    def __init__(self, value):
        self.value = value

    def method(self, x):
        return x, self.value


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    value: object
    other: object = None

    def method(self, x):
        return x, self.value


class HalfSlotted(Slotted):
    """Slots below, a dictionary above, and one slot that stays empty."""

    __slots__ = ("__dict__", "empty")


class Pair(NamedTuple):
    first: object
    second: object


def names(f):
    return [c.name for c in find_captured(f)]


def values(f):
    return [c.value for c in find_captured(f)]


def cells():
    a, b = A, B
    return lambda: (a, b, a)


def containers():
    box = {"k": [1, (A,)]}
    inner = lambda: box  # noqa: E731
    return lambda: inner()


def itself():
    a = A

    def f():
        return f, a

    return f


def half_slotted():
    made = HalfSlotted(1)
    object.__setattr__(made, "note", A)
    return made


# Finding.


def test_cells_must_be_found_once_by_name_and_line():
    found = find_captured(cells())
    assert [c.name for c in found] == ["a", "b"]
    assert found[0].value is A
    line = cells.__code__.co_firstlineno + 2
    assert found[0].where == f"test_closure.py:{line}"


CAPTURING = {
    "default": (lambda: lambda x=A: x, "a default"),
    "keyword default": (lambda: lambda *, x=A: x, "x"),
    "partial": (lambda: functools.partial(max, A), "a partial argument"),
    "partial keyword": (lambda: functools.partial(max, key=A), "key"),
    "partial function": (lambda: functools.partial(lambda x=A: x), "a default"),
    "bound method": (lambda: Plain(A).method, "self.value"),
    "object": (lambda: Plain([A]), ".value[0]"),
    "slots": (lambda: Slotted(A), ".value"),
    "method of slots": (lambda: Slotted(A).method, "self.value"),
    "slots and dictionary": (half_slotted, ".note"),
    "containers": (containers, "box['k'][1][0]"),
    "named tuple": (lambda: Pair(1, A), "[1]"),
    "deque": (lambda: collections.deque([A]), "[0]"),
    "itself": (itself, "a"),
}


@pytest.mark.parametrize("kind", CAPTURING)
def test_captured_value_must_be_found_and_named(kind):
    make, name = CAPTURING[kind]
    (found,) = find_captured(make())
    assert found.value is A
    assert found.name == name


@pytest.mark.parametrize(
    "make",
    [
        lambda: jit(lambda x=A: x),
        lambda: custom_jvp(lambda x=A: x),
        lambda: tree.Partial(max, A),
        lambda: jit(custom_jvp(functools.partial(Plain(A).method))),
    ],
)
def test_callables_of_the_library_must_be_looked_into(make):
    (found,) = values(make())
    assert found is A


def test_closure_must_be_looked_into():
    assert [v is w for v, w in zip(values(Closure(cells())), (A, B))] == [True, True]


@pytest.mark.parametrize(
    "f",
    [
        len,
        np.sin,
        np.ones(2),
        lambda x: x,
        types,
        Plain,
        Plain(1),
        3,
        "x",
        None,
        jnp.sin,
        {},
        [],
    ],
)
def test_other_objects_must_capture_nothing(f):
    assert find_captured(f) == []


def test_variable_not_yet_assigned_must_be_passed_over():
    def f():
        return later

    assert find_captured(f) == []
    assert substitute(f, {id(A): B}) is f
    later = A
    assert names(f) == ["later"]


@pytest.mark.parametrize(
    "make", [lambda x: vjp(jnp.sin, x)[1], lambda x: linearize(jnp.sin, x)[1]]
)
def test_derivatives_must_capture_their_residuals_only(make):
    (cosine,) = values(make(jnp.float32(2.0)))
    np.testing.assert_allclose(cosine, np.cos(2.0), rtol=1e-6)


# Substituting.


def test_substitute_must_give_a_new_callable_and_leave_the_old():
    f = cells()
    g = substitute(f, {id(A): "new"})
    assert g()[0] == g()[2] == "new"
    assert g()[1] is B
    assert f()[0] is A


@pytest.mark.parametrize("kind", CAPTURING)
def test_captured_value_must_be_replaced_wherever_it_is(kind):
    f = CAPTURING[kind][0]()
    g = substitute(f, {id(A): B})
    assert type(g) is type(f)
    assert g is not f
    (found,) = values(g)
    assert found is B
    assert values(f)[0] is A


def test_substitute_must_keep_untouched_objects():
    untouched = Plain(1)
    a = A
    f = lambda: (a, untouched)  # noqa: E731
    assert substitute(f, {id(A): 5})()[1] is untouched


@pytest.mark.parametrize("new", [{}, {id(B): 5}])
def test_substitute_must_give_the_callable_itself_if_nothing_changes(new):
    f = Plain(A).method
    assert substitute(f, new) is f


def test_function_that_captures_itself_must_be_rebuilt_once():
    g = substitute(itself(), {id(A): 7})
    again, a = g()
    assert again is g
    assert a == 7


def test_object_held_twice_must_be_rebuilt_once():
    shared = Plain(A)
    f = lambda: (shared, [shared])  # noqa: E731
    first, (second,) = substitute(f, {id(A): 7})()
    assert first is second
    assert (first.value, shared.value is A) == (7, True)


def test_containers_that_hold_themselves_must_be_rebuilt():
    box: list = [A]
    box.append(box)
    table: dict = {"box": box, "a": A}
    table["self"] = table
    made = substitute(table, {id(A): 7})
    assert made["self"] is made
    assert made["box"][1] is made["box"]
    assert (made["a"], made["box"][0]) == (7, 7)
    assert box[0] is A


def test_objects_that_hold_each_other_must_be_rebuilt():
    one, other = Plain(A), Plain(None)
    one.other, other.value = other, one  # type: ignore[attr-defined]
    made = substitute(one, {id(A): 7})
    assert made.other.value is made
    assert made.value == 7


def test_classes_of_containers_must_be_kept():
    count: Any = collections.defaultdict(list, a=A)
    made = substitute((Pair(A, 1), count), {id(A): 7})
    assert made == (Pair(7, 1), {"a": 7})
    assert type(made[0]) is Pair
    assert made[1]["new"] == []


def test_rebuilt_function_must_keep_name_documentation_and_attributes():
    a = A

    def documented(x: int) -> Any:
        """Say so."""
        return x, a

    documented.note = "kept"  # type: ignore[attr-defined]
    g = substitute(documented, {id(A): 1})
    assert (g.__name__, g.__doc__, g.note) == ("documented", "Say so.", "kept")
    assert not hasattr(g, "__wrapped__")


def test_rebuilt_function_must_keep_what_it_wraps():
    @functools.wraps(len)
    def wrapper(x=A):
        return x

    assert substitute(wrapper, {id(A): 1}).__wrapped__ is len


def test_rebuilt_function_must_keep_variables_not_assigned():
    a = A

    def f(use=False):
        return later if use else a

    g = substitute(f, {id(A): 5})
    assert g() == 5
    with pytest.raises(NameError, match="later"):
        g(True)
    later = None
    assert f(True) is later


# Finding tracers again and again.


def trace_into(put, finder, f):
    """Stages a function that stores its tracer, and gives what is then found."""
    seen: list = []

    def trace(t):
        put(t)
        seen.extend(finder.find((f,)))
        return [t]

    stage_flat(trace, [Aval((), dtypes.float32)])
    return seen


def test_finder_must_see_a_tracer_put_into_a_cell_later():
    finder = TracerFinder()
    x = 1.0

    def f():
        return x

    def put(t):
        nonlocal x
        x = t

    assert finder.find((f,)) == []
    assert finder.find((f,)) == []
    assert [c.name for c in trace_into(put, finder, f)] == ["x"]


@pytest.mark.parametrize(
    ("box", "put"),
    [
        ([1.0], lambda box, t: box.append(t)),
        ([1.0], lambda box, t: box.__setitem__(0, t)),
        ({"k": 1.0}, lambda box, t: box.update(k=t)),
        ({"k": 1.0}, lambda box, t: box.update(new=t)),
        (Plain(1.0), lambda box, t: setattr(box, "value", t)),
        (Plain(1.0), lambda box, t: setattr(box, "note", t)),
        (collections.deque([1.0]), lambda box, t: box.append(t)),
    ],
)
def test_finder_must_see_a_tracer_put_into_a_container_later(box, put):
    finder = TracerFinder()
    f = lambda: box  # noqa: E731
    assert finder.find((f,)) == []
    assert finder.find((f,)) == []
    (found,) = trace_into(lambda t: put(box, t), finder, f)
    assert found.name.startswith("box")


def test_finder_must_see_a_rule_defined_later():
    finder = TracerFinder()
    f = custom_jvp(lambda x: x)
    assert finder.find((f,)) == []
    assert finder.known is not None

    def put(t):
        f.defjvp(lambda p, d: (p[0], t * d[0]))

    (found,) = trace_into(put, finder, f)
    assert found.name == "t"


def test_finder_must_not_trust_what_it_knew_of_other_callables():
    finder, one, other = TracerFinder(), (lambda: 1), (lambda: 2)
    assert finder.find((one,)) == []
    assert finder.find((other,)) == []
    assert finder.find((one, other)) == []
    assert list(finder.known or ()) == [one, other]


def test_finder_must_not_trust_a_cell_that_became_empty():
    finder, x = TracerFinder(), 1.0

    def f():
        return x  # noqa: F821

    assert finder.find((f,)) == []
    del x
    assert finder.find((f,)) == []
    assert finder.find((f,)) == []


def test_finder_must_pass_over_arrays():
    assert TracerFinder().find((cells(),)) == []


# Closures.


def test_closure_must_be_a_container_of_what_is_captured():
    leaves, treedef = tree.flatten(Closure(cells()))
    assert [leaves[0] is A, leaves[1] is B, len(leaves)] == [True, True, 2]
    assert tree.unflatten(treedef, ["x", "y"])() == ("x", "y", "x")


def test_closure_must_be_called_as_its_function_is():
    closure = Closure(Plain(A).method)
    x, a = closure(x=1)
    assert x == 1
    assert a is A


def test_closure_must_be_rebuilt_once():
    leaves, treedef = tree.flatten(Closure(cells()))
    made = tree.unflatten(treedef, leaves)
    assert made.rebuilt() is made.rebuilt()


def test_closure_must_show_function_and_values():
    def line(x):
        return slope * x

    slope = jnp.float32(2.0)
    assert repr(Closure(line)) == "Closure(line, slope=Array(2., dtype=float32))"


def test_closures_of_one_form_must_have_equal_structures():
    def make(n, a):
        return tree.structure(Closure(lambda x: n * a))

    assert make(2, A) == make(2, B)
    assert hash(make(2, A)) == hash(make(2, B))
    assert make(2, A) != make(3, A)
    assert make(2, A) != make(2.0, A)
    assert make(2, A) != make([2], A)


def test_closures_of_other_functions_must_have_other_structures():
    one, other = (lambda x=A: x), (lambda x=A: x)
    assert tree.structure(Closure(one)) != tree.structure(Closure(other))


def test_template_must_differ_from_other_objects():
    template = Closure(cells()).template
    assert template != "template"
    assert template == Closure(cells()).template
    assert hash(template) == hash(Closure(cells()).template)


def test_structure_of_a_closure_must_hold_no_values():
    treedef = tree.structure(Closure(Plain(A).method))
    made = tree.unflatten(treedef, [B])
    assert find_captured(made.template.function) == []
