"""`jit`: functions compiled as a whole, once for each type of their arguments."""

from __future__ import annotations

import functools
import inspect
import operator
import time
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes, tree
from pullback.backend.executable import FastCall
from pullback.backend.xla import backend
from pullback.calls.compile_log import (
    SWITCHES,
    ProgramKey,
    Tracing,
    log_tracing,
    logs_tracing,
    said_of_tracing,
)
from pullback.calls.executable import (
    CompiledJaxpr,
    compile_jaxpr,
    interpret,
    raise_explained,
)
from pullback.calls.jit_call import JitCall
from pullback.calls.lowered import Lowered, Traced
from pullback.config import config
from pullback.core.array import SCALARS, Array
from pullback.core.aval import Aval
from pullback.core.calling import as_value, check_callable, leaf_names
from pullback.core.jaxpr import ClosedJaxpr, evaluate
from pullback.core.origin import called_at, defined_at, name_of
from pullback.core.trace import EVAL, Tracer, Value, current_trace, unexpected_operand
from pullback.errors import NotAnArrayError, StaticArgumentError, TracingError
from pullback.transforms.stage import input_aval, stage_flat

#: The attribute of a function that holds what it was staged to.
_PROGRAMS = "__pullback_programs__"
#: The switches that decide what a function is staged to.
_switches = operator.attrgetter(*SWITCHES)


class Staged(NamedTuple):
    """A function written down for one type of arguments.

    Fields:
        closed: the program, with the arrays it captured.
        out_tree: the structure of the result.
    """

    closed: ClosedJaxpr
    out_tree: tree.TreeDef


class Call(NamedTuple):
    """A call taken apart.

    Fields:
        args, kwargs: all arguments that are not static, static positions left out.
        statics: the static arguments by position and by name.
        leaves, treedef: the others, flat.
    """

    statics: tuple[tuple[int | str, Any], ...]
    leaves: list[Any]
    treedef: tree.TreeDef
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Jit:
    """What is behind a compiled function; made by `jit`, whose arguments it takes."""

    #: What `core.closure` looks into, to find the values that the function captures.
    __closure_fields__ = ("__wrapped__",)

    def __init__(
        self,
        f: Callable[..., Any],
        static: tuple[tuple[int, ...], tuple[str, ...]],
        donated: tuple[tuple[int, ...], tuple[str, ...]],
        inline: bool,
        keep_unused: bool,
    ) -> None:
        self.__wrapped__ = f
        self._name = name_of(f)
        self._static_argnums, self._static_argnames = static
        self._donate_argnums, self._donate_argnames = donated
        self._inline = inline
        self._keep_unused = keep_unused
        self._programs = programs_of(f)
        # The C++ call path, once there is one.
        self._dispatch: Callable[..., Any] = self._first_call

    def function(self) -> Callable[..., Any]:
        """Make the compiled function.

        A call of a function costs 0.15 us less than one of an object with `__call__`;
        so methods are attributes of it.
        """

        def compiled(*args: Any, **kwargs: Any) -> Any:
            if current_trace() is EVAL:
                try:
                    if kwargs:
                        return self._dispatch(*args, **kwargs)
                    return self._dispatch(*args)  # 0.1 us less than with none
                except (ValueError, RuntimeError) as error:
                    self._explain(error, args, kwargs)
                    raise
            return self._apply(args, kwargs)

        made: Any = compiled
        made.__name__ = self._name
        functools.update_wrapper(made, self.__wrapped__)
        for method in (self.trace, self.lower, self.eval_shape, self.clear_cache):
            setattr(made, method.__name__, method)
        made._cache_size = self._cache_size
        return compiled

    def __copy__(self) -> Jit:
        """Give a compiled function with programs of its own."""
        made = object.__new__(Jit)
        made.__dict__.update(self.__dict__)
        made._programs = {}
        made._dispatch = made._first_call
        return made

    # -- calling ---------------------------------------------------------------------

    def _first_call(self, *args: Any, **kwargs: Any) -> Any:
        """Call before there is a C++ call path, or where it is switched off."""
        fast = config.call_path == "fast" and not config.disable_jit
        if not fast or not backend().fast_path_works():
            return self._miss(args, kwargs)[0]
        self._dispatch = backend().dispatcher(
            self._name,
            self.__wrapped__,
            self._miss,
            self._static_argnums,
            self._static_argnames,
        )
        return self._dispatch(*args, **kwargs)

    def _miss(self, args: Any, kwargs: Any) -> tuple[Any, FastCall | None]:
        """Call through Python; and say how C++ can repeat the call, if it can."""
        if config.disable_jit:
            return self.__wrapped__(*args, **kwargs), None
        call = self._take_apart(args, kwargs)
        closed, out_tree = self._stage(call)
        values = [*closed.consts, *call.leaves]
        primitive = JitCall(self._name, closed.jaxpr)
        for x in values:
            if isinstance(x, Tracer):
                unexpected_operand(primitive, x)
        if config.call_path == "numpy":
            return out_tree.unflatten(interpret(closed.jaxpr, values)), None
        compiled = self._compile(closed, call)
        given = call.args, call.kwargs
        return compiled.call_as(out_tree, closed.consts, given, call.leaves, primitive)

    def _compile(self, closed: ClosedJaxpr, call: Call) -> CompiledJaxpr:
        donated = [False] * len(closed.consts) + self._donated(call)
        return compile_jaxpr(closed.jaxpr, donated, self._keep_unused)

    def _donated(self, call: Call) -> list[bool]:
        """Say, for each leaf, whether its memory is given away."""
        given_away = self._donate_argnums or self._donate_argnames
        if config.checks_values or not given_away:
            return [False] * len(call.leaves)
        # A static position holds None, which has no leaves.
        marks = [i in self._donate_argnums for i in range(len(call.args))]
        named = {name: name in self._donate_argnames for name in call.kwargs}
        return tree.broadcast_prefix((tuple(marks), named), (call.args, call.kwargs))

    def _apply(self, args: Any, kwargs: Any) -> Any:
        """Call under a transformation: one operation that holds the program."""
        if config.disable_jit:
            return self.__wrapped__(*args, **kwargs)
        call = self._take_apart(args, kwargs)
        closed, out_tree = self._stage(call)
        values = [*closed.consts, *map(as_value, call.leaves)]
        if self._inline:
            return out_tree.unflatten(evaluate(closed.jaxpr, values))
        return out_tree.unflatten(JitCall(self._name, closed.jaxpr)(*values))

    def _explain(self, error: Exception, args: Any, kwargs: Any) -> None:
        """Raise our error in place of the C++ call path's, where there is one."""
        for key, value in self._statics(args, kwargs):
            self._check_hashable(key, value, error)
        raise_explained(error, args, kwargs)

    # -- staging ---------------------------------------------------------------------

    def _statics(self, args: Any, kwargs: Any) -> list[tuple[int | str, Any]]:
        """Give the static arguments, by position or name."""
        given: list[tuple[int | str, Any]] = [
            (i, args[i]) for i in self._static_argnums if i < len(args)
        ]
        given += [(n, kwargs[n]) for n in self._static_argnames if n in kwargs]
        return given

    def _take_apart(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Separate static arguments from the others, and flatten these."""
        statics = self._statics(args, kwargs)
        if statics:
            known = {key for key, _ in statics}
            args = tuple(None if i in known else x for i, x in enumerate(args))
            kwargs = {n: x for n, x in kwargs.items() if n not in known}
        leaves, treedef = tree.flatten((args, kwargs))
        return Call(tuple(statics), leaves, treedef, args, kwargs)

    def _stage(self, call: Call) -> Staged:
        """Write the function down for a call, or find what was written before."""
        avals = self._avals(call)
        statics = tuple((key, type(value), value) for key, value in call.statics)
        axes = current_trace().axes
        # The fields of a `ProgramKey`; a plain tuple is made sooner.
        key = (call.treedef, avals, statics, axes, _switches(config))
        try:
            staged = self._programs.get(key)
        except TypeError as error:
            for position, value in call.statics:
                self._check_hashable(position, value, error)
            raise
        if staged is None:
            if config.no_tracing:
                self._refuse_tracing(call, ProgramKey(*key))
            start = time.perf_counter()
            staged = self._stage_anew(call, avals)
            kept = not any(isinstance(c, Tracer) for c in staged.closed.consts)
            if logs_tracing():  # before the program is kept, to tell it from the last
                seconds = time.perf_counter() - start
                log_tracing(self._tracing(call, ProgramKey(*key), kept), seconds)
            if kept:
                self._programs[key] = staged
        return staged

    def _refuse_tracing(self, call: Call, key: ProgramKey) -> None:
        """Raise, since the switch `no_tracing` is on.

        Raises:
            TracingError: says for which types, and why again.
        """
        raise TracingError(
            f"{said_of_tracing(self._tracing(call, key, True), 'would be traced')}, "
            "while no_tracing is on.",
            where=called_at(),
            mend="Call it with these types before, or with those of before; or leave "
            "the block.",
        )

    def _tracing(self, call: Call, key: ProgramKey, kept: bool) -> Tracing:
        """Describe how the function is traced, for logs and errors."""
        last = next(reversed(self._programs), None)
        before = None if last is None else ProgramKey(*last)
        static = [*key.statics, *(before.statics if before else ())]
        names = {k: k if isinstance(k, str) else self._argument(k) for k, *_ in static}
        place, leaves = defined_at(self.__wrapped__), self._names(call)
        return Tracing(self._name, place, key, before, leaves, names, kept)

    def _stage_anew(self, call: Call, avals: Sequence[Aval]) -> Staged:
        static = dict(call.statics)
        named = {n: x for n, x in static.items() if isinstance(n, str)}
        out_trees: list[tree.TreeDef] = []
        who = f"the output of {self._name}"

        def flat(*values: Value) -> list[Value]:
            args, kwargs = call.treedef.unflatten(values)
            args = [static[i] if i in static else x for i, x in enumerate(args)]
            out = self.__wrapped__(*args, **kwargs, **named)
            outs, out_tree = tree.flatten(out)
            out_trees.append(out_tree)
            return [as_value(x, who) for x in outs]

        closed = stage_flat(flat, avals, self._name, lambda: self._names(call))
        return Staged(closed, out_trees[0])

    def _names(self, call: Call) -> list[str]:
        """Give the leaves' names in the user's code."""
        named = [
            path[2:].replace("']", "", 1) for path in tree.path_strings(call.kwargs)
        ]
        return [*leaf_names(self.__wrapped__, call.args), *named]

    def _avals(self, call: Call) -> tuple[Aval, ...]:
        """Give the types of the leaves.

        Raises:
            NotAnArrayError: a leaf is no array; names the argument.
        """
        try:
            return tuple([leaf_aval(x) for x in call.leaves])
        except NotAnArrayError:
            for x, name in zip(call.leaves, self._names(call)):
                as_value(x, f"argument {name} of the compiled {self._name}")
            raise

    def _check_hashable(self, key: int | str, value: Any, error: Exception) -> None:
        try:
            hash(value)
        except TypeError:
            name = key if isinstance(key, str) else self._argument(key)
            raise StaticArgumentError(
                f"static argument {name} of {self._name} is a "
                f"{type(value).__name__}, which cannot be hashed.",
                where=called_at(),
                mend="Give a hashable value, such as a tuple in place of a list; pass "
                "arrays as ordinary arguments.",
            ) from error

    def _argument(self, position: int) -> str:
        names = positional_names(self.__wrapped__)
        return names[position] if position < len(names) else f"number {position}"

    # -- looking inside --------------------------------------------------------------

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """Write the function down for these arguments, which may be stand-ins.

        Returns:
            An object with the `jaxpr`, the result's `out_info`, and `lower()`.
        """
        call = self._take_apart(args, kwargs)
        closed, out_tree = self._stage(call)
        donated = tuple([False] * len(closed.consts) + self._donated(call))
        return Traced(closed, call.treedef, out_tree, donated, self._keep_unused)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """Write the function as StableHLO for these arguments, or stand-ins for them.

        Returns:
            An object with `as_text()`, `compile()` and `cost_analysis()`.
        """
        return self.trace(*args, **kwargs).lower()

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Give the result's tree of `ShapeDtypeStruct`s; nothing is computed."""
        return self.trace(*args, **kwargs).out_info

    def clear_cache(self) -> None:
        """Forget every program that the function was compiled to."""
        self._programs.clear()
        self._dispatch = self._first_call

    def _cache_size(self) -> int:
        """Count the types of arguments that the function was staged for."""
        return len(self._programs)


def programs_of(f: Callable[..., Any]) -> dict[Any, Staged]:
    """Give what a function was staged to for each type of arguments, kept on itself.

    So a second `jit(f)` need not stage or compile again, and the programs go with the
    function even where one of them refers to it, as a custom rule may.
    """
    if type(f) is not types.FunctionType:
        return {}
    # Wrappers copy attributes: these are another function's then.
    owner, programs = f.__dict__.get(_PROGRAMS, (None, {}))
    if owner is None or owner() is not f:
        programs = {}
        f.__dict__[_PROGRAMS] = (weakref.ref(f), programs)
    return programs  # type: ignore[no-any-return]


def leaf_aval(x: Any) -> Aval:
    """Give the type of an argument's leaf: a value, or a stand-in for one."""
    kind = type(x)
    if kind is Array:
        return x.aval  # type: ignore[no-any-return]
    if kind in SCALARS:
        return Aval((), dtypes.scalar_dtype(kind), kind is not bool)
    if isinstance(x, (np.ndarray, np.generic)):
        return Aval(x.shape, dtypes.canonical(x.dtype))
    return input_aval(x, "jit")


def positional_names(f: Callable[..., Any]) -> list[str]:
    """Give the names of a function's positional parameters, [] if unknown."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in kinds]


def numbers_and_names(
    f: Callable[..., Any],
    numbers: int | Sequence[int] | None,
    names: str | Sequence[str] | None,
    what: str,
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Complete positions of parameters by their names, and the other way round.

    Raises:
        StaticArgumentError: `f` has no such parameter.
    """
    wanted = (numbers,) if isinstance(numbers, int) else tuple(numbers or ())
    titles = (names,) if isinstance(names, str) else tuple(names or ())
    try:
        parameters = inspect.signature(f).parameters
    except (TypeError, ValueError):
        return wanted, titles
    known = positional_names(f)
    kinds = {p.kind for p in parameters.values()}
    count = len(known)
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        wrong: list[Any] = [n for n in wanted if not -count <= n < count]
    else:
        wrong = [n for n in wanted if n < -count]
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        wrong += [n for n in titles if n not in parameters]
    if wrong:
        raise StaticArgumentError(
            f"{what} names {wrong[0]!r}, but {name_of(f)} has the parameters "
            f"({', '.join(parameters)}).",
            where=called_at(),
            mend="Give positions or names of its parameters.",
        )
    positions = {n % count if n < 0 else n for n in wanted}
    positions |= {known.index(n) for n in titles if n in known}
    all_titles = dict.fromkeys(titles)
    all_titles.update({known[n]: None for n in sorted(positions) if n < count})
    return tuple(sorted(positions)), tuple(all_titles)


def jit(
    fun: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Sequence[str] | None = None,
    inline: bool = False,
    keep_unused: bool = False,
) -> Any:
    """Compile a function, once for each type of its arguments.

    The function runs once on traced values, and what it does to them is compiled as a
    whole; later calls with arguments of the same shapes and dtypes run that program. So
    its effects on anything else happen once, and it cannot branch on values: use
    `lax.cond` or mark the argument static.

    Args:
        fun: a function of pytrees of arrays; without it, `jit` gives a decorator.
        static_argnums: positions of hashable arguments that are part of the program:
            another value means another compilation.
        static_argnames: the same by name; each of the two is completed by the other.
        donate_argnums: positions of arguments whose memory results may reuse. The
            arrays given there cannot be used afterwards.
        donate_argnames: the same by name.
        inline: inside another staged function, leave no operation of its own.
        keep_unused: let the program take arguments that no result needs.

    Returns:
        A function like `fun`, with the methods `lower`, `trace`, `eval_shape` and
        `clear_cache`.

    Raises:
        StaticArgumentError: a static argument cannot be hashed or does not exist.

    Example:
        >>> import pullback.numpy as jnp
        >>> double = jit(lambda x: x + x)
        >>> double(jnp.arange(3))
        Array([0, 2, 4], dtype=int32)
    """
    if fun is None:
        return functools.partial(
            jit,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            donate_argnums=donate_argnums,
            donate_argnames=donate_argnames,
            inline=inline,
            keep_unused=keep_unused,
        )
    check_callable(fun, "jit")
    static = numbers_and_names(
        fun, static_argnums, static_argnames, "jit: static_argnums"
    )
    donated = numbers_and_names(
        fun, donate_argnums, donate_argnames, "jit: donate_argnums"
    )
    return Jit(fun, static, donated, inline, keep_unused).function()
