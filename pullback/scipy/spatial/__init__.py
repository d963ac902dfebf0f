"""SciPy's geometry: rotations."""

from pullback.scipy.spatial import transform as transform
