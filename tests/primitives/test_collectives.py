"""The operations across mapped axes: every rule of theirs."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, jit, linear_transpose, make_jaxpr, vmap
from pullback.core.jaxpr import evaluate
from pullback.errors import UnboundAxisError
from pullback.primitives.collectives import (
    AllGather,
    AllToAll,
    AxisIndex,
    PMax,
    PMin,
    PPermute,
    PSum,
    PSumScatter,
)
from tests.rule_checks import check_rules_of

N = 3
RNG = np.random.default_rng(7)
V, M = RNG.standard_normal(N), RNG.standard_normal((N, N))
T = RNG.standard_normal((N, 2, N))

#: name -> (operation, operands of all elements, the same by NumPy).
CASES = {
    "psum": (PSum("i"), V, lambda x: np.full(N, x.sum())),
    "psum of rows": (PSum("i"), M, lambda x: np.tile(x.sum(0), (N, 1))),
    "pmax": (PMax("i"), M, lambda x: np.tile(x.max(0), (N, 1))),
    "pmin": (PMin("i"), M, lambda x: np.tile(x.min(0), (N, 1))),
    "turn": (PPermute("i", ((0, 1), (1, 2), (2, 0))), M, lambda x: np.roll(x, 1, 0)),
    "shift": (
        PPermute("i", ((0, 1), (1, 2))),
        M,
        lambda x: np.concatenate([np.zeros((1, N)), x[:-1]]),
    ),
    "gather": (AllGather("i", N, 0), M, lambda x: np.stack([x] * N)),
    "gather behind": (AllGather("i", N, 1), M, lambda x: np.stack([x.T] * N)),
    "scatter": (PSumScatter("i", 0), M, lambda x: x.sum(0)),
    "scatter behind": (PSumScatter("i", 1), T, lambda x: x.sum(0).T),
    "exchange": (AllToAll("i", 0, 0), M, lambda x: x.T),
    "exchange apart": (AllToAll("i", 1, 0), T, lambda x: x.transpose(2, 0, 1)),
}


def over(operation):
    return vmap(operation, axis_name="i")


@pytest.mark.parametrize("name", CASES)
def test_all_rules_hold_from_outside(name):
    operation, x, reference = CASES[name]
    check_rules_of(over(operation), x, reference=reference)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_inside_hold_against_differences(name):
    operation, x, _ = CASES[name]

    def f(x):
        # Not linear before and after, so that the second order is not zero.
        return jnp.sum(jnp.sin(operation(x * x)))

    check_rules_of(over(grad(f)), x, order=1)
    check_rules_of(over(jit(grad(jit(f)))), x, order=1, batched=False)


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("pmax", "pmin")])
def test_transposes_inside_are_those_of_the_whole(name):
    operation, x, _ = CASES[name]
    x = jnp.asarray(x.astype("f"))
    out = over(operation)(x)
    ct = jnp.asarray(RNG.standard_normal(out.shape).astype("f"))
    (whole,) = linear_transpose(over(operation), x)(ct)
    inside = over(lambda x, c: linear_transpose(operation, x)(c)[0])(x, ct)
    np.testing.assert_allclose(inside, whole, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_another_axis_is_carried_along(name):
    operation, x, reference = CASES[name]
    both = np.stack([x, 2 * x + 1]).astype("f")
    want = np.stack([reference(both[0]), reference(both[1])])
    inside = vmap(vmap(operation), axis_name="i", in_axes=1, out_axes=1)
    for f in (vmap(over(operation)), inside, jit(inside)):
        np.testing.assert_allclose(f(jnp.asarray(both)), want, rtol=1e-6)
    ends = vmap(vmap(operation, -1, -1), axis_name="i")
    moved = jnp.asarray(np.moveaxis(both, 0, -1))
    np.testing.assert_allclose(ends(moved), np.moveaxis(want, 0, -1), rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_what_all_elements_share_is_as_if_it_were_repeated(name):
    operation, x, _ = CASES[name]
    one = jnp.asarray(x[0].astype("f"))
    f = vmap(operation, axis_name="i", in_axes=None, axis_size=N)
    want = over(operation)(jnp.stack([one] * N))
    np.testing.assert_allclose(f(one), want, rtol=1e-6)


@pytest.mark.parametrize("operation", [PMax("i"), PMin("i")])
def test_elements_that_attain_an_extremum_share_its_slope(operation):
    found = grad(lambda x: over(operation)(x)[0])(jnp.ones(4))
    np.testing.assert_allclose(found, [0.25] * 4)
    inside = over(grad(operation))(jnp.array([1.0, 2.0, 2.0, 0.0]))
    assert inside.sum() == 4.0


def test_the_index_is_an_integer_of_its_own_for_each_element():
    f = vmap(lambda x: AxisIndex("i")(), axis_name="i")
    for g in (f, jit(f)):
        assert g(jnp.ones(3)).dtype == "int32"
        np.testing.assert_array_equal(g(jnp.ones(3)), [0, 1, 2])
    found = vmap(grad(lambda x: x * AxisIndex("i")()), axis_name="i")(jnp.ones(3))
    np.testing.assert_array_equal(found, [0.0, 1.0, 2.0])


def test_integers_and_booleans_keep_their_types():
    flags = jnp.array([True, False, False])
    turn = PPermute("i", ((0, 1), (1, 2)))
    np.testing.assert_array_equal(over(turn)(flags), [False, True, False])
    assert over(PMax("i"))(flags).dtype == bool
    bytes_ = jnp.array([1, 2, 3], dtype="uint8")
    assert over(PSum("i"))(bytes_).dtype == "uint8"
    np.testing.assert_array_equal(over(turn)(bytes_), [0, 1, 2])


def test_a_program_over_an_axis_must_run_inside_of_it():
    closed = make_jaxpr(PSum("i"), axis_env=[("i", 3)])(1.0)
    assert "psum[axis=i]" in str(closed)

    def run(x):
        return evaluate(closed.jaxpr, [x])[0]

    assert vmap(run, axis_name="i")(jnp.ones(3))[0] == 3.0
    for f in (run, jit(run), vmap(run, axis_name="j")):
        with pytest.raises(UnboundAxisError, match=r"psum was asked for .*'i'"):
            f(jnp.ones(3))
