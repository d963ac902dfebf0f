"""Values whose cotangents are zero where they are not used."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import make_jaxpr, vjp, vmap
from pullback.primitives.guarding import FEW, guard


def test_guard_must_keep_cotangents_from_what_is_not_used():
    used = jnp.array([[True], [False]])
    y, pull = vjp(lambda x: guard(used, x), jnp.array([1.0, 2.0]))
    np.testing.assert_array_equal(y, [[1, 2], [1, 2]])
    np.testing.assert_array_equal(pull(jnp.full((2, 2), jnp.inf))[0], [jnp.inf] * 2)
    (x_bar,) = pull(jnp.array([[3.0, 4.0], [jnp.nan, jnp.inf]]))
    np.testing.assert_array_equal(x_bar, [3, 4])


@pytest.mark.parametrize(("shape", "mapped"), [((3,), True), ((FEW + 1,), False)])
def test_guard_must_not_copy_what_is_large_for_each_element(shape, mapped):
    used = jnp.array([True, False])
    program = make_jaxpr(vmap(guard, (0, None), None if not mapped else 0))
    (out,) = program(used, jnp.ones(shape)).out_avals
    assert out.shape == ((2, *shape) if mapped else shape)
