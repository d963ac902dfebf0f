"""Transposition: cotangents through linear programs, backwards."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    ShapeDtypeStruct,
    grad,
    jit,
    lax,
    linear_transpose,
    make_jaxpr,
    vmap,
)
from pullback.core.jaxpr import evaluate
from pullback.core.primitive import Primitive
from pullback.core.zero import is_zero
from pullback.errors import GradError, LinearityError, RuleArityError, TreeError
from pullback.primitives.structural import frozen
from pullback.transforms.linearize import linearize_flat
from pullback.transforms.transpose import backward, transpose_jaxpr


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_transpose_of_a_linear_function(wrap):
    m = jnp.arange(6.0).reshape(2, 3)
    transposed = linear_transpose(wrap(lambda x: m @ x), jnp.ones(3))
    np.testing.assert_array_equal(transposed(jnp.array([1.0, 10.0]))[0], [30, 41, 52])


def test_transpose_keeps_containers_and_takes_stand_ins():
    aval = ShapeDtypeStruct((), "float32")
    transposed = linear_transpose(lambda d, z: [2 * d["a"] + z, z], {"a": aval}, aval)
    assert transposed([1.0, 10.0]) == ({"a": 2.0}, 11.0)


def test_transpose_works_under_transformations():
    transposed = linear_transpose(lambda x: 3 * x, 1.0)
    np.testing.assert_array_equal(vmap(transposed)(jnp.arange(2.0))[0], [0, 3])
    assert jit(transposed)(2.0) == (6.0,)


@pytest.mark.parametrize("wrong", [jnp.sin, lambda x: x * x, lambda x: x + 1.0])
def test_transpose_of_something_not_linear(wrong):
    with pytest.raises(LinearityError, match="linear"):
        linear_transpose(wrong, 1.0)(1.0)


def test_transpose_errors_name_argument_and_output():
    with pytest.raises(GradError, match=r"argument of type i32\[\].*onvert it"):
        linear_transpose(lambda x: x, 1)
    with pytest.raises(TreeError, match="structure"):
        linear_transpose(lambda x: {"a": x}, 1.0)({"b": 1.0})


def test_the_cotangent_of_a_transpose_must_fit_the_output():
    transposed = linear_transpose(lambda x: (2 * x, x), jnp.ones(3))
    with pytest.raises(TreeError, match=r"cotangent\[0\] is f32\[4\] where f32\[3\]"):
        transposed((jnp.ones(4), jnp.ones(3)))
    (found,) = transposed((None, jnp.ones(3, jnp.float16)))
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, [1, 1, 1])


def test_backward_adds_up_and_leaves_zeros_symbolic():
    x, y, z = map(jnp.float32, (2.0, 3.0, 4.0))
    _, program = linearize_flat(lambda x, y, z: [x * y + x, y], [x, y, z])
    one = jnp.float32(1.0)
    found = backward(program, [one, None])
    assert (found[0], found[1]) == (4.0, 2.0)
    assert is_zero(found[2])
    assert backward(program, [None, one])[1] == 1.0


def test_backward_can_give_residuals_back_as_it_goes():
    _, program = linearize_flat(lambda x: [jnp.sin(jnp.exp(x))], [jnp.float32(1.0)])
    backward(program, [jnp.float32(1.0)], consume=True)
    assert program.steps == []


def test_transposed_program_gives_what_was_asked():
    jaxpr = make_jaxpr(lambda c, t, u: (c * t, t))(2.0, 1.0, 1.0).jaxpr
    back, nonzero = transpose_jaxpr(jaxpr, [False, True, True], [True, True])
    assert nonzero == [True, False]
    (t_bar,) = evaluate(back, list(map(jnp.float32, (2.0, 5.0, 7.0))))
    assert t_bar == 17.0
    back, nonzero = transpose_jaxpr(jaxpr, [False, True, True], [True, False], True)
    assert len(back.outputs) == 2


@frozen
class Careless(Primitive):
    """A linear operation whose transpose rule forgets what to give."""

    found: object

    linear = ((0,), (1,))

    def abstract(self, x, y):
        return x

    def eager(self, x, y):
        return x

    def jvp(self, primals, tangents):
        return self(*primals), self(tangents[0], primals[1])

    def transpose(self, ct, x, y):
        return self.found


@pytest.mark.parametrize(
    ("found", "given"),
    [((1.0,), "1 entries"), (None, "a NoneType"), ((1.0,) * 3, "3 entries")],
)
def test_transpose_rule_without_one_entry_an_operand_is_refused(found, given):
    message = f"transpose rule of operation careless returned {given}; .* 2 operands"
    with pytest.raises(RuleArityError, match=message) as caught:
        grad(lambda x: Careless(found)(x, 2.0))(1.0)
    assert "Let Careless.transpose return a tuple" in str(caught.value)


def test_results_that_nothing_needs_are_not_transposed():
    def f(x):
        lax.top_k(x * 2, 2)
        return x.sum()

    np.testing.assert_array_equal(grad(f)(jnp.arange(3.0)), np.ones(3))
