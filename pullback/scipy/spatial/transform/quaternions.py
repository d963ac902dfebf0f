"""Unit quaternions [..., 4], scalar last: products, and what else names rotations.

A quaternion q and -q name the same rotation. Functions of them do not change where a
quaternion is scaled, so their derivatives are those on the unit sphere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.calls.while_loop import while_loop
from pullback.core.trace import Value
from pullback.custom.custom_jvp import custom_jvp
from pullback.numpy import linalg, reductions
from pullback.numpy.contraction import cross, matmul
from pullback.numpy.norms import vector_norm
from pullback.numpy.shaping import concatenate, stack
from pullback.primitives import spectral, table
from pullback.primitives.linalg import as_column, as_row, identity, transposed
from pullback.primitives.structural import reshape


def _sum(x: Value) -> Value:
    """Sum over the last axis, which is kept."""
    return reductions.sum(x, axis=-1, keepdims=True)


def parts(q: Value) -> tuple[Value, Value]:
    """Give the vectors [..., 3] and the scalars [..., 1]."""
    return q[..., :3], q[..., 3:]


def normalized(q: Value) -> Value:
    """Give unit quaternions; nan for those that are zero."""
    return q / vector_norm(q, axis=-1, keepdims=True)


def canonical(q: Value) -> Value:
    """Give, of q and -q, that whose last number that is not zero is positive.

    The scalar counts first, then the vector's components in order.
    """
    x, y, z, w = (q[..., i] for i in range(4))
    negative = table.lt(z, 0.0)
    for part in (y, x, w):
        later = table.and_(table.eq(part, 0.0), negative)
        negative = table.or_(table.lt(part, 0.0), later)
    return table.select(reshape(negative, (*negative.shape, 1)), -q, q)


def inverse(q: Value) -> Value:
    """Give the quaternions of the inverse rotations."""
    v, w = parts(q)
    return concatenate([-v, w], -1)


def product(p: Value, q: Value) -> Value:
    """Give the quaternions of rotating by q, then by p."""
    (u, a), (v, b) = parts(p), parts(q)
    vector = v * a + u * b + cross(u, v)
    return concatenate([vector, a * b - _sum(u * v)], -1)


def rotated(q: Value, x: Value) -> Value:
    """Rotate vectors [..., 3]."""
    u, w = parts(q)
    turn = cross(u, x) * 2.0
    return x + turn * w + cross(u, turn)


# -- matrices --------------------------------------------------------------------------


def matrix_of(q: Value) -> Value:
    """Give rotation matrices [..., 3, 3]."""
    x, y, z, w = (q[..., i] for i in range(4))
    xx, yy, zz, ww = x * x, y * y, z * z, w * w
    xy, xz, yz = x * y * 2.0, x * z * 2.0, y * z * 2.0
    xw, yw, zw = x * w * 2.0, y * w * 2.0, z * w * 2.0
    entries = [
        *(ww + xx - yy - zz, xy - zw, xz + yw),
        *(xy + zw, ww - xx + yy - zz, yz - xw),
        *(xz - yw, yz + xw, ww - xx - yy + zz),
    ]
    return reshape(stack(entries, -1), (*q.shape[:-1], 3, 3))


def of_matrix(m: Value, assume_valid: bool) -> Value:
    """Give quaternions of the rotations nearest to matrices [..., 3, 3].

    They are nan where a determinant is not positive.
    """
    if not assume_valid:
        volume = table.stop_gradient(_determinant(m, _cofactors(m)))
        upright = reshape(table.gt(volume, 0.0), (*volume.shape, 1, 1))
        m = nearest_rotation(table.select(upright, m, identity(3, m.dtype)))
        m = table.select(upright, m, np.nan)
    # 4 q q^T is linear in the matrix. Each of its rows is a multiple of q; the one with
    # the greatest diagonal entry is the longest, which no rotation makes zero
    # (Shepperd, Quaternion from rotation matrix, J. Guidance and Control 1, 1978).
    xx, yy, zz = (m[..., i, i] for i in range(3))
    xy, xz, yz = (m[..., i, j] + m[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    xw, yw, zw = (m[..., i, j] - m[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    diagonal = [1.0 + xx - yy - zz, 1.0 - xx + yy - zz, 1.0 - xx - yy + zz]
    diagonal.append(1.0 + xx + yy + zz)
    rows = [
        stack([diagonal[0], xy, xz, xw], -1),
        stack([xy, diagonal[1], yz, yw], -1),
        stack([xz, yz, diagonal[2], zw], -1),
        stack([xw, yw, zw, diagonal[3]], -1),
    ]
    best = table.stop_gradient(reductions.argmax(stack(diagonal, -1), axis=-1))
    best = reshape(best, (*best.shape, 1))
    found = rows[3]
    for i in range(3):
        found = table.select(table.eq(best, i), rows[i], found)
    return normalized(found)


def _cofactors(m: Value) -> Value:
    """Give det(M) M^-T [..., 3, 3]: each row is the product of the other two."""
    following = concatenate([m[..., 1:, :], m[..., :1, :]], -2)
    last = concatenate([m[..., 2:, :], m[..., :2, :]], -2)
    return cross(following, last)


def _determinant(m: Value, cofactors: Value) -> Value:
    return reductions.sum(m[..., 0, :] * cofactors[..., 0, :], axis=-1)


#: As many steps are made at most; singular values apart by a factor of 1e8 want 6.
_MOST_STEPS = 9


@custom_jvp
def nearest_rotation(m: Value) -> Value:
    """Give the orthogonal factor U of matrices U P [..., 3, 3], of determinants > 0.

    By Newton's steps for U^T U = 1, scaled by Frobenius norms (Higham, Functions of
    Matrices, 2008, section 8.6). They converge quadratically: where a step is less than
    the root of the precision, its result is right.
    """
    size = reductions.sum(m * m, axis=(-1, -2), keepdims=True)
    state = _newton_step((0, m / table.sqrt(size), True))
    if getattr(m, "concrete", lambda: None)() is None:
        return while_loop(_is_unfinished, _newton_step, state)[1]
    # To write the loop down would take longer than its few steps.
    while _is_unfinished(state):
        state = _newton_step(state)
    return state[1]


def _is_unfinished(state: Any) -> Any:
    count, _, moved = state
    return (count < _MOST_STEPS) & moved


def _newton_step(state: Any) -> Any:
    """Give the number of steps, the matrices, and whether one of them has moved far."""
    count, x, _ = state
    cofactors = _cofactors(x)
    size = reductions.sum(x * x, axis=(-1, -2))
    across = reductions.sum(cofactors * cofactors, axis=(-1, -2))
    volume = _determinant(x, cofactors)
    scale = table.sqrt(table.sqrt(across / size) / volume)
    first, second = (as_column(as_column(s)) for s in (scale, scale * volume))
    found = (x * first + cofactors / second) * 0.5
    far = math.sqrt(float(dtypes.finfo(x.dtype).eps)) / 4
    return count + 1, found, reductions.any(table.gt(table.abs(found - x), far))


@nearest_rotation.defjvp
def _nearest_rotation_tangent(primals: Any, tangents: Any) -> Any:
    # U^T dM = W P + dP with W = U^T dU skew, so that W P + P W is twice the skew part;
    # as vectors that is (tr(P) - P) w. No differences of singular values divide.
    (m,), (m_dot,) = primals, tangents
    u = nearest_rotation(m)
    back = transposed(u)
    p = matmul(back, m)
    p = (p + transposed(p)) * 0.5
    trace = p[..., 0, 0] + p[..., 1, 1] + p[..., 2, 2]
    matrix = as_column(as_column(trace)) * identity(3, m.dtype) - p
    inner = matmul(back, m_dot)
    skew = inner - transposed(inner)
    s = stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], -1)
    cofactors = _cofactors(matrix)
    w = matmul(cofactors, as_column(s))[..., 0]
    w = w / as_column(_determinant(matrix, cofactors))
    # Row i of U W is row i of U times w, in the other order.
    return u, cross(u, as_row(w))


# -- vectors along the axis ------------------------------------------------------------


def _by_parts(
    s: Value, reach: float, series: Sequence[float], formula: Callable[[Value], Value]
) -> Value:
    """Give a smooth function of s >= 0: its power series below `reach`, or a formula.

    Neither sees a number for which its derivatives are infinite or wrong.
    """
    small = table.lt(s, reach)
    near = table.select(small, s, 0.0)
    total: Any = series[-1]
    for c in reversed(series[:-1]):
        total = near * total + c
    return table.select(small, total, formula(table.select(small, 1.0, s)))


# Of sin(r / 2) / r and cos(r / 2) in powers of r^2, up to 1: to 1e-20, derivatives too.
_SINES = [0.5 * (-0.25) ** k / math.factorial(2 * k + 1) for k in range(9)]
_COSINES = [(-0.25) ** k / math.factorial(2 * k) for k in range(9)]
# Of arctan(r) / r in powers of r^2, up to 1 / 32.
_ARC_TANGENTS = [(-1) ** k / (2 * k + 1) for k in range(14)]
_REACH = 1 / 32


def of_rotation_vector(x: Value) -> Value:
    """Give quaternions of rotations about vectors [..., 3] by their lengths."""
    s = _sum(x * x)
    sine = _by_parts(
        s, 1.0, _SINES, lambda s: table.sin(table.sqrt(s) * 0.5) / table.sqrt(s)
    )
    cosine = _by_parts(s, 1.0, _COSINES, lambda s: table.cos(table.sqrt(s) * 0.5))
    return concatenate([x * sine, cosine], -1)


def rotation_vector_of(q: Value) -> Value:
    """Give vectors along the axes, as long as the angles, from 0 to pi."""
    v, w = parts(canonical(q))
    s = _sum(v * v)
    small = table.lt(s, w * w * _REACH)
    near = table.select(small, w, 1.0)
    series = _by_parts(
        table.select(small, s, 0.0) / (near * near),
        _REACH,
        _ARC_TANGENTS,
        table.neg,
    )
    length = table.sqrt(table.select(small, 1.0, s))
    far = table.atan2(length, table.select(small, 1.0, w)) / length
    return v * (table.select(small, series / near, far) * 2.0)


def angle_of(q: Value) -> Value:
    """Give angles [...] from 0 to pi; the derivative at 0 is 0, a subgradient."""
    v, w = parts(q)
    return table.atan2(vector_norm(v, axis=-1), table.abs(w[..., 0])) * 2.0


def of_rodrigues(x: Value) -> Value:
    """Give quaternions of modified Rodrigues parameters [..., 3]."""
    s = _sum(x * x)
    return concatenate([x * 2.0, 1.0 - s], -1) / (1.0 + s)


def rodrigues_of(q: Value) -> Value:
    """Give modified Rodrigues parameters: axes times the tangent of angles / 4."""
    v, w = parts(q)
    upper = table.select(table.lt(w, 0.0), -1.0, 1.0)
    return v * upper / (1.0 + w * upper)


# -- means -----------------------------------------------------------------------------


def mean_of(q: Value, weights: Value) -> Value:
    """Give the quaternion nearest to those of [n, 4], for weights [n].

    It is the first eigenvector of their second moments (Markley et al., Averaging
    quaternions, J. Guidance, Control and Dynamics 30, 2007, equation 12).
    """
    weighted = q * as_column(weights / reductions.sum(weights))
    return _first_eigenvector(matmul(weighted.T, q))


@custom_jvp
def _first_eigenvector(m: Value) -> Value:
    """Give the eigenvector [n] of the greatest eigenvalue of symmetric [n, n]."""
    return spectral.eigh(m, True)[1][..., -1]


@_first_eigenvector.defjvp
def _first_eigenvector_tangent(primals: Any, tangents: Any) -> Any:
    # (a - M) dx = dM x, across x. Unlike the derivative of all eigenvectors this needs
    # no gap between the others, which coincide for a mean of few rotations.
    (m,), (m_dot,) = primals, tangents
    x = _first_eigenvector(m)
    column = as_column(x)
    greatest = reductions.sum(x * matmul(m, column)[..., 0], axis=-1)
    n = m.shape[-1]
    matrix = identity(n, m.dtype) * greatest - m + column * as_row(x)
    push = matmul((m_dot + m_dot.T) * 0.5, column)[..., 0]
    push = push - x * reductions.sum(x * push, axis=-1)
    return x, linalg.solve(matrix, push)
