"""Compiled programs: run, asked for their costs, and described to the C++ call path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pullback.core.aval import Aval
from pullback.core.trace import EVAL, using
from pullback.errors import BackendError

if TYPE_CHECKING:
    from pullback.backend.xla import Backend

#: A device buffer, a NumPy value or a Python scalar.
Buffer = Any


class FastCall(NamedTuple):
    """What the C++ call path needs to repeat a call by itself.

    Fields:
        executable: what to run.
        consts: buffers that go before the arguments.
        kept: for each flat argument, whether the program takes it.
        out_tree: the tree of the result, as `Backend.result_tree` gives it.
    """

    executable: Executable
    consts: Sequence[Buffer]
    kept: Sequence[bool]
    out_tree: Any


class Executable:
    """A compiled program on its device.

    Args:
        backend: where it runs.
        loaded: the compiler's own object.
        out_avals: the types of its results.
        raised: where its callbacks leave the exceptions that they raise.
    """

    __slots__ = ("backend", "calls_back", "handlers", "loaded", "out_avals", "raised")

    def __init__(
        self,
        backend: Backend,
        loaded: Any,
        out_avals: Sequence[Aval],
        calls_back: bool,
        raised: list[BaseException],
    ) -> None:
        self.backend = backend
        self.loaded = loaded
        self.out_avals = list(out_avals)
        self.handlers = [backend.result_handler(a) for a in out_avals]
        self.calls_back = calls_back
        self.raised = raised

    def __call__(self, buffers: Sequence[Buffer]) -> list[Buffer]:
        """Run on device buffers; the results may still be under way."""
        if self.calls_back:
            return self._call_and_wait(buffers)
        try:
            results = self.loaded.execute_sharded(buffers)
        except (self.backend.runtime_error, ValueError) as error:
            raise explain(error, buffers) or error from None
        return results.consume_with_handlers(self.handlers)  # type: ignore[no-any-return]

    def _call_and_wait(self, buffers: Sequence[Buffer]) -> list[Buffer]:
        """Run a program with callbacks to its end, and raise what they raised."""
        self.raised.clear()
        try:
            results = self.loaded.execute_sharded(buffers, with_tokens=True)
            token = results.consume_token()
            outs: list[Buffer] = results.consume_with_handlers(self.handlers)
            token.block_until_ready()
            for out in outs:
                out.block_until_ready()
        except (self.backend.runtime_error, ValueError) as error:
            if self.raised:
                raise self.raised[0] from None
            raise explain(error, buffers) or error from None
        return outs

    def text(self) -> str:
        """Give the optimised program as HLO text."""
        return "\n\n".join(m.to_string() for m in self.loaded.hlo_modules())

    def cost_analysis(self) -> dict[str, float]:
        """Give the compiler's count of operations and bytes."""
        return dict(self.loaded.cost_analysis())

    def memory_analysis(self) -> Any:
        """Give the bytes of arguments, results and temporaries."""
        return self.loaded.get_compiled_memory_stats()


def guarded(
    callback: Callable[..., Any], raised: list[BaseException]
) -> Callable[..., Any]:
    """Wrap a callback: it runs outside of all transformations, and errors are kept."""

    def run(*args: Any) -> Any:
        try:
            with using(EVAL), np.errstate(all="ignore"):
                return callback(*args)
        except BaseException as error:
            raised.append(error)
            raise

    return run


def explain(error: Exception, buffers: Sequence[Buffer]) -> BackendError | None:
    """Make our error of one of the runtime's, for a call with these buffers."""
    if any(getattr(b, "is_deleted", bool)() for b in buffers):
        return donated_error()
    if type(error).__module__.startswith("jaxlib"):
        return BackendError(f"the compiled program failed: {error}")
    return None


def donated_error() -> BackendError:
    """Make the error for an array whose memory was given away."""
    return BackendError(
        "an array was used after it had been given to an argument in donate_argnums "
        "or donate_argnames, or deleted; its memory now holds something else.",
        mend="Use the result of that call instead, pass a copy, or do not donate.",
    )
