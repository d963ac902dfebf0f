"""The names of the module: all there, documented, or refused with a reason."""

import inspect

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.errors import PullbackError


def test_every_public_name_exists():
    for name in jnp.__all__:
        assert hasattr(jnp, name), name


@pytest.mark.parametrize("name", jnp.__all__)
def test_every_function_is_documented(name):
    value = getattr(jnp, name)
    if inspect.isfunction(value):
        assert value.__doc__
        assert len(value.__doc__.splitlines()[0]) <= 88


def test_a_name_of_numpy_that_is_missing_says_so():
    with pytest.raises(AttributeError, match=r"no busday_count yet; NumPy has it"):
        jnp.busday_count  # noqa: B018


def test_a_name_nobody_has_says_so():
    with pytest.raises(PullbackError, match="no sinn, and neither has NumPy"):
        jnp.sinn  # noqa: B018


def test_constants_are_numpys():
    assert jnp.pi == np.pi
    assert jnp.newaxis is None
    assert jnp.isnan(jnp.nan)


def test_arrays_are_saved_and_read(tmp_path):
    jnp.save(tmp_path / "x.npy", jnp.arange(3))
    assert jnp.load(tmp_path / "x.npy").tolist() == [0, 1, 2]


def test_arrays_are_shown_as_by_repr_and_str():
    assert jnp.array_repr(jnp.arange(2)) == "Array([0, 1], dtype=int32)"
    assert jnp.array_str(jnp.arange(2)) == "[0 1]"
