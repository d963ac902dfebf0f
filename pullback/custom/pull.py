"""The backward pass of one call: what `fwd` left, and how `bwd` runs on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pullback import dtypes, tree
from pullback.config import config
from pullback.core.array import Array
from pullback.core.aval import Aval
from pullback.core.calling import is_arraylike
from pullback.core.closure import Closure, Template
from pullback.core.origin import defined_at, name_of
from pullback.core.trace import Value
from pullback.core.zero import SymbolicZero, Zero
from pullback.custom.agreement import cotangents_in, pair_of
from pullback.custom.rule import describe_rule, name_rule, rule_place
from pullback.errors import (
    ForwardModeError,
    LeakedTracerError,
    LinearityError,
    MissingRule,
    RuleError,
)
from pullback.primitives.structural import instantiate
from pullback.transforms.transpose import backward, collect_log, record


class Forward(NamedTuple):
    """What a forward pass leaves behind for the backward pass.

    Fields:
        outs: the primal outputs.
        residuals: the arrays among the residuals.
        pull: the static rest, which knows how to run `bwd`.
    """

    outs: list[Value]
    residuals: list[Value]
    pull: Any


@dataclass(frozen=True, slots=True, eq=False)
class CustomVJPPrimal:
    """An argument of `fwd` with `symbolic_zeros=True`: a leaf of its container.

    Fields:
        value: the primal value.
        perturbed: whether the derivative with respect to it is asked for.
    """

    value: Any
    perturbed: bool


class Residuals:
    """What of the residuals of one forward pass is no array.

    Arrays are operands of the backward pass; so are the values that functions among the
    residuals capture. Everything else, Python numbers included, comes back as it was.
    """

    __slots__ = ("parts", "tree")

    def __init__(self, treedef: tree.TreeDef, parts: list[Any]) -> None:
        self.tree = treedef
        self.parts = parts

    def fill(self, arrays: Sequence[Value]) -> Any:
        """Give the residuals as `fwd` gave them, with these arrays."""
        if self is ONE_ARRAY:
            return arrays[0]
        rest = iter(arrays)
        leaves = []
        for part in self.parts:
            if part is _ARRAY:
                leaves.append(next(rest))
            elif type(part) is Template:
                leaves.append(part.fill([next(rest) for _ in part.holes]))
            elif type(part) is CustomVJPPrimal:
                leaves.append(CustomVJPPrimal(next(rest), part.perturbed))
            else:
                leaves.append(part)
        return self.tree.unflatten(leaves)


#: Stands in `Residuals.parts` for an array.
_ARRAY = object()
#: Residuals that are one array.
ONE_ARRAY = Residuals(tree.leaf_structure, [_ARRAY])


def take_apart(res: Any) -> tuple[list[Value], Residuals]:
    """Separate the arrays of residuals from the rest."""
    if type(res) is Array:
        return [res], ONE_ARRAY
    leaves, treedef = tree.flatten(res)
    arrays: list[Value] = []
    parts: list[Any] = []
    for x in leaves:
        if isinstance(x, type):  # a dtype such as `np.float32`, which has a shape
            parts.append(x)
            continue
        if type(x) is Array or (hasattr(x, "shape") and hasattr(x, "dtype")):
            arrays.append(x)
            parts.append(_ARRAY)
            continue
        if callable(x) and not is_arraylike(x):
            closure = Closure(x)
            if closure.leaves:
                arrays.extend(closure.leaves)
                parts.append(closure.template)
                continue
        if type(x) is CustomVJPPrimal:
            arrays.append(x.value)
            x = CustomVJPPrimal(_ARRAY, x.perturbed)
        parts.append(x)
    return arrays, Residuals(treedef, parts)


def rule_tangent(t: Any, symbolic: bool) -> Any:
    """Give a tangent or cotangent as a rule receives it."""
    if not isinstance(t, Zero):
        return t
    return SymbolicZero(t.aval) if symbolic else instantiate(t)


class Pull:
    """The backward pass of one call: everything but the residual arrays.

    Residual operands are the captured values, the primals if a jvp rule is there to
    apply forward, and the arrays among the residuals of `fwd`.
    """

    __slots__ = ("in_avals", "out_avals", "out_tree", "perturbed", "residuals", "site")

    def __init__(
        self,
        site: Any,
        residuals: Residuals,
        in_avals: Sequence[Aval],
        out_avals: Sequence[Aval],
        perturbed: Sequence[bool],
    ) -> None:
        self.site = site
        self.residuals = residuals
        self.in_avals = in_avals
        self.out_avals = out_avals
        self.out_tree: tree.TreeDef = site.out_tree
        self.perturbed = perturbed

    @property
    def name(self) -> str:
        """The name of the backward rule."""
        return name_of(self.site.rules.bwd)

    def forward_call(self) -> str:
        """Say where the forward call was."""
        return f"Forward call at {self.site.origin}." if self.site.origin else ""

    def describe(self, rule: Any) -> tuple[str, str, str]:
        """Give rule and function, their places, and the function's name, for errors."""
        what = f"{describe_rule('custom_vjp bwd', rule)} of {self.site.name}"
        where = f"{rule_place(rule)} {self.forward_call()}".strip()
        return what, where, self.site.name

    def backward(self, residuals: Sequence[Value], cts: Sequence[Any]) -> list[Any]:
        """Run `bwd`; give a cotangent or `Zero` for each perturbed leaf."""
        rules, arguments, rest = self.site.open(residuals)
        # The primals lead, where they are kept for the jvp rule.
        res = self.residuals.fill(rest[len(self.in_avals) :] if rules.forward else rest)
        rule = rules.bwd
        assert rule is not None, "fwd comes with bwd"
        ct = self.out_tree.unflatten([rule_tangent(c, rules.vjp_symbolic) for c in cts])
        try:
            given = rule(*arguments.leading(), res, ct)
        except Exception as error:
            explained = self.explain(error, rule)
            if explained is error:  # what the user chained to it stays
                raise
            raise explained from None
        if rules.logs:
            given, log = pair_of(given, "custom_vjp bwd", rule, rules.fun)
            collect_log(log)
        likes, positions = self._likes()
        found = cotangents_in(given, likes, positions, rule, self)
        if False in self.perturbed:
            return [c for c, p in zip(found, self.perturbed) if p]
        return found

    def explain(self, error: Exception, rule: Any) -> Exception:
        """Say in an exception of `bwd` which rule and forward call it is about."""
        if isinstance(error, LinearityError):
            return name_rule(error, "custom_vjp bwd", rule, self.site.name)
        if not isinstance(error, RuleError):
            note = f"in {describe_rule('custom_vjp bwd', rule)} of {self.site.name}, "
            note += f"defined at {defined_at(rule)}. {self.forward_call()}"
            if isinstance(error, LeakedTracerError):
                note += " What bwd needs of fwd must be among the residuals."
            error.add_note(note)
        return error

    def _likes(self) -> tuple[Sequence[Any], Sequence[int]]:
        """Give for each argument the tree of its types, and its position."""
        site = self.site
        plain = site.wrapper.plain
        if plain is not None and site.in_tree is plain.in_tree:
            return self.in_avals, plain.arguments.diff
        trees = iter(site.in_tree.unflatten(self.in_avals))
        likes: list[Any] = []
        positions: list[int] = []
        for i in range(site.arguments.total):
            if i in site.arguments.nondiff:
                continue
            likes.append(None if i in site.arguments.opaque else next(trees))
            positions.append(i)
        return likes, positions

    def forward(self, residuals: Sequence[Value], tangents: Sequence[Any]) -> list[Any]:
        """Apply the linear function forward, by the jvp rule or by transposing `bwd`.

        Raises:
            ForwardModeError: there is no jvp rule, and transposing was not asked for.
        """
        given = iter(tangents)
        dots = [
            next(given) if p else Zero(a.tangent())
            for p, a in zip(self.perturbed, self.in_avals)
        ]
        site = self.site
        if site.has_jvp():
            operands = list(residuals[: site.count_captured + len(self.in_avals)])
            return site.jvp(operands, dots)[1]  # type: ignore[no-any-return]
        if "transpose" not in (site.forward, config.custom_vjp_forward):
            raise forward_error(site)
        return self.transposed(
            residuals, [t for t, p in zip(dots, self.perturbed) if p]
        )

    def transposed(self, residuals: Sequence[Value], dots: Sequence[Any]) -> list[Any]:
        """Give output tangents as the transpose of `bwd`."""
        rule = self.site.rules.bwd
        float_outs = [dtypes.is_inexact(a.dtype) for a in self.out_avals]
        avals = [a for a, f in zip(self.out_avals, float_outs) if f]

        def pull(*cts: Value) -> list[Value]:
            rest = iter(cts)
            full = [
                next(rest) if f else Zero(a.tangent())
                for a, f in zip(self.out_avals, float_outs)
            ]
            return [instantiate(c) for c in self.backward(residuals, full)]

        try:
            program = record(pull, [None] * len(avals), avals)
            found = iter(backward(program, list(dots)))
        except (LinearityError, MissingRule) as error:
            named = name_rule(error, "custom_vjp bwd", rule, self.site.name)
            mend = "Forward mode needs a `bwd` that is linear in its cotangent; give "
            mend += f"the function a forward rule with {self.site.name}.defjvp."
            raise LinearityError(named.what, where=named.where, mend=mend) from None
        return [
            next(found) if f else Zero(a.tangent())
            for a, f in zip(self.out_avals, float_outs)
        ]


def forward_error(site: Any) -> ForwardModeError:
    """Make the error for forward mode on a function with a reverse rule only."""
    return ForwardModeError(
        "can't apply forward-mode autodiff (jvp) to a custom_vjp function: "
        f"{site.name} has only the reverse rule `{name_of(site.rules.bwd)}`.",
        where=rule_place(site.rules.fun).replace("Rule at", "Function at", 1),
        mend=f"Give it a forward rule with {site.name}.defjvp, or allow the transpose "
        "of bwd with custom_vjp(f, forward='transpose').",
    )
