"""What a rule gives, held against its function; None becomes zero here.

The one place that compares the output of a custom rule with the function it belongs to,
in tree, shape and dtype, and that says what is wrong and how to mend it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from pullback import dtypes, tree
from pullback.core.array import Array
from pullback.core.aval import Aval
from pullback.core.calling import as_value, is_arraylike
from pullback.core.closure import Closure
from pullback.core.origin import name_of
from pullback.core.trace import Tracer, Value
from pullback.custom.rule import describe_rule, rule_place
from pullback.errors import (
    MissingCustomRule,
    RuleArityError,
    RuleDtypeError,
    RuleError,
    RuleKeyError,
    RuleShapeError,
    RuleTreeError,
)
from pullback.transforms.tangents import Mismatch, aval_text, fit_tangents

_PAIR_FORMS = {
    "custom_jvp": "return primal_out, tangent_out",
    "custom_vjp fwd": "return f(*args), residuals",
    "custom_vjp bwd": "return cotangents, logs",
    "custom_vmap": "return out, out_batched",
}


def pair_of(out: Any, kind: str, rule: Callable[..., Any], fun: Any) -> tuple[Any, Any]:
    """Take a rule's output apart into two.

    Raises:
        RuleArityError: it is no pair.
    """
    if isinstance(out, (tuple, list)) and len(out) == 2:
        return out[0], out[1]
    given = describe_output(out)
    if isinstance(out, (tuple, list)):
        given = "1 value" if len(out) == 1 else f"{len(out)} values"
    raise RuleArityError(
        f"{describe_rule(kind, rule)} of {name_of(fun)} returned {given}, not a pair.",
        where=rule_place(rule),
        mend=f"Write `{_PAIR_FORMS[kind]}`.",
    )


def describe_output(out: Any) -> str:
    """Say in two words what a rule returned."""
    if out is None:
        return "None"
    return (
        f"one array {aval_text(out)}"
        if is_arraylike(out)
        else f"a {type(out).__name__}"
    )


def output_leaves(
    out: Any, kind: str, rule: Callable[..., Any]
) -> tuple[list[Value], tree.TreeDef]:
    """Flatten the output of a rule, or of the function itself (kind ""), to values.

    Raises:
        RuleError: a leaf is no array.
    """
    if type(out) is Array:
        return [out], tree.leaf_structure
    leaves, treedef = tree.flatten(out)
    for i, leaf in enumerate(leaves):
        if not is_arraylike(leaf):
            path = tree.path_strings(out)[i]
            who = describe_rule(kind, rule) if kind else name_of(rule)
            raise RuleError(
                f"the output of {who}{path and ' at ' + path} is a "
                f"{type(leaf).__name__}, not an array.",
                where=rule_place(rule),
                mend="Return arrays, numbers, and containers of them.",
            )
    return [x if type(x) is Array else as_value(x) for x in leaves], treedef


def is_output_type(
    avals: Sequence[Aval],
    out_tree: tree.TreeDef,
    expected: tuple[tree.TreeDef, list[Aval]],
) -> bool:
    """Whether a primal output has the type of the function's."""
    wanted_tree, wanted = expected
    return out_tree == wanted_tree and all(
        [y is a or y.matches(a) for y, a in zip(avals, wanted)]
    )


def check_primal_out(
    avals: Sequence[Aval],
    out_tree: tree.TreeDef,
    expected: tuple[tree.TreeDef, list[Aval]],
    kind: str,
    rule: Callable[..., Any],
    fun: Callable[..., Any],
) -> None:
    """Raise unless a rule's primal output has the type of the function's.

    Raises:
        RuleTreeError: another container structure.
        RuleShapeError, RuleDtypeError: another shape or dtype somewhere.
    """
    if is_output_type(avals, out_tree, expected):
        return
    wanted_tree, wanted = expected
    what = f"{describe_rule(kind, rule)} of {name_of(fun)}"
    mend = f"Let the rule return what {name_of(fun)} returns as its first result, for "
    mend += f"example by calling {name_of(fun)}."
    if out_tree != wanted_tree:
        raise RuleTreeError(
            f"{what} must produce a pair whose first element, the primal output, has "
            f"the container structure of the function's output: expected "
            f"{tree.structure_text(wanted_tree)}, given "
            f"{tree.structure_text(out_tree)}.",
            where=rule_place(rule),
            mend=mend,
        )
    paths = tree.path_strings(wanted_tree.unflatten(wanted))
    y, aval, path = next(
        (y, a, p) for y, a, p in zip(avals, wanted, paths) if not y.matches(a)
    )
    raise ERRORS["dtype" if y.shape == aval.shape else "shape"](
        f"{what} gave a primal output{at(path)} of type {y}; the function's is {aval}.",
        where=rule_place(rule),
        mend=mend,
    )


def at(path: str) -> str:
    """Write a path for a message, nothing for the root."""
    return f" at {path}" if path else ""


#: The error for each kind of mismatch.
ERRORS: Mapping[str, type[RuleError]] = MappingProxyType(
    {
        "tree": RuleTreeError,
        "key": RuleKeyError,
        "shape": RuleShapeError,
        "dtype": RuleDtypeError,
    }
)


def tangents_out(
    given: Any,
    out_tree: tree.TreeDef,
    avals: Sequence[Aval],
    rule: Callable[..., Any],
    fun: Callable[..., Any],
) -> list[Any]:
    """Flatten a rule's output tangent; None and zeros of integers become `Zero`.

    Raises:
        RuleTreeError, RuleKeyError: its structure is not the primal output's.
        RuleShapeError, RuleDtypeError: a leaf that is no tangent of the primal output.
    """
    if out_tree is tree.leaf_structure and is_tangent_of(given, avals[0]):
        return [given]
    leaves, treedef = tree.flatten(given)
    if treedef == out_tree and all(map(is_tangent_of, leaves, avals)):
        return leaves
    what = f"{describe_rule('custom_jvp', rule)} of {name_of(fun)}"
    like = out_tree.unflatten(avals)

    def complain(found: Mismatch) -> NoReturn:
        raise ERRORS[found.kind](
            f"{what} gave a tangent output{at(found.path)} that does not fit the "
            f"primal output: {found.what}.",
            where=rule_place(rule),
            mend="Return a tangent with the structure, shape and dtype of the primal "
            "output; None stands for zero.",
        )

    return fit_tangents(like, given, avals, complain)


def is_tangent_of(t: Any, aval: Aval) -> bool:
    """Whether a tangent is as it should be, with nothing to cast or to fill in."""
    if type(t) is not Array and not isinstance(t, Tracer):
        return False
    given = t.aval
    fits = given is aval or given.matches(aval)
    return fits and dtypes.is_inexact(aval.dtype)


def cotangents_in(
    given: Any,
    likes: Sequence[Any],
    positions: Sequence[int],
    rule: Callable[..., Any],
    pull: Any,
) -> list[Any]:
    """Flatten what a `bwd` rule returned, one entry a differentiable argument.

    Args:
        given: a tuple or list of cotangents; for a function of one argument a bare
            cotangent is taken too.
        likes: for each argument, its tree with types (`Aval`) as leaves; None for an
            argument that has no derivative (a method's plain instance).
        positions: the arguments' positions.
        rule: the rule.
        pull: the backward pass, which knows the function and its forward call.

    Raises:
        RuleArityError: a wrong number of cotangents.
        RuleTreeError, RuleKeyError: one has another structure than its argument.
        RuleShapeError, RuleDtypeError: one has a leaf that does not fit.
    """
    entries = bwd_entries(given, likes, rule, pull)
    out: list[Any] = []
    for entry, like, position in zip(entries, likes, positions):
        if like is None:
            continue
        if type(like) is Aval and is_tangent_of(entry, like):
            out.append(entry)
            continue

        def complain(found: Mismatch, position: int = position) -> NoReturn:
            what, where, _ = pull.describe(rule)
            site = pull.site
            name = site.wrapper.parameter(position, site.arguments.total) + found.path
            raise ERRORS[found.kind](
                f"{what} gave a cotangent for argument `{name}` that does not "
                f"fit it: {found.what}.",
                where=where,
                mend="Return for each argument a cotangent of its structure, shape and "
                "dtype; None stands for zero.",
            )

        entry = unclose(entry, like)
        out.extend(fit_tangents(like, entry, tree.leaves(like), complain))
    return out


def unclose(entry: Any, like: Any) -> Any:
    """Let a function that captures nothing stand for the empty closure."""
    if isinstance(like, Closure) and callable(entry) and not isinstance(entry, Closure):
        return Closure(entry)
    return entry


def bwd_entries(
    given: Any, likes: Sequence[Any], rule: Callable[..., Any], pull: Any
) -> Sequence[Any]:
    """Give one entry an argument of what a `bwd` rule returned."""
    count = len(likes)
    if isinstance(given, (tuple, list)) and not hasattr(given, "_fields"):
        whole = (
            count == 1
            and type(likes[0]) is not Aval
            and tree.structure(given) == tree.structure(likes[0])
        )
        if len(given) == count:
            # A container of one element may itself be the bare cotangent.
            inner = whole and tree.structure(given[0]) != tree.structure(likes[0])
            return (given,) if inner else given
        if whole:
            return (given,)
        what, where, fun = pull.describe(rule)
        raise RuleArityError(
            f"{what} returned {len(given)} cotangent{'s' if len(given) != 1 else ''}; "
            f"{fun} has {count} differentiable argument{'s' if count != 1 else ''}.",
            where=where,
            mend="Return one entry per argument; None stands for a zero cotangent.",
        )
    if count == 1:
        return (given,)
    what, where, fun = pull.describe(rule)
    raise RuleArityError(
        f"{what} returned {describe_output(given)}, not a tuple; {fun} has {count} "
        "differentiable arguments.",
        where=where,
        mend="Return a tuple with one entry per argument; None stands for a zero "
        "cotangent.",
    )


def missing_rule(fun: Callable[..., Any], kind: str, bwd: Any) -> MissingCustomRule:
    """Make the error for differentiating a function without any derivative rule.

    Args:
        fun: the function.
        kind: its decorator.
        bwd: its backward rule, if it has one without a forward pass.
    """
    name = name_of(fun)
    if bwd is not None:
        missing = f"a bwd rule `{name_of(bwd)}` but no fwd rule"
        wanted = f"`@{name}.def_fwd`"
    elif kind == "custom_jvp":
        missing = "no derivative rule: none has been defined using defjvp"
        wanted = f"`@{name}.defjvp` (or `{name}.defjvps(...)`)"
    else:
        missing = "no derivative rule: none has been defined using defvjp"
        wanted = f"`{name}.defvjp(fwd, bwd)`"
    return MissingCustomRule(
        f"{kind} function {name} is being differentiated, but has {missing}.",
        where=f"Function at {rule_place(fun)[8:]}",
        mend=f"Define one with {wanted}, or drop the decorator to differentiate the "
        "function's body.",
    )
