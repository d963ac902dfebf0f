"""Programs compiled and called with arrays, on whichever call path is switched on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes, tree
from pullback.backend.executable import Buffer, Executable, FastCall, explain
from pullback.backend.lower import lower
from pullback.backend.options import Options
from pullback.backend.xla import Backend, backend
from pullback.calls.compile_log import log_compiling
from pullback.config import config
from pullback.core.array import SCALARS, Array, from_host
from pullback.core.aval import Aval
from pullback.core.calling import as_value
from pullback.core.jaxpr import Jaxpr, evaluate, prune
from pullback.core.primitive import Primitive
from pullback.core.trace import EVAL, unexpected_operand, using
from pullback.errors import InfError, NanError

#: Bytes from which arrays go to the device through Python. The compiler copies those of
#: 100 kB or more in another thread, where C++ would not wait for the copy.
LARGE = 2**16


class CompiledJaxpr:
    """A program's executable, and how its operands and results fit it.

    Args:
        jaxpr: the whole program.
        executable: what was made of the part that its results need.
        kept: for each input, whether that part takes it.
        donated: for each input, whether its memory is given away.
    """

    __slots__ = ("donated", "executable", "jaxpr", "kept", "repeatable")

    def __init__(
        self,
        jaxpr: Jaxpr,
        executable: Executable,
        kept: Sequence[bool],
        donated: Sequence[bool],
    ) -> None:
        self.jaxpr = jaxpr
        self.executable = executable
        self.kept = kept
        self.donated = donated
        avals = [*jaxpr.in_avals, *jaxpr.out_avals]
        self.repeatable = not executable.calls_back and all(
            a.dtype != dtypes.float0 for a in avals
        )

    def __call__(self, values: Sequence[Any], primitive: Primitive) -> list[Array]:
        """Run on one value an input; `primitive` is named in errors."""
        outs = self.executable(self.buffers(values, primitive))
        return [wrap(b, a) for b, a in zip(outs, self.jaxpr.out_avals)]

    def call_as(
        self,
        out_tree: tree.TreeDef,
        consts: Sequence[Any],
        given: Any,
        leaves: Sequence[Any],
        primitive: Primitive,
    ) -> tuple[Any, FastCall | None]:
        """Run on a tree of arguments; and say how C++ can repeat the call, if it can.

        Args:
            out_tree: the structure of the result.
            consts: what goes before the arguments.
            given: the arguments and keyword arguments.
            leaves: the same, flat.
            primitive: the operation to name in errors.
        """
        values = [*consts, *leaves]
        fast = self._repeated(out_tree, len(consts), given, leaves)
        outs = self(values, primitive)
        if config.checks_values:
            refuse_values(self.jaxpr, values, outs)
        if fast is None:
            return out_tree.unflatten(outs), None
        out = fast.out_tree.unflatten([y.buffer for y in outs])
        return out, fast._replace(consts=self.buffers(consts, primitive))

    def _repeated(
        self, out_tree: tree.TreeDef, first: int, given: Any, leaves: Sequence[Any]
    ) -> FastCall | None:
        """Describe a call to the C++ path, without constants, if it can be."""
        if config.call_path != "fast" or config.checks_values or not self.repeatable:
            return None
        here = backend()
        if not here.same_leaves(given, leaves) or large_on_host(leaves):
            return None
        # Only on the host does C++ no longer read a NumPy array once it has returned:
        # the user may write to it; see
        # test_numpy_arguments_may_be_written_to_after_a_call.
        if here.platform != "cpu" and np.ndarray in map(type, leaves):
            return None
        numbered = numbered_arrays(self.jaxpr.out_avals)
        tree_of_calls = here.result_tree(out_tree.unflatten(numbered))
        if tree_of_calls is None:
            return None
        return FastCall(self.executable, (), self.kept[first:], tree_of_calls)

    def buffers(self, values: Sequence[Any], primitive: Primitive) -> list[Buffer]:
        """Move the needed ones of the first inputs' values to the device."""
        here = self.executable.backend
        inputs = zip(values, self.jaxpr.inputs, self.kept, self.donated)
        return [
            to_buffer(here, x, v.aval, donated, primitive)
            for x, v, kept, donated in inputs
            if kept
        ]


def wrap(buffer: Buffer, aval: Aval) -> Array:
    """Make an array of a device buffer."""
    if aval.dtype == dtypes.float0:
        return from_host(np.zeros(aval.shape, dtypes.float0))
    return Array(aval.weak or None, (buffer,))


def to_buffer(
    here: Backend, x: Any, aval: Aval, donated: bool, primitive: Primitive
) -> Buffer:
    """Give the device buffer of an operand; an array keeps it for the next call."""
    if aval.dtype == dtypes.float0:
        return here.put(np.zeros(aval.shape, np.bool_))
    if type(x) is Array:
        held = x.buffer
        if here.is_buffer(held):
            return held
        buffer = here.put(x.fetch(), x.aval)
        if not donated:
            x.buffer = buffer
            if here.platform == "cpu" and x.aval.nbytes >= LARGE:
                # The buffer may be a copy; then the array need not keep both.
                x.host = here.to_host(buffer)
        return buffer
    if type(x) in SCALARS:
        return here.put(x, aval)
    return here.put(unexpected_operand(primitive, x), aval, copy=True)


def compile_jaxpr(
    jaxpr: Jaxpr,
    donated: Sequence[bool] = (),
    keep_unused: bool = False,
    options: Options | None = None,
) -> CompiledJaxpr:
    """Compile a program, once.

    Args:
        jaxpr: the program.
        donated: for each input, whether its memory may be reused; () for none.
        keep_unused: take inputs that no result needs.
        options: the compiler's debug options; None to let the backend choose.
    """
    marks = tuple(donated) or (False,) * len(jaxpr.inputs)
    key = ("compiled", marks, keep_unused, options)
    found: CompiledJaxpr | None = jaxpr.cache.get(key)
    if found is None:
        here = backend()
        start, loaded = time.perf_counter(), here.counts["loaded"]
        smaller, kept = needed_part(jaxpr, keep_unused)
        given_away = [d for d, k in zip(marks, kept) if k]
        module = lower(smaller, given_away, here.platform)
        executable = here.compile(module, smaller.out_avals, options)
        found = jaxpr.cache[key] = CompiledJaxpr(jaxpr, executable, kept, marks)
        from_disk = here.counts["loaded"] > loaded
        seconds = time.perf_counter() - start
        log_compiling(jaxpr.name, smaller.in_avals, from_disk, seconds)
    return found


def needed_part(jaxpr: Jaxpr, keep_unused: bool) -> tuple[Jaxpr, list[bool]]:
    """Drop what no result needs; and for each input, whether it is still there."""
    if keep_unused:
        return jaxpr, [True] * len(jaxpr.inputs)
    return prune(jaxpr, [True] * len(jaxpr.outputs))


def interpret(jaxpr: Jaxpr, values: Sequence[Any]) -> list[Array]:
    """Run a program with NumPy, operation by operation."""
    with using(EVAL):
        outs = evaluate(jaxpr, [as_value(x) for x in values])
        return [as_value(y) for y in outs]


def run_jaxpr(jaxpr: Jaxpr, values: Sequence[Any], primitive: Primitive) -> list[Array]:
    """Run a program on arrays, NumPy values or Python scalars, compiled once.

    Args:
        jaxpr: the program.
        values: one an input.
        primitive: the operation to name in errors.
    """
    if config.call_path == "fast" and not config.disable_jit:
        call = jaxpr.cache.get("call")
        if call is None:
            call = jaxpr.cache["call"] = _repeating_call(jaxpr, primitive)
        return call(*values)
    return run_once(jaxpr, values, primitive)


def run_once(jaxpr: Jaxpr, values: Sequence[Any], primitive: Primitive) -> list[Array]:
    """Run a program through Python, compiled unless that is switched off."""
    if config.call_path == "numpy" or config.disable_jit:
        return interpret(jaxpr, values)
    outs = compile_jaxpr(jaxpr)(values, primitive)
    if config.checks_values:
        refuse_values(jaxpr, values, outs)
    return outs


def _repeating_call(jaxpr: Jaxpr, primitive: Primitive) -> Callable[..., list[Array]]:
    """Give a callable for the program that goes through C++ where it can."""

    def through_python(*values: Any) -> list[Array]:
        return run_once(jaxpr, values, primitive)

    here = backend()
    if not here.fast_path_works():
        return through_python

    def miss(args: Any, _: Any) -> tuple[Any, FastCall | None]:
        to_be_moved = large_on_host(args)
        outs = run_once(jaxpr, args, primitive)
        return outs, None if to_be_moved else fast_call(jaxpr)

    return here.dispatcher(jaxpr.name, through_python, miss)


def fast_call(jaxpr: Jaxpr) -> FastCall | None:
    """Describe a call with a flat list of results to the C++ path, if it can be."""
    if config.call_path != "fast" or config.disable_jit or config.checks_values:
        return None
    compiled = compile_jaxpr(jaxpr)
    if not compiled.repeatable:
        return None
    out_tree = backend().result_tree(numbered_arrays(jaxpr.out_avals))
    return FastCall(compiled.executable, (), compiled.kept, out_tree)


def numbered_arrays(avals: Sequence[Aval]) -> list[Array]:
    """Give an array for each result that holds its number, for `result_tree`."""
    return [Array(a.weak or None, (i,)) for i, a in enumerate(avals)]


def large_on_host(values: Sequence[Any]) -> bool:
    """Whether an array among the values is large, and not on the device yet.

    A call through Python moves an `Array` there for good, and a NumPy array before it
    returns; C++ would copy it at each call, and may return before it has.
    """
    held = (x.buffer if type(x) is Array else x for x in values)
    return any(isinstance(x, np.ndarray) and x.nbytes >= LARGE for x in held)


def raise_explained(error: Exception, args: Any, kwargs: Any) -> None:
    """Raise our error in place of one of the C++ call path's, where that is so."""
    buffers = [x.buffer for x in tree.leaves((args, kwargs)) if type(x) is Array]
    explained = explain(error, buffers)
    if explained is not None:
        raise explained from error


# -- nans and infinities ---------------------------------------------------------------


def holds_nan(x: Any) -> bool:
    """Whether an array is of floating-point or complex dtype and has a nan."""
    return dtypes.is_inexact(x.dtype) and bool(np.isnan(x.fetch()).any())


def holds_infinity(x: Any) -> bool:
    """Whether an array is of floating-point or complex dtype and has an infinity."""
    return dtypes.is_inexact(x.dtype) and bool(np.isinf(x.fetch()).any())


#: What runs a program to the first value that is refused, and raises there, or gives
#: the results; filled by `debugging.switch`.
nan_finder: list[Callable[[Jaxpr, Sequence[Any]], Sequence[Any]]] = [
    lambda jaxpr, values: ()
]


def refuse_values(jaxpr: Jaxpr, values: Sequence[Any], outs: Sequence[Array]) -> None:
    """Raise if a result has a nan or an infinity and the switches are against it.

    Raises:
        NanError: says which operation made the first nan, and on which line.
        InfError: says the same of an infinity; one that was given is let through.
    """
    nans = config.debug_nans and any(map(holds_nan, outs))
    if not nans and not (config.debug_infs and any(map(holds_infinity, outs))):
        return
    found = nan_finder[0](jaxpr, [as_value(x) for x in values])
    if nans:
        raise NanError(
            f"the compiled {jaxpr.name} gave a nan, which does not appear when it runs "
            "operation by operation.",
            mend="Look for inf - inf, 0 * inf or overflow near the limits of the "
            "dtype.",
        )
    if not any(holds_infinity(as_value(y)) for y in found):
        raise InfError(
            f"the compiled {jaxpr.name} gave an infinity, which does not appear when "
            "it runs operation by operation.",
            mend="Look for overflow near the limits of the dtype, and for divisors "
            "that are nearly zero.",
        )
