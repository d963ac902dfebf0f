"""Programs as data: variables, eqns, running and pruning."""

import gc
import types
import weakref
from typing import Any

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import core, debug, dtypes, grad, jit, lax, make_jaxpr, vmap
from pullback.core.array import Array
from pullback.core.aval import Aval
from pullback.core.jaxpr import Jaxpr, Literal, evaluate, evaluated_origin, prune
from pullback.core.trace import Trace, using
from pullback.errors import ArgumentError, NotAnArrayError
from pullback.extend.core import check_jaxpr, jaxpr_as_fun


def program(f, *args):
    closed = make_jaxpr(f)(*args)
    assert not closed.consts
    return closed.jaxpr


def names(jaxpr):
    return [eqn.primitive.name for eqn in jaxpr.eqns]


# Programs.


def test_jaxpr_must_tell_the_types_of_inputs_and_outputs():
    closed = make_jaxpr(lambda x: x > jnp.ones(3))(jnp.ones(3))
    assert list(map(str, closed.in_avals)) == ["f32[3]"]
    assert list(map(str, closed.out_avals)) == ["bool[3]"]


def test_closed_jaxpr_must_not_count_constants_as_inputs():
    table = jnp.arange(3.0)
    closed = make_jaxpr(lambda x: x * table)(2.0)
    assert list(map(str, closed.in_avals)) == ["f32[]"]
    assert list(map(str, closed.jaxpr.in_avals)) == ["f32[3]", "f32[]"]
    assert closed.consts[0] is table
    assert closed.eqns is closed.jaxpr.eqns


def test_scalar_constants_must_be_written_into_eqns():
    (eqn,) = program(lambda x: x * 2.0, 1.0).eqns
    assert type(eqn.inputs[1]) is Literal
    assert eqn.inputs[1].value == 2.0


def test_jaxpr_must_tell_whether_it_has_effects():
    assert not program(jnp.sin, 1.0).effects
    assert program(lambda x: debug.print("{x}", x=x), 1.0).effects


def test_jaxprs_must_print_alike_by_str_and_repr():
    closed = make_jaxpr(jnp.sin)(1.0)
    text = "{ lambda ; a:f32[]. let\n    b:f32[] = sin a\n  in (b,) }"
    assert str(closed) == repr(closed) == text
    assert str(closed.jaxpr) == repr(closed.jaxpr) == text


def test_jaxprs_must_be_compared_by_identity():
    one, other = program(jnp.sin, 1.0), program(jnp.sin, 1.0)
    assert one != other
    assert len({one, other}) == 2


# Running.


def test_evaluate_must_run_a_program():
    jaxpr = program(lambda x, y: (x * y, jnp.sin(x)), 1.0, 2.0)
    got = evaluate(jaxpr, [jnp.float32(3.0), jnp.float32(4.0)])
    np.testing.assert_allclose(got, [12.0, np.sin(3.0)], rtol=1e-6)


def test_evaluate_must_give_literal_outputs():
    assert evaluate(program(lambda x: (x, 2.0), 1.0), ["x"]) == ["x", 2.0]


def test_evaluate_must_run_operations_of_several_results():
    jaxpr = program(lambda x: lax.top_k(x, 2), jnp.arange(4.0))
    values, places = evaluate(jaxpr, [jnp.asarray([3.0, 1.0, 2.0, 0.0])])
    assert (values.tolist(), places.tolist()) == ([3.0, 2.0], [0, 2])


def test_evaluate_must_want_one_value_an_input():
    with pytest.raises(ValueError, match="zip"):
        evaluate(program(lambda x: x, 1.0), [])


def test_evaluate_must_run_under_the_current_trace():
    inner = program(lambda x: jnp.sin(x) * 2, 1.0)
    outer = program(lambda x: evaluate(inner, [x])[0], 1.0)
    assert names(outer) == ["sin", "mul"]


def test_evaluate_must_drop_values_after_their_last_use():
    seen = []

    class Value:
        shape, aval = (), Aval((), dtypes.float32)

    class Watching(Trace):
        def apply(self, primitive, operands):
            seen.append([x() is not None for x in made])
            out = Value()
            made.append(weakref.ref(out))
            return out

    made: list = []
    jaxpr = program(lambda x: jnp.sin(jnp.cos(jnp.exp(jnp.tan(x)))), 1.0)
    with using(Watching()):
        evaluate(jaxpr, [Value()])
    # An eqn still sees its operand, and nothing older.
    assert seen == [[], [True], [False, True], [False, False, True]]


def test_dead_after_must_list_each_variable_once():
    jaxpr = program(lambda x: (lambda y: y * y)(jnp.sin(x)), 1.0)
    first, last = jaxpr.dead_after()
    assert first == (jaxpr.inputs[0],)
    assert last == (jaxpr.eqns[0].outputs[0],)
    assert jaxpr.dead_after() is jaxpr.dead_after()


def test_dead_after_must_list_results_that_nothing_uses():
    jaxpr = program(lambda x: (jnp.sin(x), x)[1], 1.0)
    assert jaxpr.dead_after() == [jaxpr.eqns[0].outputs]


def test_evaluated_origin_must_be_unknown_before_the_first_eqn():
    frame: Any = types.SimpleNamespace(f_locals={})
    assert evaluated_origin(frame) is None


def test_program_must_go_when_nothing_holds_it():
    jaxpr = program(jnp.sin, 1.0)
    prune(jaxpr, [True])
    alive = weakref.ref(jaxpr)
    del jaxpr
    gc.collect()
    assert alive() is None


# Pruning.


def test_prune_must_drop_what_only_unwanted_outputs_needed():
    jaxpr = program(lambda x, y: (jnp.sin(x), jnp.cos(y)), 1.0, 2.0)
    smaller, kept = prune(jaxpr, [False, True])
    assert names(smaller) == ["cos"]
    assert kept == [False, True]
    assert smaller.inputs == jaxpr.inputs[1:]


def test_prune_must_remember_its_result():
    jaxpr = program(lambda x: (x, jnp.sin(x)), 1.0)
    assert prune(jaxpr, [True, False])[0] is prune(jaxpr, [True, False])[0]


def test_prune_must_keep_effects():
    def f(x):
        debug.print("{x}", x=x)
        return x, jnp.sin(x)

    smaller, _ = prune(program(f, 1.0), [True, False])
    assert len(smaller.eqns) == 1
    assert smaller.effects


def test_prune_must_keep_all_results_of_an_operation_that_cannot_shrink():
    jaxpr = program(lambda x: lax.top_k(x, 2), jnp.arange(4.0))
    smaller, _ = prune(jaxpr, [True, False])
    assert len(smaller.eqns[0].outputs) == 2


def test_prune_must_look_into_compiled_calls():
    inner = jit(lambda x, y: (jnp.sin(x), jnp.cos(y)))
    smaller, kept = prune(program(inner, 1.0, 2.0), [True, False])
    (eqn,) = smaller.eqns
    assert names(eqn.primitive.parameters()["jaxpr"]) == ["sin"]
    assert kept == [True, False]


def test_prune_must_keep_literal_outputs():
    jaxpr = program(lambda x: (2.0, jnp.sin(x)), 1.0)
    smaller, kept = prune(jaxpr, [True, False])
    assert type(smaller.outputs[0]) is Literal
    assert (smaller.eqns, kept) == ([], [False])


def test_pruned_program_must_give_the_wanted_outputs():
    def f(x):
        y = jnp.sin(x)
        return y * 2, jnp.cos(y), x

    smaller, _ = prune(program(f, 1.0), [False, True, True])
    got = evaluate(smaller, [jnp.float32(0.5)])
    np.testing.assert_allclose(got, [np.cos(np.sin(0.5)), 0.5], rtol=1e-6)
    assert isinstance(smaller, Jaxpr)


# By the names of the ecosystem.

W = jnp.arange(6.0).reshape(2, 3)


def layer(x, b):
    return jnp.tanh(W @ x) + b, b


def step_by_step(closed, *args):
    """Run a program as an interpreter from outside does."""
    env = dict(zip(closed.jaxpr.constvars, closed.literals))
    env.update(zip(closed.jaxpr.invars, args))

    def read(atom):
        return atom.val if isinstance(atom, Literal) else env[atom]

    for eqn in closed.jaxpr.eqns:
        outs = eqn.primitive.bind(*map(read, eqn.invars), **eqn.params)
        outs = outs if eqn.primitive.multiple_results else [outs]
        env.update(zip(eqn.outvars, outs, strict=True))
    return [read(atom) for atom in closed.jaxpr.outvars]


@pytest.mark.parametrize("f", [layer, jit(layer)])
def test_an_interpreter_from_outside_runs_a_program(f):
    args = jnp.ones(3), 2.0
    closed = make_jaxpr(f)(*args)
    assert [v.aval for v in closed.jaxpr.constvars] == [W.aval]
    check_jaxpr(closed.jaxpr)
    wanted = layer(*args)
    for run in (
        lambda *xs: step_by_step(closed, *xs),
        lambda *xs: core.eval_jaxpr(closed.jaxpr, closed.consts, *xs),
        jaxpr_as_fun(closed),
        jit(jaxpr_as_fun(closed)),
    ):
        for found, y in zip(run(*args), wanted, strict=True):
            np.testing.assert_allclose(found, y, rtol=1e-6)


def test_programs_as_functions_are_transformed():
    f = jaxpr_as_fun(make_jaxpr(lambda x: jnp.sin(x) * 2.0)(1.0))
    xs = jnp.arange(3.0)
    slopes = vmap(grad(lambda x: f(x)[0]))(xs)
    np.testing.assert_allclose(slopes, 2 * np.cos(xs), rtol=1e-6)


def test_inputs_of_a_program_held_by_an_operation_are_its_operands():
    closed = make_jaxpr(jit(layer))(jnp.ones(3), 2.0)
    inner = closed.eqns[0].params["jaxpr"]
    assert inner.constvars == []
    assert len(inner.invars) == len(closed.eqns[0].invars) == 3


def test_numpy_arrays_are_taken_and_come_back_as_arrays():
    closed = make_jaxpr(lambda x: x)(jnp.ones(2))
    (found,) = core.eval_jaxpr(closed.jaxpr, (), np.ones(2, np.float32))
    assert isinstance(found, Array)


def test_a_wrong_number_of_inputs_is_refused():
    closed = make_jaxpr(layer)(jnp.ones(3), 2.0)
    with pytest.raises(ArgumentError) as info:
        core.eval_jaxpr(closed.jaxpr, (), jnp.ones(3), 2.0)
    text = str(info.value)
    assert "of layer: 0 constants and 2 arguments were given; the program has 3" in text
    assert "Called at test_jaxpr.py" in text
    assert "Write eval_jaxpr(closed.jaxpr, closed.consts, *args)" in text
    with pytest.raises(NotAnArrayError, match="eval_jaxpr of layer was given a value"):
        jaxpr_as_fun(closed)("x", 2.0)


def test_traced_values_have_their_class_and_types_theirs():
    seen = []
    jit(lambda x: (seen.append(x), x)[1])(1.0)
    assert isinstance(seen[0], core.Tracer)
    assert not isinstance(jnp.ones(2), core.Tracer)
    assert isinstance(make_jaxpr(jnp.sin)(1.0).in_avals[0], core.ShapedArray)
