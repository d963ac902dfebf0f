"""Branches: one of several programs, chosen by a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes, tree
from pullback.calls.by_element import choose_elements, with_checks, with_small
from pullback.calls.interpret import plan, run_raw
from pullback.calls.program import (
    Written,
    append_zero,
    apply_pruned,
    chosen,
    cut,
    given_tangents,
    has_effects,
    is_concrete,
    prune_fixed,
    python_value,
    rewired,
    share_consts,
    spread,
    spread_tangents,
    with_types,
    with_zeros,
    write_down,
)
from pullback.config import config
from pullback.core.array import Array
from pullback.core.aval import Aval
from pullback.core.calling import as_value, check_callable
from pullback.core.jaxpr import Jaxpr, Literal, Var, evaluate
from pullback.core.jaxpr import prune as prune_jaxpr
from pullback.core.origin import called_at, name_of
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import Value, aval_of
from pullback.core.zero import Unknown, is_zero
from pullback.errors import ArgumentError, ControlFlowError, LinearityError
from pullback.primitives.structural import Full, frozen, is_known_zero
from pullback.primitives.table import clamp, convert, ne
from pullback.transforms.batch import batch_jaxpr
from pullback.transforms.jvp import jvp_flat, jvp_jaxpr
from pullback.transforms.linearize import (
    Linearized,
    linearize_flat,
    linearize_jaxpr,
)
from pullback.transforms.split import split_jaxpr
from pullback.transforms.transpose import (
    Transposed,
    collect_logs,
    logs_wanted,
    transpose_logging,
)
from pullback.transforms.vjp import merge_logs


@frozen
class Cond(Primitive):
    """The results of one of several programs with the same operands.

    The first operand is the number of the branch, an int32 scalar inside the range.
    """

    branches: tuple[Jaxpr, ...]

    multiple = True
    calls = True
    separates = True

    @property
    def effects(self) -> bool:
        """Whether a branch must run even if no result is used."""
        return has_effects(*self.branches)

    def linear_in(self, unknown: Sequence[bool]) -> tuple[int, ...] | None:
        # Whether the branches are linear there shows when they are transposed.
        return None if unknown[0] else tuple(i for i, u in enumerate(unknown) if u)

    def linear_result(self, operands: Sequence[Value]) -> list[Aval]:
        return self.abstract()

    def abstract(self, *avals: Aval) -> list[Aval]:
        return self.branches[0].out_avals

    def eager(self, *operands: Value) -> list[Value]:
        return run_raw(self, operands)

    def raw(self, index: Any, *operands: Any) -> list[Any]:
        """Run the chosen branch on NumPy values."""
        return plan(self.branches[int(index)])(operands)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        index, *rest = operands
        regions = [
            ctx.region([], lambda b=branch: ctx.jaxpr(b, rest))
            for branch in self.branches
        ]
        outs = self.abstract()
        return ctx.emit_many("stablehlo.case", [index], outs, "", regions)

    def known_branch(self, index: Value) -> Jaxpr | None:
        """Give the branch where it is known, as it is in eager code."""
        return self.branches[int(index)] if type(index) is Array else None

    def jvp(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        branch = self.known_branch(primals[0])
        if branch is not None:
            return jvp_flat(lambda *xs: evaluate(branch, xs), primals[1:], tangents[1:])
        nonzero, given = given_tangents(tangents[1:])
        branches, out_nonzero = jvp_branches(self.branches, nonzero)
        results = Cond(branches)(*primals, *given)
        outs, dots = cut(results, len(out_nonzero))
        return outs, spread_tangents(dots, out_nonzero, outs)

    def linearize(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        nonzero, given = given_tangents(tangents[1:])
        branch = self.known_branch(primals[0])
        if branch is not None:
            outs, program = linearize_flat(
                lambda *xs: evaluate(branch, xs), primals[1:], nonzero
            )
            return outs, program(*given)
        parts = linearize_branches(self.branches, nonzero)
        results = Cond(parts.primal)(*primals)
        outs = results[: len(parts.out_nonzero)]
        if not any(parts.out_nonzero):
            return outs, spread_tangents([], parts.out_nonzero, outs)
        known = [*primals[1:], *results]
        residuals = [known[i] for i in parts.sources]
        dots = Cond(parts.linear)(primals[0], *residuals, *given)
        return outs, spread_tangents(dots, parts.out_nonzero, outs)

    def transpose(self, cotangents: Sequence[Any], *operands: Value) -> list[Any]:
        unknown = [isinstance(x, Unknown) for x in operands[1:]]
        given = [not is_zero(c) for c in cotangents]
        parts = transpose_branches(self.branches, unknown, given, logs_wanted())
        nonzero = parts.nonzero
        known = [x for x, u in zip(operands[1:], unknown) if not u]
        # Nobody asks for the cotangent of a tangent that is known to be zero.
        asked = [not getattr(x, "zero", False) for x in chosen(operands[1:], unknown)]
        values = [operands[0], *known, *chosen(cotangents, given)]
        wanted = chosen(asked, nonzero)
        asked_all = [*wanted, *[True] * sum(slot.count for slot in parts.logs)]
        found = apply_pruned(Cond(parts.branches), values, asked_all)
        cts, logged = cut(found, len(wanted))
        for slot in parts.logs:
            own, logged = cut(logged, slot.count)
            collect_logs(slot.structure, own)
        return [None, *spread(spread(cts, nonzero), unknown)]

    def separate(
        self, operands: Sequence[Value], unknown: tuple[bool, ...]
    ) -> list[Value] | None:
        if unknown[0]:
            return None
        branch = self.known_branch(operands[0])
        if branch is not None:
            return evaluate(branch, operands[1:])
        parts = separate_branches(self.branches, unknown[1:])
        if parts is None:
            return None
        known = [x for x, u in zip(operands[1:], unknown[1:]) if not u]
        results = Cond(parts.primal)(operands[0], *known)
        pool = [*known, *results]
        residuals = [pool[i] for i in parts.sources]
        given = chosen(operands[1:], unknown[1:])
        dots = Cond(parts.linear)(operands[0], *residuals, *given)
        linear = spread(dots, parts.out_nonzero)
        return [t if n else y for t, n, y in zip(linear, parts.out_nonzero, results)]

    def uses_axis(self, name: Any) -> bool:
        return any(b.uses_axis(name) for b in self.branches)

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        by_element = dims[0] is not None
        lifted = with_checks(self, size, operands, dims) if by_element else None
        if lifted is not None:
            return lifted
        given, in_dims = operands[1:], list(dims[1:])
        # Across a mapped axis an element uses what a branch makes of the others too.
        guarded = by_element and not self.uses_axis(None)
        if guarded:
            given, in_dims = with_small(given, in_dims, size)
        plain = [batch_jaxpr(b, size, in_dims)[1] for b in self.branches]
        force = [by_element or any(d is not None for d in ds) for ds in zip(*plain)]
        mapped = [batch_jaxpr(b, size, in_dims, force)[0] for b in self.branches]
        out_dims = [0 if f else None for f in force]
        if not by_element:
            return Cond(tuple(mapped))(*operands), out_dims
        outs = choose_elements(operands[0], mapped, given, in_dims, guarded)
        return outs, out_dims

    def prune(
        self, wanted: Sequence[bool]
    ) -> tuple[Cond, Sequence[bool], Sequence[bool]]:
        """Drop results, and what only they needed: see `core.jaxpr.prune_eqn`."""
        kept = [prune_jaxpr(b, wanted)[1] for b in self.branches]
        required = [any(flags) for flags in zip(*kept)]
        branches = tuple([prune_fixed(b, wanted, required)[0] for b in self.branches])
        return Cond(branches), [True, *required], wanted


# -- branches, transformed ------------------------------------------------------------


def any_of(flags: Sequence[Sequence[bool]]) -> list[bool]:
    """Say, for each place, whether some branch has it set."""
    return [any(column) for column in zip(*flags)]


def jvp_branches(
    branches: Sequence[Jaxpr], nonzero: Sequence[bool]
) -> tuple[tuple[Jaxpr, ...], list[bool]]:
    """Give the branches with tangents, and which results have some in any branch."""
    make = any_of([jvp_jaxpr(b, nonzero)[1] for b in branches])
    return tuple([jvp_jaxpr(b, nonzero, make)[0] for b in branches]), make


class TransposedBranches(NamedTuple):
    """Branches walked backwards.

    Fields:
        branches: for each, known operands and cotangents -> cotangents and then logs.
        nonzero: for each unknown operand, whether some branch gives its cotangent.
        logs: what is logged, one after the other; it is zero where another branch was
            taken.
    """

    branches: tuple[Jaxpr, ...]
    nonzero: list[bool]
    logs: list[LogSlot]


class LogSlot(NamedTuple):
    """What a branch logs under one key, or all that it logs where that is no dict.

    Branches that log the same type under the same key share a slot.

    Fields:
        structure: that of a list of logs.
        types: the types of their leaves.
    """

    structure: tree.TreeDef
    types: tuple[Aval, ...]

    @property
    def count(self) -> int:
        """The number of leaves."""
        return len(self.types)


def transpose_branches(
    branches: Sequence[Jaxpr],
    unknown: Sequence[bool],
    given: Sequence[bool],
    logging: bool,
) -> TransposedBranches:
    """Give the branches walked backwards, with one type of results."""
    parts = [transpose_logging(b, unknown, given, False, logging) for b in branches]
    nonzero = any_of([p.nonzero for p in parts])
    avals = [a.tangent() for a in chosen(branches[0].in_avals, unknown)]
    logs = [log_slots(p) for p in parts]
    slots = list(dict.fromkeys(slot for own in logs for slot in own))
    types = [*avals, *(a for slot in slots for a in slot.types)]
    want = [*nonzero, *[True] * (len(types) - len(avals))]
    filled = []
    for p, own in zip(parts, logs):
        cts = p.jaxpr.outputs[: sum(p.nonzero)]
        atoms = [x for slot in slots for x in own.get(slot, ())]
        have = [*p.nonzero, *(slot in own for slot in slots for _ in slot.types)]
        whole = rewired(p.jaxpr, p.jaxpr.inputs, [*cts, *atoms])
        filled.append(with_zeros(whole, have, want, types))
    return TransposedBranches(tuple(filled), nonzero, slots)


def log_slots(part: Transposed) -> dict[LogSlot, list[Any]]:
    """Give what a branch walked backwards logs: its outputs, by slot."""
    if part.logs is None:
        return {}
    atoms = part.jaxpr.outputs[-part.logs.num_leaves :]
    logs: Any = part.logs.unflatten(atoms)
    if all(isinstance(log, dict) for log in logs):
        # Under one key, the first call wins within a branch, the branch taken between.
        logs = [[{key: value}] for key, value in merge_logs(logs).items()]
    else:
        logs = [logs]
    slots = {}
    for log in logs:
        leaves, structure = tree.flatten(log)
        slots[LogSlot(structure, tuple([x.aval for x in leaves]))] = leaves
    return slots


class LinearBranches(NamedTuple):
    """Branches split into what computes and what is linear.

    Fields:
        primal: for each branch, operands -> outputs and then slots of residuals.
        linear: for each branch, residuals and then tangents -> tangents.
        out_nonzero: for each output, whether it has a tangent.
        sources: for each residual, where it stands in (operands, outputs, slots).
    """

    primal: tuple[Jaxpr, ...]
    linear: tuple[Jaxpr, ...]
    out_nonzero: list[bool]
    sources: list[int]


def linearize_branches(
    branches: tuple[Jaxpr, ...], nonzero: Sequence[bool]
) -> LinearBranches:
    """Split every branch; residuals of one type share a slot between branches."""
    cache = branches[0].cache
    key = ("linearize branches", branches, tuple(nonzero))
    if key not in cache:
        cache[key] = join_branches([linearize_jaxpr(b, nonzero) for b in branches])
    return cache[key]  # type: ignore[no-any-return]


def separate_branches(
    branches: tuple[Jaxpr, ...], unknown: Sequence[bool]
) -> LinearBranches | None:
    """Split every branch by what tangents reach; None where they reach all of it.

    Raises:
        LinearityError: a branch is not linear in them.
    """
    cache = branches[0].cache
    key = ("separate branches", branches, tuple(unknown))
    if key not in cache:
        parts = [split_branch(b, unknown) for b in branches]
        reached = any_of([p.out_nonzero for p in parts])
        for branch, p in zip(branches, parts):
            check_zeros(branch, p.out_nonzero, reached)
        computed = any(s is None for p in parts for s in p.residual_inputs)
        nothing = all(reached) and not computed
        cache[key] = None if nothing else join_branches(parts)
    return cache[key]  # type: ignore[no-any-return]


def split_branch(branch: Jaxpr, unknown: Sequence[bool]) -> Linearized:
    """Split a branch by what tangents reach, with zeros for what they do."""
    parts = split_jaxpr(branch, unknown)
    eqns = list(parts.known.eqns)
    plain = iter(parts.known.outputs)
    outs = [
        append_zero(eqns, v.aval) if n else next(plain)
        for v, n in zip(branch.outputs, parts.out_linear)
    ]
    pool = [*parts.known.inputs, *parts.known.outputs]
    residuals = [pool[i] for i in parts.sources]
    known = Jaxpr(parts.known.inputs, [*outs, *residuals], eqns, branch.name)
    count = len(known.inputs)
    sources = [i if i < count else None for i in parts.sources]
    return Linearized(known, parts.linear, parts.out_linear, sources)


def check_zeros(branch: Jaxpr, linear: Sequence[bool], reached: Sequence[bool]) -> None:
    """Raise if a branch gives a constant where another gives a tangent."""
    zeros = {
        v
        for eqn in branch.eqns
        if isinstance(eqn.primitive, Full) and not eqn.primitive.value
        for v in eqn.outputs
    }
    for atom, n, r in zip(branch.outputs, linear, reached):
        zero = is_known_zero(atom.value) if isinstance(atom, Literal) else atom in zeros
        if r and not n and not zero:
            raise LinearityError(
                f"a branch gives {atom.aval} that does not depend on a tangent where "
                "another branch gives a tangent, so the result is not linear.",
                where=called_at(),
                mend="Give zeros there, or multiply by the tangent.",
            )


def join_branches(parts: Sequence[Linearized]) -> LinearBranches:
    """Give branches that were split one type of operands and results."""
    inputs = parts[0].primal.in_avals
    out_nonzero = any_of([p.out_nonzero for p in parts])
    slots: list[Aval] = []
    places = [place_residuals(p, len(inputs), slots) for p in parts]
    sources = sorted({s for ps in places for s in ps})
    outs = parts[0].primal.out_avals[: len(out_nonzero)]
    avals = [*inputs, *outs, *slots]
    types = {s: avals[s] for s in sources}
    return LinearBranches(
        tuple([primal_branch(p, ps, slots) for p, ps in zip(parts, places)]),
        tuple(
            [linear_branch(p, ps, types, out_nonzero) for p, ps in zip(parts, places)]
        ),
        out_nonzero,
        sources,
    )


def place_residuals(
    parts: Linearized, count_inputs: int, slots: list[Aval]
) -> list[int]:
    """Say where each residual of a branch is found, making slots as needed."""
    count_outs = len(parts.out_nonzero)
    outputs, residuals = cut(parts.primal.outputs, count_outs)
    base = count_inputs + count_outs
    taken: set[int] = set()
    places = []
    for atom, source in zip(residuals, parts.residual_inputs):
        if source is not None:
            places.append(source)
            continue
        if atom in outputs:
            places.append(count_inputs + outputs.index(atom))
            continue
        fitting = (
            i for i, a in enumerate(slots) if i not in taken and a.matches(atom.aval)
        )
        slot = next(fitting, len(slots))
        if slot == len(slots):
            slots.append(atom.aval)
        taken.add(slot)
        places.append(base + slot)
    return places


def primal_branch(
    parts: Linearized, places: Sequence[int], slots: Sequence[Aval]
) -> Jaxpr:
    """Give a branch that fills its slots, with zeros in those of other branches."""
    primal, count_outs = parts.primal, len(parts.out_nonzero)
    outputs, residuals = cut(primal.outputs, count_outs)
    base = len(primal.inputs) + count_outs
    filled = {p - base: atom for p, atom in zip(places, residuals) if p >= base}
    eqns = list(primal.eqns)
    for i, aval in enumerate(slots):
        outputs.append(filled[i] if i in filled else append_zero(eqns, aval))
    return Jaxpr(primal.inputs, outputs, eqns, primal.name)


def linear_branch(
    parts: Linearized,
    places: Sequence[int],
    types: dict[int, Aval],
    out_nonzero: Sequence[bool],
) -> Jaxpr:
    """Give a linear branch that takes the residuals of all branches."""
    known, tangents = cut(parts.linear.inputs, len(places))
    # Each residual is listed once by `linear_jaxpr`, so that no place is taken twice.
    own = dict(zip(places, known))
    assert len(own) == len(known), "a residual is listed twice"
    leading = [own.get(s) or Var(a) for s, a in types.items()]
    avals = [v.aval.tangent() for v in parts.primal.outputs[: len(out_nonzero)]]
    linear = rewired(parts.linear, [*leading, *tangents])
    return with_zeros(linear, parts.out_nonzero, out_nonzero, avals)


# -- the functions of users ------------------------------------------------------------


def branch_number(pred: Any, who: str) -> Value:
    """Give 1 for a true predicate and 0 for a false one.

    Raises:
        ControlFlowError: it is no scalar.
    """
    value = as_value(pred, f"{who}: the predicate")
    aval = aval_of(value)
    if aval.shape != () or dtypes.is_complex(aval.dtype):
        raise ControlFlowError(
            f"{who}: the predicate has type {aval}; it must be a scalar boolean.",
            where=called_at(),
            mend="Reduce it with jnp.all or jnp.any; to choose for each element use "
            "jnp.where or vmap.",
        )
    if aval.dtype != dtypes.bool_:
        value = ne(value, 0)
    return convert(value, dtypes.int32)


def write_branches(
    functions: Sequence[Callable[..., Any]], operands: Sequence[Any], who: str
) -> tuple[tuple[Jaxpr, ...], list[Value], list[Value], tree.TreeDef]:
    """Write all branches down, with the same operands and types of results.

    Returns:
        The programs, the values they captured, the operands' leaves, and the structure
        of the result.
    """
    leaves, in_tree = tree.flatten(tuple(operands))
    values = [as_value(x, f"{who}: an operand") for x in leaves]
    avals = [aval_of(x) for x in values]
    written = [write_down(f, in_tree, avals, who) for f in functions]
    for f, w in zip(functions, written):
        check_same_tree(who, functions[0], written[0], f, w)
    count = len(written[0].jaxpr.outputs)
    types = [common_types(who, functions, written, i) for i in range(count)]
    jaxprs, consts = share_consts(
        [with_types(w.jaxpr, types) for w in written], [w.consts for w in written]
    )
    return tuple(jaxprs), consts, values, written[0].out_tree


def check_same_tree(who: str, f: Any, first: Written, g: Any, other: Written) -> None:
    """Raise if two branches give different structures."""
    if first.out_tree == other.out_tree:
        return
    one, two = (
        set(tree.path_strings(w.out_tree.unflatten(w.jaxpr.out_avals)))
        for w in (first, other)
    )
    paths = ", ".join(repr(p or "the root") for p in sorted(one ^ two))
    at = f" They differ at {paths}." if paths else ""
    raise ControlFlowError(
        f"{who}: branches must have the same structure; {name_of(f)} gave "
        f"{tree.structure_text(first.out_tree)} and {name_of(g)} gave "
        f"{tree.structure_text(other.out_tree)}.{at}",
        where=called_at(),
        mend="Return the same containers, with the same keys, from every branch.",
    )


def common_types(
    who: str, functions: Sequence[Any], written: Sequence[Written], index: int
) -> Aval:
    """Give the type of one result in all branches; weak types yield to strong ones.

    Raises:
        ControlFlowError: the branches disagree.
    """
    found = [w.jaxpr.out_avals[index] for w in written]
    first = found[0]
    if all(a.matches(first) for a in found):
        return first if all(a.weak for a in found) else first.strong()
    strong = {a.dtype for a in found if not a.weak}
    dtype, weak = dtypes.promote(*[(a.dtype, a.weak) for a in found])
    if len({a.shape for a in found}) == 1 and strong <= {dtype}:
        return Aval(first.shape, dtype, weak)
    g, other = next((g, a) for g, a in zip(functions, found) if not a.matches(first))
    like = written[0].out_tree.unflatten(written[0].jaxpr.out_avals)
    path = tree.path_strings(like)[index]
    raise ControlFlowError(
        f"{who}: branches must give equal types; output{path} of "
        f"{name_of(functions[0])} is {first}, that of {name_of(g)} is {other}.",
        where=called_at(),
        mend="Make the shapes equal, and convert dtypes with astype.",
    )


def cond(
    pred: Any,
    true_fun: Any,
    false_fun: Any,
    *operands: Any,
    **keyword: Any,
) -> Any:
    """Give `true_fun(*operands)` if `pred` is true, else `false_fun(*operands)`.

    Only one of them runs, except under `vmap` over the predicate, where both do. Both
    are traced, whatever the predicate is, and may capture arrays and traced values.

    Args:
        pred: a scalar boolean, or a number that is true where it is not zero.
        true_fun: a function of the operands.
        false_fun: another, with results of the same structure, shapes and dtypes.
        operands: trees of arrays.
        keyword: `operand=x` gives the only operand by name.

    `cond(pred, x, true_fun, y, false_fun)` gives `true_fun(x)` or `false_fun(y)`.

    Raises:
        ControlFlowError: the predicate is no scalar, or the branches disagree.

    Example:
        >>> import pullback.numpy as jnp
        >>> print(cond(3. > 2., jnp.sin, jnp.cos, 0.))
        0.0
    """
    if keyword:
        if list(keyword) != ["operand"] or operands:
            raise ArgumentError(
                f"cond got keyword arguments {', '.join(keyword)}.",
                where=called_at(),
                mend="Pass operands by position: cond(pred, true_fun, false_fun, x).",
            )
        operands = (keyword["operand"],)
    if not callable(true_fun) and len(operands) == 2 and callable(operands[1]):
        return cond_of_two(pred, true_fun, false_fun, *operands)
    check_callable(true_fun, "cond")
    check_callable(false_fun, "cond")
    index = branch_number(pred, "cond")
    if config.disable_jit and is_concrete(index):
        return (true_fun if python_value(index) else false_fun)(*operands)
    branches, consts, values, out_tree = write_branches(
        (false_fun, true_fun), operands, "cond"
    )
    return out_tree.unflatten(Cond(branches)(index, *consts, *values))


def cond_of_two(pred: Any, x: Any, true_fun: Any, y: Any, false_fun: Any) -> Any:
    """Give `true_fun(x)` or `false_fun(y)`."""
    return cond(pred, lambda x, _: true_fun(x), lambda _, y: false_fun(y), x, y)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Give `branches[index](*operands)`, the index moved into the range.

    Args:
        index: a scalar integer.
        branches: functions of the operands with results of equal types.
        operands: trees of arrays.

    Raises:
        ControlFlowError: the index is no integer scalar, or the branches disagree.
    """
    functions = tuple(branches)
    if not functions:
        raise ArgumentError(
            "switch was given no branches.",
            where=called_at(),
            mend="Give at least one.",
        )
    for f in functions:
        check_callable(f, "switch")
    value = as_value(index, "switch: the index")
    aval = aval_of(value)
    if aval.shape != () or not dtypes.is_integer(aval.dtype):
        raise ControlFlowError(
            f"switch: the index has type {aval}; it must be a scalar integer.",
            where=called_at(),
            mend="Convert it with astype(int), or use cond for a boolean.",
        )
    if len(functions) == 1:
        return functions[0](*operands)
    last = len(functions) - 1
    limits = [np.asarray(n, aval.dtype)[()] for n in (0, last)]
    value = clamp(limits[0].item(), value, limits[1].item())
    value = convert(value, dtypes.int32)
    if config.disable_jit and is_concrete(value):
        return functions[int(value)](*operands)
    jaxprs, consts, values, out_tree = write_branches(functions, operands, "switch")
    return out_tree.unflatten(Cond(jaxprs)(value, *consts, *values))
