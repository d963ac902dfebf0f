"""What is linear in what, and the errors about it."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, jit, make_jaxpr
from pullback.core.jaxpr import evaluate
from pullback.core.primitive import Primitive
from pullback.errors import LinearityError
from pullback.primitives.structural import frozen
from pullback.primitives.table import add, mul, sin
from pullback.transforms.linearity import linear_group
from pullback.transforms.split import split_jaxpr


def program(f, *args):
    return make_jaxpr(f)(*args).jaxpr


def run(parts, known, given):
    """Run both parts of a split program, and put the outputs together."""
    results = evaluate(parts.known, known)
    pool = [*known, *results]
    dots = iter(evaluate(parts.linear, [*[pool[i] for i in parts.sources], *given]))
    plain = iter(results)
    return [float(next(dots) if n else next(plain)) for n in parts.out_linear]


@pytest.mark.parametrize("wrap", [lambda f: f, jit, lambda f: jit(jit(f))])
def test_program_is_split_by_what_tangents_reach(wrap):
    f = wrap(lambda x, t: (jnp.cos(x), jnp.sin(x) * t, t + 2 * t, x))
    parts = split_jaxpr(program(f, 1.0, 2.0), [False, True])
    assert parts.out_linear == [False, True, True, False]
    got = run(parts, [jnp.float32(3.0)], [jnp.float32(5.0)])
    np.testing.assert_allclose(got, [np.cos(3), 5 * np.sin(3), 15, 3], rtol=1e-6)


def test_split_is_kept_on_the_program():
    jaxpr = program(lambda x, t: x * t, 1.0, 2.0)
    assert split_jaxpr(jaxpr, [False, True]) is split_jaxpr(jaxpr, [False, True])


def test_constants_are_made_in_both_parts_rather_than_passed():
    parts = split_jaxpr(program(lambda t: t * jnp.full(3, 2.0), 1.0), [True])
    assert parts.known.outputs == ()
    assert parts.sources == []


def test_zeros_may_be_added_to_a_tangent():
    f = lambda x, t: t + jnp.zeros(3) + jnp.zeros_like(x)  # noqa: E731
    assert split_jaxpr(program(f, jnp.ones(3), jnp.ones(3)), [False, True])


WRONG = {
    "product": lambda x, t: t * t,
    "sine": lambda x, t: jnp.sin(t),
    "quotient": lambda x, t: x / t,
    "constant": lambda x, t: t + 1.0,
    "primal": lambda x, t: t - x,
    "full": lambda x, t: t + jnp.full((), 3.0),
    "inside jit": lambda x, t: jit(lambda t: t * t)(t),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_program_that_is_not_linear_is_refused_at_its_line(wrong):
    with pytest.raises(LinearityError, match="linear") as caught:
        split_jaxpr(program(WRONG[wrong], 1.0, 2.0), [False, True])
    line = WRONG[wrong].__code__.co_firstlineno
    assert f"test_linearity.py:{line} " in str(caught.value)


def test_groups_of_linear_operands():
    assert linear_group(mul, (True, False)) == (0,)
    assert linear_group(mul, (True, True)) is None
    assert linear_group(add, (True, True)) == (0, 1)
    assert linear_group(sin, (True,)) is None


@frozen
class Doubled(Primitive):
    """An operation from outside that does not say that it is linear."""

    def abstract(self, x):
        return x

    def eager(self, x):
        return x + x

    def jvp(self, primals, tangents):
        return self(primals[0]), self(tangents[0])


def test_operation_from_outside_is_told_to_declare_itself():
    with pytest.raises(LinearityError) as caught:
        grad(Doubled())(1.0)
    message = str(caught.value)
    assert "operation doubled was applied to a tangent" in message
    assert "If Doubled is linear there, say so in its class" in message
    assert "`linear = ((0,),)`" in message
