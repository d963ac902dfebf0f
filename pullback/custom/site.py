"""One call of a decorated function: its function and rules, on flat lists of values.

A `Site` is a user's call; a `BatchedSite` is another site with a batch axis. Operations
hold sites as static parameters, compared by identity; a site runs nothing until asked.
"""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from typing import Any, NamedTuple

from pullback import dtypes, tree
from pullback.config import config
from pullback.core.aval import Aval
from pullback.core.origin import called_at, defined_at, name_of, user_origin
from pullback.core.primitive import Dim
from pullback.core.trace import Value, aval_of, current_trace
from pullback.core.zero import SymbolicZero, Zero, is_zero
from pullback.custom.agreement import (
    check_primal_out,
    cotangents_in,
    missing_rule,
    output_leaves,
    pair_of,
    tangents_out,
)
from pullback.custom.nondiff import Arguments
from pullback.custom.rule import Placeholder, Rules, describe_rule, replace_all, rule_place
from pullback.errors import (
    ForwardModeError,
    LinearityError,
    NanError,
    PullbackError,
    RuleError,
)
from pullback.primitives.structural import (
    accumulate,
    broadcast_new_axis,
    instantiate,
    is_known_zero,
    move_axis,
    reduce_sum,
)
from pullback.primitives.table import add, mul
from pullback.transforms.batch import batch_flat, to_front
from pullback.transforms.jvp import jvp_flat
from pullback.transforms.linearize import LinearTrace, LinearTracer
from pullback.transforms.stage import stage_flat
from pullback.transforms.transpose import backward, record


#: The call whose rule is running, if calls of its function tell the output's type.
_watched: contextvars.ContextVar[Site | None] = contextvars.ContextVar(
    "watched", default=None
)
watching = _watched.get


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


class CustomVJPPrimal(NamedTuple):
    """An argument of `fwd` with `symbolic_zeros=True`.

    Fields:
        value: the primal value.
        perturbed: whether the derivative with respect to it is asked for.
    """

    value: Any
    perturbed: bool


class Site:
    """A user's call of a decorated function.

    Operands are the captured tracers and then the leaves of differentiable arguments.
    """

    __slots__ = (
        "arguments",
        "captured",
        "captured_names",
        "forward",
        "in_tree",
        "key",
        "kind",
        "known_types",
        "names",
        "origin",
        "out_tree",
        "rules",
        "wrapper",
    )

    def __init__(
        self,
        wrapper: Any,
        rules: Rules,
        arguments: Arguments,
        in_tree: tree.TreeDef,
        captured: Sequence[Any],
    ) -> None:
        self.wrapper = wrapper
        self.kind: str = wrapper.kind
        self.forward: str = wrapper.forward
        self.rules = rules
        self.arguments = arguments
        self.in_tree = in_tree
        self.captured = [c.value for c in captured]
        self.captured_names = [(c.name, c.where) for c in captured]
        self.out_tree: tree.TreeDef | None = None
        self.origin = user_origin()
        self.known_types = wrapper.known_types
        self.key: Any = None

    @property
    def name(self) -> str:
        """The function's name."""
        return name_of(self.rules.fun)

    @property
    def count_captured(self) -> int:
        """How many leading operands are captured values."""
        return len(self.captured)

    def has_jvp(self) -> bool:
        """Whether a forward-mode rule was given."""
        return self.rules.jvp is not None or self.rules.jvps is not None

    def has_vjp(self) -> bool:
        """Whether a reverse-mode rule was given."""
        return self.rules.fwd is not None

    def has_vmap(self) -> bool:
        """Whether a batching rule was given."""
        return self.rules.vmap is not None

    def body_is_rule(self) -> bool:
        """Whether derivatives are those of the body: no rule but one for batching."""
        batching = self.has_vmap() or self.kind == "custom_vmap"
        return batching and not self.has_jvp() and not self.has_vjp()

    def forget_tracers(self) -> None:
        """Put placeholders in place of captured tracers, so that none is kept alive."""
        if self.captured:
            places = [Placeholder() for _ in self.captured]
            self.rules = self._rules_with(places)
            self.arguments = self._arguments_with(places)
            self.captured = list(places)

    def _rules_with(self, values: Sequence[Value]) -> Rules:
        if all(a is b for a, b in zip(self.captured, values)):
            return self.rules
        return self.rules.map(lambda f: replace_all(f, self.captured, values))

    def _arguments_with(self, values: Sequence[Value]) -> Arguments:
        if all(a is b for a, b in zip(self.captured, values)):
            return self.arguments
        a = self.arguments
        return a._replace(
            nondiff={i: replace_all(x, self.captured, values) for i, x in a.nondiff.items()},
            opaque={i: replace_all(x, self.captured, values) for i, x in a.opaque.items()},
        )

    def open(self, operands: Sequence[Value]) -> tuple[Rules, Arguments, list[Value]]:
        """Give rules and arguments with captured values in place, and the leaves."""
        n = len(self.captured)
        values = operands[:n]
        return self._rules_with(values), self._arguments_with(values), list(operands[n:])

    # -- the function ------------------------------------------------------------------

    def run(self, operands: Sequence[Value]) -> list[Value]:
        """Call the function itself."""
        rules, arguments, leaves = self.open(operands)
        out = arguments.call(rules.fun, arguments.join(self.in_tree.unflatten(leaves)))
        outs, out_tree = output_leaves(out, "", rules.fun)
        self.out_tree = out_tree
        self.remember(leaves, out_tree, outs)
        return outs

    def type_key(self, leaves: Sequence[Value]) -> Any:
        """Give what the function's output type depends on, None if it cannot be told."""
        if self.key is not None or self.arguments.opaque:
            return self.key
        static = self.arguments.nondiff.values()
        for x in static:
            if type(x) not in (bool, int, float, str, type(None)):
                return None
        types = tuple([(x.shape, x.dtype) for x in leaves])
        self.key = self.in_tree, tuple(static), types
        return self.key

    def wants_type(self, wrapper: Any) -> bool:
        """Whether a call of that function would tell what type rules must give."""
        if self.known_types is not wrapper.known_types:
            return False
        key = self.key
        return key is not None and key not in self.known_types

    def remember(
        self, leaves: Sequence[Value], out_tree: tree.TreeDef, outs: Sequence[Value]
    ) -> None:
        """Keep the type of the function's output, to hold rules against."""
        key = self.type_key(leaves)
        if key is not None and key not in self.known_types:
            self.known_types[key] = out_tree, [aval_of(y) for y in outs]

    def output_type(
        self, operands: Sequence[Value]
    ) -> tuple[tree.TreeDef, list[Aval]] | None:
        """Give the type of the function's output, traced once a type if need be.

        None where the function cannot be traced (it branches in Python) or where its
        output may depend on static values.
        """
        leaves = operands[len(self.captured) :]
        key = self.type_key(leaves)
        if key is None:
            return None
        if key not in self.known_types:
            self.known_types[key] = None
            try:
                stage_flat(
                    lambda *xs: self._traced(xs, key), [aval_of(x) for x in operands]
                )
            except Exception:  # the call itself will tell; this is only a check
                return None
        return self.known_types[key]  # type: ignore[no-any-return]

    def _traced(self, operands: Sequence[Value], key: Any) -> list[Value]:
        rules, arguments, leaves = self.open(operands)
        out = arguments.call(rules.fun, arguments.join(self.in_tree.unflatten(leaves)))
        outs, out_tree = output_leaves(out, "", rules.fun)
        self.known_types[key] = out_tree, [aval_of(y) for y in outs]
        return outs

    def agree(
        self, operands: Sequence[Value], outs: Sequence[Value], kind: str, rule: Any
    ) -> None:
        """Hold a rule's primal output against the function's."""
        expected = self.output_type(operands)
        assert self.out_tree is not None, "set by the rule"
        if expected is not None:
            check_primal_out(outs, self.out_tree, expected, kind, rule, self.rules.fun)

    # -- forward mode ------------------------------------------------------------------

    def jvp(
        self, operands: Sequence[Value], tangents: Sequence[Any]
    ) -> tuple[list[Value], list[Any]]:
        """Run the jvp rule, or the rules for single arguments.

        Args:
            operands: captured values and leaves.
            tangents: those of the leaves alone.
        """
        rules, arguments, leaves = self.open(operands)
        self.type_key(leaves)
        primals = self.in_tree.unflatten(leaves)
        if rules.jvp is None:
            return self._jvp_by_argument(rules, arguments, primals, operands, tangents)
        rule = rules.jvp
        dots = self.in_tree.unflatten(
            [rule_tangent(t, rules.jvp_symbolic) for t in tangents]
        )
        token = _watched.set(self)
        try:
            out = rule(
                *arguments.leading(),
                arguments.rule_tuple(primals),
                arguments.rule_tuple(dots, opaque=False),
            )
        except LinearityError as error:
            raise self.name_rule(error, "custom_jvp", rule) from None
        finally:
            _watched.reset(token)
        primal_out, tangent_out = pair_of(out, "custom_jvp", rule, rules.fun)
        outs, self.out_tree = output_leaves(primal_out, "custom_jvp", rule)
        self.agree(operands, outs, "custom_jvp", rule)
        dots_out = tangents_out(
            tangent_out, self.out_tree, outs, "custom_jvp", rule, rules.fun
        )
        self.check_linear(outs, dots_out, "custom_jvp", rule)
        return outs, dots_out

    def _jvp_by_argument(
        self,
        rules: Rules,
        arguments: Arguments,
        primals: Sequence[Any],
        operands: Sequence[Value],
        tangents: Sequence[Any],
    ) -> tuple[list[Value], list[Any]]:
        """Run the rules of the arguments whose tangents are not zero, and add up."""
        full = arguments.join(primals)
        with_rules = self.wrapper.with_rules(rules)
        ans = arguments.call(with_rules, full)
        outs, self.out_tree = output_leaves(ans, "", rules.fun)
        total: list[Any] = [Zero(like=y) for y in outs]
        rest = iter(tangents)
        values = arguments.rule_tuple(primals)
        given = [
            [next(rest) for _ in range(tree.structure(p).num_leaves)] for p in primals
        ]
        for rule, p, dots in zip(rules.jvps or (), primals, given):
            if rule is None or all(map(is_zero, dots)):
                continue
            dot = tree.structure(p).unflatten([rule_tangent(t, False) for t in dots])
            try:
                term = rule(*arguments.leading(), dot, ans, *values)
            except LinearityError as error:
                raise self.name_rule(error, "custom_jvp", rule) from None
            terms = tangents_out(term, self.out_tree, outs, "custom_jvp", rule, rules.fun)
            self.check_linear(outs, terms, "custom_jvp", rule)
            total = [add_up(s, t) for s, t in zip(total, terms)]
        return outs, total

    def check_linear(
        self, outs: Sequence[Value], dots: Sequence[Any], kind: str, rule: Any
    ) -> None:
        """Raise if a recorded rule gave a tangent that its input tangents did not make."""
        trace = current_trace()
        if not isinstance(trace, LinearTrace):
            return
        for y in outs:
            if type(y) is LinearTracer and y.trace is trace:
                error = LinearityError(
                    "its primal output depends on a tangent, so it is not linear.",
                    mend="Compute primal outputs from primal inputs only.",
                )
                raise self.name_rule(error, kind, rule)
        for t in dots:
            if is_zero(t) or (type(t) is LinearTracer and t.trace is trace):
                continue
            if not is_known_zero(t):
                error = LinearityError(
                    f"its tangent output {aval_of(t)} does not depend on the input "
                    "tangents and is not zero, so it is not linear in them.",
                    mend="Multiply the derivative by the input's tangent.",
                )
                raise self.name_rule(error, kind, rule)

    def name_rule(self, error: PullbackError, kind: str, rule: Any) -> LinearityError:
        """Say in a linearity error which rule it is about."""
        if "rule `" in error.what:
            return error  # type: ignore[return-value]
        what = f"{describe_rule(kind, rule)} of {self.name} is not linear in its "
        what += f"{'cotangent' if 'bwd' in kind else 'tangents'}: {error.what}"
        where = f"Rule at {defined_at(rule)}. {error.where or called_at()}".strip()
        return LinearityError(what, where=where, mend=error.mend)

    # -- reverse mode ------------------------------------------------------------------

    def fwd(self, operands: Sequence[Value], perturbed: Sequence[bool]) -> Forward:
        """Run `fwd`, and keep what `bwd` will need."""
        rules, arguments, leaves = self.open(operands)
        rule = rules.fwd
        assert rule is not None, "asked only where there is one"
        self.type_key(leaves)
        values = self.in_tree.unflatten(leaves)
        if rules.vjp_symbolic:
            flags = iter(perturbed)
            values = tree.map(lambda x: CustomVJPPrimal(x, next(flags)), values)
        token = _watched.set(self)
        try:
            out = arguments.call(rule, arguments.join(values))
        finally:
            _watched.reset(token)
        primal_out, res = pair_of(out, "custom_vjp fwd", rule, rules.fun)
        outs, self.out_tree = output_leaves(primal_out, "custom_vjp fwd", rule)
        self.agree(operands, outs, "custom_vjp fwd", rule)
        res_leaves, res_tree = tree.flatten(res)
        arrays = [is_residual_array(x) for x in res_leaves]
        residuals = [x for x, a in zip(res_leaves, arrays) if a]
        static = [None if a else x for x, a in zip(res_leaves, arrays)]
        captured = list(operands[: len(self.captured)])
        pull = Pull(self, res_tree, arrays, static, leaves, outs, perturbed)
        extra = list(leaves) if self.has_jvp() else []
        return Forward(outs, [*captured, *extra, *residuals], pull)


def is_residual_array(x: Any) -> bool:
    """Whether a residual is an array; Python numbers come back as they were."""
    return hasattr(x, "shape") and hasattr(x, "dtype")


def rule_tangent(t: Any, symbolic: bool) -> Any:
    """Give a tangent as a rule receives it."""
    if not is_zero(t):
        return t
    return SymbolicZero(t.aval) if symbolic else instantiate(t)


def add_up(s: Any, t: Any) -> Any:
    """Add two tangents, either of which may be zero."""
    if is_zero(s):
        return t
    return s if is_zero(t) else add(s, t)


class Pull:
    """The backward pass of one call: everything but the residual arrays.

    Residual operands are the captured values, the primals if a jvp rule is there to
    apply forward, and the arrays among the residuals of `fwd`.
    """

    __slots__ = (
        "arrays",
        "in_avals",
        "logs",
        "out_avals",
        "out_tree",
        "perturbed",
        "res_tree",
        "site",
        "static",
    )

    def __init__(
        self,
        site: Site,
        res_tree: tree.TreeDef,
        arrays: list[bool],
        static: list[Any],
        leaves: Sequence[Value],
        outs: Sequence[Value],
        perturbed: Sequence[bool],
    ) -> None:
        self.site = site
        self.res_tree = res_tree
        self.arrays = arrays
        self.static = static
        self.in_avals = [aval_of(x) for x in leaves]
        self.out_avals = [aval_of(y) for y in outs]
        self.out_tree = site.out_tree
        self.perturbed = list(perturbed)
        self.logs: list[Any] = []

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

    def _open(self, operands: Sequence[Value]) -> tuple[Rules, Arguments, list[Value], Any]:
        """Give rules and arguments, the primals if kept, and the residuals' tree."""
        site, n = self.site, len(self.site.captured)
        rules, arguments, rest = site.open(operands)
        primals = rest[: len(self.in_avals)] if site.has_jvp() else []
        found = iter(rest[len(primals) :])
        leaves = [next(found) if a else s for a, s in zip(self.arrays, self.static)]
        del n
        return rules, arguments, primals, self.res_tree.unflatten(leaves)

    def backward(self, residuals: Sequence[Value], cts: Sequence[Any]) -> list[Any]:
        """Run `bwd`; give a cotangent or `Zero` for each perturbed leaf."""
        rules, arguments, _, res = self._open(residuals)
        rule = rules.bwd
        assert rule is not None and self.out_tree is not None, "fwd comes with bwd"
        ct = self.out_tree.unflatten([rule_tangent(c, rules.vjp_symbolic) for c in cts])
        try:
            given = rule(*arguments.leading(), res, ct)
        except LinearityError as error:
            raise self.site.name_rule(error, "custom_vjp bwd", rule) from None
        except Exception as error:
            if not isinstance(error, RuleError):
                note = f"in custom_vjp bwd rule `{name_of(rule)}` of {self.site.name}, "
                note += f"defined at {defined_at(rule)}. {self.forward_call()}"
                error.add_note(note)
            raise
        if rules.logs:
            given, logs = pair_of(given, "custom_vjp bwd", rule, rules.fun)
            self.site.wrapper.collect_logs(logs)
        likes, names = self._likes()
        found = cotangents_in(
            given, likes, names, rule, self
        )
        return [c for c, p in zip(found, self.perturbed) if p]

    def _likes(self) -> tuple[list[Any], list[int]]:
        """Give for each argument the tree of its types, and its position."""
        site = self.site
        trees = iter(site.in_tree.unflatten(self.in_avals))
        likes: list[Any] = []
        names: list[int] = []
        for i in range(site.arguments.count):
            if i in site.arguments.nondiff:
                continue
            likes.append(None if i in site.arguments.opaque else next(trees))
            names.append(i)
        return likes, names

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
            n = len(site.captured)
            operands = list(residuals[: n + len(self.in_avals)])
            return site.jvp(operands, dots)[1]
        if "transpose" not in (site.forward, config.custom_vjp_forward):
            raise forward_error(site)
        return self.transposed(residuals, [t for t, p in zip(dots, self.perturbed) if p])

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
        except LinearityError as error:
            named = self.site.name_rule(error, "custom_vjp bwd", rule)
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


class BatchedSite:
    """A site whose operands may have batch axes; its outputs have theirs in front."""

    __slots__ = ("dims", "inner", "size")

    def __init__(self, inner: Any, size: int, dims: Sequence[Dim]) -> None:
        self.inner = inner
        self.size = size
        self.dims = tuple(dims)

    @property
    def name(self) -> str:
        """The function's name."""
        return str(self.inner.name)

    @property
    def kind(self) -> str:
        """Which decorator made the function."""
        return str(self.inner.kind)

    @property
    def rules(self) -> Rules:
        """The rules of the site inside."""
        return self.inner.rules  # type: ignore[no-any-return]

    @property
    def forward(self) -> str:
        """What forward mode does without a forward rule."""
        return str(self.inner.forward)

    @property
    def out_tree(self) -> Any:
        """The structure of the output."""
        return self.inner.out_tree

    @property
    def count_captured(self) -> int:
        """How many leading operands are captured values."""
        return int(self.inner.count_captured)

    @property
    def captured_names(self) -> Any:
        """Names and places of the captured values."""
        return self.inner.captured_names

    @property
    def origin(self) -> Any:
        """Where the function was called."""
        return self.inner.origin

    def has_jvp(self) -> bool:
        """Whether a forward-mode rule was given."""
        return bool(self.inner.has_jvp())

    def has_vjp(self) -> bool:
        """Whether a reverse-mode rule was given."""
        return bool(self.inner.has_vjp())

    def has_vmap(self) -> bool:
        """Whether a batching rule was given."""
        return bool(self.inner.has_vmap())

    def body_is_rule(self) -> bool:
        """Whether derivatives are those of the body."""
        return bool(self.inner.body_is_rule())

    def forget_tracers(self) -> None:
        """Let go of captured tracers."""
        self.inner.forget_tracers()

    def _front(self, values: Sequence[Value], dims: Sequence[Dim]) -> list[Value]:
        return [to_front(y, d, self.size) for y, d in zip(values, dims)]

    def run(self, operands: Sequence[Value]) -> list[Value]:
        """Call the function on the whole batch, by its batching rule if it has one."""
        if self.has_vmap():
            return run_batching_rule(self, operands)
        outs, dims = batch_flat(
            lambda *xs: self.inner.run(xs), self.size, operands, self.dims
        )
        return self._front(outs, dims)

    def jvp(
        self, operands: Sequence[Value], tangents: Sequence[Any]
    ) -> tuple[list[Value], list[Any]]:
        """Run the jvp rule on the whole batch."""
        nonzero = [not is_zero(t) for t in tangents]
        n = len(operands)
        leaf_dims = self.dims[self.count_captured :]
        zero_avals = [None if z else self.unbatched(t.aval, d) for t, z, d in zip(tangents, nonzero, leaf_dims)]
        dims = [*self.dims, *(d for d, z in zip(leaf_dims, nonzero) if z)]
        which: list[bool] = []

        def both(*values: Value) -> list[Value]:
            rest = iter(values[n:])
            dots = [
                next(rest) if z else Zero(a) for z, a in zip(nonzero, zero_avals)
            ]
            outs, dots_out = self.inner.jvp(values[:n], dots)
            which[:] = [not is_zero(t) for t in dots_out]
            return [*outs, *(t for t in dots_out if not is_zero(t))]

        values = [*operands, *(t for t in tangents if not is_zero(t))]
        found, found_dims = batch_flat(both, self.size, values, dims)
        found = self._front(found, found_dims)
        outs, rest = found[: len(which)], iter(found[len(which) :])
        return outs, [next(rest) if w else Zero(like=y) for w, y in zip(which, outs)]

    def unbatched(self, aval: Aval, dim: Dim) -> Aval:
        """Give a type without the batch axis."""
        if dim is None:
            return aval
        shape = (*aval.shape[:dim], *aval.shape[dim + 1 :])
        return Aval(shape, aval.dtype, aval.weak)

    def fwd(self, operands: Sequence[Value], perturbed: Sequence[bool]) -> Forward:
        """Run `fwd` on the whole batch."""
        kept: list[Forward] = []

        def flat(*values: Value) -> list[Value]:
            forward = self.inner.fwd(values, perturbed)
            kept.append(forward)
            return [*forward.outs, *forward.residuals]

        found, dims = batch_flat(flat, self.size, operands, self.dims)
        count = len(kept[0].outs)
        outs = self._front(found[:count], dims[:count])
        residual_dims = dims[count:]
        in_dims = [
            d for d, p in zip(self.dims[self.count_captured :], perturbed) if p
        ]
        pull = BatchedPull(kept[0].pull, self.size, residual_dims, in_dims, [0] * count)
        return Forward(outs, list(found[count:]), pull)


class BatchedPull:
    """A backward pass over a batch.

    The cotangent of an argument without batch axis is summed over the batch.
    """

    __slots__ = ("in_dims", "inner", "out_dims", "residual_dims", "size")

    def __init__(
        self,
        inner: Any,
        size: int,
        residual_dims: Sequence[Dim],
        in_dims: Sequence[Dim],
        out_dims: Sequence[Dim],
    ) -> None:
        self.inner = inner
        self.size = size
        self.residual_dims = list(residual_dims)
        self.in_dims = list(in_dims)
        self.out_dims = list(out_dims)

    @property
    def name(self) -> str:
        """The name of the backward rule."""
        return str(self.inner.name)

    @property
    def site(self) -> Any:
        """The call whose backward pass it is."""
        return self.inner.site

    @property
    def out_avals(self) -> list[Aval]:
        """The types of the outputs, batch axis included."""
        return [self._with_axis(a, d) for a, d in zip(self.inner.out_avals, self.out_dims)]

    def _with_axis(self, a: Aval, d: Dim) -> Aval:
        if d is None:
            return a
        return Aval((*a.shape[:d], self.size, *a.shape[d:]), a.dtype, a.weak)

    def backward(self, residuals: Sequence[Value], cts: Sequence[Any]) -> list[Any]:
        """Run `bwd` on the whole batch."""
        nonzero = [not is_zero(c) for c in cts]
        n = len(residuals)
        dims = [
            *self.residual_dims,
            *(d for d, z in zip(self.out_dims, nonzero) if z),
        ]
        zeros: list[Any] = []

        def flat(*values: Value) -> list[Value]:
            rest = iter(values[n:])
            given = [
                next(rest) if z else Zero(a.tangent())
                for z, a in zip(nonzero, self.inner.out_avals)
            ]
            found = self.inner.backward(values[:n], given)
            zeros[:] = [c if is_zero(c) else None for c in found]
            return [c for c in found if not is_zero(c)]

        values = [*residuals, *(c for c in cts if not is_zero(c))]
        found, found_dims = batch_flat(flat, self.size, values, dims)
        rest = iter(zip(found, found_dims))
        out: list[Any] = []
        for z, d in zip(zeros, self.in_dims):
            out.append(
                Zero(self._with_axis(z.aval, d))
                if z is not None
                else self._settle(*next(rest), d)
            )
        return out

    def _settle(self, ct: Value, have: Dim, want: Dim) -> Value:
        """Bring a cotangent's batch axis to its argument's, or sum it away."""
        if want is None:
            if have is None:
                return mul(ct, dtypes.kind_of(ct.dtype)(self.size))
            return reduce_sum(ct, [have])
        if have is None:
            return broadcast_new_axis(ct, self.size, want)
        return move_axis(ct, have, want)

    def forward(self, residuals: Sequence[Value], tangents: Sequence[Any]) -> list[Any]:
        """Apply the linear function forward on the whole batch."""
        n = len(residuals)
        zeros: list[Any] = []

        def flat(*values: Value) -> list[Value]:
            found = self.inner.forward(values[:n], values[n:])
            zeros[:] = [t if is_zero(t) else None for t in found]
            return [t for t in found if not is_zero(t)]

        dims = [*self.residual_dims, *self.in_dims]
        values = [*residuals, *map(instantiate, tangents)]
        found, found_dims = batch_flat(flat, self.size, values, dims)
        rest = iter(zip(found, found_dims))
        out: list[Any] = []
        for z, d in zip(zeros, self.out_dims):
            if z is not None:
                out.append(Zero(self._with_axis(z.aval, d)))
                continue
            t, have = next(rest)
            if d is not None:
                t = broadcast_new_axis(t, self.size, d) if have is None else move_axis(t, have, d)
            out.append(t)
        return out


def run_batching_rule(site: BatchedSite, operands: Sequence[Value]) -> list[Value]:
    """Call a user's batching rule: `rule(axis_size, in_batched, *args)`."""
    inner = site.inner
    if isinstance(inner, BatchedSite):
        # Two mapped axes: the rule takes the inner one; the outer maps the rule.
        outs, dims = batch_flat(lambda *xs: inner.run(xs), site.size, operands, site.dims)
        return [to_front(y, d, site.size) for y, d in zip(outs, dims)]
    front = [to_front(x, d, site.size, False) for x, d in zip(operands, site.dims)]
    rules, arguments, leaves = inner.open(front)
    flags = [d is not None for d in site.dims[site.count_captured :]]
    full = arguments.join(inner.in_tree.unflatten(leaves))
    batched = arguments.join(inner.in_tree.unflatten(flags))
    in_batched = [
        False if i in arguments.nondiff or i in arguments.opaque else b
        for i, b in enumerate(batched)
    ]
    rule = rules.vmap
    assert rule is not None, "asked only where there is one"
    out = rule(site.size, in_batched, *full)
    result, out_batched = pair_of(out, "custom_vmap", rule, rules.fun)
    outs, inner.out_tree = output_leaves(result, "custom_vmap", rule)
    spread = tree.broadcast_prefix(out_batched, result)
    return settle_batched(outs, spread, site, rule)


def settle_batched(
    outs: Sequence[Value], flags: Sequence[Any], site: BatchedSite, rule: Any
) -> list[Value]:
    """Give a batching rule's outputs all with their batch axis in front."""
    out = []
    for y, batched in zip(outs, flags):
        if batched and (not y.shape or y.shape[0] != site.size):
            raise RuleError(
                f"{describe_rule('custom_vmap', rule)} of {site.name} says that an "
                f"output of type {aval_of(y)} is batched over {site.size} elements.",
                where=rule_place(rule),
                mend="Put the batch axis first, or say False for that output.",
            )
        out.append(y if batched else broadcast_new_axis(y, site.size, 0))
    return out


__all__ = [
    "BatchedPull",
    "BatchedSite",
    "Forward",
    "NanError",
    "Pull",
    "Site",
    "accumulate",
    "forward_error",
    "jvp_flat",
    "missing_rule",
]
