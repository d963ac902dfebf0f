"""SciPy's clusters of observations."""

from pullback.scipy.cluster import vq as vq
