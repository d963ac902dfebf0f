"""How functions are called: signatures, names of arguments, values of leaves."""

import functools

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import dtypes, grad, jit
from pullback.config import config
from pullback.core.array import Array
from pullback.core.calling import (
    Signature,
    argument_name,
    as_value,
    check_callable,
    from_numpy,
    is_arraylike,
    leaf_names,
    normalize_positions,
)
from pullback.errors import ArgumentError, DtypeError, NotAnArrayError


def f(a, b=2, *rest, c, d=4):
    return a, b, rest, c, d


class Quantity:
    """An object that says how it becomes an array."""

    def __init__(self, value):
        self.value = value

    def __jax_array__(self):
        return self.value


class Number(float):
    """A number of a class of its own."""


# Callables and the names of arguments.


def test_callable_must_be_let_through():
    assert check_callable(len, "grad") is None


def test_other_objects_must_be_refused_with_the_right_call():
    message = r"jit was given a float .*: 3\.0\. Called at test_calling\.py.*jit\(f\)"
    with pytest.raises(ArgumentError, match=message):
        check_callable(3.0, "jit")


@pytest.mark.parametrize(
    ("function", "position", "name"),
    [
        (f, 1, "b"),
        (f, 2, "rest[0]"),
        (f, 4, "rest[2]"),
        (lambda x: x, 3, "argument 3"),
        (max, 5, "argument 5"),
        (functools.partial(f, 1), 0, "b"),
        (lambda *xs: xs, 0, "xs[0]"),
    ],
)
def test_argument_must_be_named_by_its_parameter(function, position, name):
    assert argument_name(function, position) == name


def test_leaf_must_be_named_by_argument_and_path():
    names = leaf_names(f, [{"w": [1, 2]}, 3, None, (4,)])
    assert names == ["a['w'][0]", "a['w'][1]", "b", "rest[1][0]"]


# Values.


@pytest.mark.parametrize(
    ("given", "dtype", "weak"),
    [
        (1, "int32", True),
        (1.0, "float32", True),
        (True, "bool", False),
        (1j, "complex64", True),
        (np.float64(1), "float32", False),
        (np.float32(1), "float32", False),
        (np.arange(2), "int32", False),
        (Number(2.0), "float32", True),
        (Quantity(np.ones(3)), "float32", False),
        (Quantity(2.0), "float32", True),
    ],
    ids=lambda x: type(x).__name__,
)
def test_value_must_be_made_of_numbers_and_arrays(given, dtype, weak):
    value = as_value(given)
    assert is_arraylike(given)
    assert value.dtype == np.dtype(dtype)
    assert value.weak_type is weak


def test_value_must_be_wide_with_x64():
    with config.context(enable_x64=True):
        assert as_value(1.0).dtype == np.float64
        assert as_value(2**40).item() == 2**40


def test_arrays_and_tracers_must_be_values_as_they_are():
    x = jnp.ones(2)
    assert as_value(x) is x
    jit(lambda t: (t if as_value(t) is t else None) * 1)(x)


@pytest.mark.parametrize("x", ["text", [1, 2], None, len, {}])
def test_other_objects_must_be_no_values(x):
    assert not is_arraylike(x)
    with pytest.raises(NotAnArrayError) as caught:
        as_value(x, "cube")
    message = str(caught.value)
    assert f"cube was given a value of type {type(x).__name__}" in message
    assert "static or nondiff, and turn lists into arrays with jnp.array" in message


def test_message_about_a_long_object_must_stay_short():
    with pytest.raises(NotAnArrayError) as caught:
        as_value("x" * 1000)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("x", [2**31, -(2**31) - 1])
def test_integer_that_does_not_fit_must_be_refused(x):
    with pytest.raises(ArgumentError, match=f"integer {x} does not fit int32.*x64"):
        as_value(x)


def test_numpy_array_must_be_copied():
    x = np.ones(2, "float32")
    value = from_numpy(x)
    x[0] = 5.0
    assert value[0] == 1.0


@pytest.mark.parametrize("x", [np.array(["a"]), np.array([None]), np.datetime64("now")])
def test_numpy_array_of_another_kind_must_be_refused(x):
    with pytest.raises(DtypeError, match="arrays cannot have dtype"):
        from_numpy(x)


# Positions.


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(-1, (2,)), ((0, 2), (0, 2)), ([1, -3], (1, 0)), (np.int64(1), (1,)), ((), ())],
)
def test_positions_must_be_normalized(given, wanted):
    assert normalize_positions(given, 3, "argnums") == wanted


@pytest.mark.parametrize("given", [3, -4, (0, 3)])
def test_positions_out_of_range_must_be_refused(given):
    message = "argnums names position .* but there are 3 positional.*from 0 to 2"
    with pytest.raises(ArgumentError, match=message):
        normalize_positions(given, 3, "argnums")


def test_positions_must_be_refused_where_all_arguments_have_keywords():
    message = r"there are 0 positional.*\(.*\)\. Pass those arguments by position\.$"
    with pytest.raises(ArgumentError, match=message):
        grad(lambda x: x)(x=1.0)


def test_positions_must_be_integers():
    message = "argnums must be integers; got 'x'.*Give argnums as an int or a tuple"
    with pytest.raises(ArgumentError, match=message):
        normalize_positions(("x",), 3, "argnums")  # type: ignore[arg-type]


# Signatures.


@pytest.mark.parametrize(
    ("args", "kwargs", "wanted"),
    [
        ((1,), {"c": 3}, ((1, 2, 3, 4), ("c", "d"))),
        ((1, 5, 6, 7), {"d": 9, "c": 8}, ((1, 5, 6, 7, 8, 9), ("c", "d"))),
        ((), {"b": 5, "a": 1, "c": 3}, ((1, 5, 3, 4), ("c", "d"))),
    ],
)
def test_signature_must_give_keyword_only_values_last(args, kwargs, wanted):
    assert Signature(f).resolve(args, kwargs) == wanted


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "wanted"),
    [
        (lambda x, y=1.0: x, (), {"x": 3}, (3, 1.0)),
        (lambda x, y=1.0: x, (3,), {}, (3, 1.0)),
        (lambda x, y=1.0: x, (3, 4), {}, (3, 4)),
        (lambda x, *rest: x, (1, 2, 3), {}, (1, 2, 3)),
        (lambda x, *rest: x, (), {"x": 1}, (1,)),
        (lambda x, **options: x, (1,), {}, (1,)),
        (lambda x, y=2, **options: x, (1,), {}, (1, 2)),
    ],
)
def test_signature_must_fill_in_defaults(function, args, kwargs, wanted):
    assert Signature(function).resolve(args, kwargs) == (wanted, ())


def test_signature_must_take_keywords_after_few_positions():
    g = lambda x, *, scale: x * scale  # noqa: E731
    assert Signature(g).resolve((1,), {"scale": 3}) == ((1, 3), ("scale",))
    with pytest.raises(TypeError, match="scale"):
        Signature(g).resolve((1,), {})


def test_signature_must_name_its_parameters():
    assert Signature(f).names == ("a", "b", "rest", "c", "d")
    assert Signature(f).function is f


@pytest.mark.parametrize(
    ("args", "message"),
    [((1,), "missing a required .*argument: 'c'"), ((), "missing a required")],
)
def test_signature_must_speak_python_about_missing_arguments(args, message):
    with pytest.raises(TypeError, match=message):
        Signature(f).resolve(args, {})


def test_signature_must_speak_python_about_too_many_arguments():
    with pytest.raises(TypeError, match="too many positional"):
        Signature(lambda x: x).resolve((1, 2), {})


def test_signature_must_refuse_arbitrary_keywords():
    def g(x, **options):
        return x

    message = r"g takes arbitrary keyword arguments \(speed\).*Name these parameters"
    with pytest.raises(ArgumentError, match=message):
        Signature(g).resolve((1,), {"speed": 2})


def test_function_without_signature_must_take_positions_only():
    signature = Signature(max)
    assert signature.names == ()
    assert signature.resolve((1, 2), {}) == ((1, 2), ())
    with pytest.raises(ArgumentError, match="max takes arbitrary keyword"):
        signature.resolve((1, 2), {"key": abs})


def test_keywords_bound_by_a_partial_must_be_no_parameters():
    signature = Signature(functools.partial(f, 1, d=0))
    assert signature.names == ("b", "rest", "c")
    assert signature.resolve((2,), {"c": 3}) == ((2, 3), ("c",))


def test_partial_of_a_function_without_signature_must_have_none():
    assert Signature(functools.partial(max, key=abs)).names == ()


def test_values_of_numpy_must_become_arrays():
    assert type(as_value(np.ones(2))) is Array
    assert as_value(np.ones(2, dtypes.bfloat16)).dtype == dtypes.bfloat16
