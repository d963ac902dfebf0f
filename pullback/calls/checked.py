"""Branches and loops with checks: their programs carry along what failed first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback.calls.checkpoint import Checkpoint
from pullback.calls.cond import Cond
from pullback.calls.jit_call import JitCall
from pullback.calls.policies import Name
from pullback.calls.program import cut, fresh_inputs, rewired
from pullback.calls.scan import Scan
from pullback.calls.while_loop import While
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.primitive import Dim
from pullback.core.trace import Value, current_trace, using
from pullback.primitives.checks import Info, Kind
from pullback.transforms.batch import batch_flat
from pullback.transforms.checks import (
    RULES,
    Checked,
    CheckTrace,
    Findings,
    Rules,
    check_flat,
    joined,
    laid,
    nothing_found,
    raise_again,
    run_with_jaxpr,
)
from pullback.transforms.stage import stage_closed


def check_cond(trace: CheckTrace, cond: Cond, operands: tuple[Value, ...]) -> Any:
    """Check the branch that is taken."""
    branch = cond.known_branch(operands[0])
    if branch is not None:
        with using(trace):
            return evaluate(branch, operands[1:])
    parts = [trace.checked(b) for b in cond.branches]
    whole = joined([p.info for p in parts])
    places = Findings([p.info for p in parts]).places
    branches = [
        aligned(p, places[p.info.records], whole, len(b.outputs))
        for p, b in zip(parts, cond.branches)
    ]
    return trace.collect(whole, trace.run(Cond(tuple(branches)), operands))


def aligned(part: Checked, offset: int, whole: Info, count: int) -> Jaxpr:
    """Give a branch that says of all checks of all branches what it found."""
    if part.info == whole and not offset:
        return part.jaxpr
    key = ("aligned checks", offset, whole)

    def run(*values: Value) -> list[Value]:
        outs, leaves = cut(evaluate(part.jaxpr, values), count)
        return [*outs, *laid(part.info, offset, leaves, whole)]

    return cached(part.jaxpr, key, lambda: staged(run, part.jaxpr, []))


def check_scan(trace: CheckTrace, scan: Scan, operands: tuple[Value, ...]) -> Any:
    """Carry what was found from step to step."""
    body, info = trace.checked(scan.jaxpr)
    if not info.records:
        return trace.run(scan, operands)
    size, n = len(info.avals), scan.num_carry

    def step(*values: Value) -> list[Value]:
        state, consts, rest = cut(values, size, scan.num_consts)
        outs, leaves = cut(evaluate(body, [*consts, *rest]), len(scan.jaxpr.outputs))
        return [*later(state, (info,), leaves), *outs]

    key = ("checked scan", scan.num_consts)
    whole = cached(body, key, lambda: staged(step, scan.jaxpr, info.avals))
    state, consts, rest = cut(whole.inputs, size, scan.num_consts)
    whole = rewired(whole, [*consts, *state, *rest])
    count, consts_given, carry, xs = scan.split(operands)
    with using(trace.parent):
        start = nothing_found(info)
    results = trace.run(
        scan.like(whole, scan.num_consts, size + n),
        [*count, *consts_given, *start, *carry, *xs],
    )
    leaves, outs = cut(results, size)
    return trace.collect(info, [*outs, *leaves])


def later(
    state: Sequence[Value], infos: Sequence[Info], *found: Sequence[Value]
) -> list[Value]:
    """Give what was found so far, after parts of a step found something."""
    findings = Findings(infos, state)
    for info, leaves in zip(infos, found):
        findings.add(info, leaves)
    return findings.leaves


def check_while(trace: CheckTrace, loop: While, operands: tuple[Value, ...]) -> Any:
    """Carry what was found from step to step."""
    holds, body = trace.checked(loop.cond_jaxpr), trace.checked(loop.body_jaxpr)
    if holds.info.records:
        return check_condition(trace, loop, holds, body, operands)
    info = body.info
    if not info.records:
        return trace.run(loop, operands)
    size = len(info.avals)

    def step(*values: Value) -> list[Value]:
        state, rest = cut(values, size)
        outs, leaves = cut(evaluate(body.jaxpr, rest), len(loop.body_jaxpr.outputs))
        return [*later(state, (info,), leaves), *outs]

    whole = cached(
        body.jaxpr, "checked loop", lambda: staged(step, loop.body_jaxpr, info.avals)
    )
    state, consts, carry = cut(whole.inputs, size, loop.body_consts)
    whole = rewired(whole, [*consts, *state, *carry])
    consts, carry = cut(holds.jaxpr.inputs, loop.cond_consts)
    tested = rewired(holds.jaxpr, [*consts, *fresh_inputs(info.avals), *carry])
    follower = While(tested, whole, loop.cond_consts, loop.body_consts, loop.max_steps)
    cond_given, body_given, carry_given = loop.split(operands)
    with using(trace.parent):
        start = nothing_found(info)
    results = trace.run(follower, [*cond_given, *body_given, *start, *carry_given])
    leaves, outs = cut(results, size)
    return trace.collect(info, [*outs, *leaves])


def check_condition(
    trace: CheckTrace,
    loop: While,
    holds: Checked,
    body: Checked,
    operands: tuple[Value, ...],
) -> Any:
    """Run a loop whose condition has checks: whether it holds is carried along.

    So it is evaluated once before each step, as it is without checks.
    """
    infos = (body.info, holds.info)
    info = joined(infos)
    size, consts = len(info.avals), (loop.cond_consts, loop.body_consts)

    def step(*values: Value) -> list[Value]:
        (_, *state), cond_given, body_given, carry = cut(values, 1 + size, *consts)
        outs, found = cut(evaluate(body.jaxpr, [*body_given, *carry]), len(carry))
        goes_on, *last = evaluate(holds.jaxpr, [*cond_given, *outs])
        return [goes_on, *later(state, infos, found, last), *outs]

    going = holds.jaxpr.out_avals[0]
    cond_avals = loop.cond_jaxpr.in_avals[: loop.cond_consts]
    avals = [going, *info.avals, *cond_avals, *loop.body_jaxpr.in_avals]
    whole = cached(
        body.jaxpr,
        ("checked condition", holds.jaxpr, consts),
        lambda: stage_closed(step, avals, loop.body_jaxpr.name),
    )
    state, given, carry = cut(whole.inputs, 1 + size, sum(consts))
    whole = rewired(whole, [*given, *state, *carry])
    inputs = fresh_inputs(whole.out_avals)
    tested = Jaxpr(inputs, inputs[:1], [], loop.cond_jaxpr.name)
    cond_given, body_given, carry_given = loop.split(operands)
    with using(trace.parent):
        first = evaluate(holds.jaxpr, [*cond_given, *carry_given])
        start = later((), infos[1:], first[1:])
        start = laid(holds.info, len(body.info.records), start, info)
    follower = While(tested, whole, 0, sum(consts), loop.max_steps)
    results = trace.run(
        follower, [*cond_given, *body_given, first[0], *start, *carry_given]
    )
    _, leaves, outs = cut(results, 1, size)
    return trace.collect(info, [*outs, *leaves])


def pass_on(trace: CheckTrace, name: Name, operands: tuple[Value, ...]) -> Any:
    """Leave an operation alone that only names its operand."""
    return trace.run(name, operands)


#: What is done with operations of this layer.
PROGRAM_RULES: Rules = {
    **RULES,
    Checkpoint: run_with_jaxpr,
    Cond: check_cond,
    JitCall: run_with_jaxpr,
    Name: pass_on,
    Scan: check_scan,
    While: check_while,
}

# -- programs --------------------------------------------------------------------------


def cached(jaxpr: Jaxpr, key: Any, make: Callable[[], Jaxpr]) -> Jaxpr:
    """Give what is derived from a program with checks, derived once."""
    if key not in jaxpr.cache:
        jaxpr.cache[key] = make()
    return jaxpr.cache[key]  # type: ignore[no-any-return]


def staged(f: Callable[..., list[Value]], like: Jaxpr, leading: Sequence[Any]) -> Jaxpr:
    """Stage a function of some leading values and the inputs of a program."""
    return stage_closed(f, [*leading, *like.in_avals], like.name)


def programs(primitive: Any) -> list[Jaxpr]:
    """Give the programs that an operation holds."""
    held = primitive.parameters().values()
    several = [p if isinstance(p, tuple) else (p,) for p in held]
    return [p for group in several for p in group if isinstance(p, Jaxpr)]


def lifted(
    rules: Rules,
) -> Callable[[Any, int, Sequence[Value], Sequence[Dim]], tuple[Any, Any] | None]:
    """Give what maps an operation whose programs only some elements run.

    The checks in them count for the elements that run them: they become values, are
    mapped like others, and are made after the operation.

    Args:
        rules: what is done with operations that check or hold programs.
    """
    user, debug = frozenset((Kind.USER,)), frozenset((Kind.DEBUG,))

    def batch(
        primitive: Any, size: int, operands: Sequence[Value], dims: Sequence[Dim]
    ) -> tuple[Any, Any] | None:
        """Give results and their batch axes; None if there are no checks."""
        asks = CheckTrace(current_trace(), user | debug, rules)
        if not any(asks.checked(p).info.records for p in programs(primitive)):
            return None

        def apply(*values: Value) -> list[Value]:
            outs, found = check_flat(lambda *xs: primitive(*xs), values, user, rules)
            return [*outs, *raise_again(found, False)]

        def run(*values: Value) -> list[Value]:
            outs, found = check_flat(apply, values, debug, rules)
            return [*outs, *raise_again(found, True)]

        return batch_flat(run, size, operands, dims)

    return batch
