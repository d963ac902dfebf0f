"""Calls of LAPACK: as custom calls in emitted programs, and through SciPy at once.

A custom call's target is `lapack_<letter><routine>_ffi`, with the letter s, d, c or z
of the dtype; matrices are column-major. The compiler's process must have loaded LAPACK
before such a program runs: its text contains "lapack_".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.core.origin import called_at
from pullback.errors import BackendError, DtypeError, ShapeError
from pullback.lazy import scipy_linalg

_LETTERS = {
    dtypes.float32: "s",
    dtypes.float64: "d",
    dtypes.complex64: "c",
    dtypes.complex128: "z",
}


def letter_of(dtype: dtypes.Dtype) -> str:
    """Give the letter that begins the names of routines for a dtype."""
    return _LETTERS[dtype]


def check_matrix(name: str, x: Aval, square: bool = False) -> None:
    """Raise unless a type is one of (square) matrices of a dtype LAPACK knows."""
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        kind = "square matrices [..., n, n]" if square else "matrices [..., m, n]"
        raise ShapeError(
            f"{name} takes {kind}; it was given {x}.",
            where=called_at(),
            mend="Put the matrix in the last two axes; leading axes are a batch.",
        )
    if x.dtype not in _LETTERS:
        raise DtypeError(
            f"{name} does not take dtype {x.dtype.name}.",
            where=called_at(),
            mend="Convert the matrix to float32 or float64 (or complex) with astype.",
        )


# -- in emitted programs ---------------------------------------------------------------


class Matrix(NamedTuple):
    """An operand or result type whose last two axes are column-major."""

    aval: Aval


def _layout(value: Any) -> str:
    aval = value.aval
    order = list(range(aval.ndim - 1, -1, -1))
    if isinstance(value, Matrix):
        order[:2] = [aval.ndim - 2, aval.ndim - 1]
    inside = f"[{', '.join(map(str, order))}]" if order else ""
    return f"dense<{inside}> : tensor<{aval.ndim}xindex>"


class _Vector(NamedTuple):
    """An operand or result type that is row-major."""

    aval: Aval


def attribute(value: str | int | bool) -> str:
    """Write an attribute: a character code, an integer or a boolean."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{ord(value)} : ui8" if isinstance(value, str) else f"{value} : i32"


def emit_lapack(
    ctx: Any,
    routine: str,
    operands: Sequence[Any],
    outs: Sequence[Matrix | Aval],
    aliases: Sequence[tuple[int, int]] = (),
    **attributes: str | int | bool,
) -> list[Any]:
    """Emit a call of a LAPACK routine.

    Args:
        ctx: the emitter.
        routine: the routine without its dtype's letter: "getrf".
        operands: the emitter's operands, matrices, and vectors of one axis less.
        outs: the types of the results, `Matrix` for those that are column-major.
        aliases: pairs (result, operand) that share memory.
        attributes: the routine's options, characters as they are.
    """
    if ctx.platform != "cpu":
        raise BackendError(
            f"the matrix factorization {routine} is compiled for the CPU only.",
            where=called_at(),
            mend="Run it outside jit, or on the CPU.",
        )
    if any(x.aval.size == 0 for x in operands):
        return [ctx.constant(0, getattr(o, "aval", o)) for o in outs]
    letter = _LETTERS[operands[0].aval.dtype]
    typed = [o if isinstance(o, Matrix) else _Vector(o) for o in outs]
    rank = max(x.aval.ndim for x in operands)
    ins = [Matrix(x.aval) if x.aval.ndim == rank else _Vector(x.aval) for x in operands]
    shared = ", ".join(
        "#stablehlo.output_operand_alias<output_tuple_indices = "
        f"[{o if len(outs) > 1 else ''}], operand_index = {i}, "
        "operand_tuple_indices = []>"
        for o, i in aliases
    )
    config = ", ".join(f"{k} = {attribute(v)}" for k, v in attributes.items())
    text = (
        f"api_version = 4 : i32, backend_config = {{{config}}}, "
        f'call_target_name = "lapack_{letter}{routine}_ffi", '
        f"operand_layouts = [{', '.join(map(_layout, ins))}], "
        f"result_layouts = [{', '.join(map(_layout, typed))}], "
        f"output_operand_aliases = [{shared}]"
    )
    avals = [o.aval for o in typed]
    return list(ctx.emit_many("stablehlo.custom_call", operands, avals, text))


# -- at once ---------------------------------------------------------------------------


def over_batch(f: Callable[..., tuple[Any, ...]], *arrays: Any) -> list[Any]:
    """Apply a function of single matrices along equal leading axes, and stack."""
    batch = arrays[0].shape[:-2]
    if not batch:
        return list(f(*arrays))
    count = math.prod(batch)
    flat: list[Any] = [x.reshape((count, *x.shape[len(batch) :])) for x in arrays]
    if not count:
        # The results' types are those of any matrix.
        some = [
            np.asarray(y) for y in f(*[np.ones(x.shape[1:], x.dtype) for x in flat])
        ]
        return [np.zeros((*batch, *y.shape), y.dtype) for y in some]
    rows = [f(*row) for row in zip(*flat)]
    return [np.stack(c).reshape((*batch, *np.shape(c[0]))) for c in zip(*rows)]


def solve_triangular(
    a: Any, b: Any, left: bool, lower: bool, op: int, unit: bool
) -> Any:
    """Solve op(a) x = b (left) or x op(a) = b by BLAS; op is 0: a, 1: a^T, 2: a^H.

    A zero on the diagonal gives infinities, as in compiled programs.
    """
    if not b.size:
        return b
    trsm = getattr(scipy_linalg.blas, f"{_LETTERS[b.dtype]}trsm")
    return trsm(1, a, b, side=not left, lower=lower, trans_a=op, diag=unit)


def factor_lu(a: Any) -> tuple[Any, Any]:
    """Factor one matrix: L and U in one array, and the 0-based row exchanges."""
    if not a.size:
        return a, np.zeros(min(a.shape), np.int32)
    lu, pivots, _ = getattr(scipy_linalg.lapack, f"{_LETTERS[a.dtype]}getrf")(a)
    return lu, pivots.astype(np.int32)


def permutation_of(pivots: Any, rows: int) -> Any:
    """Give the row order that a sequence of exchanges leads to."""
    batch = pivots.shape[:-1]
    if not batch:
        row = list(range(rows))
        for i, j in enumerate(pivots.tolist()):
            row[i], row[j] = row[j], row[i]
        return np.array(row, np.int32)
    order = np.broadcast_to(np.arange(rows, dtype=np.int32), (*batch, rows)).copy()
    for i in range(pivots.shape[-1]):
        j = pivots[..., i, None]
        here = order[..., i, None].copy()
        order[..., i, None] = np.take_along_axis(order, j, -1)
        np.put_along_axis(order, j, here, -1)
    return order
