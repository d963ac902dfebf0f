import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import ShapeDtypeStruct, dtypes, eval_shape, grad, jit, make_jaxpr, vmap
from pullback.core.aval import Aval
from pullback.errors import ArgumentError, LeakedTracerError, NotAnArrayError
from pullback.transforms.stage import stage, stage_closed, stage_flat

F32 = Aval((), dtypes.float32)


def test_staging_flattens_containers():
    closed, out_tree = stage(lambda d: {"y": d["a"] + d["b"]}, [{"a": 1.0, "b": 2.0}])
    assert [eqn.primitive.name for eqn in closed.eqns] == ["add"]
    assert out_tree.unflatten([3]) == {"y": 3}


def test_captured_arrays_become_constants_and_scalars_literals():
    table = jnp.arange(3.0)
    closed = stage_flat(lambda x: [x * table, x * jnp.float32(2.0)], [F32])
    assert len(closed.consts) == 1
    assert closed.consts[0] is table


def test_the_same_captured_array_is_one_constant():
    table = jnp.arange(3.0)
    closed = make_jaxpr(lambda x: x * table + table)(1.0)
    assert len(closed.consts) == 1


def test_derived_programs_hold_their_constants():
    table = jnp.arange(3.0)
    jaxpr = stage_closed(lambda x: [x * table], [F32])
    assert jaxpr.eqns[0].primitive.name == "constant"
    assert len(jaxpr.inputs) == 1


def test_derived_programs_refuse_tracers_of_others():
    def outer(a):
        stage_closed(lambda x: [x * a], [F32], "derived")
        return a

    with pytest.raises(LeakedTracerError, match=r"operation mul.*residuals") as caught:
        jit(outer)(1.0)
    assert "test_stage.py:" in str(caught.value)


def test_eqns_keep_the_users_line():
    def f(x):
        return jnp.sin(x)

    (eqn,) = make_jaxpr(f)(1.0).eqns
    line = f.__code__.co_firstlineno + 1
    assert str(eqn.origin) == f"test_stage.py:{line} (f)"


def test_make_jaxpr_takes_stand_ins_static_arguments_and_keywords():
    text = str(
        make_jaxpr(lambda x, n, *, y: x**n + y, static_argnums=1)(
            ShapeDtypeStruct((2,), "float32"), 3, y=1.0
        )
    )
    assert text.startswith("{ lambda ; a:f32[2] b:f32[]. let")


def test_make_jaxpr_under_transformations():
    assert "cos" in str(make_jaxpr(grad(jnp.sin))(1.0))
    assert "f32[3]" in str(make_jaxpr(vmap(jnp.sin))(jnp.ones(3)))
    seen = []
    jit(lambda x: seen.append(str(make_jaxpr(jnp.sin)(x))) or x)(1.0)
    assert "sin a" in seen[0]


def test_eval_shape_computes_nothing():
    got = eval_shape(lambda x: {"a": x @ x.T}, ShapeDtypeStruct((2000, 9), "float32"))
    assert got == {"a": ShapeDtypeStruct((2000, 2000), "float32")}


def test_outputs_must_be_arrays():
    with pytest.raises(NotAnArrayError, match="the output of f .* type str"):

        def f(x):
            return "text"

        make_jaxpr(f)(1.0)


def test_something_else_than_a_function_is_refused():
    with pytest.raises(ArgumentError, match=r"make_jaxpr was given a int"):
        make_jaxpr(3)


def test_python_scalar_outputs_are_weak():
    (aval,) = make_jaxpr(lambda x: 2.0)(np.float32(1.0)).out_avals
    assert (str(aval), aval.weak) == ("f32[]", True)
