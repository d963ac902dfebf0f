"""Calls with a batch axis: a site and its backward pass, over a whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback import dtypes, tree
from pullback.core.aval import Aval
from pullback.core.axes import AxisSize, axis_key
from pullback.core.calling import as_value
from pullback.core.origin import called_at
from pullback.core.primitive import Dim
from pullback.core.trace import Value, aval_of
from pullback.core.zero import Zero, is_zero
from pullback.custom.agreement import output_leaves, pair_of
from pullback.custom.pull import Forward
from pullback.custom.rule import describe_rule, rule_place
from pullback.errors import RuleError, RuleTreeError
from pullback.primitives.structural import (
    broadcast_new_axis,
    instantiate,
    move_axis,
    reduce_sum,
)
from pullback.primitives.table import mul
from pullback.transforms.batch import batch_flat, to_front, with_axis
from pullback.transforms.transpose import collect_log, collecting_logs, logs_wanted


class BatchedSite:
    """A site whose operands may have batch axes; its outputs have theirs in front.

    Over an axis without a name all outputs have it. Over one with a name some may be
    the same for all elements, a `psum` for example; they stay one value, as the rules
    see it: `bwd` gets the cotangent of that value. `out_dims` says which, once the
    function or a rule has run.
    """

    __slots__ = ("dims", "inner", "out_dims", "size")

    def __init__(self, inner: Any, size: int, dims: Sequence[Dim]) -> None:
        self.inner = inner
        self.size = size
        self.dims = tuple(dims)
        self.out_dims: list[Dim] | None = None

    def __getattr__(self, name: str) -> Any:
        # What does not depend on the batch is the inner site's: names, rules, origin.
        return getattr(self.inner, name)

    def _decide(self, dims: Sequence[Dim]) -> list[Dim]:
        """Give the outputs' batch axes, as they are where the first call left them."""
        if self.out_dims is None:
            named = type(self.size) is AxisSize
            self.out_dims = [None if named and d is None else 0 for d in dims]
        return self.out_dims

    def _front(
        self, values: Sequence[Value], dims: Sequence[Dim], wanted: Sequence[Dim]
    ) -> list[Value]:
        if any(w is None and d is not None for d, w in zip(dims, wanted)):
            raise elements_differ(self, self.size)
        return [
            y if w is None else to_front(y, d, self.size)
            for y, d, w in zip(values, dims, wanted)
        ]

    def run(self, operands: Sequence[Value]) -> list[Value]:
        """Call the function on the whole batch, by its batching rule if it has one."""
        if self.has_vmap() and any(d is not None for d in self.dims):
            outs = run_batching_rule(self, operands)
            self._decide([0] * len(outs))
            return outs
        outs, dims = batch_flat(
            lambda *xs: self.inner.run(xs), self.size, operands, self.dims
        )
        return self._front(outs, dims, self._decide(dims))

    def jvp(
        self, operands: Sequence[Value], tangents: Sequence[Any]
    ) -> tuple[list[Value], list[Any]]:
        """Run the jvp rule on the whole batch."""
        nonzero = [not is_zero(t) for t in tangents]
        n = len(operands)
        leaf_dims = self.dims[self.count_captured :]
        zeros = [
            None if z else Zero(self.unbatched(t.aval, d))
            for t, z, d in zip(tangents, nonzero, leaf_dims)
        ]
        dims = [*self.dims, *(d for d, z in zip(leaf_dims, nonzero) if z)]
        which: list[bool] = []

        def both(*values: Value) -> list[Value]:
            rest = iter(values[n:])
            dots = [next(rest) if z is None else z for z in zeros]
            outs, dots_out = self.inner.jvp(values[:n], dots)
            which[:] = [not is_zero(t) for t in dots_out]
            return [*outs, *(t for t in dots_out if not is_zero(t))]

        values = [*operands, *(t for t in tangents if not is_zero(t))]
        found, found_dims = batch_flat(both, self.size, values, dims)
        # An output has the axis if its value or its tangent has.
        count = len(which)
        rest = iter(found_dims[count:])
        dot_dims = [next(rest) if w else None for w in which]
        either = [t if d is None else d for d, t in zip(found_dims, dot_dims)]
        wanted = self._decide(either)
        outs = self._front(found[:count], found_dims, wanted)
        given = [w for w, there in zip(wanted, which) if there]
        dots = iter(self._front(found[count:], found_dims[count:], given))
        return outs, [next(dots) if w else Zero(like=y) for w, y in zip(which, outs)]

    def unbatched(self, aval: Aval, dim: Dim) -> Aval:
        """Give a type without the batch axis."""
        if dim is None:
            return aval
        shape = (*aval.shape[:dim], *aval.shape[dim + 1 :])
        return Aval(shape, aval.dtype, aval.weak)

    def fwd(self, operands: Sequence[Value], perturbed: Sequence[bool]) -> Forward:
        """Run `fwd` on the whole batch."""
        # How many outputs there are, and the pull: not the values, which are a batch's.
        kept: list[tuple[int, Any]] = []

        def flat(*values: Value) -> list[Value]:
            forward = self.inner.fwd(values, perturbed)
            kept.append((len(forward.outs), forward.pull))
            return [*forward.outs, *forward.residuals]

        found, dims = batch_flat(flat, self.size, operands, self.dims)
        count, inner = kept[0]
        wanted = self._decide(dims[:count])
        outs = self._front(found[:count], dims, wanted)
        residual_dims = dims[count:]
        leaf_dims = self.dims[self.count_captured :]
        in_dims = [d for d, p in zip(leaf_dims, perturbed) if p]
        pull = BatchedPull(inner, self.size, residual_dims, in_dims, wanted)
        return Forward(outs, list(found[count:]), pull)


def elements_differ(site: Any, size: int) -> RuleError:
    """Make the error for a rule's output that should be the same for all elements."""
    name = axis_key(size)[1]
    return RuleError(
        f"the {site.kind} function {site.name} gave the same output for all elements "
        f"of the mapped axis {name!r}, but a rule of it gives an output or tangent "
        "that differs between them.",
        where=f"Called at {site.origin}." if site.origin else called_at(),
        mend=f"Combine it over the axis as the function does, with lax.psum(..., "
        f"{name!r}) for example.",
    )


class BatchedPull:
    """A backward pass over a batch; outputs have the batch axis in front, or none.

    The cotangent of an argument without batch axis is summed over the batch.
    """

    __slots__ = ("in_dims", "inner", "out_dims", "residual_dims", "size")

    def __init__(
        self,
        inner: Any,
        size: int,
        residual_dims: Sequence[Dim],
        in_dims: Sequence[Dim],
        out_dims: Sequence[Dim],
    ) -> None:
        self.inner = inner
        self.size = size
        self.residual_dims = list(residual_dims)
        self.in_dims = list(in_dims)
        self.out_dims = list(out_dims)

    @property
    def name(self) -> str:
        """The name of the backward rule."""
        return str(self.inner.name)

    @property
    def site(self) -> Any:
        """The call whose backward pass it is."""
        return self.inner.site

    @property
    def out_avals(self) -> list[Aval]:
        """The types of the outputs, batch axis included."""
        avals = self.inner.out_avals
        return [with_axis(a, self.size, d) for a, d in zip(avals, self.out_dims)]

    def backward(self, residuals: Sequence[Value], cts: Sequence[Any]) -> list[Any]:
        """Run `bwd` on the whole batch."""
        nonzero = [not is_zero(c) for c in cts]
        n = len(residuals)
        out_dims = [d for d, given in zip(self.out_dims, nonzero) if given]
        dims = [*self.residual_dims, *out_dims]
        # Outputs that all elements share have been made once.
        once = not any(d is not None for d in self.out_dims)
        zeros: list[Any] = []
        log_trees: list[tree.TreeDef] = []

        def flat(*values: Value) -> list[Value]:
            rest = iter(values[n:])
            given = [
                next(rest) if z else Zero(a.tangent())
                for z, a in zip(nonzero, self.inner.out_avals)
            ]
            with collecting_logs(logs_wanted()) as logs:
                found = self.inner.backward(values[:n], given)
            zeros[:] = [c if is_zero(c) else None for c in found]
            leaves, log_tree = tree.flatten(logs)
            log_trees.append(log_tree)
            return [*(c for c in found if not is_zero(c)), *map(as_value, leaves)]

        values = [*residuals, *(c for c in cts if not is_zero(c))]
        found, found_dims = batch_flat(flat, self.size, values, dims)
        rest = iter(zip(found, found_dims))
        out: list[Any] = []
        for z, d in zip(zeros, self.in_dims):
            out.append(
                Zero(with_axis(z.aval, self.size, d))
                if z is not None
                else settle(*next(rest), d, 1 if once and d is None else self.size)
            )
        logged = [to_front(x, d, self.size) for x, d in rest]
        for log in log_trees[0].unflatten(logged):
            collect_log(log)
        return out

    def forward(self, residuals: Sequence[Value], tangents: Sequence[Any]) -> list[Any]:
        """Apply the linear function forward on the whole batch."""
        n = len(residuals)
        zeros: list[Any] = []

        def flat(*values: Value) -> list[Value]:
            found = self.inner.forward(values[:n], values[n:])
            zeros[:] = [t if is_zero(t) else None for t in found]
            return [t for t in found if not is_zero(t)]

        dims = [*self.residual_dims, *self.in_dims]
        values = [*residuals, *map(instantiate, tangents)]
        found, found_dims = batch_flat(flat, self.size, values, dims)
        rest = iter(zip(found, found_dims))
        out: list[Any] = []
        for z, w in zip(zeros, self.out_dims):
            if z is not None:
                out.append(Zero(with_axis(z.aval, self.size, w)))
                continue
            y, d = next(rest)
            if w is None and d is not None:
                raise elements_differ(self.site, self.size)
            out.append(y if w is None else to_front(y, d, self.size))
        return out


def settle(y: Value, have: Dim, want: Dim, size: int) -> Value:
    """Bring a batch axis where it is wanted, or sum it away."""
    if want is None:
        if have is None:
            return mul(y, dtypes.kind_of(y.dtype)(size))
        return reduce_sum(y, [have])
    if have is None:
        return broadcast_new_axis(y, int(size), want)
    return move_axis(y, have, want)


def run_batching_rule(site: BatchedSite, operands: Sequence[Value]) -> list[Value]:
    """Call a user's batching rule: `rule(axis_size, in_batched, *args)`."""
    inner = site.inner
    if isinstance(inner, BatchedSite):
        # Two mapped axes: the rule takes the inner one; the outer maps the rule.
        outs, dims = batch_flat(
            lambda *xs: inner.run(xs), site.size, operands, site.dims
        )
        return [to_front(y, d, site.size) for y, d in zip(outs, dims)]
    front = [to_front(x, d, site.size, False) for x, d in zip(operands, site.dims)]
    rules, arguments, leaves = inner.open(front)
    flags = [d is not None for d in site.dims[site.count_captured :]]
    full = arguments.join(inner.in_tree.unflatten(leaves))
    batched = arguments.join(inner.in_tree.unflatten(flags))
    in_batched = [
        False if i in arguments.nondiff or i in arguments.opaque else b
        for i, b in enumerate(batched)
    ]
    rule = rules.vmap
    assert rule is not None, "asked only where there is one"
    out = rule(int(site.size), in_batched, *full)
    result, out_batched = pair_of(out, "custom_vmap", rule, rules.fun)
    outs, inner.out_tree = output_leaves(result, "custom_vmap", rule)
    try:
        spread = tree.broadcast_prefix(out_batched, result)
    except ValueError:
        raise RuleTreeError(
            f"{describe_rule('custom_vmap', rule)} of {site.name} says {out_batched!r} "
            "of what is batched in an output of structure "
            f"{tree.structure_text(tree.structure(result))}.",
            where=rule_place(rule),
            mend="Give one bool, or a tree of bools like the output, as second result.",
        ) from None
    return settle_batched(outs, spread, site, rule)


def settle_batched(
    outs: Sequence[Value], flags: Sequence[Any], site: BatchedSite, rule: Any
) -> list[Value]:
    """Give a batching rule's outputs all with their batch axis in front."""
    out = []
    for y, batched in zip(outs, flags):
        if batched and (not y.shape or y.shape[0] != site.size):
            raise RuleError(
                f"{describe_rule('custom_vmap', rule)} of {site.name} says that an "
                f"output of type {aval_of(y)} is batched over {site.size} elements.",
                where=rule_place(rule),
                mend="Put the batch axis first, or say False for that output.",
            )
        out.append(y if batched else to_front(y, None, site.size))
    return out
