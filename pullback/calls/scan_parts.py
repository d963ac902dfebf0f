"""The bodies of transformed scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pullback import dtypes, tree
from pullback.calls.program import (
    append_zero,
    chosen,
    cut,
    reached,
    rewired,
    spread,
    with_zeros,
)
from pullback.calls.residuals import with_fewer_residuals
from pullback.core.aval import Aval
from pullback.core.axes import axis_key
from pullback.core.jaxpr import Atom, Eqn, Jaxpr, Var, evaluate
from pullback.core.jaxpr import prune as prune_jaxpr
from pullback.core.primitive import Dim
from pullback.core.trace import Value
from pullback.primitives.structural import reshape
from pullback.primitives.table import add, le, lt, select, sub, zeros_like
from pullback.transforms.batch import batch_jaxpr
from pullback.transforms.jvp import jvp_jaxpr
from pullback.transforms.linearize import Linearized, linearize_jaxpr
from pullback.transforms.split import split_jaxpr
from pullback.transforms.stage import stage_flat
from pullback.transforms.transpose import transpose_jaxpr, transpose_logging

#: Which of constants, carry and stacks something holds for.
Flags = Sequence[Sequence[bool]]


def cached(scan: Any, key: Any, make: Callable[[], Any]) -> Any:
    """Give what is derived from a scan, derived once and kept on its body."""
    full = (scan, key)
    if full not in scan.jaxpr.cache:
        scan.jaxpr.cache[full] = make()
    return scan.jaxpr.cache[full]


def freeze(flags: Flags) -> tuple[tuple[bool, ...], ...]:
    """Make flags hashable."""
    return tuple(tuple(part) for part in flags)


def settled(
    scan: Any, flags: Flags, step: Callable[[list[bool]], Sequence[bool]]
) -> tuple[list[bool], list[bool]]:
    """Mark carries until a step of the body marks no more.

    Args:
        scan: the operation.
        flags: what is marked before the first step.
        step: from marks of the body's inputs to marks of its outputs.

    Returns:
        The marks of the carry, and of the other outputs.
    """
    consts, carry, xs = (list(part) for part in flags)
    while True:
        found = step([*consts, *carry, *xs])
        after, ys = cut(found, scan.num_carry)
        after = [a or b for a, b in zip(carry, after)]
        if after == carry:
            return carry, ys
        carry = after


# -- forward mode ----------------------------------------------------------------------


def jvp_body(scan: Any, flags: Flags) -> Any:
    """Give the scan that carries tangents along."""
    return cached(scan, ("jvp", freeze(flags)), lambda: _jvp_body(scan, flags))


def _jvp_body(scan: Any, flags: Flags) -> Any:
    marks = [m for part in flags for m in part]
    count_ys = len(scan.jaxpr.outputs) - scan.num_carry
    make = [*flags[1], *[False] * count_ys]
    both, _ = jvp_jaxpr(scan.jaxpr, marks, make)
    sizes = [len(part) for part in flags]
    consts, carry, xs, dots = cut(both.inputs, *sizes)
    const_dots, carry_dots, x_dots = cut(dots, sum(flags[0]), sum(flags[1]))
    outs, ys, out_dots, y_dots = cut(
        both.outputs, scan.num_carry, count_ys, sum(flags[1])
    )
    inputs = [*consts, *const_dots, *carry, *carry_dots, *xs, *x_dots]
    body = rewired(both, inputs, [*outs, *out_dots, *ys, *y_dots])
    return scan.like(body, len(consts) + len(const_dots), len(carry) + len(carry_dots))


# -- linearization ---------------------------------------------------------------------


class Parts(NamedTuple):
    """A scan split into one that computes and one that is linear.

    Fields:
        primal: the scan that computes; it stacks residuals after its outputs.
        linear: the scan of constant residuals, tangents, and stacked residuals.
        hoisted: residuals that are the same in every step, as a program of the primal
            scan's constants and carry.
        const_sources, stack_sources: where each residual is found: in the "const",
            "carry" or "stack" operands, the "result" or the "hoisted" ones.
        flags: which constants, carries and stacks have tangents.
        primal_flags: which of them the primal scan takes.
        out_nonzero: which outputs have tangents.
        count_outs: how many results of the primal scan are no residuals.
    """

    primal: Any
    linear: Any
    hoisted: Jaxpr
    const_sources: list[tuple[str, int]]
    stack_sources: list[tuple[str, int]]
    flags: Flags
    primal_flags: Flags
    out_nonzero: list[bool]
    count_outs: int


def linear_body(scan: Any, flags: Flags) -> Parts:
    """Split a scan by which of its operands have tangents; `flags` are settled."""

    def make() -> Parts:
        marks = [m for part in flags for m in part]
        split = linearize_jaxpr(scan.jaxpr, marks)
        ys = split.primal.outputs[scan.num_carry : len(split.out_nonzero)]
        split = with_fewer_residuals(split, ys)
        everything = [[True] * len(part) for part in flags]
        return assemble(scan, split, flags, everything, None)

    return cached(scan, ("linear", freeze(flags)), make)  # type: ignore[no-any-return]


def separate(scan: Any, flags: Flags) -> Parts | None:
    """Split a scan into what depends on unknown operands and what does not.

    None if all of it does.
    """
    marks = [list(part) for part in flags]
    marks[1], ys_reached = settled(scan, flags, lambda m: reached(scan.jaxpr, m))
    if all(marks[1]) and all(ys_reached):
        return None

    def make() -> Parts:
        split = split_unknown(scan.jaxpr, [m for part in marks for m in part])
        known = [[not m for m in part] for part in marks]
        ys = split.out_nonzero[scan.num_carry :]
        return assemble(scan, split, marks, known, [*marks[1], *ys])

    return cached(scan, ("separate", freeze(flags)), make)  # type: ignore[no-any-return]


def split_unknown(jaxpr: Jaxpr, unknown: Sequence[bool]) -> Linearized:
    """Split a program that is linear in unknown inputs, as `linearize_jaxpr` does.

    The primal part takes the known inputs alone, and gives the known outputs and the
    residuals; `residual_inputs` counts all inputs.
    """
    parts = split_jaxpr(jaxpr, unknown)
    places = [i for i, u in enumerate(unknown) if not u]
    outs = parts.known.outputs[: len(parts.out_linear) - sum(parts.out_linear)]
    pool = [*parts.known.inputs, *parts.known.outputs]
    primal = rewired(
        parts.known, parts.known.inputs, [*outs, *(pool[i] for i in parts.sources)]
    )
    residual_inputs = [places[i] if i < len(places) else None for i in parts.sources]
    return Linearized(primal, parts.linear, parts.out_linear, residual_inputs)


def assemble(
    scan: Any,
    split: Linearized,
    flags: Flags,
    primal_flags: Flags,
    settled_outs: Sequence[bool] | None,
) -> Parts:
    """Make the two scans of a body split in two.

    Args:
        scan: the operation.
        split: its body, split.
        flags: which constants, carries and stacks have tangents.
        primal_flags: which of them the primal part takes.
        settled_outs: which outputs the primal part does not give; None if it gives all.
    """
    outs, residuals = known_outputs(split, settled_outs)
    primal_carry = sum(primal_flags[1])
    sources, stacked, hoisted = find_residuals(
        scan, split, residuals, primal_flags, outs, primal_carry
    )
    body = without_dead_eqns(
        rewired(split.primal, split.primal.inputs, [*outs, *stacked])
    )
    out_nonzero = [*flags[1], *split.out_nonzero[scan.num_carry :]]
    avals = [a.tangent() for a in scan.jaxpr.out_avals]
    linear = with_zeros(split.linear, split.out_nonzero, out_nonzero, avals)
    constant = [kind in ("const", "carry", "hoisted") for kind, _ in sources]
    linear, sizes = linear_operands(linear, constant, flags)
    return Parts(
        scan.like(body, sum(primal_flags[0]), primal_carry),
        scan.like(linear, *sizes),
        hoisted,
        chosen(sources, constant),
        chosen(sources, [not c for c in constant]),
        [list(part) for part in flags],
        [list(part) for part in primal_flags],
        out_nonzero,
        len(outs),
    )


def known_outputs(
    split: Linearized, settled_outs: Sequence[bool] | None
) -> tuple[list[Atom], list[Atom]]:
    """Give the outputs that the primal part is asked for, and the residuals."""
    if settled_outs is None:
        outs, residuals = cut(split.primal.outputs, len(split.out_nonzero))
        return outs, residuals
    given = [not n for n in split.out_nonzero]
    outs, residuals = cut(split.primal.outputs, sum(given))
    # A carry that is known after one step may be unknown from the start.
    pairs = zip(spread(outs, given), settled_outs)
    return [y for y, settled in pairs if not settled], residuals


def linear_operands(
    linear: Jaxpr, constant: Sequence[bool], flags: Flags
) -> tuple[Jaxpr, tuple[int, int]]:
    """Put the inputs of a linear body in order: constants, carry, stacks.

    Returns:
        The body, and the numbers of constants and carries.
    """
    residuals, tangents = cut(linear.inputs, len(constant))
    const_dots, carry_dots, x_dots = cut(tangents, sum(flags[0]), sum(flags[1]))
    consts = [*chosen(residuals, constant), *const_dots]
    varying = chosen(residuals, [not c for c in constant])
    inputs = [*consts, *carry_dots, *varying, *x_dots]
    return rewired(linear, inputs), (len(consts), len(carry_dots))


def without_dead_eqns(jaxpr: Jaxpr) -> Jaxpr:
    """Drop eqns that no output needs, and keep every input."""
    smaller, _ = prune_jaxpr(jaxpr, [True] * len(jaxpr.outputs))
    return rewired(smaller, jaxpr.inputs)


def find_residuals(
    scan: Any,
    split: Linearized,
    residuals: Sequence[Atom],
    primal_flags: Flags,
    outs: Sequence[Atom],
    primal_carry: int,
) -> tuple[list[tuple[str, int]], list[Atom], Jaxpr]:
    """Say where each residual of a step is found, stacking only what must be.

    What is a constant or made of constants alone is computed once, outside of the loop;
    an input or output stack is there already.

    Returns:
        A source for each residual, the atoms to stack, and the program of those that
        are computed outside.
    """
    primal = split.primal
    consts, carry, _ = cut(primal.inputs, sum(primal_flags[0]), primal_carry)
    passed = [v for v, out in zip(carry, outs) if v is out]
    fixed: set[Any] = {*consts, *passed}
    fixed_eqns: list[Eqn] = []
    for eqn in primal.eqns:
        atoms = [v for v in eqn.inputs if type(v) is Var]
        if not eqn.primitive.effects and all(v in fixed for v in atoms):
            fixed.update(eqn.outputs)
            fixed_eqns.append(eqn)
    ys = list(outs[primal_carry:])
    sources: list[tuple[str, int]] = []
    stacked: list[Atom] = []
    outside: list[Atom] = []
    for atom, source in zip(residuals, split.residual_inputs):
        if atom in fixed:
            kind = input_source(scan, source)
            if kind is None or kind[0] == "stack":
                outside.append(atom)
                kind = "hoisted", len(outside) - 1
            sources.append(kind)
        elif source is not None and source >= scan.num_consts + scan.num_carry:
            sources.append(("stack", source - scan.num_consts - scan.num_carry))
        elif atom in ys:
            sources.append(("result", primal_carry + ys.index(atom)))
        else:
            sources.append(("result", len(outs) + len(stacked)))
            stacked.append(atom)
    whole = Jaxpr([*consts, *carry], outside, fixed_eqns, primal.name)
    return sources, stacked, without_dead_eqns(whole)


def input_source(scan: Any, source: int | None) -> tuple[str, int] | None:
    """Say which operand of a scan an input of its body is."""
    if source is None:
        return None
    if source < scan.num_consts:
        return "const", source
    source -= scan.num_consts
    if source < scan.num_carry:
        return "carry", source
    return "stack", source - scan.num_carry


# -- reverse mode ----------------------------------------------------------------------


class Backward(NamedTuple):
    """A linear scan walked backwards.

    Operands of `scan` are known constants, sums of cotangents of unknown constants,
    cotangents of the carry, known stacks, and cotangents of the output stacks; results
    are those sums, the cotangents of the carry, those of the unknown stacks, and what
    rules log, stacked.

    Fields:
        scan: the operation.
        const_nonzero, x_nonzero: which unknown constants and stacks get a cotangent.
        carry_nonzero: which carries have one.
        logs: the structure of what rules log in a step, None if nothing is asked for.
    """

    scan: Any
    const_nonzero: list[bool]
    carry_nonzero: list[bool]
    x_nonzero: list[bool]
    logs: tree.TreeDef | None


def transposed_body(
    scan: Any,
    unknown: Sequence[bool],
    carry_given: Sequence[bool],
    given: Sequence[bool],
    logging: bool,
) -> Backward:
    """Walk a scan that is linear in all of its carry backwards.

    Args:
        scan: the operation.
        unknown: which constants, and then which stacks, are linear.
        carry_given: which carries come with a cotangent.
        given: which output stacks do.
        logging: whether somebody asked for what backward rules log.
    """
    key = ("transpose", tuple(unknown), tuple(carry_given), tuple(given), logging)
    return cached(  # type: ignore[no-any-return]
        scan, key, lambda: _transposed_body(scan, unknown, carry_given, given, logging)
    )


def _transposed_body(
    scan: Any,
    unknown: Sequence[bool],
    carry_given: Sequence[bool],
    given: Sequence[bool],
    logging: bool,
) -> Backward:
    const_unknown, x_unknown = cut(unknown, scan.num_consts)
    marks = [*const_unknown, *[True] * scan.num_carry, *x_unknown]
    sizes = (sum(const_unknown), scan.num_carry)

    carry = list(carry_given)
    while True:
        _, nonzero = transpose_jaxpr(scan.jaxpr, marks, [*carry, *given])
        found = [a or b for a, b in zip(carry, cut(nonzero, *sizes)[1])]
        if found == carry:
            break
        carry = found
    summed = cut(nonzero, *sizes)[0]
    back, nonzero, logs = transpose_logging(
        scan.jaxpr, marks, [*carry, *given], False, logging, summed
    )
    const_nonzero, _, x_nonzero = cut(nonzero, *sizes)
    body = carry_totals(
        scan, back, marks, (const_unknown, x_unknown), (nonzero, sizes), carry
    )
    known = len(const_unknown) - sum(const_unknown)
    backward = scan.like(body, known, sum(const_nonzero) + sum(carry))
    backward = reversed_scan(backward)
    return Backward(backward, const_nonzero, carry, x_nonzero, logs)


def reversed_scan(scan: Any) -> Any:
    """Give the scan that visits the slices in the other order."""
    return type(scan)(
        scan.jaxpr,
        scan.length,
        scan.num_consts,
        scan.num_carry,
        not scan.reverse,
        scan.unroll,
        scan.counted,
    )


def carry_totals(
    scan: Any,
    back: Jaxpr,
    marks: Sequence[bool],
    unknown: tuple[Sequence[bool], Sequence[bool]],
    found: tuple[Sequence[bool], tuple[int, int]],
    carry: Sequence[bool],
) -> Jaxpr:
    """Give the body of a backward scan: cotangents of constants are sums it carries."""
    const_unknown, x_unknown = unknown
    nonzero, sizes = found
    const_nonzero, carry_found, _ = cut(nonzero, *sizes)
    known_consts, known_xs, cts, y_cts_and_sums = cut(
        back.inputs,
        len(const_unknown) - sum(const_unknown),
        len(x_unknown) - sum(x_unknown),
        sum(carry),
    )
    y_cts, sums = cut(y_cts_and_sums, len(y_cts_and_sums) - sum(const_nonzero))
    totals, at_carry, at_xs = cut(back.outputs, sum(const_nonzero), sum(carry_found))
    eqns = list(back.eqns)
    rest = iter(at_carry)
    avals = scan.jaxpr.out_avals[: scan.num_carry]
    moved: list[Atom] = []
    for has, wanted, aval in zip(carry_found, carry, avals):
        if has:
            moved.append(next(rest))
        elif wanted:
            moved.append(append_zero(eqns, aval.tangent()))
    inputs = [*known_consts, *sums, *cts, *known_xs, *y_cts]
    return Jaxpr(inputs, [*totals, *moved, *at_xs], eqns, back.name)


# -- batching --------------------------------------------------------------------------


class Batched(NamedTuple):
    """A scan of a whole batch: the operation, and the batch axes of its results."""

    scan: Any
    out_dims: list[Dim]


def batch_body(
    scan: Any,
    size: int,
    const_dims: Sequence[Dim],
    carry: Sequence[bool],
    slice_dims: Sequence[Dim],
    by_element: bool,
) -> Batched:
    """Give the scan of a whole batch.

    Args:
        scan: the operation.
        size: the length of the batch axis.
        const_dims: where it is in the constants.
        carry: which carries have it, in front.
        slice_dims: where it is in the slices.
        by_element: whether the elements make different numbers of steps; then these
            lead the constants, and the greatest of them leads the carry.
    """
    key = (
        "batch",
        axis_key(size),
        tuple(const_dims),
        tuple(carry),
        tuple(slice_dims),
        by_element,
    )
    return cached(  # type: ignore[no-any-return]
        scan,
        key,
        lambda: _batch_body(scan, size, const_dims, carry, slice_dims, by_element),
    )


def _batch_body(
    scan: Any,
    size: int,
    const_dims: Sequence[Dim],
    carry: Sequence[bool],
    slice_dims: Sequence[Dim],
    by_element: bool,
) -> Batched:
    dims = [*const_dims, *[0 if b else None for b in carry], *slice_dims]
    count_ys = len(scan.jaxpr.outputs) - scan.num_carry
    force = [*carry, *[by_element] * count_ys]
    body, out_dims = batch_jaxpr(scan.jaxpr, size, dims, force)
    ys: list[Dim] = [None if d is None else 1 for d in out_dims[scan.num_carry :]]
    result_dims = [*out_dims[: scan.num_carry], *ys]
    if not by_element:
        return Batched(scan.like(body, scan.num_consts, scan.num_carry), result_dims)
    body = masked_steps(scan, body, size)
    made = scan.like(body, scan.num_consts + 1, scan.num_carry + 1)
    return Batched(made, result_dims)


def masked_steps(scan: Any, body: Jaxpr, size: int) -> Jaxpr:
    """Give the body that changes only the elements that make this step.

    The carry starts with the number of the slice; in reverse order, that plus one.
    """
    counts, number = Aval((int(size),), dtypes.int32), Aval((), dtypes.int32)

    def step(*values: Value) -> list[Value]:
        (steps,), consts, (place,), rest = cut(values, 1, scan.num_consts, 1)
        carry, xs = cut(rest, scan.num_carry)
        new, ys = cut(evaluate(body, [*consts, *carry, *xs]), scan.num_carry)
        active = le(place, steps) if scan.reverse else lt(place, steps)
        kept = [pick(active, x, y) for x, y in zip(new, carry)]
        after = sub(place, 1) if scan.reverse else add(place, 1)
        return [after, *kept, *[pick(active, y, zeros_like(y)) for y in ys]]

    consts, rest = cut(body.in_avals, scan.num_consts)
    return stage_flat(step, [counts, *consts, number, *rest], body.name).jaxpr


def pick(active: Value, x: Value, y: Value) -> Value:
    """Choose `x` for active elements of the leading axis, else `y`."""
    return select(reshape(active, active.shape + (1,) * (len(x.shape) - 1)), x, y)
