"""Loops that go on while a condition holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import dtypes, tree
from pullback.calls.bounded_loop import LoopTangent, steps_again, unbounded
from pullback.calls.by_element import guard_unused, where_used, with_checks, with_small
from pullback.calls.interpret import plan, run_raw
from pullback.calls.invariants import without_invariants
from pullback.calls.program import (
    Carry,
    Written,
    append,
    chosen,
    cut,
    fresh_inputs,
    given_tangents,
    has_effects,
    is_concrete,
    prune_fixed,
    rewired,
    spread_tangents,
    write_down,
)
from pullback.calls.scan import Scan
from pullback.config import config
from pullback.core.aval import Aval
from pullback.core.calling import check_callable
from pullback.core.frozen import replaced
from pullback.core.jaxpr import Jaxpr, Literal, Var, evaluate
from pullback.core.origin import called_at, name_of
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import Value
from pullback.core.zero import Unknown
from pullback.errors import ArgumentError, ControlFlowError, LinearityError
from pullback.primitives.reduction import ReduceOr
from pullback.primitives.structural import frozen, instantiate, zeros_of
from pullback.primitives.table import add, and_, lt
from pullback.transforms.batch import batch_jaxpr, to_front
from pullback.transforms.jvp import jvp_jaxpr
from pullback.transforms.linearize import linearize_jaxpr
from pullback.transforms.stage import stage_flat

_COUNT = Aval((), dtypes.int32)


@frozen
class While(Primitive):
    """The values that a loop carries when its condition no longer holds.

    Operands are the constants of the condition, those of the body, and the carry.

    Args:
        cond_jaxpr: constants and carry -> a boolean.
        body_jaxpr: constants and carry -> carry.
        cond_consts: how many operands are constants of the condition.
        body_consts: how many are constants of the body.
        max_steps: after how many steps the loop ends in any case; None for no bound.
    """

    cond_jaxpr: Jaxpr
    body_jaxpr: Jaxpr
    cond_consts: int
    body_consts: int
    max_steps: int | None = None

    multiple = True
    calls = True

    @property
    def effects(self) -> bool:
        """Whether the loop must run even if no result is used."""
        return has_effects(self.cond_jaxpr, self.body_jaxpr)

    def split(self, items: Sequence[Any]) -> list[list[Any]]:
        """Cut a list like the operands: condition's constants, body's, carry."""
        return cut(items, self.cond_consts, self.body_consts)

    def linear_in(self, unknown: Sequence[bool]) -> tuple[int, ...]:
        return tuple(i for i, u in enumerate(unknown) if u)

    def linear_result(self, operands: Sequence[Value]) -> list[Aval]:
        return self.abstract()

    def abstract(self, *avals: Aval) -> list[Aval]:
        return self.body_jaxpr.out_avals

    def eager(self, *operands: Value) -> list[Value]:
        return run_raw(self, operands)

    def raw(self, *operands: Any) -> list[Any]:
        """Run the loop on NumPy values."""
        cond_consts, body_consts, carry = self.split(operands)
        holds, step = plan(self.cond_jaxpr), plan(self.body_jaxpr)
        left = -1 if self.max_steps is None else self.max_steps
        while left and holds([*cond_consts, *carry])[0]:
            carry = step([*body_consts, *carry])
            left -= 1
        return carry

    def lower(self, ctx: Any, *operands: Any) -> Any:
        if self.max_steps is not None:
            counted = with_counter(self, self.max_steps)
            first = len(operands) - len(self.body_jaxpr.outputs)
            start = ctx.constant(0, _COUNT)
            values = [*operands[:first], start, *operands[first:]]
            return counted.lower(ctx, *values)[1:]

        def holds(*values: Any) -> Any:
            cond_consts, _, carry = self.split(values)
            return ctx.jaxpr(self.cond_jaxpr, [*cond_consts, *carry])

        def step(*values: Any) -> Any:
            cond_consts, body_consts, carry = self.split(values)
            new = ctx.jaxpr(self.body_jaxpr, [*body_consts, *carry])
            return [*cond_consts, *body_consts, *new]

        results = ctx.loop(operands, holds, step)
        return results[self.cond_consts + self.body_consts :]

    def jvp(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        cond_consts, body_consts, carry = self.split(primals)
        _, const_dots, carry_dots = self.split(tangents)
        const_nonzero, given = given_tangents(const_dots)
        nonzero, _ = given_tangents(carry_dots)
        nonzero = steady(
            nonzero, lambda n: jvp_jaxpr(self.body_jaxpr, [*const_nonzero, *n])[1]
        )
        loop = jvp_loop(self, const_nonzero, nonzero)
        dots = [instantiate(t) for t, n in zip(carry_dots, nonzero) if n]
        results = loop(*cond_consts, *body_consts, *given, *carry, *dots)
        outs, found = cut(results, len(carry))
        return outs, spread_tangents(found, nonzero, outs)

    def linearize(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        _, const_dots, carry_dots = self.split(tangents)
        const_nonzero, _ = given_tangents(const_dots)
        nonzero, _ = given_tangents(carry_dots)
        nonzero = steady(
            nonzero,
            lambda n: (
                linearize_jaxpr(self.body_jaxpr, [*const_nonzero, *n]).out_nonzero
            ),
        )
        if not any(nonzero):
            outs = self(*primals)
            return outs, spread_tangents([], nonzero, outs)
        leading, steps = self.run_counted(primals)
        outs = leading[1:]
        marks = (*[False] * self.cond_consts, *const_nonzero, *nonzero)
        tangent = LoopTangent(self, marks, tuple(nonzero), steps, called_at())
        given = [instantiate(t) for t, n in zip(tangents, marks) if n]
        count = leading[:1] if steps is not None else []
        dots = tangent(*count, *primals, *given)
        return outs, spread_tangents(dots, nonzero, outs)

    def run_counted(
        self, operands: Sequence[Value]
    ) -> tuple[list[Value], Jaxpr | None]:
        """Run the loop; give the number of steps if there is a bound, and the carry.

        Returns:
            The number (None without a bound) and the carry; and the loop as a program
            of the number and its operands, that can be walked backwards.
        """
        if self.max_steps is None:
            return [None, *self(*operands)], None
        cond_consts, body_consts, carry = self.split(operands)
        # The bound is said twice, so that this loop can be differentiated in turn.
        counted = with_counter(self, self.max_steps)
        loop: While = replaced(counted, max_steps=self.max_steps)
        results = loop(*cond_consts, *body_consts, zeros_of(_COUNT), *carry)
        return results, self.steps_program()

    def steps_program(self) -> Jaxpr:
        """Give n steps as a program of n and the operands: see `steps_again`."""
        assert self.max_steps is not None, "asked of bounded loops only"
        again = steps_again(self.body_jaxpr, self.body_consts, self.max_steps)

        def with_operands() -> Jaxpr:
            unused = fresh_inputs(self.cond_jaxpr.in_avals[: self.cond_consts])
            count, *rest = again.inputs
            return rewired(again, [count, *unused, *rest])

        key = ("loop operands", self.cond_jaxpr)
        return cached(again, key, with_operands)  # type: ignore[no-any-return]

    def transpose(self, cotangents: Sequence[Any], *operands: Value) -> list[Any]:
        # Only a rule that applies a loop to tangents comes here.
        if self.max_steps is None:
            raise unbounded(called_at())
        count = self.count_steps(operands)
        num_carry = len(self.body_jaxpr.outputs)
        steps = Scan(
            self.body_jaxpr, self.max_steps, self.body_consts, num_carry, counted=True
        )
        found = steps.transpose(cotangents, count, *operands[self.cond_consts :])
        return [*[None] * self.cond_consts, *found[1:]]

    def count_steps(self, operands: Sequence[Value]) -> Value:
        """Give the number of steps, where what decides it is no tangent."""
        assert self.max_steps is not None, "asked of bounded loops only"
        cond_consts, body_consts, carry = self.split(operands)
        loop = with_counter(self, self.max_steps)
        values = [*cond_consts, *body_consts, zeros_of(_COUNT), *carry]
        smaller, kept, _ = loop.prune([True, *[False] * len(carry)])
        values = chosen(values, kept)
        if any(isinstance(x, Unknown) for x in values):
            raise LinearityError(
                "a loop's condition depends on a tangent, so it is not linear.",
                where=called_at(),
                mend="Let the conditions of loops in derivative rules depend on primal "
                "values only.",
            )
        return smaller(*values)[0]

    def uses_axis(self, name: Any) -> bool:
        return self.cond_jaxpr.uses_axis(name) or self.body_jaxpr.uses_axis(name)

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        return batch_loop(self, size, operands, dims)

    def prune(
        self, wanted: Sequence[bool]
    ) -> tuple[While, Sequence[bool], Sequence[bool]]:
        """Drop carries on which nothing wanted depends: see `core.jaxpr.prune_eqn`."""
        tested = used_inputs(self.cond_jaxpr)[self.cond_consts :]
        live = [w or t for w, t in zip(wanted, tested)]
        live = steady(
            live,
            lambda n: prune_fixed(self.body_jaxpr, n, [False] * self.body_inputs)[1][
                self.body_consts :
            ],
        )
        required = [*[False] * self.body_consts, *live]
        body, kept = prune_fixed(self.body_jaxpr, live, required)
        consts = kept[: self.body_consts]
        inputs = [*[True] * self.cond_consts, *live]
        holds = rewired(self.cond_jaxpr, chosen(self.cond_jaxpr.inputs, inputs))
        loop = While(holds, body, self.cond_consts, sum(consts), self.max_steps)
        return loop, [*[True] * self.cond_consts, *consts, *live], live

    @property
    def body_inputs(self) -> int:
        """The number of the body's inputs."""
        return len(self.body_jaxpr.inputs)


def cached(jaxpr: Jaxpr, key: Any, make: Callable[[], Any]) -> Any:
    """Give what is derived from a program, derived once."""
    if key not in jaxpr.cache:
        jaxpr.cache[key] = make()
    return jaxpr.cache[key]


def used_inputs(jaxpr: Jaxpr) -> list[bool]:
    """Say which inputs a program uses at all."""
    used = {v for eqn in jaxpr.eqns for v in eqn.inputs if type(v) is Var}
    used.update(v for v in jaxpr.outputs if type(v) is Var)
    return [v in used for v in jaxpr.inputs]


def steady(
    flags: Sequence[bool], step: Callable[[list[bool]], Sequence[bool]]
) -> list[bool]:
    """Set flags until a step sets no more; it gives those of the carry, first."""
    now = list(flags)
    while True:
        found = step(now)
        then = [a or b for a, b in zip(now, found)]
        if then == now:
            return now
        now = then


# -- loops, transformed ----------------------------------------------------------------


def with_counter(loop: While, max_steps: int) -> While:
    """Give a loop whose carry starts with the number of steps made, as its bound."""
    return cached(  # type: ignore[no-any-return]
        loop.body_jaxpr,
        ("counter", loop.cond_jaxpr, loop.body_consts, max_steps),
        lambda: _with_counter(loop, max_steps),
    )


def _with_counter(loop: While, max_steps: int) -> While:
    cond, body = loop.cond_jaxpr, loop.body_jaxpr
    consts, carry = cut(body.inputs, loop.body_consts)
    number = Var(_COUNT)
    eqns = list(body.eqns)
    after = append(eqns, add, number, Literal(1, _COUNT))
    step = Jaxpr([*consts, number, *carry], [after, *body.outputs], eqns, body.name)
    consts, carry = cut(cond.inputs, loop.cond_consts)
    number = Var(_COUNT)
    eqns = list(cond.eqns)
    inside = append(eqns, lt, number, Literal(max_steps, _COUNT))
    both = append(eqns, and_, cond.outputs[0], inside)
    holds = Jaxpr([*consts, number, *carry], [both], eqns, cond.name)
    return While(holds, step, loop.cond_consts, loop.body_consts)


def jvp_loop(
    loop: While, const_nonzero: Sequence[bool], nonzero: Sequence[bool]
) -> While:
    """Give the loop that carries tangents along."""
    key = ("jvp loop", loop, tuple(const_nonzero), tuple(nonzero))
    return cached(  # type: ignore[no-any-return]
        loop.body_jaxpr, key, lambda: _jvp_loop(loop, const_nonzero, nonzero)
    )


def _jvp_loop(
    loop: While, const_nonzero: Sequence[bool], nonzero: Sequence[bool]
) -> While:
    both, _ = jvp_jaxpr(loop.body_jaxpr, [*const_nonzero, *nonzero], nonzero)
    consts, carry, const_dots, dots = cut(
        both.inputs, loop.body_consts, len(nonzero), sum(const_nonzero)
    )
    body = rewired(both, [*consts, *const_dots, *carry, *dots])
    more = fresh_inputs([v.aval for v in dots])
    holds = rewired(loop.cond_jaxpr, [*loop.cond_jaxpr.inputs, *more])
    body_consts = loop.body_consts + sum(const_nonzero)
    return While(holds, body, loop.cond_consts, body_consts, loop.max_steps)


def batch_loop(
    loop: While, size: int, operands: Sequence[Value], dims: Sequence[Dim]
) -> Any:
    """Run a loop for a whole batch.

    If elements end at different times, the loop goes on until all have, and those that
    have ended keep their carry.
    """
    cond_dims, const_dims, carry_dims = loop.split(dims)

    def front(flags: Sequence[bool]) -> list[Dim]:
        return [0 if b else None for b in flags]

    def ends_apart(flags: Sequence[bool]) -> bool:
        holds = batch_jaxpr(loop.cond_jaxpr, size, [*cond_dims, *front(flags)])
        return holds[1][0] is not None

    def step(flags: list[bool]) -> Sequence[bool]:
        if ends_apart(flags):
            return [True] * len(flags)
        found = batch_jaxpr(loop.body_jaxpr, size, [*const_dims, *front(flags)])
        return [d is not None for d in found[1]]

    batched = steady([d is not None for d in carry_dims], step)
    # Across a mapped axis an element uses what a step makes of the others too.
    alone = not loop.uses_axis(None)
    guards = loop.max_steps is not None and alone and ends_apart(batched)
    lifted = with_checks(loop, size, operands, dims) if ends_apart(batched) else None
    if lifted is not None:
        return lifted
    cond_consts, body_consts, carry = loop.split(operands)
    if guards:
        body_consts, const_dims = with_small(body_consts, const_dims, size)
    holds, _ = batch_jaxpr(loop.cond_jaxpr, size, [*cond_dims, *front(batched)])
    body, _ = batch_jaxpr(
        loop.body_jaxpr, size, [*const_dims, *front(batched)], batched
    )
    consts_of_body = loop.body_consts
    if ends_apart(batched):
        guarded = [*const_dims, *front(batched)] if guards else []
        body = cached(
            body,
            ("masked", holds, loop.cond_consts, tuple(guarded)),
            lambda: masked(holds, body, loop, guarded),
        )
        holds = cached(holds, "any", lambda: any_holds(holds))
        body_consts = [*cond_consts, *body_consts]
        consts_of_body += loop.cond_consts
    after = While(holds, body, loop.cond_consts, consts_of_body, loop.max_steps)
    values = [to_front(x, d, size, b) for x, d, b in zip(carry, carry_dims, batched)]
    return after(*cond_consts, *body_consts, *values), front(batched)


def any_holds(holds: Jaxpr) -> Jaxpr:
    """Give the condition that some element's condition holds."""
    eqns = list(holds.eqns)
    found = append(eqns, ReduceOr((0,)), holds.outputs[0])
    return Jaxpr(holds.inputs, [found], eqns, holds.name)


def masked(holds: Jaxpr, body: Jaxpr, loop: While, guarded: Sequence[Dim]) -> Jaxpr:
    """Give the body that changes only the elements whose condition holds.

    Args:
        holds: the condition of the whole batch.
        body: the body of the whole batch.
        loop: the loop of one element.
        guarded: the batch axes of the body's inputs if the loop can be walked
            backwards, else nothing.
    """
    count = loop.cond_consts

    def step(*values: Value) -> list[Value]:
        cond_consts, body_consts, carry = cut(values, count, loop.body_consts)
        (active,) = evaluate(holds, [*cond_consts, *carry])
        inputs = [*body_consts, *carry]
        if guarded:
            inputs = guard_unused(active, inputs, guarded)
        new = evaluate(body, inputs)
        return [where_used(active, x, y) for x, y in zip(new, carry)]

    avals = [*holds.in_avals[:count], *body.in_avals]
    return stage_flat(step, avals, body.name).jaxpr


# -- the function of users -------------------------------------------------------------


def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init_val: Any,
    max_steps: int | None = None,
) -> Any:
    """Apply `body_fun` to a value again and again while `cond_fun` of it holds.

    Forward mode works as it is. Reverse mode needs `max_steps`: then the backward pass
    makes the steps anew from O(sqrt(max_steps)) kept values.

    Args:
        cond_fun: a function of the value, giving a scalar boolean.
        body_fun: a function of the value, giving one of the same structure and types.
        init_val: a tree of arrays.
        max_steps: the loop ends after so many steps in any case, with the value it has
            there.

    Raises:
        ControlFlowError: the body changes structure, shape or dtype, or the condition
            is no scalar boolean.

    Example:
        >>> print(while_loop(lambda x: x < 100, lambda x: 2 * x, 3))
        192
    """
    check_callable(cond_fun, "while_loop")
    check_callable(body_fun, "while_loop")
    check_max_steps(max_steps, "while_loop")
    carry = Carry("while_loop", init_val)
    if config.disable_jit and all(map(is_concrete, carry.values)):
        return python_loop(cond_fun, body_fun, init_val, max_steps)
    in_tree = tree.structure((init_val,))
    body = carry.settle(
        lambda: write_step(carry, body_fun, in_tree), body_fun, len(carry.avals)
    )
    holds = write_down(cond_fun, in_tree, carry.avals, "while_loop")
    check_condition(cond_fun, holds)
    holds = without_invariants(holds)
    if max_steps is None:
        body = without_invariants(body)
    elif max_steps:
        body = without_invariants(
            body,
            lambda: evaluate(holds.jaxpr, [*holds.consts, *carry.values])[0],
        )
    loop = While(
        holds.jaxpr, body.jaxpr, len(holds.consts), len(body.consts), max_steps
    )
    return carry.tree.unflatten(loop(*holds.consts, *body.consts, *carry.values))


def write_step(carry: Carry, f: Any, in_tree: tree.TreeDef) -> Written:
    """Write a loop's body down for the present types of the carry."""
    written = write_down(f, in_tree, carry.avals, carry.who)
    carry.check_tree(written.out_tree, f)
    return written


def check_condition(f: Any, holds: Written) -> None:
    """Raise unless a condition gives one scalar boolean."""
    found = holds.jaxpr.out_avals
    bare = holds.out_tree == tree.leaf_structure
    if bare and found[0].matches(Aval((), dtypes.bool_)):
        return
    given = holds.out_tree.unflatten(found)
    raise ControlFlowError(
        f"while_loop: the condition {name_of(f)} gave {given}; it must give a scalar "
        "boolean, bool[].",
        where=called_at(),
        mend="Compare, and reduce with jnp.all or jnp.any.",
    )


def check_max_steps(max_steps: Any, who: str) -> None:
    """Raise unless a bound is None or a non-negative integer."""
    if max_steps is None:
        return
    if not isinstance(max_steps, (int, np.integer)) or max_steps < 0:
        raise ArgumentError(
            f"{who}: max_steps is {max_steps!r}.",
            where=called_at(),
            mend="Give a non-negative Python integer, or None for no bound.",
        )


def python_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    value: Any,
    max_steps: int | None,
) -> Any:
    """Run a loop in Python, as `config.disable_jit` asks."""
    left = -1 if max_steps is None else max_steps
    while left and cond_fun(value):
        value = body_fun(value)
        left -= 1
    return value
