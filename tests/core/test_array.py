"""Arrays: immutable, and what Python and NumPy ask of them."""

import copy
import operator
import pickle

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import dtypes, float0, jit
from pullback.config import config
from pullback.core.array import (
    Array,
    Operators,
    fetch_device_buffer,
    fill_operators,
    from_host,
)
from pullback.core.aval import Aval
from pullback.errors import ArgumentError


def grid():
    return jnp.arange(6.0).reshape(2, 3)


# Immutable.


def test_array_must_refuse_item_assignment_and_say_what_to_write():
    x = grid()
    with pytest.raises(ArgumentError, match=r"f32\[2,3\].*x\.at\[\.\.\.\]\.set"):
        x[0] = 1.0
    np.testing.assert_array_equal(x, np.arange(6.0).reshape(2, 3))


def test_array_must_refuse_new_attributes():
    with pytest.raises(AttributeError):
        grid().note = "mine"


def test_array_made_from_numpy_must_not_see_later_writes():
    source = np.ones(3, np.float32)
    x = jnp.array(source)
    source[:] = 7.0
    np.testing.assert_array_equal(x, np.ones(3))


@pytest.mark.parametrize(
    "make",
    [
        grid,
        lambda: jnp.broadcast_to(jnp.arange(3.0), (2, 3)),
        lambda: jit(lambda x: x + 1)(grid()),
    ],
    ids=["host", "broadcast", "compiled"],
)
def test_numpy_view_of_an_array_must_be_read_only(make):
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(make())[0] = 1.0


def test_in_place_operator_must_bind_a_new_array():
    x = y = jnp.ones(2)
    y += 1.0
    np.testing.assert_array_equal(x, np.ones(2))
    np.testing.assert_array_equal(y, 2 * np.ones(2))


def test_array_and_its_operators_must_have_no_instance_dictionary():
    assert not hasattr(grid(), "__dict__")
    assert Operators.__slots__ == ()


def test_operators_must_be_filled_only_once():
    with pytest.raises(RuntimeError, match="operator __add__ was filled before"):
        fill_operators({"__add__": lambda x, y: x})


# Shape and type.


def test_array_must_have_the_type_of_its_host_value():
    x = grid()
    assert (x.shape, x.dtype, x.ndim, x.size) == ((2, 3), np.float32, 2, 6)
    assert (x.itemsize, x.nbytes) == (4, 24)
    assert x.aval == Aval((2, 3), dtypes.float32)


def test_compiled_result_must_have_its_type_before_it_is_fetched():
    y = jit(lambda x: x * 2)(grid())
    assert y.host is None
    assert (y.shape, y.dtype) == ((2, 3), np.float32)
    assert y.aval.matches(Aval((2, 3), dtypes.float32))


def test_compiled_result_must_be_fetched_once():
    y = jit(lambda x: x * 2)(grid())
    assert y.fetch() is y.fetch()


def test_numpy_value_without_host_must_be_fetched_as_it_is():
    value = np.ones(2, np.float32)
    assert Array(None, (value,)).fetch() is value


@pytest.mark.parametrize(("number", "name"), [(1.5, "float32"), (2, "int32")])
def test_python_number_in_the_slot_must_be_fetched_in_its_default_dtype(number, name):
    value = Array(True, (number,)).fetch()
    assert isinstance(value, np.generic)
    assert (value, value.dtype.name) == (number, name)


def test_buffer_must_be_the_host_value_where_there_is_no_other():
    value = np.ones(2, np.float32)
    assert from_host(value).buffer is value


def test_device_buffer_of_a_compiled_result_must_be_readable():
    y = jit(lambda x: x * 2)(jnp.arange(3.0))
    np.testing.assert_array_equal(fetch_device_buffer(y.buffer), [0, 2, 4])


def test_weak_type_must_tell_arrays_of_python_numbers():
    assert jnp.asarray(2.0).weak_type
    assert not jnp.asarray(np.float32(2.0)).weak_type


def test_array_must_keep_wide_values_with_x64():
    with config.context(enable_x64=True):
        assert jnp.arange(2.0).dtype == np.float64


def test_concrete_must_give_the_array_itself():
    x = grid()
    assert x.concrete() is x


@pytest.mark.parametrize("make", [grid, lambda: jit(lambda x: x + 1)(grid())])
def test_block_until_ready_must_give_the_array(make):
    x = make()
    assert x.block_until_ready() is x


# Python numbers.


@pytest.mark.parametrize("make", [lambda x: x, jit(lambda x: x + 0)])
@pytest.mark.parametrize(
    ("convert", "wanted"), [(bool, True), (int, 2), (float, 2.5), (complex, 2.5 + 0j)]
)
def test_scalar_array_must_convert_to_a_python_number(make, convert, wanted):
    found = convert(make(jnp.asarray(2.5)))
    assert type(found) is convert
    assert found == wanted


@pytest.mark.parametrize("make", [lambda x: x, lambda x: x + 0, jit(lambda x: x + 0)])
def test_integer_array_must_serve_as_an_index(make):
    assert ["a", "b", "c"][make(jnp.asarray(2))] == "c"


@pytest.mark.parametrize("make", [lambda: jnp.float32(2) + 0, lambda: jnp.arange(2)])
def test_other_arrays_must_not_serve_as_an_index(make):
    with pytest.raises(TypeError, match="integer"):
        operator.index(make())


def test_truth_of_several_elements_must_be_refused():
    with pytest.raises(ValueError, match="ambiguous"):
        bool(jnp.arange(2))


def test_item_must_give_python_scalars_by_index():
    x = grid()
    assert (x.item(4), x.item(1, 2), jnp.asarray(3).item()) == (4.0, 5.0, 3)
    assert type(x.item(4)) is float


def test_tolist_must_nest_python_scalars():
    assert grid().tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert type(jnp.asarray(1.5).tolist()) is float


def test_tobytes_must_be_row_major():
    x = grid()
    assert x.T.tobytes() == np.asarray(x).T.tobytes()


# NumPy's and DLPack's protocols.


def test_array_protocol_must_convert_the_dtype():
    assert np.asarray(grid(), np.float64).dtype == np.float64


def test_array_protocol_must_copy_on_request():
    x = grid()
    made = np.array(x)
    made[:] = 9.0
    np.testing.assert_array_equal(x, np.arange(6.0).reshape(2, 3))


def test_array_protocol_must_refuse_a_conversion_without_a_copy():
    with pytest.raises(ValueError, match="copy"):
        np.asarray(grid(), np.float64, copy=False)


def test_array_protocol_must_share_memory_where_a_copy_is_forbidden():
    x = grid()
    assert np.shares_memory(np.asarray(x, copy=False), x.fetch())


def test_numpy_operand_on_the_left_must_give_way():
    assert type(np.ones(3) + grid()) is Array
    assert type(np.float32(2.0) * grid()) is Array


def test_numpy_functions_must_take_arrays():
    np.testing.assert_array_equal(np.sqrt(grid() ** 2), grid())


def test_dlpack_must_hand_out_a_copy_on_the_host():
    x = grid()
    made = np.from_dlpack(x)
    np.testing.assert_array_equal(made, x)
    assert x.__dlpack_device__() == (1, 0)
    assert not np.shares_memory(made, x.fetch())


# Pickling and copying.


@pytest.mark.parametrize(
    "make",
    [
        grid,
        lambda: jnp.asarray(2.0),
        lambda: jnp.asarray([1.5, 2.5], "bfloat16"),
        lambda: jnp.zeros((0, 3), bool),
        lambda: jnp.array([1 + 2j]),
        lambda: jit(lambda x: x * 2)(grid()),
    ],
)
def test_pickling_must_keep_value_dtype_and_weakness(make):
    x = make()
    made = pickle.loads(pickle.dumps(x))
    assert made.aval == x.aval
    np.testing.assert_array_equal(made, x)


def test_pickling_must_keep_float0():
    x = from_host(np.zeros(2, float0))
    assert pickle.loads(pickle.dumps(x)).aval == x.aval


def test_copies_of_an_array_must_be_itself():
    x = grid()
    assert copy.copy(x) is x
    assert copy.deepcopy({"x": x})["x"] is x


def test_array_must_not_be_hashed():
    with pytest.raises(ArgumentError) as caught:
        hash(grid())
    assert str(caught.value) == (
        "an Array cannot be hashed, so it cannot be a static argument, a dictionary "
        "key or a member of a set. Pass it as an ordinary argument, or use float(x), "
        "int(x) or x.tobytes() as the key."
    )


# Text.


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: jnp.arange(2.0), "Array([0., 1.], dtype=float32)"),
        (lambda: jnp.asarray(2), "Array(2, dtype=int32, weak_type=True)"),
        (lambda: jnp.array([True]), "Array([ True], dtype=bool)"),
        (lambda: jnp.zeros(0), "Array([], dtype=float32)"),
        (lambda: jnp.zeros((0, 3)), "Array([], shape=(0, 3), dtype=float32)"),
        (lambda: jnp.asarray([1.5], "bfloat16"), "Array([1.5], dtype=bfloat16)"),
        (grid, "Array([[0., 1., 2.],\n       [3., 4., 5.]], dtype=float32)"),
    ],
)
def test_repr_must_show_elements_dtype_and_weakness(make, text):
    assert repr(make()) == text


def test_str_must_be_that_of_numpy():
    assert str(grid()) == str(np.arange(6, dtype=np.float32).reshape(2, 3))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_format_must_take_the_specification_of_a_scalar(dtype):
    x = jnp.asarray(1.5, dtype)
    assert f"{x:.3f}" == "1.500"
    assert f"{x}" == "1.5"


def test_format_must_write_whole_arrays_without_a_specification():
    assert f"{jnp.arange(2)}" == "[0 1]"


# The sequence over the first axis.


def test_iteration_must_go_over_the_first_axis():
    rows = list(grid())
    assert [type(row) for row in rows] == [Array, Array]
    np.testing.assert_array_equal(rows[1], [3, 4, 5])


def test_length_must_be_that_of_the_first_axis():
    assert len(grid()) == 2


def test_length_of_a_scalar_must_be_refused():
    with pytest.raises(ArgumentError, match=r"len\(\).*f32\[\], a scalar.*atleast_1d"):
        len(jnp.asarray(1.0))


def test_unpacking_must_give_arrays():
    a, b, c = jnp.arange(3)
    assert (int(a), int(b), int(c)) == (0, 1, 2)


def test_membership_must_compare_elements():
    assert 3.0 in grid()
    assert 7.0 not in grid()


def test_reversed_must_start_from_the_last_row():
    np.testing.assert_array_equal(next(reversed(grid())), [3, 4, 5])


def test_comparison_with_what_is_no_array_must_be_plain():
    x: object = grid()
    assert (x == None) is False  # noqa: E711
    assert (x != "text") is True


def test_a_copy_to_the_host_may_begin_early():
    x = jit(lambda: jnp.arange(3.0))()
    x.copy_to_host_async()
    np.testing.assert_array_equal(x, [0, 1, 2])
    x.copy_to_host_async()  # it is there


def test_a_deleted_array_is_waited_for_no_longer():
    x = jit(lambda: jnp.arange(3.0))()
    x.delete()
    assert x.is_ready()
