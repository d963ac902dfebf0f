"""The functions `scan`, `map` and `fori_loop`: loops of a length that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes, tree
from pullback.calls.invariants import without_invariants
from pullback.calls.program import Carry, Written, is_concrete, write_down
from pullback.calls.scan import Scan
from pullback.calls.while_loop import check_max_steps, while_loop
from pullback.config import config
from pullback.core.aval import Aval
from pullback.core.calling import as_value, check_callable, is_arraylike
from pullback.core.origin import called_at, name_of
from pullback.core.trace import Value, aval_of
from pullback.errors import ArgumentError, ControlFlowError
from pullback.primitives import stacking
from pullback.primitives.shaping import concatenate, slice_in_dim
from pullback.primitives.structural import reshape
from pullback.primitives.table import add, convert, lt
from pullback.transforms.vmap import vmap


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """Apply `f` to a carry and each slice of `xs` in turn, and stack its outputs.

    It does what this does, as one operation traced once::

        for x in xs:
            carry, y = f(carry, x)
            ys.append(y)

    Args:
        f: `(carry, x) -> (carry, y)`; the carry keeps structure, shapes and dtypes.
        init: the initial carry, a tree of arrays.
        xs: a tree of arrays with equal first axes, over which it goes; None for none.
        length: the number of steps, needed where `xs` holds no arrays.
        reverse: go from the last slice to the first; outputs stay at their slices.
        unroll: how many steps are written out in one turn of the compiled loop; True
            for all.

    Returns:
        The final carry, and the tree of stacked outputs.

    Raises:
        ControlFlowError: the carry changes its type, or `f` gives no pair.
        ArgumentError: lengths that disagree.

    Example:
        >>> import pullback.numpy as jnp
        >>> total, sums = scan(lambda c, x: (c + x, c + x), 0., jnp.arange(4.))
        >>> print(total, sums)
        6.0 [0. 1. 3. 6.]
    """
    check_callable(f, "scan")
    leaves, xs_tree = tree.flatten(xs)
    stacks = [as_value(x, "scan: an array of xs") for x in leaves]
    count = common_length(xs, stacks, length)
    carry = Carry("scan", init)
    if config.disable_jit and all(is_concrete(x) for x in [*carry.values, *stacks]):
        if count:
            return python_scan(f, init, (stacks, xs_tree), count, reverse)
    avals = [aval_of(x) for x in stacks]
    slices = [Aval(a.shape[1:], a.dtype, a.weak) for a in avals]
    pairs: list[tree.TreeDef] = []

    def write() -> Written:
        like = carry.tree.unflatten(carry.avals), xs_tree.unflatten(slices)
        written = write_down(f, tree.structure(like), [*carry.avals, *slices], "scan")
        pairs[:] = pair_trees(f, written)
        carry.check_tree(pairs[0], f)
        return written

    body = carry.settle(write, f, len(carry.avals))
    if count > 1:
        body = without_invariants(body)
    every = count if unroll is True else int(unroll)
    operation = Scan(
        body.jaxpr, count, len(body.consts), len(carry.avals), bool(reverse), every
    )
    outs = operation(*body.consts, *carry.values, *stacks)
    n = len(carry.avals)
    return carry.tree.unflatten(outs[:n]), pairs[1].unflatten(outs[n:])


def common_length(xs: Any, stacks: Sequence[Value], length: int | None) -> int:
    """Give the number of steps that `xs` and `length` agree on."""
    paths = tree.path_strings(xs)
    for x, path in zip(stacks, paths):
        if not x.shape:
            raise ArgumentError(
                f"scan: xs{path} is a scalar of type {aval_of(x)}; scan goes over the "
                "first axis of xs.",
                where=called_at(),
                mend="Give xs a leading axis, or capture the value in the function.",
            )
    sizes = {f"xs{path}": x.shape[0] for x, path in zip(stacks, paths)}
    if length is not None:
        try:
            sizes["length"] = int(length)
        except TypeError as error:
            raise ArgumentError(
                f"scan: length is {length!r}.",
                where=called_at(),
                mend="Give a Python integer; for a traced number of steps use "
                "fori_loop with max_steps.",
            ) from error
    if not sizes:
        raise ArgumentError(
            "scan was given neither xs nor length.",
            where=called_at(),
            mend="Give arrays to go over, or the number of steps as length.",
        )
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise ArgumentError(
            f"scan got different lengths: {listed}.",
            where=called_at(),
            mend="Give arrays with equal first axes, and the same length or none.",
        )
    return int(next(iter(sizes.values())))


def pair_trees(f: Any, written: Written) -> list[tree.TreeDef]:
    """Give the structures of a body's carry and output."""
    out = written.out_tree
    if out.type is not tuple or out.num_children != 2:
        raise ControlFlowError(
            f"scan: the body {name_of(f)} gave {out}; it must give a pair (carry, y).",
            where=called_at(),
            mend="Return (carry, y), with None for y where there is no output.",
        )
    return list(out.children())


def python_scan(
    f: Callable[..., Any], carry: Any, xs: Any, count: int, reverse: bool
) -> tuple[Any, Any]:
    """Run a scan in Python, as `config.disable_jit` asks."""
    stacks, xs_tree = xs
    ys: list[Any] = []
    for i in reversed(range(count)) if reverse else range(count):
        slices = [reshape(slice_in_dim(x, i, i + 1, 0), x.shape[1:]) for x in stacks]
        carry, y = f(carry, xs_tree.unflatten(slices))
        ys.append(y)
    if reverse:
        ys.reverse()
    return carry, tree.map(stack, *ys)


def stack(*rows: Any) -> Value:
    """Join arrays along a new first axis."""
    values = [as_value(y) for y in rows]
    return stacking.stack(values, 0)


def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """Apply `f` to each slice of `xs` along the first axis, one after the other.

    Args:
        f: a function of a slice.
        xs: a tree of arrays with equal first axes.
        batch_size: do so many slices at once, with `vmap`.

    Returns:
        The tree of stacked results.
    """
    check_callable(f, "map")
    if batch_size is None:
        return scan(lambda _, x: (None, f(x)), None, xs)[1]
    leaves, xs_tree = tree.flatten(xs)
    stacks = [as_value(x, "map: an array of xs") for x in leaves]
    count = common_length(xs, stacks, None)
    whole = count // batch_size * batch_size
    parts = []
    if whole:
        rows = [
            reshape(
                slice_in_dim(x, 0, whole, 0),
                (whole // batch_size, batch_size, *x.shape[1:]),
            )
            for x in stacks
        ]
        out = scan(lambda _, x: (None, vmap(f)(x)), None, xs_tree.unflatten(rows))[1]
        parts.append(tree.map(lambda y: reshape(y, (whole, *y.shape[2:])), out))
    if whole < count or not count:
        rest = [slice_in_dim(x, whole, count, 0) for x in stacks]
        parts.append(vmap(f)(xs_tree.unflatten(rest)))
    if len(parts) == 1:
        return parts[0]
    return tree.map(lambda *ys: concatenate(ys, 0), *parts)


def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | bool | None = None,
    max_steps: int | None = None,
) -> Any:
    """Apply `body_fun(i, value)` to a value for i from `lower` to `upper - 1`.

    With bounds that are known when the loop is traced, both modes of differentiation
    work as they are. With traced bounds, reverse mode needs `max_steps`.

    Args:
        lower: an integer scalar.
        upper: an integer scalar.
        body_fun: a function of the number and the value, giving a value of the same
            structure and types.
        init_val: a tree of arrays.
        unroll: how many steps are written out in one turn of the compiled loop; only
            with known bounds.
        max_steps: the loop ends after so many steps in any case.

    Raises:
        ControlFlowError: the body changes structure, shape or dtype.

    Example:
        >>> print(fori_loop(1, 5, lambda i, x: x * i, 1))
        24
    """
    check_callable(body_fun, "fori_loop")
    check_max_steps(max_steps, "fori_loop")
    bounds = [loop_bound(lower, "lower"), loop_bound(upper, "upper")]
    dtype, weak = dtypes.promote(*[(b.dtype, b.weak_type) for b in bounds])
    if all(is_concrete(b) for b in bounds):
        first, last = (int(b) for b in bounds)
        length = max(0, last - first)
        if max_steps is not None:
            length = min(length, max_steps)
        if config.disable_jit:
            for i in range(first, first + length):
                init_val = body_fun(i, init_val)
            return init_val
        start = convert(bounds[0], dtype, weak)

        def step(carry: Any, _: None) -> Any:
            return (add(carry[0], 1), body_fun(*carry)), None

        (_, value), _ = scan(
            renamed(step, body_fun), (start, init_val), None, length, unroll=unroll or 1
        )
        return value
    if unroll not in (None, 1, False):
        raise ArgumentError(
            "fori_loop: unroll needs bounds that are known when the loop is traced.",
            where=called_at(),
            mend="Give lower and upper as Python integers, or drop unroll.",
        )
    start, stop = (convert(b, dtype, weak) for b in bounds)

    def turn(carry: Any) -> Any:
        i, value = carry
        return add(i, 1), body_fun(i, value)

    _, value = while_loop(
        lambda carry: lt(carry[0], stop),
        renamed(turn, body_fun),
        (start, init_val),
        max_steps,
    )
    return value


def renamed(step: Callable[..., Any], f: Callable[..., Any]) -> Callable[..., Any]:
    """Let a wrapper have the name of the user's function, for errors."""
    step.__name__ = name_of(f)
    return step


def loop_bound(bound: Any, name: str) -> Value:
    """Check a bound of a loop."""
    value = as_value(bound, f"fori_loop: {name}") if is_arraylike(bound) else None
    if value is None or value.shape or not dtypes.is_integer(value.dtype):
        given = repr(bound) if value is None else str(aval_of(value))
        raise ArgumentError(
            f"fori_loop: {name} is {given}; it must be an integer scalar.",
            where=called_at(),
            mend="Give a Python integer or a traced integer scalar.",
        )
    return value
