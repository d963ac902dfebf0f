"""The object a decorator makes: how rules are attached to it."""

import gc

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    custom_jvp,
    custom_transpose,
    custom_vjp,
    grad,
    jvp,
    linear_transpose,
    vmap,
)
from pullback.custom_batching import custom_vmap
from pullback.errors import ForwardModeError, RuleArityError


def double():
    return custom_vjp(lambda x: 2.0 * x)


def test_decorating_again_keeps_how_forward_mode_was_set():
    inner = custom_vjp(lambda x: 2.0 * x, forward="transpose")
    assert custom_jvp(inner).forward == "transpose"
    assert custom_jvp(double(), forward="transpose").forward == "transpose"


def test_rules_reach_the_outer_functions_that_are_still_there():
    inner = double()
    outer = custom_jvp(inner)
    custom_jvp(inner)  # and is gone at once
    gc.collect()
    inner.defvjp(lambda x: (2.0 * x, None), lambda _, g: (7.0 * g,))
    assert grad(outer)(1.0) == 7.0


def test_function_without_a_signature_takes_rules_of_any_arity():
    f = custom_jvp(max)
    assert f.call_signature.signature is None
    f.defjvps(lambda t, ans, x, y: 3.0 * t, None)
    assert grad(f)(2.0, 1.0) == 3.0


def test_options_of_defjvp_come_before_the_rule():
    f = custom_jvp(lambda x, y: x * y)

    @f.defjvp(symbolic_zeros=True)
    def f_jvp(primals, tangents):
        x, y = primals
        assert type(tangents[1]).__name__ == "SymbolicZero"
        return f(x, y), 5.0 * tangents[0]

    assert grad(f)(1.0, 2.0) == 5.0


def test_variadic_functions_take_rules_of_any_arity():
    f = custom_jvp(lambda *xs: sum(xs))
    f.defjvps(lambda t, ans, *xs: 2.0 * t, lambda t, ans, *xs: 3.0 * t)
    assert grad(f, (0, 1))(1.0, 1.0) == (2.0, 3.0)
    g = custom_vmap(lambda *xs: sum(xs))
    g.def_vmap(lambda size, batched, *xs: (sum(xs) + 10.0, True))
    np.testing.assert_array_equal(vmap(g)(jnp.ones(2), jnp.ones(2)), [12.0, 12.0])
    h = custom_transpose(lambda r, *xs: xs[0] * r)
    h.def_transpose(lambda r, ct: 5.0 * ct)
    assert linear_transpose(lambda x: h(2.0, x), 1.0)(1.0) == (5.0,)


def test_a_rule_that_is_no_function_is_refused():
    for attach in (double().def_fwd, double().def_bwd):
        with pytest.raises(RuleArityError, match="must be a function; got a int"):
            attach(3)


def test_forward_mode_of_a_function_without_rules_is_refused():
    with pytest.raises(Exception, match="no derivative rule") as caught:
        jvp(double(), (1.0,), (1.0,))
    assert not isinstance(caught.value, ForwardModeError)
