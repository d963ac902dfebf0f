"""`odeint`, as JAX has it; the function is that of `pullback.ode`."""

from pullback.ode import odeint as odeint

__all__ = ["odeint"]
