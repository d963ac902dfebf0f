"""Values, operations, traces and jaxprs: what every other layer speaks of."""

# Printing fills the slot through which jaxprs become text.
from pullback.core import pretty as pretty
from pullback.core.aval import Aval as ShapedArray
from pullback.core.jaxpr import Atom as Atom
from pullback.core.jaxpr import eval_jaxpr as eval_jaxpr
from pullback.core.trace import Trace as Trace
from pullback.core.trace import Tracer as Tracer

__all__ = ["Atom", "ShapedArray", "Trace", "Tracer", "eval_jaxpr"]
