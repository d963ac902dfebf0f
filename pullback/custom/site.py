"""One call of a decorated function: its function and rules, on flat lists of values.

Operations hold sites as static parameters, compared by identity; a site runs nothing
until asked.
"""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from typing import Any

from pullback import tree
from pullback.core.aval import Aval
from pullback.core.jaxpr import Jaxpr, Var
from pullback.core.origin import name_of, user_origin
from pullback.core.trace import Value, aval_of, current_trace
from pullback.core.zero import Zero, is_zero
from pullback.custom.agreement import (
    check_primal_out,
    is_output_type,
    output_leaves,
    pair_of,
    tangents_out,
)
from pullback.custom.nondiff import Arguments, PlainArguments
from pullback.custom.pull import (
    CustomVJPPrimal,
    Forward,
    Pull,
    rule_tangent,
    take_apart,
)
from pullback.custom.rule import Hole, Rules, name_rule, replace_all
from pullback.errors import LinearityError
from pullback.primitives.structural import add_tangents, is_known_zero
from pullback.transforms.batch import BatchTrace, BatchTracer
from pullback.transforms.linearize import LinearTrace, LinearTracer
from pullback.transforms.stage import stage_flat

#: The call whose rule is running, if calls of its function tell the output's type.
_watched: contextvars.ContextVar[Site | None] = contextvars.ContextVar(
    "watched", default=None
)
watching = _watched.get
#: Whether a function is being traced for the type of its output alone.
_typing: contextvars.ContextVar[bool] = contextvars.ContextVar("typing", default=False)

#: The structure and the types of a function's output.
OutputType = tuple[tree.TreeDef, list[Aval]]
#: How many types of arguments a function remembers its output's type for.
_REMEMBERED = 256


class Same:
    """A static value as part of a key: equal only to itself."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is Same and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


class Site:
    """A user's call of a decorated function.

    Operands are the captured tracers and then the leaves of differentiable arguments.
    """

    __slots__ = (
        "arguments",
        "avals",
        "captured",
        "captured_names",
        "count_captured",
        "expected",
        "forward",
        "in_tree",
        "key",
        "kind",
        "origin",
        "out_tree",
        "rules",
        "shared",
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
        self.count_captured = len(captured)
        self.captured: list[Any] = []
        self.captured_names: list[tuple[str, str]] = []
        if captured:
            self.captured = [c.value for c in captured]
            self.captured_names = [(c.name, c.where) for c in captured]
        self.out_tree: tree.TreeDef | None = None
        # Called by a method that `CustomFunction.__call__` calls.
        self.origin = user_origin(4)
        # The types of the leaves, and what the type of the output depends on.
        self.avals: list[Aval] = []
        self.key: Any = None
        # Whether the key holds plain values only, so that the function may keep it.
        self.shared = True
        self.expected: OutputType | None = None

    @property
    def name(self) -> str:
        """The function's name."""
        return name_of(self.rules.fun)

    def has_jvp(self) -> bool:
        """Whether a forward-mode rule was given."""
        return self.rules.forward

    def has_vjp(self) -> bool:
        """Whether a reverse-mode rule was given."""
        return self.rules.fwd is not None

    def has_vmap(self) -> bool:
        """Whether a batching rule was given."""
        return self.rules.vmap is not None

    def body_is_rule(self) -> bool:
        """Whether derivatives are those of the body: no rule but one for batching."""
        rules = self.rules
        return not rules.derivative and (
            rules.vmap is not None or self.kind == "custom_vmap"
        )

    def forget_tracers(self) -> None:
        """Put holes in place of captured tracers, so that none is kept alive."""
        if self.captured:
            holes = [Hole() for _ in self.captured]
            self.rules = self._rules_with(holes)
            self.arguments = self._arguments_with(holes)
            self.captured = list(holes)

    def _rules_with(self, values: Sequence[Value]) -> Rules:
        if all(a is b for a, b in zip(self.captured, values)):
            return self.rules
        return self.rules.map(lambda f: replace_all(f, self.captured, values))

    def _arguments_with(self, values: Sequence[Value]) -> Arguments:
        if all(a is b for a, b in zip(self.captured, values)):
            return self.arguments

        def filled(static: dict[int, Any]) -> dict[int, Any]:
            return {i: replace_all(x, self.captured, values) for i, x in static.items()}

        a = self.arguments
        return a._replace(nondiff=filled(a.nondiff), opaque=filled(a.opaque))

    def open(self, operands: Sequence[Value]) -> tuple[Rules, Arguments, list[Value]]:
        """Give rules and arguments with captured values in place, and the leaves."""
        if not self.captured:
            return self.rules, self.arguments, list(operands)
        n = len(self.captured)
        values = operands[:n]
        leaves = list(operands[n:])
        return self._rules_with(values), self._arguments_with(values), leaves

    # -- the function ------------------------------------------------------------------

    def run(self, operands: Sequence[Value]) -> list[Value]:
        """Call the function itself."""
        rules, arguments, leaves = self.open(operands)
        primals: Any = self.in_tree.unflatten(leaves)
        out = arguments.apply(rules.fun, primals)
        outs, out_tree = output_leaves(out, "", rules.fun)
        self.out_tree = out_tree
        self.type_key(leaves)
        self.remember((out_tree, [aval_of(y) for y in outs]))
        return outs

    # -- the type of its output --------------------------------------------------------

    def type_key(self, leaves: Sequence[Value]) -> Any:
        """Give what the function's output type depends on."""
        if self.key is None:
            self.avals = [x.aval for x in leaves]
            types: tuple[Any, ...] = tuple([(a.shape, a.dtype) for a in self.avals])
            types += current_trace().axes
            if type(self.arguments) is PlainArguments:
                self.key = self.in_tree, (), types
                return self.key
            static = (*self.arguments.nondiff.values(), *self.arguments.opaque.values())
            plain = (bool, int, float, str, type(None))
            self.shared = all([type(x) in plain for x in static])
            if not self.shared:
                static = tuple([x if type(x) in plain else Same(x) for x in static])
            self.key = self.in_tree, tuple([(type(x), x) for x in static]), types
        return self.key

    def known_type(self) -> OutputType | None:
        """Give the type of the output, if a call has told it."""
        if self.expected is None and self.shared:
            self.expected = self.wrapper.known_types.get(self.key)
        return self.expected

    def wants_type(self, wrapper: Any) -> bool:
        """Whether a call of that function would tell what type rules must give."""
        same = self.wrapper.known_types is wrapper.known_types
        return same and self.key is not None and self.known_type() is None

    def remember(self, found: OutputType) -> None:
        """Keep the type of the output, to hold rules against."""
        self.expected = found
        known = self.wrapper.known_types
        if self.shared and self.key not in known:
            if len(known) >= _REMEMBERED:
                known.clear()
            known[self.key] = found
        watched = _watched.get()
        if watched is not None and watched is not self:
            if watched.wants_type(self.wrapper) and watched.key == self.key:
                watched.expected = found

    def output_type(self, operands: Sequence[Value]) -> OutputType | None:
        """Trace the function for the type of its output, which no call has told.

        None where the function cannot be traced: it branches in Python, for example.
        """
        token, watched = _typing.set(True), _watched.set(None)
        out_tree = self.out_tree
        try:
            stage_flat(self._traced, [aval_of(x) for x in operands], self.name)
        except Exception:  # the call itself will tell; this is only a check
            return None
        finally:
            self.out_tree = out_tree
            _typing.reset(token)
            _watched.reset(watched)
        return self.expected

    def _traced(self, *operands: Value) -> list[Value]:
        return self.run(operands)

    def typed(self, operands: Sequence[Value]) -> Jaxpr | None:
        """Give a program without eqns in the function's place, if types are enough.

        That is so while another function is traced for the type of its output alone,
        and the type of this one's is known.
        """
        if not _typing.get():
            return None
        self.type_key(operands[len(self.captured) :])
        known = self.known_type()
        if known is None:
            return None
        self.out_tree, avals = known
        inputs = [Var(aval_of(x)) for x in operands]
        return Jaxpr(inputs, [Var(a) for a in avals], [], self.name)

    def agree(
        self, operands: Sequence[Value], outs: Sequence[Value], kind: str, rule: Any
    ) -> list[Aval]:
        """Hold a rule's primal output against the function's, and give its types."""
        expected = self.expected or self.known_type() or self.output_type(operands)
        out_tree = self.out_tree
        assert out_tree is not None, "set by the rule"
        avals = [aval_of(y) for y in outs]
        if expected is None or is_output_type(avals, out_tree, expected):
            return avals
        # What the type depends on, a global or a switch, may have changed since.
        self.wrapper.known_types.pop(self.key, None)
        self.run(operands)
        self.out_tree = out_tree
        assert self.expected is not None, "told by the call"
        check_primal_out(avals, out_tree, self.expected, kind, rule, self.rules.fun)
        return avals

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
        primals: Any = self.in_tree.unflatten(leaves)
        if rules.jvp is None:
            return self._jvp_by_argument(rules, arguments, primals, tangents)
        rule = rules.jvp
        dots: Any = self.in_tree.unflatten(
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
            raise name_rule(error, "custom_jvp", rule, self.name) from None
        finally:
            _watched.reset(token)
        primal_out, tangent_out = pair_of(out, "custom_jvp", rule, rules.fun)
        outs, self.out_tree = output_leaves(primal_out, "custom_jvp", rule)
        avals = self.agree(operands, outs, "custom_jvp", rule)
        dots_out = tangents_out(tangent_out, self.out_tree, avals, rule, rules.fun)
        self.check_linear(outs, dots_out, rule)
        return outs, dots_out

    def _jvp_by_argument(
        self,
        rules: Rules,
        arguments: Arguments,
        primals: Sequence[Any],
        tangents: Sequence[Any],
    ) -> tuple[list[Value], list[Any]]:
        """Run the rules of the arguments whose tangents are not zero, and add up."""
        full = arguments.join(primals)
        ans = arguments.call(self.wrapper.with_rules(rules), full)
        outs, self.out_tree = output_leaves(ans, "", rules.fun)
        total: list[Any] = [Zero(like=y) for y in outs]
        avals = [aval_of(y) for y in outs]
        rest = iter(tangents)
        values = arguments.rule_tuple(primals)
        skipped = {i for i in arguments.opaque if i not in arguments.nondiff}
        chosen = [
            rule
            for i, rule in zip(arguments.positions(), rules.jvps or ())
            if i not in skipped
        ]
        for rule, p in zip(chosen, primals):
            structure = tree.structure(p)
            dots = [next(rest) for _ in range(structure.num_leaves)]
            if rule is None or all(map(is_zero, dots)):
                continue
            dot = structure.unflatten([rule_tangent(t, False) for t in dots])
            try:
                term = rule(*arguments.leading(), dot, ans, *values)
            except LinearityError as error:
                raise name_rule(error, "custom_jvp", rule, self.name) from None
            terms = tangents_out(term, self.out_tree, avals, rule, rules.fun)
            self.check_linear(outs, terms, rule)
            total = [add_tangents(s, t) for s, t in zip(total, terms)]
        return outs, total

    def check_linear(
        self, outs: Sequence[Value], dots: Sequence[Any], rule: Any
    ) -> None:
        """Raise if a rule gave a tangent that its input tangents did not make."""
        trace: Any = current_trace()
        while isinstance(trace, BatchTrace):
            trace = trace.parent
        if type(trace) is not LinearTrace:
            return
        for y in outs:
            if is_recorded(y, trace):
                error = LinearityError(
                    "its primal output depends on a tangent, so it is not linear.",
                    mend="Compute primal outputs from primal inputs only.",
                )
                raise name_rule(error, "custom_jvp", rule, self.name)
        for t in dots:
            if not is_recorded(t, trace) and not is_zero(t) and not is_known_zero(t):
                error = LinearityError(
                    f"its tangent output {aval_of(t)} does not depend on the input "
                    "tangents and is not zero, so it is not linear in them.",
                    mend="Multiply the derivative by the input's tangent.",
                )
                raise name_rule(error, "custom_jvp", rule, self.name)

    # -- reverse mode ------------------------------------------------------------------

    def fwd(self, operands: Sequence[Value], perturbed: Sequence[bool]) -> Forward:
        """Run `fwd`, and keep what `bwd` will need."""
        rules, arguments, leaves = self.open(operands)
        rule = rules.fwd
        assert rule is not None, "asked only where there is one"
        self.type_key(leaves)
        values: Any = self.in_tree.unflatten(leaves)
        if rules.vjp_symbolic:
            flags = iter(perturbed)
            values = tree.map(lambda x: CustomVJPPrimal(x, next(flags)), values)
        token = _watched.set(self)
        try:
            out = arguments.apply(rule, values)
        finally:
            _watched.reset(token)
        primal_out, res = pair_of(out, "custom_vjp fwd", rule, rules.fun)
        outs, self.out_tree = output_leaves(primal_out, "custom_vjp fwd", rule)
        avals = self.agree(operands, outs, "custom_vjp fwd", rule)
        arrays, residuals = take_apart(res)
        pull = Pull(self, residuals, self.avals, avals, perturbed)
        captured = operands[: len(self.captured)]
        primals = leaves if rules.forward else ()
        return Forward(outs, [*captured, *primals, *arrays], pull)


def is_recorded(x: Any, trace: LinearTrace) -> bool:
    """Whether a value, or the batch behind it, is a tangent that `trace` records."""
    while type(x) is BatchTracer:
        x = x.value
    return type(x) is LinearTracer and x.owner is trace
