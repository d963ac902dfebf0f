"""`checkify` and `check`: what they raise, give and refuse, and what passes through."""

import pickle

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import config, grad, jit, lax, tree, value_and_grad, vmap
from pullback.errors import (
    ArgumentError,
    CheckError,
    StagedCheckError,
    TracerArrayError,
)
from pullback.experimental import checkify as module
from pullback.experimental.checkify import (
    all_checks,
    check,
    check_error,
    checkify,
    debug_check,
    float_checks,
    nan_checks,
    user_checks,
)


def logarithm(x):
    check(x > 0, "must be positive: {}", x)
    return jnp.log(x)


def message(f, *args, **options):
    """Gives the error's message without its place."""
    error, _ = checkify(f, **options)(*args)
    return short(error)


def short(error):
    return error.get() and error.get().split(" (`")[0]


# -- check -----------------------------------------------------------------------------


def test_check_raises_at_once_in_eager_code():
    with pytest.raises(CheckError, match=r"^must be positive: -1.0 \(`check` failed\)"):
        logarithm(-1.0)


def test_a_failed_check_is_a_value_error_under_the_ecosystems_name():
    with pytest.raises(module.JaxRuntimeError) as raised:
        check(False, "no")
    assert isinstance(raised.value, ValueError)


def test_check_says_where_it_stands():
    with pytest.raises(CheckError, match=r"At test_checkify.py:\d+ \(logarithm\)\.$"):
        logarithm(-1.0)


def test_check_passes_where_the_predicate_is_true():
    assert logarithm(1.0) == 0


def test_check_in_a_compiled_program_is_refused_before_it_runs():
    with pytest.raises(StagedCheckError) as raised:
        jit(logarithm)(1.0)
    text = str(raised.value)
    assert "the check 'must be positive: {}' is part of a compiled program" in text
    assert "cannot be abstractly evaluated" in text
    assert "(logarithm). Functionalize it: jit(checkify(f)) gives (error, out)" in text


def test_check_raises_in_an_eager_loop_at_the_step_that_fails():
    with pytest.raises(CheckError, match=r"must be positive: -1\.0"):
        lax.scan(lambda c, x: (c, logarithm(x)), 0.0, jnp.array([2.0, -1.0, -2.0]))


def test_check_raises_under_eager_grad_and_vmap():
    with pytest.raises(CheckError, match=r"must be positive: -1\.0"):
        grad(logarithm)(-1.0)
    with pytest.raises(
        CheckError, match=r"^at mapped index 1: must be positive: -2\.0"
    ):
        vmap(logarithm)(jnp.array([1.0, -2.0]))


def test_check_raises_where_jit_is_switched_off():
    config.disable_jit = True
    try:
        with pytest.raises(CheckError, match="must be positive"):
            jit(logarithm)(-1.0)
    finally:
        config.disable_jit = False


@pytest.mark.parametrize("pred", [1, np.array([True]), "yes"])
def test_check_refuses_what_is_no_scalar_boolean(pred):
    wanted = "check takes a scalar boolean as predicate; got"
    with pytest.raises(ArgumentError, match=wanted):
        check(pred, "no")
    with pytest.raises(ArgumentError, match="debug_check takes a scalar boolean"):
        debug_check(pred, "no")


def test_check_refuses_values_that_are_no_arrays():
    with pytest.raises(ArgumentError, match="a value for the message is a str, 'x'"):
        check(True, "{}", "x")


def test_messages_format_values_by_place_name_and_specification():
    def f(x):
        check(x["a"] < 0, "{0:.2f} of {rest[b]}, {rest[a]:d}", x["a"], rest=x)

    x = {"a": jnp.int32(3), "b": jnp.array([1.5, 2.0])}
    assert message(f, x) == "3.00 of [1.5 2. ], 3"


def test_debug_check_counts_under_checkify_only():
    def f(x):
        debug_check(x > 0, "no")
        check(x > 0, "nor this", debug=True)
        return x

    assert f(-1.0) == jit(f)(-1.0) == -1
    assert message(f, -1.0) == message(jit(f), -1.0) == "no"


# -- checkify --------------------------------------------------------------------------


def test_checkify_gives_the_error_and_the_output():
    error, out = checkify(logarithm)(-1.0)
    assert short(error) == "must be positive: -1.0"
    assert np.isnan(out)


def test_checkify_gives_no_error_where_all_checks_pass():
    error, out = checkify(logarithm)(1.0)
    assert error.get() is None
    assert error.get_exception() is None
    error.throw()
    assert out == 0


def test_python_branches_see_values_under_checkify():
    def f(x):
        return logarithm(x) if x > 1 else x

    assert message(f, -1.0) is None


@pytest.mark.parametrize(
    "wrap",
    [lambda f: jit(checkify(f)), lambda f: checkify(jit(f)), checkify],
    ids=["jit of checkify", "checkify of jit", "eager"],
)
def test_compiled_and_eager_checks_say_the_same(wrap):
    error, _ = wrap(logarithm)(-2.0)
    assert error.get() == checkify(logarithm)(-2.0)[0].get()


def test_the_first_failure_in_the_programs_order_stays():
    def f(x):
        check(x < 5, "first {}", x)
        y = jnp.log(-x)
        check(x < 4, "second")
        return y

    assert message(f, 9.0) == "first 9.0"
    assert message(f, 4.5) == "second"
    assert message(f, 4.5, errors=all_checks).startswith("nan generated")


def test_a_program_without_checks_gets_nothing_more():
    def f(x):
        return jnp.sin(x) * 2

    error, _ = checkify(f)(1.0)
    assert tree.leaves(error) == []
    plain, checked = jit(f).lower(1.0).as_text(), jit(checkify(f)).lower(1.0).as_text()
    assert plain == checked


def test_checkify_calls_nothing_back():
    text = jit(checkify(logarithm, errors=all_checks)).lower(1.0).as_text()
    assert "custom_call" not in text


def test_checks_that_are_not_asked_for_stay_checks():
    with pytest.raises(CheckError, match="must be positive"):
        checkify(logarithm, errors=nan_checks)(-1.0)
    with pytest.raises(StagedCheckError):
        jit(checkify(logarithm, errors=nan_checks))(-1.0)


def test_nested_checkify_takes_what_the_inner_one_leaves():
    def f(x):
        error, y = checkify(logarithm, errors=float_checks)(x)
        return short(error), y

    error, (inner, _) = checkify(f)(-1.0)
    assert short(error) == "must be positive: -1.0"
    assert inner.startswith("nan generated by primitive: log")


def test_nested_checkify_has_nothing_left_where_the_inner_one_asks_for_all():
    error, (inner, _) = checkify(checkify(logarithm))(-1.0)
    assert error.get() is None
    assert short(inner) == "must be positive: -1.0"


def test_checkify_refuses_errors_that_are_no_checks():
    with pytest.raises(ArgumentError, match="checkify was given errors="):
        checkify(logarithm, errors={"nan"})


# -- errors ----------------------------------------------------------------------------


def test_throw_raises_what_get_says():
    error, _ = jit(checkify(logarithm))(-1.0)
    with pytest.raises(CheckError) as raised:
        error.throw()
    assert str(raised.value) == error.get()


def test_errors_of_mapped_functions_say_at_which_index():
    error, _ = vmap(checkify(logarithm))(jnp.array([1.0, -1.0, 2.0, -2.0]))
    first, second = error.get().split("\n")
    assert first.startswith("at mapped index 1: must be positive: -1.0 (`check`")
    assert second.startswith("at mapped index 3: must be positive: -2.0 (`check`")


def test_errors_of_functions_mapped_twice_say_both_indices():
    xs = jnp.array([[1.0, -1.0], [2.0, 3.0]])
    outside, _ = vmap(vmap(checkify(logarithm)))(xs)
    between, _ = vmap(checkify(vmap(logarithm)))(xs)
    inside, _ = checkify(vmap(vmap(logarithm)))(xs)
    assert outside.get().startswith("at mapped index 0, 1: must be positive: -1.0")
    assert outside.get() == between.get() == inside.get()


def test_checkify_of_vmap_says_which_element_failed_first():
    error, _ = checkify(vmap(logarithm))(jnp.array([1.0, -1.0, -2.0]))
    assert error.get().startswith("at mapped index 1: must be positive: -1.0")


def test_errors_pass_through_loops_and_compiled_functions():
    def step(carry, x):
        return carry, checkify(logarithm)(x)[0]

    _, errors = jit(lambda xs: lax.scan(step, 0.0, xs))(jnp.array([1.0, -3.0]))
    same = jit(lambda e: e)(errors)
    assert same.get().startswith("at mapped index 1: must be positive: -3.0")


def test_errors_are_auxiliary_outputs_of_gradients():
    def loss(x):
        error, y = checkify(logarithm)(x)
        return y, error

    (value, error), slope = value_and_grad(loss, has_aux=True)(-2.0)
    assert short(error) == "must be positive: -2.0"
    assert slope == -0.5
    assert np.isnan(value)


def test_errors_are_the_same_under_compiled_gradients():
    def loss(x):
        error, y = jit(checkify(logarithm))(x)
        return y, error

    slope, error = jit(grad(loss, has_aux=True))(-2.0)
    assert short(error) == "must be positive: -2.0"
    assert slope == -0.5


def test_errors_show_themselves():
    error, _ = checkify(logarithm)(-1.0)
    assert repr(error).startswith("Error(must be positive: -1.0")
    shown = []
    jit(lambda e: shown.append(repr(e)))(error)
    assert shown == ["Error(traced)"]
    assert repr(module.init_error) == "Error(None)"


def test_errors_can_be_pickled():
    error, _ = checkify(logarithm)(-1.0)
    assert pickle.loads(pickle.dumps(error)).get() == error.get()


def test_a_traced_error_has_no_message_yet():
    def f(x):
        return checkify(logarithm)(x)[0].get()

    with pytest.raises(TracerArrayError, match="The message of an error was asked of"):
        jit(f)(1.0)


def test_an_error_known_under_grad_has_a_message():
    seen = []

    def f(x):
        error, _ = checkify(lambda x: check(x > 0, "no {}", jnp.sin(x)))(x)
        seen.append(short(error))
        return x

    grad(f)(-1.0)
    assert seen == ["no -0.8414710164070129"]


# -- check_error -----------------------------------------------------------------------


def hand_on(x):
    error, y = jit(checkify(logarithm))(x)
    check_error(error)
    return y


def test_check_error_raises_and_is_a_check_under_checkify():
    with pytest.raises(CheckError, match=r"must be positive: -1\.0"):
        hand_on(-1.0)
    assert message(hand_on, -1.0) == message(jit(hand_on), -1.0)
    assert hand_on(1.0) == 0


def test_check_error_in_a_compiled_program_is_refused():
    with pytest.raises(StagedCheckError):
        jit(hand_on)(1.0)


def test_check_error_of_a_mapped_error_hands_on_what_failed_first():
    def f(xs):
        error, ys = vmap(vmap(checkify(logarithm)))(xs)
        check_error(error)
        return ys

    error, _ = checkify(f)(jnp.array([[1.0, 2.0], [3.0, -4.0]]))
    assert error.get().startswith("at mapped index 1, 1: must be positive: -4.0")


def test_check_error_of_no_checks_does_nothing():
    check_error(module.init_error)


def test_check_error_refuses_what_is_no_error():
    with pytest.raises(ArgumentError, match="check_error was given a str, not an Err"):
        check_error("no")


def test_sets_of_checks_are_made_of_each_other():
    assert float_checks == nan_checks | module.div_checks
    assert all_checks == user_checks | module.automatic_checks
    assert module.automatic_checks == float_checks | module.index_checks
