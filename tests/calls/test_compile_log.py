"""What is logged of tracing and compiling: what, for which types, and why again."""

import re

import pytest

import pullback
import pullback.numpy as jnp
from pullback import config, grad, jit, vmap
from pullback.errors import TracingError
from pullback.lax import axis_index


@pytest.fixture
def logged(caplog):
    """A function that gives the messages since it was last called."""
    caplog.set_level("WARNING", logger="pullback")

    def messages():
        found = [re.sub(r"\d\.\d{6} s", "T s", r.getMessage()) for r in caplog.records]
        assert {(r.name, r.levelname) for r in caplog.records} <= {
            ("pullback", "WARNING")
        }
        caplog.clear()
        return found

    with pullback.explain_cache_misses():
        yield messages


def scaled(x, n=1):
    return (x * n).sum()


def test_a_tracing_is_logged_with_its_place_and_types(logged):
    jit(lambda tree, y: tree["a"] + y)({"a": jnp.ones(2)}, 1.0)
    (text,) = logged()
    assert re.fullmatch(
        r"<lambda> \(test_compile_log\.py:\d+\) was traced in T s for "
        r"\(tree\['a'\]: f32\[2\], y: f32\[\] \(weak\)\), for the first time\. "
        r"Called at test_compile_log\.py:\d+ \(.*\)\.",
        text,
    )


def test_a_call_of_known_types_logs_nothing(logged):
    f = jit(scaled)
    f(jnp.ones(3))
    logged()
    f(jnp.ones(3))
    with pullback.log_compiles():
        f(jnp.ones(3))
    assert logged() == []


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ((jnp.ones(3),), (jnp.ones(4),), "x is f32[4], was f32[3]"),
        ((jnp.ones(()),), (1.0,), "x is f32[] (weak), was f32[]"),
        ((1.0, 2), (1.0, 3), "static argument n is 3, was 2"),
        ((1.0,), (1.0, 3), "static argument n is given, was not"),
        ((1.0, 2), (1.0,), "static argument n is not given, was"),
        (((1.0,),), (1.0,), "the structure of its arguments differs from that of"),
    ],
)
def test_the_reason_for_tracing_again_is_said(logged, first, second, reason):
    f = jit(
        lambda x, n=1: jnp.sum(x[0] if type(x) is tuple else x) * n, static_argnums=1
    )
    f(*first)
    logged()
    f(*second)
    (text,) = logged()
    assert f"), again; {reason} the last time. Called at" in text


def test_switches_and_names_of_axes_are_reasons(logged):
    f = jit(lambda x: x + 1.0)
    f(1.0)
    with config.context(strong_zeros=True):
        f(1.0)
    assert "; the switch strong_zeros is True, was False the last time." in logged()[1]
    pullback.clear_caches()
    f(1.0)
    assert "; caches were cleared." in logged()[0]
    vmap(lambda x: f(x[0]) + axis_index("i"), axis_name="i")(jnp.ones((2, 1)))
    assert "; the names of mapped axes differ from those of the last" in logged()[0]


def test_a_program_that_is_not_kept_is_told_apart(logged):
    grad(lambda y: jit(lambda x: x * y)(2.0))(1.0)
    assert "as at each call, since it captures traced values." in logged()[0]


def test_compilations_are_logged_too(logged):
    with pullback.log_compiles(), config.context(compilation_cache=False):
        grad(jit(lambda x: jnp.sin(x)))(1.0)
        traced, *compiled = logged()
    assert traced.startswith("<lambda> (test_compile_log.py:")
    assert compiled[0] == "<lambda> was compiled in T s for (f32[])."
    assert all(x.startswith("<lambda> was compiled in T s for (") for x in compiled)
    jit(lambda x: jnp.cos(x))(1.0)
    assert len(logged()) == 1


def test_programs_compiled_ahead_of_time_are_logged(logged):
    lowered = jit(scaled).lower(jnp.ones(5))
    assert len(logged()) == 1
    with pullback.log_compiles(), config.context(compilation_cache=False):
        lowered.compile()
    assert logged() == ["scaled was compiled in T s for (f32[5])."]


def test_programs_from_disk_are_said_to_be_loaded(logged):
    with pullback.log_compiles():
        for _ in range(2):
            jit(lambda x: x * 5.25)(1.5)
        text = logged()[-1]
    assert text == "<lambda> was loaded from disk in T s for (f32[])."


def test_nothing_is_logged_while_it_is_off(logged):
    with config.context(jax_explain_cache_misses=False, jax_log_compiles=False):
        jit(lambda x: x + 1)(1.0)
    assert logged() == []


def test_tracing_is_refused_where_that_is_forbidden():
    f = jit(scaled)
    f(jnp.ones(3))
    with pullback.no_tracing():
        assert f(2 * jnp.ones(3)) == 6
        with pytest.raises(TracingError) as caught:
            f(jnp.ones(4))
    assert re.fullmatch(
        r"scaled \(test_compile_log\.py:\d+\) would be traced for "
        r"\(x: f32\[4\]\), again; x is f32\[4\], was f32\[3\] the last time, while "
        r"no_tracing is on\. Called at test_compile_log\.py:\d+ \(.*\)\. Call it "
        r"with these types before, or with those of before; or leave the block\.",
        str(caught.value),
    )
    assert f(jnp.ones(4)) == 4
