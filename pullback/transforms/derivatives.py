"""`grad`, `value_and_grad`, `jacfwd`, `jacrev`, `hessian`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from pullback import dtypes, tree
from pullback.core.aval import Aval
from pullback.core.calling import (
    argument_name,
    as_value,
    check_callable,
    normalize_positions,
)
from pullback.core.origin import called_at, name_of
from pullback.core.trace import Value, aval_of, current_trace
from pullback.core.zero import Zero
from pullback.errors import GradError
from pullback.primitives.diagonal import on_diagonal
from pullback.primitives.structural import (
    broadcast_new_axis,
    instantiate,
    move_axis,
    reshape,
)
from pullback.primitives.table import convert
from pullback.transforms.batch import batch_flat
from pullback.transforms.jvp import jvp_flat
from pullback.transforms.linearize import LinearProgram, linearize_flat
from pullback.transforms.transpose import backward
from pullback.transforms.vjp import (
    Flat,
    close_callable,
    flatten_arguments,
    seed_of,
    start,
    widen,
)

Argnums = int | Sequence[int]


def value_and_grad(
    fun: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """Give a function that computes `fun` and its gradient in one go.

    Args:
        fun: a function with a real scalar output (or `(scalar, aux)` with `has_aux`).
        argnums: the positional argument to differentiate, or a sequence of them.
        has_aux: `fun` returns `(output, aux)`.
        holomorphic: `fun` is complex and holomorphic.
        allow_int: give `float0` gradients for integer arguments instead of an error.

    Returns:
        A function of `fun`'s arguments giving `(value, gradient)`; value is
        `(output, aux)` with `has_aux`; gradient is a tuple for a sequence of argnums.

    Raises:
        GradError: an argument is of integer dtype, or the output is no real scalar.
    """
    check_callable(fun, "value_and_grad")

    @functools.wraps(
        fun, assigned=("__module__", "__name__", "__qualname__", "__doc__")
    )
    def value_and_grad_f(*args: Any, **kwargs: Any) -> Any:
        """Compute the value and the gradient."""
        value, gradient, aux = differentiate(
            fun, argnums, args, kwargs, has_aux, holomorphic, allow_int
        )
        return ((value, aux) if has_aux else value), gradient

    return value_and_grad_f


def differentiate(
    fun: Callable[..., Any],
    argnums: Argnums,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    has_aux: bool,
    holomorphic: bool,
    allow_int: bool,
) -> tuple[Value, Any, Any]:
    """Give the value of a scalar function, its gradient, and aux (None without)."""
    positions, chosen, partial = pick(fun, argnums, args, kwargs, "grad")
    values, in_tree, _ = flatten_arguments(chosen, fun, "grad")
    check_inputs(fun, positions, chosen, values, holomorphic, allow_int, "grad")
    flat = Flat(partial, in_tree, has_aux, "grad")
    # Without integers among them, every value has a tangent.
    outs, program = (start if allow_int else linearize_flat)(flat, values)
    seeds: list[Any] = [None] * len(outs)
    seeds[0] = seed_of(check_scalar(fun, flat, outs, holomorphic))
    found = backward(program, seeds, consume=True)
    if allow_int:
        found = widen(program, found)
    grads: Any = in_tree.unflatten([instantiate(c) for c in found])
    gradient = grads[0] if isinstance(argnums, int) else tuple(grads)
    aux = flat.split(outs)[1] if has_aux else None
    return outs[0], gradient, aux


def grad(
    fun: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """Give the gradient function of `fun`.

    Args:
        fun: a function with a real scalar output.
        argnums: the positional argument to differentiate, or a sequence of them.
        has_aux: `fun` returns `(output, aux)`; the result is `(gradient, aux)`.
        holomorphic: `fun` is complex and holomorphic.
        allow_int: give `float0` gradients for integer arguments instead of an error.

    Raises:
        GradError: an argument is of integer dtype, or the output is no real scalar.

    Example:
        >>> import pullback.numpy as jnp
        >>> print(grad(jnp.sin)(3.))
        -0.9899925
    """
    check_callable(fun, "grad")

    @functools.wraps(
        fun, assigned=("__module__", "__name__", "__qualname__", "__doc__")
    )
    def grad_f(*args: Any, **kwargs: Any) -> Any:
        """Compute the gradient."""
        _, gradient, aux = differentiate(
            fun, argnums, args, kwargs, has_aux, holomorphic, allow_int
        )
        return (gradient, aux) if has_aux else gradient

    return grad_f


def pick(
    f: Callable[..., Any],
    argnums: Argnums,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    who: str,
) -> tuple[tuple[int, ...], tuple[Any, ...], Callable[..., Any]]:
    """Give positions and values to differentiate by, and `f` as a function of these."""
    if argnums == 0 and len(args) == 1 and not kwargs:
        return (0,), args, f
    positions = normalize_positions(argnums, len(args), f"argnums of {who}")

    @functools.wraps(f)
    def partial(*chosen: Any) -> Any:
        full = list(args)
        for i, x in zip(positions, chosen):
            full[i] = x
        return f(*full, **kwargs)

    return positions, tuple([args[i] for i in positions]), partial


def check_inputs(
    f: Callable[..., Any],
    positions: Sequence[int],
    chosen: Sequence[Any],
    values: Sequence[Value],
    holomorphic: bool,
    allow_int: bool,
    who: str,
) -> None:
    """Raise unless every differentiated leaf has a derivative.

    Reverse mode of a real output takes complex inputs; forward mode does not, since the
    derivatives along 1 and along i are no multiples of each other.
    """
    reverse = who != "jacfwd"
    for i, x in enumerate(values):
        dtype = x.dtype
        if not holomorphic and dtype in dtypes.FLOATS:
            continue
        if dtypes.is_complex(dtype) and (holomorphic or reverse):
            continue
        if not dtypes.is_inexact(dtype) and allow_int:
            continue
        names = [
            argument_name(f, position) + path
            for position, arg in zip(positions, chosen)
            for path in tree.path_strings(tree.map(close_callable, arg))
        ]
        raise input_error(f, names[i], dtype, holomorphic, who)


def input_error(
    f: Callable[..., Any], path: str, dtype: dtypes.Dtype, holomorphic: bool, who: str
) -> GradError:
    """Make the error for an argument by which nothing can be differentiated."""
    if dtypes.is_complex(dtype):
        mend = "For a holomorphic function use holomorphic=True; else use grad, vjp or "
        mend += "jvp, or differentiate with respect to real and imaginary parts."
    elif holomorphic:
        mend = "With holomorphic=True give complex arguments, or drop it."
    else:
        mend = (
            "Convert it to a float (x.astype(float), 2. for 2), choose other argnums, "
        )
        mend += "or use allow_int=True for float0 gradients."
    return GradError(
        f"{who} of {name_of(f)} was asked for the derivative with respect to {path}, "
        f"which has dtype {dtype.name}; {who} requires real or complex "
        "inputs (input dtype that is a sub-dtype of floating point).",
        where=called_at(),
        mend=mend,
    )


def check_scalar(
    f: Callable[..., Any], flat: Flat, outs: Sequence[Value], holomorphic: bool
) -> Aval:
    """Give the type of the output, one real (or, if holomorphic, complex) scalar.

    Raises:
        GradError: it is anything else.
    """
    count = flat.out_tree.num_leaves
    aval = aval_of(outs[0]) if count == 1 else None
    if aval is None or aval.shape != () or flat.out_tree.num_nodes != 1:
        given = (
            f"shape {outs[0].shape} ({aval})"
            if flat.out_tree.num_nodes == count == 1
            else f"a container {tree.structure_text(flat.out_tree)}"
        )
        raise GradError(
            f"Gradient only defined for scalar-output functions: {name_of(f)} gave an "
            f"output of {given}.",
            where=called_at(),
            mend="Reduce it, for example with jnp.sum or jnp.mean; for all derivatives "
            "of a vector use jacrev or vjp; for (output, aux) use has_aux=True.",
        )
    check_output(f, aval.dtype, holomorphic, "grad")
    return aval


def check_output(
    f: Callable[..., Any], dtype: dtypes.Dtype, holomorphic: bool, who: str
) -> None:
    """Raise unless an output is real (or, if holomorphic, complex).

    Raises:
        GradError: its derivatives along 1 and along i are no multiples of each other.
    """
    if dtypes.is_complex(dtype) if holomorphic else dtype in dtypes.FLOATS:
        return
    wanted, mend = "real-valued outputs", "Return a float; for a holomorphic complex "
    mend += "function use holomorphic=True."
    if holomorphic:
        wanted, mend = "complex outputs with holomorphic=True", "Drop it, or return a "
        mend += "complex number."
    elif who == "jacrev":
        mend += " Any complex function has a vjp and a jvp."
    raise GradError(
        f"{who} requires {wanted}: {name_of(f)} gave one of dtype {dtype.name}.",
        where=called_at(),
        mend=mend,
    )


def jacrev(
    fun: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """Give the function of all derivatives of `fun`: one reverse pass an element.

    Args:
        fun: a function of pytrees of arrays.
        argnums: the positional argument to differentiate, or a sequence of them.
        has_aux: `fun` returns `(output, aux)`.
        holomorphic: `fun` is complex and holomorphic.
        allow_int: give `float0` derivatives for integer arguments.

    Returns:
        A function giving a tree like the output, of trees like the argument, of arrays
        of shape output's shape + argument's shape.

    Raises:
        GradError: an argument is of integer dtype, or an output is complex.
    """
    check_callable(fun, "jacrev")

    @functools.wraps(
        fun, assigned=("__module__", "__name__", "__qualname__", "__doc__")
    )
    def jacrev_f(*args: Any, **kwargs: Any) -> Any:
        """Compute the Jacobian by reverse mode."""
        positions, chosen, partial = pick(fun, argnums, args, kwargs, "jacrev")
        values, in_tree, _ = flatten_arguments(chosen, fun, "jacrev")
        check_inputs(fun, positions, chosen, values, holomorphic, allow_int, "jacrev")
        flat = Flat(partial, in_tree, has_aux, "jacrev")
        outs, program = start(flat, values)
        count = len(outs)
        outs, aux = flat.split(outs)
        for y in outs:
            if dtypes.is_complex(y.dtype) or holomorphic:
                check_output(fun, y.dtype, holomorphic, "jacrev")
        rows = [reverse_rows(program, i, aval_of(y), count) for i, y in enumerate(outs)]
        trees = []
        for row in rows:
            grads = flat.in_tree.unflatten(row)
            trees.append(grads[0] if isinstance(argnums, int) else tuple(grads))
        jacobian = flat.out_tree.unflatten(trees)
        return (jacobian, aux) if has_aux else jacobian

    return jacrev_f


def reverse_rows(
    program: LinearProgram, index: int, aval: Any, count: int
) -> list[Value]:
    """Give the derivatives of one output leaf, over all inputs, in one batch."""
    size = math.prod(aval.shape)
    basis = standard_basis(aval.shape, aval.dtype)

    def pull(ct: Value) -> list[Value]:
        cts = [ct if i == index else None for i in range(count)]
        return [instantiate(c) for c in widen(program, backward(program, cts))]

    values, dims = batch_flat(pull, size, [basis], [0])
    rows = []
    for x, d in zip(values, dims):
        x = broadcast_new_axis(x, size, 0) if d is None else move_axis(x, d, 0)
        rows.append(reshape(x, (*aval.shape, *x.shape[1:])))
    return rows


def jacfwd(
    fun: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """Give the function of all derivatives of `fun`: one forward pass an element.

    Args:
        fun: a function of pytrees of arrays.
        argnums: the positional argument to differentiate, or a sequence of them.
        has_aux: `fun` returns `(output, aux)`.
        holomorphic: `fun` is complex and holomorphic.

    Returns:
        A function giving a tree like the output, of trees like the argument, of arrays
        of shape output's shape + argument's shape.
    """
    check_callable(fun, "jacfwd")

    @functools.wraps(
        fun, assigned=("__module__", "__name__", "__qualname__", "__doc__")
    )
    def jacfwd_f(*args: Any, **kwargs: Any) -> Any:
        """Compute the Jacobian by forward mode."""
        positions, chosen, partial = pick(fun, argnums, args, kwargs, "jacfwd")
        values, in_tree, _ = flatten_arguments(chosen, fun, "jacfwd")
        check_inputs(fun, positions, chosen, values, holomorphic, False, "jacfwd")
        flat = Flat(partial, in_tree, has_aux, "jacfwd")
        outs, columns = forward_columns(flat, values)
        outs, aux = flat.split(outs)
        trees = []
        for column in columns[: len(outs)]:
            grads = flat.in_tree.unflatten(column)
            trees.append(grads[0] if isinstance(argnums, int) else tuple(grads))
        jacobian = flat.out_tree.unflatten(trees)
        return (jacobian, aux) if has_aux else jacobian

    return jacfwd_f


def forward_columns(
    flat: Flat, values: Sequence[Value]
) -> tuple[list[Value], list[list[Value]]]:
    """Push every basis tangent of every input leaf forward, a batch a leaf.

    Returns:
        The outputs, and for each output leaf its derivatives by each input leaf.
    """
    columns: list[list[Value]] = []
    outs: list[Value] = []
    for i, x in enumerate(values):
        size = math.prod(x.shape)

        def push(t: Value, i: int = i) -> list[Value]:
            dots = [t if j == i else Zero(like=v) for j, v in enumerate(values)]
            primals_out, dots_out = jvp_flat(flat, values, dots)
            return [*primals_out, *map(instantiate, dots_out)]

        basis = standard_basis(x.shape, x.dtype)
        found, dims = batch_flat(push, size, [basis], [0])
        half = len(found) // 2
        # A rule may make even primal outputs of batched tangents: one of them will do.
        outs = [
            y if d is None else index_axis(y, d) for y, d in zip(found[:half], dims)
        ]
        dots_out = found[half:]
        for k, (y, d) in enumerate(zip(dots_out, dims[len(outs) :])):
            if i == 0:
                columns.append([])
            y = broadcast_new_axis(y, size, 0) if d is None else y
            y = move_axis(y, d or 0, len(y.shape) - 1)
            columns[k].append(reshape(y, (*y.shape[:-1], *x.shape)))
    return outs, columns


def index_axis(x: Value, axis: int) -> Value:
    """Give the first element along an axis."""
    return x[(slice(None),) * axis + (0,)]


def hessian(
    fun: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """Give the function of all second derivatives of `fun`: forward over reverse.

    Arguments as `jacfwd`; the result is a tree like the output, of trees like the
    argument, of trees like the argument.
    """
    inner = jacrev(fun, argnums, has_aux, holomorphic)
    return jacfwd(inner, argnums, has_aux, holomorphic)


def standard_basis(shape: tuple[int, ...], dtype: dtypes.Dtype) -> Value:
    """Give all arrays of a shape with a single 1, along a new leading axis."""
    size = math.prod(shape)
    if current_trace().computes:
        return as_value(numpy.eye(size, dtype=dtype).reshape(size, *shape))
    # As operations, so that a program has it within, and once for all its Jacobians.
    return reshape(convert(on_diagonal(size, size), dtype), (size, *shape))
