"""Programs on which people have stumbled in systems of this kind, in our own words.

Each names what went wrong elsewhere; here it works, or the error says what to do.
"""

import functools

import numpy as np

import pullback
import pullback.numpy as jnp
from pullback import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    float0,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jit,
    jvp,
    lax,
    linearize,
    value_and_grad,
    vjp,
    vmap,
)


def test_branch_taken_by_cond_between_decorated_functions():
    @functools.partial(custom_jvp, nondiff_argnums=(0,))
    def f(mode, y):
        return y

    @f.defjvp
    def f_jvp(mode, primals, tangents):
        assert mode == "left"
        return primals[0], 5.0 * tangents[0]

    def g(y, x):
        return lax.cond(x < y, functools.partial(f, "left"), lambda y: 2 * y, y)

    assert grad(g)(1.0, 0.0) == 5.0
    assert grad(g)(1.0, 2.0) == 2.0
    assert jit(grad(g))(1.0, 0.0) == 5.0


def test_mask_carried_through_a_scan_as_an_ordinary_argument():
    f = custom_jvp(lambda a, mask: a * mask)
    f.defjvp(lambda p, t: (f(*p), t[0] * p[1]))

    def loss(x, mask):
        step = lambda c, _: ((f(*c), c[1]), None)  # noqa: E731
        (x, _), _ = lax.scan(step, (x, mask), None, length=2)
        return x.sum()

    got = grad(loss)(jnp.ones(2), jnp.array([True, False]))
    np.testing.assert_array_equal(got, [1.0, 0.0])


def test_jit_inside_of_partial_of_a_vjp_function():
    @functools.partial(custom_vjp, nondiff_argnums=(0,))
    def f(s, p):
        return p * 0.0

    f.defvjp(lambda s, p: (f(s, p), ()), lambda s, res, g: (s * 10.0,))
    assert grad(functools.partial(jit(f, static_argnums=0), 0.5))(0.1) == 5.0


def test_random_key_as_an_ordinary_integer_argument_under_vmap():
    @custom_jvp
    def sample(param, key):
        return param * key.sum()

    sample.defjvp(lambda p, t: (sample(*p), t[0]))
    keys = jnp.arange(6, dtype="uint32").reshape(3, 2)
    got = vmap(grad(sample), (None, 0))(2.0, keys)
    np.testing.assert_array_equal(got, [1.0, 1.0, 1.0])


def test_integer_primal_has_a_float0_tangent_that_jvp_takes():
    @custom_jvp
    def f(x, n):
        return x * n

    @f.defjvp
    def rule(primals, tangents):
        return jvp(lambda x, n: x * n, primals, tangents)

    assert jvp(lambda x: f(x, 3), (2.0,), (1.0,)) == (6.0, 3.0)
    assert jvp(lambda x, n: f(x, n), (2.0, 3), (1.0, 0))[1] == 3.0


def test_tuple_of_integers_as_argument_takes_none_per_entry_or_for_all():
    for zero in (None, (None, None)):
        f = custom_vjp(lambda x, dims: x * dims[0])
        f.defvjp(lambda x, d, f=f: (f(x, d), d), lambda d, g, z=zero: (g * d[0], z))
        assert grad(f)(1.0, (6, 7)) == 6.0


def test_hessian_of_a_vjp_only_function_reverse_over_reverse():
    f = custom_vjp(lambda x, y: jnp.sin(x) * y)
    f.defvjp(
        lambda x, y: (f(x, y), (jnp.cos(x), jnp.sin(x), y)),
        lambda res, g: (res[0] * g * res[2], res[1] * g),
    )
    np.testing.assert_allclose(jacrev(jacrev(f))(1.0, 2.0), -2 * np.sin(1.0), rtol=1e-6)
    with pullback.config.context(custom_vjp_forward="transpose"):
        np.testing.assert_allclose(hessian(f)(1.0, 2.0), -2 * np.sin(1.0), rtol=1e-6)


def test_custom_rule_with_value_and_grad_and_aux():
    f = custom_vjp(lambda x: (x**2, {"half": x / 2}))
    f.defvjp(lambda x: (f(x), x), lambda x, g: (g[0] * 7.0,))
    (value, aux), got = value_and_grad(f, has_aux=True)(2.0)
    assert (value, aux["half"], got) == (4.0, 1.0, 7.0)


def test_straight_through_estimator():
    @custom_vjp
    def hard(x):
        return jnp.where(x > 0, 1.0, -1.0)

    hard.defvjp(lambda x: (hard(x), x), lambda x, g: (jnp.where(abs(x) < 1, g, 0.0),))
    x = jnp.array([-2.0, -0.5, 0.5, 2.0])
    np.testing.assert_array_equal(grad(lambda x: hard(x).sum())(x), [0, 1, 1, 0])
    np.testing.assert_array_equal(jit(vmap(grad(hard)))(x), [0, 1, 1, 0])


def test_gradient_reversal_with_a_schedule_that_is_traced():
    @custom_vjp
    def reverse(x, strength):
        return x

    reverse.defvjp(lambda x, s: (x, s), lambda s, g: (-s * g, None))

    @jit
    def step(x, t):
        return grad(lambda x: reverse(x, t / 10) ** 2)(x)

    assert step(3.0, 5.0) == -3.0


def test_safe_norm_at_zero():
    @custom_jvp
    def norm(x):
        return jnp.sqrt(jnp.sum(x * x))

    @norm.defjvp
    def norm_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        ans = norm(x)
        return ans, jnp.where(
            ans == 0, 0.0, jnp.sum(x * t) / jnp.where(ans == 0, 1, ans)
        )

    np.testing.assert_array_equal(grad(norm)(jnp.zeros(2)), [0.0, 0.0])
    np.testing.assert_array_equal(hessian(norm)(jnp.zeros(2)), np.zeros((2, 2)))
    np.testing.assert_allclose(jit(grad(norm))(jnp.array([3.0, 4.0])), [0.6, 0.8])


def test_rule_using_vmap_inside():
    @custom_jvp
    def f(x):
        return jnp.sum(x**2)

    @f.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), vmap(lambda x, t: 2 * x * t)(x, t).sum()

    np.testing.assert_array_equal(grad(f)(jnp.arange(3.0)), [0, 2, 4])
    np.testing.assert_array_equal(jacfwd(grad(f))(jnp.arange(2.0)), 2 * np.eye(2))


def test_jitted_rules():
    f = custom_jvp(lambda x: jnp.sin(x))

    @f.defjvp
    @jit
    def f_jvp(primals, tangents):
        return f(*primals), 2.0 * jnp.cos(primals[0]) * tangents[0]

    g = custom_vjp(lambda x: jnp.sin(x))
    g.defvjp(jit(lambda x: (g(x), jnp.cos(x))), jit(lambda c, ct: (2.0 * c * ct,)))
    for h in (f, g):
        for use in (grad(h), jit(grad(h)), grad(jit(h))):
            np.testing.assert_allclose(use(1.0), 2 * np.cos(1.0), rtol=1e-6)
        np.testing.assert_allclose(
            grad(lambda x, h=h: vmap(h)(x).sum())(jnp.ones(2)),
            2 * np.cos(np.ones(2)),
            rtol=1e-6,
        )
    assert f_jvp.__name__ == "f_jvp"


def test_rule_that_is_a_partial_or_a_method_or_a_callable_object():
    class Rules:
        scale = 4.0

        def jvp(self, primals, tangents):
            return primals[0] * 1.0, self.scale * tangents[0]

        def __call__(self, res, g):
            return (self.scale * g,)

    f = custom_jvp(lambda x: x * 1.0)
    f.defjvp(Rules().jvp)
    assert grad(f)(1.0) == 4.0
    f.defvjp(lambda x: (f(x), None), Rules())
    assert grad(f)(1.0) == 4.0
    f.defvjp(
        lambda x: (f(x), 5.0), functools.partial(lambda k, r, g: (k * r * g,), 2.0)
    )
    assert grad(f)(1.0) == 10.0


def test_rule_reading_a_global_array_after_jit():
    f = custom_vjp(lambda x: x * TABLE)
    f.defvjp(lambda x: (f(x), None), lambda res, g: (jnp.sum(g * TABLE),))
    for use in (grad, lambda f: jit(grad(f)), lambda f: grad(jit(f))):
        assert use(lambda x: f(x).sum())(1.0) == 3.0
    got = grad(jit(lambda x: vmap(f)(x).sum()))(jnp.ones(2))
    np.testing.assert_array_equal(got, [3.0, 3.0])
    assert grad(lambda x: checkpoint(f)(x).sum())(1.0) == 3.0
    scan = lambda x: lax.scan(lambda c, _: (f(c).sum(), None), x, None, 2)[0]  # noqa: E731
    assert grad(scan)(1.0) == 9.0


TABLE = jnp.arange(3.0)


def test_rule_reading_a_numpy_array_after_jit():
    table = np.arange(3.0, dtype="float32")
    f = custom_jvp(lambda x: x * table)
    f.defjvp(lambda p, t: (f(*p), t[0] * table))
    for use in (grad, lambda f: jit(grad(f)), lambda f: grad(jit(f))):
        assert use(lambda x: f(x).sum())(1.0) == 3.0


def test_decorated_function_called_with_numpy_arrays_and_python_lists_of_numbers():
    f = custom_vjp(lambda x: jnp.sum(x[0]) + x[1])
    f.defvjp(lambda x: (f(x), None), lambda res, g: ([g * jnp.ones(2), 5.0 * g],))
    first, second = grad(f)([np.ones(2, "float32"), 1.0])
    np.testing.assert_array_equal(first, [1.0, 1.0])
    assert second == 5.0


def test_linearize_runs_rules_once_for_many_tangents():
    runs = []
    f = custom_jvp(lambda x: x**2)
    f.defjvp(lambda p, t: (runs.append(1), (f(*p), 2 * p[0] * t[0]))[1])
    _, f_lin = linearize(f, 3.0)
    assert [float(f_lin(t)) for t in (1.0, 2.0, 3.0)] == [6.0, 12.0, 18.0]
    assert len(runs) == 1


def test_pullback_used_many_times_and_kept_for_later():
    f = custom_vjp(lambda x: jnp.sin(x))
    f.defvjp(lambda x: (f(x), x), lambda x, g: (g * jnp.cos(x),))
    pulls = [vjp(f, float(i))[1] for i in range(3)]
    got = [float(pull(2.0)[0]) for pull in pulls for _ in range(2)]
    np.testing.assert_allclose(got, 2 * np.cos([0, 0, 1, 1, 2, 2]), rtol=1e-6)
    rows = vmap(lambda g: pulls[1](g)[0])(jnp.arange(3.0))
    np.testing.assert_allclose(rows, np.arange(3) * np.cos(1.0), rtol=1e-6)


def test_rule_for_a_function_that_branches_in_python_on_static_shape():
    @custom_vjp
    def total(x):
        return x.sum() if x.ndim else x

    total.defvjp(lambda x: (total(x), x.shape), lambda shape, g: (jnp.full(shape, g),))
    assert grad(total)(1.0) == 1.0
    np.testing.assert_array_equal(jit(grad(total))(jnp.ones(3)), np.ones(3))


def test_integer_residual_used_as_a_python_index():
    @custom_vjp
    def pick(x):
        return x[2]

    pick.defvjp(
        lambda x: (x[2], (2, len(x))),
        lambda res, g: (jnp.zeros(res[1]).at[res[0]].set(g),),
    )
    np.testing.assert_array_equal(grad(pick)(jnp.arange(4.0)), [0, 0, 1, 0])
    np.testing.assert_array_equal(jit(grad(pick))(jnp.arange(4.0)), [0, 0, 1, 0])
    np.testing.assert_array_equal(grad(jit(pick))(jnp.arange(4.0)), [0, 0, 1, 0])


def test_x64_derivatives_of_a_custom_rule():
    with pullback.config.context(enable_x64=True):
        f = custom_jvp(lambda x: x**2)
        f.defjvp(lambda p, t: (f(*p), 2 * p[0] * t[0]))
        assert grad(f)(3.0).dtype == jnp.float64
        assert jit(grad(f))(3.0).dtype == jnp.float64


def test_weak_types_of_python_scalars_pass_through_rules():
    f = custom_vjp(lambda x: 2 * x)
    f.defvjp(lambda x: (f(x), None), lambda res, g: (2 * g,))
    x = jnp.ones(2, "bfloat16")
    assert (f(1.0) * x).dtype == jnp.bfloat16
    got = grad(lambda s: (f(s) * x).astype("float32").sum())(1.0)
    assert (got, got.dtype) == (4.0, jnp.float32)


def test_float0_cotangent_of_a_pullback_is_an_array_of_that_dtype():
    n_bar, x_bar = vjp(lambda n, x: n * x, jnp.arange(3), 2.0)[1](jnp.ones(3))
    assert n_bar.dtype == float0
    assert n_bar.shape == (3,)
    assert x_bar == 3.0
