"""A user's functions as values: the decorated function and the rules attached to it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from pullback.core.closure import Hole as Hole
from pullback.core.closure import substitute
from pullback.core.frozen import frozen, replaced
from pullback.core.origin import called_at, defined_at, name_of
from pullback.errors import LinearityError, PullbackError, RuleArityError


class _KeepingProperties:
    """A base with a `__dict__`, in which cached properties keep what they give."""


@frozen
class Rules(_KeepingProperties):
    """What a decorated function is made of; replaced as a whole when a rule is added.

    Fields:
        fun: the function itself.
        jvp: `(*nondiff, primals, tangents) -> (primal_out, tangent_out)`.
        jvps: one `(*nondiff, tangent, primal_out, *primals)` or None an argument.
        fwd: like `fun`, giving `(primal_out, residuals)`.
        bwd: `(*nondiff, residuals, cotangent) -> cotangents`.
        vmap: `(axis_size, in_batched, *args) -> (out, out_batched)`.
        logs: `bwd` gives `(cotangents, logs)`.
        jvp_symbolic: the jvp rule takes `SymbolicZero` tangents.
        vjp_symbolic: `fwd` takes `CustomVJPPrimal`, `bwd` `SymbolicZero` cotangents.
    """

    #: What `core.closure` looks into, once: rules are replaced, never changed.
    __closure_fixed__: ClassVar[bool] = True
    __closure_fields__: ClassVar[tuple[str, ...]] = (
        "fun",
        "jvp",
        "jvps",
        "fwd",
        "bwd",
        "vmap",
    )

    fun: Callable[..., Any]
    jvp: Callable[..., Any] | None = None
    jvps: tuple[Callable[..., Any] | None, ...] | None = None
    fwd: Callable[..., Any] | None = None
    bwd: Callable[..., Any] | None = None
    vmap: Callable[..., Any] | None = None
    logs: bool = False
    jvp_symbolic: bool = False
    vjp_symbolic: bool = False

    @functools.cached_property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The function and all rules, each of which may capture values."""
        some = (self.fun, self.jvp, *(self.jvps or ()), self.fwd, self.bwd, self.vmap)
        return tuple([f for f in some if f is not None])

    @functools.cached_property
    def forward(self) -> bool:
        """Whether there is a forward-mode rule."""
        return self.jvp is not None or self.jvps is not None

    @functools.cached_property
    def derivative(self) -> bool:
        """Whether there is a rule for derivatives of any mode."""
        return self.forward or self.fwd is not None

    def __copy__(self) -> Rules:
        """Give equal rules, to be changed in place by `core.closure`."""
        made: Rules = replaced(self)
        return made

    def map(self, change: Callable[[Any], Any]) -> Rules:
        """Give the rules with each function changed."""

        def maybe(f: Any) -> Any:
            return None if f is None else change(f)

        return Rules(
            change(self.fun),
            maybe(self.jvp),
            None if self.jvps is None else tuple(map(maybe, self.jvps)),
            maybe(self.fwd),
            maybe(self.bwd),
            maybe(self.vmap),
            self.logs,
            self.jvp_symbolic,
            self.vjp_symbolic,
        )


def replace_all(x: Any, old: Sequence[Any], new: Sequence[Any]) -> Any:
    """Rebuild a callable with some captured values replaced by others."""
    values = {id(a): b for a, b in zip(old, new, strict=True) if a is not b}
    return substitute(x, values)


def describe_rule(kind: str, rule: Callable[..., Any]) -> str:
    """Name a rule for errors: `custom_vjp rule `clip_bwd``."""
    return f"{kind} rule `{name_of(rule)}`"


def rule_place(rule: Callable[..., Any]) -> str:
    """Say where a rule was defined and where the user's code now calls it."""
    at = called_at()
    called = f", c{at[1:]}" if at else "."
    return f"Rule at {defined_at(rule)}{called}"


def name_rule(
    error: PullbackError, kind: str, rule: Callable[..., Any], fun: str
) -> LinearityError:
    """Say in a linearity error which rule it is about, unless it says so."""
    if isinstance(error, LinearityError) and error.rule is not None:
        return error
    of = "cotangent" if "bwd" in kind else "tangents"
    what = (
        f"{describe_rule(kind, rule)} of {fun} is not linear in its {of}: {error.what}"
    )
    where = f"Rule at {defined_at(rule)}. {error.where or called_at()}".strip()
    named = LinearityError(what, where=where, mend=error.mend)
    named.rule = rule
    return named


def check_arity(
    rule: Any,
    count: int,
    kind: str,
    fun: Callable[..., Any],
    form: str,
    keywords: Sequence[str] = (),
) -> None:
    """Raise unless a rule can take `count` positional arguments.

    Args:
        rule: what the user attaches.
        count: how many arguments it will be called with.
        kind: "custom_jvp", "custom_vjp fwd" and so on, for the error.
        fun: the decorated function.
        form: how the rule should be written, for the error.
        keywords: the names of arguments that it will be given by keyword.

    Raises:
        RuleArityError: it is not callable, or takes another number of arguments.
    """
    if not callable(rule):
        raise RuleArityError(
            f"{kind} rule of {name_of(fun)} must be a function; got a "
            f"{type(rule).__name__}.",
            where=called_at(),
            mend=f"Write {form}.",
        )
    try:
        inspect.signature(rule).bind(*[None] * count, **dict.fromkeys(keywords))
    except ValueError:
        return  # a builtin without a signature
    except TypeError as error:
        named = f" and {', '.join(keywords)} by keyword" if keywords else ""
        raise RuleArityError(
            f"{describe_rule(kind, rule)} of {name_of(fun)} is called with {count} "
            f"positional arguments{named}, which it does not take ({error}).",
            where=rule_place(rule),
            mend=f"Write {form}.",
        ) from None
