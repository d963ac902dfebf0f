"""Values, operations, traces and jaxprs: what every other layer speaks of."""

# Printing fills the slot through which jaxprs become text.
from pullback.core import pretty as pretty
