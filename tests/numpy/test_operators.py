"""Operators and methods of arrays and traced values."""

import operator

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.core.array import Array, Operators
from pullback.core.trace import Tracer
from pullback.errors import ArgumentError, DtypeError, NotAnArrayError, ShapeError
from pullback.transforms.derivatives import grad
from pullback.transforms.stage import make_jaxpr
from pullback.transforms.vjp import jvp
from pullback.transforms.vmap import vmap
from tests.numpy.agreement import assert_same, flat, integers, normal

A, B = normal(3, 4), normal(4)
K, J = integers(3, 4), integers(4, low=1)

BOTH = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    divmod,
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]
WHOLE = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]
UNARY = [operator.neg, operator.pos, abs]


def checked(f, *args):
    """Compares an expression on arrays, NumPy's included, at once and compiled."""
    with np.errstate(all="ignore"):
        want = flat(f(*args))
    for ours in (
        [jnp.asarray(a) for a in args],
        [jnp.asarray(args[0]), *args[1:]],
        [*args[:-1], jnp.asarray(args[-1])],
    ):
        assert_same(flat(f(*ours)), want, 2e-5)
    got = jit(lambda *xs: f(*xs))(*[jnp.asarray(a) for a in args])
    assert_same(flat(got), want, 2e-5)


@pytest.mark.parametrize("op", BOTH)
def test_binary_operators_agree_with_numpy(op):
    checked(op, A, B)
    checked(op, K, J)


@pytest.mark.parametrize("op", WHOLE)
def test_bit_operators_agree_with_numpy(op):
    checked(op, K, J)


@pytest.mark.parametrize("op", UNARY)
def test_unary_operators_agree_with_numpy(op):
    checked(op, A)
    checked(op, K)


@pytest.mark.parametrize("op", BOTH)
@pytest.mark.parametrize("scalar", [2, 2.5])
def test_operators_take_python_numbers_on_both_sides(op, scalar):
    x = jnp.asarray(A)
    assert_same(flat(op(x, scalar)), flat(op(A, np.float32(scalar))), 2e-5)
    assert_same(flat(op(scalar, x)), flat(op(np.float32(scalar), A)), 2e-5)


@pytest.mark.parametrize("power", [0, 1, 2, 3, 7, 2.5, 0.5])
def test_powers_agree_with_numpy(power):
    x = np.abs(A)
    assert_same([jnp.asarray(x) ** power], [x**power], 2e-5)


def test_integer_powers_agree_with_numpy():
    checked(operator.pow, K, np.abs(K))
    assert_same([jnp.asarray(K) ** 3, 2 ** jnp.asarray(J)], [K**3, 2**J], 0)


def test_integers_to_a_negative_power_are_refused():
    with pytest.raises(DtypeError, match="negative power -2"):
        jnp.arange(3) ** -2


def test_matrix_product_is_an_operator():
    checked(operator.matmul, A, A.T)


def test_commutative_operators_put_the_array_first():
    text = str(make_jaxpr(lambda x: (1.0 + x, 2 * x, 1.0 - x))(3.0))
    assert "add a 1.0" in text
    assert "mul a 2.0" in text
    assert "sub 1.0 a" in text


def test_invert_flips_bits_and_truth_values():
    assert_same([~jnp.asarray(K), ~jnp.asarray(A > 0)], [~K, ~(A > 0)], 0)


def test_lists_as_operands_raise_by_name():
    with pytest.raises(NotAnArrayError, match=r"multiply.*list"):
        jnp.ones(3) * [1, 2, 3]


def test_other_operands_are_left_to_python():
    with pytest.raises(TypeError, match="unsupported operand"):
        jnp.ones(3) + None
    assert (jnp.ones(3) == None).__class__ is bool  # noqa: E711


def test_shapes_that_do_not_fit_raise_with_both_shapes():
    with pytest.raises(ShapeError, match=r"\(3,\), \(4,\)"):
        jnp.ones(3) + jnp.ones(4)


def test_an_array_is_a_sequence_over_its_first_axis():
    x = jnp.asarray(A)
    assert len(x) == 3
    assert_same(list(x), list(A), 0)
    assert 5.0 in jnp.arange(6.0)
    assert 7.0 not in jnp.arange(6.0)
    first, second = jit(lambda a, b: tuple(jnp.stack([a, b])))(1.0, 2.0)
    assert (float(first), float(second)) == (1.0, 2.0)


def test_a_scalar_has_no_length_and_no_members():
    with pytest.raises(TypeError, match=r"f32\[\]"):
        len(jnp.asarray(1.0))
    with pytest.raises(TypeError, match=r"f32\[\]"):
        iter(jnp.asarray(1.0))


def test_item_assignment_names_the_way_out():
    with pytest.raises(ArgumentError, match=r"x\.at\[\.\.\.\]\.set\(value\)"):
        jnp.ones(3)[0] = 1.0
    x = jnp.ones(3)
    with pytest.raises(TypeError, match="never change"):
        x[1] += 1.0


METHODS = {
    "sum": (), "prod": (), "mean": (), "std": (), "var": (), "max": (), "min": (),
    "any": (), "all": (), "argmax": (), "argmin": (), "cumsum": (), "cumprod": (),
    "ravel": (), "flatten": (), "transpose": (), "squeeze": (), "conj": (), "copy": (),
    "round": (1,), "swapaxes": (0, 1), "dot": (B,), "clip": (-0.5, 0.5),
    "take": (np.array([0, 2]),), "repeat": (2,), "sort": None, "argsort": (),
    "diagonal": (), "trace": (), "nonzero": (), "reshape": (4, 3),
    "astype": (np.int32,),
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_methods_agree_with_numpy(name):
    args = METHODS[name]
    want = np.sort(A) if args is None else getattr(A, name)(*args)
    x = jnp.asarray(A)
    assert_same(flat(getattr(x, name)(*(args or ()))), flat(want), 2e-5)


@pytest.mark.parametrize(
    "name", ["T", "mT", "real", "imag", "ndim", "size", "nbytes", "itemsize"]
)
def test_properties_agree_with_numpy(name):
    assert_same([getattr(jnp.asarray(A), name)], [getattr(A, name)], 0)
    traced = make_jaxpr(lambda x: jnp.asarray(getattr(x, name)))(A)
    assert traced.out_avals[0].shape == np.shape(getattr(A, name))


def test_reshape_takes_lengths_or_a_shape():
    x = jnp.arange(6)
    assert x.reshape(2, 3).shape == x.reshape((2, 3)).shape == x.reshape(2, -1).shape


def test_arrays_and_tracers_are_ndarrays():
    assert isinstance(jnp.ones(2), jnp.ndarray)
    assert jit(lambda x: jnp.asarray(isinstance(x, jnp.ndarray)))(1.0)
    assert not isinstance(np.ones(2), jnp.ndarray)


def test_an_array_names_its_namespace():
    assert jnp.ones(2).__array_namespace__() is jnp


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        *(("f4", "i4"), ("i2", "i4"), ("?", "i1"), ("f4", "i1"), ("c8", "f4")),
        *(("f4", "c8"), ("c8", "i1"), ("u1", "c8"), ("u1", "f2"), ("u1", "u1")),
    ],
)
def test_views_read_the_bytes_as_another_dtype(kind, other):
    x = np.arange(32).reshape(2, 16).astype(kind)
    for f in (lambda x: x.view(other), jit(lambda x: x.view(other))):
        got, want = f(jnp.asarray(x)), x.view(other)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def test_views_that_do_not_fit_are_refused():
    assert jnp.arange(3, dtype="int8").view(bool).tolist() == [False, True, True]
    with pytest.raises(ShapeError, match=r"view of i8\[3\] as a dtype 2 times"):
        jnp.arange(3, dtype="int8").view("int16")
    with pytest.raises(ShapeError, match="view of a scalar keeps"):
        jnp.float32(1).view("int16")


def test_operators_are_filled_for_arrays_and_tracers_alike():
    for name in ("__add__", "__getitem__", "sum", "at"):
        assert getattr(Array, name) is getattr(Operators, name)
        assert getattr(Tracer, name) is getattr(Operators, name)


def _kinds(kind):
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)


def test_nothing_a_traced_value_holds_hides_a_method_of_arrays():
    methods = {name for name in vars(Operators) if not name.startswith("_")}
    for kind in _kinds(Tracer):
        assert not methods & set(vars(kind)), kind


@pytest.mark.parametrize("name", ["var", "trace"])
def test_methods_whose_names_are_words_of_tracing_work_on_traced_values(name):
    x = jnp.arange(9.0).reshape(3, 3)
    method, function = operator.methodcaller(name), getattr(jnp, name)
    assert jit(method)(x) == function(x)
    assert vmap(method)(x[None]) == function(x)
    for gradient in (grad(method), jit(grad(method))):
        np.testing.assert_allclose(gradient(x), grad(function)(x), atol=1e-6)
    assert jvp(method, (x,), (x,))[0] == function(x)
