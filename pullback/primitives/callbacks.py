"""Calls back into Python: pure functions of arrays, and effects such as printing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from pullback import dtypes, tree
from pullback.core.aval import Aval
from pullback.core.calling import as_value
from pullback.core.origin import called_at, defined_at, name_of
from pullback.core.primitive import Primitive, zeros_like_outputs
from pullback.core.trace import Value
from pullback.core.zero import is_zero
from pullback.errors import (
    ArgumentError,
    BatchError,
    MissingDerivative,
    ShapeError,
    TreeError,
)
from pullback.primitives.structural import (
    broadcast_new_axis,
    expand_axes,
    frozen,
    move_axis,
)

_METHODS = (
    "sequential",
    "sequential_unrolled",
    "expand_dims",
    "broadcast_all",
    "legacy_vectorized",
)


class HostFunction:
    """A Python function of trees of NumPy arrays as a parameter of an operation.

    Compared by the identity of the function and by the trees, so that staging the same
    code twice gives equal operations.

    Args:
        function: the user's function.
        in_tree: the structure of `(args, kwargs)`.
        out_tree: the structure of the result, None if the result is dropped.
    """

    __slots__ = ("function", "in_tree", "name", "origin", "out_tree")

    def __init__(
        self,
        function: Callable[..., Any],
        in_tree: tree.TreeDef,
        out_tree: tree.TreeDef | None,
    ) -> None:
        self.function = function
        self.in_tree = in_tree
        self.out_tree = out_tree
        self.name = name_of(function)
        self.origin = defined_at(function)

    def __call__(self, *leaves: Any) -> list[Any]:
        """Call the function on flat arrays and flatten what it gives."""
        rebuilt: Any = self.in_tree.unflatten([np.asarray(x) for x in leaves])
        args, kwargs = rebuilt
        out = self.function(*args, **kwargs)
        if self.out_tree is None:
            return []
        found, out_tree = tree.flatten(out)
        if out_tree != self.out_tree:
            raise TreeError(
                f"callback {self.name} returned {out_tree}; result_shape_dtypes has "
                f"{self.out_tree}.",
                where=f"Defined at {self.origin}.",
                mend="Return the containers that result_shape_dtypes declares.",
            )
        return list(found)

    def __eq__(self, other: object) -> bool:
        """Compare the function by identity, and the trees."""
        return (
            isinstance(other, HostFunction)
            and self.function is other.function
            and self.in_tree == other.in_tree
            and self.out_tree == other.out_tree
        )

    def __hash__(self) -> int:
        """Hash the identity of the function, and the trees."""
        return hash((id(self.function), self.in_tree, self.out_tree))

    def __repr__(self) -> str:
        """Show the name and where it was defined."""
        return f"{self.name} at {self.origin}"


@frozen
class HostLoop:
    """A function applied to each element along the leading axis of some operands.

    Args:
        body: the function of one element.
        mapped: for each operand, whether it has the axis.
        size: the length of the axis.
    """

    body: Any
    mapped: tuple[bool, ...]
    size: int

    @property
    def name(self) -> str:
        """The name of the innermost function."""
        return str(self.body.name)

    @property
    def origin(self) -> str:
        """Where the innermost function was defined."""
        return str(self.body.origin)

    def __call__(self, *leaves: Any) -> list[Any]:
        """Call the body for every element, and stack its results."""
        rows = [
            self.body(*[x[i] if m else x for x, m in zip(leaves, self.mapped)])
            for i in range(self.size)
        ]
        return [np.stack([np.asarray(x) for x in column]) for column in zip(*rows)]


def checked(function: Any, found: Sequence[Any], outs: Sequence[Aval]) -> list[Any]:
    """Cast what a callback returned to the declared dtypes, and check the shapes."""
    arrays = []
    for i, (x, out) in enumerate(zip(found, outs)):
        x = np.asarray(x)
        if x.shape != out.shape:
            raise ShapeError(
                f"callback {function.name} returned shape {x.shape} as result {i}; "
                f"result_shape_dtypes declares {out}.",
                where=f"Defined at {function.origin}.",
                mend="Return the declared shape, or declare the returned one.",
            )
        arrays.append(x.astype(out.dtype, copy=False))
    return arrays


def layout(avals: Sequence[Aval]) -> str:
    """Write row-major layouts for operands or results of a custom call."""
    parts = []
    for a in avals:
        order = ", ".join(map(str, range(a.ndim - 1, -1, -1)))
        inside = f"[{order}]" if a.ndim else ""
        parts.append(f"dense<{inside}> : tensor<{a.ndim}xindex>")
    return f"[{', '.join(parts)}]"


def emit_callback(
    ctx: Any,
    function: Callable[..., Sequence[Any]],
    operands: Sequence[Any],
    outs: Sequence[Aval],
    effect: bool,
) -> list[Any]:
    """Emit a call of a Python function of NumPy arrays.

    Args:
        ctx: the emitter.
        function: flat arrays to a sequence of arrays of the types `outs`.
        operands: what it is called with.
        outs: the types of the results.
        effect: whether it is called even if no result is used; such calls keep their
            order, each waiting for a number that the one before gives.
    """
    if effect:
        before = [x for lines, x in ctx.effects if lines is ctx.lines][-1:]
        count = len(operands)
        call = after_another(function, count)
        results = emit_call(ctx, call, [*operands, *before], [*outs, _SIGNAL], True)
        ctx.effects.append((ctx.lines, results[-1]))
        return results[:-1]
    return emit_call(ctx, function, operands, outs, False)


_SIGNAL = Aval((), dtypes.int32)


def after_another(
    function: Callable[..., Sequence[Any]], count: int
) -> Callable[..., Sequence[Any]]:
    """Let a function take one more operand, the signal, and give one more result."""
    return lambda *arrays: (*function(*arrays[:count]), np.int32(0))


def emit_call(
    ctx: Any,
    function: Callable[..., Sequence[Any]],
    operands: Sequence[Any],
    outs: Sequence[Aval],
    effect: bool,
) -> list[Any]:
    """Emit the call itself; arguments as `emit_callback`."""
    index = len(ctx.callbacks)
    ctx.callbacks.append(lambda *arrays: tuple(function(*arrays)))
    target = "gpu" if ctx.platform == "cuda" else "cpu"
    attributes = (
        f"api_version = 4 : i32, backend_config = {{index = {index} : ui64}}, "
        f'call_target_name = "xla_ffi_python_{target}_callback", '
        f"has_side_effect = {'true' if effect else 'false'}, "
        f"operand_layouts = {layout([x.aval for x in operands])}, "
        f"result_layouts = {layout(outs)}"
    )
    return list(ctx.emit_many("stablehlo.custom_call", operands, outs, attributes))


# -- results ---------------------------------------------------------------------------


@frozen
class PureCallback(Primitive):
    """Results of a Python function that depends on its arguments only."""

    function: Any
    outs: tuple[Aval, ...]
    vmap_method: str | None

    multiple = True

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def abstract(self, *avals: Aval) -> list[Aval]:
        return list(self.outs)

    def eager(self, *arrays: Any) -> Any:
        return checked(self.function, self.function(*arrays), self.outs)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        return emit_callback(ctx, self.eager, operands, self.outs, self.effects)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        if not all(is_zero(t) for t in tangents):
            name = self.function.name
            raise MissingDerivative(
                f"{self.name} of {name} has no derivative: Python code cannot be seen "
                f"into. {name} was defined at {self.function.origin}.",
                where=called_at(),
                mend="Wrap it with external(..., vjp=..., jvp=...), or call it in a "
                "function with custom_jvp or custom_vjp rules; stop_gradient on its "
                "arguments takes the derivative to be zero.",
            )
        out = self(*primals)
        return out, zeros_like_outputs(out)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        method = self.vmap_method
        if method is None:
            raise BatchError(
                f"vmap of {self.name} needs to know how to map {self.function.name}.",
                where=called_at(),
                mend="Give vmap_method='sequential' to call it for each element, or "
                "'expand_dims' or 'broadcast_all' if it takes a leading axis.",
            )
        moved = [x if d is None else move_axis(x, d, 0) for x, d in zip(operands, dims)]
        outs = tuple(Aval((size, *a.shape), a.dtype) for a in self.outs)
        function = self.function
        if method.startswith("sequential"):
            function = HostLoop(function, tuple(d is not None for d in dims), size)
        elif method == "expand_dims":
            moved = [
                expand_axes(x, [0]) if d is None else x for x, d in zip(moved, dims)
            ]
        elif method == "broadcast_all":
            moved = [
                broadcast_new_axis(x, size, 0) if d is None else x
                for x, d in zip(moved, dims)
            ]
        return type(self)(function, outs, method)(*moved), [0] * len(outs)


@frozen
class IOCallback(PureCallback):
    """Results of a Python function that is called exactly once, results used or not."""

    effects: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The name in jaxprs, the ecosystem's."""
        return "io_callback"


def pure_callback(
    f: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:
    """Call a pure Python function of NumPy arrays, under any transformation but grad.

    Args:
        f: a function of trees of NumPy arrays; it may be called any number of times.
        result_shape_dtypes: a tree of arrays or `ShapeDtypeStruct`s like the result.
        args: trees of arrays.
        vmap_method: how `vmap` maps it: "sequential" calls it for each element;
            "expand_dims" calls it once with a leading axis, of length one where an
            argument is not mapped; "broadcast_all" repeats such arguments;
            "legacy_vectorized" leaves them as they are; None is an error under `vmap`.
        kwargs: more trees of arrays.

    Returns:
        A tree of arrays like `result_shape_dtypes`.

    Raises:
        MissingDerivative: it is differentiated.

    Example:
        >>> import numpy as np
        >>> from pullback.core.aval import ShapeDtypeStruct
        >>> pure_callback(np.sin, ShapeDtypeStruct((), np.float32), 0.0)
        Array(0., dtype=float32)
    """
    if vmap_method is not None and vmap_method not in _METHODS:
        raise ArgumentError(
            f"pure_callback got vmap_method={vmap_method!r}.",
            where=called_at(),
            mend=f"Give one of {', '.join(map(repr, _METHODS))}.",
        )
    return _results(PureCallback, f, result_shape_dtypes, vmap_method, args, kwargs)


def io_callback(
    f: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    ordered: bool = False,
    **kwargs: Any,
) -> Any:
    """Call a Python function with effects; compiled programs call it exactly once.

    Args:
        f: a function of trees of NumPy arrays.
        result_shape_dtypes: a tree of arrays or `ShapeDtypeStruct`s like the result.
        args: trees of arrays.
        ordered: accepted for the ecosystem's sake; calls keep the program's order.
        kwargs: more trees of arrays.
    """
    method = None if ordered else "sequential"
    return _results(IOCallback, f, result_shape_dtypes, method, args, kwargs)


def _results(
    kind: type[PureCallback],
    f: Callable[..., Any],
    declared: Any,
    method: str | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Apply a callback operation to trees."""
    leaves: list[Any]
    leaves, in_tree = tree.flatten((args, kwargs))
    wanted, out_tree = tree.flatten(declared)
    outs = tuple(
        Aval(tuple(x.shape), dtypes.canonical(x.dtype))
        if hasattr(x, "dtype")
        else as_value(x, "result_shape_dtypes").aval
        for x in wanted
    )
    function = HostFunction(f, in_tree, out_tree)
    values = [as_value(x, f"an argument of {function.name}") for x in leaves]
    return out_tree.unflatten(kind(function, outs, method)(*values))


# -- effects ---------------------------------------------------------------------------


@frozen
class DebugCallback(Primitive):
    """A Python function called for its effect: it sees primal values only."""

    function: Any
    ordered: bool = False

    multiple = True
    effects = True

    def abstract(self, *avals: Aval) -> list[Aval]:
        return []

    def eager(self, *arrays: Any) -> Any:
        self.function(*arrays)
        return []

    def lower(self, ctx: Any, *operands: Any) -> Any:
        return emit_callback(ctx, self.eager, operands, [], True)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        return self(*primals), []

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        moved: list[Value] = [
            x if d is None else move_axis(x, d, 0) for x, d in zip(operands, dims)
        ]
        loop = HostLoop(self.function, tuple(d is not None for d in dims), size)
        return DebugCallback(loop, self.ordered)(*moved), []


def debug_callback(
    f: Callable[..., Any], *args: Any, ordered: bool = False, **kwargs: Any
) -> None:
    """Call a Python function for its effect, wherever the values become known.

    Under `jit` it is called when the program runs, under `vmap` once an element, under
    differentiation with the primal values.

    Args:
        f: a function of trees of NumPy arrays; what it returns is dropped.
        args: trees of arrays.
        ordered: accepted for the ecosystem's sake; calls keep the program's order.
        kwargs: more trees of arrays.
    """
    leaves: list[Any]
    leaves, in_tree = tree.flatten((args, kwargs))
    function = HostFunction(f, in_tree, None)
    values = [as_value(x, f"an argument of {function.name}") for x in leaves]
    DebugCallback(function, ordered)(*values)
