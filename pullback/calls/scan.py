"""Loops of known length over stacked inputs, with stacked outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.calls.by_element import with_checks
from pullback.calls.interpret import plan, run_raw
from pullback.calls.program import (
    apply_pruned,
    chosen,
    cut,
    given_tangents,
    has_effects,
    prune_fixed,
    spread,
    spread_tangents,
)
from pullback.calls.scan_parts import (
    Backward,
    Parts,
    batch_body,
    jvp_body,
    linear_body,
    separate,
    settled,
    transposed_body,
)
from pullback.core.aval import Aval
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.origin import called_at
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import Value
from pullback.core.zero import Unknown, Zero, is_zero
from pullback.errors import LinearityError
from pullback.primitives.reduction import reduce_max
from pullback.primitives.structural import (
    frozen,
    instantiate,
    is_known_zero,
    move_axis,
    zeros_of,
)
from pullback.primitives.table import compare
from pullback.transforms.batch import batch_jaxpr, to_front
from pullback.transforms.jvp import jvp_jaxpr
from pullback.transforms.linearize import linearize_jaxpr
from pullback.transforms.split import split_jaxpr
from pullback.transforms.transpose import collect_logs, logs_wanted

_INT = Aval((), dtypes.int32)


@frozen
class Scan(Primitive):
    """A body applied to a carry and to each slice of stacked inputs, in order.

    Operands are the number of steps (if counted), the body's constants, the initial
    carry, and the stacked inputs. Results are the final carry and the stacked outputs.

    Args:
        jaxpr: constants, carry and slices -> carry and slices of outputs.
        length: the length of the stacks.
        num_consts: how many operands are constants.
        num_carry: how many are carried.
        reverse: whether it goes from the last slice to the first.
        unroll: how many steps are written out in one turn of the compiled loop.
        counted: whether only the first n slices are visited; n, an int32 of at most
            `length`, is the first operand then, and outputs at other slices are zero.
    """

    jaxpr: Jaxpr
    length: int
    num_consts: int
    num_carry: int
    reverse: bool = False
    unroll: int = 1
    counted: bool = False

    multiple = True
    calls = True
    separates = True

    @property
    def effects(self) -> bool:
        """Whether the loop must run even if no result is used."""
        return has_effects(self.jaxpr)

    def like(self, jaxpr: Jaxpr, num_consts: int, num_carry: int) -> Scan:
        """Give a loop over the same slices with another body."""
        return Scan(
            jaxpr,
            self.length,
            num_consts,
            num_carry,
            self.reverse,
            self.unroll,
            self.counted,
        )

    def split(self, items: Sequence[Any]) -> list[list[Any]]:
        """Cut a list like the operands: the count, constants, carry, stacks."""
        return cut(items, int(self.counted), self.num_consts, self.num_carry)

    def linear_in(self, unknown: Sequence[bool]) -> tuple[int, ...]:
        # Whether the body is linear there shows when it is transposed.
        return tuple(i for i, u in enumerate(unknown) if u)

    def linear_result(self, operands: Sequence[Value]) -> list[Aval]:
        return self.abstract()

    def abstract(self, *avals: Aval) -> list[Aval]:
        carry, slices = cut(self.jaxpr.out_avals, self.num_carry)
        stacks = [Aval((self.length, *a.shape), a.dtype, a.weak) for a in slices]
        return [*carry, *stacks]

    def eager(self, *operands: Value) -> list[Value]:
        return run_raw(self, operands)

    def raw(self, *operands: Any) -> list[Any]:
        """Run the loop on NumPy values."""
        count, consts, carry, xs = self.split(operands)
        total = int(count[0]) if count else self.length
        stacks = self.abstract()[self.num_carry :]
        make = np.zeros if total < self.length else np.empty
        ys = [make(a.shape, a.dtype) for a in stacks]
        step, n = plan(self.jaxpr), self.num_carry
        for i in reversed(range(total)) if self.reverse else range(total):
            outs = step([*consts, *carry, *[x[i] for x in xs]])
            carry = outs[:n]
            for y, slice_ in zip(ys, outs[n:]):
                y[i] = slice_
        return [*carry, *ys]

    def lower(self, ctx: Any, *operands: Any) -> Any:
        return lower_scan(self, ctx, operands)

    def jvp(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        count, consts, carry, xs = self.split(primals)
        _, *dots = self.split(tangents)
        flags = [given_tangents(part)[0] for part in dots]
        flags[1], ys_nonzero = settled(
            self, flags, lambda marks: jvp_jaxpr(self.jaxpr, marks)[1]
        )
        const_dots, carry_dots, x_dots = (
            [instantiate(t) for t, n in zip(part, marks) if n]
            for part, marks in zip(dots, flags)
        )
        scan = jvp_body(self, flags)
        results = scan(*count, *consts, *const_dots, *carry, *carry_dots, *xs, *x_dots)
        outs, out_dots, ys, y_dots = cut(
            results, self.num_carry, sum(flags[1]), len(ys_nonzero)
        )
        outs = [*outs, *ys]
        nonzero = [*flags[1], *ys_nonzero]
        return outs, spread_tangents([*out_dots, *y_dots], nonzero, outs)

    def linearize(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        _, *dots = self.split(tangents)
        flags = [given_tangents(part)[0] for part in dots]
        flags[1], ys_nonzero = settled(
            self, flags, lambda marks: linearize_jaxpr(self.jaxpr, marks).out_nonzero
        )
        nonzero = [*flags[1], *ys_nonzero]
        if not any(nonzero):
            outs = self(*primals)
            return outs, spread_tangents([], nonzero, outs)
        parts = linear_body(self, flags)
        outs, consts, xs = run_primal(self, parts, primals)
        const_dots, carry_dots, x_dots = (
            [instantiate(t) for t, n in zip(part, marks) if n]
            for part, marks in zip(dots, flags)
        )
        count = primals[: int(self.counted)]
        found = parts.linear(*count, *consts, *const_dots, *carry_dots, *xs, *x_dots)
        return outs, spread_tangents(found, nonzero, outs)

    def transpose(self, cotangents: Sequence[Any], *operands: Value) -> list[Any]:
        count, *parts = self.split(operands)
        flags = [[isinstance(x, Unknown) for x in part] for part in parts]
        separated = separate(self, flags)
        if separated is not None:
            return self.transpose_separated(separated, cotangents, operands)
        for x, u in zip(parts[1], flags[1]):
            if not u:
                self.start(x)
        carry_cts, y_cts = cut(cotangents, self.num_carry)
        backward = transposed_body(
            self,
            [*flags[0], *flags[2]],
            [not is_zero(c) for c in carry_cts],
            [not is_zero(c) for c in y_cts],
            logs_wanted(),
        )
        values, wanted = backward_operands(backward, parts, cotangents)
        logged = 0 if backward.logs is None else backward.logs.num_leaves
        wanted += [True] * logged
        found = apply_pruned(backward.scan, [*count, *values], wanted)
        marks = (backward.const_nonzero, backward.carry_nonzero, backward.x_nonzero)
        at_consts, at_carry, at_xs, at_logs = cut(found, *map(sum, marks))
        collect_logs(backward.logs, at_logs)
        return [
            *[None] * len(count),
            *spread(spread(at_consts, backward.const_nonzero), flags[0]),
            *spread(at_carry, backward.carry_nonzero),
            *spread(spread(at_xs, backward.x_nonzero), flags[2]),
        ]

    def transpose_separated(
        self, parts: Parts, cotangents: Sequence[Any], operands: Sequence[Value]
    ) -> list[Any]:
        """Transpose a loop of which a part is not linear: run that part first."""
        _, consts, xs = run_primal(self, parts, operands)
        count, *rest = self.split(operands)
        linear = [chosen(part, marks) for part, marks in zip(rest, parts.flags)]
        values = [*count, *consts, *linear[0], *linear[1], *xs, *linear[2]]
        cts = chosen(cotangents, parts.out_nonzero)
        found = parts.linear.transpose(cts, *values)
        _, at_consts, at_carry, at_xs = parts.linear.split(found)
        answers = zip(
            (at_consts[len(consts) :], at_carry, at_xs[len(xs) :]), parts.flags
        )
        return [
            *[None] * len(count),
            *[ct for got, marks in answers for ct in spread(got, marks)],
        ]

    def separate(
        self, operands: Sequence[Value], unknown: tuple[bool, ...]
    ) -> list[Value] | None:
        key = ("linear in", self.num_consts, self.num_carry, unknown)
        if key in self.jaxpr.cache:
            return None
        _, *flags = self.split(unknown)
        parts = separate(self, flags)
        if parts is None:
            # Tangents reach all of the carry: the body is linear, or raises here.
            marks = [*flags[0], *[True] * self.num_carry, *flags[2]]
            split_jaxpr(self.jaxpr, marks)
            self.jaxpr.cache[key] = True
            return None
        outs, consts, xs = run_primal(self, parts, operands)
        count, const_dots, carry, x_dots = self.split(operands)
        linear = [
            chosen(const_dots, flags[0]),
            [
                x if u else self.start(x)
                for x, u in zip(
                    chosen(carry, parts.flags[1]), chosen(flags[1], parts.flags[1])
                )
            ],
            chosen(x_dots, flags[2]),
        ]
        found = iter(
            parts.linear(*count, *consts, *linear[0], *linear[1], *xs, *linear[2])
        )
        plain = iter(outs)
        return [next(found) if n else next(plain) for n in parts.out_nonzero]

    def start(self, x: Value) -> Value:
        """Give the zero with which a carry of tangents starts, or raise."""
        if is_known_zero(x):
            return instantiate(Zero(like=x))
        raise LinearityError(
            "a scan over tangents starts with a carry that is not zero, so it is "
            "affine, not linear.",
            where=called_at(),
            mend="Start with zeros, or with a tangent.",
        )

    def uses_axis(self, name: Any) -> bool:
        return self.jaxpr.uses_axis(name)

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        count, consts, carry, xs = self.split(operands)
        count_dim, const_dims, carry_dims, x_dims = self.split(dims)
        by_element = bool(count_dim) and count_dim[0] is not None
        lifted = with_checks(self, size, operands, dims) if by_element else None
        if lifted is not None:
            return lifted
        slice_dims: list[Dim] = [None if d is None else 0 for d in x_dims]
        flags = [d is not None for d in carry_dims]
        marks = [[False] * self.num_consts, flags, [False] * len(xs)]
        if by_element:
            flags = [True] * self.num_carry
        else:
            flags, _ = settled(
                self,
                marks,
                lambda m: batched_outputs(self, size, const_dims, m, slice_dims),
            )
        batched = batch_body(self, size, const_dims, flags, slice_dims, by_element)
        values = [to_front(x, d, size, b) for x, d, b in zip(carry, carry_dims, flags)]
        stacks = [x if d is None else move_axis(x, d, 1) for x, d in zip(xs, x_dims)]
        if by_element:
            most = reduce_max(count[0], (0,))
            start = most if self.reverse else zeros_of(_INT)
            consts, count, values = [*count, *consts], [most], [start, *values]
        results = batched.scan(*count, *consts, *values, *stacks)
        return results[len(results) - len(batched.out_dims) :], batched.out_dims

    def prune(
        self, wanted: Sequence[bool]
    ) -> tuple[Scan, Sequence[bool], Sequence[bool]]:
        """Drop stacks and carries that are not needed: see `core.jaxpr.prune_eqn`."""
        carry, ys = cut(wanted, self.num_carry)
        marks = [[False] * self.num_consts, carry, []]
        live, _ = settled(
            self,
            marks,
            lambda m: prune_fixed(
                self.jaxpr,
                [*m[self.num_consts :], *ys],
                [False] * len(self.jaxpr.inputs),
            )[1][self.num_consts :],
        )
        count_xs = len(self.jaxpr.inputs) - self.num_consts - self.num_carry
        required = [*[False] * self.num_consts, *live, *[False] * count_xs]
        outputs = [*live, *ys]
        smaller, kept = prune_fixed(self.jaxpr, outputs, required)
        scan = self.like(smaller, sum(kept[: self.num_consts]), sum(live))
        return scan, [*[True] * int(self.counted), *kept], outputs


def backward_operands(
    backward: Backward, parts: Sequence[Sequence[Any]], cotangents: Sequence[Any]
) -> tuple[list[Value], list[bool]]:
    """Give the operands of a backward scan, and which of its results are asked for.

    Args:
        backward: the scan.
        parts: constants, carry and stacks of the forward scan.
        cotangents: those of its results.
    """
    consts, carry, xs = parts
    known = [[x for x in part if not isinstance(x, Unknown)] for part in (consts, xs)]
    linear = [[x for x in part if isinstance(x, Unknown)] for part in (consts, xs)]
    summed = chosen(linear[0], backward.const_nonzero)
    moved = chosen(carry, backward.carry_nonzero)
    carry_cts, y_cts = cut(cotangents, len(carry))
    values = [
        *known[0],
        *[zeros_of(x.aval.tangent()) for x in summed],
        *[instantiate(c) for c in chosen(carry_cts, backward.carry_nonzero)],
        *known[1],
        *[c for c in y_cts if not is_zero(c)],
    ]
    answered = [*summed, *moved, *chosen(linear[1], backward.x_nonzero)]
    # Nobody asks for the cotangent of a tangent that is known to be zero.
    asked = [isinstance(x, Unknown) and not getattr(x, "zero", False) for x in answered]
    return values, asked


def batched_outputs(
    scan: Scan,
    size: int,
    const_dims: Sequence[Dim],
    marks: Sequence[bool],
    slice_dims: Sequence[Dim],
) -> list[bool]:
    """Say which outputs of the body have a batch axis, for a marked carry."""
    carry = [0 if b else None for b in cut(marks, scan.num_consts, scan.num_carry)[1]]
    dims = [*const_dims, *carry, *slice_dims]
    return [d is not None for d in batch_jaxpr(scan.jaxpr, size, dims)[1]]


def run_primal(
    scan: Scan, parts: Parts, operands: Sequence[Value]
) -> tuple[list[Value], list[Value], list[Value]]:
    """Run the part of a loop that computes.

    Returns:
        Its results, and the residuals for the linear part: constants and stacks.
    """
    count, consts, carry, xs = scan.split(operands)
    kept = [chosen(p, m) for p, m in zip((consts, carry, xs), parts.primal_flags)]
    results = parts.primal(*count, *kept[0], *kept[1], *kept[2])
    hoisted = evaluate(parts.hoisted, [*kept[0], *kept[1]])
    known = {"const": consts, "carry": carry, "stack": xs}
    known |= {"result": results, "hoisted": hoisted}
    const_residuals = [known[kind][i] for kind, i in parts.const_sources]
    stack_residuals = [known[kind][i] for kind, i in parts.stack_sources]
    return results[: parts.count_outs], const_residuals, stack_residuals


# -- lowering --------------------------------------------------------------------------


def lower_scan(scan: Scan, ctx: Any, operands: Sequence[Any]) -> list[Any]:
    """Write a loop with dynamic slices of its stacks."""
    count, consts, carry, xs = scan.split(operands)
    stacks = scan.abstract()[scan.num_carry :]
    ys = [ctx.constant(0, a) for a in stacks]
    unroll = 1 if scan.counted else max(1, min(scan.unroll, scan.length))
    turns = scan.length // unroll
    start = ctx.constant(0, _INT)
    whole = 0
    if scan.length and (turns > 1 or scan.counted):
        bound = count[0] if count else ctx.constant(turns * unroll, _INT)
        values = [start, bound, *consts, *carry, *xs, *ys]
        results = lower_turns(scan, ctx, values, unroll)
        _, carry, ys = results
        whole = turns * unroll
    if not scan.counted:
        for i in range(whole, scan.length):
            index = ctx.constant(scan.length - 1 - i if scan.reverse else i, _INT)
            carry, ys = lower_step(scan, ctx, index, consts, carry, xs, ys)
    return [*carry, *ys]


def lower_turns(
    scan: Scan, ctx: Any, values: Sequence[Any], unroll: int
) -> tuple[Any, list[Any], list[Any]]:
    """Write the loop itself; give the index, the carry and the stacks after it."""
    sizes = (2, scan.num_consts, scan.num_carry)
    count_ys = len(scan.jaxpr.outputs) - scan.num_carry

    def holds(index: Any, bound: Any, *_: Any) -> Any:
        out = Aval((), dtypes.bool_)
        return [compare("LT")(ctx, out, index, bound)]

    def turn(*given: Any) -> Any:
        (index, bound), consts, carry, stacks = cut(given, *sizes)
        xs, ys = cut(stacks, len(stacks) - count_ys)
        one = ctx.constant(1, _INT)
        for _ in range(unroll):
            place = index
            if scan.reverse:
                # The first slice of all is that of number length - 1 (or bound - 1).
                last = bound if scan.counted else ctx.constant(scan.length, _INT)
                place = ctx.emit("stablehlo.subtract", [last, one], _INT)
                place = ctx.emit("stablehlo.subtract", [place, index], _INT)
            carry, ys = lower_step(scan, ctx, place, consts, carry, xs, ys)
            index = ctx.emit("stablehlo.add", [index, one], _INT)
        return [index, bound, *consts, *carry, *xs, *ys]

    results = ctx.loop(values, holds, turn)
    (index, _), _, carry, stacks = cut(results, *sizes)
    return index, carry, stacks[len(stacks) - count_ys :]


def lower_step(
    scan: Scan,
    ctx: Any,
    index: Any,
    consts: Sequence[Any],
    carry: Sequence[Any],
    xs: Sequence[Any],
    ys: Sequence[Any],
) -> tuple[list[Any], list[Any]]:
    """Write one step: slices of the inputs, the body, updates of the outputs."""
    zero = ctx.constant(0, _INT)
    slices = []
    for x in xs:
        shape = x.aval.shape[1:]
        starts = [index, *[zero] * len(shape)]
        one = Aval((1, *shape), x.aval.dtype)
        attribute = f"slice_sizes = {ctx.ints(one.shape)}"
        part = ctx.emit("stablehlo.dynamic_slice", [x, *starts], one, attribute)
        slices.append(ctx.emit("stablehlo.reshape", [part], Aval(shape, one.dtype)))
    outs = ctx.jaxpr(scan.jaxpr, [*consts, *carry, *slices])
    carry, found = cut(outs, scan.num_carry)
    stacks = []
    for y, slice_ in zip(ys, found):
        one = Aval((1, *slice_.aval.shape), slice_.aval.dtype)
        part = ctx.emit("stablehlo.reshape", [slice_], one)
        starts = [index, *[zero] * (len(one.shape) - 1)]
        stacks.append(
            ctx.emit("stablehlo.dynamic_update_slice", [y, part, *starts], y.aval)
        )
    return list(carry), stacks
