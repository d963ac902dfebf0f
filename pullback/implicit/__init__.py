"""Solvers whose derivatives follow from what they solve, not from how they do it."""

from pullback.implicit.decorator import custom_root as custom_root
from pullback.implicit.decorator import implicit_diff as implicit_diff
from pullback.implicit.fixed_point import fixed_point as fixed_point
from pullback.implicit.linear_operation import (
    custom_linear_solve as custom_linear_solve,
)
from pullback.implicit.linear_solve import linear_solve as linear_solve
from pullback.implicit.root import root as root
from pullback.implicit.solution import Info as Info
from pullback.implicit.solution import Solution as Solution

__all__ = [
    "Info",
    "Solution",
    "custom_linear_solve",
    "custom_root",
    "fixed_point",
    "implicit_diff",
    "linear_solve",
    "root",
]
