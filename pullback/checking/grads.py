"""Derivatives of a function held against finite differences."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback.checking.coordinates import Space, Subject, in_64_bits
from pullback.checking.jacobian import (
    along,
    applied,
    forward,
    numeric,
    random_like,
    reverse,
)
from pullback.core.calling import check_callable
from pullback.core.origin import called_at, name_of
from pullback.errors import ArgumentError, ForwardModeError
from pullback.transforms.vjp import jvp, vjp

MODES = {"fwd": "forward", "rev": "reverse"}
#: Tolerances where nothing is given: (relative, absolute per unit of scale).
TOLERANCE = (1e-4, 1e-6)


class Worst(NamedTuple):
    """The entry of two matrices where they differ most, and by how many tolerances."""

    excess: float
    row: int
    column: int


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Hold the derivatives of `f` against central differences, in 64 bits.

    Args:
        f: a function of pytrees of arrays.
        args: a tuple or list with its arguments; Python floats are taken as well, and
            what is no float or complex number is held fixed.
        order: up to which order derivatives are checked.
        modes: "fwd", "rev" or both. Forward mode is left out for functions that have a
            reverse rule only.
        atol: the absolute tolerance; by default 1e-6 of the largest derivative.
        rtol: the relative tolerance; by default 1e-4.
        eps: the step; by default one that suits each number.

    Raises:
        AssertionError: a derivative is wrong; names the worst entry and both numbers.
        ArgumentError: an argument of this function cannot be used.

    Example:
        >>> import pullback.numpy as jnp
        >>> check_grads(jnp.sin, (1.5,), order=2)
    """
    check_callable(f, "check_grads")
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    check_arguments("check_grads", f, args)
    check_modes(f, modes)
    subject = Subject(f, args)
    if not subject.varied:
        return
    title = f"check_grads of {name_of(f)}"
    done = in_wide(
        lambda s: check_order(s, order, modes, (rtol, atol, eps), title), subject
    )
    if not done:
        raise ArgumentError(
            f"{title}: forward mode was asked for, but {name_of(f)} calls a function "
            "with a reverse rule only.",
            where=called_at(),
            mend="Use modes=('rev',), or give that function a rule with defjvp.",
        )


def check_arguments(who: str, f: Any, args: Any) -> None:
    """Raise for arguments in no tuple."""
    if not isinstance(args, (tuple, list)):
        raise ArgumentError(
            f"{who} of {name_of(f)}: args is a {type(args).__name__}.",
            where=called_at(),
            mend="Give the arguments (x,), with a tuple.",
        )


def check_modes(f: Any, modes: Sequence[str]) -> None:
    """Raise for what is no mode."""
    for mode in modes:
        if mode not in MODES:
            raise ArgumentError(
                f"check_grads of {name_of(f)}: {mode!r} is no mode.",
                where=called_at(),
                mend="Use 'fwd', 'rev' or both.",
            )


def once(subject: Subject) -> Any:
    """Call the function."""
    return subject(*subject.point)


def in_wide(
    run: Callable[[Subject], Any],
    subject: Subject,
    attempt: Callable[[Subject], Any] = once,
) -> Any:
    """Run a check in 64 bits, or as it is where the attempt fails in 64 bits."""
    with in_64_bits():
        wide = subject.wide()
        try:
            attempt(wide)
        except Exception:  # a function insists on narrow types
            pass
        else:
            return run(wide)
    return run(subject)


def check_order(
    subject: Subject,
    order: int,
    modes: Sequence[str],
    tolerances: tuple[float | None, float | None, float | None],
    title: str,
) -> bool:
    """Check the first derivatives, and then those of the derivatives.

    Returns:
        Whether any mode could be checked.
    """
    rtol, atol, eps = tolerances
    values = subject(*subject.point)
    inputs, outputs = subject.space(), Space(values, subject.out_names)
    wanted = numeric(subject, inputs, outputs, eps)
    done = False
    for mode in modes:
        derive = forward if mode == "fwd" else reverse
        try:
            found = derive(subject, inputs, outputs)
        except ForwardModeError:
            continue
        done = True
        heading = f"{title}, {MODES[mode]} mode"
        compare(found, wanted, inputs, outputs, (rtol, atol), heading)
        apply = functools.partial(applied, subject, mode)
        compare_along(subject, apply, inputs, outputs, rtol, heading)
        if order > 1:
            derived = derivative_of(subject, mode, values)
            ordinal = f"{title}, derivative of its {MODES[mode]} derivative"
            check_order(derived, order - 1, modes, tolerances, ordinal)
    return done or not modes


def compare_along(
    subject: Subject,
    apply: Callable[[list[Any], list[Any]], float],
    inputs: Space,
    outputs: Space,
    rtol: float | None,
    title: str,
    mend: str = "",
) -> None:
    """Try all entries at once along one direction, where they were sampled before.

    Args:
        subject: the function.
        apply: gives what its derivative makes of tangents and cotangents.
        inputs, outputs: the spaces of these, of which entries were sampled or not.
        rtol: the relative tolerance.
        title: what the error begins with.
        mend: what it ends with.
    """
    if not (inputs.sampled or outputs.sampled):
        return
    dots, cts = random_like(inputs, 8), random_like(outputs, 9)
    found = apply(dots, cts)
    wanted, error = along(subject, dots, cts)
    relative = TOLERANCE[0] if rtol is None else rtol
    if abs(found - wanted) > relative * abs(wanted) + 2 * error + 1e-290:
        raise AssertionError(
            f"{title}: the derivative along a random direction of all arguments is "
            f"{found:.7g}; finite differences give {wanted:.7g}.{mend}"
        )


def derivative_of(subject: Subject, mode: str, values: Sequence[Any]) -> Subject:
    """Give the derivative along a fixed random direction, as a function to check."""
    if mode == "fwd":
        dots = tuple(random_like(subject.space(), 1))

        def derived(*point: Any) -> Any:
            return jvp(subject, point, dots)[1]
    else:
        cts = random_like(Space(values, subject.out_names), 1)

        def derived(*point: Any) -> Any:
            return vjp(subject, *point)[1](cts)

    return Subject(derived, subject.point, subject.varied_names)


def tolerance(wanted: np.ndarray, rtol: float | None, atol: float | None) -> np.ndarray:
    """Give the tolerance of each entry of a matrix."""
    finite = np.abs(wanted[np.isfinite(wanted)])
    scale = float(finite.max(initial=0.0))
    relative = TOLERANCE[0] if rtol is None else rtol
    absolute = TOLERANCE[1] * scale + 1e-290 if atol is None else atol
    return absolute + relative * np.where(np.isfinite(wanted), np.abs(wanted), 0.0)


def excess_of(
    found: np.ndarray,
    wanted: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    rtol: float | None,
    atol: float | None,
) -> np.ndarray:
    """Give for each entry by how many tolerances it is off; 1 and less is right.

    Between the slopes to both sides everything is right; where finite differences
    cannot tell, too.
    """
    value, error, low, high = wanted
    known = np.isfinite(value) & np.isfinite(error)
    width = tolerance(np.where(known, value, np.nan), rtol, atol)
    width = width + np.where(known, 2 * error, 0.0)
    with np.errstate(invalid="ignore"):
        off = np.maximum(np.maximum(low - found, found - high), 0.0)
        off = np.minimum(off, np.abs(found - value))
    off = np.where(np.isfinite(found), off, np.inf)
    return np.where(known, off / width, 0.0)


def worst_of(excess: np.ndarray) -> Worst | None:
    """Give the entry that is off most, None if all are right."""
    if not excess.size or excess.max() <= 1:
        return None
    row, col = np.unravel_index(int(excess.argmax()), excess.shape)
    return Worst(float(excess.max()), int(row), int(col))


def compare(
    found: np.ndarray,
    wanted: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    inputs: Space,
    outputs: Space,
    tolerances: tuple[float | None, float | None],
    title: str,
    mend: str = "",
) -> None:
    """Raise for the worst entry of a matrix of derivatives."""
    excess = excess_of(found, wanted, *tolerances)
    worst = worst_of(excess)
    if worst is None:
        return
    row, col = outputs.coordinates[worst.row], inputs.coordinates[worst.column]
    given, expected = found[worst.row, worst.column], wanted[0][worst.row, worst.column]
    count = int((excess > 1).sum())
    raise AssertionError(
        f"{title}: the derivative of {row.name} by {col.name} is {given:.7g}; finite "
        f"differences give {expected:.7g}. {count} of {excess.size} entries are off."
        f"{mend}"
    )
