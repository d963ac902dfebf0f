import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import closure_convert, grad, jit
from pullback.errors import ArgumentError, TreeError


def test_captured_float_tracers_become_arguments_and_others_stay():
    def h(a, n):
        f, values = closure_convert(lambda x: a * x + n, 1.0)
        assert [str(v.aval) for v in values] == ["f32[]"]
        return f(2.0, *values)

    assert jit(h)(3.0, 4) == 10.0
    assert grad(h)(3.0, 4) == 2.0


def test_captured_arrays_stay_where_they_are():
    table = jnp.arange(3.0)
    f, values = closure_convert(lambda x: x * table, 1.0)
    assert values == []
    np.testing.assert_array_equal(f(2.0), [0.0, 2.0, 4.0])


def test_wrong_call_of_a_converted_function_says_what_it_wants():
    f, _ = closure_convert(lambda d: d["x"], {"x": 1.0})
    with pytest.raises(TreeError, match=r"converted for arguments .*0 captured values"):
        f(1.0)


def test_something_else_than_a_function_is_refused():
    with pytest.raises(ArgumentError, match="closure_convert was given a int"):
        closure_convert(3)
