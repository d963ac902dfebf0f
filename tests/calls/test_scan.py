"""Scan: values, every rule, memory, and errors."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import custom_jvp, custom_vjp, grad, jit, jvp, lax, make_jaxpr, vjp, vmap
from pullback.errors import ArgumentError, ControlFlowError
from tests.rule_checks import check_rules_of

W = np.array([[0.3, -0.2], [0.5, 0.4]])
XS = np.linspace(-1, 1, 8).reshape(4, 2)


def rnn(w, h, xs, reverse=False, unroll=1):
    def step(h, x):
        new = jnp.tanh(h @ w + x)
        return new, new * 2 + x

    last, ys = lax.scan(step, h, xs, reverse=reverse, unroll=unroll)
    return [last, ys]


def rnn_loop(w, h, xs, reverse=False):
    ys = [None] * len(xs)
    for i in reversed(range(len(xs))) if reverse else range(len(xs)):
        h = np.tanh(h @ w + xs[i])
        ys[i] = h * 2 + xs[i]
    return [h, np.stack(ys)]


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_rules(reverse):
    check_rules_of(
        lambda w, h, xs: rnn(w, h, xs, reverse),
        W,
        np.array([0.1, 0.2]),
        XS,
        reference=lambda w, h, xs: rnn_loop(w, h, xs, reverse),
    )


@pytest.mark.parametrize("unroll", [2, 3, 4, 9, True])
def test_unrolled_scan_gives_the_same(unroll):
    h = np.array([0.1, 0.2])
    for reverse in (False, True):
        f = jit(lambda w, h, xs, r=reverse: rnn(w, h, xs, r, unroll))
        for found, wanted in zip(f(W, h, XS), rnn_loop(W, h, XS, reverse)):
            np.testing.assert_allclose(found, wanted, rtol=1e-5)
    g = grad(lambda w: jnp.sum(rnn(w, h, XS, unroll=unroll)[1]))
    plain = grad(lambda w: jnp.sum(rnn(w, h, XS)[1]))
    np.testing.assert_allclose(jit(g)(W), plain(W), rtol=1e-5)


def test_scan_with_integer_carry_and_stacks():
    def f(x, ks):
        def step(carry, k):
            i, acc = carry
            return (i + 1, acc * x + k.astype(x.dtype)), (i * k, acc)

        (i, acc), (products, accs) = lax.scan(step, (0, x), ks)
        return [acc, accs, i, products]

    check_rules_of(f, np.array(0.7), np.arange(4, dtype="int32"))


def test_scan_without_stacks_takes_a_length():
    carry, ys = lax.scan(lambda c, _: (c * 2, None), 1.0, None, length=5)
    assert carry == 32
    assert ys is None

    def cube(x):
        return lax.scan(lambda c, _: (c * x, None), 1.0, length=3)[0]

    assert grad(cube)(2.0) == 12


def test_scan_of_length_zero():
    def f(w, xs):
        c, ys = lax.scan(lambda c, x: (c * x, jnp.sin(c)), w, xs)
        return c + jnp.sum(ys)

    xs = jnp.zeros((0,))
    for run in (f, jit(f)):
        assert run(2.0, xs) == 2
        assert grad(run)(2.0, xs) == 1
    assert jit(grad(f))(2.0, xs) == 1
    assert grad(f, 1)(2.0, xs).shape == (0,)


def test_nested_scans():
    def f(x, rows):
        def outer(c, row):
            inner, ys = lax.scan(lambda d, e: (jnp.sin(d * x) + e, d * e), c, row)
            return inner, jnp.sum(ys) * c

        last, ys = lax.scan(outer, x, rows)
        return [last, ys]

    check_rules_of(f, np.array(0.8), XS)


def test_branches_and_loops_inside_scan():
    def f(x, xs):
        def step(c, e):
            c = lax.cond(e > 0, lambda: jnp.sin(c) * e, lambda: c - e * e)
            c = lax.while_loop(lambda d: d < 0.0, lambda d: d + 1.0, c)
            return lax.fori_loop(0, 2, lambda i, d: d * x + i, c), c

        return list(lax.scan(step, x, xs))

    args = np.array(0.6), np.array([0.4, -0.3, 0.9])
    with pullback.config.context(enable_x64=True):
        expected = args[0]
        for e in args[1]:
            expected = np.sin(expected) * e if e > 0 else expected - e * e
            while expected < 0:
                expected += 1.0
            for i in range(2):
                expected = expected * args[0] + i
        np.testing.assert_allclose(f(*args)[0], expected)
        np.testing.assert_allclose(jit(f)(*args)[0], expected)


def test_scan_captures_tracers_of_every_level():
    def f(a, xs):
        return grad(lambda b: lax.scan(lambda c, x: (c * a + x * b, None), b, xs)[0])(
            1.0
        )

    xs = jnp.ones(3)
    # d/db of b a^3 + b (a^2 + a + 1)
    np.testing.assert_allclose(f(2.0, xs), 15.0)
    np.testing.assert_allclose(jit(f)(2.0, xs), 15.0)
    np.testing.assert_allclose(grad(f)(2.0, xs), 17.0)
    np.testing.assert_allclose(vmap(f, (0, None))(jnp.array([1.0, 2.0]), xs), [4, 15])


# -- what the gradient keeps -----------------------------------------------------------


def stacked_bytes(f, *args):
    """Count the bytes of what the forward scan of a gradient stacks."""
    jaxpr = make_jaxpr(grad(f))(*args)
    scan = next(e for e in jaxpr.eqns if e.primitive.name == "scan")
    return sum(v.aval.nbytes for v in scan.outputs[scan.primitive.num_carry :])


def test_gradient_keeps_what_the_count_by_hand_says():
    n, width = 10, 8

    def f(w, xs):
        def step(h, x):
            return jnp.tanh(h @ w + x), None

        return jnp.sum(lax.scan(step, jnp.zeros(width), xs)[0])

    # h for the derivative by w, and 1 - tanh**2; w itself is not stacked.
    args = jnp.ones((width, width)), jnp.ones((n, width))
    assert stacked_bytes(f, *args) == 2 * n * width * 4


def test_residuals_made_of_constants_are_not_stacked():
    def f(w, xs):
        return lax.scan(lambda c, x: (c * jnp.sin(w * 2), None), 1.0, xs)[0]

    # Only c is stacked: sin(2 w) and its derivative are the same in every step.
    assert stacked_bytes(f, 0.3, jnp.ones(10)) == 40
    with pullback.config.context(enable_x64=True):
        check_rules_of(lambda w, xs: [f(w, xs)], np.array(0.3), np.ones(4))


def test_residuals_that_are_stacks_already_are_not_stacked_again():
    def f(w, xs):
        def step(c, x):
            y = jnp.exp(w * x)
            return c + y, y

        return jnp.sum(lax.scan(step, 0.0, xs)[1])

    # exp is an output of the scan, x an input of it.
    jaxpr = make_jaxpr(grad(f))(0.3, jnp.ones(10))
    scan = next(e for e in jaxpr.eqns if e.primitive.name == "scan")
    assert len(scan.outputs) == 2


def test_unused_carries_and_stacks_are_pruned():
    def f(x, xs):
        def step(carry, e):
            a, b = carry
            return (a * x, jnp.sin(b)), (jnp.cos(b), a)

        (a, _), (_, ys) = lax.scan(step, (1.0, x), xs)
        return a + jnp.sum(ys)

    text = jit(f).lower(1.0, jnp.ones(3)).as_text()
    assert "sine" not in text
    assert "cosine" not in text
    text = jit(grad(f)).lower(1.0, jnp.ones(3)).as_text()
    assert "sine" not in text
    assert "cosine" not in text


def test_scan_compiles_to_a_loop_that_does_not_grow():
    def f(xs):
        return lax.scan(lambda c, x: (jnp.sin(c) + x, c), 0.0, xs)[0]

    sizes = {len(jit(f).lower(jnp.ones(n)).as_text()) for n in (100, 900)}
    assert max(sizes) - min(sizes) < 40
    assert "stablehlo.while" in jit(f).lower(jnp.ones(9)).as_text()


# -- custom rules ----------------------------------------------------------------------


def counted(kind):
    """Make a function with rules of a kind, and the list of what was called."""
    calls = []

    def f(x):
        calls.append("f")
        return jnp.sin(x)

    if kind == "jvp":
        f = custom_jvp(f)

        @f.defjvp
        def rule(primals, tangents):
            calls.append("jvp")
            return f(*primals), 3.0 * tangents[0]

        return f, calls
    f = custom_vjp(f)

    def fwd(x):
        calls.append("fwd")
        return jnp.sin(x), x

    def bwd(x, ct):
        calls.append("bwd")
        return (3.0 * ct,)

    f.defvjp(fwd, bwd)
    return f, calls


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
def test_a_rule_under_scan_is_used_and_traced_as_often_whatever_the_length(kind):
    counts = []
    for n in (3, 30):
        f, calls = counted(kind)

        def g(x, f=f, n=n):
            return lax.scan(lambda c, _: (f(c), None), x, None, length=n)[0]

        np.testing.assert_allclose(grad(g)(0.1), 3.0**n, rtol=1e-5)
        np.testing.assert_allclose(jit(grad(g))(0.1), 3.0**n, rtol=1e-5)
        counts.append(len(calls))
    assert counts[0] == counts[1]


def test_a_rule_on_tangents_may_scan_over_them_with_a_counter():
    @custom_jvp
    def f(x):
        return x**3

    @f.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents

        def step(carry, k):
            i, total, weight = carry
            return (i + 1, total + weight * t * x, weight * 1.0 + k), None

        (_, total, _), _ = lax.scan(step, (0, jnp.zeros_like(t), x), jnp.zeros(3))
        return f(x), total

    # Three times x * x * t.
    np.testing.assert_allclose(grad(f)(2.0), 12.0)
    np.testing.assert_allclose(jit(grad(f))(2.0), 12.0)
    np.testing.assert_allclose(grad(grad(f))(2.0), 12.0)
    np.testing.assert_allclose(vmap(grad(f))(jnp.array([1.0, 2.0])), [3, 12])


def test_linear_transpose_of_a_scan():
    def f(x):
        return lax.scan(lambda c, e: (c * 0.5 + e, c), jnp.float32(0.0), x)[0]

    (ct,) = pullback.linear_transpose(f, jnp.ones(3))(1.0)
    np.testing.assert_allclose(ct, [0.25, 0.5, 1.0])


# -- in Python, and wrong calls --------------------------------------------------------


def test_scan_in_python_when_jit_is_disabled():
    h = np.array([0.1, 0.2])
    with pullback.config.context(disable_jit=True):
        found = rnn(W, h, XS, True)
    for a, b in zip(found, rnn_loop(W, h, XS, True)):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_weak_initial_carries_take_the_type_of_the_result():
    c, _ = lax.scan(lambda c, x: (c + x, None), 0.0, jnp.ones(3, "float16"))
    assert (c.dtype, c.weak_type) == (np.dtype("f2"), False)
    c, _ = lax.scan(lambda c, x: (c + x, None), 0, jnp.ones(3))
    assert c.dtype == np.dtype("f4")


@pytest.mark.parametrize(
    ("f", "error", "words"),
    [
        (
            lambda: lax.scan(
                lambda c, x: ({"a": c["a"][:1]}, x), {"a": jnp.ones(2)}, jnp.ones(3)
            ),
            ControlFlowError,
            ["carry['a'] of type f32[1]", "has type f32[2]"],
        ),
        (
            lambda: lax.scan(lambda c, x: (c + 0.5, x), jnp.int32(0), jnp.ones(3)),
            ControlFlowError,
            ["f32[]", "i32[]", "astype('int32')"],
        ),
        (
            lambda: lax.scan(lambda c, x: ((c, c), x), 0.0, jnp.ones(3)),
            ControlFlowError,
            ["structure"],
        ),
        (
            lambda: lax.scan(lambda c, x: c, 0.0, jnp.ones(3)),
            ControlFlowError,
            ["pair"],
        ),
        (
            lambda: lax.scan(
                lambda c, x: (c, c), 0.0, {"a": jnp.ones(3), "b": jnp.ones(2)}
            ),
            ArgumentError,
            ["xs['a']: 3", "xs['b']: 2"],
        ),
        (lambda: lax.scan(lambda c, x: (c, c), 0.0), ArgumentError, ["neither"]),
        (lambda: lax.scan(lambda c, x: (c, c), 0.0, 1.0), ArgumentError, ["scalar"]),
        (
            lambda: lax.scan(lambda c, x: (c, c), 0.0, jnp.ones(3), length=4),
            ArgumentError,
            ["length: 4"],
        ),
    ],
)
def test_wrong_scans_are_explained(f, error, words):
    with pytest.raises(error) as caught:
        f()
    for word in words:
        assert word in str(caught.value)
    assert "test_scan.py" in str(caught.value)


def test_jvp_and_vjp_agree_on_a_float32_scan():
    h = jnp.array([0.1, 0.2])
    w, xs = jnp.array(W), jnp.array(XS)
    dots = jnp.ones((2, 2)), jnp.ones(2), jnp.ones((4, 2))
    (_, ys), (_, y_dots) = jvp(rnn, (w, h, xs), dots)
    _, pull = vjp(rnn, w, h, xs)
    bars = pull([jnp.zeros(2), jnp.ones_like(ys)])
    forward = float(jnp.sum(y_dots))
    backward = float(sum(jnp.sum(b * d) for b, d in zip(bars, dots)))
    np.testing.assert_allclose(forward, backward, rtol=1e-5)


def test_a_python_branch_in_a_body_names_the_argument():
    with pytest.raises(TypeError, match="came from total"):
        lax.scan(lambda total, x: (total if total > 0 else x, None), 1.0, jnp.ones(3))


# -- names of mapped axes --------------------------------------------------------------


def named_steps(x):
    """Mix what all elements have, step by step."""

    def step(c, a):
        c = jnp.sin(a * c) + lax.pmean(jnp.cos(c), "i")
        return c, lax.all_gather(c, "i")

    end, rows = lax.scan(step, x, jnp.arange(1.0, 4.0))
    return end + rows.sum()


def test_a_scan_may_refer_to_a_mapped_axis():
    check_rules_of(vmap(named_steps, axis_name="i"), np.array([0.3, -0.2, 0.9]))


def test_the_gradient_inside_of_a_scan_over_a_mapped_axis_is_right():
    f = vmap(grad(named_steps), axis_name="i")
    check_rules_of(f, np.array([0.3, -0.2, 0.9]), order=1)


def test_a_scan_of_what_is_not_mapped_may_refer_to_the_axis():
    def f(x):
        return (
            x
            + lax.scan(lambda c, a: (c + a * lax.axis_index("i"), c), 1.0, jnp.ones(3))[
                0
            ]
        )

    for g in (f, jit(f)):
        got = vmap(g, axis_name="i")(jnp.zeros(3))
        np.testing.assert_array_equal(got, [1.0, 4.0, 7.0])


def test_one_body_is_batched_apart_over_an_axis_and_without_its_name():
    @jit
    def f(x):
        return lax.scan(lambda c, a: (c + lax.psum(a, "i"), c), 0.0, x)[0]

    x = jnp.ones((2, 2, 3))
    got = vmap(vmap(f), axis_name="i")(x)
    np.testing.assert_array_equal(got, np.full((2, 2), 6.0))
    got = vmap(vmap(f, axis_name="i"))(x)
    np.testing.assert_array_equal(got, np.full((2, 2), 6.0))
