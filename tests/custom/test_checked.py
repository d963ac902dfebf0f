"""Decorated functions with checks: in the function, and in whichever rule runs."""

from types import SimpleNamespace

import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, custom_transpose, custom_vjp, grad, jit, jvp, lax, vmap
from pullback.custom.checked import CheckedPull
from pullback.custom_batching import custom_vmap
from pullback.errors import CheckError, StagedCheckError
from pullback.experimental.checkify import check, checkify, debug_check, nan_checks


def short(error):
    return error.get() and error.get().split(" (`")[0]


def message(f, *args):
    return short(f(*args)[0])


@custom_jvp
def forward_rule(x):
    check(x > 0, "function: {}", x)
    return x * x


@forward_rule.defjvp
def forward_rule_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    check(x > 1, "jvp: {}", x)
    return x * x, 3 * t


@custom_vjp
def reverse_rule(x):
    check(x > 0, "function: {}", x)
    return x * x


def reverse_rule_fwd(x):
    check(x > 1, "fwd: {}", x)
    return x * x, x


def reverse_rule_bwd(x, ct):
    check(x > 2, "bwd: {}", x)
    return (5 * ct,)


reverse_rule.defvjp(reverse_rule_fwd, reverse_rule_bwd)

BOTH = pytest.mark.parametrize("f", [forward_rule, reverse_rule])


@BOTH
def test_functions_are_checked_where_nothing_is_differentiated(f):
    for way in (checkify(f), jit(checkify(f)), checkify(jit(f))):
        assert message(way, -1.0) == "function: -1.0"
        assert message(way, 0.5) is None


@BOTH
def test_mapped_functions_are_checked(f):
    xs = jnp.array([1.0, -1.0])
    for way in (vmap(checkify(f)), checkify(vmap(f)), jit(vmap(checkify(f)))):
        assert message(way, xs) == "at mapped index 1: function: -1.0"


def ways_of(slope):
    return checkify(slope), jit(checkify(slope)), checkify(jit(slope))


def test_forward_rules_are_checked_in_the_functions_place():
    for way in ways_of(grad(forward_rule)):
        assert message(way, -1.0) == "jvp: -1.0"
        assert way(2.0)[1] == 3
    tangent = checkify(lambda x: jvp(forward_rule, (x,), (1.0,)))
    assert message(tangent, 0.5) == "jvp: 0.5"


def test_reverse_rules_are_checked_in_the_functions_place():
    for way in ways_of(grad(reverse_rule)):
        assert message(way, -1.0) == "fwd: -1.0"
        assert message(way, 1.5) == "bwd: 1.5"
        assert way(3.0)[1] == 5


def test_rules_in_loops_are_checked():
    def f(x):
        return lax.scan(lambda c, _: (reverse_rule(c), None), x, None, length=2)[0]

    for way in ways_of(grad(f)):
        assert message(way, 1.5) == "bwd: 1.5" or message(way, 1.5) == "bwd: 2.25"
        assert message(way, 0.5) == "fwd: 0.5"


def with_error(f):
    def value_and_error(x):
        error, y = checkify(f)(x)
        return y, error

    return value_and_error


def test_rules_run_by_an_outer_gradient_say_what_they_found():
    slope, error = grad(with_error(forward_rule), has_aux=True)(0.5)
    assert (slope, short(error)) == (3, "jvp: 0.5")
    mapped = vmap(grad(with_error(forward_rule), has_aux=True))
    _, error = mapped(jnp.array([2.0, 0.5]))
    assert short(error) == "at mapped index 1: jvp: 0.5"


def test_backward_rules_run_by_an_outer_gradient_raise_by_themselves():
    outer = grad(with_error(reverse_rule), has_aux=True)
    slope, error = outer(3.0)
    assert (slope, short(error)) == (5, None)
    with pytest.raises(CheckError, match=r"bwd: 0\.5"):
        outer(0.5)


def test_rules_of_programs_are_refused_if_differentiated_outside():
    for f in (forward_rule, reverse_rule):
        staged = jit(checkify(f))
        with pytest.raises(StagedCheckError, match=r"inside: checkify\(grad\(f\)\)"):
            grad(lambda x, g=staged: g(x)[1])(3.0)


def test_a_rule_with_the_functions_checks_is_no_stranger_to_programs():
    def positive(x):
        check(x > 0, "positive: {}", x)
        return x * x

    @custom_jvp
    def square(x):
        return positive(x)

    @square.defjvp
    def square_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        return positive(x), 7 * t

    staged = jit(checkify(square))
    slope, error = grad(lambda x: staged(x)[::-1], has_aux=True)(-1.0)
    assert (slope, short(error)) == (7, "positive: -1.0")


def test_what_a_rule_checks_beyond_its_function_is_taken_apart():
    def positive(x):
        check(x > 0, "positive: {}", x)
        return x * x

    @custom_jvp
    def square(x):
        return positive(x)

    @square.defjvp
    def square_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        debug_check(x < 9, "not known to the program: {}", x)
        return positive(x), 7 * t

    staged = jit(checkify(square))
    slope, error = grad(lambda x: staged(x)[::-1], has_aux=True)(-1.0)
    assert (slope, short(error)) == (7, "positive: -1.0")
    _, error = grad(lambda x: staged(x)[::-1], has_aux=True)(10.0)
    assert short(error) is None


def test_rules_may_check_less_than_their_functions():
    @custom_vjp
    def f(x):
        check(x > 0, "function: {}", x)
        check(x > -5, "function again: {}", jnp.sin(x))
        return x * x

    f.defvjp(lambda x: (x * x, x), lambda x, ct: (ct,))
    staged = jit(checkify(f))
    slope, error = grad(lambda x: staged(x)[::-1], has_aux=True)(-1.0)
    assert (slope, short(error)) == (1, None)


def test_automatic_checks_of_rules_are_dropped_if_differentiated_outside():
    for times in (lambda x: x, lambda x: 2 * x):
        f = custom_jvp(times)
        f.defjvps(lambda t, ans, x: t / jnp.sqrt(x))
        staged = jit(checkify(f, errors=nan_checks))
        _, error = grad(lambda x, g=staged: g(x)[::-1], has_aux=True)(-1.0)
        assert error.get() is None
        assert error.info == checkify(times, errors=nan_checks)(jnp.float32(-1))[0].info


def test_programs_without_checks_in_their_functions_stay_as_they_are():
    f = custom_jvp(lambda x: 2 * x)
    f.defjvps(lambda t, ans, x: 7 * t)
    error, slope = checkify(jit(grad(lambda x: jit(f)(x) * 3)))(1.0)
    assert (slope, error.info.records) == (21, ())
    error, out = checkify(jit(f))(1.0)
    assert (out, error.info.records) == (2, ())


def test_functions_without_checks_keep_their_batching_rules():
    @custom_vmap
    def f(x):
        return x

    f.defvmap(lambda size, batched, x: (x + 100, True))
    xs = jnp.zeros(2)
    for way in (vmap(checkify(f)), jit(vmap(checkify(f))), checkify(vmap(f))):
        assert way(xs)[1].tolist() == [100, 100]


def test_functions_with_checks_are_mapped_without_their_batching_rules():
    @custom_vmap
    def f(x):
        check(x > 0, "function: {}", x)
        return x

    f.defvmap(lambda size, batched, x: (x + 100, True))
    xs = jnp.array([1.0, -1.0])
    for way in (vmap(checkify(f)), jit(vmap(checkify(f)))):
        error, ys = way(xs)
        assert short(error) == "at mapped index 1: function: -1.0"
        assert ys.tolist() == [1, -1]


def test_rules_are_named_as_they_were():
    inner = SimpleNamespace(name="bwd", out_avals=[])
    assert CheckedPull(inner, []).name == "bwd"


def test_functions_with_transposes_are_left_alone():
    @custom_transpose
    def f(x):
        return 2 * x

    f.def_transpose(lambda ct: 10 * ct)
    assert checkify(grad(f))(1.0)[1] == 10
    slope, _ = grad(with_error(f), has_aux=True)(1.0)
    assert slope == 10


def test_forward_mode_through_a_transposed_backward_rule_is_checked():
    f = custom_vjp(lambda x: x * x, forward="transpose")

    def bwd(x, ct):
        check(x > 2, "bwd: {}", x)
        return (2 * x * ct,)

    f.defvjp(lambda x: (x * x, x), bwd)
    tangent = checkify(lambda x: jvp(f, (x,), (1.0,)))
    assert message(tangent, 1.0) == "bwd: 1.0"
    assert tangent(3.0)[1] == (9, 6)
    _, dot, error = jvp(with_error(f), (3.0,), (1.0,), has_aux=True)
    assert (dot, short(error)) == (6, None)
