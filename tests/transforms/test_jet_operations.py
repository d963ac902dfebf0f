"""Taylor mode of every operation, held against `jvp` of `jvp` of `jvp`."""

import numpy as np
import pytest

from pullback import dtypes
from pullback.config import config
from pullback.core.array import Array
from tests.jet_checks import check_jet
from tests.operation_examples import as_operands, call_examples
from tests.test_rule_matrix import (
    derivative_kind,
    elementwise,
    examples,
    operations,
    results,
)

WIDE = {
    dtypes.float32: dtypes.float64,
    dtypes.complex64: dtypes.complex128,
}
#: Operations whose programs have types of their own.
TYPED = frozenset(call_examples())
#: Up to which order there are derivatives, if not all; by operation and operand.
ORDERS = {
    "RandomGamma": 2,
    "log_gamma": 1,
    **{("igamma", 0): 2, ("igammac", 0): 2, ("igamma_grad_a", 0): 1},
    **{(name, i): 2 for name in ("betainc", "betaincc") for i in (0, 1)},
    **{(f"betainc_grad_{of}", i): 1 for of in "ab" for i in (0, 1)},
}


def rounds(p):
    """Whether an operation rounds its results to fewer bits."""
    return type(p).__name__ == "ReducePrecision" or (
        type(p).__name__ == "ConvertElementType"
        and p.new_dtype not in (dtypes.float64, dtypes.complex128)
    )


def moving_operands(p, operands):
    """Give the places of operands that have a derivative."""
    floating = [
        i
        for i, x in enumerate(operands)
        if isinstance(x, Array) and dtypes.is_inexact(x.dtype)
    ]
    if any(operands[i].dtype.itemsize < 4 for i in floating):
        return []  # Scaled by factorials, narrow numbers are rounded otherwise.
    return [i for i in floating if derivative_kind(p, operands, i) != "refused"]


def widened(x):
    """Give a NumPy operand with 64-bit numbers."""
    wide = isinstance(x, Array) and WIDE.get(x.dtype)
    return np.asarray(x).astype(wide) if wide else x


def order_of(name, places):
    """Give the highest derivative to compare."""
    return min(ORDERS.get(name, 3), *[ORDERS.get((name, i), 3) for i in places])


@pytest.mark.parametrize("name", operations())
def test_a_series_is_that_of_nested_derivatives(name):
    for p, operands in examples()[name]:
        places = moving_operands(p, operands)
        if not places or rounds(p):
            continue
        typed = name in TYPED
        values = operands if typed else [widened(x) for x in operands]
        chosen = [places, *([i] for i in places if len(places) > 1)]
        with config.context(enable_x64=not typed):
            full = as_operands(values)
            for moving in chosen:
                check_moving(name, p, full, moving, 2e-4 if typed else 1e-9)


def check_moving(name, p, full, moving, tol):
    """Check one example along a curve of some of its operands."""

    def f(*moved):
        given = list(full)
        for i, x in zip(moving, moved):
            given[i] = x
        return [y for y in results(p, given) if dtypes.is_inexact(y.dtype)]

    order = order_of(name, moving)
    check_jet(f, [full[i] for i in moving], order, tol)


def test_every_row_that_moves_is_tried():
    tried = {
        name
        for name in elementwise()
        if any(moving_operands(p, xs) for p, xs in examples()[name])
    }
    assert {"exp", "div", "max", "pow", "lgamma", "clamp", "atan2"} <= tried
