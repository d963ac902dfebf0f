"""Loops, branches and compiled calls with checks: the first that fails is kept."""

import pytest

import pullback.numpy as jnp
from pullback import checkpoint, checkpoint_name, debug, grad, jit, lax, vmap
from pullback.errors import CheckError
from pullback.experimental.checkify import check, checkify, debug_check, nan_checks

WAYS = {
    "eager": checkify,
    "jit of checkify": lambda f: jit(checkify(f)),
    "checkify of jit": lambda f: checkify(jit(f)),
}


@pytest.fixture(params=WAYS)
def found(request):
    """Gives the message of a function's error, in each way of running it."""

    def message(f, *args):
        error, _ = WAYS[request.param](f)(*args)
        return error.get() and error.get().split(" (`")[0]

    return message


def below(limit, x, name="x"):
    check(x < limit, name + " is {}", x)
    return x


# -- scan ------------------------------------------------------------------------------


def test_scan_keeps_the_first_step_that_fails(found):
    def f(xs):
        return lax.scan(lambda c, x: (c + 1, below(3.0, x + c)), 0.0, xs)

    assert found(f, jnp.array([0.0, 1.0, 2.0, 5.0])) == "x is 4.0"
    assert found(f, jnp.zeros(3)) is None


def test_scan_in_reverse_keeps_the_last_step_that_fails(found):
    def f(xs):
        return lax.scan(lambda c, x: (c, below(3.0, x)), 0.0, xs, reverse=True)

    assert found(f, jnp.array([4.0, 5.0, 6.0, 0.0])) == "x is 6.0"


def test_scan_keeps_what_failed_before_it(found):
    def f(x):
        below(0.0, x, "before")
        return lax.scan(lambda c, _: (below(0.0, c, "in") + 1, None), x, None, length=3)

    assert found(f, 1.0) == "before is 1.0"
    assert found(f, -2.0) == "in is 0.0"


def test_scan_without_steps_checks_nothing(found):
    def f(xs):
        return lax.scan(lambda c, x: (c, below(0.0, x)), 0.0, xs)

    assert found(f, jnp.zeros(0)) is None


def test_nested_scans_keep_the_first_step_of_all(found):
    def row(c, xs):
        return lax.scan(lambda c, x: (c + x, below(5.0, c + x)), c, xs)

    def f(xs):
        return lax.scan(row, 0.0, xs)

    assert found(f, jnp.arange(6.0).reshape(2, 3)) == "x is 6.0"


def test_two_checks_in_one_step_are_told_apart(found):
    def step(c, x):
        below(2.0, c, "carry")
        check(x != 7, "slice {} at carry {}", x, c)
        return c + 1, None

    def f(xs):
        return lax.scan(step, 0, xs)[0]

    assert found(f, jnp.array([1, 7, 1, 1])) == "slice 7 at carry 1"
    assert found(f, jnp.array([1, 1, 1, 1])) == "carry is 2"


# -- while and fori --------------------------------------------------------------------


def test_fori_loop_keeps_the_first_step_that_fails(found):
    def f(x):
        return lax.fori_loop(0, 6, lambda i, y: below(x, y) + i, 0)

    assert found(f, 3) == "x is 3"
    assert found(f, 100) is None
    assert found(f, 4) == "x is 6"


def test_while_loop_keeps_the_first_step_that_fails(found):
    def f(x):
        return lax.while_loop(lambda y: y < 9, lambda y: below(x, y) + 2, 0)

    assert found(f, 3) == "x is 4"


def test_conditions_of_loops_are_checked_before_each_step(found):
    def f(x, bound):
        def holds(y):
            return below(bound, y, "condition") < 9

        return lax.while_loop(holds, lambda y: below(x, y, "body") + 2, 0)

    assert found(f, 3, 5) == "body is 4"
    assert found(f, 9, 5) == "condition is 6"
    assert found(f, 9, 0) == "condition is 0"
    assert found(f, 11, 11) is None


def test_conditions_alone_may_have_checks(found):
    def f(x):
        return lax.while_loop(lambda y: below(x, y) < 9, lambda y: y + 2, 0)

    assert found(f, 3) == "x is 4"


def test_bounded_loops_keep_their_bound(found):
    def f(x):
        return lax.while_loop(
            lambda y: y > -1, lambda y: below(x, y) + 1, 0, max_steps=4
        )

    assert found(f, 3) == "x is 3"
    assert found(f, 4) is None


# -- cond ------------------------------------------------------------------------------


def test_cond_checks_the_branch_that_is_taken(found):
    def f(x):
        def positive(x):
            return below(5.0, x, "positive")

        def negative(x):
            check(x > -5, "negative is {}, twice {}", x, 2 * x)
            return x

        return lax.cond(x > 0, positive, negative, x)

    assert found(f, 6.0) == "positive is 6.0"
    assert found(f, -6.0) == "negative is -6.0, twice -12.0"
    assert found(f, 1.0) is None


def test_switch_tells_branches_apart(found):
    def f(i):
        branches = [lambda x, k=k: below(0, x, f"branch {k}") for k in range(3)]
        return lax.switch(i, [lambda x: x, *branches], 1)

    assert found(f, 0) is None
    assert [found(f, i) for i in (1, 3)] == ["branch 0 is 1", "branch 2 is 1"]


# -- compiled, computed anew, differentiated -------------------------------------------


def test_checkpointed_functions_are_checked(found):
    f = checkpoint(lambda x: jnp.sin(below(0.0, x)))
    assert found(f, 1.0) == found(grad(f), 1.0) == "x is 1.0"


def test_names_of_checkpoints_are_no_operations_that_make_nans():
    error, _ = checkify(lambda x: checkpoint_name(x, "x"), errors=nan_checks)(jnp.nan)
    assert error.get() is None


def test_gradients_of_loops_are_checked(found):
    def f(xs):
        return lax.scan(lambda c, x: (c * below(3.0, x), c), 1.0, xs)[0]

    assert found(grad(f), jnp.array([1.0, 4.0, 5.0])) == "x is 4.0"


def test_errors_of_loops_pass_outer_gradients():
    def loss(xs):
        def f(xs):
            return lax.scan(lambda c, x: (c * below(3.0, x), c), 1.0, xs)[0]

        error, y = jit(checkify(f))(xs)
        return y, error

    slope, error = grad(loss, has_aux=True)(jnp.array([1.0, 4.0, 5.0]))
    assert error.get().startswith("x is 4.0")
    assert slope.tolist() == [20, 5, 4]


def test_compiled_functions_that_are_called_twice_share_their_checks():
    g = jit(lambda x: below(0.0, x))
    error, _ = checkify(lambda x: g(x - 2) + g(x))(1.0)
    assert error.get().startswith("x is 1.0")
    assert len(error.info.records) == 1


def test_loops_that_are_run_twice_are_prepared_once():
    def g(x):
        return lax.fori_loop(0, 3, lambda i, y: below(3.0, y) + 1, x)

    f = jit(g, inline=True)
    error, _ = checkify(lambda x: f(x) + f(x + 2))(0.0)
    assert error.get().startswith("x is 3.0")
    assert len(error.info.records) == 1


def test_compiled_functions_without_checks_stay_as_they_are():
    g = jit(jnp.sin)
    error, _ = checkify(lambda x: lax.cond(x > 0, g, jnp.cos, x))(jnp.float32(1.0))
    assert error.info.records == ()

    def loops(x):
        y = lax.fori_loop(0, 2, lambda i, x: g(x), x)
        return lax.while_loop(lambda y: y > 1, g, y)

    assert checkify(loops)(jnp.float32(1.0))[0].info.records == ()


# -- mapped ----------------------------------------------------------------------------


def test_mapped_branches_are_checked_for_the_elements_that_take_them(found):
    def f(x):
        return lax.cond(x > 0, lambda x: x, lambda x: below(-5.0, x), x)

    mapped = vmap(f)
    assert found(mapped, jnp.array([1.0, -6.0])) is None
    assert found(mapped, jnp.array([1.0, -6.0, -2.0])) == "at mapped index 2: x is -2.0"


def test_mapped_loops_are_checked_for_the_elements_that_still_run(found):
    def f(n, x):
        def step(s):
            return s[0] + 1, below(3.0, s[1]) + 1

        return lax.while_loop(lambda s: s[0] < n, step, (0, x))

    counts = jnp.array([1, 3, 5])
    assert found(vmap(f), counts, jnp.array([2.0, 0.0, -3.0])) is None
    wanted = "at mapped index 2: x is 3.0"
    assert found(vmap(f), counts, jnp.array([2.0, 0.0, -1.0])) == wanted


def test_mapped_loops_of_different_lengths_are_checked_step_by_step(found):
    def f(n, x):
        return lax.fori_loop(0, n, lambda i, x: below(3.0, x) + 1, x, max_steps=8)

    counts = jnp.array([1, 3, 5])
    wanted = "at mapped index 2: x is 3.0"
    assert found(vmap(f), counts, jnp.array([2.0, 0.0, -1.0])) == wanted


def test_mapped_branches_raise_in_eager_code_for_the_elements_that_take_them():
    def f(x):
        return lax.cond(x > 0, lambda x: x, lambda x: below(-5.0, x), x)

    assert vmap(f)(jnp.array([1.0, -6.0])).tolist() == [1, -6]
    with pytest.raises(CheckError, match=r"at mapped index 1: x is -2\.0"):
        vmap(f)(jnp.array([1.0, -2.0]))


def test_debug_checks_in_mapped_branches_count_under_checkify_only():
    def f(x):
        def negative(x):
            debug_check(x < -5, "x is {}", x)
            return x

        return lax.cond(x > 0, lambda x: x, negative, x)

    xs = jnp.array([1.0, -2.0])
    assert vmap(f)(xs).tolist() == jit(vmap(f))(xs).tolist() == [1, -2]
    error, _ = checkify(vmap(f))(xs)
    assert error.get().startswith("at mapped index 1: x is -2.0")


def test_mapped_branches_without_checks_are_mapped_as_ever():
    def f(x):
        lax.cond(x > 0, lambda x: x, lambda x: x, x)
        return lax.cond(x > 0, lambda x: 2 * x, jnp.sin, x)

    assert vmap(f)(jnp.array([1.0, 0.0])).tolist() == [2, 0]
    seen = []

    def looks(x):
        debug.callback(seen.append, x)
        return x

    vmap(lambda x: lax.cond(x > 0, looks, jnp.sin, x))(jnp.array([1.0, 0.0]))
    assert len(seen) == 2


def test_checks_under_a_mapped_axis_with_a_name_are_checked(found):
    def f(x):
        total = lax.psum(x, "i")
        return lax.cond(total > 0, lambda x: below(1.0, x), lambda x: x, x)

    mapped = vmap(f, axis_name="i")
    assert found(mapped, jnp.array([0.0, 2.0])) == "at mapped index 1: x is 2.0"
