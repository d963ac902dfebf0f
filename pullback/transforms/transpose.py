"""Transposition: a recorded linear program walked backwards."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from pullback import dtypes, tree
from pullback.core.aval import Aval
from pullback.core.calling import as_value, check_callable
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.origin import called_at, name_of
from pullback.core.primitive import Primitive
from pullback.core.trace import Value, aval_of, current, current_trace
from pullback.core.zero import Zero, is_zero
from pullback.errors import GradError, RuleArityError, TreeError
from pullback.primitives.boxes import CutBoxes
from pullback.primitives.shaping import Slice
from pullback.primitives.stacking import Pick
from pullback.primitives.structural import accumulate, instantiate
from pullback.transforms.linearize import (
    LinearProgram,
    LinearTrace,
    LinearTracer,
    Step,
)
from pullback.transforms.stage import input_aval, stage_closed
from pullback.transforms.tangents import Mismatch, fit_tangents

_SEQUENCES = frozenset((tuple, list))

#: Where backward rules leave what they log; None if nobody asked for it.
_logs: contextvars.ContextVar[list[Any] | None] = contextvars.ContextVar(
    "logs", default=None
)


def collect_log(log: Any) -> None:
    """Keep what a backward rule logs, if somebody asked for it."""
    kept = _logs.get()
    if kept is not None and log is not None:
        kept.append(log)


def logs_wanted() -> bool:
    """Whether somebody asked for what backward rules log."""
    return _logs.get() is not None


def collect_logs(structure: tree.TreeDef | None, leaves: Sequence[Value]) -> None:
    """Keep what the rules in a transposed program logged: its last results.

    Args:
        structure: that of all logs together, `Transposed.logs`.
        leaves: the logged arrays; those of a loop are stacked over its steps.
    """
    if structure is not None:
        logs: Any = structure.unflatten(leaves)
        for log in logs:
            collect_log(log)


class collecting_logs:
    """Gathers what backward rules log inside a `with` block.

    Args:
        wanted: whether to gather at all.
    """

    __slots__ = ("token", "wanted")

    def __init__(self, wanted: bool = True) -> None:
        self.wanted = wanted

    def __enter__(self) -> list[Any]:
        kept: list[Any] = []
        self.token = _logs.set(kept if self.wanted else None)
        return kept

    def __exit__(self, *_: object) -> None:
        _logs.reset(self.token)


def backward(
    program: LinearProgram,
    cotangents: Sequence[Any],
    consume: bool = False,
    totals: Sequence[Any] = (),
) -> list[Any]:
    """Give the cotangents of a linear program's inputs from those of its outputs.

    Args:
        program: the recorded program.
        cotangents: one an output; `Zero` or None where it is zero.
        consume: drop each step, and the residuals it holds, once it is transposed.
        totals: for the first inputs what their cotangents are added to, None for zero.

    Returns:
        One cotangent an input, `Zero` where nothing flows to it.
    """
    found: dict[Any, Value] = {
        x: total for x, total in zip(program.inputs, totals) if total is not None
    }
    for y, ct in zip(program.outputs, cotangents, strict=True):
        if type(y) is LinearTracer and ct is not None and not isinstance(ct, Zero):
            found[y] = accumulate(found[y], ct) if y in found else ct
    steps = program.steps
    # While nans are looked for, steps remember the user's lines.
    walk = getattr(steps, "transpose_each", None)
    if walk is not None:
        walk(found, transpose_step, consume)
    elif consume:
        steps[:] = join_slices(steps)
        while steps:
            transpose_step(steps.pop(), found)
    else:
        for step in reversed(join_slices(steps)):
            transpose_step(step, found)
    return [found[x] if x in found else Zero(x.aval) for x in program.inputs]


# Of how many slices the cotangents are added up in place, if the array or most of the
# pieces are large. Compiled on a 2-core Xeon, the gradient of a recurrence over 8 rows
# of 5,000 takes 0.03 ms instead of 2.4, over 100 rows of 2,048 1.0 instead of 3.0; of
# the elements of a small array, one by one, 1.5 times as long, and twice to compile.
# Columns are written number by number, so that less is won: cross products of 5,000
# take 23 us instead of 16, sums of tanh of five columns of 5,000 29 instead of 140.
MANY_SLICES, MANY_COLUMNS = 3, 5
LARGE_ARRAY, LARGE_PIECE, COLUMN = 2**11, 2**5, 4


def join_slices(steps: list[Step]) -> list[Step]:
    """Make one step of many slices of one array, in the place of the first.

    Alone, each would add a cotangent as large as the array; see `CutBoxes`.
    """
    if len(steps) < 2:
        return steps
    cuts: dict[Value, list[Step]] = {}
    for step in steps:
        primitive, operands, _ = step
        if isinstance(primitive, Slice) and max(primitive.strides) == 1:
            cuts.setdefault(operands[0], []).append(step)
    groups = {id(cut[0]): cut for x, cut in cuts.items() if worth_joining(x.aval, cut)}
    if not groups:
        return steps
    left_out = {id(step) for cut in groups.values() for step in cut[1:]}
    joined: list[Step] = []
    for step in steps:
        if id(step) in groups:
            joined.append(join(groups[id(step)]))
        elif id(step) not in left_out:
            joined.append(step)
    return joined


def worth_joining(aval: Aval, cuts: Sequence[Step]) -> bool:
    """Whether so many slices of an array of this type had better be one operation."""
    if len(cuts) > 1 and current_trace().at_once:
        return True  # what is padded and added is two operations more, of any size
    columns = all(
        cut.limits[-1] - cut.starts[-1] <= COLUMN
        for cut, *_ in cuts
        if isinstance(cut, Slice)
    )
    if len(cuts) < (MANY_COLUMNS if columns and aval.ndim > 1 else MANY_SLICES):
        return False
    taken = sum(result.aval.size for _, _, result in cuts)
    return aval.size >= LARGE_ARRAY or taken >= LARGE_PIECE * len(cuts)


def join(cuts: Sequence[Step]) -> Step:
    """Make one step of slices of one array."""
    slices = [cut for cut, _, _ in cuts if isinstance(cut, Slice)]
    bounds = [tuple(zip(cut.starts, cut.limits)) for cut in slices]
    dropped = tuple([cut.dropped if isinstance(cut, Pick) else () for cut in slices])
    joined = CutBoxes(tuple(bounds), dropped)
    return joined, cuts[0][1], [result for _, _, result in cuts]


def transpose_step(step: Step, found: dict[Any, Value]) -> None:
    """Move the cotangents of one step's results to its operands."""
    primitive, operands, results = step
    if primitive.multiple:
        ct: Any = []
        given = False
        for y in results:
            c = found.pop(y, None)
            given = given or c is not None
            ct.append(Zero(y.aval) if c is None else c)
        if not given:
            return
    else:
        ct = found.pop(results, None)
        if ct is None:
            return
    if primitive.reads_part and operands[0] in found:
        x, *others = operands
        found[x] = primitive.transpose_onto(found[x], ct, *others)
        return
    cts = primitive.transpose(ct, *operands)
    if type(cts) not in _SEQUENCES or len(cts) != len(operands):
        raise wrong_count(primitive, cts, len(operands))
    for x, c in zip(operands, cts):
        if c is not None and type(x) is LinearTracer:
            if not x.zero and not isinstance(c, Zero):
                old = found.get(x)
                found[x] = c if old is None else accumulate(old, c)


def wrong_count(primitive: Primitive, cts: Any, count: int) -> RuleArityError:
    """Make the error for a `transpose` rule without one entry an operand."""
    given = (
        f"{len(cts)} entries" if type(cts) in _SEQUENCES else f"a {type(cts).__name__}"
    )
    return RuleArityError(
        f"the transpose rule of operation {primitive.name} returned {given}; the "
        f"operation has {count} operand{'s' if count != 1 else ''}.",
        where=called_at(),
        mend=f"Let {type(primitive).__name__}.transpose return a tuple with one entry "
        "an operand, None where there is no cotangent to give.",
    )


class Transposed(NamedTuple):
    """The transpose of a program.

    Fields:
        jaxpr: known inputs, then cotangents, and then totals -> cotangents, and then
            logged arrays.
        nonzero: for each unknown input, whether the program gives its cotangent.
        logs: the structure of what backward rules log, None if nobody asked.
    """

    jaxpr: Jaxpr
    nonzero: list[bool]
    logs: tree.TreeDef | None


def transpose_jaxpr(
    jaxpr: Jaxpr,
    unknown: Sequence[bool],
    ct_nonzero: Sequence[bool],
    instantiate_all: bool = False,
) -> tuple[Jaxpr, list[bool]]:
    """Give the program that takes cotangents of a program's outputs to its inputs.

    Args:
        jaxpr: a program linear in its unknown inputs.
        unknown: for each input, whether it is one of these.
        ct_nonzero: for each output, whether it has a cotangent.
        instantiate_all: give the zero cotangents too.

    Returns:
        A program of the known inputs and then the given cotangents; and for each
        unknown input, whether the program gives its cotangent.
    """
    found = transpose_logging(jaxpr, unknown, ct_nonzero, instantiate_all, False)
    return found.jaxpr, found.nonzero


def transpose_logging(
    jaxpr: Jaxpr,
    unknown: Sequence[bool],
    ct_nonzero: Sequence[bool],
    instantiate_all: bool,
    logging: bool,
    summed: Sequence[bool] = (),
) -> Transposed:
    """Transpose a program as `transpose_jaxpr` does, and give what its rules log.

    `summed` says which of the first unknown inputs have a total, to which the program
    adds their cotangents.
    """
    key = (
        *("transpose", tuple(unknown), tuple(ct_nonzero), tuple(summed)),
        *(instantiate_all, logging),
    )
    if key in jaxpr.cache:
        return jaxpr.cache[key]  # type: ignore[no-any-return]
    known_avals = [a for a, u in zip(jaxpr.in_avals, unknown) if not u]
    ct_avals = [a.tangent() for a, n in zip(jaxpr.out_avals, ct_nonzero) if n]
    inputs = [a for a, u in zip(jaxpr.in_avals, unknown) if u]
    ct_avals += [a.tangent() for a, wanted in zip(inputs, summed) if wanted]
    nonzero: list[bool] = []
    log_trees: list[tree.TreeDef] = []

    def transposed(*values: Value) -> list[Value]:
        known, given = (
            iter(values[: len(known_avals)]),
            iter(values[len(known_avals) :]),
        )
        program = record(
            lambda *xs: evaluate(jaxpr, xs),
            [None if u else next(known) for u in unknown],
            jaxpr.in_avals,
        )
        with collecting_logs(logging) as logs:
            cts = [next(given) if n else None for n in ct_nonzero]
            totals = [next(given) if wanted else None for wanted in summed]
            cts = backward(program, cts, totals=totals)
        leaves, log_tree = tree.flatten(logs)
        log_trees.append(log_tree)
        nonzero[:] = [instantiate_all or not is_zero(c) for c in cts]
        outs = [instantiate(c) for c, n in zip(cts, nonzero) if n]
        return [*outs, *map(as_value, leaves)]

    staged = stage_closed(transposed, [*known_avals, *ct_avals], jaxpr.name)
    logged = log_trees[0] if logging and log_trees[0].num_leaves else None
    result = jaxpr.cache[key] = Transposed(staged, nonzero, logged)
    return result


def record(
    f: Callable[..., Sequence[Value]], values: Sequence[Value | None], avals: Any
) -> LinearProgram:
    """Record a flat function that is linear in the inputs whose value is None."""
    trace = LinearTrace(current_trace())
    unknown = []
    inputs: list[Value] = []
    for x, aval in zip(values, avals):
        if x is None:
            x = trace.input(aval)
            unknown.append(x)
        inputs.append(x)
    token = current.set(trace)
    try:
        outputs = f(*inputs)
    finally:
        current.reset(token)
    marked = [
        y
        if type(y) is LinearTracer and y.owner is trace and not y.zero
        else Zero(aval_of(y))
        for y in outputs
    ]
    return LinearProgram(trace.take_steps(), unknown, marked)


def linear_transpose(fun: Callable[..., Any], *args: Any) -> Callable[..., Any]:
    """Give the transpose of a linear function.

    Args:
        fun: a function of pytrees, linear in all of its arguments together.
        args: example arguments, or `ShapeDtypeStruct`s in their place.

    Returns:
        A function from a cotangent of the output (same tree) to a tuple with one
        cotangent an argument.

    Raises:
        LinearityError: `fun` does something that is not linear.
        GradError: an argument is not of floating-point or complex dtype.
    """
    check_callable(fun, "linear_transpose")
    leaves, in_tree = tree.flatten(args)
    avals = [input_aval(x, name_of(fun)) for x in leaves]
    for aval in avals:
        if not dtypes.is_inexact(aval.dtype):
            raise GradError(
                f"linear_transpose of {name_of(fun)} was given an argument of type "
                f"{aval}.",
                where=called_at(),
                mend="Linear functions act on floats or complex numbers: convert it, "
                "or close over it.",
            )
    out_trees: list[tree.TreeDef] = []

    def flat(*values: Value) -> list[Value]:
        outs, out_tree = tree.flatten(fun(*in_tree.unflatten(values)))
        out_trees.append(out_tree)
        return [as_value(y) for y in outs]

    program = record(flat, [None] * len(avals), avals)
    outs = [aval_of(y) for y in program.outputs]
    like = out_trees[0].unflatten(outs)

    def complain(found: Mismatch) -> NoReturn:
        raise TreeError(
            f"the transpose of {name_of(fun)}: cotangent{found.path} is {found.what}.",
            where=called_at(),
            mend="Give a cotangent with the structure, shapes and dtypes of the "
            "output; None stands for zero.",
        )

    def transposed(cotangent: Any) -> Any:
        """Give the cotangents of the arguments from that of the output."""
        cts = fit_tangents(like, cotangent, outs, complain)
        found = backward(program, cts)
        return in_tree.unflatten([instantiate(c) for c in found])

    return transposed
