"""`jit`: what it computes, what it keeps, and how it composes."""

import collections
import gc
import inspect
import weakref
from typing import Any, NamedTuple

import numpy as np
import pytest

from pullback import tree
from pullback.backend.xla import backend
from pullback.calls.jit import jit
from pullback.config import config
from pullback.core.array import Array, from_host
from pullback.core.aval import ShapeDtypeStruct
from pullback.core.calling import as_value
from pullback.errors import (
    ArgumentError,
    BackendError,
    LeakedTracerError,
    NanError,
    NotAnArrayError,
    StaticArgumentError,
    TracerBoolError,
    UnboundAxisError,
)
from pullback.lax.collectives import all_gather, axis_index, axis_size, psum
from pullback.primitives.callbacks import debug_callback, pure_callback
from pullback.primitives.structural import reduce_sum
from pullback.primitives.table import add, cos, exp, log, mul, neg, sin, sub
from pullback.transforms.derivatives import grad
from pullback.transforms.jvp import jvp_flat
from pullback.transforms.stage import make_jaxpr
from pullback.transforms.transpose import linear_transpose
from pullback.transforms.vjp import vjp
from pullback.transforms.vmap import vmap

PATHS = ("fast", "python", "numpy")


def array(*values, dtype="f4"):
    return from_host(np.array(values, dtype))


def scalar(x):
    return from_host(np.float32(x))


def log1pexp(x):
    return log(add(1.0, exp(x)))


class Point(NamedTuple):
    x: object
    y: object


# -- values ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("x", [2.0, np.float32(2), np.float64(2), np.array(2, "f4")])
def test_jit_gives_arrays_for_numbers_of_every_kind(path, x):
    with config.context(call_path=path):
        f = jit(lambda x: mul(x, x))
        for _ in range(3):
            y = f(x)
            assert type(y) is Array
            assert y.dtype == np.float32
            assert float(y) == 4.0


@pytest.mark.parametrize("path", PATHS)
def test_jit_keeps_the_weak_type(path):
    with config.context(call_path=path):
        f = jit(neg)
        assert [f(2.0).weak_type for _ in range(3)] == [True] * 3
        assert [f(array(2.0)).weak_type for _ in range(3)] == [False] * 3


@pytest.mark.parametrize("path", PATHS)
def test_jit_takes_and_gives_trees(path):
    def f(point, *rest, scale, **named):
        total = add(point.x, rest[0]["b"])
        return {"t": mul(total, scale), "a": [None, Point(named["k"], rest[0]["a"])]}

    compiled = jit(f)
    with config.context(call_path=path):
        for _ in range(3):
            out = compiled(
                Point(array(1.0), None), {"b": array(2.0), "a": 3}, k=4.0, scale=2.0
            )
            assert list(np.asarray(out["t"])) == [6.0]
            assert out["a"][0] is None
            assert (float(out["a"][1].x), int(out["a"][1].y)) == (4.0, 3)
            assert type(out["a"][1]) is Point


@pytest.mark.parametrize(
    "make",
    [
        lambda x: collections.OrderedDict(b=x, a=x),
        lambda x: collections.defaultdict(list, b=x, a=x),
        lambda x: collections.deque([x, x], maxlen=3),
    ],
)
def test_jit_takes_standard_containers(make):
    f = jit(lambda t: tree.map(neg, t))
    for _ in range(2):
        out = f(make(1.0))
        assert type(out) is type(make(1.0))
        assert tree.structure(out) == tree.structure(make(1.0))
        assert [float(x) for x in tree.leaves(out)] == [-1.0, -1.0]


def test_jit_takes_containers_registered_after_the_compiler_was_loaded():
    backend()

    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    tree.register_node(Pair, lambda p: ((p.a, p.b), "aux"), lambda aux, c: Pair(*c))
    calls = []

    def f(p):
        calls.append(p)
        return Pair(p.b, p.a)

    compiled = jit(f)
    for _ in range(3):
        out = compiled(Pair(1.0, 2.0))
        assert (float(out.a), float(out.b)) == (2.0, 1.0)
    assert len(calls) == 1


def test_jit_runs_the_function_once_for_each_type():
    seen = []

    @jit
    def f(x):
        seen.append(x.aval)
        return neg(x)

    for x in (1.0, 2.0, array(1.0), array(2.0), np.float32(3), np.float32(4)):
        f(x)
    assert list(map(str, seen)) == ["f32[]", "f32[1]", "f32[]"]


def test_jit_hoists_captured_arrays_out_of_the_program():
    table = from_host(np.arange(1000, dtype="f4"))
    f = jit(lambda x: reduce_sum(mul(table, x), (0,)))
    for _ in range(3):
        assert float(f(2.0)) == 999000.0
    assert "dense<[" not in f.lower(2.0).as_text()


def test_jit_moves_an_argument_to_the_device_once():
    x = from_host(np.ones(1000, "f4"))
    jit(neg)(x)
    assert backend().is_buffer(x.buffer)


def test_jit_moves_every_large_argument_to_the_device_once():
    f = jit(neg)
    for _ in range(3):
        x = from_host(np.ones(2**18, "f4"))
        assert np.asarray(f(x))[-1] == -1.0
        assert backend().is_buffer(x.buffer)
        assert np.asarray(f(x))[-1] == -1.0


def numpy_array(size, offset):
    """A NumPy array so many elements off the alignment at which memory is shared."""
    memory = np.zeros(size + 32, "f4")
    start = -memory.ctypes.data % 64 // 4 + offset
    return memory[start : start + size]


def test_an_array_moved_to_the_device_is_not_kept_twice():
    memory = numpy_array(100_000, 1)
    x = from_host(memory)
    jit(neg)(x)
    assert not np.shares_memory(np.asarray(x), memory)
    assert np.asarray(x).ctypes.data == x.buffer.unsafe_buffer_pointer()


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("size", [1000, 15_000, 25_000, 30_000, 1_000_000])
def test_numpy_arguments_may_be_written_to_after_a_call(size, offset):
    # C++ shares the memory of aligned arrays, and copies large ones in the background.
    x = numpy_array(size, offset)
    f = jit(lambda x: add(mul(x, x), x))
    for _ in range(10):
        x[:] = 0
        y = f(x)
        x[:] = 1
        assert not np.any(np.asarray(y))


def test_numpy_arguments_may_be_written_to_where_a_large_array_is_moved():
    # A program waits in another thread for an argument that is still being copied.
    f = jit(lambda x, large: add(x, reduce_sum(large, (0,))))
    move = jit(lambda large: large)
    for _ in range(5):
        large = from_host(numpy_array(4_000_000, 1))
        move(large)
        x = numpy_array(1000, 0)
        y = f(x, large)
        x[:] = 1
        assert not np.any(np.asarray(y))


def test_small_numpy_arguments_take_the_call_path_in_cpp(monkeypatch):
    f = jit(lambda tree: add(tree["x"], tree["y"][0]))
    tree = {"x": np.ones(3, "f4"), "y": [np.float32(2)]}
    assert np.asarray(f(tree)).tolist() == [3.0] * 3
    monkeypatch.setattr(f.trace.__self__, "_stage", None)
    assert np.asarray(f(tree)).tolist() == [3.0] * 3


def test_jit_drops_arguments_that_no_result_needs():
    f = jit(lambda x, y: neg(y))
    assert float(f(1.0, 2.0)) == -2.0
    assert "%arg1" not in f.lower(1.0, 2.0).as_text()
    kept = jit(lambda x, y: neg(y), keep_unused=True)
    assert [float(kept(1.0, 2.0)) for _ in range(2)] == [-2.0, -2.0]
    assert "%arg1" in kept.lower(1.0, 2.0).as_text()


def test_jit_gives_arguments_and_constants_back():
    f = jit(lambda x: (x, 3, x, array(1.0)))
    for _ in range(2):
        out = f(array(2.0))
        assert [float(np.asarray(y).ravel()[0]) for y in out] == [2, 3, 2, 1]


def test_jit_without_results_or_arguments():
    assert jit(lambda: ())() == ()
    assert [float(jit(lambda: {"a": 1.0})()["a"]) for _ in range(2)] == [1.0, 1.0]


@pytest.mark.parametrize("path", PATHS)
def test_jit_follows_the_switch_for_64_bits(path):
    f = jit(lambda x: mul(x, x))
    with config.context(call_path=path):
        for _ in range(2):
            assert f(1.5).dtype == np.float32
            with config.context(enable_x64=True):
                assert f(1.5).dtype == np.float64
                assert f(np.float64(1 + 1e-12)).dtype == np.float64


def test_results_of_dtypes_numpy_does_not_know():
    x = from_host(np.ones(3, "f4").astype("bfloat16"))
    y = jit(lambda x: add(x, x))(x)
    assert y.dtype.name == "bfloat16"
    assert np.asarray(y).astype("f4").tolist() == [2.0, 2.0, 2.0]


def test_jit_of_zero_size_arrays():
    assert np.asarray(jit(neg)(np.zeros((0, 3), "f4"))).shape == (0, 3)


# -- how functions are wrapped ---------------------------------------------------------


def test_jit_keeps_name_documentation_and_signature():
    @jit
    def f(x, *, y=2):
        """Docs."""
        return add(x, y)

    assert (f.__name__, f.__doc__) == ("f", "Docs.")
    assert str(inspect.signature(f)) == "(x, *, y=2)"
    assert float(f.__wrapped__(scalar(1.0))) == 3.0
    assert [float(f(1.0)) for _ in range(2)] == [3.0, 3.0]
    assert float(f(1.0, y=5.0)) == 6.0


def test_jit_works_on_methods():
    class Model:
        @jit(static_argnums=0)
        def scale(self, x):
            return mul(x, 3.0)

    model = Model()
    assert [float(model.scale(2.0)) for _ in range(2)] == [6.0, 6.0]
    assert float(Model.scale(model, x=2.0)) == 6.0


def test_jit_of_a_bound_method():
    class Model:
        def scale(self, x):
            return mul(x, 3.0)

    assert float(jit(Model().scale)(2.0)) == 6.0


def test_a_second_jit_of_a_function_does_not_stage_it_again():
    seen = []

    def f(x):
        seen.append(1)
        return neg(x)

    for _ in range(3):
        jit(f)(1.0)
    assert seen == [1]


def test_programs_go_with_their_function():
    def make():
        def f(x):
            return neg(x)

        compiled = jit(f)
        compiled(1.0)
        compiled(1.0)
        return weakref.ref(f)

    reference = make()
    gc.collect()
    assert reference() is None


def test_clear_cache_stages_again():
    seen = []

    @jit
    def f(x):
        seen.append(1)
        return neg(x)

    f(1.0)
    f.clear_cache()
    assert f._cache_size() == 0
    f(1.0)
    assert seen == [1, 1]


def test_jit_refuses_what_is_no_function():
    number: Any = 3.0
    with pytest.raises(ArgumentError, match="jit was given a float"):
        jit(number)


# -- static arguments ------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("how", [{"static_argnums": 1}, {"static_argnames": "n"}])
def test_static_arguments_are_part_of_the_program(how, path):
    seen = []

    def f(x, n, y=1.0):
        seen.append(n)
        for _ in range(n):
            x = add(x, y)
        return x

    compiled = jit(f, **how)
    with config.context(call_path=path):
        for _ in range(2):
            assert float(compiled(0.0, 2)) == 2.0
            assert float(compiled(0.0, 3)) == 3.0
            assert float(compiled(0.0, n=2)) == 2.0
            assert float(compiled(0.0, 2, 5.0)) == 10.0
    assert sorted(seen) == [2, 2, 2, 3]


def test_static_arguments_of_different_types_are_different():
    f = jit(lambda x, n: add(x, 1.0) if n is True else x, static_argnums=1)
    assert [float(f(1.0, n)) for n in (1, True, 1, True)] == [1, 2, 1, 2]


def test_an_unhashable_static_argument_is_named():
    def f(x, sizes):
        return x

    for call in (lambda g: g(1.0, [2]), lambda g: g(1.0, sizes=[2])):
        with pytest.raises(StaticArgumentError) as error:
            call(jit(f, static_argnums=1))
        assert "static argument sizes of f is a list" in str(error.value)
        assert "test_jit.py" in str(error.value)


@pytest.mark.parametrize(
    "how", [{"static_argnums": 2}, {"static_argnames": "z"}, {"donate_argnums": -3}]
)
def test_a_parameter_that_does_not_exist_is_refused(how):
    def f(x, y):
        return x

    with pytest.raises(StaticArgumentError, match=r"f has the parameters \(x, y\)"):
        jit(f, **how)


def test_negative_positions_count_from_the_end():
    f = jit(lambda x, n: mul(x, float(n)), static_argnums=-1)
    assert float(f(2.0, 3)) == 6.0


# -- donation --------------------------------------------------------------------------


def test_a_donated_argument_is_given_away():
    f = jit(lambda x, y: add(x, y), donate_argnums=0)
    x = jit(neg)(from_host(np.ones(100, "f4")))
    y = jit(neg)(from_host(np.ones(100, "f4")))
    assert np.asarray(f(x, y))[0] == -2.0
    with pytest.raises(BackendError, match="donate_argnums"):
        np.asarray(x)
    with pytest.raises(BackendError, match="donate_argnums"):
        f(x, y)
    assert np.asarray(y)[0] == -1.0


def test_a_donated_array_on_the_host_stays_usable():
    f = jit(lambda x: neg(x), donate_argnames="x")
    x = from_host(np.ones(100, "f4"))
    for _ in range(3):
        assert np.asarray(f(x))[0] == -1.0


# -- errors ----------------------------------------------------------------------------


def test_an_argument_that_is_no_array_is_named():
    def f(x, options):
        return x

    with pytest.raises(NotAnArrayError, match=r"options\['mode'\]"):
        jit(f)(1.0, {"mode": "fast"})


def test_a_result_that_is_no_array_is_refused():
    with pytest.raises(NotAnArrayError, match="the output of"):
        jit(lambda x: "text")(1.0)


def test_a_branch_on_a_traced_argument_is_explained():
    def f(x):
        return x if x else neg(x)

    with pytest.raises(TracerBoolError, match="came from x"):
        jit(f)(1.0)


def test_leaked_tracers_are_found():
    leaked = []

    @jit
    def leak(x):
        leaked.append(mul(x, 2.0))
        return x

    leak(1.0)
    for use in (neg, jit(neg), jit(lambda x: add(leaked[0], x))):
        with pytest.raises(LeakedTracerError, match="has ended"):
            use(leaked[0])


def test_errors_of_the_function_are_raised_as_they_are():
    def f(x):
        raise ValueError("from the user")

    compiled = jit(f)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^from the user$"):
            compiled(1.0)


def test_a_failed_call_can_be_repeated():
    fail = [True]

    def f(x):
        if fail:
            raise KeyError("once")
        return x

    compiled = jit(f)
    with pytest.raises(KeyError):
        compiled(1.0)
    fail.clear()
    assert float(compiled(1.0)) == 1.0


# -- switches --------------------------------------------------------------------------


def test_disable_jit_runs_the_function_itself():
    seen = []

    @jit
    def f(x):
        seen.append(type(x))
        return neg(x)

    f(1.0)
    with config.context(disable_jit=True):
        f(array(1.0))
        assert float(grad(f)(1.0)) == -1.0
    f(1.0)
    assert seen[1] is Array
    assert len(seen) == 3


def test_the_numpy_path_needs_no_compiler(monkeypatch):
    def refuse():
        raise AssertionError("the compiler was asked for")

    monkeypatch.setattr("pullback.calls.jit.backend", refuse)
    monkeypatch.setattr("pullback.calls.executable.backend", refuse)
    with config.context(call_path="numpy"):
        f = jit(log1pexp)
        assert float(f(3.0)) == pytest.approx(np.log1p(np.exp(3.0)))
        assert float(grad(f)(3.0)) == pytest.approx(1 / (1 + np.exp(-3.0)))


def test_debug_nans_names_the_operation_and_the_line():
    f = jit(lambda x: mul(log(x), 2.0))
    f(1.0)
    with config.context(debug_nans=True):
        with pytest.raises(NanError, match="operation log gave a nan") as error:
            f(-1.0)
        assert float(f(1.0)) == 0.0
    assert "test_jit.py" in str(error.value)
    assert np.isnan(float(f(-1.0)))


def test_debug_nans_looks_into_nested_functions():
    inner = jit(log)
    with config.context(debug_nans=True):
        with pytest.raises(NanError, match="operation log"):
            jit(lambda x: neg(inner(x)))(-1.0)
        with pytest.raises(NanError, match="operation"):
            grad(inner)(-1.0)


# -- callbacks -------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_callbacks_run_each_time(path):
    seen = []

    @jit
    def f(x):
        debug_callback(lambda v: seen.append(float(v)), x)
        return mul(x, 2.0)

    with config.context(call_path=path):
        assert [float(f(x)) for x in (1.0, 2.0, 3.0)] == [2.0, 4.0, 6.0]
    assert seen == [1.0, 2.0, 3.0]


def test_an_exception_in_a_callback_is_raised_as_it_is():
    class Broken(Exception):
        pass

    def callback(x):
        raise Broken("here")

    like = ShapeDtypeStruct((), "f4")
    f = jit(lambda x: neg(pure_callback(callback, like, x)))
    for _ in range(2):
        with pytest.raises(Broken, match="here"):
            f(1.0)


def test_a_callback_may_call_a_compiled_function():
    inner = jit(neg)
    like = ShapeDtypeStruct((), "f4")
    f = jit(lambda x: pure_callback(lambda v: np.asarray(inner(v)), like, x))
    assert float(f(2.0)) == -2.0
    assert float(grad(jit(lambda x: add(x, mul(0.0, x))))(1.0)) == 1.0


# -- looking inside --------------------------------------------------------------------


def test_lower_gives_text_that_does_not_change():
    text = jit(log1pexp).lower(3.0).as_text()
    assert text == jit(log1pexp).lower(ShapeDtypeStruct((), "float32")).as_text()
    assert text.startswith("module @log1pexp {\n  func.func public @main(%arg0: ")


def test_compiled_functions_take_arguments_of_their_types_only():
    compiled = (
        jit(lambda x, n: mul(x, float(n)), static_argnums=1).lower(2.0, 3).compile()
    )
    assert float(compiled(4.0)) == 12.0
    with pytest.raises(ArgumentError, match=r"\(f32\[2\]\); it takes \(f32\[\]\)"):
        compiled(array(1.0, 2.0))


def test_compiled_functions_tell_their_costs():
    compiled = jit(lambda x: add(x, x)).lower(np.ones(100, "f4")).compile()
    assert compiled.cost_analysis()["flops"] == 100
    assert compiled.memory_analysis().output_size_in_bytes == 400
    assert "HloModule" in compiled.as_text()
    assert jit(neg).lower(1.0).cost_analysis()["flops"] == 1


def test_compiler_options_are_taken():
    lowered = jit(neg).lower(1.0)
    compiled = lowered.compile({"xla_backend_optimization_level": 0})
    assert float(compiled(1.0)) == -1.0
    with pytest.raises(BackendError, match="refused"):
        lowered.compile({"xla_no_such_option": 1})


def test_trace_and_eval_shape_compute_nothing():
    traced = jit(lambda x: {"y": sin(x)}).trace(ShapeDtypeStruct((2, 3), "f4"))
    assert str(traced.jaxpr).count("sin") == 1
    assert traced.out_info["y"].shape == (2, 3)
    assert str(jit(sin).eval_shape(1.0)) == "ShapeDtypeStruct(shape=(), dtype=float32)"


# -- under transformations -------------------------------------------------------------


def test_a_nested_function_is_one_eqn():
    f = jit(log1pexp)
    text = str(make_jaxpr(lambda x: mul(f(x), 2.0))(3.0))
    assert text == (
        "{ lambda ; a:f32[]. let\n"
        "    b:f32[] = jit[\n"
        "      name=log1pexp\n"
        "      jaxpr={ lambda ; a:f32[]. let\n"
        "          b:f32[] = exp a\n"
        "          c:f32[] = add 1.0 b\n"
        "          d:f32[] = log c\n"
        "        in (d,) }\n"
        "    ] a\n"
        "    c:f32[] = mul b 2.0\n"
        "  in (c,) }"
    )


def test_an_inlined_function_leaves_no_eqn():
    f = jit(log1pexp, inline=True)
    assert "jit" not in str(make_jaxpr(f)(3.0))
    assert float(f(0.0)) == pytest.approx(np.log(2.0))


def derivative(f, x):
    """Gives the derivative of a function of a number by forward mode."""
    _, (tangent,) = jvp_flat(lambda y: [f(y)], [as_value(x)], [as_value(1.0)])
    return tangent


EXPECTED = 1 / (1 + np.exp(-3.0))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "nest",
    [
        lambda f: grad(jit(f)),
        lambda f: jit(grad(f)),
        lambda f: jit(grad(jit(jit(f)))),
        lambda f: lambda x: derivative(jit(f), x),
        lambda f: lambda x: vjp(jit(f), x)[1](scalar(1.0))[0],
        lambda f: (
            lambda x: vmap(jit(grad(jit(f))))(from_host(np.full(2, x, "f4"))).fetch()[1]
        ),
    ],
)
def test_derivatives_go_through(nest, path):
    with config.context(call_path=path):
        g = nest(log1pexp)
        for _ in range(2):
            assert float(g(3.0)) == pytest.approx(EXPECTED, rel=1e-6)


def test_second_derivatives_go_through_in_every_nest():
    second = EXPECTED * (1 - EXPECTED)
    f = log1pexp
    for g in (
        grad(grad(jit(f))),
        grad(jit(grad(f))),
        jit(grad(jit(grad(jit(f))))),
        grad(lambda x: derivative(jit(f), x)),
    ):
        assert float(g(3.0)) == pytest.approx(second, rel=1e-5)


def test_grad_of_a_compiled_function_runs_one_program_forward_and_one_back():
    f = jit(lambda x: reduce_sum(mul(sin(x), cos(x)), (0,)))
    text = str(make_jaxpr(grad(f))(np.ones(3, "f4")))
    assert text.count("jit[") == 2


def test_only_the_wanted_cotangents_are_computed():
    f = jit(lambda x, y, z: mul(sin(x), mul(sin(y), sin(z))))
    text = str(make_jaxpr(grad(f))(1.0, 2.0, 3.0))
    assert text.count("cos") == 1


def test_integers_have_no_tangents():
    f = jit(lambda x, n: mul(x, 2.0))
    assert float(grad(f)(3.0, 4)) == 2.0


def test_jit_maps_over_some_arguments():
    f = jit(lambda x, y: (mul(x, y), sub(y, 1.0)))
    out = vmap(f, in_axes=(0, None))(array(1.0, 2.0), scalar(3.0))
    assert np.asarray(out[0]).tolist() == [3.0, 6.0]
    assert np.asarray(out[1]).tolist() == [2.0, 2.0]


def test_jit_captures_values_of_outer_transformations():
    def f(x):
        return jit(lambda y: mul(x, y))(3.0)

    assert float(grad(f)(2.0)) == 3.0
    assert float(jit(grad(f))(2.0)) == 3.0
    assert np.asarray(vmap(f)(array(1.0, 2.0))).tolist() == [3.0, 6.0]


def test_linear_functions_transpose():
    f = jit(lambda x, y: add(mul(x, 2.0), y))
    x, y = linear_transpose(f, 1.0, 1.0)(scalar(3.0))
    assert (float(x), float(y)) == (6.0, 3.0)


def test_a_shared_function_is_written_once():
    f = jit(sin)
    g = jit(lambda x: f(f(x)))
    h = jit(lambda x: g(g(x)))
    text = h.lower(1.0).as_text()
    assert text.count("stablehlo.sine") == 1
    assert float(h(1.0)) == pytest.approx(np.sin(np.sin(np.sin(np.sin(1.0)))))


def test_unused_results_of_a_nested_function_are_dropped():
    f = jit(lambda x: (sin(x), cos(x)))
    assert "cosine" not in jit(lambda x: f(x)[0]).lower(1.0).as_text()


def test_effects_of_a_nested_function_are_kept():
    seen = []

    @jit
    def note(x):
        debug_callback(lambda v: seen.append(float(v)), x)
        return x

    def f(x):
        note(x)
        return neg(x)

    jit(f)(2.0)
    assert seen == [2.0]


# -- names of mapped axes --------------------------------------------------------------


def test_a_program_must_be_that_of_the_axes_around_it():
    @jit
    def f(x):
        return mul(x, axis_size("i")), all_gather(x, "i")

    for n in (2, 3, 2):
        found, row = vmap(f, axis_name="i")(np.arange(n, dtype="f"))
        np.testing.assert_array_equal(found, n * np.arange(n))
        assert row.shape == (n, n)
    with pytest.raises(UnboundAxisError, match="no axis has a name there"):
        f(1.0)
    with pytest.raises(UnboundAxisError, match=r"names there are 'j' \(length 3\)"):
        vmap(f, axis_name="j")(np.ones(3, "f"))
    nested = vmap(vmap(f, axis_name="i"), axis_name="j")
    assert nested(np.ones((2, 3), "f"))[1].shape == (2, 3, 3)
    assert f._cache_size() == 3


def test_a_program_that_meets_its_name_or_not_is_compiled_apart():
    @jit
    def f(x):
        try:
            return psum(x, "i")
        except NameError:
            return x

    x = np.ones(3, "f")
    for _ in range(2):
        np.testing.assert_array_equal(f(x), x)
        np.testing.assert_array_equal(vmap(f, axis_name="i")(x), 3 * x)
        np.testing.assert_array_equal(vmap(f)(x), x)


def test_a_program_without_mapped_arguments_may_refer_to_the_axis():
    f = jit(lambda x: mul(x, axis_index("i")))
    got = vmap(lambda x: add(x, f(2)), axis_name="i")(np.arange(3))
    np.testing.assert_array_equal(got, [0, 3, 6])
