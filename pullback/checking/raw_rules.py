"""Rules called by hand, to explain an output that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import tree
from pullback.checking.case import Case
from pullback.checking.coordinates import widened
from pullback.core.calling import is_arraylike
from pullback.errors import (
    LinearityError,
    PullbackError,
    RuleArityError,
    RuleShapeError,
)


def explain_error(case: Case, mode: str, error: Exception) -> str:
    """Say in a phrase what kind of mistake made a rule raise an error."""
    text = str(error)
    kind = ""
    if isinstance(error, LinearityError):
        kind = "not linear"
    elif isinstance(error, RuleArityError):
        kind = "wrong count"
    elif isinstance(error, (RuleShapeError, PullbackError)):
        kind = explain_shapes(case, mode) or "does not fit"
    else:
        text = f"{type(error).__name__}: {text}"
        kind = "the rule raised an error"
    return f"{kind}: {text}"


def explain_shapes(case: Case, mode: str) -> str:
    """Compare the shapes of what a rule gives with what is wanted."""
    try:
        pairs = backward_pairs(case) if mode in ("vjp", "fwd") else forward_pairs(case)
    except Exception:  # the error at hand says it all
        return ""
    for given, wanted in pairs:
        text = shape_difference(np.shape(given), np.shape(wanted))
        if text:
            return text
    return ""


def backward_pairs(case: Case) -> list[tuple[Any, Any]]:
    """Call `fwd` and `bwd`; give pairs (cotangent, argument) leaf by leaf."""
    rules = case.kept_rules
    if rules.fwd is None or rules.bwd is None:
        return []
    full = [tree.map(widened, x) for x in case.full]
    nondiff = sorted(case.nondiff)
    out, res = case.call(rules.fwd)(*full)
    ones = tree.map(lambda y: np.ones_like(np.asarray(y)), out)
    given = rules.bwd(*[full[i] for i in nondiff], res, ones)
    rest = [x for i, x in enumerate(full) if i not in case.nondiff]
    if len(rest) == 1 and not isinstance(given, (tuple, list)):
        given = (given,)
    return leaf_pairs(given, rest)


def forward_pairs(case: Case) -> list[tuple[Any, Any]]:
    """Call the jvp rule; give pairs (tangent, output) leaf by leaf."""
    rules = case.kept_rules
    if rules.jvp is None:
        return []
    full = [tree.map(widened, x) for x in case.full]
    nondiff = sorted(case.nondiff)
    rest: Any = tuple(x for i, x in enumerate(full) if i not in case.nondiff)
    dots = tree.map(lambda x: np.ones_like(np.asarray(x)), rest)
    out, out_dot = rules.jvp(*[full[i] for i in nondiff], rest, dots)
    return leaf_pairs([out_dot], [out])


def leaf_pairs(given: Sequence[Any], wanted: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Pair the leaves of containers of the same structure."""
    pairs: list[tuple[Any, Any]] = []
    for g, w in zip(given, wanted):
        if g is None:
            continue
        some, others = tree.leaves(g), tree.leaves(w)
        if len(some) == len(others) and all(map(is_arraylike, some)):
            pairs.extend(zip(some, others))
    return pairs


def shape_difference(given: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Explain a shape that is not the wanted one, "" if it is."""
    if given == wanted:
        return ""
    if len(given) > 1 and given[::-1] == wanted:
        return "transposed matrix"
    if broadcasts(wanted, given):
        return "missing sum over a broadcast axis"
    if broadcasts(given, wanted):
        return "summed over an axis too many, or a broadcast is missing"
    return "wrong shape"


def broadcasts(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    """Whether one shape is repeated to the other by broadcasting."""
    try:
        return np.broadcast_shapes(small, large) == large
    except ValueError:
        return False
