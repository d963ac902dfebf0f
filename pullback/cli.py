"""The shell command `pullback`: checks of custom rules, without writing a test."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback.checking.case import decorated
from pullback.checking.grads import check_grads
from pullback.checking.rules import rule_report
from pullback.checking.samples import draw_arguments, read_argument, read_shape
from pullback.core.origin import name_of
from pullback.errors import ArgumentError, PullbackError

_EPILOG = """\
examples:
  pullback check mypackage.losses:huber 1.5 "[0.5, 2.0]"
  pullback check mypackage.losses:huber --shape 3 --points 5
  pullback check mypackage.layers:norm --shape x=4,3 --extreme "[0., 0., 0.]"
"""


def parser() -> argparse.ArgumentParser:
    """Give the description of the command line."""
    top = argparse.ArgumentParser(
        prog="pullback",
        description="Composable function transformations, and derivatives you control.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", title="commands", metavar="")
    check = commands.add_parser(
        "check",
        help="hold a function's custom rules against the function itself",
        description="Hold the custom rules of a function against the function itself, "
        "at several points; for a function without rules, its derivatives against "
        "finite differences. Exits with 1 if something is wrong.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("function", help="package.module:function")
    check.add_argument(
        "args",
        nargs="*",
        help="arguments as Python literals, lists being arrays; those left out are "
        "drawn from the annotations (float, int, bool, complex, Array)",
    )
    check.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="[NAME=]N,M",
        help="the shape of drawn arrays, of all or of one parameter",
    )
    check.add_argument("--points", type=int, default=3, help="how many points (3)")
    check.add_argument("--seed", type=int, default=0, help="for the drawn points (0)")
    check.add_argument(
        "--extreme",
        action="append",
        default=[],
        metavar="ARGS",
        help="arguments (a tuple literal, or one value) where all must be finite",
    )
    check.add_argument("--rtol", type=float, help="relative tolerance (1e-4)")
    check.add_argument("--atol", type=float, help="absolute tolerance")
    check.add_argument("--quiet", action="store_true", help="print failures only")
    return top


def find_function(path: str) -> Callable[..., Any]:
    """Import `package.module:function`; the function may be an attribute of a class.

    Raises:
        ArgumentError: there is no such module or function.
    """
    module_name, colon, names = path.partition(":")
    if not colon or not names:
        raise ArgumentError(
            f"{path!r} names no function.", mend="Write package.module:function."
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ArgumentError(
            f"there is no module {error.name!r}.",
            mend="Run this from the directory that holds it, or install it.",
        ) from error
    for name in names.split("."):
        if not hasattr(found, name):
            holder = name_of(found) if callable(found) else module_name
            raise ArgumentError(
                f"{holder} has no {name!r}.",
                mend="Write package.module:function, or package.module:Class.method.",
            )
        found = getattr(found, name)
    if not callable(found):
        raise ArgumentError(f"{path!r} is no function but a {type(found).__name__}.")
    return found  # type: ignore[no-any-return]


def check(options: argparse.Namespace) -> int:
    """Run `pullback check`; give the exit code."""
    f = find_function(options.function)
    given = [read_argument(text) for text in options.args]
    shapes = dict(map(read_shape, options.shape))
    extremes = [read_argument(text) for text in options.extreme]
    wrong = 0
    drawn: list[str] = []
    for number in range(max(1, options.points)):
        rng = np.random.default_rng(options.seed + number)
        args = draw_arguments(f, given, shapes, rng)
        # Without drawn arguments the report itself tries points near the given ones.
        if repr(args) in drawn:
            break
        drawn.append(repr(args))
        wrong += report(f, args, extremes if number == 0 else [], options)
    return 1 if wrong else 0


def report(
    f: Callable[..., Any],
    args: Sequence[Any],
    extremes: Sequence[Any],
    options: argparse.Namespace,
) -> int:
    """Check at one point and print; give 1 if something is wrong."""
    try:
        decorated(f, args)
    except ArgumentError:
        return report_plain(f, args, options)
    found = rule_report(
        f,
        *args,
        extremes=extremes,
        points=max(1, options.points - 1),
        rtol=options.rtol,
        atol=options.atol,
    )
    if not options.quiet:
        print(found)
    elif not found.passed:
        print(found.error_text())
    return 0 if found.passed else 1


def report_plain(
    f: Callable[..., Any], args: Sequence[Any], options: argparse.Namespace
) -> int:
    """Check a function without rules against finite differences."""
    try:
        check_grads(f, tuple(args), atol=options.atol, rtol=options.rtol)
    except AssertionError as error:
        print(error)
        return 1
    if not options.quiet:
        print(f"{name_of(f)} has no custom rules; its derivatives agree with finite ")
        print(f"differences at {', '.join(map(repr, args))}.")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give the exit code: 0 right, 1 wrong, 2 cannot be checked."""
    options = parser().parse_args(arguments)
    if options.command is None:
        parser().print_help()
        return 0
    try:
        return check(options)
    except PullbackError as error:
        print(f"pullback: {error}", file=sys.stderr)
        return 2
