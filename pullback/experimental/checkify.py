"""`checkify`: errors as values, from checks in compiled and transformed functions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes, tree
from pullback.calls.by_element import lift_checks
from pullback.calls.checked import PROGRAM_RULES, lifted
from pullback.core.calling import as_value, check_callable, is_arraylike
from pullback.core.origin import called_at, user_origin
from pullback.core.trace import Tracer, Value, aval_of, current_trace, using
from pullback.custom.checked import CALL_RULES
from pullback.errors import ArgumentError, CheckError, TracerArrayError
from pullback.implicit.checked import SOLVE_RULES
from pullback.primitives.checks import (
    NOTHING,
    Check,
    Info,
    Kind,
    Record,
    failure,
    slots_of,
)
from pullback.primitives.table import not_
from pullback.transforms.batch import batch_flat
from pullback.transforms.checks import CheckTrace, Findings, Rules

__all__ = [
    "CheckError",
    "Error",
    "ErrorCategory",
    "JaxRuntimeError",
    "all_checks",
    "automatic_checks",
    "check",
    "check_error",
    "checkify",
    "debug_check",
    "div_checks",
    "float_checks",
    "index_checks",
    "init_error",
    "nan_checks",
    "user_checks",
]

ErrorCategory = Kind
#: What is raised, under the name that it has in JAX.
JaxRuntimeError = CheckError

user_checks: frozenset[ErrorCategory] = frozenset((Kind.USER, Kind.DEBUG))
nan_checks: frozenset[ErrorCategory] = frozenset((Kind.NAN,))
div_checks: frozenset[ErrorCategory] = frozenset((Kind.DIVISION,))
index_checks: frozenset[ErrorCategory] = frozenset((Kind.INDEX,))
float_checks = nan_checks | div_checks
automatic_checks = float_checks | index_checks
all_checks = automatic_checks | user_checks

#: What is done with operations that check or hold programs.
ALL_RULES: Rules = {**PROGRAM_RULES, **CALL_RULES, **SOLVE_RULES}
lift_checks.append(lifted(ALL_RULES))


class Error:
    """What checks found: the first failure, or none. A container of arrays.

    It passes through `jit`, `vmap`, `scan` and whatever else takes containers. Under
    `vmap` it holds what was found for each element.
    """

    __slots__ = ("info", "leaves")

    def __init__(self, info: Info, leaves: Sequence[Any]) -> None:
        self.info = info
        self.leaves = tuple(leaves)

    def get(self) -> str | None:
        """Give the message of the first check that failed, None if none did.

        Of a mapped function, it has a line for each element that failed.
        """
        error = self.get_exception()
        return None if error is None else str(error)

    def get_exception(self) -> CheckError | None:
        """Give the exception that `throw` would raise, None if no check failed."""
        return failure(self.info, [known(x) for x in self.leaves])

    def throw(self) -> None:
        """Raise a `CheckError` if a check failed."""
        check_error(self)

    def __repr__(self) -> str:
        """Show the message, or that it is not known yet."""
        traced = any(isinstance(x, Tracer) for x in self.leaves)
        return f"Error({'traced' if traced else self.get()})"


tree.register_node(
    Error, lambda error: (error.leaves, error.info), lambda info, xs: Error(info, xs)
)

#: That of a function without checks.
init_error = Error(NOTHING, ())


def known(x: Any) -> Any:
    """Give the NumPy value behind a leaf of an error."""
    if not isinstance(x, Tracer):
        return np.asarray(x)
    value = x.concrete()
    return x.refuse(TracerArrayError, _GET) if value is None else np.asarray(value)


_GET = (
    "The message of an error",
    "Return the error from the transformed function, and call get or throw outside; "
    "inside, check_error(error) hands it on.",
)


def checkify(
    f: Callable[..., Any], errors: frozenset[ErrorCategory] = user_checks
) -> Callable[..., tuple[Error, Any]]:
    """Give a function that returns `(error, out)`, where `f` checks and returns `out`.

    Nothing is raised: the error says which check failed first, in the order in which
    the program runs. It is made of arrays, so that `jit(checkify(f))` is a program like
    any other, with the checks in it. Inside of `f` there may be `jit`, `grad`, `vmap`,
    loops, branches, custom rules, solvers.

    Args:
        f: a function of any arguments.
        errors: which checks are made, sets that `|` joins. `user_checks`: `check` and
            `check_error`. `nan_checks`: no operation gives a nan. `div_checks`: no
            division by zero. `index_checks`: no index out of bounds. `float_checks`,
            `automatic_checks` and `all_checks` are the first ones together. Checks of
            the user's that are not among them are not part of the error, and raise.

    Returns:
        A function of the arguments of `f`.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import jit
        >>> error, out = jit(checkify(jnp.log, errors=nan_checks))(-1.0)
        >>> print(error.get().split(".")[0], out)
        nan generated by primitive: log nan
    """
    check_callable(f, "checkify")
    kinds = frozenset(errors)
    wrong = [x for x in kinds if not isinstance(x, Kind)]
    if wrong:
        raise ArgumentError(
            f"checkify was given errors={errors!r}.",
            where=called_at(),
            mend="Give a set such as user_checks | float_checks.",
        )

    @functools.wraps(f)
    def checked(*args: Any, **kwargs: Any) -> tuple[Error, Any]:
        """Call the function with its checks."""
        trace = CheckTrace(current_trace(), kinds, ALL_RULES)
        with using(trace):
            out = f(*args, **kwargs)
        return error_of(trace.findings), out

    return checked


def error_of(found: Findings) -> Error:
    """Give what was found as an error."""
    return Error(found.info, found.leaves)


def check(
    pred: Any, msg: str, *fmt_args: Any, debug: bool = False, **fmt_kwargs: Any
) -> None:
    """Check that `pred` is true.

    Outside of `checkify` and of compiled programs, raise at once if it is not. Under
    `checkify`, the error says so. A compiled program without `checkify` is refused.

    Args:
        pred: a scalar boolean.
        msg: the message, in which `{}` and `{name}` stand for values, as for
            `str.format`.
        fmt_args, fmt_kwargs: the values: trees of arrays, which may be traced.
        debug: as `debug_check`.

    Raises:
        CheckError: it is false.
        ArgumentError: it is no scalar boolean, or a value is no array.

    Example:
        >>> check(2 > 1, "two is greater")
    """
    make_check(pred, msg, fmt_args, fmt_kwargs, debug, "check")


def debug_check(pred: Any, msg: str, *fmt_args: Any, **fmt_kwargs: Any) -> None:
    """Check as `check` does under `checkify`, and do nothing elsewhere."""
    make_check(pred, msg, fmt_args, fmt_kwargs, True, "debug_check")


def make_check(
    pred: Any, msg: str, args: Any, kwargs: Any, debug: bool, who: str
) -> None:
    """Apply the operation that checks.

    Raises:
        ArgumentError: the predicate is no scalar boolean, or a value is no array.
    """
    value = as_value(pred, f"{who}: the predicate") if is_arraylike(pred) else None
    if value is None or value.shape or value.dtype != dtypes.bool_:
        given = repr(pred) if value is None else f"an array of type {aval_of(value)}"
        raise ArgumentError(
            f"{who} takes a scalar boolean as predicate; got {given}.",
            where=called_at(),
            mend="Compare, and reduce with jnp.all or jnp.any.",
        )
    leaves, structure = tree.flatten((args, kwargs))
    for x in leaves:
        if not is_arraylike(x):
            raise ArgumentError(
                f"{who}: a value for the message is a {type(x).__name__}, {x!r}.",
                where=called_at(),
                mend="Give arrays and numbers; write what is no array into the "
                "message itself, with an f-string.",
            )
    values = [as_value(x) for x in leaves]
    origin = user_origin()
    slots = slots_of([aval_of(x).strong() for x in values])
    where = str(origin) if origin else ""
    found = Findings()
    kind = Kind.DEBUG if debug else Kind.USER
    record = Record(kind, msg, where, structure, slots)
    found.note(record, not_(value), values)
    Check(found.info, debug)(*found.leaves)


def check_error(error: Error) -> None:
    """Raise if the error says that a check failed; under `checkify`, hand it on.

    It is to `checkify` what raising is to catching: `checkify` makes a value of checks,
    and this a check of the value.

    Args:
        error: what `checkify` gave.

    Raises:
        CheckError: a check failed.
        ArgumentError: it is no error.
    """
    if not isinstance(error, Error):
        raise ArgumentError(
            f"check_error was given a {type(error).__name__}, not an Error.",
            where=called_at(),
            mend="Give the first of what a function made by checkify returns.",
        )
    if not error.info.records:
        return
    raise_mapped(error.info, [as_value(x) for x in error.leaves])


def raise_mapped(info: Info, leaves: Sequence[Value]) -> None:
    """Check what was found; of a mapped function, for each element."""
    axes = leaves[0].shape
    if not axes:
        Check(info)(*leaves)
        return

    def check_element(*values: Value) -> list[Value]:
        raise_mapped(info, values)
        return []

    batch_flat(check_element, axes[0], leaves, [0] * len(leaves))
