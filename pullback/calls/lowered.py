"""What a jitted function is on its way to the machine: traced, lowered, compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pullback import tree
from pullback.backend.executable import FastCall
from pullback.backend.lower import lower
from pullback.backend.options import Options
from pullback.backend.xla import backend
from pullback.calls.executable import (
    CompiledJaxpr,
    compile_jaxpr,
    needed_part,
    raise_explained,
)
from pullback.calls.jit_call import JitCall
from pullback.config import config
from pullback.core.aval import ShapeDtypeStruct
from pullback.core.calling import as_value
from pullback.core.jaxpr import ClosedJaxpr
from pullback.core.origin import called_at
from pullback.core.trace import aval_of
from pullback.errors import ArgumentError


class Traced:
    """A function written down as a jaxpr for one type of arguments.

    Args:
        jaxpr: the program, with the arrays it captured.
        in_tree: the structure of `(args, kwargs)`, None in place of static ones.
        out_tree: the structure of the result.
        donated: for each input, whether its memory is given away.
        keep_unused: whether inputs that no result needs are kept.
    """

    __slots__ = ("donated", "in_tree", "jaxpr", "keep_unused", "out_tree")

    def __init__(
        self,
        jaxpr: ClosedJaxpr,
        in_tree: tree.TreeDef,
        out_tree: tree.TreeDef,
        donated: tuple[bool, ...],
        keep_unused: bool,
    ) -> None:
        self.jaxpr = jaxpr
        self.in_tree = in_tree
        self.out_tree = out_tree
        self.donated = donated
        self.keep_unused = keep_unused

    @property
    def out_info(self) -> Any:
        """The result's tree of `ShapeDtypeStruct`s."""
        avals = self.jaxpr.out_avals
        return self.out_tree.unflatten(
            [ShapeDtypeStruct(a.shape, a.dtype) for a in avals]
        )

    def lower(self) -> Lowered:
        """Write the program as StableHLO."""
        return Lowered(self)


class Lowered:
    """A function as StableHLO.

    Args:
        traced: what it was made of.
    """

    __slots__ = ("traced",)

    def __init__(self, traced: Traced) -> None:
        self.traced = traced

    @property
    def out_info(self) -> Any:
        """The result's tree of `ShapeDtypeStruct`s."""
        return self.traced.out_info

    def as_text(self) -> str:
        """Give the program as the compiler receives it."""
        traced = self.traced
        smaller, kept = needed_part(traced.jaxpr.jaxpr, traced.keep_unused)
        donated = [d for d, k in zip(traced.donated, kept) if k]
        return lower(smaller, donated).text

    def compile(self, compiler_options: Mapping[str, Any] | None = None) -> Compiled:
        """Compile the program.

        Args:
            compiler_options: the compiler's debug options by name, such as
                `xla_backend_optimization_level`; by default they are chosen by the
                shape of the program.
        """
        options: Options | None = None
        if compiler_options is not None:
            options = tuple(sorted(compiler_options.items()))
        traced = self.traced
        compiled = compile_jaxpr(
            traced.jaxpr.jaxpr, traced.donated, traced.keep_unused, options
        )
        return Compiled(traced, compiled)

    def cost_analysis(self) -> dict[str, float]:
        """Give the compiler's count of operations and bytes; compiles."""
        return self.compile().cost_analysis()


class Compiled:
    """A function compiled for one type of arguments; call it with such ones.

    Args:
        traced: what it was made of.
        compiled: the executable.
    """

    __slots__ = ("__weakref__", "_dispatch", "compiled", "traced")

    def __init__(self, traced: Traced, compiled: CompiledJaxpr) -> None:
        self.traced = traced
        self.compiled = compiled
        # The C++ call path, once there is one.
        self._dispatch: Callable[..., Any] | None = None

    @property
    def out_info(self) -> Any:
        """The result's tree of `ShapeDtypeStruct`s."""
        return self.traced.out_info

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run on arguments without the static ones.

        Raises:
            ArgumentError: they are not of the types it was compiled for.
        """
        dispatch = self._dispatch or self._first_call()
        try:
            return dispatch(*args, **kwargs)
        except (ValueError, RuntimeError) as error:
            raise_explained(error, args, kwargs)
            raise

    def _first_call(self) -> Callable[..., Any]:
        """Give what calls: the C++ path where it is switched on and works."""
        if config.call_path != "fast" or not backend().fast_path_works():
            return self._through_python
        name = self.traced.jaxpr.jaxpr.name
        self._dispatch = backend().dispatcher(name, self._through_python, self._miss)
        return self._dispatch

    def _through_python(self, *args: Any, **kwargs: Any) -> Any:
        return self._miss(args, kwargs)[0]

    def _miss(self, args: Any, kwargs: Any) -> tuple[Any, FastCall | None]:
        """Call through Python; and say how C++ can repeat the call, if it can."""
        closed = self.traced.jaxpr
        leaves = tree.leaves((args, kwargs))
        values = [as_value(x) for x in leaves]
        given, wanted = [aval_of(x) for x in values], closed.in_avals
        if len(given) != len(wanted) or not all(map(matching, given, wanted)):
            raise ArgumentError(
                f"a compiled {closed.jaxpr.name} was called with types "
                f"({', '.join(map(str, given))}); it takes "
                f"({', '.join(map(str, wanted))}).",
                where=called_at(),
                mend="Convert the arguments, leave static ones out, or call the jitted "
                "function, which compiles for any types.",
            )
        primitive = JitCall(closed.jaxpr.name, closed.jaxpr)
        return self.compiled.call_as(
            self.traced.out_tree, closed.consts, (args, kwargs), leaves, primitive
        )

    def as_text(self) -> str:
        """Give the optimised program as HLO text."""
        return self.compiled.executable.text()

    def cost_analysis(self) -> dict[str, float]:
        """Give the compiler's count of operations and bytes."""
        return self.compiled.executable.cost_analysis()

    def memory_analysis(self) -> Any:
        """Give the bytes of arguments, results and temporaries."""
        return self.compiled.executable.memory_analysis()


def matching(given: Any, wanted: Any) -> bool:
    """Whether two types agree but for the weak flag."""
    return bool(given.matches(wanted))
