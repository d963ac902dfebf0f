"""What solvers give: the values they found, and how the search ended."""

from __future__ import annotations

import math
import operator
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes
from pullback import numpy as jnp
from pullback.core.calling import as_value
from pullback.core.origin import called_at, is_internal
from pullback.core.trace import Value
from pullback.errors import ConvergenceWarning


class Info(NamedTuple):
    """How a search ended.

    Fields:
        iterations: how many steps it took.
        error: what the tolerance was held against, at the end.
        converged: whether it was small enough.
    """

    iterations: Value
    error: Value
    converged: Value


class Solution:
    """What a solver found, and how its search ended.

    It stands for its `x` wherever an array can stand: in arithmetic, in functions of
    `pullback.numpy`, as what a transformed function returns (which then is `x` alone).
    Attributes that it does not have itself are those of `x`.

    Args:
        x: an array, or a tree of arrays.
        info: iterations, error, converged.
    """

    __slots__ = ("info", "x")

    def __init__(self, x: Any, info: Info) -> None:
        self.x = x
        self.info = info

    @property
    def iterations(self) -> Value:
        """How many steps the search took."""
        return self.info.iterations

    @property
    def error(self) -> Value:
        """What the tolerance was held against, at the end."""
        return self.info.error

    @property
    def converged(self) -> Value:
        """Whether the error was small enough."""
        return self.info.converged

    def __jax_array__(self) -> Value:
        return as_value(self.x, "a solution that is no single array; its x")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.__jax_array__(), dtype)

    def __getattr__(self, name: str) -> Any:
        # A copy being made has no x yet.
        if name.startswith("__") or name in Solution.__slots__:
            raise AttributeError(name)
        return getattr(self.x, name)

    def __getitem__(self, index: Any) -> Any:
        return self.x[index]

    def __len__(self) -> int:
        return len(self.x)

    def __bool__(self) -> bool:
        return bool(self.x)

    def __float__(self) -> float:
        return float(self.x)

    def __int__(self) -> int:
        return int(self.x)

    def __format__(self, spec: str) -> str:
        return format(self.x, spec)

    def __repr__(self) -> str:
        """Show the values and how the search ended."""
        return (
            f"Solution(x={self.x!r}, converged={self.converged}, "
            f"iterations={self.iterations}, error={self.error})"
        )


def delegate(name: str, function: Callable[..., Any], reflected: bool) -> None:
    """Let an operator of solutions be that of their x."""

    def method(self: Solution, *others: Any) -> Any:
        rest = [y.x if isinstance(y, Solution) else y for y in others]
        return function(*rest, self.x) if reflected else function(self.x, *rest)

    method.__name__ = name
    setattr(Solution, name, method)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
    delegate(f"__{_name}__", getattr(operator, f"__{_name}__"), False)
    delegate(f"__r{_name}__", getattr(operator, f"__{_name}__"), True)
for _name in ("neg", "pos", "abs", "lt", "le", "gt", "ge", "eq", "ne"):
    delegate(f"__{_name}__", getattr(operator, f"__{_name}__"), False)


def default_tolerance(dtype: dtypes.Dtype) -> float:
    """Give the tolerance of a search in a dtype: 6e-6 in float32, 2e-12 in float64."""
    return math.pow(jnp.finfo(dtype).eps, 0.75)


def fixed_point_tolerance(dtype: dtypes.Dtype) -> float:
    """Give that of a search whose last change is its error: 2e-6, 2e-12 in float64."""
    eps = float(jnp.finfo(dtype).eps)
    return max(min(math.pow(eps, 0.75), 16 * eps), 2e-12)


def report(who: str, x: Any, info: Info, mend: str) -> Solution:
    """Give a solution, with a warning where it is known not to have converged.

    Args:
        who: the solver, for the warning.
        x: what it found.
        info: how the search ended.
        mend: what to do about a search that did not converge.
    """
    known = as_value(info.converged).concrete()
    if known is not None and not np.all(known):
        steps, error = (as_value(v).concrete() for v in info[:2])
        warnings.warn(
            f"{who} stopped after {steps} iterations without having converged (error "
            f"{error:.3g}). {called_at()} {mend}",
            ConvergenceWarning,
            stacklevel=depth_of_user(),
        )
    return Solution(x, info)


def depth_of_user() -> int:
    """Count the frames from the caller up to the user's, as `warnings.warn` does."""
    frame = sys._getframe(1)
    depth = 1
    while frame.f_back is not None and is_internal(frame.f_code.co_filename):
        frame = frame.f_back
        depth += 1
    return depth
