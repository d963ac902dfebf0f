"""A derivative that a function of the user's gives, held against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from pullback import tree
from pullback.checking.coordinates import Space, Subject, varies
from pullback.checking.grads import (
    check_arguments,
    compare,
    compare_along,
    in_wide,
    once,
    tolerance,
)
from pullback.checking.jacobian import Derivative, columns, inner, numeric, rows
from pullback.core.aval import Aval
from pullback.core.calling import as_value, check_callable, is_arraylike
from pullback.core.origin import called_at, name_of
from pullback.core.trace import aval_of
from pullback.core.zero import is_zero
from pullback.errors import ArgumentError
from pullback.transforms.tangents import (
    Complain,
    Mismatch,
    fit_tangent,
    fit_tangents,
)


def check_jvp(
    f: Callable[..., Any],
    f_jvp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Hold a forward derivative of `f` against central differences, in 64 bits.

    Args:
        f: a function of pytrees of arrays.
        f_jvp: `f_jvp(args, tangents)` gives `(output, output_tangent)`, as
            `functools.partial(jvp, f)` does. It is called once for each of the numbers
            in `args`, up to 48; tangents of integers are `float0`.
        args: a tuple or list with the arguments; Python floats are taken as well, and
            what is no float or complex number is held fixed.
        atol: the absolute tolerance; by default 1e-6 of the largest derivative.
        rtol: the relative tolerance; by default 1e-4.
        eps: the step; by default one that suits each number.
        err_msg: what errors begin with.

    Raises:
        AssertionError: the output or the derivative is wrong; names the worst entry
            and both numbers.
        ArgumentError: an argument cannot be used, or `f_jvp` gives no pair.

    Example:
        >>> import functools
        >>> import pullback, pullback.numpy as jnp
        >>> check_jvp(jnp.sin, functools.partial(pullback.jvp, jnp.sin), (1.5,))
    """
    check = Check("check_jvp", f, f_jvp, (rtol, atol, eps), err_msg)

    def forward(subject: Subject) -> tuple[Any, Derivative]:
        """Give the derivative's output, and what it makes of lists of tangents."""
        args = subject.args()
        inputs, outputs = Edge(args), Edge(f(*args))

        def push(dots: list[Any]) -> list[Any]:
            _, out_dot = check.pair(f_jvp(args, inputs.write(dots)))
            return outputs.read(out_dot, check.complain("the output's tangent"))

        return check.pair(f_jvp(args, inputs.write([])))[0], push

    check.run(args, forward, columns, lambda push, dots, cts: inner(cts, push(dots)))


def check_vjp(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Hold a reverse derivative of `f` against central differences, in 64 bits.

    Args:
        f: a function of pytrees of arrays.
        f_vjp: `f_vjp(*args)` gives `(output, pull)`, where `pull(cotangent)` is a tuple
            with one cotangent an argument, as `functools.partial(vjp, f)` does. The
            pull is called once for each of the numbers in the output, up to 48.
        args: a tuple or list with the arguments; Python floats are taken as well, and
            what is no float or complex number is held fixed.
        atol: the absolute tolerance; by default 1e-6 of the largest derivative.
        rtol: the relative tolerance; by default 1e-4.
        eps: the step; by default one that suits each number.
        err_msg: what errors begin with.

    Raises:
        AssertionError: the output or the derivative is wrong; names the worst entry
            and both numbers.
        ArgumentError: an argument cannot be used, or `f_vjp` gives no pair.

    Example:
        >>> import functools
        >>> import pullback, pullback.numpy as jnp
        >>> check_vjp(jnp.sin, functools.partial(pullback.vjp, jnp.sin), (1.5,))
    """
    check = Check("check_vjp", f, f_vjp, (rtol, atol, eps), err_msg)

    def backward(subject: Subject) -> tuple[Any, Derivative]:
        """Give the derivative's output, and what it makes of lists of cotangents."""
        args = subject.args()
        inputs, outputs = Edge(args), Edge(f(*args))
        out, pullback = check.pair(f_vjp(*args))

        def pull(cts: list[Any]) -> list[Any]:
            found = pullback(outputs.write(cts))
            return inputs.read(found, check.complain("the cotangent"))

        return out, pull

    check.run(args, backward, rows, lambda pull, dots, cts: inner(pull(cts), dots))


class Edge:
    """Tangents of a tree: as a list, one for each inexact leaf, or as the user's tree.

    Args:
        value: the tree.
    """

    __slots__ = ("avals", "kept", "leaves", "treedef", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.leaves, self.treedef = tree.flatten(value)
        self.kept = [i for i, x in enumerate(self.leaves) if varies(x)]
        self.avals: list[Any] = [
            aval_of(as_value(x)) if is_arraylike(x) else None for x in self.leaves
        ]

    def write(self, given: Sequence[Any]) -> Any:
        """Give the tree of tangents, zero where none is given.

        Integers have `float0`, what is no array None.
        """
        full = [None if a is None else zeros(a) for a in self.avals]
        for i, t in zip(self.kept, given):
            full[i] = full[i] if t is None else t
        return self.treedef.unflatten(full)

    def read(self, given: Any, complain: Complain) -> list[Any]:
        """Give the list, with None for zero, of a tree that must fit the value."""
        fitted = fit_tangents(self.value, given, self.avals, complain, fit_known)
        kept = [fitted[i] for i in self.kept]
        return [None if is_zero(t) else t for t in kept]


def zeros(aval: Aval) -> np.ndarray:
    """Give the zero tangent of a type, as an array."""
    return np.zeros(aval.shape, aval.tangent().dtype)


def fit_known(given: Any, aval: Any, complain: Complain, path: Any) -> Any:
    """Fit the tangent of a leaf; what is no array has none."""
    return None if aval is None else fit_tangent(given, aval, complain, path)


class Check:
    """What the two checks have in common: titles, errors, comparisons.

    Args:
        who: which check it is.
        f: the function.
        derivative: the user's.
        tolerances: the relative and the absolute tolerance, and the step.
        err_msg: what errors begin with.
    """

    __slots__ = ("derivative", "f", "mend", "title", "tolerances", "who")

    def __init__(
        self,
        who: str,
        f: Any,
        derivative: Any,
        tolerances: tuple[float | None, float | None, float | None],
        err_msg: str,
    ) -> None:
        check_callable(f, who)
        check_callable(derivative, who)
        self.who, self.f, self.derivative = who, f, derivative
        self.tolerances = tolerances
        by = f" by {name_of(derivative)}"
        self.title = f"{f'{err_msg}: ' if err_msg else ''}{who} of {name_of(f)}{by}"
        self.mend = (
            f" {called_at()} Mend the derivative, or the rule that it follows; give "
            "rtol, atol or eps where finite differences cannot be as close."
        )

    def pair(self, given: Any) -> Any:
        """Give what the derivative gave, if it is a pair.

        Raises:
            ArgumentError: it is none.
        """
        if isinstance(given, (tuple, list)) and len(given) == 2:
            return given
        names = "output_tangent" if self.who == "check_jvp" else "pull"
        raise ArgumentError(
            f"{self.title}: it gave a {type(given).__name__}, not a pair.",
            where=called_at(),
            mend=f"Let it return (output, {names}).",
        )

    def complain(self, what: str) -> Complain:
        """Give what raises an error for a structure, shape or dtype."""

        def raise_error(found: Mismatch) -> NoReturn:
            raise AssertionError(
                f"{self.title}: {what}{found.path} is {found.what}.{self.mend}"
            )

        return raise_error

    def run(
        self,
        args: Any,
        derive: Callable[[Subject], tuple[Any, Derivative]],
        matrix: Callable[[Derivative, Space, Space], np.ndarray],
        apply: Callable[[Derivative, list[Any], list[Any]], float],
    ) -> None:
        """Compare outputs, then derivatives, in 64 bits where that can be done."""
        check_arguments(self.who, self.f, args)

        def compared(subject: Subject) -> None:
            values = once(subject)
            inputs, outputs = subject.space(), Space(values, subject.out_names)
            out, derivative = derive(subject)
            self.compare_values(out, subject, outputs, values)
            rtol, atol, eps = self.tolerances
            wanted = numeric(subject, inputs, outputs, eps)
            found = matrix(derivative, inputs, outputs)
            title, mend = self.title, self.mend
            compare(found, wanted, inputs, outputs, (rtol, atol), title, mend)
            compare_along(
                subject,
                lambda dots, cts: apply(derivative, dots, cts),
                inputs,
                outputs,
                rtol,
                title,
                mend,
            )

        in_wide(compared, Subject(self.f, args), lambda s: (once(s), derive(s)))

    def compare_values(
        self, out: Any, subject: Subject, outputs: Space, values: Sequence[Any]
    ) -> None:
        """Raise unless the derivative's output is that of the function."""
        full = self.f(*subject.args())
        edge, complain = Edge(full), self.complain("the output")
        given, wanted = edge.read(out, complain), outputs.read(values)
        found = outputs.read(given)
        rtol, atol, _ = self.tolerances
        off = np.abs(found - wanted) / tolerance(wanted, rtol, atol)
        same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
        off = np.where(same, 0.0, np.where(np.isnan(off), np.inf, off))
        if off.size and off.max() > 1:
            n = int(off.argmax())
            raise AssertionError(
                f"{self.title}: its {outputs.coordinates[n].name} is {found[n]:.7g}; "
                f"{name_of(self.f)} gives {wanted[n]:.7g}. {int((off > 1).sum())} of "
                f"{off.size} entries are off.{self.mend}"
            )
