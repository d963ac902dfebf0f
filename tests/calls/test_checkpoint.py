"""Checkpoint: values, what is kept, what is computed anew, and policies."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import (
    checkpoint,
    checkpoint_name,
    custom_jvp,
    custom_vjp,
    grad,
    jit,
    jvp,
    lax,
    make_jaxpr,
    vjp,
    vmap,
)
from pullback.calls import policies
from tests.rule_checks import check_rules_of

W = np.array([[0.3, -0.2], [0.5, 0.4]])


def layers(x, w):
    for _ in range(3):
        x = jnp.tanh(checkpoint_name(x @ w, "product"))
    return x


POLICIES = [
    None,
    policies.nothing_saveable,
    policies.everything_saveable,
    policies.dots_saveable,
    policies.checkpoint_dots,
    policies.dots_with_no_batch_dims_saveable,
    policies.save_only_these_names("product"),
    policies.save_any_names_but_these("other"),
    policies.save_anything_except_these_names("product"),
    policies.save_from_both_policies(
        policies.dots_saveable, policies.save_only_these_names("product")
    ),
    lambda primitive, *avals, **parameters: primitive.name == "tanh",
]


def named(policy):
    """Names a policy the same in every process."""
    return getattr(policy, "__name__", str(policy))


@pytest.mark.parametrize("policy", POLICIES, ids=named)
def test_checkpoint_rules_under_every_policy(policy):
    f = checkpoint(layers, policy=policy)
    check_rules_of(lambda x, w: [f(x, w)], np.array([0.4, -0.6]), W)


def kept(f, *args):
    """Give the types of what the forward pass keeps beside its inputs and output."""
    jaxpr = make_jaxpr(grad(lambda *xs: jnp.sum(f(*xs))))(*args)
    first = next(e for e in jaxpr.eqns if e.primitive.name == "checkpoint")
    return sorted(str(v.aval) for v in first.outputs[1:])


@pytest.mark.parametrize(
    ("policy", "count"),
    [
        (None, 0),
        (policies.dots_saveable, 3),
        (policies.save_only_these_names("product"), 3),
        (policies.save_only_these_names("other"), 0),
        (policies.save_only_these_names(), 0),
    ],
    ids=named,
)
def test_policies_decide_what_is_kept(policy, count):
    f = checkpoint(layers, policy=policy)
    assert kept(f, jnp.ones(2), jnp.array(W)) == ["f32[2]"] * count


def recomputed(f, *args):
    """Give the names of the operations of the second computation."""
    jaxpr = make_jaxpr(grad(lambda *xs: jnp.sum(f(*xs))))(*args)
    second = [e for e in jaxpr.eqns if e.primitive.name == "checkpoint"][1]
    return [e.primitive.name for e in second.primitive.jaxpr.eqns]


def test_what_is_kept_is_not_computed_anew():
    args = jnp.ones(2), jnp.array(W)
    everything = checkpoint(layers, policy=policies.everything_saveable)
    assert "tanh" in recomputed(checkpoint(layers), *args)
    assert "tanh" not in recomputed(everything, *args)
    dots = checkpoint(layers, policy=policies.dots_saveable)
    count = recomputed(checkpoint(layers), *args).count("dot_general")
    # Of three products in the forward pass, the last is not needed again anyway.
    assert count - recomputed(dots, *args).count("dot_general") in (2, 3)


def test_forward_runs_the_function_and_backward_its_rules_once_each():
    calls = []

    @custom_vjp
    def f(x):
        calls.append("f")
        return jnp.sin(x)

    def fwd(x):
        calls.append("fwd")
        return jnp.sin(x), x

    def bwd(x, ct):
        calls.append("bwd")
        return (ct * jnp.cos(x),)

    f.defvjp(fwd, bwd)
    y, pull = vjp(checkpoint(f), 1.0)
    assert calls == ["f"]
    (x_bar,) = pull(1.0)
    assert calls == ["f", "fwd", "bwd"]
    np.testing.assert_allclose([y, x_bar], [np.sin(1), np.cos(1)], rtol=1e-6)
    calls.clear()
    jit(grad(checkpoint(f)))(1.0)
    assert calls == ["f", "fwd", "bwd"]


def test_without_differentiation_the_function_runs_as_it_is():
    seen = []
    f = checkpoint(lambda x: seen.append(float(x)) or x * 2)
    assert f(3.0) == 6.0
    assert seen == [3.0]


def test_the_compiler_does_not_merge_both_computations():
    def f(x):
        for _ in range(3):
            x = jnp.sin(x)
        return x

    text = jit(grad(checkpoint(f))).lower(1.0).as_text()
    assert "optimization_barrier" in text
    plain = jit(grad(f)).lower(1.0).compile().as_text()
    again = jit(grad(checkpoint(f))).lower(1.0).compile().as_text()
    assert len(again) > len(plain)
    loose = checkpoint(f, prevent_cse=False)
    assert "optimization_barrier" not in jit(grad(loose)).lower(1.0).as_text()
    np.testing.assert_allclose(jit(grad(checkpoint(f)))(1.0), grad(f)(1.0), rtol=1e-6)


def test_keywords_static_arguments_and_decorator_forms():
    @checkpoint(static_argnums=(1,))
    def f(x, kind, scale=1.0, *, shift):
        return getattr(jnp, kind)(x["a"]) * scale + shift

    def g(x, s):
        return f({"a": x}, "sin", scale=s, shift=x)

    np.testing.assert_allclose(grad(g)(1.0, 2.0), 2 * np.cos(1) + 1, rtol=1e-6)
    np.testing.assert_allclose(jit(grad(g, 1))(1.0, 2.0), np.sin(1), rtol=1e-6)
    assert pullback.remat is checkpoint


def test_checkpoint_captures_tracers_and_nests():
    def f(a):
        inner = checkpoint(lambda x: jnp.sin(x * a))
        return grad(checkpoint(lambda x: inner(x) * inner(x * a)))(1.0)

    def plain(a):
        return grad(lambda x: jnp.sin(x * a) * jnp.sin(x * a * a))(1.0)

    for g in (lambda f: f, jit, grad, lambda f: jit(grad(f)), lambda f: grad(grad(f))):
        np.testing.assert_allclose(g(f)(0.7), g(plain)(0.7), rtol=1e-4)
    xs = jnp.array([0.3, 0.7])
    np.testing.assert_allclose(vmap(f)(xs), vmap(plain)(xs), rtol=1e-5)
    np.testing.assert_allclose(
        jvp(f, (0.7,), (1.0,))[1], jvp(plain, (0.7,), (1.0,))[1], rtol=1e-4
    )


def test_checkpoint_in_scan_keeps_the_carry_only():
    def f(x, xs):
        step = checkpoint(lambda c, e: (jnp.sin(jnp.exp(c)) * e, None))
        return lax.scan(step, x, xs)[0]

    jaxpr = make_jaxpr(grad(f))(0.3, jnp.ones(10))
    scan = next(e for e in jaxpr.eqns if e.primitive.name == "scan")
    assert [str(v.aval) for v in scan.outputs] == ["f32[]", "f32[10]"]
    check_rules_of(lambda x, xs: [f(x, xs)], np.array(0.3), np.array([0.5, 0.9]))


def test_a_rule_that_checkpoints_a_linear_function_of_tangents():
    @custom_jvp
    def f(x):
        return jnp.sin(x)

    @f.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), checkpoint(lambda t: t * jnp.cos(x))(t)

    np.testing.assert_allclose(grad(f)(0.3), np.cos(0.3), rtol=1e-6)
    np.testing.assert_allclose(jit(grad(grad(f)))(0.3), -np.sin(0.3), rtol=1e-6)


def test_a_wrong_policy_is_explained():
    with pytest.raises(TypeError, match="checkpoint_policies"):
        checkpoint(jnp.sin, policy="dots")


def test_policies_are_shown_by_name():
    assert str(policies.dots_saveable) == "dots_saveable"
    assert str(policies.save_only_these_names("a", "b")) == (
        "save_only_these_names('a', 'b')"
    )


def test_what_is_computed_again_may_refer_to_a_mapped_axis():
    @checkpoint
    def f(x):
        return jnp.sin(lax.psum(jnp.sin(x), "i") * x)

    x = np.array([0.3, -0.2, 0.9])
    check_rules_of(vmap(f, axis_name="i"), x)
    check_rules_of(vmap(grad(f), axis_name="i"), x, order=1)
    check_rules_of(vmap(jit(grad(jit(f))), axis_name="i"), x, order=1, batched=False)
