"""`Rotation`: rotations in three dimensions, as a container of quaternions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pullback import random, tree
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy.arguments import wrong_shape
from pullback.numpy.creation import array
from pullback.numpy.promotion import real_arguments
from pullback.numpy.shaping import broadcast_to, concatenate
from pullback.primitives.structural import reshape
from pullback.scipy.spatial.transform import euler, quaternions


def _vectors(who: str, x: Any, shape: tuple[int, ...] = (3,)) -> Value:
    """Give real arrays [..., *shape].

    Raises:
        ShapeError: of another shape.
        DtypeError: complex ones.
    """
    (x,) = real_arguments(f"Rotation.{who}", x)
    if x.shape[-len(shape) :] != shape:
        wanted = ", ".join(map(str, shape))
        raise wrong_shape(
            f"Rotation.{who}", f"was given {x.aval}.", f"Give an array [..., {wanted}]."
        )
    return x


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Rotation:
    """Rotations in three dimensions, of any shape; as `scipy.spatial.transform`'s.

    It is a pytree of one leaf, so that functions of it can be compiled, mapped and
    differentiated. All that it gives has finite derivatives at the identity; those of
    `magnitude` there are 0, a subgradient.

    Args:
        quat: quaternions [..., 4], scalar last; nan comes of those that are zero.
        normalize: scale them to length 1; False trusts that they are.
        copy: changes nothing.
        scalar_first: the scalar is the first of the four numbers.

    Raises:
        ShapeError: of a method: an array of another shape.
        DtypeError: complex numbers.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import jacobian
        >>> r = Rotation.from_euler("z", 90.0, degrees=True)
        >>> print(r.apply(jnp.array([1.0, 2.0, 3.0])).round(4))
        [-2.  1.  3.]
        >>> print(jacobian(lambda v: Rotation.from_rotvec(v).as_rotvec())(jnp.zeros(3)))
        [[1. 0. 0.]
         [0. 1. 0.]
         [0. 0. 1.]]
    """

    quat: Value

    def __init__(
        self,
        quat: Any,
        normalize: bool = True,
        copy: bool = True,
        scalar_first: bool = False,
    ) -> None:
        quat = _vectors("from_quat", quat, (4,))
        if scalar_first:
            quat = concatenate([quat[..., 1:], quat[..., :1]], -1)
        quat = quaternions.normalized(quat) if normalize else quat
        object.__setattr__(self, "quat", quat)

    # -- made of other things ----------------------------------------------------------

    @classmethod
    def from_quat(cls, quat: Any, *, scalar_first: bool = False) -> Rotation:
        """Give the rotations of quaternions [..., 4], which need no length of 1."""
        return cls(quat, scalar_first=scalar_first)

    @classmethod
    def from_matrix(cls, matrix: Any, *, assume_valid: bool = False) -> Rotation:
        """Give the rotations nearest to matrices [..., 3, 3].

        They are nan where a determinant is not positive. With `assume_valid` matrices
        are taken to be rotations, which is faster: no singular values are computed.
        """
        m = _vectors("from_matrix", matrix, (3, 3))
        return _holding(quaternions.of_matrix(m, assume_valid))

    @classmethod
    def from_rotvec(cls, rotvec: Any, degrees: bool = False) -> Rotation:
        """Give rotations about vectors [..., 3], by their lengths in radians."""
        x = _vectors("from_rotvec", rotvec)
        x = x * (math.pi / 180) if degrees else x
        return _holding(quaternions.of_rotation_vector(x))

    @classmethod
    def from_mrp(cls, mrp: Any) -> Rotation:
        """Give the rotations of modified Rodrigues parameters [..., 3]."""
        return _holding(quaternions.of_rodrigues(_vectors("from_mrp", mrp)))

    @classmethod
    def from_euler(cls, seq: str, angles: Any, degrees: bool = False) -> Rotation:
        """Give rotations by angles [..., n] about the n axes that `seq` names.

        Small letters are axes that stand still; with capitals, axes turn along. One
        axis takes an angle [] too.
        """
        (x,) = real_arguments("Rotation.from_euler", angles)
        x = x * (math.pi / 180) if degrees else x
        return _holding(euler.of_angles(seq, x))

    @classmethod
    def identity(cls, num: int | None = None, dtype: Any = float) -> Rotation:
        """Give the identity, or `num` of it."""
        unit = array(np.array([0.0, 0.0, 0.0, 1.0]), dtype)
        return _holding(unit if num is None else broadcast_to(unit, (num, 4)))

    @classmethod
    def random(cls, random_key: Any, num: int | None = None) -> Rotation:
        """Draw a rotation, or `num` of them, all equally likely."""
        return cls(random.normal(random_key, (4,) if num is None else (num, 4)))

    @classmethod
    def concatenate(cls, rotations: Iterable[Rotation]) -> Rotation:
        """Join rotations to a vector of them."""
        given = [rotations] if isinstance(rotations, Rotation) else [*rotations]
        if not given or not all(isinstance(r, Rotation) for r in given):
            raise ArgumentError(
                f"Rotation.concatenate was given {[type(r).__name__ for r in given]}.",
                where=called_at(),
                mend="Give a list of one Rotation or more.",
            )
        rows = [reshape(r.quat, (1, 4)) if r.single else r.quat for r in given]
        return _holding(concatenate(rows, 0))

    # -- given as other things ---------------------------------------------------------

    def as_quat(self, canonical: bool = False, scalar_first: bool = False) -> Value:
        """Give quaternions [..., 4]; canonical ones have no negative scalar."""
        q = quaternions.canonical(self.quat) if canonical else self.quat
        return concatenate([q[..., 3:], q[..., :3]], -1) if scalar_first else q

    def as_matrix(self) -> Value:
        """Give matrices [..., 3, 3]."""
        return quaternions.matrix_of(self.quat)

    def as_rotvec(self, degrees: bool = False) -> Value:
        """Give vectors [..., 3] along the axes, as long as the angles, up to pi."""
        found = quaternions.rotation_vector_of(self.quat)
        return found * (180 / math.pi) if degrees else found

    def as_mrp(self) -> Value:
        """Give modified Rodrigues parameters [..., 3], no longer than 1."""
        return quaternions.rodrigues_of(self.quat)

    def as_euler(
        self, seq: str, degrees: bool = False, *, suppress_warnings: bool = False
    ) -> Value:
        """Give angles [..., 3] about the three axes that `seq` names.

        Where the first and the last axis fall together, the last angle is 0, and
        derivatives are those of the others; `suppress_warnings` changes nothing.
        """
        found = euler.angles_of(self.quat, seq)
        return found * (180 / math.pi) if degrees else found

    # -- used --------------------------------------------------------------------------

    def apply(self, vectors: Any, inverse: bool = False) -> Value:
        """Rotate vectors [..., 3], or rotate them back; shapes broadcast."""
        quat, x = real_arguments(
            "Rotation.apply", self.quat, _vectors("apply", vectors)
        )
        return quaternions.rotated(quaternions.inverse(quat) if inverse else quat, x)

    def __mul__(self, other: Rotation) -> Rotation:
        """Give the rotations by `other`, then by this; shapes broadcast."""
        if not isinstance(other, Rotation):
            return NotImplemented
        p, q = real_arguments("Rotation", self.quat, other.quat)
        return Rotation(quaternions.product(p, q))

    def __pow__(self, n: Any) -> Rotation:
        """Give rotations by `n` times the angle."""
        return Rotation.from_rotvec(self.as_rotvec() * n)

    def inv(self) -> Rotation:
        """Give the inverse rotations."""
        return _holding(quaternions.inverse(self.quat))

    def magnitude(self) -> Value:
        """Give the angles [...], from 0 to pi."""
        return quaternions.angle_of(self.quat)

    def mean(self, weights: Any = None) -> Rotation:
        """Give the mean of all rotations, which `weights` of their shape may weigh.

        It is the rotation at which the weighted sum of squared distances between
        matrices is least. Weights must not be negative.
        """
        flat = reshape(self.quat, (math.prod(self.shape), 4))
        given = np.ones(self.shape, self.quat.dtype) if weights is None else weights
        flat, scale = real_arguments("Rotation.mean", flat, given)
        if scale.shape != self.shape or not flat.shape[0]:
            raise wrong_shape(
                "Rotation.mean",
                f"was given weights {scale.aval} for rotations of shape {self.shape}.",
                "Give one weight a rotation, and one rotation or more.",
            )
        return _holding(quaternions.mean_of(flat, reshape(scale, flat.shape[:1])))

    # -- as a container ----------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the rotations: that of the quaternions but for the last axis."""
        return tuple(self.quat.shape[:-1])

    @property
    def single(self) -> bool:
        """Whether this is one rotation, and no array of them."""
        return not self.shape

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        self._must_be_several("has no length")
        return self.shape[0]

    def __getitem__(self, indexer: Any) -> Rotation:
        self._must_be_several("cannot be indexed")
        index = indexer if isinstance(indexer, tuple) else (indexer,)
        whole = () if any(i is Ellipsis for i in index) else (Ellipsis,)
        return _holding(self.quat[(*index, *whole, slice(None))])

    def _must_be_several(self, what: str) -> None:
        if self.single:
            raise ArgumentError(
                f"A single Rotation {what}.",
                where=called_at(),
                mend="Make a vector of it: Rotation.concatenate([rotation]).",
            )


def _holding(quat: Any) -> Rotation:
    """Give a `Rotation` of whatever a container may hold in the quaternion's place."""
    found = object.__new__(Rotation)
    object.__setattr__(found, "quat", quat)
    return found


tree.register_with_keys(
    Rotation,
    lambda r: (((tree.GetAttrKey("quat"), r.quat),), None),
    lambda _, children: _holding(*children),
)
