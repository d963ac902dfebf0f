"""What JAX keeps in `jax.experimental`, by the same names."""

from pullback.experimental import checkify as checkify
from pullback.experimental import jet as jet
from pullback.experimental import ode as ode
from pullback.primitives.callbacks import io_callback as io_callback

__all__ = ["io_callback", "jet", "ode"]
