"""Staging: functions written down as jaxprs."""

import gc

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    ShapeDtypeStruct,
    debug,
    dtypes,
    eval_shape,
    grad,
    jit,
    lax,
    make_jaxpr,
)
from pullback.core.array import Array
from pullback.core.aval import Aval
from pullback.core.jaxpr import Literal, evaluate
from pullback.core.trace import using
from pullback.errors import (
    ArgumentError,
    LeakedTracerError,
    NotAnArrayError,
    UnboundAxisError,
)
from pullback.primitives.table import mul, sin
from pullback.transforms.stage import (
    StageTrace,
    input_aval,
    stage,
    stage_closed,
    stage_flat,
    without_constants,
)

F32 = Aval((), dtypes.float32)
F32_3 = Aval((3,), dtypes.float32)


def names(program):
    return [eqn.primitive.name for eqn in program.eqns]


# make_jaxpr.


def test_make_jaxpr_must_flatten_containers_and_keywords():
    closed = make_jaxpr(lambda p, *, s: p["a"] * p["b"][0] + s)(
        {"a": 1.0, "b": [jnp.ones(3)]}, s=2.0
    )
    assert list(map(str, closed.in_avals)) == ["f32[]", "f32[3]", "f32[]"]
    assert names(closed) == ["mul", "add"]


def test_make_jaxpr_must_take_stand_ins():
    closed = make_jaxpr(jnp.sum)(ShapeDtypeStruct((2, 3), "float32"))
    assert list(map(str, closed.in_avals)) == ["f32[2,3]"]


@pytest.mark.parametrize("static", [1, (1,), [1], -2, (-2, 7)])
def test_make_jaxpr_must_pass_static_arguments_as_they_are(static):
    def f(x, n, y):
        return x**n + y if n == 2 else x

    closed = make_jaxpr(f, static_argnums=static)(1.0, 2, 3.0)
    assert len(closed.in_avals) == 2
    assert names(closed) == ["integer_pow", "add"]


def test_make_jaxpr_must_make_captured_arrays_constants():
    table = jnp.arange(3.0)
    closed = make_jaxpr(lambda x: x * table + table)(1.0)
    assert closed.consts == (table,) or closed.consts[0] is table
    assert len(closed.consts) == 1


def test_make_jaxpr_must_write_captured_scalars_into_the_program():
    scale = jnp.float32(2.0)
    closed = make_jaxpr(lambda x: x * scale)(1.0)
    (eqn,) = closed.eqns
    assert closed.consts == ()
    assert isinstance(eqn.inputs[1], Literal)


def test_make_jaxpr_must_refuse_what_is_no_function():
    with pytest.raises(ArgumentError, match=r"make_jaxpr was given a float"):
        make_jaxpr(3.0)  # type: ignore[arg-type]


def test_make_jaxpr_must_refuse_other_arguments():
    def f(x):
        return x

    with pytest.raises(NotAnArrayError, match=r"f was given a value of type str"):
        make_jaxpr(f)("text")


def test_make_jaxpr_must_refuse_other_outputs():
    def f(x):
        return {"y": "text"}

    with pytest.raises(NotAnArrayError, match=r"the output of f was given .* type str"):
        make_jaxpr(f)(1.0)


def test_make_jaxpr_inside_of_a_transformation_must_take_its_tracers():
    seen = []

    def f(x):
        seen.append(make_jaxpr(lambda y: y * x)(x))
        return x

    grad(f)(2.0)
    assert names(seen[0]) == ["mul"]
    assert len(seen[0].consts) == 1


# eval_shape.


def test_eval_shape_must_give_shapes_and_dtypes_of_all_outputs():
    out = eval_shape(lambda x, *, n: {"a": x @ x.T, "b": (n,)}, jnp.ones((2, 3)), n=1)
    assert out == {
        "a": ShapeDtypeStruct((2, 2), "float32"),
        "b": (ShapeDtypeStruct((), "int32"),),
    }


def test_eval_shape_must_compute_nothing():
    big = ShapeDtypeStruct((10**6, 10**6), "float32")
    assert eval_shape(lambda x: x.T @ x, big).shape == (10**6, 10**6)


def test_eval_shape_must_refuse_what_is_no_function():
    with pytest.raises(ArgumentError, match=r"eval_shape was given a list"):
        eval_shape([], 1.0)  # type: ignore[arg-type]


# Programs of flat functions.


def test_staged_function_must_have_its_name():
    def cube(x):
        return x**3

    assert stage(cube, (1.0,))[0].jaxpr.name == "cube"


def test_stage_must_give_the_structure_of_the_output():
    closed, treedef = stage(lambda x, y=1.0: {"a": x, "b": (y, x)}, (1.0,), {"y": 2.0})
    outs = evaluate(closed.jaxpr, ["x", "y"])
    assert treedef.unflatten(outs) == {"a": "x", "b": ("y", "x")}


def test_eqns_must_know_the_users_line():
    closed = make_jaxpr(lambda x: jnp.sin(x))(1.0)
    line = test_eqns_must_know_the_users_line.__code__.co_firstlineno + 1
    assert str(closed.eqns[0].origin) == f"test_stage.py:{line} (<lambda>)"


@pytest.mark.parametrize(
    ("x", "aval"),
    [
        (F32_3, F32_3),
        (ShapeDtypeStruct((3,), "float32"), F32_3),
        (jnp.ones(3), F32_3),
        (np.ones(3, np.float32), F32_3),
        (1.0, Aval((), dtypes.float32, True)),
    ],
    ids=repr,
)
def test_type_of_an_example_argument_must_be_known(x, aval):
    found = input_aval(x, "f")
    assert type(found) is Aval
    assert found == aval


@pytest.mark.parametrize("collects", [True, False])
def test_staging_must_leave_the_collector_as_it_was(collects):
    seen = []
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        stage_flat(lambda x: seen.append(gc.isenabled()) or [x], [F32])
        assert [*seen, gc.isenabled()] == [False, collects]
    finally:
        (gc.enable if before else gc.disable)()


def test_failed_staging_must_turn_the_collector_on_again():
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        stage_flat(lambda x: [1 // 0], [F32])
    assert gc.isenabled()


# Tracers.


def test_tracer_must_know_what_it_was_made_of():
    table = jnp.arange(3.0)
    trace = StageTrace("f")
    x = trace.input(F32_3)
    assert x.eqn_operands == []
    with using(trace):
        y, z, w = sin(x), mul(x, table), mul(2.0, x)
    assert y.eqn_operands == [x]
    assert [a is b for a, b in zip(z.eqn_operands, (x, table))] == [True, True]
    assert w.eqn_operands == [2.0, x]


def test_tracer_must_describe_where_it_was_made_and_of_which_inputs():
    def describe(x, y):
        seen.append(((x * y).describe(), x.describe()))
        return [x]

    seen: list = []
    stage_flat(describe, [F32, F32], "f", lambda: ["left", "right"])
    made, given = seen[0]
    assert made.startswith("a value of type f32[] traced in f, made by mul at test_sta")
    assert made.endswith(", which came from left and right")
    assert given == "a value of type f32[] traced in f, which came from left"


def test_tracer_of_unnamed_inputs_must_still_describe_itself():
    trace = StageTrace("f")
    text = "a value of type f32[] traced in f"
    assert trace.input(F32).describe() == text


def test_value_must_be_one_constant_however_often_it_is_used():
    table = jnp.arange(3.0)
    trace = StageTrace()
    assert trace.atom(table) is trace.atom(table)
    assert type(trace.atom(2.0)) is Literal
    assert type(trace.atom(np.ones(3))) is not Literal


def test_constant_of_numpy_must_become_an_array():
    closed = stage_flat(lambda x: [mul(x, np.ones(3, np.float32))], [F32_3])
    assert type(closed.consts[0]) is Array


# Programs that carry their constants.


def test_constants_must_be_written_into_derived_programs():
    table = jnp.arange(3.0)
    jaxpr = stage_closed(lambda x: [x * table], [F32_3])
    assert names(jaxpr) == ["constant", "mul"]
    (out,) = evaluate(jaxpr, [jnp.ones(3)])
    np.testing.assert_array_equal(out, table)


def test_program_without_constants_must_stay_as_it_is():
    closed = make_jaxpr(jnp.sin)(1.0)
    assert without_constants(closed) is closed.jaxpr


def leak(give):
    """Gives a program that uses a value of a trace that has ended."""
    kept: list = []
    jit(lambda x: kept.append(x) or x)(jnp.ones(3))
    return stage_flat(lambda x: give(x, kept[0]), [F32_3], "f")


def test_leaked_value_must_be_named_with_its_first_use():
    closed = leak(lambda x, old: [jnp.cos(x) * old])
    with pytest.raises(LeakedTracerError) as caught:
        without_constants(closed)
    message = str(caught.value)
    assert message.startswith("operation mul got a value of type f32[3] traced in")
    assert "Called at test_stage.py:" in message
    assert "must be among the residuals" in message


def test_leaked_output_must_be_named():
    closed = leak(lambda x, old: [old])
    with pytest.raises(LeakedTracerError, match=r"the output of f got a value of type"):
        without_constants(closed)


def test_effects_must_be_staged_in_order():
    def f(x):
        debug.print("{x}", x=x)
        y = jnp.sin(x)
        debug.print("{y}", y=y)
        return y

    effects = [eqn.primitive.effects for eqn in make_jaxpr(f)(1.0).eqns]
    assert effects == [True, False, True]


@pytest.mark.parametrize("number", [256, -1])
def test_staging_must_refuse_integers_that_do_not_fit_the_dtype(number):
    bytes_ = jnp.ones(3, jnp.uint8)
    with pytest.raises(OverflowError, match=f"{number} does not fit uint8.*test_stage"):
        jit(lambda x: lax.add(x, number))(bytes_)
    assert jit(lambda x: lax.add(x, 254))(bytes_)[0] == 255
    # The functions of pullback.numpy wrap, eager and compiled.
    assert jit(lambda x: x + number)(bytes_)[0] == (number + 1) % 256
    assert jit(lambda x: x * -(2**31))(1.0) == -(2.0**31)


def test_make_jaxpr_must_give_the_types_of_the_output_if_asked():
    def f(x, n):
        return {"sum": x.sum(), "x": [x] * n}

    jaxpr, shapes = make_jaxpr(f, static_argnums=1, return_shape=True)(jnp.ones(3), 2)
    assert [a.shape for a in jaxpr.out_avals] == [(), (3,), (3,)]
    wide = ShapeDtypeStruct((3,), "float32")
    assert shapes == {"sum": ShapeDtypeStruct((), "float32"), "x": [wide, wide]}


def test_make_jaxpr_must_bind_the_names_it_is_given():
    def f(x):
        return lax.psum(x, "i"), lax.all_gather(x, ("i", "j"))

    jaxpr = make_jaxpr(f, axis_env=[("i", 2), ("j", 3)])(1.0)
    assert [a.shape for a in jaxpr.out_avals] == [(), (6,)]
    assert "psum[axis=i]" in str(jaxpr)
    with pytest.raises(UnboundAxisError, match=r"'j'.*'i' \(length 2\)"):
        make_jaxpr(f, axis_env=[("i", 2)])(1.0)


def test_a_python_integer_beside_floats_has_no_range():
    program = make_jaxpr(lambda x: mul(x, 10**12))(1.5)
    assert "mul a 1000000000000" in str(program)
