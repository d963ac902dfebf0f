import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_vjp, float0, fwd_and_bwd, grad, jit, lax, tree, vmap
from pullback.errors import ArgumentError, GradError, TreeError

XS = jnp.arange(12.0).reshape(2, 2, 3) / 10
W = jnp.ones((3, 2))


def layer(x, n, w):
    return jnp.tanh(x * n) @ w


def slope(x):
    """The cotangent of `layer`'s x for a cotangent of ones, by another way."""
    return grad(lambda x: layer(x, 2, W).sum())(x)


@pytest.mark.parametrize("jitted", [True, False])
def test_passes_give_what_vjp_gives(jitted):
    fwd, bwd = fwd_and_bwd(layer, (0, -1), jitted=jitted)
    y, residuals = fwd(XS[1], 2, W)
    x_bar, w_bar = bwd(residuals, jnp.ones((2, 2)))
    np.testing.assert_allclose(y, layer(XS[1], 2, W), rtol=1e-5)
    np.testing.assert_allclose(x_bar, slope(XS[1]), rtol=1e-5)
    wanted = grad(lambda w: layer(XS[1], 2, w).sum())(W)
    np.testing.assert_allclose(w_bar, wanted, rtol=1e-5)


def test_one_argnum_gives_one_cotangent_and_an_integer_a_float0():
    fwd, bwd = fwd_and_bwd(layer, 1)
    found = bwd(fwd(XS[1], 2, W)[1], jnp.ones((2, 2)))
    assert (found.shape, found.dtype) == ((), float0)
    fwd, bwd = fwd_and_bwd(layer, 0)
    assert bwd(fwd(XS[1], 2, W)[1], None).shape == (2, 3)


def test_both_passes_are_traced_once():
    calls = []

    def f(x):
        calls.append(x)
        return jnp.sin(x) * x

    fwd, bwd = fwd_and_bwd(f, 0)
    for x in (1.0, 2.0, 3.0):
        y, residuals = fwd(x)
        bwd(residuals, y)
    assert len(calls) == 1
    assert (fwd._cache_size(), bwd._cache_size()) == (1, 1)


def test_residuals_are_a_pytree_of_arrays_without_what_no_output_needs():
    def f(x, y):
        jnp.sin(x) * jnp.cos(y)  # not returned
        return jnp.exp(x)

    _, residuals = fwd_and_bwd(f, (0, 1), jitted=False)[0](1.0, 2.0)
    (leaf,) = tree.leaves(residuals)
    np.testing.assert_allclose(leaf, np.exp(1.0), rtol=1e-5)


def test_residuals_pass_through_jit():
    fwd, bwd = fwd_and_bwd(layer, 0, jitted=False)
    y, residuals = jit(fwd)(XS[1], 2, W)
    found = jit(bwd)(residuals, jnp.ones_like(y))
    np.testing.assert_allclose(found, slope(XS[1]), rtol=1e-5)


def test_residuals_pass_through_vmap():
    fwd, bwd = fwd_and_bwd(layer, 0)
    ys, residuals = vmap(fwd, (0, None, None))(XS, 2, W)
    found = vmap(bwd)(residuals, jnp.ones_like(ys))
    np.testing.assert_allclose(found, vmap(slope)(XS), rtol=1e-5)


def test_residuals_pass_through_scan_as_results_and_as_carry():
    fwd, bwd = fwd_and_bwd(layer, 0)
    ones = jnp.ones((2, 2))
    _, residuals = lax.scan(lambda _, x: (None, fwd(x, 2, W)[1]), None, XS)
    _, found = lax.scan(lambda _, r: (None, bwd(r, ones)), None, residuals)
    np.testing.assert_allclose(found, vmap(slope)(XS), rtol=1e-5)
    last, found = lax.scan(
        lambda r, x: (fwd(x, 2, W)[1], bwd(r, ones)), fwd(XS[1], 2, W)[1], XS
    )
    np.testing.assert_allclose(found, [slope(XS[1]), slope(XS[0])], rtol=1e-5)
    np.testing.assert_allclose(bwd(last, ones), slope(XS[1]), rtol=1e-5)


def test_passes_are_differentiable():
    fwd, bwd = fwd_and_bwd(jnp.sin, 0)
    second = grad(lambda x: bwd(fwd(x)[1], 1.0))
    np.testing.assert_allclose(second(0.5), -np.sin(0.5), rtol=1e-5)


def test_custom_rules_with_any_residuals_are_followed():
    f = custom_vjp(lambda x, y: x * y)
    f.defvjp(
        lambda x, y: (x * y, {"both": (x, y), "by": "name", "scale": 10.0}),
        lambda res, ct: (res["scale"] * ct * res["both"][1], ct * res["both"][0]),
    )
    fwd, bwd = fwd_and_bwd(f, (0, 1))
    for x in (2.0, 3.0):
        assert [float(c) for c in bwd(fwd(x, 5.0)[1], 1.0)] == [50.0, x]


def test_aux_and_keyword_arguments_are_passed_on():
    fwd, bwd = fwd_and_bwd(lambda x, *, n: (x * n, {"x": x}), 0, has_aux=True)
    y, residuals, aux = fwd(3.0, n=2.0)
    assert (float(y), float(aux["x"]), float(bwd(residuals, 1.0))) == (6.0, 3.0, 2.0)


def test_without_a_pair_aux_is_refused():
    with pytest.raises(GradError, match=r"not a pair \(output, aux\)"):
        fwd_and_bwd(jnp.sin, 0, has_aux=True)[0](3.0)


def test_positions_that_are_not_there_are_refused():
    with pytest.raises(ArgumentError, match="argnums of fwd_and_bwd names position 7"):
        fwd_and_bwd(layer, (0, 7))[0](XS[1], 2, W)


def test_what_is_no_function_is_refused():
    with pytest.raises(ArgumentError, match="fwd_and_bwd was given a int"):
        fwd_and_bwd(3, 0)


@pytest.mark.parametrize("jitted", [True, False])
def test_what_are_no_residuals_is_refused(jitted):
    bwd = fwd_and_bwd(layer, 0, jitted=jitted)[1]
    with pytest.raises(ArgumentError) as info:
        bwd(jnp.ones(3), 1.0)
    text = str(info.value)
    assert "backward pass of layer was given f32[3] where it wants residuals" in text
    assert "test_passes.py" in text
    assert "y, residuals = fwd(...) and then bwd(residuals, y_bar)" in text


def test_a_cotangent_that_does_not_fit_is_refused():
    fwd, bwd = fwd_and_bwd(layer, 0)
    with pytest.raises(TreeError, match=r"f32\[3\] where f32\[2,2\] is expected"):
        bwd(fwd(XS[1], 2, W)[1], jnp.ones(3))
