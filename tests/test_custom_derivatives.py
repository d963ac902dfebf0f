"""Names by which the ecosystem imports custom rules, and annotations."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import custom_derivatives, tree, typing
from pullback.errors import RuleTreeError


def test_the_names_are_those_of_the_package():
    for name in ("custom_jvp", "custom_vjp", "custom_gradient", "closure_convert"):
        assert getattr(custom_derivatives, name) is getattr(pullback, name)


def test_zeros_are_those_of_tangents():
    x = {"a": jnp.ones(2), "n": 3}
    zeros = custom_derivatives.zero_from_primal(x)
    assert zeros["a"].tolist() == [0, 0]
    assert zeros["n"].dtype == pullback.float0
    symbolic = custom_derivatives.zero_from_primal(x, symbolic_zeros=True)
    assert isinstance(symbolic["a"], pullback.SymbolicZero)
    assert symbolic["n"].dtype == pullback.float0


def norm2_with(fwd):
    """The square of a norm of a container, with a forward pass."""
    norm2 = pullback.custom_vjp(lambda p: sum(x**2 for x in tree.leaves(p)))

    def bwd(res, ct):
        return (tree.map(lambda x: 2 * x * ct, res),)

    norm2.defvjp(lambda p: fwd(norm2, p), bwd, symbolic_zeros=True)
    return norm2


def leaves_of(p):
    """The values and marks of arguments of a forward pass, by its leaves."""
    assert all(type(x) is custom_derivatives.CustomVJPPrimal for x in tree.leaves(p))
    return tree.map(lambda x: x.value, p), tree.map(lambda x: x.perturbed, p)


@pytest.mark.parametrize("wrap", [lambda f: f, pullback.jit])
def test_arguments_of_fwd_are_leaves_with_value_and_mark(wrap):
    marks = []

    def fwd(norm2, p):
        values, perturbed = leaves_of(p)
        marks.append(perturbed)
        same = custom_derivatives.custom_vjp_primal_tree_values(p)
        assert tree.all(tree.map(lambda x, y: x is y, values, same))
        return norm2(same), same

    norm2 = norm2_with(fwd)
    found = wrap(pullback.grad(lambda x: norm2({"x": x, "y": [3.0]})))(2.0)
    assert (float(found), marks) == (4.0, [{"x": True, "y": [False]}])


@pytest.mark.parametrize("wrap", [lambda f: f, pullback.jit])
def test_arguments_of_fwd_may_be_residuals_as_they_are(wrap):
    norm2 = pullback.custom_vjp(lambda p: p["x"] ** 2 + p["y"] ** 2)

    def fwd(p):
        return norm2(custom_derivatives.custom_vjp_primal_tree_values(p)), p

    def bwd(res, ct):
        values, perturbed = leaves_of(res)
        assert perturbed == {"x": True, "y": False}
        return ({"x": 2 * values["x"] * ct, "y": None},)

    norm2.defvjp(fwd, bwd, symbolic_zeros=True)
    found = wrap(pullback.grad(lambda x: norm2({"x": x, "y": 3.0})))(2.0)
    assert float(found) == 4.0


def test_what_are_no_arguments_of_fwd_is_refused():
    with pytest.raises(RuleTreeError) as info:
        custom_derivatives.custom_vjp_primal_tree_values({"x": 1.0})
    text = str(info.value)
    assert "met a leaf of type float where it wants CustomVJPPrimal. Called at" in text
    assert "of a rule with defvjp(fwd, bwd, symbolic_zeros=True)" in text


def test_annotations_hold_for_arrays_and_traced_values():
    for x in (jnp.ones(2), np.ones(2), 1.0, np.float32(2)):
        assert isinstance(x, typing.ArrayLike)
    pullback.jit(lambda x: (isinstance(x, typing.Array), x)[1])(1.0)
    assert not isinstance("a", typing.ArrayLike)
    assert "float32" in ("float32", typing.DTypeLike)
