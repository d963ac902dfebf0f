"""SciPy's rotations in three dimensions, and interpolation between them."""

from pullback.scipy.spatial.transform.rotation import Rotation
from pullback.scipy.spatial.transform.slerp import Slerp

__all__ = ["Rotation", "Slerp"]
