"""Functions whose intermediate values are computed anew in the backward pass."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pullback import tree
from pullback.calls.interpret import plan, run_raw
from pullback.calls.policies import Name, Policy, as_policy, nothing_saveable
from pullback.calls.program import (
    apply_pruned,
    chosen,
    cut,
    given_tangents,
    has_effects,
    reached,
    rewired,
    spread,
    spread_tangents,
    write_down,
)
from pullback.core.aval import Aval
from pullback.core.calling import as_value, check_callable, normalize_positions
from pullback.core.jaxpr import Atom, Jaxpr, Var, evaluate
from pullback.core.jaxpr import prune as prune_jaxpr
from pullback.core.origin import name_of
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import EVAL, Value, aval_of, current_trace
from pullback.core.zero import Unknown, Zero, is_zero
from pullback.primitives.structural import frozen, instantiate
from pullback.transforms.batch import batch_jaxpr
from pullback.transforms.jvp import jvp_jaxpr
from pullback.transforms.linearize import linearize_jaxpr
from pullback.transforms.repeated import Repeated
from pullback.transforms.split import Split, split_jaxpr
from pullback.transforms.stage import stage_flat
from pullback.transforms.transpose import (
    Transposed,
    collect_logs,
    logs_wanted,
    transpose_logging,
)


@frozen
class Checkpoint(Primitive):
    """The results of a program of which the backward pass keeps the inputs only.

    Args:
        jaxpr: the program.
        policy: which intermediate values are kept beside the inputs.
        prevent_cse: whether compiled programs must not merge the second computation
            with the first.
        again: whether this is the second computation.
    """

    jaxpr: Jaxpr
    policy: Policy = nothing_saveable
    prevent_cse: bool = True
    again: bool = False

    multiple = True
    calls = True
    splits = True

    def like(self, jaxpr: Jaxpr, again: bool | None = None) -> Checkpoint:
        """Give the operation for another program."""
        again = self.again if again is None else again
        return Checkpoint(jaxpr, self.policy, self.prevent_cse, again)

    @property
    def effects(self) -> bool:
        """Whether the program must run even if no result is used."""
        return has_effects(self.jaxpr)

    def split(self, unknown: tuple[bool, ...]) -> Split:
        return split_jaxpr(self.jaxpr, unknown)

    def with_jaxpr(self, jaxpr: Jaxpr) -> Checkpoint:
        return self.like(jaxpr)

    def abstract(self, *avals: Aval) -> list[Aval]:
        return self.jaxpr.out_avals

    def eager(self, *operands: Value) -> list[Value]:
        return run_raw(self, operands)

    def raw(self, *operands: Any) -> list[Any]:
        """Run the program on NumPy values."""
        return plan(self.jaxpr)(operands)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        if self.again and self.prevent_cse and operands:
            # The compiler merges equal computations, but not across this barrier; and
            # it waits for the cotangents before it computes anew.
            avals = [x.aval for x in operands]
            operands = ctx.emit_many("stablehlo.optimization_barrier", operands, avals)
        return ctx.jaxpr(self.jaxpr, operands)

    def jvp(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        nonzero, given = given_tangents(tangents)
        both, out_nonzero = jvp_jaxpr(self.jaxpr, nonzero)
        results = self.like(both)(*primals, *given)
        outs, dots = cut(results, len(out_nonzero))
        return outs, spread_tangents(dots, out_nonzero, outs)

    def linearize(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        nonzero, given = given_tangents(tangents)
        if self.policy is nothing_saveable:
            outs, saved = self(*primals), []
            out_nonzero = reached(self.jaxpr, nonzero)
        else:
            parts = saved_parts(self.jaxpr, tuple(nonzero), self.policy)
            results = self.like(parts.first)(*primals)
            outs, saved = cut(results, len(parts.out_nonzero))
            out_nonzero = parts.out_nonzero
        if not any(out_nonzero):
            return outs, spread_tangents([], out_nonzero, outs)
        tangent = CheckpointTangent(
            self, tuple(nonzero), tuple(out_nonzero), len(saved)
        )
        dots = tangent(*primals, *saved, *given)
        return outs, spread_tangents(dots, out_nonzero, outs)

    def transpose(self, cotangents: Sequence[Any], *operands: Value) -> list[Any]:
        # A program that is linear itself has nothing to compute anew.
        unknown = [isinstance(x, Unknown) for x in operands]
        given = [not is_zero(c) for c in cotangents]
        program, nonzero, logs = transpose_logging(
            self.jaxpr, unknown, given, False, logs_wanted()
        )
        known = [x for x, u in zip(operands, unknown) if not u]
        asked = [not getattr(x, "zero", False) for x in chosen(operands, unknown)]
        values = [*known, *chosen(cotangents, given)]
        found = apply_logging(self.like(program), values, chosen(asked, nonzero), logs)
        return spread(spread(found, nonzero), unknown)

    def backward(
        self,
        nonzero: Sequence[bool],
        known: Sequence[Value],
        cotangents: Sequence[Any],
        asked: Sequence[bool],
    ) -> list[Any]:
        """Compute anew, and pull cotangents back to the inputs that have tangents.

        Args:
            nonzero: for each input, whether it has a tangent.
            known: the inputs, and then the values that were saved.
            cotangents: one an output, `Zero` allowed.
            asked: for each input with a tangent, whether its cotangent is wanted.

        Returns:
            A cotangent or None for each input with a tangent.
        """
        given = [not is_zero(c) for c in cotangents]
        program, found, logs = backward_program(
            self.jaxpr, tuple(nonzero), tuple(given), self.policy, logs_wanted()
        )
        values = [*known, *chosen(cotangents, given)]
        again = self.like(program, again=True)
        return spread(apply_logging(again, values, chosen(asked, found), logs), found)

    def uses_axis(self, name: Any) -> bool:
        return self.jaxpr.uses_axis(name)

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        program, out_dims = batch_jaxpr(self.jaxpr, size, dims)
        return self.like(program)(*operands), out_dims

    def prune(
        self, wanted: Sequence[bool]
    ) -> tuple[Checkpoint, Sequence[bool], Sequence[bool]]:
        """Drop results, and what only they needed: see `core.jaxpr.prune_eqn`."""
        smaller, kept = prune_jaxpr(self.jaxpr, wanted)
        return self.like(smaller), kept, wanted


@frozen
class CheckpointTangent(Repeated):
    """The tangents of a checkpointed program's results, linear in those of its inputs.

    Operands are the inputs, the values that were saved, and the nonzero tangents.

    Args:
        checkpoint: the operation.
        nonzero: which inputs have tangents.
        out_nonzero: which results may have one.
        count_saved: how many values were saved.
    """

    checkpoint: Checkpoint
    nonzero: tuple[bool, ...]
    out_nonzero: tuple[bool, ...]
    count_saved: int

    def parameters(self) -> dict[str, Any]:
        return {"jaxpr": self.checkpoint.jaxpr, "policy": self.checkpoint.policy}

    @property
    def count_known(self) -> int:
        """The number of operands before the tangents."""
        return len(self.nonzero) + self.count_saved

    def linear_in(self, unknown: Sequence[bool]) -> tuple[int, ...] | None:
        first = self.count_known
        return None if any(unknown[:first]) else tuple(range(first, len(unknown)))

    def linear_result(self, operands: Sequence[Value]) -> list[Aval]:
        return self.abstract()

    def abstract(self, *avals: Aval) -> list[Aval]:
        outs = chosen(self.checkpoint.abstract(), self.out_nonzero)
        return [a.tangent() for a in outs]

    def forward(self, *operands: Value) -> list[Value]:
        """Run the program again, with tangents."""
        primals, _, given = cut(operands, len(self.nonzero), self.count_saved)
        tangents = [
            Zero(like=x) if t is None else t
            for x, t in zip(primals, spread(given, self.nonzero))
        ]
        _, dots = self.checkpoint.jvp(primals, tangents)
        return [instantiate(t) for t in chosen(dots, self.out_nonzero)]

    def transpose(self, cotangents: Sequence[Any], *operands: Value) -> list[Any]:
        known, tangents = cut(operands, self.count_known)
        rest = iter(cotangents)
        outs = self.checkpoint.abstract()
        full = [
            next(rest) if n else Zero(a.tangent())
            for n, a in zip(self.out_nonzero, outs)
        ]
        asked = [
            isinstance(t, Unknown) and not getattr(t, "zero", False) for t in tangents
        ]
        found = self.checkpoint.backward(self.nonzero, known, full, asked)
        return [*[None] * len(known), *found]


# -- programs --------------------------------------------------------------------------


class SavedParts(NamedTuple):
    """A program split by what a policy saves.

    Fields:
        first: inputs -> outputs and saved values.
        second: inputs and saved values -> the residuals of the linear part.
        linear: residuals and tangents -> tangents.
        out_nonzero: which outputs have tangents.
    """

    first: Jaxpr
    second: Jaxpr
    linear: Jaxpr
    out_nonzero: list[bool]


def saved_parts(jaxpr: Jaxpr, nonzero: tuple[bool, ...], policy: Policy) -> SavedParts:
    """Split a program into what is computed first, and what is computed anew."""
    key = ("saved", nonzero, policy)
    if key in jaxpr.cache:
        return jaxpr.cache[key]  # type: ignore[no-any-return]
    parts = linearize_jaxpr(jaxpr, nonzero)
    primal = parts.primal
    outs, residuals = cut(primal.outputs, len(parts.out_nonzero))
    saveable: set[Any] = set()
    if policy is not nothing_saveable:
        for eqn in primal.eqns:
            if policy.saves(eqn):
                # A name is that of the value itself, which other steps use without it.
                named = isinstance(eqn.primitive, Name)
                saveable.update(eqn.inputs if named else eqn.outputs)
    # What the residuals are made of, as far as it is not saved.
    live: set[Any] = {v for v in residuals if type(v) is Var}
    eqns = []
    for eqn in reversed(primal.eqns):
        wanted = [v for v in eqn.outputs if v in live and v not in saveable]
        if wanted:
            live.update(v for v in eqn.inputs if type(v) is Var)
            eqns.append(eqn)
    saved: list[Atom] = [
        v for eqn in primal.eqns for v in eqn.outputs if v in live and v in saveable
    ]
    whole = rewired(primal, primal.inputs, [*outs, *saved])
    first = rewired(prune_jaxpr(whole, [True] * len(whole.outputs))[0], primal.inputs)
    inputs = [*primal.inputs, *saved]
    second = Jaxpr(inputs, residuals, eqns[::-1], primal.name)  # type: ignore[arg-type]
    result = SavedParts(first, second, parts.linear, parts.out_nonzero)
    jaxpr.cache[key] = result
    return result


def apply_logging(
    call: Checkpoint,
    values: Sequence[Value],
    wanted: Sequence[bool],
    logs: tree.TreeDef | None,
) -> list[Any]:
    """Apply a backward program, and keep what rules log among its results."""
    logged = 0 if logs is None else logs.num_leaves
    found = apply_pruned(call, values, [*wanted, *[True] * logged])
    collect_logs(logs, found[len(wanted) :])
    return found[: len(wanted)]


def backward_program(
    jaxpr: Jaxpr,
    nonzero: tuple[bool, ...],
    given: tuple[bool, ...],
    policy: Policy,
    logging: bool,
) -> Transposed:
    """Give the backward pass of a program that computes its residuals anew.

    Returns:
        A program of the inputs, the saved values and the given cotangents; for each
        input with a tangent, whether it gives its cotangent; and what rules log.
    """
    key = ("backward", nonzero, given, policy, logging)
    if key in jaxpr.cache:
        return jaxpr.cache[key]  # type: ignore[no-any-return]
    parts = saved_parts(jaxpr, nonzero, policy)
    count_residuals = len(parts.second.outputs)
    unknown = [i >= count_residuals for i in range(len(parts.linear.inputs))]
    flags = [g for g, n in zip(given, parts.out_nonzero) if n]
    back, found, logs = transpose_logging(parts.linear, unknown, flags, False, logging)
    count_known = len(parts.second.inputs)
    # An output may come with a cotangent though its tangent is zero after all.
    useful = [n for g, n in zip(given, parts.out_nonzero) if g]

    def whole(*values: Value) -> list[Value]:
        known, cts = cut(values, count_known)
        residuals = evaluate(parts.second, known)
        return evaluate(back, [*residuals, *chosen(cts, useful)])

    cts = [a.tangent() for a in chosen(jaxpr.out_avals, given)]
    closed = stage_flat(whole, [*parts.second.in_avals, *cts], jaxpr.name)
    assert not closed.consts, "a jaxpr holds no constants"
    result = jaxpr.cache[key] = Transposed(closed.jaxpr, found, logs)
    return result


# -- the functions of users ------------------------------------------------------------


def checkpoint(
    fun: Callable[..., Any] | None = None,
    *,
    policy: Any = None,
    prevent_cse: bool = True,
    static_argnums: int | Sequence[int] = (),
    concrete: bool = False,
) -> Any:
    """Make the backward pass of `fun` compute anew what it needs, from the arguments.

    That trades time for memory. The forward pass runs the function itself; custom
    forward rules run in the backward pass.

    Args:
        fun: a function of trees of arrays; without it, `checkpoint` gives a decorator.
        policy: which intermediate values are kept all the same: one of
            `checkpoint_policies`, or a function `(primitive, *avals, **parameters)`
            that says so for the results of an operation. None keeps nothing.
        prevent_cse: keep the compiler from merging both computations; needed except
            inside `scan`, which separates them anyway.
        static_argnums: positions passed on as they are.
        concrete: accepted for the ecosystem's sake; it changes nothing.

    Returns:
        A function like `fun`.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback.transforms.derivatives import grad
        >>> print(grad(checkpoint(lambda x: jnp.sin(jnp.sin(x))))(1.).round(5))
        0.36004
    """
    if fun is None:
        return functools.partial(
            checkpoint,
            policy=policy,
            prevent_cse=prevent_cse,
            static_argnums=static_argnums,
        )
    check_callable(fun, "checkpoint")
    saves = as_policy(policy)

    @functools.wraps(fun)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        """Call the function as one operation."""
        if current_trace() is EVAL:
            return fun(*args, **kwargs)
        count = len(args)
        static = normalize_positions(
            static_argnums, count, "checkpoint: static_argnums"
        )
        dynamic = tuple(x for i, x in enumerate(args) if i not in static)

        def call(arguments: Any, named: Any) -> Any:
            rest = iter(arguments)
            full = [x if i in static else next(rest) for i, x in enumerate(args)]
            return fun(*full, **named)

        functools.update_wrapper(call, fun, updated=())
        leaves, in_tree = tree.flatten((dynamic, kwargs))
        values = [as_value(x, f"checkpoint of {name_of(fun)}") for x in leaves]
        written = write_down(call, in_tree, [aval_of(x) for x in values], "checkpoint")
        operation = Checkpoint(written.jaxpr, saves, prevent_cse)
        return written.out_tree.unflatten(operation(*written.consts, *values))

    return checkpointed


remat = checkpoint


def checkpoint_name(x: Any, name: str) -> Any:
    """Give `x` a name that checkpoint policies speak of.

    Args:
        x: a tree of arrays.
        name: the name.
    """
    return tree.map(lambda leaf: Name(name)(as_value(leaf, "checkpoint_name")), x)
