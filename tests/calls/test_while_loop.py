"""Loops with conditions: values, forward mode, batches, errors."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import custom_vjp, grad, jit, jvp, lax, vmap
from pullback.errors import ArgumentError, ControlFlowError, MissingDerivative
from tests.rule_checks import check_batching, check_compiled


def doubling(x, limit):
    """Double until a limit; the number of steps depends on the start."""
    return lax.while_loop(
        lambda c: c[0] < limit, lambda c: (2 * c[0], c[1] + 1), (x, 0)
    )


def newton(a):
    return lax.while_loop(
        lambda x: jnp.abs(x * x - a) > 1e-5 * a, lambda x: 0.5 * (x + a / x), a
    )


def test_while_loop_gives_what_python_gives():
    for run in (doubling, jit(doubling)):
        x, n = run(1.5, 100.0)
        assert (x, n) == (192.0, 7)
        assert run(200.0, 100.0)[1] == 0
    assert n.dtype == np.dtype("i4")


def test_while_loop_forward_mode():
    for f in (newton, jit(newton)):
        x, x_dot = jvp(f, (2.0,), (1.0,))
        np.testing.assert_allclose([x, x_dot], [2**0.5, 0.5 / 2**0.5], rtol=1e-4)
    second = pullback.jacfwd(pullback.jacfwd(newton))(2.0)
    np.testing.assert_allclose(second, -0.25 / 2**1.5, rtol=1e-3)
    _, push = pullback.linearize(newton, 2.0)
    np.testing.assert_allclose(push(2.0), 2**-0.5, rtol=1e-4)


def test_tangents_reach_carries_through_other_carries():
    def f(x):
        def body(c):
            i, a, b = c
            return i + 1, b * x, a + 1.0

        return lax.while_loop(lambda c: c[0] < 3, body, (0, 1.0, 0.0))[1]

    # a: 1, 0, 2x, x; so f(x) = x * (1 + 0x)
    assert f(3.0) == 3.0
    assert jvp(f, (3.0,), (1.0,))[1] == 1.0


def test_while_loop_batches_with_different_counts():
    x = jnp.array([1.0, 60.0, 7.0])
    for f in (vmap(doubling, (0, None)), jit(vmap(doubling, (0, None)))):
        found, n = f(x, 100.0)
        np.testing.assert_allclose(found, [128.0, 120.0, 112.0])
        np.testing.assert_array_equal(n, [7, 1, 4])
    found, n = vmap(doubling, (None, 0))(1.0, jnp.array([3.0, 100.0]))
    np.testing.assert_array_equal(n, [2, 7])


def test_while_loop_rules_of_batching_and_compilation():
    def f(x, limit):
        x, n = doubling(x, limit)
        return [x * n, n]

    with pullback.config.context(enable_x64=True):
        args = [jnp.array(1.5), jnp.array(100.0)]
        check_batching(f, args, 0)
        check_compiled(f, args, 0, True)


def test_a_carry_that_is_not_mapped_stays_so():
    def f(x):
        return lax.while_loop(
            lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x), (0, 1.0)
        )

    jaxpr = pullback.make_jaxpr(vmap(f))(jnp.ones(4))
    loop = next(e for e in jaxpr.eqns if e.primitive.name == "while")
    assert [str(v.aval) for v in loop.outputs] == ["i32[]", "f32[4]"]


def test_unused_carries_are_pruned_with_their_work():
    def f(x):
        out = lax.while_loop(
            lambda c: c[0] < 3,
            lambda c: (c[0] + 1, c[1] * 2, jnp.sin(c[2])),
            (0, x, x),
        )
        return out[1]

    assert "sine" not in jit(f).lower(1.0).as_text()
    assert jit(f)(1.0) == 8.0


def test_while_loop_captures_tracers_of_every_level():
    def f(a, n):
        def g(x):
            return lax.while_loop(lambda c: c < n, lambda c: c * a, x)

        return jvp(g, (1.0,), (1.0,))[1]

    assert f(3.0, 10.0) == 27.0
    assert jit(f)(3.0, 10.0) == 27.0
    assert jvp(lambda a: f(a, 10.0), (3.0,), (1.0,))[1] == 27.0
    np.testing.assert_allclose(
        vmap(f, (0, None))(jnp.array([3.0, 20.0]), 10.0), [27, 20]
    )


def test_a_rule_under_while_is_used_in_forward_mode():
    @pullback.custom_jvp
    def f(x):
        return 2 * x

    @f.defjvp
    def rule(primals, tangents):
        return f(*primals), 5.0 * tangents[0]

    def g(x):
        return lax.while_loop(lambda c: c < 5.0, f, x)

    assert jvp(g, (1.0,), (1.0,))[1] == 125.0


def test_reverse_mode_without_a_bound_names_the_ways_out():
    for f in (grad(newton), jit(grad(newton)), grad(jit(newton))):
        with pytest.raises(MissingDerivative) as caught:
            f(2.0)
        for word in ("max_steps", "scan", "custom_vjp", "test_while_loop.py"):
            assert word in str(caught.value)
    traced = jit(grad(lambda x, n: lax.fori_loop(0, n, lambda i, y: y * x, x)))
    with pytest.raises(MissingDerivative, match="max_steps"):
        traced(1.0, 3)


def test_reverse_mode_is_fine_where_the_loop_does_not_matter():
    def f(x):
        steps = lax.while_loop(
            lambda c: c[1] < 10.0, lambda c: (c[0] + 1, c[1] * 2), (0, x)
        )
        return x * steps[0]

    assert grad(f)(1.0) == 4.0
    assert jit(grad(f))(1.0) == 4.0


def test_a_custom_rule_around_a_loop_differentiates_it():
    @custom_vjp
    def root(a):
        return newton(a)

    root.defvjp(lambda a: (root(a), root(a)), lambda x, ct: (ct / (2 * x),))
    np.testing.assert_allclose(jit(grad(root))(2.0), 0.35355338, rtol=1e-4)
    np.testing.assert_allclose(grad(grad(root))(2.0), -0.088388346, rtol=1e-3)


def test_while_loop_in_python_when_jit_is_disabled():
    seen = []

    def body(x):
        seen.append(float(x))
        return x * 2

    with pullback.config.context(disable_jit=True):
        assert lax.while_loop(lambda x: x < 5, body, 1.0) == 8.0
        assert lax.while_loop(lambda x: x < 5, body, 1.0, max_steps=1) == 2.0
    assert seen == [1.0, 2.0, 4.0, 1.0]


@pytest.mark.parametrize(
    ("f", "error", "words"),
    [
        (
            lambda: lax.while_loop(lambda c: True, lambda c: c[:1], jnp.ones(2)),
            ControlFlowError,
            ["f32[1]", "f32[2]", "shape"],
        ),
        (
            lambda: lax.while_loop(
                lambda c: c["a"] < 3, lambda c: {"a": c["a"] + 0.5}, {"a": jnp.int32(1)}
            ),
            ControlFlowError,
            ["carry['a'] of type f32[]", "i32[]"],
        ),
        (
            lambda: lax.while_loop(lambda c: c, lambda c: c, jnp.float32(1.0)),
            ControlFlowError,
            ["condition", "f32[]", "bool[]"],
        ),
        (
            lambda: lax.while_loop(lambda c: (c > 0,), lambda c: c, jnp.float32(1.0)),
            ControlFlowError,
            ["gave (bool[],)", "scalar boolean"],
        ),
        (
            lambda: lax.while_loop(lambda c: c > 0, lambda c: c, jnp.ones(2)),
            ControlFlowError,
            ["bool[2]", "jnp.all"],
        ),
        (
            lambda: lax.while_loop(lambda c: True, lambda c: (c, c), 1.0),
            ControlFlowError,
            ["structure"],
        ),
        (
            lambda: lax.while_loop(lambda c: True, lambda c: c, 1.0, max_steps=2.5),
            ArgumentError,
            ["max_steps is 2.5"],
        ),
    ],
)
def test_wrong_loops_are_explained(f, error, words):
    with pytest.raises(error) as caught:
        f()
    for word in words:
        assert word in str(caught.value)
    assert "test_while_loop.py" in str(caught.value)


# -- names of mapped axes --------------------------------------------------------------


def until(x, end, **options):
    """Grow by a common step until the greatest element is large enough."""
    return lax.while_loop(
        lambda c: lax.pmax(c, "i") < end,
        lambda c: c + 0.1 + lax.pmean(jnp.sin(c), "i") ** 2,
        x,
        **options,
    )


def test_condition_and_body_may_refer_to_a_mapped_axis():
    x = np.array([0.3, 0.2, 0.9], np.float32)
    want = x
    while want.max() < 3.0:
        want = want + np.float32(0.1) + np.sin(want).mean() ** 2
    for f in (until, jit(until, static_argnums=1)):
        got = vmap(lambda x, f=f: f(x, 3.0), axis_name="i")(jnp.asarray(x))
        np.testing.assert_allclose(got, want, rtol=1e-5)


def test_reverse_mode_of_a_loop_over_a_mapped_axis_agrees_with_forward_mode():
    def f(x):
        return vmap(lambda x: until(x, 3.0, max_steps=20), axis_name="i")(x).sum()

    x = jnp.array([0.3, 0.2, 0.9])
    slopes = [jvp(f, (x,), (jnp.eye(3)[i],))[1] for i in range(3)]
    np.testing.assert_allclose(grad(f)(x), np.stack(slopes), rtol=1e-5)
    np.testing.assert_allclose(jit(grad(f))(x), np.stack(slopes), rtol=1e-4)
    # Inside, the gradient is that of the sum of what all elements give.
    inside = vmap(grad(lambda x: until(x, 3.0, max_steps=20)), axis_name="i")
    np.testing.assert_allclose(inside(x), np.stack(slopes), rtol=1e-4)


def test_elements_must_share_what_steps_of_others_make_of_them():
    # An element that has ended still counts in the sums of the others.
    def f(x):
        def loop(x):
            return lax.while_loop(
                lambda c: c < 2.0,
                lambda c: c * 1.1 + 0.1 * lax.psum(c, "i") ** 2,
                x,
                max_steps=20,
            )

        return vmap(loop, axis_name="i")(x).sum()

    x = jnp.array([0.3, 1.9, 0.9])
    slopes = [jvp(f, (x,), (jnp.eye(3)[i],))[1] for i in range(3)]
    np.testing.assert_allclose(grad(f)(x), np.stack(slopes), rtol=1e-5)


def test_a_loop_of_what_is_not_mapped_may_refer_to_the_axis():
    def f(x):
        step = lax.axis_index("i") + 1
        return x + lax.while_loop(
            lambda n: n < 5, lambda n: n + lax.axis_index("i") + 1, step * 0
        )

    got = vmap(f, axis_name="i")(jnp.zeros(3, "int32"))
    np.testing.assert_array_equal(got, [5, 6, 6])
