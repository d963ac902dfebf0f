"""`fori_loop`, `map` and `associative_scan`."""

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import grad, jit, lax, vmap
from pullback.errors import ArgumentError, ControlFlowError, TreeError
from tests.rule_checks import check_rules_of


def test_fori_loop_with_known_bounds_is_differentiable_both_ways():
    check_rules_of(
        lambda x, w: [lax.fori_loop(1, 4, lambda i, y: jnp.sin(y) * w + i, x)],
        np.array([0.3, 0.4]),
        np.array(0.7),
    )


def test_fori_loop_counts_as_python_does():
    for low, high in ((0, 4), (2, 5), (3, 1), (jnp.int32(1), np.int64(3))):
        expected = sum(10**i for i in range(int(low), int(high)))
        assert lax.fori_loop(low, high, lambda i, y: y + 10**i, 0) == expected
    assert jit(lambda n: lax.fori_loop(0, n, lambda i, y: y + i, 0))(5) == 10


def test_fori_loop_number_is_an_int32_and_keeps_the_dtype_of_the_carry():
    out = lax.fori_loop(0, 3, lambda i, y: y * i, jnp.ones((), "float16"))
    assert out.dtype == np.dtype("f2")
    assert lax.fori_loop(0, 3, lambda i, _: i, jnp.int32(7)) == 2


def test_fori_loop_in_python_when_jit_is_disabled():
    with pullback.config.context(disable_jit=True):
        assert lax.fori_loop(1, 4, lambda i, y: y + float(i), 0.0) == 6.0


def test_wrong_fori_loops_are_explained():
    with pytest.raises(ArgumentError, match="lower is f32"):
        lax.fori_loop(0.5, 3, lambda i, y: y, 1.0)
    with pytest.raises(ArgumentError, match="integer scalar"):
        lax.fori_loop(0, "3", lambda i, y: y, 1.0)
    with pytest.raises(ArgumentError, match="unroll"):
        jit(lambda n: lax.fori_loop(0, n, lambda i, y: y, 1.0, unroll=2))(3)

    def body_of_mine(i, y):
        return y, y

    with pytest.raises(ControlFlowError, match="body_of_mine"):
        lax.fori_loop(0, 3, body_of_mine, 1.0)


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 5, 8])
def test_map_gives_what_vmap_gives(batch_size):
    xs = {"a": jnp.arange(5.0), "b": jnp.ones((5, 2))}

    def f(x):
        return jnp.sin(x["a"]) * x["b"], x["a"]

    found = lax.map(f, xs, batch_size=batch_size)
    for a, b in zip(found, vmap(f)(xs)):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    slope = grad(lambda xs: jnp.sum(lax.map(f, xs, batch_size=batch_size)[0]))(xs)
    np.testing.assert_allclose(slope["a"], 2 * np.cos(np.arange(5)), rtol=1e-5)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan_gives_all_partial_results(n, reverse):
    x = np.random.default_rng(n).standard_normal((2, n))
    turned = x[:, ::-1] if reverse else x
    expected = np.cumprod(turned, axis=1)
    expected = expected[:, ::-1] if reverse else expected
    for axis in (1, -1):
        found = lax.associative_scan(jnp.multiply, jnp.array(x), reverse, axis)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_associative_scan_of_trees_and_its_rules():
    def combine(left, right):
        # Composition of x -> a x + b.
        (a, b), (c, d) = left, right
        return a * c, b * c + d

    def f(a, b):
        return list(lax.associative_scan(combine, (a, b)))

    check_rules_of(f, np.array([0.5, -0.3, 0.8]), np.array([1.0, 0.2, 0.7]))


def test_associative_scan_of_booleans():
    found = lax.associative_scan(jnp.logical_or, jnp.array([False, True, False]))
    np.testing.assert_array_equal(found, [False, True, True])


def test_wrong_associative_scans_are_explained():
    with pytest.raises(ValueError, match=r"f32\[2\], f32\[3\]"):
        lax.associative_scan(lambda a, b: a, (jnp.ones(2), jnp.ones(3)))
    with pytest.raises(ValueError, match="axis 1"):
        lax.associative_scan(jnp.add, jnp.ones(2), axis=1)
    with pytest.raises(TreeError, match="structure"):
        lax.associative_scan(lambda a, b: (a, b), jnp.ones(4))
