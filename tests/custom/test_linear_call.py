"""`linear_call`: a linear function and its transpose, under every transformation."""

import numpy as np
import pytest

from pullback import (
    grad,
    hessian,
    jacfwd,
    jacrev,
    jit,
    jvp,
    lax,
    linear_call,
    linear_transpose,
    linearize,
    make_jaxpr,
    tree,
    vmap,
)
from pullback import numpy as jnp
from pullback.errors import (
    ArgumentError,
    MissingDerivative,
    RuleShapeError,
    RuleTreeError,
)
from tests.implicit.comparing import assert_close

X = [2.0, jnp.arange(3.0)]
TEN = 10.0


def function(r, x):
    return {"a": x[0] * r, "b": jnp.sin(r) * x[1].sum()}


def transpose(r, ct):
    """Give the transpose ten times too large, to be told from the true one."""
    return [ct["a"] * r * TEN, jnp.ones(3) * jnp.sin(r) * ct["b"] * TEN]


def call(r, x):
    return linear_call(function, transpose, r, x)


def total(r, x):
    return sum(jnp.sum(y) for y in tree.leaves(call(r, x)))


BACK = [30.0, np.full(3, TEN * np.sin(3.0))]


def test_values():
    assert_close(call(3.0, X), function(3.0, X), 1e-6)
    assert_close(jit(call)(3.0, X), function(3.0, X), 1e-6)


def test_forward_mode_uses_linearity_and_the_body_for_residuals():
    tangents = 1.0, [1.0, jnp.ones(3)]
    for f in (call, jit(call)):
        assert_close(
            jvp(f, (3.0, X), tangents), jvp(function, (3.0, X), tangents), 1e-6
        )


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: grad(f, 1),
        lambda f: jit(grad(f, 1)),
        lambda f: grad(jit(f), 1),
        lambda f: lambda r, x: vmap(grad(f, 1))(r * jnp.ones(1), batch_of_one(x)),
    ],
)
def test_reverse_mode_uses_the_transpose(transform):
    found = transform(total)(3.0, X)
    assert_close([y.reshape(np.shape(w)) for y, w in zip(found, BACK)], BACK, 1e-5)


def batch_of_one(x):
    return tree.map(lambda y: jnp.asarray(y)[None], x)


def test_residuals_are_differentiated_through_the_body():
    wanted = 2.0 + np.cos(3.0) * 3
    assert_close(grad(total)(3.0, X), wanted, 1e-5)


def test_batches():
    rs = jnp.arange(2.0)
    found = vmap(call, (0, None))(rs, X)
    assert_close(found["a"], 2 * rs)
    shared = grad(lambda x: jnp.sum(vmap(total, (0, None))(rs, x)))
    wanted = [TEN * 1.0, np.full(3, TEN * np.sin(1.0))]
    assert_close(shared(X), wanted, 1e-5)
    assert_close(jit(shared)(X), wanted, 1e-5)


def test_batches_of_linear_operands_alone():
    xs = [jnp.arange(2.0), jnp.ones((2, 3))]
    found = vmap(call, (None, 0))(3.0, xs)
    assert_close(found["a"], 3.0 * xs[0])
    cts = {"a": jnp.ones(2), "b": jnp.ones(2)}
    pulled = vmap(linear_transpose(lambda x: call(3.0, x), X))(cts)[0]
    assert_close(pulled[0], np.full(2, 30.0))
    assert_close(pulled[1], np.full((2, 3), TEN * np.sin(3.0)))


def test_transposing_twice_gives_the_function():
    once = linear_transpose(lambda x: call(3.0, x), X)
    assert_close(once({"a": 1.0, "b": 1.0})[0], BACK, 1e-5)
    twice = linear_transpose(lambda ct: once(ct)[0], {"a": 1.0, "b": 1.0})
    assert_close(twice(X)[0], function(3.0, X), 1e-5)


def test_second_derivatives():
    assert_close(hessian(total)(3.0, X), -np.sin(3.0) * 3, 1e-5)
    # The transpose's own body is differentiated, factor and all.
    wanted = [TEN, np.full(3, TEN * np.cos(3.0))]
    assert_close(jacfwd(grad(total, 1))(3.0, X), wanted, 1e-5)
    assert_close(jacrev(grad(total, 1))(3.0, X), wanted, 1e-5)


def test_linearized_under_jit_applies_forward():
    _, forward = linearize(jit(lambda x: call(3.0, x)), X)
    assert_close(forward(X), function(3.0, X), 1e-5)


def test_captured_values_are_differentiated():
    def f(a):
        return linear_call(lambda r, x: a * x, lambda r, ct: 7 * a * ct, (), a * a)

    assert_close(grad(f)(3.0), 9 + 7 * 3 * 6)
    assert_close(jit(grad(f))(3.0), 9 + 7 * 3 * 6)
    assert_close(vmap(grad(f))(jnp.array([1.0, 3.0])), np.array([15.0, 135.0]))


def test_residuals_may_be_functions():
    def f(a):
        def function(g, x):
            return g(x)

        return linear_call(function, lambda g, ct: g(ct), lambda x: a * x, 2.0)

    assert_close(grad(f)(3.0), 2.0)


def test_known_output_is_held_against_the_function():
    like = jnp.zeros(2)
    found = linear_call(lambda r, x: x, None, (), jnp.ones(2), out_like=like)
    assert found.tolist() == [1.0, 1.0]
    with pytest.raises(RuleShapeError, match="does not fit what its transpose takes"):
        linear_call(lambda r, x: x, None, (), jnp.ones(3), out_like=like)


def test_zeros_may_be_none():
    def f(x):
        return linear_call(lambda r, x: x[0] + x[1], lambda r, ct: (ct, None), (), x)

    assert grad(f)((1.0, 2.0)) == (1.0, 0.0)


def test_jaxpr_shows_one_operation():
    assert "linear_call[" in str(make_jaxpr(call)(3.0, X))


def test_missing_transpose_is_named():
    with pytest.raises(
        MissingDerivative, match="linear function function has no trans"
    ):
        grad(lambda x: linear_call(function, None, 3.0, x)["a"])(X)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda r, ct: (ct, ct), RuleTreeError),
        (lambda r, ct: jnp.ones(3), RuleShapeError),
    ],
)
def test_wrong_transposes(wrong, error):
    with pytest.raises(error, match="`<lambda>` of a linear_call gave a result"):
        grad(lambda x: linear_call(lambda r, x: r * x, wrong, 2.0, x))(3.0)


def test_integers_are_no_linear_operands():
    with pytest.raises(ArgumentError, match=r"operand at \[1\] of type i32"):
        linear_call(function, transpose, 1.0, [1.0, 2])


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_batches_of_functions_whose_parts_ignore_the_batch(wrap):
    def constant(r, x):
        # Not a transpose of anything, but without a batch axis.
        return linear_call(
            lambda r, x: jnp.zeros(2), lambda r, ct: jnp.float32(3.0), r, x
        )

    rs = jnp.ones(4)
    assert wrap(vmap(constant))(rs, rs).shape == (4, 2)
    each = grad(lambda xs: jnp.sum(wrap(vmap(constant))(rs, xs)))(rs)
    assert each.tolist() == [3.0] * 4
    shared = grad(lambda x: jnp.sum(wrap(vmap(constant, (0, None)))(rs, x)))
    assert shared(1.0) == 12.0


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_transpose_of_a_batch_may_be_linearized(wrap):
    def back(ct):
        return linear_transpose(lambda x: vmap(call, (0, None))(jnp.ones(2), x), X)(ct)

    cts = {"a": jnp.ones(2), "b": jnp.ones(2)}
    _, f_jvp = linearize(wrap(back), cts)
    assert_close(f_jvp(cts)[0][0], 2 * TEN)


def test_known_output_of_a_batch_has_its_axis_in_front():
    def f(x):
        return linear_call(
            lambda r, x: 2 * x, lambda r, ct: 2 * ct, (), x, out_like=jnp.zeros(2)
        )

    assert jit(vmap(f))(jnp.ones((3, 2))).tolist() == [[2.0, 2.0]] * 3
    x = jnp.ones((2, 3))
    _, f_jvp = linearize(vmap(f, 1), x)
    assert f_jvp(x).tolist() == [[2.0, 2.0]] * 3
    back = linear_transpose(vmap(f, 1), x)(jnp.ones((3, 2)))[0]
    assert back.tolist() == [[2.0] * 3] * 2


def test_function_and_transpose_may_refer_to_a_mapped_axis():
    def f(x):
        return linear_call(
            lambda _, x: lax.psum(x, "i"),
            lambda _, ct: 10.0 * lax.psum(ct, "i"),
            (),
            x,
        )

    x = jnp.arange(3.0)
    for g in (f, jit(f)):
        assert_close(vmap(g, axis_name="i")(x), [3.0] * 3)
        assert_close(vmap(grad(g), axis_name="i")(x), [30.0] * 3)
