"""The operations that custom rules are: a decorated call, and its pullback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback import dtypes
from pullback.config import config
from pullback.core.aval import Aval
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.origin import called_at
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import Value, aval_of, current, current_trace
from pullback.core.zero import Forbidden, Unknown, Zero, is_zero
from pullback.custom.agreement import missing_rule
from pullback.custom.batching import BatchedPull, BatchedSite
from pullback.custom.nondiff import MARKED
from pullback.custom.pull import forward_error
from pullback.errors import CapturedError, NondiffError, RuleError
from pullback.primitives.structural import instantiate
from pullback.transforms.jvp import jvp_flat
from pullback.transforms.linearize import linearize_flat
from pullback.transforms.repeated import Repeated
from pullback.transforms.stage import stage_flat
from pullback.transforms.transpose import backward, record


class CustomCall(Primitive):
    """A call of a function with custom rules; equal to itself alone.

    Operands are the constants of the staged program (none before staging), the values
    that function and rules capture, and the leaves of the differentiable arguments.

    Args:
        site: the user's call.
        call_jaxpr: the function as a program, once staged.
        count_consts: how many constants lead its inputs.
    """

    # Made for each call, so not by `frozen`, whose classes take any fields and are made
    # half as fast (`benchmarks`: eager grad with a custom rule).
    __slots__ = ("call_jaxpr", "count_consts", "site")

    multiple = True
    calls = True

    def __init__(
        self, site: Any, call_jaxpr: Jaxpr | None = None, count_consts: int = 0
    ) -> None:
        self.site = site
        self.call_jaxpr = call_jaxpr
        self.count_consts = count_consts

    @property
    def name(self) -> str:
        """The name in jaxprs, after the decorator."""
        return f"{self.site.kind}_call"

    def parameters(self) -> dict[str, Any]:
        site = self.site
        found = {"name": site.name}
        for slot in ("jvp", "fwd", "bwd", "vmap"):
            rule = getattr(site.rules, slot)
            if rule is not None:
                found[slot] = getattr(rule, "__name__", type(rule).__name__)
        if site.rules.jvps is not None:
            found["jvp"] = "defjvps"
        return {**found, "call_jaxpr": self.call_jaxpr}

    @property
    def effects(self) -> bool:
        """Whether the program must run even if its results are unused."""
        return self.call_jaxpr is not None and self.call_jaxpr.effects

    def function(self, operands: Sequence[Value]) -> list[Value]:
        """Run the function itself, staged or not, under the current trace."""
        if self.call_jaxpr is not None:
            return evaluate(self.call_jaxpr, operands)
        return self.site.run(operands)  # type: ignore[no-any-return]

    def staged(self, avals: Sequence[Aval]) -> tuple[Jaxpr, Sequence[Value]]:
        """Give the function as a jaxpr, and the constants that lead its inputs."""
        if self.call_jaxpr is not None:
            return self.call_jaxpr, ()
        closed = stage_flat(lambda *xs: self.site.run(xs), avals, self.site.name)
        return closed.jaxpr, closed.consts

    def abstract(self, *avals: Aval) -> list[Aval]:
        return self.staged(avals)[0].out_avals

    def eager(self, *operands: Value) -> list[Value]:
        return self.function(operands)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        assert self.call_jaxpr is not None, "staged before it is lowered"
        return ctx.jaxpr(self.call_jaxpr, operands)

    def stage(self, trace: Any, operands: tuple[Value, ...]) -> Any:
        if self.call_jaxpr is not None:
            return trace.emit(self, operands)
        typed = self.site.typed(operands)
        if typed is not None:
            return trace.emit(CustomCall(self.site, typed), operands)
        self.site.wrapper.staged = True
        jaxpr, consts = self.staged([aval_of(x) for x in operands])
        self.site.forget_tracers()
        return trace.emit(
            CustomCall(self.site, jaxpr, len(consts)), [*consts, *operands]
        )

    def split(self, operands: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """Give what leads the leaves, and the leaves."""
        n = self.count_consts + self.site.count_captured
        return operands[:n], operands[n:]

    def captured(self, tangents: Sequence[Any]) -> int | None:
        """Give the number of a captured value that is being differentiated, if any."""
        n = self.count_consts + self.site.count_captured
        for i, t in enumerate(tangents[:n]):
            if not is_zero(t):
                return i - self.count_consts
        return None

    def forbid(self, primals: Sequence[Value], index: int, source: Any) -> Any:
        """Give results whose derivative must not be asked for: no rule speaks of it."""
        outs = self(*primals)

        def error() -> RuleError:
            return captured_error(self.site, index)

        dots = [
            Forbidden(aval_of(y).tangent(), error, source)
            if dtypes.is_inexact(y.dtype)
            else Zero(like=y)
            for y in outs
        ]
        return outs, dots

    def jvp(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        site = self.site
        if site.body_is_rule():
            return jvp_flat(lambda *xs: self.function(xs), primals, tangents)
        index = self.captured(tangents)
        if index is not None:
            return self.forbid(primals, index, tangents[index + self.count_consts])
        operands, dots = primals[self.count_consts :], self.split(tangents)[1]
        if site.has_jvp():
            return site.jvp(operands, dots)
        if not site.has_vjp():
            raise missing_rule(site.rules.fun, site.kind, site.rules.bwd)
        perturbed = [not is_zero(t) for t in dots]
        forward = site.fwd(operands, perturbed)
        if "transpose" not in (site.forward, config.custom_vjp_forward):
            raise forward_error(site)
        given = [t for t in dots if not is_zero(t)]
        return forward.outs, forward.pull.forward(forward.residuals, given)

    def linearize(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        site = self.site
        rules = site.rules
        if not rules.derivative and site.body_is_rule():
            return self._linearize_body(primals, tangents)
        leading = self.count_consts + site.count_captured
        if leading:
            index = self.captured(tangents)
            if index is not None:
                return self.forbid(primals, index, tangents[index + self.count_consts])
        operands, dots = primals[self.count_consts :], tangents[leading:]
        if rules.fwd is None:
            if not rules.forward:
                raise missing_rule(rules.fun, site.kind, rules.bwd)
            return site.jvp(operands, dots)
        perturbed = [not isinstance(t, Zero) for t in dots]
        # No tangent goes into `fwd`: it runs where its operations would be sent anyway.
        trace: Any = current_trace()
        token = current.set(trace.parent)
        try:
            outs, residuals, pull = site.fwd(operands, perturbed)
        finally:
            current.reset(token)
        given = dots if all(perturbed) else [t for t in dots if not isinstance(t, Zero)]
        call = PullbackCall(pull, len(residuals))
        found = trace.record(call, (*residuals, *given), call.abstract())
        if len(found) == len(outs):
            return outs, found
        rest = iter(found)
        return outs, [
            next(rest) if dtypes.is_inexact(y.dtype) else Zero(like=y) for y in outs
        ]

    def _linearize_body(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        nonzero = [not is_zero(t) for t in tangents]
        outs, program = linearize_flat(lambda *xs: self.function(xs), primals, nonzero)
        return outs, program(*[t for t in tangents if not is_zero(t)])

    def linear_in(self, unknown: Sequence[bool]) -> tuple[int, ...]:
        """Take the user's word that the function is linear in these operands."""
        return tuple(i for i, u in enumerate(unknown) if u)

    def transpose(self, ct: Any, *operands: Value) -> list[Any]:
        unknown = [isinstance(x, Unknown) for x in operands]
        leaves = operands[self.count_consts :]
        if self.site.has_vjp():
            known = [
                instantiate(Zero(x.aval)) if isinstance(x, Unknown) else x
                for x in leaves
            ]
            perturbed = self.split(unknown)[1]
            forward = self.site.fwd(known, perturbed)
            found = forward.pull.backward(forward.residuals, ct)
        else:
            program = record(
                lambda *xs: self.function(xs),
                [None if u else x for u, x in zip(unknown, operands)],
                [aval_of(x) for x in operands],
            )
            found = backward(program, ct)
        rest = iter(found)
        return [next(rest) if u else None for u in unknown]

    def uses_axis(self, name: Any) -> bool:
        """Say yes to a name: the rules are the user's code."""
        jaxpr = self.call_jaxpr
        return name is not None or (jaxpr is not None and jaxpr.uses_axis(name))

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        site = self.site
        if self.call_jaxpr is not None:
            # The staged program's constants lead; the site speaks of the rest alone.
            n = self.count_consts
            site = StagedSite(site, self.call_jaxpr, operands[:n], dims[:n])
        batched = BatchedSite(site, size, dims[self.count_consts :])
        outs = CustomCall(batched)(*operands[self.count_consts :])
        return outs, batched.out_dims or [0] * len(outs)


class StagedSite:
    """A site whose function is a staged program with known constants.

    A mapped `cond` may have copied constants for each element; then they have `dims`.
    """

    __slots__ = ("consts", "dims", "inner", "jaxpr", "out_tree")

    def __init__(
        self, inner: Any, jaxpr: Any, consts: Sequence[Value], dims: Sequence[Dim]
    ) -> None:
        self.inner = inner
        self.jaxpr = jaxpr
        self.consts = list(consts)
        self.dims = list(dims)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def run(self, operands: Sequence[Value]) -> list[Value]:
        """Run the staged function, in the trace that maps it."""
        trace: Any = current_trace()
        consts = [
            x if d is None else trace.pair(x, d) for x, d in zip(self.consts, self.dims)
        ]
        return evaluate(self.jaxpr, [*consts, *operands])


def captured_error(site: Any, index: int) -> RuleError:
    """Make the error for differentiating with respect to a captured value."""
    names = site.captured_names
    origin = f"Called at {site.origin}." if site.origin else called_at()
    name, where = names[index] if 0 <= index < len(names) else ("", "")
    if where == MARKED:
        return NondiffError(
            f"argument `{name}` of {site.kind} function {site.name} is marked as not "
            "differentiable (nondiff_argnums), and the function is being "
            "differentiated with respect to it.",
            where=origin,
            mend="Stop the gradient before the call with lax.stop_gradient, or take it "
            "out of nondiff_argnums and give its derivative in the rules.",
        )
    captured = f"`{name}`" if name else "a value"
    captured += f" (captured at {where})" if where else ""
    return CapturedError(
        f"{site.kind} function {site.name} captures {captured}, and is being "
        "differentiated with respect to it; its rules say nothing about captured "
        "values.",
        where=origin,
        mend="Make it an argument of the function, or pass the function that captures "
        "it as a callable argument.",
    )


class PullbackCall(Repeated):
    """The derivative of a call with a `bwd` rule: linear in the tangents.

    Operands are the residuals and then the tangents; its transpose is `bwd`. Applied
    forward it is the function's jvp rule, if there is one.

    Args:
        pull: the backward pass.
        count_residuals: how many operands are residuals.
    """

    __slots__ = ("count_residuals", "pull")

    def __init__(self, pull: Any, count_residuals: int) -> None:
        self.pull = pull
        self.count_residuals = count_residuals

    @property
    def name(self) -> str:
        """The name in jaxprs."""
        return "custom_vjp_pullback"

    def parameters(self) -> dict[str, Any]:
        return {"name": self.pull.site.name, "bwd": self.pull.name}

    def linear_in(self, unknown: Sequence[bool]) -> tuple[int, ...] | None:
        """Linear in the tangents alone."""
        group = tuple(range(self.count_residuals, len(unknown)))
        return None if any(unknown[: self.count_residuals]) else group

    def abstract(self, *avals: Aval) -> list[Aval]:
        return [a.strong() for a in self.pull.out_avals if dtypes.is_inexact(a.dtype)]

    def linear_result(self, operands: Sequence[Value]) -> list[Aval]:
        return self.abstract()

    def forward(self, *operands: Value) -> list[Value]:
        """Apply the linear function to tangents."""
        n = self.count_residuals
        found = self.pull.forward(operands[:n], operands[n:])
        avals = self.pull.out_avals
        return [
            instantiate(t) for t, a in zip(found, avals) if dtypes.is_inexact(a.dtype)
        ]

    def transpose(self, cts: Any, *operands: Value) -> list[Any]:
        n = self.count_residuals
        avals = self.pull.out_avals
        if len(cts) < len(avals):
            given = iter(cts)
            cts = [
                next(given) if dtypes.is_inexact(a.dtype) else Zero(a.tangent())
                for a in avals
            ]
        return [*[None] * n, *self.pull.backward(operands[:n], cts)]

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        n = self.count_residuals
        out_dims = [0] * len(self.pull.out_avals)
        pull = BatchedPull(self.pull, size, dims[:n], dims[n:], out_dims)
        results = PullbackCall(pull, n)(*operands)
        return results, [0] * len(results)
