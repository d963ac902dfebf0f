"""The current trace, the tracers it makes, and evaluation as the outermost trace."""

from __future__ import annotations

import contextvars
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback import dtypes
from pullback.core.array import SCALARS, Array, Operators, from_host
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.errors import (
    ConcretizationError,
    LeakedTracerError,
    NotAnArrayError,
    PullbackError,
    TracerArrayError,
    TracerBoolError,
    TracerIntegerError,
)

if TYPE_CHECKING:
    from pullback.core.primitive import Primitive

#: An array, a traced value, or a Python scalar.
Value = Any
#: Anything the user passes as a leaf of a pytree.
Leaf = Any
#: Names of mapped axes, each with the length of its axis.
Axes = tuple[tuple[Any, int], ...]

# NumPy keeps its floating-point error mode in a context variable; setting the prepared
# mode directly costs a fifth of `with np.errstate(...)`, on every eager operation.
_errors: contextvars.ContextVar[Any]
_errors = importlib.import_module("numpy._core.umath")._extobj_contextvar
with np.errstate(all="ignore"):
    _IGNORE = _errors.get()


class Trace:
    """What is done with each operation that is applied while this trace is current.

    `records` says that operations on tangents are written down, to be transposed;
    `passes_on`, that operations on values of no trace go to the parent as they are.
    """

    __slots__ = ()

    records = False
    passes_on = False

    @property
    def axes(self) -> Axes:
        """The names of mapped axes that are bound here, the innermost first."""
        parent = getattr(self, "parent", None)
        return () if parent is None else parent.axes

    @property
    def notes_indices(self) -> bool:
        """Whether an index out of bounds is noted, and no error at once."""
        parent = getattr(self, "parent", None)
        return parent is not None and parent.notes_indices

    @property
    def computes(self) -> bool:
        """Whether operations on arrays are computed at once, and in no program."""
        parent = getattr(self, "parent", None)
        return parent is not None and parent.computes

    @property
    def at_once(self) -> bool:
        """Whether NumPy computes what is applied to arrays, and nobody looks on."""
        return self.passes_on and self.parent.at_once  # type: ignore[attr-defined]

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Apply an operation; a list of values if it has several results."""
        raise NotImplementedError

    def apply_linear(self, primitive: Primitive, tangent: Value, aval: Aval) -> Value:
        """Apply an operation linear in its only operand, to give a value of a type."""
        return self.apply(primitive, (tangent,))


class Tracer(Operators):
    """A value that belongs to one trace and records what is done with it."""

    __slots__ = ("__weakref__",)

    aval: Aval

    # NumPy arrays give way to tracers in binary operators.
    __array_priority__ = 200

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self.aval.shape

    @property
    def dtype(self) -> dtypes.Dtype:
        """The dtype."""
        return self.aval.dtype

    @property
    def weak_type(self) -> bool:
        """Whether the dtype came from a Python scalar and yields to others."""
        return self.aval.weak

    def concrete(self) -> Any:
        """Give the array behind this tracer if there is one, else None."""
        return None

    def describe(self) -> str:
        """Say in a phrase what is known of this value and which argument made it."""
        return f"a traced value of type {self.aval}"

    def __bool__(self) -> bool:
        """Give the truth of a value that is concrete after all, else raise."""
        value = self.concrete()
        return bool(value) if value is not None else self.refuse(TracerBoolError, _BOOL)

    def __int__(self) -> int:
        """Give the integer if the value is concrete after all, else raise."""
        value = self.concrete()
        if value is None:
            self.refuse(TracerIntegerError, _INT)
        return int(value)

    __index__ = __int__

    def __float__(self) -> float:
        """Give the float if the value is concrete after all, else raise."""
        value = self.concrete()
        return (
            float(value)
            if value is not None
            else self.refuse(ConcretizationError, _SCALAR)
        )

    def __complex__(self) -> complex:
        """Give the complex number if the value is concrete after all, else raise."""
        value = self.concrete()
        return (
            complex(value)
            if value is not None
            else self.refuse(ConcretizationError, _SCALAR)
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Refuse: NumPy would lose the derivative, the batch axis or the program."""
        self.refuse(TracerArrayError, _NUMPY)

    def item(self) -> Any:
        """Give the Python scalar if the value is concrete after all, else raise."""
        value = self.concrete()
        return (
            value.item()
            if value is not None
            else self.refuse(ConcretizationError, _SCALAR)
        )

    tolist = item

    def refuse(self, error: type[ConcretizationError], reason: tuple[str, str]) -> Any:
        """Raise the error for a use that needs the value itself."""
        what, mend = reason
        raise error(
            f"{what} was asked of {self.describe()}.", where=called_at(), mend=mend
        )

    # By identity, in C: recorded programs look tracers up all the time.
    __hash__ = object.__hash__

    def __copy__(self) -> Tracer:
        return self

    def __deepcopy__(self, memo: Any) -> Tracer:
        return self

    def __reduce__(self) -> Any:
        """Refuse to be pickled."""
        self.refuse(ConcretizationError, ("Pickling", "Pickle the result instead."))

    def __repr__(self) -> str:
        """Show the kind of trace and the type."""
        return f"{type(self).__name__}<{self.aval}>"

    __str__ = __repr__


_BOOL = (
    "A Python truth value (if, while, and, or, not)",
    "Use lax.cond or jnp.where for a branch, lax.while_loop for a loop, `&`, `|`, `~` "
    "for logic; or mark the argument static with static_argnums.",
)
_INT = (
    "A Python integer",
    "Use the traced value in array operations only, or mark the argument static with "
    "static_argnums.",
)
_SCALAR = (
    "A Python number",
    "Keep it an array with pullback.numpy, return it, or look at it with debug.print.",
)
_NUMPY = (
    "A NumPy array",
    "Call pullback.numpy instead of numpy; for code that must be NumPy use external "
    "(with its own derivative rules) or pure_callback.",
)


class PrimalTracer(Tracer):
    """A value of the trace below, with what a derivative carries beside it."""

    __slots__ = ()

    primal: Value

    #: What is done with the value, for errors.
    state = "being differentiated"

    def concrete(self) -> Any:
        """Give the primal's array, if there is one."""
        inner = getattr(self.primal, "concrete", None)
        return self.primal if inner is None else inner()

    def describe(self) -> str:
        """Say that the value is being differentiated, and what is inside."""
        return f"a value of type {self.aval} {self.state}{within(self.primal)}"


def within(inner: Value) -> str:
    """Describe the value of a trace below, if it is traced too, for `describe`."""
    return f" inside {inner.describe()}" if isinstance(inner, Tracer) else ""


class EvalTrace(Trace):
    """The outermost trace: it computes at once, with NumPy."""

    __slots__ = ()

    computes = True

    at_once = True

    axes = ()

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Run the operation's `eager` rule on the arrays behind the operands."""
        if primitive.calls:
            token = current.set(self)
            try:
                return primitive.eager(*operands)
            finally:
                current.reset(token)
        raw = []
        weak = bool(operands)
        numbers = False
        for x in operands:
            kind = type(x)
            if kind is Array:
                host = x.host
                raw.append(x.fetch() if host is None else host)
                if weak and not x.weak:
                    weak = False
            elif kind in SCALARS:
                raw.append(x)
                numbers = True
            else:
                raw.append(unexpected_operand(primitive, x))
                weak = False
        if numbers:
            other = raw[0] if type(raw[-1]) in SCALARS else raw[-1]
            if type(other) in SCALARS or other.dtype.isbuiltin != 1:
                raw = fit_numbers(raw)
        token = _errors.set(_IGNORE)
        try:
            out = primitive.eager(*raw)
        except (TypeError, ValueError) as error:
            explain(primitive, operands, error)
            raise
        finally:
            _errors.reset(token)
        if primitive.weak_parameter or (weak and not primitive.keeps_weak):
            weak = primitive.weak_result(weak)
        if primitive.multiple:
            return [x if type(x) is Array else from_host(x, weak) for x in out]
        made: Array = _new(Array)  # as `from_host`, without the call
        made.host = out
        made.buffer = out
        made.weak = weak or None
        return made


_new = object.__new__


def quietly(function: Callable[..., Any], values: Sequence[Any]) -> Any:
    """Call a function of NumPy values, without warnings for what is nan or infinite."""
    token = _errors.set(_IGNORE)
    try:
        return function(*values)
    finally:
        _errors.reset(token)


def explain(
    primitive: Primitive, operands: tuple[Value, ...], error: Exception
) -> None:
    """Raise the operation's own error for operands NumPy refused, if it has one."""
    if isinstance(error, PullbackError):
        return
    try:
        primitive.abstract(*primitive.operand_avals(operands))
    except PullbackError as clear:
        raise clear from error


def fit_numbers(raw: list[Any]) -> list[Any]:
    """Make NumPy scalars of Python numbers where NumPy would give another dtype.

    Its own dtypes keep theirs; those it knows from elsewhere, such as bfloat16, would
    be widened; numbers alone would give no array.
    """
    for x in reversed(raw):
        if type(x) not in SCALARS:
            if x.dtype.isbuiltin == 1:
                return raw
            number = x.dtype.type
            return [number(y) if type(y) in SCALARS else y for y in raw]
    return [dtypes.scalar_dtype(type(x)).type(x) for x in raw]


def unexpected_operand(primitive: Primitive, x: Any) -> Any:
    """Take a NumPy operand, or explain why the operand cannot be used here."""
    if isinstance(x, (np.ndarray, np.generic)):
        return x
    if isinstance(x, Tracer):
        what = f"operation {primitive.name} got {x.describe()}, but"
        if is_running(getattr(x, "owner", None)):
            raise LeakedTracerError(
                f"{what} it runs outside of that transformation, in a function with "
                "custom rules or in another thread, and was not given the value.",
                where=called_at(),
                mend="Pass the value as an argument, or let the function capture it as "
                "a local variable: what stands in globals is not found.",
            )
        raise LeakedTracerError(
            f"{what} the transformation that made it has ended.",
            where=called_at(),
            mend="Return values from the transformed function instead of storing them "
            "in a global, an attribute or a list.",
        )
    raise NotAnArrayError(
        f"operation {primitive.name} got a value of type {type(x).__name__}: {x!r}.",
        where=called_at(),
        mend="Give arrays or numbers.",
    )


def is_running(trace: Trace | None) -> bool:
    """Whether some function that is running holds a trace: it has not ended."""
    if trace is None:
        return False
    for top in sys._current_frames().values():
        frame = top.f_back if top.f_code is is_running.__code__ else top
        while frame is not None:
            if any(x is trace for x in frame.f_locals.values()):
                return True
            frame = frame.f_back
    return False


EVAL = EvalTrace()
current: contextvars.ContextVar[Trace] = contextvars.ContextVar("trace", default=EVAL)
current_trace = current.get


#: What looks for values that outlive their trace: `debugging.leaks` fills it while the
#: switch `check_tracer_leaks` is on.
leak_watches: list[Any] = []


class using:
    """Make a trace the current one inside a `with` block."""

    __slots__ = ("token", "trace")

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __enter__(self) -> Trace:
        self.token = current.set(self.trace)
        return self.trace

    def __exit__(self, *_: object) -> None:
        current.reset(self.token)


def aval_of(x: Value) -> Aval:
    """Give the type of any value an operation takes."""
    kind = type(x)
    if kind is Array:
        return x.aval  # type: ignore[no-any-return]
    if kind in SCALARS:
        return Aval((), dtypes.scalar_dtype(kind), True)
    aval = getattr(x, "aval", None)
    if aval is not None:
        return aval  # type: ignore[no-any-return]
    return Aval(x.shape, x.dtype)
