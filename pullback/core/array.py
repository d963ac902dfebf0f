"""Arrays: immutable, over NumPy memory on the host or a buffer of the compiler."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval, common_aval
from pullback.errors import ArgumentError, DeletedArrayError

#: The Python types that operations take beside arrays.
SCALARS = frozenset((bool, int, float, complex))


class Operators:
    """An array, or a traced value that stands for one; holds their operators.

    Users see it as `Array` and `numpy.ndarray`. `x + y` means NumPy's `+`, which is
    defined in a higher layer. `fill_operators` is the one upward link of the library;
    `numpy.operators` calls it once.
    """

    __slots__ = ()


def fill_operators(methods: dict[str, Callable[..., Any] | property]) -> None:
    """Give arrays and tracers their operators and methods.

    Raises:
        RuntimeError: they were filled before.
    """
    for name, method in methods.items():
        if name in Operators.__dict__ and name not in ("__hash__", "__eq__"):
            raise RuntimeError(f"operator {name} was filled before")
        setattr(Operators, name, method)


def exchange_operators(methods: dict[str, Callable[..., Any]]) -> None:
    """Put other methods in place of some operators that were filled before."""
    for name, method in methods.items():
        setattr(Operators, name, method)


def fetch_device_buffer(buffer: Any) -> Any:
    """Give a host view of a device buffer through the buffer protocol."""
    buffer.block_until_ready()
    return np.asarray(memoryview(buffer))


def _yes() -> bool:
    return True


def _no() -> bool:
    return False


class Deleted:
    """Stands for the buffer of an array that let go of it.

    Args:
        aval: the array's type.
    """

    __slots__ = ("aval",)

    def __init__(self, aval: Aval) -> None:
        self.aval = aval

    def is_deleted(self) -> bool:
        """Say that there is no value."""
        return True

    def block_until_ready(self) -> None:
        """Raise: every way to the value comes by here.

        Raises:
            DeletedArrayError: always.
        """
        raise DeletedArrayError(
            f"the value of an array of type {self.aval} was asked for after the array "
            "was deleted.",
            mend="Call delete() after the last use.",
        )


class Array(Operators):
    """An immutable array.

    `buffer` is what the compiled call path finds in this array: a NumPy array or
    scalar, or a device buffer. `host` is the NumPy value once known.
    Make arrays with `pullback.numpy.array`, not with this constructor, which takes what
    C++ gives it: the only buffer in a tuple.
    """

    __slots__ = ("__weakref__", "buffer", "host", "weak")

    __array_priority__ = 100

    def __init__(self, weak: bool | None, buffers: tuple[Any]) -> None:
        self.weak = weak
        (self.buffer,) = buffers
        self.host: Any = None

    def fetch(self) -> Any:
        """Give the NumPy value, converted at most once."""
        if self.host is None:
            value = self.buffer
            if isinstance(value, (np.ndarray, np.generic)):
                self.host = value
            elif type(value) in SCALARS:
                self.host = dtypes.scalar_dtype(type(value)).type(value)
            elif type(value) is Deleted:
                value.block_until_ready()
            else:
                self.host = to_host[0](value)
        return self.host

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        host = self.host
        return (self.buffer.aval if host is None else host).shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> dtypes.Dtype:
        """The dtype."""
        host = self.host
        return (self.buffer.aval if host is None else host).dtype  # type: ignore[no-any-return]

    @property
    def aval(self) -> Aval:
        """The type of the array."""
        host = self.host
        if host is None:
            return self.buffer.aval  # type: ignore[no-any-return]
        return common_aval(host.shape, host.dtype, bool(self.weak))

    @property
    def weak_type(self) -> bool:
        """Whether the dtype came from a Python scalar and yields to others."""
        return bool(self.weak)

    def concrete(self) -> Array:
        """Give the array itself: it is no tracer."""
        return self

    def block_until_ready(self) -> Array:
        """Wait until the value has been computed, and give the array."""
        if self.host is None and hasattr(self.buffer, "block_until_ready"):
            self.buffer.block_until_ready()
        return self

    def copy_to_host_async(self) -> None:
        """Begin to copy the value to the host; `numpy.asarray` then waits less."""
        if self.host is None:
            begin_to_host[0](self.buffer)

    def is_ready(self) -> bool:
        """Whether the value has been computed."""
        return self.host is not None or bool(getattr(self.buffer, "is_ready", _yes)())

    def is_deleted(self) -> bool:
        """Whether `delete` was called, or the buffer was donated to a program."""
        return bool(getattr(self.buffer, "is_deleted", _no)())

    def delete(self) -> None:
        """Let go of the memory; only shape and dtype can be asked for afterwards.

        It is freed once no NumPy array shares it.
        """
        if not self.is_deleted():
            self.host, self.buffer = None, Deleted(self.aval)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        value = self.fetch()
        out = np.asarray(np.asarray(value), dtype, copy=copy)
        if out is value:
            out = out.view()
            out.flags.writeable = False
        return out

    def __bool__(self) -> bool:
        return bool(self.fetch())

    def __int__(self) -> int:
        return int(self.fetch())

    def __float__(self) -> float:
        return float(self.fetch())

    def __complex__(self) -> complex:
        return complex(self.fetch())

    def __index__(self) -> int:
        return operator.index(self.fetch())

    def item(self, *index: int) -> Any:
        """Give one element as a Python scalar."""
        return self.fetch().item(*index)

    def tolist(self) -> Any:
        """Give the elements as nested lists of Python scalars."""
        return self.fetch().tolist()

    def tobytes(self) -> bytes:
        """Give the elements' bytes in row-major order."""
        return self.fetch().tobytes()  # type: ignore[no-any-return]

    def __dlpack__(self, **options: Any) -> Any:
        return np.array(self.fetch()).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __hash__(self) -> int:
        """Refuse: equal arrays would need equal hashes, and `==` is elementwise."""
        raise ArgumentError(
            "an Array cannot be hashed, so it cannot be a static argument, a "
            "dictionary key or a member of a set.",
            mend="Pass it as an ordinary argument, or use float(x), int(x) or "
            "x.tobytes() as the key.",
        )

    def __reduce__(self) -> Any:
        return from_host, (np.array(self.fetch()), self.weak)

    def __copy__(self) -> Array:
        return self

    def __deepcopy__(self, memo: Any) -> Array:
        return self

    def __str__(self) -> str:
        return str(self.fetch())

    def __format__(self, spec: str) -> str:
        return format(self.fetch()[()], spec)

    def __repr__(self) -> str:
        """Show the elements and dtype as NumPy does, under our name."""
        value = np.asarray(self.fetch())
        if value.dtype == dtypes.float0:
            return f"Array(no numbers, shape={value.shape}, dtype=float0)"
        suffix = f", dtype={value.dtype.name})"
        body = np.array2string(value, separator=", ", prefix="Array(", suffix=suffix)
        weak = ", weak_type=True" if self.weak else ""
        empty = f", shape={value.shape}" if value.size == 0 and value.ndim > 1 else ""
        return f"Array({body}{empty}, dtype={value.dtype.name}{weak})"


#: How the copy of a device buffer begins; the backend replaces the only entry.
begin_to_host: list[Callable[[Any], None]] = [lambda buffer: None]
#: How a device buffer becomes a NumPy value; the backend replaces the only entry.
to_host: list[Callable[[Any], Any]] = [fetch_device_buffer]


def from_host(value: Any, weak: bool | None = None) -> Array:
    """Wrap a NumPy array or scalar that nobody else will write to."""
    out: Array = _new(Array)
    out.host = value
    out.buffer = value
    out.weak = weak or None
    return out


_new = object.__new__
