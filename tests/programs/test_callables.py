"""Programs that pass functions as differentiable arguments: rules.md, section 3."""

import functools

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, custom_vjp, grad, jit, jvp, tree_util, vjp, vmap


@custom_vjp
def apply(f, x):
    """f(x), whose derivatives are all tripled."""
    return f(x)


def apply_fwd(f, x):
    return apply(f, x), (f, x)


def apply_bwd(res, g):
    f, x = res
    f_bar, x_bar = vjp(lambda f, x: f(x), f, x)[1](3.0 * g)
    return f_bar, x_bar


apply.defvjp(apply_fwd, apply_bwd)


@custom_jvp
def push(f, x):
    """f(x), whose derivatives are all tripled."""
    return f(x)


@push.defjvp
def push_jvp(primals, tangents):
    y, y_dot = jvp(lambda f, x: f(x), primals, tangents)
    return y, 3.0 * y_dot


@tree_util.register_pytree_node_class
class Layer:
    def __init__(self, w):
        self.w = w

    def tree_flatten(self):
        return (self.w,), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(*children)

    def forward(self, x):
        return self.w * x

    def __call__(self, x):
        return self.w * x


class Plain:
    def __init__(self, w):
        self.w = w

    def forward(self, x):
        return self.w * x

    def __call__(self, x):
        return self.w * x


def times(a, x):
    return a * x


def nested(a):
    def outer(x):
        def inner(y):
            return a * y

        return inner(x)

    return outer


def with_default(a):
    def f(x, a=a):
        return a * x

    return f


def with_keyword_default(a):
    def f(x, *, a=a):
        return a * x

    return f


def recursive(a):
    def f(x, depth=0):
        return f(x, depth + 1) if depth < 2 else a * x

    return f


def mutual(a):
    def even(n, x):
        return a * x if n == 0 else odd(n - 1, x)

    def odd(n, x):
        return even(n - 1, x)

    return lambda x: even(4, x)


def custom(a):
    f = custom_jvp(lambda a, x: a * x)
    f.defjvp(lambda p, t: (f(*p), p[0] * t[1] + t[0] * p[1]))
    return lambda x: f(a, x)


def in_list(a):
    box = [1.0, {"a": a}]
    return lambda x: box[1]["a"] * x


CALLABLES = {
    "lambda": lambda a: lambda x: a * x,
    "partial": lambda a: functools.partial(times, a),
    "partial keyword": lambda a: functools.partial(lambda x, a: a * x, a=a),
    "partial of partial": lambda a: functools.partial(
        functools.partial(lambda b, a, x: a * x, 1.0), a
    ),
    "tree Partial": lambda a: tree_util.Partial(times, a),
    "bound method of pytree": lambda a: Layer(a).forward,
    "bound method of object": lambda a: Plain(a).forward,
    "callable object": lambda a: Plain(a),
    "callable pytree": lambda a: Layer(a),
    "nested function": nested,
    "default": with_default,
    "keyword default": with_keyword_default,
    "recursive": recursive,
    "mutually recursive": mutual,
    "jitted": lambda a: jit(lambda x: a * x),
    "jitted partial": lambda a: jit(functools.partial(times, a)),
    "vmapped": lambda a: lambda x: vmap(lambda x: a * x)(x[None])[0],
    "other custom function": custom,
    "in a list": in_list,
    "grad of": lambda a: grad(lambda x: a * x * x / 2),
}


@pytest.mark.parametrize("kind", CALLABLES)
@pytest.mark.parametrize("use", [apply, push])
def test_callable_argument_is_differentiable(kind, use):
    def h(a, x):
        return use(CALLABLES[kind](a), x)

    a, x = jnp.float32(2.0), jnp.float32(5.0)
    assert h(a, x) == 10.0
    assert grad(h, (0, 1))(a, x) == (15.0, 6.0)


@pytest.mark.parametrize("kind", CALLABLES)
@pytest.mark.parametrize("use", [apply, push])
def test_callable_argument_is_differentiable_under_jit(kind, use):
    def h(a, x):
        return use(CALLABLES[kind](a), x)

    a, x = jnp.float32(2.0), jnp.float32(5.0)
    assert jit(grad(h, (0, 1)))(a, x) == (15.0, 6.0)
    assert grad(jit(h), (0, 1))(a, x) == (15.0, 6.0)


@pytest.mark.parametrize("kind", CALLABLES)
@pytest.mark.parametrize("use", [apply, push])
def test_callable_argument_is_differentiable_under_vmap(kind, use):
    def h(a, x):
        return use(CALLABLES[kind](a), x)

    got = vmap(grad(h, (0, 1)))(jnp.array([2.0, 3.0]), jnp.array([5.0, 7.0]))
    np.testing.assert_array_equal(got[0], [15.0, 21.0])
    np.testing.assert_array_equal(got[1], [6.0, 9.0])
    one = vmap(grad(h), (0, None))(jnp.array([2.0, 3.0]), jnp.float32(5.0))
    np.testing.assert_array_equal(one, [15.0, 15.0])


def test_callable_argument_to_second_order():
    def h(a, x):
        return push(lambda y: a**2 * y, x)

    assert grad(grad(h))(2.0, 5.0) == 30.0 * 3.0 or grad(grad(h))(2.0, 5.0) == 30.0
    assert jit(grad(grad(h)))(2.0, 5.0) == grad(grad(h))(2.0, 5.0)


def test_none_stands_for_the_cotangent_of_a_callable():
    f = custom_vjp(lambda g, x: g(x))
    f.defvjp(lambda g, x: (g(x), None), lambda res, ct: (None, 4.0 * ct))
    assert grad(lambda a: f(lambda x: a * x, 1.0))(3.0) == 0.0
    assert grad(f, 1)(lambda x: x, 1.0) == 4.0
    assert grad(lambda x: f(jnp.sin, x))(1.0) == 4.0


def test_vjp_of_a_callable_gives_a_cotangent_for_it():
    a = jnp.float32(2.0)
    f_bar, x_bar = vjp(lambda f, x: f(x), lambda x: a * x, 5.0)[1](1.0)
    assert tree_util.tree_leaves(f_bar) == [5.0]
    assert x_bar == 2.0


def test_pytree_callable_gets_a_cotangent_of_its_class():
    layer = Layer(2.0)
    got = grad(lambda layer: apply(layer, 5.0))(layer)
    assert isinstance(got, Layer)
    assert got.w == 15.0


def test_callables_in_containers():
    @custom_vjp
    def total(fs, x):
        return sum(f(x) for f in fs["all"])

    def fwd(fs, x):
        return total(fs, x), (fs, x)

    def bwd(res, g):
        return vjp(lambda fs, x: sum(f(x) for f in fs["all"]), *res)[1](10.0 * g)

    total.defvjp(fwd, bwd)
    got = grad(
        lambda a, b: total({"all": [lambda x: a * x, jnp.sin, lambda x: b]}, 2.0)
    )
    assert got(1.0, 1.0) == 20.0


def test_several_values_captured_by_one_callable():
    def h(p):
        return apply(lambda x: p["w"] @ x + p["b"], jnp.ones(2)).sum()

    got = grad(h)({"w": jnp.ones((3, 2)), "b": jnp.zeros(3)})
    np.testing.assert_array_equal(got["w"], np.full((3, 2), 3.0))
    np.testing.assert_array_equal(got["b"], np.full(3, 3.0))


def test_callable_with_static_captures_of_its_own():
    def h(n, a):
        return apply(lambda x: a * x**n, 2.0)

    assert grad(lambda a: h(2, a))(1.0) == 12.0
    assert grad(lambda a: h(3, a))(1.0) == 24.0
    assert jit(grad(lambda a: h(3, a)))(1.0) == 24.0


def test_callable_whose_output_changes_shape_with_a_static_capture():
    def h(n, a):
        return apply(lambda x: a * jnp.ones(n) * x, 2.0).sum()

    assert grad(lambda a: h(2, a))(1.0) == 12.0
    assert grad(lambda a: h(3, a))(1.0) == 18.0


def test_callable_given_twice_is_the_same_value_each_time():
    @custom_jvp
    def f(g, h, x):
        return g(h(x))

    @f.defjvp
    def rule(primals, tangents):
        return jvp(lambda g, h, x: g(h(x)), primals, tangents)

    assert grad(lambda a: f(lambda x: a * x, lambda x: a * x, 5.0))(3.0) == 30.0


def test_nondiff_callable_and_differentiable_callable_together():
    @custom_vjp(nondiff_argnums=(0,))
    def f(outer, inner, x):
        return outer(inner(x))

    f.defvjp(
        lambda outer, inner, x: (f(outer, inner, x), (inner, x)),
        lambda outer, res, g: vjp(lambda i, x: outer(i(x)), *res)[1](g),
    )
    got = grad(lambda a, x: f(jnp.sin, lambda x: a * x, x), (0, 1))(2.0, 3.0)
    np.testing.assert_allclose(got, [3 * np.cos(6.0), 2 * np.cos(6.0)], rtol=1e-5)


# The document's longest example, without nondiff_argnums.


def newton(a, x):
    return 0.5 * (x + a / x)


def solver(loop):
    """Make a fixed_point that iterates with `loop` and differentiates by its rule."""

    @custom_vjp
    def fixed_point(f, x_guess):
        return loop(f, x_guess)

    def fwd(f, x_guess):
        x_star = fixed_point(f, x_guess)
        return x_star, (f, x_star)

    def bwd(res, x_star_bar):
        f, x_star = res
        pull_x = vjp(lambda x: f(x), x_star)[1]
        w = fixed_point(lambda u: x_star_bar + pull_x(u)[0], x_star_bar)
        (f_bar,) = vjp(lambda f: f(x_star), f)[1](w)
        return f_bar, jnp.zeros_like(x_star)

    fixed_point.defvjp(fwd, bwd)
    return fixed_point


def unrolled(f, x):
    for _ in range(20):
        x = f(x)
    return x


def newton_sqrt(fixed_point, form):
    forms = {
        "lambda": lambda a: lambda x: newton(a, x),
        "partial": lambda a: functools.partial(newton, a),
        "nested": lambda a: (lambda b: lambda x: newton(b, x))(a),
        "jitted": lambda a: jit(lambda x: newton(a, x)),
    }
    return lambda a: fixed_point(forms[form](a), a)


FORMS = pytest.mark.parametrize("form", ["lambda", "partial", "nested", "jitted"])


@FORMS
def test_unrolled_fixed_point_over_a_closure_to_second_order(form):
    root = newton_sqrt(solver(unrolled), form)
    np.testing.assert_allclose(root(2.0), 2**0.5, rtol=1e-6)
    np.testing.assert_allclose(grad(root)(2.0), 0.35355338, rtol=1e-5)
    np.testing.assert_allclose(grad(grad(root))(2.0), -0.08838835, rtol=1e-4)


@FORMS
def test_unrolled_fixed_point_over_a_closure_under_jit_and_vmap(form):
    root = newton_sqrt(solver(unrolled), form)
    np.testing.assert_allclose(jit(grad(root))(2.0), 0.35355338, rtol=1e-5)
    np.testing.assert_allclose(grad(jit(root))(2.0), 0.35355338, rtol=1e-5)
    a = jnp.array([1.0, 4.0])
    np.testing.assert_allclose(vmap(grad(root))(a), [0.5, 0.25], rtol=1e-5)
    np.testing.assert_allclose(
        jit(vmap(grad(grad(root))))(a), [-0.25, -0.03125], rtol=1e-4
    )
