import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    grad,
    jit,
    jvp,
    lax,
    linear_transpose,
    linearize,
    make_jaxpr,
    vjp,
    vmap,
)
from pullback.errors import RuleError, RuleTreeError
from pullback.transforms.linearize import linearize_flat


def product(**options):
    f = custom_vjp(lambda w, x: {"y": w * x, "n": 3}, **options)
    f.defvjp(
        lambda w, x: (f(w, x), (w, x)),
        lambda res, g: (g["y"] * res[1], g["y"] * res[0]),
    )
    return f


def test_batching_rule_with_flags_of_another_structure_is_an_error():
    f = custom_jvp(lambda x: (x, x))
    f.defvmap(lambda size, batched, x: ((x, x), (True, True, True)))
    with pytest.raises(RuleTreeError, match=r"custom_vmap rule.*\(\*, \*\)"):
        vmap(f)(jnp.ones(2))


def test_batching_rule_may_flag_outputs_one_by_one():
    f = custom_jvp(lambda x: (x, jnp.float32(7.0)))
    f.defvmap(lambda size, batched, x: ((x, jnp.float32(7.0)), (True, False)))
    got = vmap(f)(jnp.ones(2))
    np.testing.assert_array_equal(got, [[1.0, 1.0], [7.0, 7.0]])


def test_cotangent_that_is_the_same_for_all_is_repeated_for_a_batched_argument():
    f = custom_vjp(lambda x: 2.0 * x)
    f.defvjp(lambda x: (f(x), None), lambda res, g: (jnp.float32(5.0),))
    got = vmap(grad(f))(jnp.ones(3))
    np.testing.assert_array_equal(got, [5.0, 5.0, 5.0])
    got = grad(lambda x: vmap(f)(x).sum())(jnp.ones(3))
    np.testing.assert_array_equal(got, [5.0, 5.0, 5.0])


def test_zero_tangents_of_batched_and_unbatched_arguments():
    f = custom_jvp(lambda w, x: w * x)
    f.defjvp(lambda p, t: (f(*p), 10.0 * p[1] * t[0] + p[0] * t[1]))
    w, x = jnp.float32(2.0), jnp.arange(3.0)
    mapped = lambda w, x: vmap(f, (None, 0))(w, x)  # noqa: E731
    np.testing.assert_array_equal(jvp(mapped, (w, x), (1.0, None))[1], 10 * x)
    np.testing.assert_array_equal(jvp(mapped, (w, x), (None, x))[1], 2 * x)
    assert grad(lambda w: mapped(w, x).sum())(w) == 30.0


def test_linear_function_of_a_batch_runs_both_ways():
    f = product(forward="transpose")
    w, x = jnp.float32(2.0), jnp.arange(3.0)

    def mapped(x):
        return vmap(f, (None, 0))(w, x)["y"]

    _, f_lin = linearize(mapped, x)
    np.testing.assert_array_equal(f_lin(jnp.ones(3)), [2, 2, 2])
    np.testing.assert_array_equal(linear_transpose(f_lin, x)(x)[0], 2 * x)
    np.testing.assert_array_equal(vmap(f_lin)(jnp.ones((2, 3))), np.full((2, 3), 2.0))


def test_batch_of_a_linear_function_without_batched_residuals():
    f = product(forward="transpose")
    _, f_lin = linearize(lambda w: f(w, 4.0)["y"], 2.0)
    np.testing.assert_array_equal(vmap(f_lin)(jnp.arange(3.0)), [0, 4, 8])
    _, pull = vjp(lambda w: f(w, 4.0)["y"], 2.0)
    np.testing.assert_array_equal(
        vmap(lambda g: pull(g)[0])(jnp.arange(3.0)), [0, 4, 8]
    )
    assert "mul" in str(make_jaxpr(vmap(f_lin))(jnp.arange(3.0)))


def test_unperturbed_arguments_of_a_batch():
    f = product(forward="transpose")
    x = jnp.arange(3.0)
    got = jvp(lambda w: vmap(f, (None, 0))(w, x)["y"], (2.0,), (1.0,))[1]
    np.testing.assert_array_equal(got, x)
    assert grad(lambda w: vmap(f, (None, 0))(w, x)["y"].sum())(2.0) == 3.0


def test_backward_rule_may_leave_out_what_the_batch_shares():
    f = custom_vjp(lambda x, y: x * y)
    f.defvjp(lambda x, y: (f(x, y), y), lambda y, g: (g * y, None))
    total = grad(lambda x, y: jnp.sum(vmap(f, (0, None))(x, y)), (0, 1))
    x_bar, y_bar = total(jnp.ones(3), 2.0)
    assert (x_bar.tolist(), y_bar) == ([2.0] * 3, 0.0)


def test_pullback_of_a_batch_shows_its_rule():
    f = custom_vjp(lambda x: x)

    def f_bwd(_, g):
        return (g,)

    f.defvjp(lambda x: (x, None), f_bwd)
    f.defjvp(lambda p, t: (p[0], t[0]))
    _, program = linearize_flat(lambda x: [vmap(f)(x)], [jnp.ones(3)])
    ((call, _, _),) = program.steps
    assert call.parameters() == {"name": "<lambda>", "bwd": "f_bwd"}


# -- names of mapped axes --------------------------------------------------------------

X = jnp.array([0.3, -0.2, 0.9])


def over(f):
    return vmap(f, axis_name="i")


def squares(rule="jvp"):
    """Give the sum of squares over an axis; rules say three times its derivative."""
    if rule == "jvp":
        f = custom_jvp(lambda x: lax.psum(x * x, "i"))
        f.defjvp(lambda p, t: (f(*p), lax.psum(6.0 * p[0] * t[0], "i")))
        return f
    f = custom_vjp(lambda x: lax.psum(x * x, "i"))
    f.defvjp(lambda x: (f(x), x), lambda x, ct: (6.0 * x * lax.psum(ct, "i"),))
    return f


@pytest.mark.parametrize("rule", ["jvp", "vjp"])
@pytest.mark.parametrize("wrap", [lambda f: f, jit, checkpoint])
def test_rules_may_refer_to_a_mapped_axis(rule, wrap):
    f = squares(rule)
    np.testing.assert_allclose(over(wrap(f))(X), [0.94] * 3, rtol=1e-6)
    # Each element's x is in the sums of all three.
    inside = over(wrap(grad(wrap(f))))(X)
    np.testing.assert_allclose(inside, 18.0 * X, rtol=1e-5)
    compiled = jit(over(grad(wrap(f))))(X)
    np.testing.assert_allclose(compiled, 18.0 * X, rtol=1e-5)
    if rule == "jvp":
        outside = grad(lambda x: over(wrap(f))(x).sum())(X)
        np.testing.assert_allclose(outside, 18.0 * X, rtol=1e-5)
        dot = over(lambda x: jvp(f, (x,), (1.0,))[1])(X)
        np.testing.assert_allclose(dot, [6.0] * 3, rtol=1e-5)


def test_a_backward_rule_gets_the_cotangent_of_what_all_elements_share():
    # As a sum that is made once, which each of three outputs reads.
    f = custom_vjp(lambda x: lax.psum(x, "i"))
    f.defvjp(lambda x: (f(x), None), lambda _, ct: (ct,))
    weights = jnp.arange(1.0, 4.0)
    for g in (f, jit(f)):
        outside = grad(lambda x, g=g: (weights * over(g)(x)).sum())(X)
        np.testing.assert_array_equal(outside, [6.0] * 3)
        inside = over(grad(lambda x, w, g=g: w * g(x)))(X, weights)
        np.testing.assert_array_equal(inside, weights)
    shared = over(f)
    assert vmap(f, axis_name="i", out_axes=None)(jnp.ones(2)) == 2.0
    np.testing.assert_array_equal(vmap(shared)(jnp.ones((2, 3))), np.full((2, 3), 3.0))


def test_a_rule_alone_may_refer_to_the_axis():
    f = custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, ct: (lax.psum(ct, "i"),))
    np.testing.assert_array_equal(over(grad(f))(X), [3.0] * 3)
    got = vmap(grad(f), axis_name="i", in_axes=None, axis_size=3)(2.0)
    np.testing.assert_array_equal(got, [3.0] * 3)
    got = grad(lambda x: (over(f)(x) * jnp.arange(3.0)).sum())(X)
    np.testing.assert_array_equal(got, [3.0] * 3)


def test_a_tangent_that_differs_where_the_function_does_not_is_an_error():
    f = custom_jvp(lambda x: lax.psum(x, "i"))
    f.defjvp(lambda p, t: (f(*p), t[0]))
    # Run together they agree that each element has its own.
    dot = jvp(over(f), (X,), (jnp.arange(3.0),))[1]
    np.testing.assert_array_equal(dot, jnp.arange(3.0))
    message = r"custom_jvp function .* same output for all .* axis 'i'.*lax.psum"
    with pytest.raises(RuleError, match=message):
        jvp(jit(over(f)), (X,), (jnp.arange(3.0),))


def test_output_types_must_be_those_of_the_axis_at_hand():
    f = custom_vjp(lambda x: lax.all_gather(x, "i"))
    f.defvjp(
        lambda x: (lax.all_gather(1.0 * x, "i"), None),
        lambda _, ct: (lax.psum_scatter(ct, "i"),),
    )
    for n in (2, 3):
        got = over(grad(lambda x: (f(x) ** 2).sum()))(jnp.ones(n))
        assert got.shape == (n,)


def test_forward_mode_by_transposing_a_rule_over_an_axis():
    f = custom_vjp(lambda x: lax.psum(3.0 * x, "i"), forward="transpose")
    f.defvjp(lambda x: (f(x), None), lambda _, ct: (lax.psum(3.0 * ct, "i"),))
    dot = over(lambda x: jvp(f, (x,), (x,))[1])(X)
    np.testing.assert_allclose(dot, [3.0] * 3, rtol=1e-6)
    dot = over(lambda x: linearize(f, x)[1](x))(X)
    np.testing.assert_allclose(dot, [3.0] * 3, rtol=1e-6)
    for g in (over(f), jit(over(f))):
        dot = linearize(g, X)[1](X)
        np.testing.assert_allclose(dot, [3.0] * 3, rtol=1e-6)


def test_a_transpose_that_differs_where_the_function_does_not_is_an_error():
    f = custom_vjp(lambda x: lax.psum(x, "i"), forward="transpose")
    f.defvjp(lambda x: (f(x), None), lambda _, ct: (ct,))
    with pytest.raises(RuleError, match=r"custom_vjp function .* same output for all"):
        jvp(over(f), (X,), (jnp.arange(3.0),))
