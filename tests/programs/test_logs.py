"""Programs whose backward rules log: rules.md, section 8."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import checkpoint, custom_vjp, grad, jit, lax, vjp, vmap


def logged(name="seen"):
    """Double, logging the cotangent."""
    f = custom_vjp(lambda x: 2.0 * x)
    f.defvjp_with_logs(
        lambda x: (f(x), x), lambda x, g: ((2.0 * g,), {name: g, "x": x})
    )
    return f


WRAPS = pytest.mark.parametrize(
    "wrap",
    [lambda f: f, jit, lambda f: jit(jit(f))],
    ids=["eager", "jit", "jit of jit"],
)


@WRAPS
def test_logs_come_with_the_cotangents(wrap):
    _, pull = vjp(wrap(lambda x: 3.0 * logged()(x)), 5.0)
    (x_bar,), logs = pull.with_logs(1.0)
    assert x_bar == 6.0
    assert logs == {"seen": 3.0, "x": 5.0}


@WRAPS
def test_plain_pullback_and_grad_drop_logs(wrap):
    f = wrap(logged())
    assert vjp(f, 5.0)[1](1.0) == (2.0,)
    assert grad(f)(5.0) == 2.0
    assert jit(grad(f))(5.0) == 2.0


@WRAPS
def test_logs_of_several_functions_are_put_together(wrap):
    def f(x):
        return logged("first")(logged("second")(x))

    _, logs = vjp(wrap(f), 1.0)[1].with_logs(1.0)
    assert set(logs) == {"first", "second", "x"}
    assert (logs["first"], logs["second"]) == (1.0, 2.0)


@WRAPS
def test_logs_under_an_outer_jit(wrap):
    f = wrap(lambda x: 3.0 * logged()(x))
    (x_bar,), logs = jit(lambda x, g: vjp(f, x)[1].with_logs(g))(5.0, 1.0)
    assert (x_bar, logs["seen"]) == (6.0, 3.0)


@WRAPS
def test_logs_under_vmap_are_batched(wrap):
    f = wrap(lambda x: vmap(lambda x: x * logged()(x))(x).sum())
    _, logs = vjp(f, jnp.arange(3.0))[1].with_logs(1.0)
    np.testing.assert_array_equal(logs["seen"], [0.0, 1.0, 2.0])
    got = vmap(lambda x: vjp(wrap(logged()), x)[1].with_logs(1.0)[1]["x"])(jnp.ones(2))
    np.testing.assert_array_equal(got, [1.0, 1.0])


def test_no_logs_are_an_empty_dict():
    assert vjp(jnp.sin, 0.0)[1].with_logs(1.0) == ((1.0,), {})


def test_logs_may_be_none():
    f = custom_vjp(lambda x: x)
    f.defvjp_with_logs(lambda x: (x, None), lambda res, g: ((g,), None))
    assert vjp(f, 1.0)[1].with_logs(1.0) == ((1.0,), {})


def test_bwd_with_logs_must_give_a_pair():
    f = custom_vjp(lambda x, y, z: x)
    f.defvjp_with_logs(lambda *xs: (xs[0], None), lambda res, g: (g, None, None))
    with pytest.raises(TypeError, match=r"bwd rule .* 3 values, not a pair.*logs"):
        grad(f)(1.0, 1.0, 1.0)


LOOPS = {
    "scan": lambda f, x: lax.scan(lambda c, _: (f(c), None), x, None, length=3)[0],
    "fori_loop": lambda f, x: lax.fori_loop(0, 3, lambda i, c: f(c), x),
    "while_loop": lambda f, x: lax.while_loop(lambda c: c < 8.0, f, x, max_steps=3),
    "checkpoint": lambda f, x: lax.scan(
        checkpoint(lambda c, _: (f(c), None)), x, None, length=3
    )[0],
}


@WRAPS
@pytest.mark.parametrize("loop", LOOPS)
def test_logs_inside_a_loop_are_stacked_over_its_steps(loop, wrap):
    f = logged()
    (x_bar,), logs = vjp(wrap(lambda x: LOOPS[loop](f, x)), 1.0)[1].with_logs(1.0)
    assert x_bar == 8.0
    np.testing.assert_allclose(np.ravel(logs["seen"])[:3], [4.0, 2.0, 1.0])


@WRAPS
def test_logs_inside_checkpoint_come_once(wrap):
    f = checkpoint(logged())
    (x_bar,), logs = vjp(wrap(f), 1.0)[1].with_logs(1.0)
    assert (x_bar, logs) == (2.0, {"seen": 1.0, "x": 1.0})


def both_ways(f, pred, x):
    """Give the logs of a branch, eager and compiled."""

    def logs(pred, x):
        return vjp(lambda x: f(pred, x), x)[1].with_logs(1.0)[1]

    found = logs(pred, x), jit(logs)(pred, x), vjp(jit(f), pred, x)[1].with_logs(1.0)[1]
    assert {frozenset(log) for log in found[1:]} == {frozenset(found[1])}
    return found


@pytest.mark.parametrize(("pred", "seen"), [(True, 3.0), (False, 5.0)])
def test_logs_of_branches_under_one_key_are_those_of_the_branch_taken(pred, seen):
    def f(pred, x):
        return lax.cond(
            pred, lambda x: 3.0 * logged()(x), lambda x: 5.0 * logged()(x), x
        )

    for log in both_ways(f, pred, 7.0):
        assert log == {"seen": seen, "x": 7.0}


@pytest.mark.parametrize("pred", [True, False])
def test_logs_of_branches_under_their_own_keys_are_zero_in_the_other(pred):
    def f(pred, x):
        return lax.cond(
            pred,
            lambda x: 3.0 * logged("first")(x),
            lambda x: 5.0 * logged("second")(logged("first")(x)),
            x,
        )

    eager, *compiled = both_ways(f, pred, 7.0)
    wanted = {"first": 3.0 if pred else 10.0, "second": 0.0 if pred else 5.0, "x": 7.0}
    assert eager == {k: v for k, v in wanted.items() if v}
    for log in compiled:
        assert log == wanted


def test_a_branch_without_logs_gives_zeros():
    def f(pred, x):
        return lax.cond(pred, lambda x: 3.0 * logged()(x), lambda x: x, x)

    eager, *compiled = both_ways(f, False, 7.0)
    assert eager == {}
    for log in compiled:
        assert log == {"seen": 0.0, "x": 0.0}


def test_logs_of_branches_chosen_by_element():
    def f(pred, x):
        return lax.cond(
            pred, lambda x: 3.0 * logged()(x), lambda x: 5.0 * logged()(x), x
        )

    def logs(pred, x):
        return vjp(lambda x: f(pred, x), x)[1].with_logs(1.0)[1]

    found = jit(vmap(logs))(jnp.array([True, False]), jnp.array([1.0, 2.0]))
    np.testing.assert_array_equal(found["seen"], [3.0, 5.0])
    np.testing.assert_array_equal(found["x"], [1.0, 2.0])


def test_logs_of_branches_that_are_no_dicts():
    f = custom_vjp(lambda x: 2.0 * x)
    f.defvjp_with_logs(lambda x: (f(x), x), lambda x, g: ((2.0 * g,), (g, x)))
    g = jit(lambda pred, x: lax.cond(pred, f, lambda x: x, x))
    assert vjp(g, True, 7.0)[1].with_logs(1.0)[1] == (1.0, 7.0)
