"""What new operations are made of: the class that all operations of the library are.

An operation is a class. Its static parameters are fields, its rules methods; write
those that your transformations need, and a missing one says what to write. `Primitive`
describes them. `examples/extend_primitive.py` is an operation with every rule;
`examples/extend_solver.py` is what can be had without one. `extend.core` has programs
as data.
"""

from pullback.core.aval import Aval as Aval
from pullback.core.aval import ShapeDtypeStruct as ShapeDtypeStruct
from pullback.core.calling import as_value as as_value
from pullback.core.primitive import Primitive as Primitive
from pullback.core.primitive import zeros_like_outputs as zeros_like_outputs
from pullback.core.trace import aval_of as aval_of
from pullback.core.zero import SymbolicZero as SymbolicZero
from pullback.core.zero import Unknown as Unknown
from pullback.core.zero import Zero as Zero
from pullback.core.zero import is_zero as is_zero
from pullback.extend import core as core
from pullback.primitives.callbacks import io_callback as io_callback
from pullback.primitives.callbacks import pure_callback as pure_callback
from pullback.primitives.recipes import Linear as Linear
from pullback.primitives.recipes import batch_to_front as batch_to_front
from pullback.primitives.recipes import lower_as as lower_as
from pullback.primitives.structural import add_tangents as add_tangents
from pullback.primitives.structural import frozen as frozen
from pullback.primitives.structural import instantiate as instantiate
from pullback.primitives.structural import linear_jvp as linear_jvp
from pullback.primitives.structural import move_axis as move_axis

__all__ = [
    "Aval",
    "Linear",
    "Primitive",
    "ShapeDtypeStruct",
    "SymbolicZero",
    "Unknown",
    "Zero",
    "add_tangents",
    "as_value",
    "aval_of",
    "batch_to_front",
    "frozen",
    "instantiate",
    "io_callback",
    "is_zero",
    "linear_jvp",
    "lower_as",
    "move_axis",
    "pure_callback",
    "zeros_like_outputs",
]
