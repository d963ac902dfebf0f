"""`Solution`: it stands for its x, and tells how the search ended."""

import copy
import pickle

import numpy as np
import pytest

from pullback import jit
from pullback import numpy as jnp
from pullback.errors import NotAnArrayError
from pullback.implicit import Info, Solution

INFO = Info(jnp.asarray(3), jnp.asarray(1e-8), jnp.asarray(True))


def test_report():
    found = Solution(jnp.ones(2), INFO)
    assert found.converged
    assert found.iterations == 3
    assert found.error == INFO.error
    assert "converged=True, iterations=3" in repr(found)


def test_arithmetic_is_that_of_x():
    found = Solution(jnp.array([1.0, 2.0]), INFO)
    assert (2 * found + found - 1).tolist() == [2.0, 5.0]
    assert (-found).tolist() == [-1.0, -2.0]
    assert (1 / found).tolist() == [1.0, 0.5]
    assert (found == jnp.array([1.0, 3.0])).tolist() == [True, False]
    assert (jnp.ones(2) @ found).item() == 3.0


def test_functions_and_attributes_take_x():
    found = Solution(jnp.array([1.0, 4.0]), INFO)
    assert jnp.sqrt(found).tolist() == [1.0, 2.0]
    assert found.shape == (2,)
    assert found[1] == 4.0
    assert len(found) == 2
    assert np.asarray(found).tolist() == [1.0, 4.0]
    with pytest.raises(AttributeError):
        _ = found.nothing_of_this_name


def test_scalars_convert():
    found = Solution(jnp.asarray(2.5), INFO)
    assert float(found) == 2.5
    assert int(found) == 2
    assert bool(found)
    assert f"{found:.3f}" == "2.500"


def test_copies_and_pickles():
    found = Solution(jnp.asarray(2.5), INFO)
    for again in (copy.copy(found), pickle.loads(pickle.dumps(found))):
        assert again.x == 2.5
        assert again.converged


def test_compiled_functions_return_x():
    assert jit(lambda x: Solution(x, INFO))(2.0) == 2.0


def test_tree_is_no_array():
    with pytest.raises(NotAnArrayError, match="no single array"):
        jnp.sin(Solution({"a": jnp.ones(2)}, INFO))
