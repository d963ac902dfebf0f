"""Products of vectors, matrices and tensors: dot, matmul, einsum, convolve."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.array import Array
from pullback.core.at_once import at_once
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import composed, diagonals, reductions, shaping, ufuncs
from pullback.numpy.arguments import array_argument, describe, static_int, wrong_shape
from pullback.numpy.promotion import convert, promote_arrays
from pullback.primitives import structural
from pullback.primitives.contraction import dot_general
from pullback.primitives.recipes import canonical_axis
from pullback.primitives.shaping import pad, reverse
from pullback.primitives.sliding import slide
from pullback.primitives.stacking import member

Axes = tuple[int, ...]


def _operands(who: str, a: Any, b: Any, wanted: Any) -> list[Value]:
    """Bring two operands to one dtype, that of `preferred_element_type` if given."""
    pair = promote_arrays(who, a, b)
    if wanted is None:
        return pair
    return [convert(x, dtypes.canonical(wanted)) for x in pair]


def _contract(
    a: Value, b: Value, axes: tuple[Axes, Axes], batch: tuple[Axes, Axes], how: Any
) -> Value:
    """Contract axes of two arrays of one dtype; the result has batch axes first."""
    if type(a) is type(b) is Array and batch == ((), ()):
        plain = axes == ((len(a.shape) - 1,), (0,))
        found = _product_at_once(a, b) if plain else None
        if found is not None:
            return found
    return dot_general(a, b, (axes, batch), precision=how)


def _product_at_once(a: Array, b: Array) -> Value | None:
    """Let NumPy multiply two vectors or matrices; None where it may not."""
    x, y = a.fetch(), b.fetch()
    if x.dtype is not y.dtype or not (0 < x.ndim <= 2 and 0 < y.ndim <= 2):
        return None
    return at_once(np.matmul, a, b) if x.shape[-1] == y.shape[0] else None


def _mismatch(who: str, a: Value, b: Value, what: str) -> Exception:
    return wrong_shape(
        who,
        f"was given {describe(a)} and {describe(b)}: {what}.",
        "Transpose or reshape one of them.",
    )


def dot(
    a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None
) -> Value:
    """Sum products over the last axis of a and the last but one (or only) of b."""
    if type(a) is type(b) is Array and preferred_element_type is None:
        found = _product_at_once(a, b)
        if found is not None:
            return found
    a, b = _operands("dot", a, b, preferred_element_type)
    if not a.shape or not b.shape:
        return ufuncs.multiply(a, b)
    along = len(b.shape) - 2 if len(b.shape) > 1 else 0
    if a.shape[-1] != b.shape[along]:
        raise _mismatch("dot", a, b, f"the last axis of a and axis {along} of b differ")
    return _contract(a, b, ((len(a.shape) - 1,), (along,)), ((), ()), precision)


def matmul(
    a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None
) -> Value:
    """Multiply matrices; leading axes broadcast, vectors are rows or columns."""
    if type(a) is type(b) is Array and preferred_element_type is None:
        found = _product_at_once(a, b)
        if found is not None:
            return found
    a, b = _operands("matmul", a, b, preferred_element_type)
    if not a.shape or not b.shape:
        raise _mismatch("matmul", a, b, "scalars are not allowed")
    row, column = len(a.shape) == 1, len(b.shape) == 1
    inner = 0 if column else len(b.shape) - 2
    if a.shape[-1] != b.shape[inner]:
        raise _mismatch(
            "matmul", a, b, f"the last axis of a and axis {inner} of b differ"
        )
    if row or column or (len(a.shape) == 2 and len(b.shape) == 2):
        out = _contract(a, b, ((len(a.shape) - 1,), (inner,)), ((), ()), precision)
        # A vector times stacked matrices: the only axis of a is gone, b's are in order.
        return out
    if len(b.shape) == 2:
        return _contract(a, b, ((len(a.shape) - 1,), (0,)), ((), ()), precision)
    return _stacked_matmul(a, b, precision)


def _stacked_matmul(a: Value, b: Value, precision: Any) -> Value:
    """Multiply stacks of matrices without repeating those of length one."""
    lead = shaping.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    n = len(lead)
    # Axes that both have are batch axes; others belong to one operand only.
    a_lead = (1,) * (n - len(a.shape) + 2) + a.shape[:-2]
    b_lead = (1,) * (n - len(b.shape) + 2) + b.shape[:-2]
    kinds = [
        "both" if i == j else ("a" if j == 1 else "b") for i, j in zip(a_lead, b_lead)
    ]
    x = _without(a, a_lead, [k == "b" for k in kinds])
    y = _without(b, b_lead, [k == "a" for k in kinds])
    x_axes = [i for i, k in enumerate(kinds) if k != "b"]
    y_axes = [i for i, k in enumerate(kinds) if k != "a"]
    shared = [i for i, k in enumerate(kinds) if k == "both"]
    batch = (
        tuple(x_axes.index(i) for i in shared),
        tuple(y_axes.index(i) for i in shared),
    )
    axes = ((len(x.shape) - 1,), (len(y.shape) - 2,))
    out = _contract(x, y, axes, batch, precision)
    made = [
        *shared,
        *(i for i, k in enumerate(kinds) if k == "a"),
        n,
        *(i for i, k in enumerate(kinds) if k == "b"),
        n + 1,
    ]
    return structural.transpose(out, structural.inverse_permutation(made))


def _without(x: Value, lead: Axes, drop: list[bool]) -> Value:
    """Reshape the leading axes, leaving some of length one out."""
    kept = [n for n, d in zip(lead, drop) if not d]
    return structural.reshape(x, (*kept, *x.shape[-2:]))


def matvec(x1: Any, x2: Any) -> Value:
    """Multiply matrices with vectors; leading axes broadcast."""
    x2 = array_argument(x2, "matvec")
    out = matmul(x1, structural.expand_axes(x2, (len(x2.shape),)))
    return shaping.squeeze(out, -1)


def vecmat(x1: Any, x2: Any) -> Value:
    """Multiply conjugated vectors with matrices; leading axes broadcast."""
    x1 = composed.conj(array_argument(x1, "vecmat"))
    out = matmul(structural.expand_axes(x1, (len(x1.shape) - 1,)), x2)
    return shaping.squeeze(out, -2)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, precision: Any = None) -> Value:
    """Sum products of conj(x1) and x2 over an axis; the others broadcast."""
    x1, x2 = promote_arrays("vecdot", x1, x2)
    x1, x2 = shaping.moveaxis(x1, axis, -1), shaping.moveaxis(x2, axis, -1)
    if x1.shape[-1] != x2.shape[-1]:
        raise _mismatch("vecdot", x1, x2, f"axis {axis} differs")
    row = structural.expand_axes(composed.conj(x1), (len(x1.shape) - 1,))
    column = structural.expand_axes(x2, (len(x2.shape),))
    return shaping.squeeze(matmul(row, column, precision=precision), (-1, -2))


def vdot(a: Any, b: Any, *, precision: Any = None) -> Value:
    """Sum products of conj(a) and b over all elements in order."""
    a, b = composed.conj(shaping.ravel(a)), shaping.ravel(b)
    return dot(a, b, precision=precision)


def inner(a: Any, b: Any, *, precision: Any = None) -> Value:
    """Sum products over the last axes."""
    a, b = promote_arrays("inner", a, b)
    if not a.shape or not b.shape:
        return ufuncs.multiply(a, b)
    if a.shape[-1] != b.shape[-1]:
        raise _mismatch("inner", a, b, "the last axes differ")
    axes = ((len(a.shape) - 1,), (len(b.shape) - 1,))
    return _contract(a, b, axes, ((), ()), precision)


def outer(a: Any, b: Any) -> Value:
    """Multiply each element of a with each of b, both ravelled."""
    a, b = shaping.ravel(a), shaping.ravel(b)
    return ufuncs.multiply(structural.reshape(a, (a.shape[0], 1)), b)


def tensordot(a: Any, b: Any, axes: Any = 2, *, precision: Any = None) -> Value:
    """Sum products over the last n axes of a and first n of b, or over named ones."""
    a, b = promote_arrays("tensordot", a, b)
    ra, rb = len(a.shape), len(b.shape)
    if isinstance(axes, (tuple, list)):
        pairs = [v if isinstance(v, (tuple, list)) else (v,) for v in axes]
        if len(pairs) != 2:
            raise ArgumentError(
                f"tensordot was given axes={axes}.",
                where=called_at(),
                mend="Give a number, or a pair of axes or sequences of axes.",
            )
        first = tuple(canonical_axis(i, ra, "tensordot") for i in pairs[0])
        second = tuple(canonical_axis(i, rb, "tensordot") for i in pairs[1])
    else:
        n = static_int(axes, "tensordot", "axes")
        if n > ra or n > rb:
            raise _mismatch("tensordot", a, b, f"there are not {n} axes in both")
        first, second = tuple(range(ra - n, ra)), tuple(range(n))
    if [a.shape[i] for i in first] != [b.shape[i] for i in second]:
        raise _mismatch(
            "tensordot", a, b, f"axes {first} of a and {second} of b differ"
        )
    return _contract(a, b, (first, second), ((), ()), precision)


def kron(a: Any, b: Any) -> Value:
    """Give the Kronecker product."""
    a, b = promote_arrays("kron", a, b)
    rank = max(len(a.shape), len(b.shape))
    x = shaping.reshape(a, (1,) * (rank - len(a.shape)) + a.shape)
    y = shaping.reshape(b, (1,) * (rank - len(b.shape)) + b.shape)
    shape = [m * n for m, n in zip(x.shape, y.shape)]
    x = structural.expand_axes(x, range(1, 2 * rank, 2))
    y = structural.expand_axes(y, range(0, 2 * rank, 2))
    return structural.reshape(ufuncs.multiply(x, y), shape)


def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None
) -> Value:
    """Give the vector product in three dimensions, a number in two."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = promote_arrays("cross", a, b)
    a, b = shaping.moveaxis(a, axisa, -1), shaping.moveaxis(b, axisb, -1)
    n, m = a.shape[-1], b.shape[-1]
    if {n, m} - {2, 3}:
        raise _mismatch("cross", a, b, "vectors must have 2 or 3 components")
    if n == m == 3:
        found = at_once(lambda a, b: np.cross(a, b, axisc=axisc), a, b)
        if found is not None:
            return found
    x = [_component(a, i) for i in range(n)]
    y = [_component(b, i) for i in range(m)]
    flat = ufuncs.subtract(ufuncs.multiply(x[0], y[1]), ufuncs.multiply(x[1], y[0]))
    if n == m == 2:
        return flat
    zero = ufuncs.zero_like(a)
    x, y = x + [zero] * (3 - n), y + [zero] * (3 - m)
    parts = [
        ufuncs.subtract(ufuncs.multiply(x[i], y[j]), ufuncs.multiply(x[j], y[i]))
        for i, j in ((1, 2), (2, 0))
    ]
    return shaping.stack(shaping.broadcast_arrays(*parts, flat), axis=axisc)


def _component(x: Value, i: int) -> Value:
    """Take one element of the last axis."""
    return member(x, i, len(x.shape) - 1)


def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None
) -> Value:
    """Sum a diagonal."""
    return reductions.sum(diagonals.diagonal(a, offset, axis1, axis2), -1, dtype)


# -- einsum ----------------------------------------------------------------------------


def einsum(
    subscripts: Any,
    /,
    *operands: Any,
    optimize: Any = "optimal",
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Value:
    """Sum products as a string of subscripts says; pairs in the order NumPy finds."""
    if not isinstance(subscripts, str):
        subscripts, operands = _from_sublists(subscripts, operands)
    values = promote_arrays("einsum", *operands) if operands else []
    if preferred_element_type is not None:
        values = [convert(x, dtypes.canonical(preferred_element_type)) for x in values]
    labels, out = _parse(subscripts, values)
    if len(values) > 2:
        stand_ins = [np.broadcast_to(np.float32(0), x.shape) for x in values]
        text = ",".join(labels) + "->" + out
        strategy = (
            "greedy" if optimize is True or len(values) > 6 else (optimize or False)
        )
        path = np.einsum_path(text, *stand_ins, optimize=strategy)[0][1:]
    else:
        path = [tuple(range(len(values)))]
    for step in path:
        chosen = sorted(step, reverse=True)
        picked = [(values.pop(i), labels.pop(i)) for i in chosen][::-1]
        needed = set(out).union(*labels)
        value, label = picked[0]
        for i, (other, other_label) in enumerate(picked[1:], 2):
            rest = needed.union(*(lab for _, lab in picked[i:]))
            value, label = _pair(value, label, other, other_label, rest, precision)
        values.append(_reduced(value, label, needed)[0])
        labels.append(_reduced_label(label, needed))
    order = [labels[0].index(c) for c in out]
    return structural.transpose(values[0], order)


def _from_sublists(first: Any, rest: Any) -> tuple[str, tuple[Any, ...]]:
    """Turn the form `einsum(a, [0, 1], b, [1, 2], [0, 2])` into a string."""
    parts = [first, *rest]
    out = parts.pop() if len(parts) % 2 else None

    def text(sublist: Any) -> str:
        return "".join("..." if i is Ellipsis else chr(97 + i) for i in sublist)

    subscripts = ",".join(text(s) for s in parts[1::2])
    return subscripts + ("" if out is None else "->" + text(out)), tuple(parts[::2])


#: Labels for the axes of ellipses.
_SPARE = "".join(map(chr, range(0x3B1, 0x3B1 + 64)))


def _parse(subscripts: str, values: list[Value]) -> tuple[list[str], str]:
    """Give the labels of each operand and of the result, ellipses written out.

    Raises:
        ArgumentError: the string does not fit the operands.
    """
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(values):
        raise ArgumentError(
            f"einsum was given {len(terms)} subscripts in {subscripts!r} and "
            f"{len(values)} operands.",
            where=called_at(),
            mend="Give one operand for each.",
        )
    dots = 0
    labels = []
    for term, x in zip(terms, values):
        extra = len(x.shape) - len(term.replace("...", ""))
        if extra < 0 or (extra and "..." not in term):
            raise ArgumentError(
                f"einsum was given subscripts {term!r} for an operand {describe(x)}.",
                where=called_at(),
                mend="Give one letter for each axis, or an ellipsis.",
            )
        dots = max(dots, extra if "..." in term else 0)
        names = _SPARE[64 - extra :] if extra else ""
        labels.append(term.replace("...", names))
    all_dots = _SPARE[64 - dots :] if dots else ""
    if arrow:
        return _checked(labels, right.replace("...", all_dots), values)
    seen = "".join(labels)
    once = sorted(c for c in set(seen) if seen.count(c) == 1 and c not in all_dots)
    return _checked(labels, all_dots + "".join(once), values)


def _checked(labels: list[str], out: str, values: list[Value]) -> tuple[list[str], str]:
    """Check the lengths of equal labels; drop axes of length one that differ."""
    sizes: dict[str, int] = {}
    for label, x in zip(labels, values):
        for c, n in zip(label, x.shape):
            if sizes.setdefault(c, n) == 1:
                sizes[c] = n
            if n not in (1, sizes[c]):
                raise wrong_shape(
                    "einsum",
                    f"was given lengths {sizes[c]} and {n} for the label {c!r}.",
                    "Make them equal.",
                )
    if set(out) - set(sizes) or len(set(out)) < len(out):
        raise ArgumentError(
            f"einsum was given the output subscripts {out!r}.",
            where=called_at(),
            mend="Use each label of the operands at most once.",
        )
    for i, (label, x) in enumerate(zip(labels, values)):
        stretched = [j for j, (c, n) in enumerate(zip(label, x.shape)) if n != sizes[c]]
        if stretched:
            values[i] = shaping.squeeze(x, tuple(stretched))
            labels[i] = "".join(c for j, c in enumerate(label) if j not in stretched)
        values[i], labels[i] = _diagonals(values[i], labels[i])
    return labels, out


def _diagonals(x: Value, label: str) -> tuple[Value, str]:
    """Take diagonals of axes with the same label."""
    for c in dict.fromkeys(label):
        while label.count(c) > 1:
            i = label.index(c)
            j = label.index(c, i + 1)
            x = diagonals.diagonal(x, 0, i, j)
            label = label[:i] + label[i + 1 : j] + label[j + 1 :] + c
    return x, label


def _reduced(x: Value, label: str, needed: set[str]) -> tuple[Value, str]:
    """Sum over the axes nobody needs."""
    axes = [i for i, c in enumerate(label) if c not in needed]
    return structural.reduce_sum(x, axes), _reduced_label(label, needed)


def _reduced_label(label: str, needed: set[str]) -> str:
    return "".join(c for c in label if c in needed)


def _pair(
    x: Value, a: str, y: Value, b: str, needed: set[str], precision: Any
) -> tuple[Value, str]:
    """Multiply two operands, summing the labels that are in both and not needed."""
    x, a = _reduced(x, a, needed | set(b))
    y, b = _reduced(y, b, needed | set(a))
    batch = [c for c in a if c in b and c in needed]
    summed = [c for c in a if c in b and c not in needed]
    out = _contract(
        x,
        y,
        (tuple(map(a.index, summed)), tuple(map(b.index, summed))),
        (tuple(map(a.index, batch)), tuple(map(b.index, batch))),
        precision,
    )
    left = [c for c in a if c not in b]
    right = [c for c in b if c not in a]
    return out, "".join([*batch, *left, *right])


def einsum_path(subscripts: Any, /, *operands: Any, optimize: Any = "greedy") -> Any:
    """Give the order in which einsum would multiply, as NumPy finds it."""
    arrays = [
        np.broadcast_to(np.float32(0), array_argument(x, "einsum_path").shape)
        for x in operands
    ]
    return np.einsum_path(subscripts, *arrays, optimize=optimize)


# -- filters ---------------------------------------------------------------------------


def convolve(a: Any, v: Any, mode: str = "full", *, precision: Any = None) -> Value:
    """Convolve two vectors."""
    a, v = promote_arrays("convolve", a, v)
    return _slide(a, v, mode, "convolve", precision)


def correlate(a: Any, v: Any, mode: str = "valid", *, precision: Any = None) -> Value:
    """Correlate two vectors; the second is conjugated."""
    a, v = promote_arrays("correlate", a, v)
    if len(a.shape) != 1 or len(v.shape) != 1:
        raise _mismatch("correlate", a, v, "it takes two vectors")
    swapped = a.shape[0] < v.shape[0]
    a, v = (composed.conj(v), a) if swapped else (a, composed.conj(v))
    out = _slide(a, reverse(v, (0,)), mode, "correlate", precision)
    return reverse(out, (0,)) if swapped else out


def _slide(a: Value, v: Value, mode: str, who: str, precision: Any) -> Value:
    """Convolve vectors: windows of the longer one times the shorter one reversed."""
    if len(a.shape) != 1 or len(v.shape) != 1 or not a.shape[0] or not v.shape[0]:
        raise _mismatch(who, a, v, "it takes two vectors that are not empty")
    if a.shape[0] < v.shape[0]:
        a, v = v, a
    m = v.shape[0]
    edges = {
        "full": (m - 1, m - 1),
        "same": (m // 2, (m - 1) - m // 2),
        "valid": (0, 0),
    }
    if mode not in edges:
        raise ArgumentError(
            f"{who} was given mode={mode!r}.",
            where=called_at(),
            mend="Use 'full', 'same' or 'valid'.",
        )
    low, high = edges[mode]
    x = pad(a, ufuncs.scalar_like(a, 0), [(low, high, 0)])
    return slide(x, reverse(v, (0,)), precision)
