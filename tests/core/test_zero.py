"""Symbolic zeros, forbidden tangents, and values that are not known."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import SymbolicZero, custom_jvp, custom_vjp, dtypes, float0, grad
from pullback.core.aval import Aval
from pullback.core.zero import Forbidden, Unknown, Zero, is_zero
from pullback.transforms.linearize import LinearTracer

F32 = Aval((2,), dtypes.float32)


def test_zero_must_have_the_type_it_was_given():
    assert Zero(F32).aval is F32


@pytest.mark.parametrize(
    ("like", "aval"),
    [
        (jnp.ones(2), F32),
        (np.ones(2, np.float32), F32),
        (jnp.arange(2), Aval((2,), float0)),
        (1.0, Aval((), dtypes.float32, True)),
        (1, Aval((), float0)),
    ],
    ids=str,
)
def test_zero_like_a_value_must_have_its_tangent_type(like, aval):
    assert Zero(like=like).aval == aval


def test_zero_must_not_keep_the_value_it_is_like():
    zero = Zero(like=jnp.ones(2))
    assert zero.aval is zero.aval
    assert zero._like is None


def test_zero_must_print_its_type():
    assert repr(Zero(F32)) == "Zero(f32[2])"
    assert repr(SymbolicZero(F32)) == "SymbolicZero(f32[2])"


def test_is_zero_must_tell_zeros_by_structure_only():
    assert is_zero(Zero(F32))
    assert is_zero(SymbolicZero(F32))
    assert not is_zero(jnp.zeros(2))


def test_rule_must_receive_zeros_with_shape_and_dtype():
    seen = []
    f = custom_jvp(lambda x, y: x * y.sum())

    def rule(primals, tangents):
        seen.append(tangents[1])
        return f(*primals), tangents[0]

    f.defjvp(rule, symbolic_zeros=True)
    grad(f)(1.0, jnp.ones(3))
    assert type(seen[0]) is SymbolicZero
    assert (seen[0].shape, seen[0].dtype) == ((3,), np.float32)


def test_forbidden_tangent_must_keep_what_makes_its_error():
    forbidden = Forbidden(F32, lambda: ValueError("late"), "source")
    assert (forbidden.aval, forbidden.source) == (F32, "source")
    with pytest.raises(ValueError, match="late"):
        raise forbidden.error()


def test_forbidden_tangent_must_not_disturb_who_does_not_ask():
    f = custom_vjp(lambda x, c: x * c)
    f.defvjp(lambda x, c: (f(x, c), c), lambda c, g: (g * c, None))
    assert grad(lambda x: f(x, 3.0) + 2 * x)(1.0) == 5.0


def test_recorded_tangents_must_be_unknown():
    assert issubclass(LinearTracer, Unknown)
    assert not isinstance(jnp.ones(2), Unknown)
