"""Traces, what tracers refuse, and evaluation as the outermost trace."""

import copy
import operator
import pickle
import threading

import ml_dtypes
import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, dtypes, grad, jit, jvp, lax, make_jaxpr, vjp, vmap
from pullback.core.array import Array
from pullback.core.aval import Aval
from pullback.core.primitive import Primitive
from pullback.core.trace import (
    EVAL,
    Tracer,
    aval_of,
    current_trace,
    is_running,
    using,
)
from pullback.errors import (
    ConcretizationError,
    LeakedTracerError,
    NotAnArrayError,
    ShapeError,
    TracerArrayError,
    TracerBoolError,
    TracerIntegerError,
)
from pullback.primitives.structural import frozen
from pullback.primitives.table import add, mul, sin
from pullback.transforms.stage import StageTrace

# What tracers refuse.

REFUSED = {
    "if": (lambda x: 1 if x else 2, TracerBoolError, "lax.cond or jnp.where"),
    "while": (lambda x: [0 for _ in iter(lambda: not x, 1)], TracerBoolError, "while"),
    "and": (lambda x: x and 1, TracerBoolError, "`&`, `|`, `~`"),
    "index": (lambda x: [1, 2][x.astype(int)], TracerIntegerError, "static_argnums"),
    "range": (lambda x: range(x.astype(int)), TracerIntegerError, "static_argnums"),
    "int": (int, TracerIntegerError, "array operations only"),
    "float": (float, ConcretizationError, "debug.print"),
    "complex": (complex, ConcretizationError, "debug.print"),
    "item": (lambda x: x.item(), ConcretizationError, "return it"),
    "tolist": (lambda x: x.tolist(), ConcretizationError, "return it"),
    "asarray": (np.asarray, TracerArrayError, "pullback.numpy instead of numpy"),
    "sin": (np.sin, TracerArrayError, "external"),
    "pickle": (pickle.dumps, ConcretizationError, "Pickle the result"),
}


@pytest.mark.parametrize("use", REFUSED)
def test_tracer_must_refuse_to_be_a_concrete_value(use):
    f, error, said = REFUSED[use]
    with pytest.raises(error) as caught:
        jit(lambda weight: f(weight * 2))(1.0)
    message = str(caught.value)
    assert said in message
    assert "asked of a value of type" in message
    assert "test_trace.py:" in message
    assert "traced in <lambda>, made by" in message
    assert "which came from weight." in message


def test_refusal_must_name_the_leaf_it_came_from():
    with pytest.raises(TracerBoolError, match=r"came from p\['w'\] and x\."):
        jit(lambda p, x: 1 if p["w"] * x > 1 else x)({"w": 1.0, "v": 2.0}, 2.0)


def test_refusal_must_name_keyword_arguments():
    with pytest.raises(TracerBoolError, match=r"came from scale\."):
        jit(lambda x, scale: 1 if scale > 1 else x)(1.0, scale=2.0)


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (TracerBoolError, TypeError),
        (TracerIntegerError, IndexError),
        (TracerArrayError, TypeError),
        (LeakedTracerError, RuntimeError),
    ],
)
def test_refusal_must_be_an_error_of_pythons_kind(error, base):
    assert issubclass(error, base)


def test_mapped_value_must_say_how_many_it_stands_for():
    message = r"of type bool\[\] mapped over 3 elements by vmap\."
    with pytest.raises(TracerBoolError, match=message):
        vmap(lambda x: 1.0 if x > 0 else 2.0)(jnp.ones(3))


def test_nested_value_must_say_what_it_is_inside_of():
    nest = "mapped over 3 elements by vmap inside a value of type .* traced in"
    with pytest.raises(TracerBoolError, match=nest):
        jit(vmap(lambda x: 1.0 if x > 0 else 2.0))(jnp.ones(3))
    with pytest.raises(TracerIntegerError, match="being differentiated inside"):
        jit(grad(lambda x: x * int(x)))(1.0)
    with pytest.raises(TracerIntegerError, match=r"differentiated \(jvp\) inside"):
        jit(lambda x: jvp(lambda x: x * int(x), (x,), (x,)))(1.0)


def test_tracer_must_print_its_kind_and_type():
    seen = []
    jit(lambda x: seen.extend([repr(x), str(x)]) or x)(1.0)
    assert seen == ["StageTracer<f32[]>"] * 2


def test_tracer_must_have_type_and_identity():
    def f(x):
        assert (x.shape, x.dtype, x.weak_type, x.ndim) == ((3,), np.float32, False, 1)
        assert len({x, x * 2}) == 2
        assert len(x) == 3
        return x

    jit(f)(jnp.ones(3))


def test_numpy_operand_must_give_way_to_a_tracer():
    closed = make_jaxpr(lambda x: np.ones(2, np.float32) * x)(jnp.ones(2))
    assert [e.primitive.name for e in closed.eqns] == ["mul"]


def test_tracer_of_an_unknown_kind_must_still_describe_itself():
    class Strange(Tracer):
        aval = Aval((2,), dtypes.float32)

    x = Strange()
    assert x.concrete() is None
    with pytest.raises(ConcretizationError, match=r"a traced value of type f32\[2\]"):
        float(x)


# Concrete values behind derivatives.


def look(x):
    return float(x), bool(x > 0), int(x), complex(x), x.item(), x.tolist()


@pytest.mark.parametrize(
    "run",
    [
        lambda f: grad(f)(2.0),
        lambda f: jvp(f, (2.0,), (1.0,)),
        lambda f: grad(grad(f))(2.0),
        lambda f: jvp(grad(f), (2.0,), (1.0,)),
        lambda f: grad(lambda x: jvp(f, (x,), (1.0,))[1])(2.0),
    ],
)
def test_value_being_differentiated_must_be_known(run):
    seen = []
    run(lambda x: seen.append(look(x)) or x * x * x)
    assert seen == [(2.0, True, 2, 2 + 0j, 2.0, 2.0)]


def test_branch_must_be_taken_by_the_value_being_differentiated():
    f = lambda x: x * 2 if x > 1 else x * 3  # noqa: E731
    assert (grad(f)(2.0), grad(f)(0.5)) == (2.0, 3.0)


def test_value_must_index_lists_while_being_differentiated():
    f = lambda x: ["a", "b"][operator.index(x.astype(int))]  # noqa: E731
    assert jvp(lambda x: {"b": 2 * x}[f(x)], (1.0,), (1.0,))[1] == 2.0


@pytest.mark.parametrize("transform", [jit, grad, vmap])
def test_copies_of_containers_must_hold_the_traced_value(transform):
    def f(x):
        return copy.deepcopy({"x": [x, copy.copy(x)]})["x"][1] * 2.0

    x = jnp.ones(2) if transform is vmap else 1.0
    np.testing.assert_array_equal(transform(f)(x), 2.0)


def test_copy_of_a_pullback_must_be_one():
    _, pull = vjp(jit(lambda x: {"y": jnp.sin(x) * x}), 1.0)
    assert copy.deepcopy(pull)({"y": 1.0}) == pull({"y": 1.0})


# Values of traces that have ended.


@pytest.mark.parametrize(
    ("transform", "arg"),
    [(jit, 1.0), (vmap, jnp.ones(2)), (grad, 1.0), (make_jaxpr, 1.0)],
)
def test_leaked_tracer_must_be_refused(transform, arg):
    kept: list = []
    transform(lambda x: kept.append(x) or x)(arg)
    with pytest.raises(LeakedTracerError) as caught:
        sin(kept[0])
    message = str(caught.value)
    assert message.startswith("operation sin got a value of type f32[]")
    assert "the transformation that made it has ended" in message
    assert "Return values from the transformed function" in message


HELD = None


@custom_jvp
def times_held(x):
    return HELD * x


@pytest.mark.parametrize(
    ("transform", "arg"), [(grad, 2.0), (vmap, jnp.ones(2))], ids=["grad", "vmap"]
)
def test_value_in_a_global_of_a_custom_function_must_not_be_called_ended(
    monkeypatch, transform, arg
):
    def hold(x):
        monkeypatch.setitem(globals(), "HELD", x)
        return times_held(2.0)

    with pytest.raises(LeakedTracerError) as caught:
        transform(hold)(arg)
    message = str(caught.value)
    assert "runs outside of that transformation" in message
    assert "what stands in globals is not found" in message


# The current trace.


def test_evaluation_must_be_the_trace_outside_of_transformations():
    assert current_trace() is EVAL


def test_using_must_put_the_old_trace_back_after_an_error():
    trace = StageTrace()

    def fail():
        with using(trace) as given:
            assert given is trace is current_trace()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert current_trace() is EVAL


def test_other_thread_must_start_with_evaluation():
    seen: list = []
    with using(StageTrace()):
        thread = threading.Thread(target=lambda: seen.append(current_trace()))
        thread.start()
        thread.join()
    assert seen == [EVAL]


def test_error_inside_of_a_transformation_must_not_leave_its_trace():
    for transform in (jit, grad, vmap, make_jaxpr):
        with pytest.raises(ZeroDivisionError):
            transform(lambda x: x / 0 if x is None else 1 // 0)(jnp.ones(2))
    assert current_trace() is EVAL


# Evaluation.


@frozen
class Strict(Primitive):
    """An operation whose eager rule fails as NumPy's functions do."""

    error: type[Exception]

    def abstract(self, x):
        if x.shape:
            raise ShapeError("strict wants a scalar.")
        return x

    def eager(self, x):
        raise self.error("raw")


def test_operation_must_take_numpy_values():
    assert type(sin(np.zeros(2, np.float32))) is Array
    assert sin(np.float32(0.0)) == 0.0


def test_operation_must_refuse_other_objects():
    message = "operation sin got a value of type str: 'text'.*Give arrays or numbers"
    with pytest.raises(NotAnArrayError, match=message):
        sin("text")


@pytest.mark.parametrize("error", [TypeError, ValueError])
def test_error_of_numpy_must_be_explained_by_the_types(error):
    with pytest.raises(ShapeError, match="strict wants a scalar") as caught:
        Strict(error)(jnp.ones(2))
    assert type(caught.value.__cause__) is error


@pytest.mark.parametrize("error", [TypeError, ValueError])
def test_error_of_numpy_that_types_cannot_explain_must_stand(error):
    with pytest.raises(error, match="raw"):
        Strict(error)(jnp.ones(()))


def test_error_of_ours_must_stand():
    with pytest.raises(NotAnArrayError, match="raw"):
        Strict(NotAnArrayError)(jnp.ones(2))


def test_floating_point_warnings_must_not_be_raised():
    with np.errstate(all="raise"):
        assert np.isnan(jnp.log(jnp.float32(-1.0)))
        assert np.isinf(jnp.float32(1.0) / jnp.float32(0.0))


@pytest.mark.parametrize(
    ("operands", "dtype"),
    [
        ((jnp.float32(2.0), 3.0), "float32"),
        ((jnp.asarray(2.0, "float16"), 3.0), "float16"),
        ((3.0, jnp.asarray(2.0, "bfloat16")), ml_dtypes.bfloat16),
        ((jnp.asarray(2.0, "float8_e5m2"), 3.0), ml_dtypes.float8_e5m2),
        ((2.0, 3.0), "float32"),
        ((2, 3), "int32"),
    ],
    ids=str,
)
def test_numbers_must_adapt_to_arrays(operands, dtype):
    out = mul(*operands)
    assert (float(out), out.dtype) == (6.0, np.dtype(dtype))


def test_numbers_on_both_sides_must_adapt_to_the_array_between():
    x = lax.clamp(0.0, jnp.asarray([-1.0, 0.5, 2.0], "float16"), 1.0)
    assert (x.tolist(), x.dtype) == ([0.0, 0.5, 1.0], np.float16)


def test_results_must_be_weak_only_if_all_operands_are():
    weak, strong = jnp.asarray(1.0), jnp.float32(1.0)
    assert add(weak, weak).weak_type
    assert add(weak, 1.0).weak_type
    assert not add(weak, strong).weak_type
    assert not add(strong, 1.0).weak_type
    assert not add(weak, np.float32(1.0)).weak_type


def test_operation_of_several_results_must_give_a_list_of_arrays():
    out = lax.top_k(jnp.arange(4.0), 2)
    assert [type(x) for x in out] == [Array, Array]


@pytest.mark.parametrize(
    ("x", "aval"),
    [
        (jnp.ones(2), Aval((2,), dtypes.float32)),
        (2.0, Aval((), dtypes.float32, True)),
        (True, Aval((), dtypes.bool_, True)),
        (np.ones(2, np.float16), Aval((2,), dtypes.float16)),
    ],
    ids=str,
)
def test_type_of_any_operand_must_be_known(x, aval):
    assert aval_of(x) == aval


def test_no_trace_is_not_running():
    assert not is_running(None)
