"""SciPy's normal distribution."""

from pullback.scipy.stats import norm as norm
