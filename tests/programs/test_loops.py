"""Programs with custom rules inside loops and branches: every section of rules.md."""

import collections
import functools

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    jit,
    jvp,
    lax,
    value_and_grad,
    vjp,
    vmap,
)
from pullback.errors import CapturedError, LinearityError, NondiffError

BOTH = pytest.mark.parametrize("decorator", [custom_jvp, custom_vjp])


def tripled(decorator, runs=None):
    """Identity with the derivative 3."""
    runs = collections.Counter() if runs is None else runs

    @decorator
    def f(x):
        runs["fun"] += 1
        return 1.0 * x

    if decorator is custom_jvp:

        @f.defjvp
        def f_jvp(primals, tangents):
            runs["jvp"] += 1
            return f(*primals), 3.0 * tangents[0]

    else:

        def f_fwd(x):
            runs["fwd"] += 1
            return f(x), None

        def f_bwd(res, g):
            runs["bwd"] += 1
            return (3.0 * g,)

        f.defvjp(f_fwd, f_bwd)
    return f


def scanned(f, length=3):
    return lambda x: lax.scan(lambda c, _: (f(c), None), x, None, length=length)[0]


LOOPS = {
    "scan": lambda f: scanned(f),
    "cond": lambda f: lambda x: lax.cond(x > 0, lambda x: f(f(f(x))), lambda x: x, x),
    "switch": lambda f: lambda x: lax.switch(1, [lambda x: x, lambda x: f(f(f(x)))], x),
    "checkpoint": lambda f: checkpoint(lambda x: f(f(f(x)))),
    "checkpoint in scan": lambda f: scanned(checkpoint(f)),
    "scan in checkpoint": lambda f: checkpoint(scanned(f)),
    "jit in scan": lambda f: scanned(jit(f)),
    "cond in scan": lambda f: scanned(lambda x: lax.cond(x > 0, f, lambda x: x, x)),
    "fori_loop": lambda f: lambda x: lax.fori_loop(0, 3, lambda i, c: f(c), x),
    "map": lambda f: lambda x: lax.map(lambda x: f(f(f(x))), x[None])[0],
}
DERIVATIVES = {
    "grad": lambda f: grad(f)(1.0),
    "jit of grad": lambda f: jit(grad(f))(1.0),
    "grad of jit": lambda f: grad(jit(f))(1.0),
    "vmap of grad": lambda f: vmap(grad(f))(jnp.ones(2))[1],
    "grad of vmap": lambda f: grad(lambda x: vmap(f)(x).sum())(jnp.ones(2))[1],
}


@BOTH
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", DERIVATIVES)
def test_rule_is_used_inside_loops(decorator, loop, how):
    f = LOOPS[loop](tripled(decorator))
    assert f(jnp.float32(1.0)) == 1.0
    assert DERIVATIVES[how](f) == 27.0


@pytest.mark.parametrize("loop", LOOPS)
def test_jvp_rule_is_used_inside_loops(loop):
    f = LOOPS[loop](tripled(custom_jvp))
    assert jvp(f, (1.0,), (1.0,))[1] == 27.0
    assert jit(lambda x: jvp(f, (x,), (x,))[1])(1.0) == 27.0


def test_jvp_rule_in_a_while_loop():
    f = tripled(custom_jvp)

    def loop(x):
        body = lambda c: (c[0] + 1, f(c[1]))  # noqa: E731
        return lax.while_loop(lambda c: c[0] < 3, body, (0, x))[1]

    assert jvp(loop, (1.0,), (1.0,))[1] == 27.0
    assert jit(lambda x: jvp(loop, (x,), (x,))[1])(1.0) == 27.0


@BOTH
@pytest.mark.parametrize("loop", LOOPS)
def test_rules_do_not_run_without_differentiation_in_loops(decorator, loop):
    runs = collections.Counter()
    f = LOOPS[loop](tripled(decorator, runs))
    f(jnp.float32(1.0))
    jit(f)(1.0)
    vmap(f)(jnp.ones(2))
    assert set(runs) == {"fun"}


@BOTH
def test_rules_under_scan_are_traced_a_fixed_number_of_times(decorator):
    totals = []
    for length in (2, 8, 64):
        runs = collections.Counter()
        grad(scanned(tripled(decorator, runs), length))(1.0)
        totals.append(runs)
    assert totals[0] == totals[1] == totals[2]


def test_checkpoint_runs_the_function_forward_and_the_rules_backward():
    runs = collections.Counter()
    f = tripled(custom_vjp, runs)
    _, pull = vjp(checkpoint(f), 1.0)
    assert runs == {"fun": 1}
    assert pull(1.0) == (3.0,)
    assert (runs["fwd"], runs["bwd"]) == (1, 1)


NESTS = {
    "scan": lambda body, w, x: lax.scan(lambda c, _: (body(c, w), None), x, None, 2)[0],
    "scan over w": lambda body, w, x: lax.scan(
        lambda c, w: (body(c, w), None), x, jnp.stack([w, w])
    )[0],
    "scan with w carried": lambda body, w, x: lax.scan(
        lambda c, _: ((body(*c), c[1]), None), (x, w), None, 2
    )[0][0],
    "cond": lambda body, w, x: lax.cond(
        True, lambda x, w: body(body(x, w), w), lambda x, w: x, x, w
    ),
    "cond closing": lambda body, w, x: lax.cond(
        x > 0, lambda x: body(body(x, w), w), lambda x: x, x
    ),
    "checkpoint": lambda body, w, x: checkpoint(lambda x, w: body(body(x, w), w))(x, w),
    "checkpoint closing": lambda body, w, x: checkpoint(lambda x: body(body(x, w), w))(
        x
    ),
    "jit": lambda body, w, x: jit(lambda x, w: body(body(x, w), w))(x, w),
    "vmap": lambda body, w, x: vmap(lambda x, w: body(body(x, w), w), (0, None))(
        jnp.stack([x, x]), w
    )[0],
}


def marked(decorator):
    """x, with w marked nondiff and the derivative w."""
    f = decorator(lambda x, w: 1.0 * x, nondiff_argnums=(1,))
    if decorator is custom_jvp:
        f.defjvp(lambda w, p, t: (f(p[0], w), w * t[0]))
    else:
        f.defvjp(lambda x, w: (f(x, w), None), lambda w, res, g: (w * g,))
    return f


@BOTH
@pytest.mark.parametrize("nest", NESTS)
def test_traced_array_in_nondiff_position_is_an_error_in_loops(decorator, nest):
    f = marked(decorator)
    with pytest.raises(NondiffError, match="Arrays need no marking"):
        jit(grad(lambda x, w: NESTS[nest](f, w, x)))(1.0, 5.0)


@BOTH
@pytest.mark.parametrize("nest", NESTS)
@pytest.mark.parametrize(
    "how", ["grad", "jit of grad", "grad of jit", "vmap of grad", "grad of vmap"]
)
def test_switch_lets_traced_arrays_in_loops(decorator, nest, how):
    f = marked(decorator)

    def h(x, w):
        return NESTS[nest](f, w, x)

    x, w = jnp.float32(1.0), jnp.float32(5.0)
    two = jnp.stack([x, x]), jnp.stack([w, w])
    with pullback.config.context(nondiff_arrays="stop_gradient"):
        got = {
            "grad": lambda: grad(h)(x, w),
            "jit of grad": lambda: jit(grad(h))(x, w),
            "grad of jit": lambda: grad(jit(h))(x, w),
            "vmap of grad": lambda: vmap(grad(h))(*two)[0],
            "grad of vmap": lambda: grad(lambda x, w: vmap(h)(x, w).sum())(*two)[0],
        }[how]()
        assert got == 25.0


@BOTH
@pytest.mark.parametrize("nest", NESTS)
def test_switch_refuses_derivative_by_nondiff_array_in_loops(decorator, nest):
    f = marked(decorator)
    with pullback.config.context(nondiff_arrays="stop_gradient"):
        with pytest.raises(NondiffError, match="marked as not differentiable"):
            grad(lambda w: NESTS[nest](f, w, jnp.float32(1.0)))(5.0)


@BOTH
@pytest.mark.parametrize("nest", NESTS)
def test_captured_values_work_in_loops(decorator, nest):
    def h(x, w):
        def body(x, w):
            f = decorator(lambda x: w * x)
            if decorator is custom_jvp:
                f.defjvps(lambda t, ans, x: 10.0 * w * t)
            else:
                f.defvjp(lambda x: (f(x), None), lambda r, g: (10.0 * w * g,))
            return f(x)

        return NESTS[nest](body, w, x)

    assert h(jnp.float32(1.0), jnp.float32(2.0)) == 4.0
    assert grad(h)(jnp.float32(1.0), jnp.float32(2.0)) == 400.0
    assert jit(grad(h))(1.0, 2.0) == 400.0
    assert vmap(grad(h))(jnp.ones(2), jnp.full(2, 2.0))[0] == 400.0
    with pytest.raises(CapturedError, match="captures `w`"):
        grad(h, 1)(jnp.float32(1.0), jnp.float32(2.0))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("wrong", [lambda t: t * t, lambda t: t + 1.0])
def test_rule_that_is_not_linear_is_named_in_loops(loop, wrong):
    f = custom_jvp(lambda x: 1.0 * x)

    @f.defjvp
    def bad_jvp(primals, tangents):
        return f(*primals), wrong(tangents[0])

    with pytest.raises(LinearityError, match="rule `bad_jvp`"):
        grad(LOOPS[loop](f))(1.0)


def test_rule_that_is_not_linear_inside_its_own_loop():
    f = custom_jvp(lambda x: 1.0 * x)

    @f.defjvp
    def bad_jvp(primals, tangents):
        return f(*primals), scanned(lambda t: t * t)(tangents[0])

    with pytest.raises(TypeError, match="linear"):
        grad(f)(2.0)


def test_rule_with_a_linear_loop_of_its_own():
    f = custom_jvp(lambda x: 1.0 * x)
    f.defjvp(lambda p, t: (f(*p), scanned(lambda t: 2.0 * t)(t[0])))
    assert grad(f)(2.0) == 8.0
    assert jit(grad(f))(2.0) == 8.0
    assert grad(jit(f))(2.0) == 8.0


@pytest.mark.parametrize("loop", LOOPS)
def test_exception_in_bwd_keeps_its_type_in_loops(loop):
    class Mine(Exception):
        pass

    def f_bwd(res, g):
        raise Mine

    f = custom_vjp(lambda x: 1.0 * x)
    f.defvjp(lambda x: (f(x), None), f_bwd)
    with pytest.raises(Mine) as caught:
        grad(LOOPS[loop](f))(1.0)
    assert "Forward call at test_loops.py:" in " ".join(caught.value.__notes__)


@pytest.mark.parametrize("loop", LOOPS)
def test_forward_transpose_in_loops(loop):
    f = custom_vjp(lambda x: 1.0 * x, forward="transpose")
    f.defvjp(lambda x: (f(x), None), lambda res, g: (3.0 * g,))
    h = LOOPS[loop](f)
    assert jvp(h, (1.0,), (1.0,))[1] == 27.0
    assert hessian(h)(1.0) == 0.0


@pytest.mark.parametrize("loop", LOOPS)
def test_both_faces_in_loops(loop):
    f = tripled(custom_jvp)
    f.defvjp(lambda x: (f(x), None), lambda res, g: (2.0 * g,))
    h = LOOPS[loop](f)
    assert jvp(h, (1.0,), (1.0,))[1] == 27.0
    assert grad(h)(1.0) == 8.0
    assert grad(jit(h))(1.0) == 8.0


@BOTH
def test_rule_with_residuals_in_a_scan(decorator):
    @decorator
    def logistic(x, r):
        return r * x * (1 - x)

    if decorator is custom_jvp:
        logistic.defjvps(
            lambda t, ans, x, r: r * (1 - 2 * x) * t,
            lambda t, ans, x, r: x * (1 - x) * t,
        )
    else:
        logistic.defvjp(
            lambda x, r: (logistic(x, r), (x, r)),
            lambda res, g: (
                res[1] * (1 - 2 * res[0]) * g,
                res[0] * (1 - res[0]) * g,
            ),
        )

    def run(f):
        return lambda x, r: lax.scan(lambda c, _: (f(c, r), c), x, None, length=5)[0]

    plain = run(lambda x, r: r * x * (1 - x))
    want = grad(plain, (0, 1))(0.3, 3.2)
    np.testing.assert_allclose(grad(run(logistic), (0, 1))(0.3, 3.2), want, rtol=1e-5)
    np.testing.assert_allclose(
        jit(grad(run(logistic), (0, 1)))(0.3, 3.2), want, rtol=1e-5
    )
    second = grad(grad(run(logistic)))(0.3, 3.2)
    np.testing.assert_allclose(second, grad(grad(plain))(0.3, 3.2), rtol=1e-4)


def test_scan_over_mapped_custom_rule_with_unbatched_coefficient():
    mul = custom_vjp(lambda x, c: x * c)
    mul.defvjp(
        lambda x, c: (mul(x, c), (x, c)),
        lambda res, g: (g * res[1], (g * res[0]).sum()),
    )

    def over(x, c):
        return lax.scan(lambda x, t: (mul(x, c), None), x, jnp.arange(3))[0]

    x = jnp.arange(6.0).reshape(3, 2)
    _, pull = vjp(vmap(over, (0, None)), x, jnp.float32(2.0))
    x_bar, c_bar = pull(jnp.ones((3, 2)))
    np.testing.assert_array_equal(x_bar, np.full((3, 2), 8.0))
    assert c_bar == 3 * 4 * x.sum()


# The document's longest example, without nondiff_argnums.


@custom_vjp
def fixed_point(f, x_guess):
    def cond_fun(carry):
        x_prev, x = carry
        return jnp.abs(x_prev - x) > 1e-6

    def body_fun(carry):
        _, x = carry
        return x, f(x)

    _, x_star = lax.while_loop(cond_fun, body_fun, (x_guess, f(x_guess)))
    return x_star


def fixed_point_fwd(f, x_guess):
    x_star = fixed_point(f, x_guess)
    return x_star, (f, x_star)


def fixed_point_rev(res, x_star_bar):
    f, x_star = res
    _, pull_x = vjp(f, x_star)
    w = fixed_point(lambda u: x_star_bar + pull_x(u)[0], x_star_bar)
    _, pull_f = vjp(lambda f: f(x_star), f)
    return pull_f(w)[0], None


fixed_point.defvjp(fixed_point_fwd, fixed_point_rev)


def newton(a, x):
    return 0.5 * (x + a / x)


class Newton:
    def __init__(self, a):
        self.a = a

    def step(self, x):
        return newton(self.a, x)


FORMS = {
    "lambda": lambda a: lambda x: newton(a, x),
    "partial": lambda a: functools.partial(newton, a),
    "bound method": lambda a: Newton(a).step,
    "nested": lambda a: (lambda b: lambda x: newton(b, x))(1.0 * a),
    "jitted": lambda a: jit(lambda x: newton(a, x)),
    "default": lambda a: lambda x, a=a: newton(a, x),
}


@pytest.mark.parametrize("form", FORMS)
def test_fixed_point_of_a_closure(form):
    def root(a):
        return fixed_point(FORMS[form](a), a)

    np.testing.assert_allclose(root(2.0), 2**0.5, rtol=1e-6)
    np.testing.assert_allclose(grad(root)(2.0), 0.35355338, rtol=1e-5)
    np.testing.assert_allclose(grad(grad(root))(2.0), -0.08838835, rtol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_fixed_point_of_a_closure_under_jit_and_vmap(form):
    def root(a):
        return fixed_point(FORMS[form](a), a)

    a = jnp.array([1.0, 4.0])
    np.testing.assert_allclose(jit(vmap(root))(a), [1.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(jit(grad(root))(2.0), 0.35355338, rtol=1e-5)
    np.testing.assert_allclose(grad(jit(root))(2.0), 0.35355338, rtol=1e-5)
    np.testing.assert_allclose(vmap(grad(root))(a), [0.5, 0.25], rtol=1e-5)
    np.testing.assert_allclose(
        jit(vmap(grad(grad(root))))(a), [-0.25, -0.03125], rtol=1e-4
    )


def test_fixed_point_over_several_parameters():
    def solve(p):
        return fixed_point(lambda x: jnp.cos(p["w"] * x) + p["b"], jnp.float32(0.5))

    value, got = value_and_grad(solve)({"w": 0.5, "b": 0.1})
    slope = 1 / (1 + 0.5 * np.sin(0.5 * value))
    np.testing.assert_allclose(got["b"], slope, rtol=1e-4)
    np.testing.assert_allclose(
        got["w"], -value * np.sin(0.5 * value) * slope, rtol=1e-4
    )
