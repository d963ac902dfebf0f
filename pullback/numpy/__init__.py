"""NumPy's functions on arrays and traced values."""
from pullback.numpy import operators
