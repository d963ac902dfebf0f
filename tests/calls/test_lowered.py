"""Programs compiled ahead of time: what they take, give and refuse, at every call."""

import gc
import weakref

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import jit, make_jaxpr, stages
from pullback.backend.xla import backend
from pullback.config import config
from pullback.errors import (
    ArgumentError,
    BackendError,
    InfError,
    NanError,
    PullbackError,
)


def compiled(f, *args, **options):
    return jit(f, **options).lower(*args).compile()


def test_calls_give_the_function_of_trees_again_and_again():
    captured = jnp.arange(3.0)

    def f(tree, *, scale):
        return {"sum": tree[0] + captured * scale, "rest": (tree[1]["x"], None)}

    tree = jnp.ones(3), {"x": jnp.zeros(2)}
    g = jit(f).lower(tree, scale=2.0).compile()
    for scale in (2.0, 3.0, np.float32(4.0), jnp.asarray(5.0)):
        found = g(tree, scale=scale)
        np.testing.assert_array_equal(found["sum"], 1 + np.arange(3) * float(scale))
        assert found["rest"][1] is None
        assert isinstance(found["rest"][0], jnp.ndarray)


def test_calls_go_through_cpp():
    g = compiled(lambda x: x * 2, jnp.ones(3))
    for _ in range(3):
        g(jnp.ones(3))
    assert g._dispatch._cache_size() == 1


def test_types_are_held_at_every_call():
    g = compiled(lambda x: x * 2, jnp.ones(3))
    g(jnp.ones(3))
    for wrong in (jnp.ones(4), jnp.ones(3, jnp.int32), 1.0, (jnp.ones(3),) * 2):
        arguments = wrong if isinstance(wrong, tuple) else (wrong,)
        with pytest.raises(ArgumentError, match="was called with types"):
            g(*arguments)
    np.testing.assert_array_equal(g(np.ones(3)), [2, 2, 2])


def test_numpy_arguments_may_be_written_to_after_a_call():
    g = compiled(lambda x: x + 0, np.ones(5, np.float32))
    x = np.ones(5, np.float32)
    results = []
    for i in range(4):
        x[:] = i
        results.append(g(x))
    np.testing.assert_array_equal([r[0] for r in results], range(4))


def test_a_donated_array_is_named_in_the_error():
    g = compiled(lambda x: x * 2, jnp.ones(3), donate_argnums=0)
    on_the_device = jit(lambda: jnp.full(3, 2.0))
    for _ in range(3):
        x = on_the_device()
        np.testing.assert_array_equal(g(x), [4, 4, 4])
        with pytest.raises(BackendError, match="after it had been given"):
            g(x)


def test_traced_values_are_refused():
    g = compiled(lambda x: x * 2, jnp.ones(3))
    g(jnp.ones(3))
    with pytest.raises(PullbackError):
        make_jaxpr(g)(jnp.ones(3))


def test_nans_are_looked_for_where_that_is_switched_on_later():
    g = compiled(lambda x: jnp.log(x), 1.0)
    assert np.isnan(g(-1.0))
    with config.context(debug_nans=True), pytest.raises(NanError):
        g(-1.0)
    assert g(0.0) == -np.inf
    with (
        config.context(debug_infs=True),
        pytest.raises(InfError, match="log gave -inf"),
    ):
        g(0.0)


def test_calls_without_cpp_give_the_same(monkeypatch):
    g = compiled(lambda x: x * 2, jnp.ones(3))
    monkeypatch.setattr(backend(), "fast", False)
    np.testing.assert_array_equal(g(jnp.ones(3)), [2, 2, 2])
    assert g._dispatch is None


def test_a_compiled_program_dies_with_its_last_user():
    g = compiled(lambda x: x * 2, jnp.ones(3))
    g(jnp.ones(3))
    gone = weakref.ref(g)
    del g
    gc.collect()
    assert gone() is None


def test_the_types_on_the_way_have_public_names():
    f = jit(lambda x: x + 1)
    traced = f.trace(1.0)
    assert isinstance(f, stages.Wrapped)
    assert not isinstance(lambda x: x, stages.Wrapped)
    assert isinstance(traced, stages.Traced)
    assert isinstance(traced.lower(), stages.Lowered)
    assert isinstance(traced.lower().compile(), stages.Compiled)
