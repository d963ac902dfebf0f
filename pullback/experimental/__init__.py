"""What JAX keeps in `jax.experimental`, by the same names."""

from pullback.experimental import checkify as checkify
from pullback.experimental import jet as jet
