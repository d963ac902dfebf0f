"""Operands of different ranks: allowed, warned of or refused, as the switch says."""

import warnings

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import config, grad, jit, numpy_rank_promotion, vmap
from pullback.core.array import Operators
from pullback.errors import RankPromotionWarning, ShapeError
from pullback.scipy.special import xlogy

A, B = jnp.ones((2, 3)), jnp.ones(3)
N, M = jnp.ones((2, 3), int), jnp.ones(3, int)
BROADCASTING = {
    "add": lambda: A + B,
    "add of an array of NumPy's": lambda: np.ones(3) + A,
    "add of one element": lambda: jnp.add(A, jnp.zeros(1)),
    "sub": lambda: B - A,
    "pow": lambda: A**B,
    "mod": lambda: A % B,
    "eq": lambda: A == B,
    "rshift": lambda: N >> M,
    "and": lambda: N & M,
    "add function": lambda: jnp.add(A, B),
    "divide": lambda: jnp.divide(A, B),
    "less": lambda: jnp.less(A, B),
    "maximum": lambda: jnp.maximum(A, B),
    "bitwise_or": lambda: jnp.bitwise_or(N, M),
    "logical_and": lambda: jnp.logical_and(A, B),
    "power": lambda: jnp.power(A, B),
    "remainder": lambda: jnp.remainder(A, B),
    "fmod": lambda: jnp.fmod(A, B),
    "floor_divide": lambda: jnp.floor_divide(A, B),
    "divmod": lambda: jnp.divmod(A, B),
    "left_shift": lambda: jnp.left_shift(N, M),
    "right_shift": lambda: jnp.right_shift(N, M),
    "clip": lambda: B.clip(A),
    "fmax": lambda: jnp.fmax(A, B),
    "fmin": lambda: jnp.fmin(A, B),
    "copysign": lambda: jnp.copysign(A, B),
    "isclose": lambda: jnp.isclose(A, B),
    "allclose": lambda: jnp.allclose(A, B),
    "hypot": lambda: jnp.hypot(A, B),
    "logaddexp": lambda: jnp.logaddexp(A, B),
    "logaddexp2": lambda: jnp.logaddexp2(A, B),
    "ldexp": lambda: jnp.ldexp(A, M),
    "xlogy": lambda: xlogy(A, B),
    "jit": lambda: jit(lambda x, y: x + y)(A, B),
    "jit of the function": lambda: jit(jnp.add)(A, B),
    "grad": lambda: grad(lambda x: (x + B).sum())(A),
    "vmap": lambda: vmap(lambda x: x + B)(jnp.ones((4, 2, 3))),
    "tree.map": lambda: pullback.tree.map(jnp.add, [A], [B]),
}
#: What scalars, other meanings of two ranks, and the library's own code do is allowed.
ALLOWED = {
    "a number": lambda: A + 1,
    "a scalar": lambda: jnp.add(A, jnp.zeros(())),
    "one rank": lambda: A + A[:1],
    "a mapped axis": lambda: vmap(lambda row: row + B)(A),
    "products": lambda: A @ B,
    "choice": lambda: jnp.where(A > 0, B, A),
    "updates": lambda: A.at[:].add(B),
    "outer": lambda: jnp.add.outer(A, B),
    "negation": lambda: -A,
    "std": lambda: jnp.std(A, 0),
    "cov": lambda: jnp.cov(A),
    "softmax": lambda: pullback.nn.softmax(A),
    "norm": lambda: jnp.linalg.norm(A, axis=1),
    "trapezoid": lambda: jnp.trapezoid(A, jnp.arange(3.0)),
    "derivatives": lambda: pullback.hessian(lambda x: jnp.var(x, 0) @ B)(A),
}


@pytest.mark.parametrize("name", BROADCASTING)
def test_operands_of_different_ranks_are_refused(name):
    with (
        numpy_rank_promotion("raise"),
        pytest.raises(ShapeError, match="operands of different ranks: ") as caught,
    ):
        BROADCASTING[name]()
    assert "test_ranks.py" in str(caught.value)
    BROADCASTING[name]()


@pytest.mark.parametrize("name", BROADCASTING)
def test_operands_of_different_ranks_are_warned_of_once(name):
    with numpy_rank_promotion("warn"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        BROADCASTING[name]()
    assert [w.category for w in caught] == [RankPromotionWarning]


@pytest.mark.parametrize("name", ALLOWED)
def test_other_operands_are_not_refused(name):
    with numpy_rank_promotion("raise"):
        ALLOWED[name]()


def test_the_error_says_how_to_mend_it():
    with (
        pytest.raises(ValueError, match="ranks") as caught,
        numpy_rank_promotion("raise"),
    ):
        np.ones(3) - A
    text = str(caught.value)
    assert text.startswith(
        "sub was given operands of different ranks: f32[2,3], f64[3], which "
        "numpy_rank_promotion='raise' refuses. Called at test_ranks.py:"
    )
    assert text.endswith(
        "Write the axes, as in x[None, :] or jnp.expand_dims(x, axis), or allow it: "
        "config.update('numpy_rank_promotion', 'allow')."
    )


@pytest.mark.parametrize("add", [lambda: A + B, lambda: jnp.add(A, B)])
def test_the_warning_stands_at_the_users_line(add):
    message = (
        r"add broadcasts operands of different ranks: f32\[2,3\], f32\[3\]\. Called"
    )
    with config.context(jax_numpy_rank_promotion="warn"):
        with pytest.warns(RankPromotionWarning, match=message) as caught:
            add()
    assert caught[0].filename == __file__


def test_a_program_is_traced_anew_when_the_switch_changes():
    f = jit(lambda x, y: x * y)
    f(A, B)
    with numpy_rank_promotion("raise"), pytest.raises(ShapeError):
        f(A, B)
    f(A, B)


def test_operators_are_those_of_before_once_it_is_off():
    before = dict(vars(Operators))
    with numpy_rank_promotion("raise"), numpy_rank_promotion("warn"):
        assert Operators.__add__ is not before["__add__"]
    assert dict(vars(Operators)) == before
