from typing import Any

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, jit, jvp, linearize, vmap
from pullback.debug import backward_nan, inspect_cotangent


@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_the_cotangent_is_seen_once_per_backward_pass(around):
    seen: list[Any] = []
    f = around(grad(lambda x: 3.0 * inspect_cotangent(x * x, seen.append)))
    assert float(f(2.0)) == 12.0
    assert [float(c) for c in seen] == [3.0]
    f(2.0)
    assert len(seen) == 2


def test_the_forward_pass_does_not_call_it():
    seen: list[Any] = []

    def f(x):
        return 3.0 * inspect_cotangent(x, seen.append)

    assert float(f(1.0)) == 3.0
    assert float(jit(f)(1.0)) == 3.0
    assert float(jvp(f, (1.0,), (2.0,))[1]) == 6.0
    assert float(linearize(f, 1.0)[1](2.0)) == 6.0
    assert seen == []


def test_containers_come_as_containers_with_zeros_and_none():
    seen: list[Any] = []

    def f(p):
        return inspect_cotangent(p, seen.append)["a"] * 3.0

    g = grad(f, allow_int=True)({"a": 2.0, "b": jnp.ones(2), "n": 3})
    assert float(g["a"]) == 3.0
    (ct,) = seen
    assert float(ct["a"]) == 3.0
    assert np.array_equal(ct["b"], np.zeros(2))
    assert ct["n"] is None


def test_under_vmap_of_grad_each_example_is_seen():
    seen: list[Any] = []
    vmap(grad(lambda x: x * inspect_cotangent(x, seen.append)))(jnp.arange(3.0))
    assert [float(c) for c in seen] == [0.0, 1.0, 2.0]


def test_second_derivatives_go_through():
    f = grad(grad(lambda x: inspect_cotangent(x, lambda c: None) ** 3))
    assert float(f(2.0)) == 12.0


def marked(x):
    x = backward_nan(x, "before")
    y = jnp.where(x > 0, jnp.log(x), 0.0)
    y = backward_nan(y, "after")
    return backward_nan(2.0 * y, "end")


@pytest.mark.parametrize("around", [lambda f: f, jit], ids=["eager", "jit"])
def test_the_markers_around_a_nan_are_named(around):
    f = around(grad(marked))
    assert float(f(4.0)) == 0.5
    with pytest.raises(FloatingPointError) as caught:
        f(0.0)
    text = str(caught.value)
    assert "marker `before` has a nan" in text
    assert "between `before` (test_markers.py:" in text
    assert "and `after` (test_markers.py:" in text


def test_a_single_marker_says_that_it_came_after():
    with pytest.raises(FloatingPointError, match="after `only`"):
        grad(lambda x: jnp.where(x > 0, jnp.sqrt(backward_nan(x, "only")), 0.0))(0.0)
