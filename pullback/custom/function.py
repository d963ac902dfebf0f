"""The object that a decorator makes of a function: callable, and open to rules."""

from __future__ import annotations

import functools
import inspect
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from pullback import tree
from pullback.config import config
from pullback.core.array import SCALARS, Array
from pullback.core.calling import Signature, as_value, check_callable
from pullback.core.closure import Captured, TracerFinder
from pullback.core.frozen import replaced
from pullback.core.origin import called_at, name_of
from pullback.core.trace import EVAL, Tracer, Value, current, current_trace
from pullback.custom.call import CustomCall
from pullback.custom.nondiff import (
    PlainCall,
    name_arguments,
    nondiff_positions,
    parameter_name,
    plain_call,
    positions_in,
    split_arguments,
)
from pullback.custom.rule import Rules, check_arity
from pullback.custom.site import Site, watching
from pullback.errors import ArgumentError, RuleArityError
from pullback.transforms.linearize import LinearTrace


class CustomFunction:
    """A function with custom rules; the base of `custom_jvp` and `custom_vjp`.

    Args:
        fun: the function; without it, a decorator with these options is given.
        nondiff_argnums: positions of arguments that are no arrays, such as functions
            and strings. Rules take them first.
        nondiff_argnames: the same by name.
        forward: "transpose" lets forward mode transpose `bwd` where there is no jvp
            rule; "error" does not.

    Rules of all kinds may be attached to one function: `defjvp` or `defjvps` is used in
    forward mode, `defvjp` in reverse mode, `defvmap` under `vmap`. Where one of the
    first two is missing, reverse mode transposes the jvp rule; forward mode without a
    jvp rule is an error.
    """

    kind = "custom_function"
    rules: Rules
    nondiff: frozenset[int]
    #: What `core.closure` looks into, to find the values that the rules capture.
    __closure_fields__ = ("rules",)

    def __new__(cls, fun: Any = None, *args: Any, **options: Any) -> Any:
        """Make the object, or the decorator if only options are given."""
        if fun is None:
            return functools.partial(cls, **options)
        return super().__new__(cls)

    def __init__(
        self,
        fun: Callable[..., Any],
        nondiff_argnums: int | Sequence[int] = (),
        nondiff_argnames: str | Sequence[str] = (),
        *,
        forward: str = "error",
    ) -> None:
        check_function(fun, self.kind)
        if forward not in ("error", "transpose"):
            raise ArgumentError(
                f"forward of {self.kind} is {forward!r}.",
                where=called_at(),
                mend="Use 'error' or 'transpose'.",
            )
        rules = Rules(fun)
        if isinstance(fun, CustomFunction):
            # Decorating a decorated function adds to its rules.
            rules = fun.rules
        functools.update_wrapper(self, rules.fun)
        self.rules = rules
        self.forward = forward
        self.known_types: dict[Any, Any] = {}
        # Whether a call is part of a program, which would not see new rules.
        self.staged = False
        # Functions that decorate this one: they get the rules it is given later.
        self.outer: tuple[weakref.ref[CustomFunction], ...] = ()
        self.finder = TracerFinder()
        self._set_up(nondiff_argnums, nondiff_argnames)
        if isinstance(fun, CustomFunction):
            fun.outer = (*fun.outer, weakref.ref(self))
            self.nondiff = self.nondiff | fun.nondiff
            self.plain = plain_call(self.call_signature, self.nondiff)
            if forward == "error":
                self.forward = fun.forward

    def _set_up(
        self, argnums: int | Sequence[int], argnames: str | Sequence[str]
    ) -> None:
        self.call_signature = Signature(self.rules.fun)
        self.nondiff = nondiff_positions(
            self.rules.fun, self.call_signature, argnums, argnames
        )
        self.plain = plain_call(self.call_signature, self.nondiff)

    # -- calling -----------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; outside of transformations, just that."""
        trace = current_trace()
        eager = trace is EVAL or type(trace) is LinearTrace
        if eager and not kwargs and self._is_plain_call(trace, args):
            if trace is EVAL:
                return self.rules.fun(*args)
            token = current.set(EVAL)
            try:
                return self.rules.fun(*args)
            finally:
                current.reset(token)
        plain = self.plain
        if (
            plain is not None
            and not kwargs
            and len(args) == plain.arguments.total
            and all([type(x) is Array or isinstance(x, Tracer) for x in args])
        ):
            site, captured = self._plain_site(plain)
            operands: Sequence[Value] = args
        else:
            site, captured, operands = self._site(args, kwargs)
        if captured:
            operands = (*[c.value for c in captured], *operands)
        outs = CustomCall(site)(*operands)
        assert site.out_tree is not None, "set by whichever rule ran"
        return site.out_tree.unflatten(outs)

    def _plain_site(self, plain: PlainCall) -> tuple[Site, list[Captured]]:
        """Describe a call with an array or traced value for each parameter."""
        captured = self.finder.find(self.rules.functions)
        return Site(self, self.rules, *plain, captured), captured

    def _site(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Site, list[Captured], list[Value]]:
        """Describe any call, and give its leaves as values."""
        arguments, values = split_arguments(
            self.rules.fun, self.call_signature, self.nondiff, args, kwargs
        )
        leaves, in_tree = tree.flatten(values)
        operands = [as_value(x) for x in leaves]
        static = (*arguments.nondiff.values(), *arguments.opaque.values())
        captured = self.finder.find((*self.rules.functions, *static))
        if captured and static:
            captured = name_arguments(captured, arguments, self.parameter)
        return Site(self, self.rules, arguments, in_tree, captured), captured, operands

    def _is_plain_call(self, trace: Any, args: tuple[Any, ...]) -> bool:
        """Whether no transformation has a part in this call, and no rule watches it.

        The trace computes at once, or records tangents: over eager values, a call with
        values only.
        """
        watched = watching()
        if watched is not None and watched.wants_type(self):
            return False
        if trace is EVAL:
            return True
        return trace.parent is EVAL and all(
            [type(x) is Array or type(x) in SCALARS for x in args]
        )

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind the function to an instance, as methods are."""
        return self if instance is None else types.MethodType(self, instance)

    def with_rules(self, rules: Rules) -> CustomFunction:
        """Give this function, or a copy with other rules if they differ."""
        if rules is self.rules:
            return self
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.rules = rules
        made.finder = TracerFinder()
        return made

    def parameter(self, position: int, total: int) -> str:
        """Give the name of the parameter of a value, in a call of `total` values."""
        return parameter_name(self.call_signature, position, total)

    # -- attaching rules ---------------------------------------------------------------

    def _attach(self, **rules: Any) -> None:
        self.rules = replaced(self.rules, **rules)
        for outer in self.outer:
            function = outer()
            if function is not None:
                function._attach(**rules)
        if self.staged:
            # Programs that hold a call of the function know its old rules.
            config.outdate()
            self.staged = False

    def _count(self) -> int | None:
        """Give the number of parameters, None if it is not fixed."""
        signature = self.call_signature.signature
        if signature is None:
            return None
        kinds = [p.kind for p in signature.parameters.values()]
        if inspect.Parameter.VAR_POSITIONAL in kinds:
            return None
        return len(kinds)

    def _leading(self) -> str:
        total = len(self.call_signature.names)
        order = sorted(positions_in(self.nondiff, total))
        return "".join(f"{self.parameter(i, total)}, " for i in order)

    def defjvp(
        self, jvp: Callable[..., Any] | None = None, *, symbolic_zeros: bool = False
    ) -> Any:
        """Attach the forward-mode rule; works as a decorator.

        Args:
            jvp: `(*nondiff, primals, tangents) -> (primal_out, tangent_out)`, linear in
                the tangents. Reverse mode transposes it if there is no `defvjp`.
            symbolic_zeros: hand the rule `SymbolicZero` for tangents that are zero.

        Raises:
            RuleArityError: it cannot take these arguments.
        """
        if jvp is None:
            return functools.partial(self.defjvp, symbolic_zeros=symbolic_zeros)
        form = f"def rule({self._leading()}primals, tangents)"
        check_arity(jvp, len(self.nondiff) + 2, "custom_jvp", self.rules.fun, form)
        self._attach(jvp=jvp, jvps=None, jvp_symbolic=symbolic_zeros)
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Attach a forward-mode rule for each differentiable argument.

        Args:
            jvps: one `(*nondiff, tangent, primal_out, *primals) -> tangent_out` an
                argument, or None where the derivative is zero. Only those whose
                tangents are not zero are run; their results are added.

        Raises:
            RuleArityError: a wrong number of rules, or one of wrong arity.
        """
        count = self._count()
        if count is not None and len(jvps) != count - len(self.nondiff):
            wanted = count - len(self.nondiff)
            raise RuleArityError(
                f"defjvps of {name_of(self)} was given {len(jvps)} rules; it has "
                f"{wanted} differentiable arguments.",
                where=called_at(),
                mend="Give one rule per argument; None stands for a zero derivative.",
            )
        form = f"lambda {self._leading()}tangent, primal_out, *primals: ..."
        if count is not None:
            for rule in jvps:
                if rule is not None:
                    check_arity(rule, count + 2, "custom_jvp", self.rules.fun, form)
        self._attach(jvps=tuple(jvps), jvp=None)

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Attach the reverse-mode rule.

        Args:
            fwd: like the function, giving `(primal_out, residuals)`.
            bwd: `(*nondiff, residuals, cotangent) -> cotangents`, one a differentiable
                argument; None stands for zero.
            symbolic_zeros: hand `fwd` arguments as `CustomVJPPrimal` (value,
                perturbed), and `bwd` `SymbolicZero` for zero cotangents.
            optimize_remat: accepted for compatibility; programs are pruned anyway.

        Raises:
            RuleArityError: one of them cannot take these arguments.
        """
        self._check_fwd(fwd)
        self._check_bwd(bwd)
        self._attach(fwd=fwd, bwd=bwd, logs=False, vjp_symbolic=symbolic_zeros)

    def defvjp_with_logs(
        self, fwd: Callable[..., Any], bwd: Callable[..., Any]
    ) -> None:
        """Attach a reverse-mode rule whose `bwd` gives `(cotangents, logs)`.

        The logs are fetched with the pullback's `with_logs(cotangent)`.
        """
        self._check_fwd(fwd)
        self._check_bwd(bwd)
        self._attach(fwd=fwd, bwd=bwd, logs=True, vjp_symbolic=False)

    def def_fwd(self, fwd: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the forward pass of the reverse-mode rule, as a decorator."""
        self._check_fwd(fwd)
        bwd = self.rules.bwd
        if bwd is None:
            bwd = self._no_bwd()
        self._attach(fwd=fwd, bwd=bwd, vjp_symbolic=False)
        return fwd

    def def_bwd(self, bwd: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the backward pass of the reverse-mode rule, as a decorator."""
        self._check_bwd(bwd)
        self._attach(bwd=bwd, logs=False)
        return bwd

    def defvmap(self, vmap: Callable[..., Any]) -> Callable[..., Any]:
        """Attach the batching rule, as a decorator.

        Args:
            vmap: `(axis_size, in_batched, *args) -> (out, out_batched)`; batched
                arguments and outputs have the batch axis first.
        """
        count = self._count()
        if count is not None:
            form = "def rule(axis_size, in_batched, *args)"
            check_arity(vmap, count + 2, "custom_vmap", self.rules.fun, form)
        self._attach(vmap=vmap)
        return vmap

    def_vmap = defvmap

    def _check_fwd(self, fwd: Callable[..., Any]) -> None:
        count = self._count()
        signature = self.call_signature.signature
        keywords = [
            p.name
            for p in (signature.parameters.values() if signature else ())
            if p.kind is p.KEYWORD_ONLY
        ]
        check_callable_rule(fwd, "custom_vjp fwd", self)
        if count is not None:
            form = f"fwd with the parameters of {name_of(self)}"
            count -= len(keywords)
            check_arity(fwd, count, "custom_vjp fwd", self.rules.fun, form, keywords)

    def _check_bwd(self, bwd: Callable[..., Any]) -> None:
        form = f"def bwd({self._leading()}residuals, cotangent)"
        check_arity(bwd, len(self.nondiff) + 2, "custom_vjp bwd", self.rules.fun, form)

    def _no_bwd(self) -> Callable[..., Any]:
        name = name_of(self)

        def missing_bwd(*_: Any) -> Any:
            raise RuleArityError(
                f"custom_vjp function {name} has a fwd rule but no bwd rule.",
                where=called_at(),
                mend=f"Attach one with `@{name}.def_bwd`.",
            )

        return missing_bwd

    # -- as an object ------------------------------------------------------------------

    def __repr__(self) -> str:
        """Show the function and its rules."""
        r = self.rules
        found = {"jvp": r.jvp, "fwd": r.fwd, "bwd": r.bwd, "vmap": r.vmap}
        parts = [f"{slot}={name_of(rule)}" for slot, rule in found.items() if rule]
        if r.jvps is not None:
            names = ", ".join("None" if f is None else name_of(f) for f in r.jvps)
            parts.append(f"jvps=({names})")
        rules = ", ".join(parts) or "no rules"
        return f"<{self.kind} {name_of(r.fun)}: {rules}>"

    def __copy__(self) -> CustomFunction:
        """Give a function to which rules can be attached independently."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.finder = TracerFinder()
        made.outer = ()
        return made

    def __deepcopy__(self, memo: Any) -> CustomFunction:
        """Copy; functions themselves are shared, as Python's are."""
        return self.__copy__()

    def __reduce__(self) -> Any:
        """Pickle by name, as functions are."""
        return self.__qualname__  # type: ignore[attr-defined]


def check_function(fun: Any, kind: str) -> None:
    """Raise unless `fun` can be decorated."""
    if isinstance(fun, (staticmethod, classmethod)):
        raise ArgumentError(
            f"{kind} was applied on top of {type(fun).__name__}.",
            where=called_at(),
            mend=f"Write @{type(fun).__name__} above @{kind}.",
        )
    check_callable(fun, kind)


def check_callable_rule(rule: Any, kind: str, fun: Any) -> None:
    """Raise unless a rule is a function."""
    if not callable(rule):
        check_arity(rule, 0, kind, fun, "a function")
