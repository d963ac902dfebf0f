"""`custom_transpose`: linear functions with a transpose of their own."""

import numpy as np
import pytest

from pullback import custom_transpose, grad, jit, jvp, linear_transpose, vmap
from pullback import numpy as jnp
from pullback.errors import ArgumentError, MissingDerivative, RuleArityError
from tests.implicit.comparing import assert_close


def divide():
    @custom_transpose
    def divided(r, x):
        """Divide."""
        return x / r

    @divided.def_transpose
    def divided_transpose(r, ct):
        return 10 * ct / r

    return divided


def test_value_is_the_function_s():
    f = divide()
    assert f(2.0, 3.0) == 1.5
    assert f(2.0, x=3.0) == 1.5
    assert f.__doc__ == "Divide."
    assert repr(f) == "<custom_transpose divided: transpose=divided_transpose>"


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_reverse_mode_uses_the_transpose(wrap):
    f = divide()
    assert wrap(grad(f, 1))(2.0, 3.0) == 5.0
    assert grad(wrap(f), 1)(2.0, 3.0) == 5.0
    found = wrap(vmap(grad(f, 1)))(jnp.array([1.0, 2.0]), jnp.ones(2))
    assert_close(found, np.array([10.0, 5.0]))


def test_forward_mode_uses_linearity():
    assert jvp(divide(), (2.0, 3.0), (0.0, 1.0))[1] == 0.5
    assert_close(jvp(divide(), (2.0, 3.0), (1.0, 0.0))[1], -0.75)


def test_mixed_second_derivative():
    f = divide()
    found = grad(lambda r: grad(lambda x: f(r, x * x))(3.0))(2.0)
    assert_close(found, -10 * 6 / 4, 1e-6)


def test_transposing_twice_gives_the_function():
    f = divide()
    once = linear_transpose(lambda x: f(2.0, x), 1.0)
    assert once(1.0)[0] == 5.0
    twice = linear_transpose(lambda ct: once(ct)[0], 1.0)
    assert twice(1.0)[0] == 0.5


def test_without_residuals():
    @custom_transpose
    def negative(x):
        return -x

    negative.def_transpose(lambda ct: -2 * ct)
    assert grad(negative)(1.0) == -2.0


def test_methods():
    class Scale:
        def __init__(self, k):
            self.k = k

        @custom_transpose
        def apply(self, x):
            return self.k * x

    assert Scale(3.0).apply(2.0) == 6.0


def test_without_transpose_reverse_mode_names_what_to_define():
    @custom_transpose
    def plain(r, x):
        return r * x

    assert vmap(plain)(jnp.ones(2), jnp.ones(2)).tolist() == [1.0, 1.0]
    with pytest.raises(MissingDerivative, match=r"`@plain\.def_transpose`"):
        grad(plain, 1)(1.0, 2.0)


def test_arity_is_checked_when_the_transpose_is_attached():
    with pytest.raises(RuleArityError, match=r"Write def transpose\(r, ct\)"):
        divide().def_transpose(lambda ct: ct)


def test_there_must_be_an_operand():
    @custom_transpose
    def nothing(*, x):
        return x

    with pytest.raises(ArgumentError, match="no last positional argument"):
        jit(lambda x: nothing(x=x))(1.0)
