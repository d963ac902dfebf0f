"""Images made larger or smaller.

Each axis is a product with a matrix of weights: the values of a kernel around the place
that a pixel comes from. Keys, Cubic convolution interpolation (1981); Duchon, Lanczos
filtering (1979).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.errors import ArgumentError
from pullback.numpy import composed, contraction, creation, reductions, taking, ufuncs
from pullback.numpy.arguments import array_argument, describe, wrong_shape
from pullback.numpy.promotion import as_inexact, convert
from pullback.primitives import table
from pullback.primitives.recipes import canonical_axis

__all__ = ["ResizeMethod", "resize", "scale_and_translate"]

Kernel = Callable[[Value], Value]


class ResizeMethod(enum.Enum):
    """How pixels between pixels are found."""

    NEAREST = "nearest"
    LINEAR = "linear"
    LANCZOS3 = "lanczos3"
    LANCZOS5 = "lanczos5"
    CUBIC = "cubic"
    CUBIC_PYTORCH = "cubic_pytorch"

    @staticmethod
    def from_string(name: str) -> ResizeMethod:
        """Give the method of a name: "linear", "bilinear", "cubic" and so on."""
        return _method(name)


_ALIASES = {
    **{name: "linear" for name in ("bilinear", "trilinear", "triangle")},
    **{name: "cubic" for name in ("bicubic", "tricubic")},
}


def _method(method: Any) -> ResizeMethod:
    """Give the method that a user names.

    Raises:
        ArgumentError: there is none of that name.
    """
    if isinstance(method, ResizeMethod):
        return method
    try:
        return ResizeMethod(_ALIASES.get(method, method))
    except ValueError:
        raise ArgumentError(
            f"an image was to be resized with method={method!r}.",
            where=called_at(),
            mend=f"Use one of {', '.join(repr(m.value) for m in ResizeMethod)}.",
        ) from None


def _linear(x: Value) -> Value:
    return table.max(1.0 - x, 0.0)


def _cubic(sharpness: float) -> Kernel:
    """Make the kernel of Keys (1981), equation (4), of a parameter `a`."""
    a = sharpness

    def kernel(x: Value) -> Value:
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        return taking.where(x < 1, near, taking.where(x < 2, far, 0.0))

    return kernel


def _lanczos(radius: float) -> Kernel:
    """Make the kernel sinc(x) sinc(x / radius)."""

    def kernel(x: Value) -> Value:
        both = composed.sinc(x) * composed.sinc(x / radius)
        return taking.where(x < radius, both, 0.0)

    return kernel


_KERNELS: dict[ResizeMethod, Kernel] = {
    ResizeMethod.LINEAR: _linear,
    ResizeMethod.CUBIC: _cubic(-0.5),
    ResizeMethod.CUBIC_PYTORCH: _cubic(-0.75),
    ResizeMethod.LANCZOS3: _lanczos(3.0),
    ResizeMethod.LANCZOS5: _lanczos(5.0),
}


def _weights(
    n: int, m: int, scale: Value, shift: Value, kernel: Kernel, antialias: bool
) -> Value:
    """Give the matrix [n, m] that makes m pixels of n.

    Pixel i of the result has its middle at (i + 1/2 - shift) / scale of the image.
    """
    step = 1 / scale
    middle = (creation.arange(m) + 0.5) * step - shift * step - 0.5
    width = composed.clip(step, 1.0, None) if antialias else 1.0
    x = ufuncs.abs(middle[None, :] - creation.arange(n)[:, None]) / width
    found = kernel(convert(x, scale.dtype))
    total = reductions.sum(found, 0, keepdims=True)
    enough = ufuncs.abs(total) > 1000 * float(dtypes.finfo(scale.dtype).eps)
    found = taking.where(enough, found / taking.where(total == 0, 1.0, total), 0.0)
    inside = ufuncs.logical_and(middle >= -0.5, middle <= n - 0.5)
    return taking.where(inside[None, :], found, 0.0)


def scale_and_translate(
    image: Any,
    shape: Sequence[int],
    spatial_dims: Sequence[int],
    scale: Any,
    translation: Any,
    method: Any,
    antialias: bool = True,
    precision: Any = "highest",
) -> Value:
    """Make an image of another, scaled and then moved along some axes.

    Args:
        image: an array; integers become floats.
        shape: the result's; differs on `spatial_dims` only.
        spatial_dims: the axes along which pixels stand.
        scale: for each of them a factor; may be traced.
        translation: for each of them how far to move, in pixels of the result.
        method: a `ResizeMethod` other than "nearest", or its name.
        antialias: widen the kernel where the image shrinks.
        precision: of the products; matters on accelerators only.

    Returns:
        An array of `shape`; pixels that come from outside of the image are 0.
        Differentiable in the image, the factors and the moves.
    """
    kind = _method(method)
    if kind is ResizeMethod.NEAREST:
        raise ArgumentError(
            "scale_and_translate was given method='nearest'.",
            where=called_at(),
            mend="Use resize, or another method.",
        )
    x = as_inexact(array_argument(image, "scale_and_translate"), "scale_and_translate")
    axes = [
        canonical_axis(d, len(x.shape), "scale_and_translate") for d in spatial_dims
    ]
    factors, moves = (
        as_inexact(creation.asarray(v), "scale") for v in (scale, translation)
    )
    sizes = _new_shape(x, shape, axes, "scale_and_translate")
    for v in (factors, moves):
        if v.shape != (len(axes),):
            raise wrong_shape(
                "scale_and_translate",
                f"was given {len(axes)} spatial_dims and a scale or translation of "
                f"type {describe(v)}.",
                "Give one number for each.",
            )
    for i, axis in enumerate(axes):
        matrix = _weights(
            x.shape[axis], sizes[axis], factors[i], moves[i], _KERNELS[kind], antialias
        )
        x = _along(x, matrix, axis, precision)
    return x


def _new_shape(x: Value, shape: Any, axes: Sequence[int], who: str) -> tuple[int, ...]:
    """Give a shape that differs from an image's on some axes only.

    Raises:
        ShapeError: it does on others.
    """
    sizes = tuple(int(n) for n in shape)
    same = len(sizes) == len(x.shape) and all(
        n == m for i, (n, m) in enumerate(zip(sizes, x.shape)) if i not in axes
    )
    if not same:
        raise wrong_shape(
            who,
            f"was given an image of type {describe(x)} and shape {sizes}.",
            "Give a length for each axis, that of the image where there are no pixels.",
        )
    return sizes


def _along(x: Value, matrix: Value, axis: int, precision: Any) -> Value:
    """Multiply an axis by a matrix."""
    matrix = convert(matrix, x.dtype)
    made = contraction.tensordot(x, matrix, ((axis,), (0,)), precision=precision)
    order = [*range(axis), len(x.shape) - 1, *range(axis, len(x.shape) - 1)]
    return made.transpose(order)


def resize(
    image: Any,
    shape: Sequence[int],
    method: Any,
    antialias: bool = True,
    precision: Any = "highest",
) -> Value:
    """Make an image larger or smaller.

    Args:
        image: an array; integers become floats, unless the method is "nearest".
        shape: the result's, a length for each axis.
        method: a `ResizeMethod`, or its name: "nearest", "linear" (also "bilinear"),
            "cubic" (also "bicubic"), "cubic_pytorch", "lanczos3", "lanczos5".
        antialias: widen the kernel where the image shrinks.
        precision: of the products; matters on accelerators only.

    Example:
        >>> import pullback.numpy as jnp
        >>> resize(jnp.array([0.0, 1.0]), (4,), "linear")
        Array([0.  , 0.25, 0.75, 1.  ], dtype=float32)
    """
    kind = _method(method)
    x = array_argument(image, "resize")
    sizes = _new_shape(x, shape, range(len(x.shape)), "resize")
    axes = [i for i, (n, m) in enumerate(zip(x.shape, sizes)) if n != m]
    if kind is ResizeMethod.NEAREST:
        for i in axes:
            places = (creation.arange(sizes[i]) + 0.5) * (x.shape[i] / sizes[i])
            x = taking.take(x, ufuncs.floor(places).astype(int), i, mode="clip")
        return x
    x = as_inexact(x, "resize")
    if any(x.shape[i] == 0 for i in axes):
        raise wrong_shape("resize", f"was given {describe(x)}.", "Give some pixels.")
    wide = dtypes.promote((x.dtype, False), (dtypes.float32, False))[0]
    factors = [sizes[i] / x.shape[i] for i in axes]
    return scale_and_translate(
        x,
        sizes,
        axes,
        creation.array(factors, dtypes.real_dtype(wide)),
        creation.zeros(len(axes), dtypes.real_dtype(wide)),
        kind,
        antialias,
        precision,
    )
