"""Every error a user can meet: what happened, where, and how to mend it."""

from __future__ import annotations

from typing import Any


class PullbackError(Exception):
    """The base of all errors of this library.

    Args:
        what: what went wrong, with names and expected and given types.
        where: the user's file and line, already formatted, or "".
        mend: what to do about it, in the imperative.
    """

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, where, mend
        super().__init__(" ".join(part for part in (what, where, mend) if part))


class ConfigError(PullbackError, ValueError):
    """A switch that does not exist, or a value it does not take."""


class ShapeError(PullbackError, TypeError, ValueError):
    """Operands whose shapes do not fit together."""


class DtypeError(PullbackError, TypeError):
    """An operand of a dtype the operation does not take."""


class ArgumentError(PullbackError, TypeError, ValueError):
    """An argument of a public function that cannot be used as given."""


class IntegerRangeError(ArgumentError, OverflowError):
    """A Python integer that the integer dtype it is to have cannot hold."""


class IndexBoundsError(PullbackError, IndexError):
    """An index that an array of this shape does not have."""


class MissingName(PullbackError, AttributeError):
    """A function that the library does not have."""


def missing_name(module: str, name: str) -> MissingName:
    """Make the error for a name that a module of the library does not have."""
    return MissingName(
        f"{module} has no {name}; it may come in a later version.",
        mend="Check the spelling; docs/reference.md lists all names, and "
        "docs/differences.md what is missing.",
    )


class DeletedArrayError(PullbackError, RuntimeError):
    """The value of an array that was deleted."""


class NotAnArrayError(PullbackError, TypeError):
    """A value that is no array, scalar or traced value, where one is wanted."""


class TreeError(PullbackError, TypeError, ValueError):
    """Containers whose structures do not match."""


class MissingRule(PullbackError, NotImplementedError):
    """An operation without the rule that a transformation asks for."""


class MissingDerivative(PullbackError, TypeError):
    """A function or operation that cannot be differentiated as asked."""


class ForwardModeError(MissingDerivative):
    """Forward mode on a function that has only a reverse-mode rule."""


class ConcretizationError(PullbackError, TypeError):
    """A traced value where Python needs a concrete one."""


class TracerBoolError(ConcretizationError):
    """A Python branch on a traced value."""


class TracerIntegerError(ConcretizationError, IndexError):
    """A traced value where Python needs an integer."""


class TracerArrayError(ConcretizationError):
    """A NumPy call on a traced value."""


class LeakedTracerError(PullbackError, RuntimeError):
    """A traced value used after the transformation that made it has ended."""


#: The ecosystem's names of the five above.
ConcretizationTypeError = ConcretizationError
TracerBoolConversionError = TracerBoolError
TracerIntegerConversionError = TracerIntegerError
TracerArrayConversionError = TracerArrayError
UnexpectedTracerError = LeakedTracerError


class RuleError(PullbackError, TypeError):
    """A custom rule whose output does not fit its function."""


class RuleArityError(RuleError):
    """A custom rule that takes or returns a wrong number of arguments."""


class RuleTreeError(RuleError):
    """A custom rule whose output has another structure than its function's."""


class RuleKeyError(RuleTreeError):
    """A custom rule whose output has a key too many or too few."""


class RuleShapeError(RuleError, ValueError):
    """A custom rule whose output has a wrong shape somewhere."""


class RuleDtypeError(RuleError, ValueError):
    """A custom rule whose output has a wrong dtype, or is no array, somewhere."""


class LinearityError(RuleError):
    """A custom rule that is not linear in its tangents or cotangents.

    `rule` is the rule, None until it is known.
    """

    rule: Any = None


class MissingCustomRule(RuleError, AttributeError):
    """A decorated function that is differentiated before any rule is defined."""


class NondiffError(RuleError):
    """A traced array in an argument marked as not differentiable."""


class CapturedError(RuleError):
    """Differentiation of a decorated function with respect to a value it captures."""


class GradError(PullbackError, TypeError):
    """An input or output that `grad` and its kin cannot use."""


class StaticArgumentError(PullbackError, ValueError, TypeError):
    """A static argument that cannot be hashed, or does not exist."""


class BatchError(PullbackError, ValueError, TypeError):
    """Axes given to `vmap` that do not fit the arguments."""


class UnboundAxisError(PullbackError, NameError):
    """The name of a mapped axis, used where no axis has it."""


class ControlFlowError(PullbackError, TypeError):
    """Branches or loop bodies whose types do not agree."""


class BackendError(PullbackError, RuntimeError, ImportError):
    """A compiler that is missing, of an untried version, or that failed."""


class TracingError(PullbackError, RuntimeError):
    """A function traced where a switch forbids it."""


class NanError(PullbackError, FloatingPointError):
    """A nan that a debugging switch or function was asked to catch."""


class InfError(PullbackError, FloatingPointError):
    """An infinity that a debugging switch was asked to catch."""


class CheckError(PullbackError, ValueError):
    """A check that failed: one of the user's, or one of those that `checkify` adds."""


class StagedCheckError(PullbackError, ValueError):
    """A check in a compiled program that `checkify` did not make a value of."""


class RankPromotionWarning(UserWarning):
    """Operands of different ranks that were broadcast, while that is warned of."""


class ConvergenceWarning(UserWarning):
    """A solver that stopped before it converged."""
