"""Containers: flattened, rebuilt, walked with paths, and registered."""

import collections
import dataclasses
import pickle
from typing import Any, NamedTuple

import pytest

import pullback.numpy as jnp
from pullback import grad, jit, tree, tree_util, vmap
from pullback.errors import TreeError
from pullback.tree import Partial


class Point(NamedTuple):
    x: object
    y: object


@tree.register_node_class
class Pair:
    """Two children, and a label that is static."""

    def __init__(self, first, second, label="pair"):
        self.first, self.second, self.label = first, second, label

    def tree_flatten(self):
        return (self.first, self.second), self.label

    @classmethod
    def tree_unflatten(cls, label, children):
        return cls(*children, label)


@tree.register_dataclass
@dataclasses.dataclass
class Layer:
    """All fields are data."""

    weight: object
    bias: object
    size: int = dataclasses.field(default=0, init=False)


@dataclasses.dataclass(frozen=True)
class Dense:
    """One field is static."""

    weight: object
    name: str


tree_util.register_dataclass(Dense, meta_fields=["name"])

EXAMPLE: Any = {"b": [1, (2, None)], "a": Point(3, {})}


# Flattening.


def test_leaves_must_come_in_the_order_of_sorted_keys():
    assert tree.leaves(EXAMPLE) == [3, 1, 2]


def test_flatten_must_be_undone_by_unflatten():
    leaves, treedef = tree.flatten(EXAMPLE)
    assert tree.unflatten(treedef, leaves) == EXAMPLE
    assert treedef.unflatten(leaves) == EXAMPLE


@pytest.mark.parametrize(
    "x",
    [
        1,
        None,
        (),
        [],
        {},
        Point(1, 2),
        collections.OrderedDict(b=1, a=2),
        collections.defaultdict(list, a=1),
        collections.deque([1, 2]),
    ],
    ids=repr,
)
def test_container_must_keep_its_class(x):
    leaves, treedef = tree.flatten(x)
    made = treedef.unflatten(leaves)
    assert made == x
    assert type(made) is type(x)


def test_none_must_be_an_empty_container():
    assert tree.leaves([None, 1, None]) == [1]
    assert not tree.is_leaf(None)


def test_is_leaf_must_stop_the_walk():
    found = tree.leaves(EXAMPLE, is_leaf=lambda x: isinstance(x, tuple))
    assert found == [Point(3, {}), 1, (2, None)]


def test_structures_must_be_equal_if_containers_are():
    assert tree.structure({"a": 1, "b": 2}) == tree.structure({"b": 3, "a": "x"})
    assert tree.structure((1,)) != tree.structure([1])
    assert hash(tree.structure((1,))) == hash(tree.structure((2,)))


def test_map_must_take_several_trees():
    other = tree.map(lambda x: 10 * x, EXAMPLE)
    assert tree.map(lambda x, y: x + y, EXAMPLE, other)["b"] == [11, (22, None)]


def test_map_must_refuse_other_structures():
    with pytest.raises(ValueError, match=r"tuple"):
        tree.map(lambda x, y: x, (1, 2), [1, 2])


def test_reduce_and_all_must_go_over_the_leaves():
    assert tree.reduce(lambda x, y: x + y, EXAMPLE) == 6
    assert tree.all({"a": True, "b": [1]})
    assert not tree.all({"a": True, "b": [0]})


def test_transpose_must_turn_a_tree_of_trees_inside_out():
    outer, inner = tree.structure([0, 0]), tree.structure({"a": 0})
    got = tree.transpose(outer, inner, [{"a": 1}, {"a": 2}])
    assert got == {"a": [1, 2]}


def test_one_level_must_give_children_and_their_entries():
    level = tree.one_level({"b": 1, "a": [2]})
    assert (list(level.entries), list(level.children)) == (["a", "b"], [[2], 1])


# Paths.


def test_path_must_be_written_as_one_indexes():
    assert tree.path_strings(EXAMPLE) == ["['a'].x", "['b'][0]", "['b'][1][0]"]
    assert tree.path_strings(3) == [""]


def test_leaves_must_come_with_paths():
    pairs, treedef = tree.flatten_with_path(EXAMPLE)
    assert [tree.path_string(p) for p, _ in pairs] == tree.path_strings(EXAMPLE)
    assert treedef.unflatten([x for _, x in pairs]) == EXAMPLE
    assert tree.leaves_with_path(EXAMPLE) == pairs
    keys = [tree_util.DictKey("b"), tree_util.SequenceKey(1), tree_util.SequenceKey(0)]
    assert pairs[2] == (tuple(keys), 2)
    assert pairs[0][0][1] == tree_util.GetAttrKey("x")


def test_flatten_with_path_must_stop_at_leaves():
    pairs, _ = tree.flatten_with_path(EXAMPLE, lambda x: isinstance(x, list))
    assert [tree.path_string(p) for p, _ in pairs] == ["['a'].x", "['b']"]


def test_a_path_may_decide_what_is_a_leaf():
    at = lambda path, x: tree.path_string(path) in ("['b'][1]", "['a'].x")  # noqa: E731
    pairs, treedef = tree.flatten_with_path(EXAMPLE, at, is_leaf_takes_path=True)
    assert [x for _, x in pairs] == [3, 1, (2, None)]
    assert treedef.unflatten([0, 0, 0]) == {"b": [0, 0], "a": Point(0, {})}
    named = tree.map_with_path(
        lambda p, x: tree.path_string(p), EXAMPLE, is_leaf=at, is_leaf_takes_path=True
    )
    assert named["b"][1] == "['b'][1]"


def test_keys_must_be_compared_shown_and_written_simply():
    keys = [tree.DictKey("a"), tree.SequenceKey(0), tree.GetAttrKey("x")]
    keys.append(tree.FlattenedIndexKey(2))
    assert tree_util.keystr(keys) == "['a'][0].x[<flat index 2>]"
    assert tree_util.keystr(keys, simple=True, separator="/") == "a/0/x/2"
    assert repr(keys[:2]) == "[DictKey(key='a'), SequenceKey(idx=0)]"
    assert {tree.DictKey("a"): 1}[keys[0]] == 1
    assert tree.DictKey(2) != tree.FlattenedIndexKey(2)


def test_map_with_path_must_give_path_and_leaves():
    got = tree.map_with_path(
        lambda p, x, y: (tree.path_string(p), x, y), {"a": [1]}, {"a": [2]}
    )
    assert got == {"a": [("['a'][0]", 1, 2)]}


def test_prefix_must_be_repeated_for_the_leaves_below():
    assert tree.broadcast_prefix({"a": 1, "b": 2}, {"a": [0, 0], "b": 0}) == [1, 1, 2]


def test_prefix_must_hold_none_if_it_is_a_leaf():
    found = tree.broadcast_prefix((None, 0), ([1, 2], 3), lambda x: x is None)
    assert found == [None, None, 0]


def test_prefix_must_become_a_tree_like_the_whole():
    assert tree.broadcast((1, 2), ([3, 4], 5)) == ([1, 1], 2)


def test_leaves_must_be_combined_in_pairs():
    text = tree.reduce_associative(lambda x, y: f"({x}{y})", list("abcde"))
    assert text == "(((ab)(cd))e)"
    assert tree.reduce_associative(max, [], identity=3) == 3
    with pytest.raises(TreeError, match="without leaves"):
        tree.reduce_associative(max, [])
    assert tree.reduce(lambda x, y: x + y, [1, 2], initializer=10) == 13


def test_structures_must_be_taken_apart_and_made():
    treedef = tree_util.treedef_tuple([tree.structure(1), tree.structure([1])])
    assert treedef == tree.structure((1, [2]))
    assert tree_util.treedef_children(treedef) == [
        tree.structure(0),
        tree.structure([0]),
    ]
    assert tree_util.treedef_is_leaf(tree.structure(0))
    assert not tree_util.treedef_is_leaf(treedef)
    assert tree.transpose(treedef, None, ({"a": 1}, [{"a": 2}])) == {"a": (1, [2])}


def test_containers_must_be_told_from_leaves():
    assert tree_util.all_leaves([1, "a"])
    assert not tree_util.all_leaves([1, None])
    assert not tree_util.all_leaves([1, [2]])
    assert tree_util.all_leaves([[1]], is_leaf=lambda x: isinstance(x, list))
    assert [tree_util.is_tree_node(c) for c in (list, Pair, int)] == [True, True, False]
    assert tree_util.flatten_one_level({"b": 1, "a": [2]})[0] == [[2], 1]
    keyed = tree_util.flatten_one_level_with_keys(Point(1, 2))[0]
    assert keyed == [(tree.GetAttrKey("x"), 1), (tree.GetAttrKey("y"), 2)]
    with pytest.raises(TreeError, match="a int is a leaf"):
        tree_util.flatten_one_level(3)


# Registered classes.


@tree_util.register_pytree_with_keys_class
class Named:
    """Names its children itself."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def tree_flatten_with_keys(self):
        return [(tree.GetAttrKey("x"), self.x), ("!y", self.y)], None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(*children)


@tree.register_static
@dataclasses.dataclass(frozen=True)
class Mode:
    """Is part of the structure."""

    name: str


@dataclasses.dataclass
class Block:
    """Says itself which fields are static."""

    weight: object
    units: int = tree.static(default=3)
    cache: object = None


tree.register_dataclass(Block, drop_fields=["cache"])


def test_registered_keys_must_stand_in_paths():
    assert tree.path_strings([Named(1, [2])]) == ["[0].x", "[0]!y[0]"]
    assert tree.path_strings(Layer(1, 2)) == [".weight", ".bias"]
    assert tree.path_strings(Partial(max, 1, key=2)) == [".args[0]", ".keywords['key']"]
    assert tree.path_strings(Pair(1, 2)) == ["[<flat index 0>]", "[<flat index 1>]"]
    assert jit(lambda n: n.x + n.y)(Named(1.0, 2.0)) == 3.0


def test_static_objects_must_be_part_of_the_structure():
    assert tree.leaves([Mode("a"), 1]) == [1]
    assert tree.structure(Mode("a")) != tree.structure(Mode("b"))
    assert jit(lambda m, x: x * len(m.name))(Mode("abc"), 2.0) == 6.0
    x = Block(1.0, 5, "cached")
    assert (tree.leaves(x), tree.map(str, x)) == ([1.0], Block("1.0", 5))


OBJECTS = {
    "class": (lambda x: Pair(x, [x]), ".first"),
    "dataclass": (lambda x: Layer(x, x), ".weight"),
    "static field": (lambda x: Dense(x, "dense"), ".weight"),
    "partial": (lambda x: Partial(max, x, key=x), ".args"),
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_registered_object_must_be_rebuilt(kind):
    x = OBJECTS[kind][0](1)
    made = tree.map(lambda leaf: leaf + 1, x)
    assert type(made) is type(x)
    assert set(tree.leaves(made)) == {2}


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("transform", [grad, jit, lambda f: jit(grad(f))])
def test_registered_object_must_go_through_transformations(kind, transform):
    f = lambda x: sum(y * y for y in tree.leaves(x))  # noqa: E731
    out = transform(f)(OBJECTS[kind][0](jnp.float32(3.0)))
    if transform is jit:
        assert out == 9.0 * len(tree.leaves(OBJECTS[kind][0](0)))
    else:
        assert {float(y) for y in tree.leaves(out)} == {6.0}


def test_registered_object_must_be_mapped():
    out = vmap(lambda p: Pair(p.second, p.first))(Pair(jnp.arange(2), jnp.zeros(2)))
    assert out.second.tolist() == [0, 1]


def test_static_data_must_be_part_of_the_structure():
    one, other = Pair(1, 2, "one"), Pair(1, 2, "other")
    assert tree.structure(one) != tree.structure(other)
    assert tree.structure(Dense(1, "a")) != tree.structure(Dense(1, "b"))


def test_fields_not_initialized_must_be_no_children():
    assert len(tree.leaves(Layer(1, 2))) == 2


def test_dataclass_may_name_its_data():
    @dataclasses.dataclass
    class Chosen:
        weight: object
        note: object = None

    tree.register_dataclass(Chosen, data_fields=["weight"])
    assert tree.leaves(Chosen(1, 2)) == [1]


def test_registering_twice_must_be_refused():
    with pytest.raises(ValueError, match=r"already registered"):
        tree.register_node_class(Pair)


def test_listeners_must_hear_of_new_containers(monkeypatch):
    class Box:
        """A container of one."""

    heard: list = []
    monkeypatch.setattr(
        tree, "registration_listeners", [lambda *new: heard.append(new)]
    )
    flatten, unflatten = (lambda x: ((), None)), (lambda aux, children: Box())
    tree.register_node(Box, flatten, unflatten)
    assert heard == [(Box, flatten, unflatten)] == tree.registered[-1:]


def test_late_containers_must_go_through_compiled_functions():
    twice = jit(lambda p: p.first * 2)
    assert twice(Pair(2.0, 0.0)) == 4.0

    class Late(Pair):
        """Registered after the first compiled call."""

    tree.register_node_class(Late)
    assert twice(Late(3.0, 0.0)) == 6.0


def test_partial_must_be_called_as_the_one_of_functools():
    f = Partial(lambda x, y, z: (x, y, z), 1, z=3)
    assert f(2) == (1, 2, 3)
    assert tree.leaves(f) == [1, 3]


def test_partial_must_be_an_argument_of_compiled_functions():
    f = jit(lambda g, x: g(x))
    assert f(Partial(pow, 2.0), 3.0) == 8.0


def test_structures_of_plain_containers_must_be_pickled():
    treedef = tree.structure(EXAMPLE["b"])
    assert pickle.loads(pickle.dumps(treedef)) == treedef


def test_longer_names_must_be_those_of_the_ecosystem():
    for name in tree_util.__all__:
        assert getattr(tree_util, name) is not None
    assert tree_util.tree_map is tree.map
    assert tree_util.keystr is tree.path_string
    assert tree_util.register_pytree_node_class is tree.register_node_class


def test_fields_marked_static_are_static():
    @tree.register_dataclass
    @dataclasses.dataclass
    class Power:
        base: float
        exponent: int = dataclasses.field(default=2, metadata={"static": True})

    x = Power(3.0, 4)
    assert tree.leaves(x) == [3.0]
    assert tree.map(lambda y: 2 * y, x) == Power(6.0, 4)
    assert tree.structure(x) != tree.structure(Power(3.0, 5))
    assert grad(lambda x: x.base**x.exponent)(x) == Power(108.0, 4)
