"""Contractions: every arrangement of axes against einsum, and every rule."""

import numpy as np
import pytest

from pullback import dtypes
from pullback.core.array import from_host
from pullback.core.calling import as_value
from pullback.errors import ArgumentError, ShapeError
from pullback.primitives import contraction
from tests.rule_checks import check_dtypes_of, check_rules_of

RNG = np.random.default_rng(2)

CASES = {
    "ij,jk->ik": ((2, 3), (3, 4), (((1,), (0,)), ((), ()))),
    "ij,kj->ik": ((2, 3), (4, 3), (((1,), (1,)), ((), ()))),
    "i,i->": ((3,), (3,), (((0,), (0,)), ((), ()))),
    "i,ij->j": ((3,), (3, 4), (((0,), (0,)), ((), ()))),
    "i,j->ij": ((3,), (2,), (((), ()), ((), ()))),
    ",ij->ij": ((), (3, 2), (((), ()), ((), ()))),
    "bij,bjk->bik": ((5, 2, 3), (5, 3, 4), (((2,), (1,)), ((0,), (0,)))),
    "ibj,jkb->bik": ((2, 5, 3), (3, 4, 5), (((2,), (0,)), ((1,), (2,)))),
    "bcij,cjkb->bcik": ((2, 3, 4, 5), (3, 5, 2, 2), (((3,), (1,)), ((0, 1), (3, 0)))),
    "ijk,kjl->il": ((2, 3, 4), (4, 3, 5), (((1, 2), (1, 0)), ((), ()))),
    "ijk,jk->i": ((2, 3, 4), (3, 4), (((1, 2), (0, 1)), ((), ()))),
    "bi,bi->b": ((2, 3), (2, 3), (((1,), (1,)), ((0,), (0,)))),
    "ij,jk->ik empty": ((2, 0), (0, 4), (((1,), (0,)), ((), ()))),
}


@pytest.mark.parametrize("name", CASES)
def test_dot_general_agrees_with_einsum_and_has_right_rules(name):
    shape_x, shape_y, numbers = CASES[name]
    formula = name.split()[0]
    check_rules_of(
        lambda x, y: contraction.dot_general(x, y, numbers),
        RNG.standard_normal(shape_x),
        RNG.standard_normal(shape_y),
        reference=lambda x, y: np.einsum(formula, x, y),
    )


def test_dot_general_of_complex_operands_has_right_rules():
    x = RNG.standard_normal((2, 3)) + 1j * RNG.standard_normal((2, 3))
    check_rules_of(lambda x, y: contraction.dot(x, y), x, x.T.copy(), reference=np.dot)


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2))])
def test_dot_multiplies_vectors_and_matrices(shapes):
    x, y = (RNG.standard_normal(s) for s in shapes)
    check_rules_of(contraction.dot, x, y, reference=np.dot)


def test_dot_keeps_every_dtype_and_sums_narrow_ones_wide():
    x = RNG.integers(-4, 5, (3, 40)).astype(np.float64)
    check_dtypes_of(
        lambda x: contraction.dot_general(x, x, (((1,), (1,)), ((), ()))), x
    )


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("bfloat16", "float32"), ("float16", "float32"), ("int8", "int32")],
)
def test_dot_sums_in_the_preferred_dtype(name, wanted):
    dtype = getattr(dtypes, name)
    x = as_value(RNG.integers(-100, 100, (3, 50)).astype(dtype))
    numbers = (((1,), (1,)), ((), ()))
    found = contraction.dot_general(x, x, numbers, preferred_element_type=wanted)
    wide = np.asarray(x).astype(np.float64)
    np.testing.assert_array_equal(np.asarray(found), (wide @ wide.T).astype(wanted))
    assert found.dtype == wanted


def test_a_preferred_dtype_has_right_rules():
    numbers = (((1,), (0,)), ((), ()))

    def f(x, y):
        return contraction.dot_general(x, y, numbers, preferred_element_type="float64")

    x, y = RNG.standard_normal((2, 3)), RNG.standard_normal((3, 2))
    check_rules_of(f, x, y)
    check_rules_of(f, x.astype(np.float32), y.astype(np.float32), order=0)


def test_booleans_are_multiplied_by_and_and_added_by_or():
    x = RNG.random((3, 4)) > 0.6
    check_rules_of(
        lambda x: contraction.dot_general(x, x, (((1,), (1,)), ((), ()))),
        x,
        reference=lambda x: x @ x.T,
    )


def test_axes_that_do_not_match_are_named():
    x, y = from_host(np.zeros((2, 3))), from_host(np.zeros((2, 3)))
    contract = contraction.DotGeneral(((1,), (0,)))
    with pytest.raises(ShapeError, match=r"f64\[2,3\] and f64\[2,3\] with contracting"):
        contract.abstract(x.aval, y.aval)
    with pytest.raises(ShapeError, match="vectors or matrices"):
        contraction.dot(from_host(np.zeros((1, 2, 3))), y)


def test_precision_is_checked():
    assert contraction.canonical_precision(("high", None)) == ("HIGH", "DEFAULT")
    with pytest.raises(ArgumentError, match="'sloppy'"):
        contraction.canonical_precision("sloppy")
