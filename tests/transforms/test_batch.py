"""Batching: values with one more axis, and programs of whole batches."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, grad, jit, linearize, make_jaxpr, vmap
from pullback.core.jaxpr import evaluate
from pullback.errors import BatchError, LinearityError, TracerBoolError
from pullback.transforms.batch import batch_flat, batch_jaxpr


def test_values_without_batch_axis_are_computed_once():
    def f(x, y):
        return [jnp.sin(y), x * y]

    outs, dims = batch_flat(f, 2, [jnp.arange(2.0), jnp.float32(3.0)], [0, None])
    assert dims[0] is None
    assert outs[0].shape == ()
    np.testing.assert_array_equal(outs[1], [0.0, 3.0])


def test_batched_program_has_axes_in_front():
    jaxpr = make_jaxpr(lambda x, y: (x + y, y))(jnp.ones(3), 1.0).jaxpr
    batched, dims = batch_jaxpr(jaxpr, 2, [1, None])
    assert dims == [0, None]
    got, same = evaluate(batched, [jnp.zeros((3, 2)), jnp.float32(1.0)])
    assert got.shape == (2, 3)
    assert same == 1.0
    _, dims = batch_jaxpr(jaxpr, 2, [1, None], [True, True])
    assert dims == [0, 0]
    assert batch_jaxpr(jaxpr, 2, [1, None])[0] is batched


def test_axes_go_in_and_out_where_asked():
    x = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(vmap(lambda r: 2 * r, 1, 1)(x), 2 * x)
    np.testing.assert_array_equal(vmap(lambda r: r, 0, -1)(x), x.T)
    np.testing.assert_array_equal(vmap(lambda r: r, -1)(x), x.T)
    got = vmap(lambda d, s: {"y": d["a"] * s}, ({"a": 1}, None), {"y": 1})(
        {"a": x}, 2.0
    )
    np.testing.assert_array_equal(got["y"], 2 * x)


def test_constant_outputs_are_repeated_or_left():
    np.testing.assert_array_equal(vmap(lambda x: 1.0)(jnp.ones(3)), np.ones(3))
    assert vmap(lambda x: 1.0, out_axes=None)(jnp.ones(3)) == 1.0
    assert vmap(lambda: jnp.ones(2), axis_size=4)().shape == (4, 2)


def test_keyword_arguments_are_mapped():
    got = vmap(lambda x, *, y: x * y)(jnp.arange(2.0), y=jnp.arange(2.0))
    np.testing.assert_array_equal(got, [0.0, 1.0])


def test_vmaps_nest_and_compose():
    x = jnp.arange(6.0).reshape(2, 3)
    want = np.cos(x)
    for f in (
        vmap(vmap(grad(jnp.sin))),
        jit(vmap(vmap(grad(jnp.sin)))),
        vmap(jit(vmap(grad(jnp.sin)))),
        vmap(grad(jit(lambda r: jnp.sin(r).sum()))),
        vmap(vmap(grad(jnp.sin), 0, 0), 1, 1),
    ):
        np.testing.assert_allclose(f(x), want, rtol=1e-6)


def f(x, y):
    return x


X = jnp.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: vmap(f, (0,))(X, X), "in_axes has 1 entries for 2 positional"),
        (lambda: vmap(f, (0, 5))(X, X), r"y has shape \(2, 3\), which has no axis 5"),
        (lambda: vmap(f)(X, jnp.ones(3)), "inconsistent sizes .* x: 2, y: 3"),
        (lambda: vmap(f, None)(X, X), "maps no argument"),
        (lambda: vmap(f, (None, 0), None)(X, X), None),
        (lambda: vmap(f, out_axes=None)(X, X), "out_axes is None for an output"),
        (lambda: vmap(f, out_axes=4)(X, X), "out_axes 4 is out of range"),
        (lambda: vmap(f, ("a", 0))(X, X), "must hold ints and None"),
        (lambda: vmap(f, ({"a": 0}, 0))(X, X), "does not fit a value"),
        (lambda: vmap(f)(1.0, X), r"x has shape \(\), which has no axis 0"),
        (lambda: vmap(f, axis_size=5)(X, X), "axis_size: 5"),
    ],
)
def test_vmap_errors_say_what_is_wrong(call, said):
    if said is None:
        assert call().shape == (2, 3)
        return
    with pytest.raises(BatchError, match=said) as caught:
        call()
    assert "vmap of f" in str(caught.value)
    assert "test_batch.py:" in str(caught.value)


def test_batch_of_tangents_mapped_twice_refuses_as_tangents_do():
    def f(x):
        return jnp.sin(x)

    _, f_jvp = linearize(f, 1.0)

    def look(t):
        return 1.0 if f_jvp(t) > 0 else 2.0

    with pytest.raises(TracerBoolError, match="mapped over 2 elements"):
        vmap(vmap(look))(jnp.ones((3, 2)))
    rule = custom_jvp(f)
    rule.defjvp(lambda p, t: (f(*p), vmap(vmap(lambda u: u * float(u)))(t[0])))
    with pytest.raises(LinearityError, match="was asked of a tangent"):
        grad(lambda x: rule(x).sum())(jnp.ones((2, 2)))
