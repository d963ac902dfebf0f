import collections

import pytest

import pullback.numpy as jnp
from pullback import custom_vjp, grad, tree, tree_util
from pullback.errors import RuleShapeError, RuleTreeError
from pullback.tree import structure_text

Point = collections.namedtuple("Point", "x y")


@tree_util.register_pytree_node_class
class Pair:
    def __init__(self, a, b):
        self.a, self.b = a, b

    def tree_flatten(self):
        return (self.a, self.b), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(*children)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "*"),
        (None, "None"),
        ((), "()"),
        ((1.0,), "(*,)"),
        ((1.0, [2.0, None]), "(*, [*, None])"),
        ({"a": 1.0, 3: {}}, "{'a': *, 3: {}}"),
        (Point(1.0, (2.0,)), "Point(x=*, y=(*,))"),
        (Pair(1.0, [2.0]), "Pair(*, [*])"),
    ],
)
def test_structures_are_written_as_their_containers_are(value, text):
    structure = tree.structure({0: value})
    assert structure_text(structure) == f"{{0: {text}}}"


def test_function_without_captured_values_is_the_zero_of_one():
    f = custom_vjp(lambda g, x: g(x))
    f.defvjp(lambda g, x: (g(x), None), lambda res, ct: (jnp.sin, 2.0 * ct))
    assert grad(f, 1)(jnp.cos, 1.0) == 2.0


def test_function_that_captures_a_value_is_no_cotangent_of_one_that_captures_none():
    a = jnp.float32(1.0)
    f = custom_vjp(lambda g, x: g(x))
    f.defvjp(lambda g, x: (g(x), None), lambda res, ct: (lambda x: a, ct))
    with pytest.raises(RuleTreeError, match="argument `g`"):
        grad(f, 1)(jnp.cos, 1.0)


def test_single_list_argument_takes_its_cotangent_bare():
    f = custom_vjp(lambda xs: xs[0] * xs[1])
    f.defvjp(lambda xs: (f(xs), xs), lambda xs, g: [xs[1] * g, xs[0] * g])
    assert grad(f)([2.0, 3.0]) == [3.0, 2.0]


def test_an_argument_of_a_function_without_a_signature_is_named_by_its_number():
    largest = custom_vjp(max)  # a builtin that tells of no parameters
    largest.defvjp(lambda *xs: (max(*xs), None), lambda _, ct: (ct, jnp.ones(2)))
    with pytest.raises(RuleShapeError, match=r"for argument `argument 1`.*f32\[2\]"):
        grad(largest)(3.0, 1.0)
