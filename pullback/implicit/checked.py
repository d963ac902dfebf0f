"""Linear systems with checks in their solvers."""

from __future__ import annotations

from collections.abc import Sequence

from pullback.core.trace import Tracer, Value, using
from pullback.implicit.linear_operation import LinearSolve
from pullback.transforms.checks import Around, CheckTrace, Rules, check_flat


class CheckedSystem(Around):
    """A linear system whose solver also gives what its checks found, beside x."""

    __slots__ = ()

    has_aux = True

    def run(self, operands: Sequence[Value]) -> list[Value]:
        """Solve: give x, and what else the solver gives, and what was found."""
        outs, found = check_flat(lambda *xs: self.inner.run(xs), operands, *self.asked)
        self.info = found.info
        return [*outs, *found.leaves]


def check_linear_solve(
    trace: CheckTrace, solve: LinearSolve, operands: tuple[Value, ...]
) -> list[Value]:
    """Solve a system, with checks in its solver."""
    if not any(isinstance(x, Tracer) for x in operands):
        with using(trace):
            return solve.function(*operands)
    if solve.call_jaxpr is not None:
        program, info = trace.checked(solve.call_jaxpr)
        if not info.records:
            return trace.run(solve, operands)  # type: ignore[no-any-return]
        system = CheckedSystem(solve.system, trace, info)
        checked = LinearSolve(system, program, solve.count_consts)
    else:
        system = CheckedSystem(solve.system, trace)
        checked = LinearSolve(system)
    results = trace.run(checked, operands)
    assert system.info is not None, "said by the solver, which ran"
    return trace.collect(system.info, results)


#: What is done with linear systems.
SOLVE_RULES: Rules = {LinearSolve: check_linear_solve}
