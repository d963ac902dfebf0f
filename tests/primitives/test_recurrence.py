"""Linear recurrences: by the definition, compiled and at once, and every rule."""

import itertools

import numpy as np
import pytest

from pullback import jit
from pullback.core.array import from_host
from pullback.primitives.cumulative import cumlogsumexp, cumprod
from pullback.primitives.recurrence import recurrence
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(12)
SHAPES = [(1,), (7,), (300,), (40, 50), (3, 20, 5), (500, 2), (2, 500), (0, 3), (3, 0)]


def step_by_step(a, b, axis, backwards):
    """Compute it by its definition."""
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    out, y = np.zeros_like(b), np.zeros_like(b[0]) if len(b) else None
    for i in reversed(range(len(b))) if backwards else range(len(b)):
        y = out[i] = a[i] * y + b[i]
    return np.moveaxis(out, 0, axis)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_axis_and_direction_follows_the_definition(shape):
    a, b = RNG.uniform(-1, 1, shape), RNG.standard_normal(shape)
    for axis, backwards in itertools.product(range(len(shape)), (False, True)):
        wanted = step_by_step(a, b, axis, backwards)

        def f(a, b, axis=axis, backwards=backwards):
            return recurrence(a, b, axis, backwards)

        for g in (f, jit(f)):
            found = g(from_host(a), from_host(b))
            np.testing.assert_allclose(found, wanted, 1e-10, 1e-12)


@pytest.mark.parametrize("backwards", [False, True])
def test_rules_are_right(backwards):
    a, b = RNG.uniform(-1, 1, (2, 4, 3)), RNG.standard_normal((2, 4, 3))
    check_rules_of(lambda a, b: recurrence(a, b, 1, backwards), a, b)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("f", [cumprod, cumlogsumexp])
def test_running_products_and_logarithms_have_right_rules(f, backwards):
    x = RNG.uniform(-2, 2, (3, 5))
    check_rules_of(lambda x: f(x, 1, backwards), x)
    x[1, 2] = 0.0
    check_rules_of(lambda x: f(x, 0, backwards), x)


def test_a_running_logarithm_from_nothing_has_a_slope():
    from pullback import grad

    x = from_host(np.array([-np.inf, -np.inf, 1.0, 2.0]))
    slope = grad(lambda x: cumlogsumexp(x, 0)[-1])(x)
    np.testing.assert_allclose(slope, [0, 0, 1 / (1 + np.e), np.e / (1 + np.e)])
