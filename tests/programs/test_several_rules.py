"""Programs with several rules on one function: rules.md, section 2."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import (
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jit,
    jvp,
    linear_transpose,
    linearize,
    vjp,
    vmap,
)
from pullback.errors import ForwardModeError, LinearityError

BOTH = pytest.mark.parametrize("decorator", [custom_jvp, custom_vjp])


def two_faced(decorator):
    """Identity whose forward derivative is 2, whose reverse derivative is 3."""

    @decorator
    def f(x):
        return 1.0 * x

    f.defjvp(lambda primals, tangents: (f(*primals), 2.0 * tangents[0]))
    f.defvjp(lambda x: (f(x), None), lambda res, g: (3.0 * g,))
    return f


def square(**options):
    """x**2 with an honest reverse rule."""

    @custom_vjp(**options)
    def f(x):
        return x * x

    f.defvjp(lambda x: (f(x), x), lambda x, g: (2.0 * x * g,))
    return f


@BOTH
def test_each_mode_uses_its_own_rule(decorator):
    f = two_faced(decorator)
    assert jvp(f, (1.0,), (1.0,))[1] == 2.0
    assert jacfwd(f)(1.0) == 2.0
    assert grad(f)(1.0) == 3.0
    assert jacrev(f)(1.0) == 3.0


@BOTH
def test_each_mode_uses_its_own_rule_under_jit(decorator):
    f = two_faced(decorator)
    assert jvp(jit(f), (1.0,), (1.0,))[1] == 2.0
    assert jit(jacfwd(f))(1.0) == 2.0
    assert jit(grad(f))(1.0) == 3.0
    assert grad(jit(f))(1.0) == 3.0


@BOTH
def test_each_mode_uses_its_own_rule_under_vmap(decorator):
    f = two_faced(decorator)
    x = jnp.ones(3)
    np.testing.assert_array_equal(jvp(vmap(f), (x,), (x,))[1], [2, 2, 2])
    np.testing.assert_array_equal(vmap(grad(f))(x), [3, 3, 3])
    np.testing.assert_array_equal(grad(lambda x: vmap(f)(x).sum())(x), [3, 3, 3])


@BOTH
@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_linearize_has_both_faces(decorator, wrap):
    f = two_faced(decorator)
    y, f_lin = linearize(wrap(f), 5.0)
    assert y == 5.0
    assert f_lin(1.0) == 2.0
    (ct,) = linear_transpose(f_lin, 1.0)(1.0)
    assert ct == 3.0


@BOTH
def test_linearize_under_vmap_has_both_faces(decorator):
    f = two_faced(decorator)
    x = jnp.ones(2)
    _, f_lin = linearize(vmap(f), x)
    np.testing.assert_array_equal(f_lin(x), [2, 2])
    np.testing.assert_array_equal(linear_transpose(f_lin, x)(x)[0], [3, 3])


def test_three_rules_on_one_function():
    f = two_faced(custom_jvp)

    @f.defvmap
    def rule(axis_size, in_batched, x):
        assert (axis_size, list(in_batched)) == (4, [True])
        return x + 100.0, True

    np.testing.assert_array_equal(vmap(f)(jnp.zeros(4)), [100.0] * 4)
    np.testing.assert_array_equal(jit(vmap(f))(jnp.zeros(4)), [100.0] * 4)
    np.testing.assert_array_equal(vmap(grad(f))(jnp.ones(4)), [3.0] * 4)
    assert f(1.0) == 1.0


def test_batching_rule_gives_mapped_values_and_bodies_give_derivatives():
    @custom_vjp
    def dot(a, b):
        return jnp.sum(a * b)

    dot.defvjp(
        lambda a, b: (dot(a, b), (a, b)), lambda res, g: (g * res[1], g * res[0])
    )

    @dot.defvmap
    def rule(axis_size, in_batched, a, b):
        return jnp.sum(a * b, axis=-1), True

    a, b = jnp.ones((3, 2)), jnp.arange(2.0)
    np.testing.assert_array_equal(vmap(dot, (0, None))(a, b), [1, 1, 1])
    got = grad(lambda b: vmap(dot, (0, None))(a, b).sum())(b)
    np.testing.assert_array_equal(got, [3, 3])


@BOTH
def test_function_with_batching_rule_only_differentiates_its_body(decorator):
    f = decorator(lambda x: x**3)
    f.defvmap(lambda size, batched, x: (x**3, True))
    assert grad(f)(2.0) == 12.0
    assert jvp(f, (2.0,), (1.0,))[1] == 12.0
    assert jit(grad(f))(2.0) == 12.0
    np.testing.assert_array_equal(vmap(grad(f))(jnp.array([1.0, 2.0])), [3, 12])
    np.testing.assert_array_equal(
        grad(lambda x: vmap(f)(x).sum())(jnp.array([1.0, 2.0])), [3, 12]
    )
    assert grad(grad(f))(2.0) == 12.0


def test_batching_rule_sees_which_arguments_are_batched():
    seen = []
    f = custom_jvp(lambda x, tree: x + tree["a"])

    @f.defvmap
    def rule(axis_size, in_batched, x, tree):
        seen.append((axis_size, in_batched[0], in_batched[1]))
        return x + tree["a"], in_batched[0]

    vmap(f, (0, None))(jnp.ones(2), {"a": 1.0})
    assert seen == [(2, True, {"a": False})]


def test_batching_rule_lying_about_its_output_is_an_error():
    f = custom_jvp(lambda x: x)
    f.defvmap(lambda size, batched, x: (jnp.float32(1.0), True))
    with pytest.raises(TypeError, match=r"custom_vmap rule.*f32\[\].*batched over 3"):
        vmap(f)(jnp.ones(3))


def test_nested_vmap_with_batching_rule():
    f = custom_vjp(lambda x: x + 0.0)
    f.defvmap(lambda size, batched, x: (x + 1.0, True))
    np.testing.assert_array_equal(vmap(vmap(f))(jnp.zeros((2, 3))), np.ones((2, 3)))


def test_rule_is_used_at_an_order_only_if_the_order_below_calls_the_function():
    @custom_jvp
    def keeps(x):
        return jnp.sin(x)

    keeps.defjvp(lambda p, t: (keeps(*p), 10.0 * keeps(*p) * t[0]))

    @custom_jvp
    def leaves(x):
        return jnp.sin(x)

    leaves.defjvp(lambda p, t: (jnp.sin(*p), 10.0 * jnp.sin(*p) * t[0]))
    np.testing.assert_allclose(grad(grad(keeps))(1.0), 100 * np.sin(1.0), rtol=1e-6)
    np.testing.assert_allclose(grad(grad(leaves))(1.0), 10 * np.cos(1.0), rtol=1e-6)


def test_reverse_over_forward_and_forward_over_reverse_hessians():
    f = custom_jvp(lambda x: jnp.sum(x**3))
    f.defjvp(lambda p, t: (f(*p), jnp.sum(3 * p[0] ** 2 * t[0])))
    f.defvjp(lambda x: (f(x), x), lambda x, g: (3 * x**2 * g,))
    x = jnp.array([1.0, 2.0])
    wanted = np.diag([6.0, 12.0])
    for h in (hessian(f), jacfwd(jacrev(f)), jacrev(jacfwd(f)), jacrev(jacrev(f))):
        np.testing.assert_allclose(h(x), wanted)
        np.testing.assert_allclose(jit(h)(x), wanted)


# Forward mode of a function with a reverse rule only.


@pytest.mark.parametrize(
    "use",
    [
        lambda f: jvp(f, (2.0,), (1.0,)),
        lambda f: jacfwd(f)(2.0),
        lambda f: hessian(lambda x: f(x) * 1.0)(2.0),
        lambda f: linearize(f, 2.0)[1](1.0),
        lambda f: jit(lambda x: jvp(f, (x,), (x,)))(2.0),
        lambda f: jvp(jit(f), (2.0,), (1.0,)),
        lambda f: vmap(lambda x: jvp(f, (x,), (x,)))(jnp.ones(2)),
    ],
)
def test_forward_mode_with_reverse_rule_only_is_the_documented_error(use):
    f = square()
    with pytest.raises(
        TypeError,
        match=r"can't apply forward-mode autodiff \(jvp\) to a custom_vjp function",
    ) as caught:
        use(f)
    assert isinstance(caught.value, ForwardModeError)
    assert "f has only the reverse rule" in str(caught.value)
    assert "f.defjvp" in str(caught.value)
    assert "forward='transpose'" in str(caught.value)


@pytest.fixture(params=["option", "switch"])
def transposing(request):
    """A square whose forward mode transposes bwd, by option or by switch."""
    if request.param == "option":
        yield square(forward="transpose")
    else:
        with pullback.config.context(custom_vjp_forward="transpose"):
            yield square()


FORWARD = {
    "jvp": lambda f: jvp(f, (3.0,), (1.0,))[1],
    "jacfwd": lambda f: jacfwd(f)(3.0),
    "jit": lambda f: jit(lambda x: jvp(f, (x,), (jnp.ones_like(x),))[1])(3.0),
    "jvp of jit": lambda f: jvp(jit(f), (3.0,), (1.0,))[1],
    "linearize": lambda f: linearize(f, 3.0)[1](1.0),
    "linearize of jit": lambda f: linearize(jit(f), 3.0)[1](1.0),
    "vmap": lambda f: vmap(jacfwd(f))(jnp.array([3.0, 3.0]))[0],
    "jvp of vmap": lambda f: jvp(vmap(f), (jnp.full(2, 3.0),), (jnp.ones(2),))[1][0],
    "hessian": lambda f: 3.0 * hessian(f)(3.0),
    "hessian of jit": lambda f: 3.0 * hessian(jit(f))(3.0),
    "jacfwd of jacfwd": lambda f: 3.0 * jacfwd(jacfwd(f))(3.0),
    "grad of jacfwd": lambda f: 3.0 * grad(jacfwd(f))(3.0),
}


@pytest.mark.parametrize("how", FORWARD)
def test_forward_mode_by_transposing_bwd(transposing, how):
    assert FORWARD[how](transposing) == 6.0


def test_forward_transpose_is_that_of_bwd_never_of_the_body():
    f = custom_vjp(lambda x: x, forward="transpose")
    f.defvjp(lambda x: (f(x), None), lambda res, g: (42.0 * g,))
    assert jvp(f, (1.0,), (1.0,))[1] == 42.0


def test_forward_transpose_with_several_arguments_and_containers():
    @custom_vjp(forward="transpose")
    def f(x, y):
        return {"p": x * y["b"], "s": jnp.sum(x)}

    f.defvjp(
        lambda x, y: (f(x, y), (x, y)),
        lambda res, g: (
            g["p"] * res[1]["b"] + g["s"],
            {"b": jnp.sum(g["p"] * res[0])},
        ),
    )
    x, y = jnp.array([1.0, 2.0]), {"b": 3.0}
    _, dot = jvp(f, (x, y), (jnp.ones(2), {"b": 1.0}))
    np.testing.assert_array_equal(dot["p"], [4.0, 5.0])
    assert dot["s"] == 2.0
    assert jvp(lambda y: f(x, y), (y,), ({"b": 1.0},))[1]["s"] == 0.0


def test_vjp_only_function_is_used_on_tangents_inside_another_rule():
    double = custom_vjp(lambda t: 2.0 * t, forward="transpose")
    double.defvjp(lambda t: (2.0 * t, None), lambda res, g: (2.0 * g,))
    f = custom_jvp(lambda x: x)
    f.defjvp(lambda p, t: (f(*p), double(t[0])))
    assert jvp(f, (1.0,), (1.0,))[1] == 2.0
    assert grad(f)(1.0) == 2.0
    assert jit(grad(f))(1.0) == 2.0
    assert grad(jit(f))(1.0) == 2.0


def test_linear_transpose_of_a_decorated_linear_function_uses_bwd():
    f = custom_vjp(lambda t: 2.0 * t, forward="transpose")
    f.defvjp(lambda t: (2.0 * t, None), lambda res, g: (5.0 * g,))
    assert linear_transpose(f, 1.0)(1.0) == (5.0,)
    assert jit(lambda c: linear_transpose(f, 1.0)(c))(1.0) == (5.0,)


def clipped():
    @custom_vjp(forward="transpose")
    def clip_gradient(x):
        return x

    def clip_bwd(res, g):
        return (jnp.clip(g, -1.0, 1.0),)

    clip_gradient.defvjp(lambda x: (x, None), clip_bwd)
    return clip_gradient


@pytest.mark.parametrize(
    "use",
    [
        lambda f: jvp(f, (1.0,), (1.0,)),
        lambda f: jacfwd(f)(1.0),
        lambda f: jit(jacfwd(f))(1.0),
        lambda f: jvp(jit(f), (1.0,), (1.0,)),
        lambda f: vmap(jacfwd(f))(jnp.ones(2)),
        lambda f: linearize(f, 1.0)[1](1.0),
        lambda f: jvp(vmap(f), (jnp.ones(2),), (jnp.ones(2),)),
    ],
)
def test_bwd_that_is_not_linear_cannot_be_transposed(use):
    with pytest.raises(LinearityError, match="linear") as caught:
        use(clipped())
    message = str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert "rule `clip_bwd` of clip_gradient" in message
    assert "clip_gradient.defjvp" in message
    assert "test_several_rules.py:" in message


def test_nonlinear_bwd_still_serves_reverse_mode():
    assert grad(lambda x: 5.0 * clipped()(x))(1.0) == 1.0


def test_affine_bwd_cannot_be_transposed():
    f = custom_vjp(lambda x: x, forward="transpose")
    f.defvjp(lambda x: (x, None), lambda res, g: (g + 1.0,))
    with pytest.raises(LinearityError, match=r"linear.*f.defjvp|lambda>.defjvp"):
        jvp(f, (1.0,), (1.0,))


def test_bwd_branching_on_its_cotangent_cannot_be_transposed():
    def bwd(res, g):
        return (g if g > 0 else 0.0,)

    f = custom_vjp(lambda x: x, forward="transpose")
    f.defvjp(lambda x: (x, None), bwd)
    with pytest.raises(LinearityError, match=r"(?s)`bwd`.*linear.*defjvp"):
        jvp(f, (1.0,), (1.0,))


def test_bwd_calling_numpy_cannot_be_transposed():
    def bwd(res, g):
        return (np.cos(g),)

    f = custom_vjp(lambda x: x, forward="transpose")
    f.defvjp(lambda x: (x, None), bwd)
    with pytest.raises(TypeError, match=r"(?s)`bwd`.*linear.*defjvp"):
        jvp(f, (1.0,), (1.0,))


def test_jvp_rule_wins_over_transposing():
    f = square(forward="transpose")
    f.defjvp(lambda p, t: (f(*p), 77.0 * t[0]))
    assert jvp(f, (1.0,), (1.0,))[1] == 77.0


def test_unknown_forward_option_is_refused():
    with pytest.raises(ValueError, match="'error' or 'transpose'"):
        custom_vjp(lambda x: x, forward="yes")


def test_vjp_twice_uses_bwd_twice():
    f = square()
    _, pull = vjp(f, 3.0)
    assert pull(1.0) == (6.0,)
    assert pull(10.0) == (60.0,)
