"""Functions of several operations that NumPy computes in one call.

An operation costs a microsecond or two in eager code, so that a function made of
twenty takes forty. Where its operands are at hand and nobody looks on, NumPy's own
function gives the same. What is differentiated, batched and compiled is the function
made of operations, and so is what other dtypes are given to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback.core.array import Array, from_host
from pullback.core.trace import current_trace, quietly

#: The dtypes, by number, in which NumPy computes as the operations do.
_SAME = frozenset(np.dtype(c).num for c in "?bhilqBHILQfdFD")


def numpy_values(*xs: Any) -> list[Any] | None:
    """Give the NumPy values of arrays, or None where NumPy may not compute at once."""
    if not current_trace().at_once:
        return None
    values = []
    for x in xs:
        if type(x) is not Array:
            return None
        host = x.host
        if host is None:
            host = x.fetch()
        if host.dtype.num not in _SAME:
            return None
        values.append(host)
    return values


def at_once(
    function: Callable[..., Any], *xs: Any, weak: bool | None = None
) -> Array | None:
    """Let NumPy compute a function of arrays, or give None where it may not.

    Args:
        function: takes NumPy values, and gives one in the dtype that the operations
            would give; it may give None as well.
        xs: arrays and traced values.
        weak: whether the result is; by default, if there are `xs` and all are.
    """
    values = numpy_values(*xs)
    if values is None:
        return None
    found = quietly(function, values)
    if found is None:
        return None
    if weak is None:
        weak = bool(xs) and all([x.weak for x in xs])
    return from_host(found, weak)
