"""`linear_call`: a linear function together with its transpose, given by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from pullback import dtypes, tree
from pullback.core.aval import Aval
from pullback.core.calling import as_value, check_callable
from pullback.core.closure import TracerFinder, substitute
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.origin import called_at, name_of, user_origin
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import Value, aval_of
from pullback.core.zero import Zero, is_zero
from pullback.custom.agreement import ERRORS, at, output_leaves
from pullback.custom.batching import settle
from pullback.custom.rule import rule_place
from pullback.errors import (
    ArgumentError,
    MissingDerivative,
)
from pullback.primitives.structural import (
    add_tangents,
    frozen,
    instantiate,
)
from pullback.transforms.batch import batch_flat, with_axis
from pullback.transforms.jvp import jvp_flat
from pullback.transforms.stage import stage_flat
from pullback.transforms.tangents import Mismatch, fit_tangents
from pullback.transforms.vjp import close_callable


class LinearSite:
    """One call of a linear function: the function, its transpose, and the trees.

    Operands are the values that both functions capture, the leaves of the residuals,
    and those of the linear operands.

    Args:
        function: `(residuals, operands) -> out`.
        transpose: `(residuals, cotangent of out) -> cotangents of operands`, or None.
        captured: tracers which they capture.
        trees: the structures of residuals and of linear operands.
        expected: tree and types of the result if they are known: a transposed call's.
    """

    __slots__ = (
        "captured",
        "expected",
        "function",
        "in_avals",
        "origin",
        "out",
        "transpose",
        "trees",
    )

    def __init__(
        self,
        function: Callable[..., Any],
        transpose: Callable[..., Any] | None,
        captured: Sequence[Value],
        trees: tuple[tree.TreeDef, tree.TreeDef],
        in_avals: Sequence[Aval],
        expected: tuple[tree.TreeDef, list[Aval]] | None = None,
    ) -> None:
        self.function = function
        self.transpose = transpose
        self.captured = list(captured)
        self.trees = trees
        self.in_avals = list(in_avals)
        self.expected = expected
        self.out: tuple[tree.TreeDef, list[Aval]] | None = expected
        self.origin = user_origin()

    @property
    def name(self) -> str:
        """The function's name."""
        return name_of(self.function)

    @property
    def count_known(self) -> int:
        """How many leading operands are captured values and residuals."""
        return len(self.captured) + self.trees[0].num_leaves

    def run(self, operands: Sequence[Value]) -> list[Value]:
        """Call the function on flat values."""
        n = len(self.captured)
        new = {id(a): b for a, b in zip(self.captured, operands) if a is not b}
        function = substitute(self.function, new)
        split = self.count_known
        residuals = self.trees[0].unflatten(operands[n:split])
        out = function(residuals, self.trees[1].unflatten(operands[split:]))
        if self.expected is not None:
            return self._fit(out, *self.expected)
        who = f"the linear function {self.name}"
        outs, out_tree = output_leaves(out, who, self.function)
        self.out = out_tree, [aval_of(y) for y in outs]
        return outs

    def _fit(self, out: Any, out_tree: tree.TreeDef, avals: list[Aval]) -> list[Value]:
        """Hold a transpose's result against the linear operands; None is zero."""

        def complain(found: Mismatch) -> NoReturn:
            raise ERRORS[found.kind](
                f"`{self.name}` of a linear_call gave a result{at(found.path)} that "
                f"does not fit what its transpose takes: {found.what}.",
                where=rule_place(self.function),
                mend="Let the transpose give a cotangent with the structure, shapes "
                "and dtypes of the linear operands; None stands for zero.",
            )

        like = out_tree.unflatten(avals)
        return [instantiate(c) for c in fit_tangents(like, out, avals, complain)]

    def result_avals(self) -> list[Aval] | None:
        """Give the types of the results, if they are known without a call."""
        return None if self.expected is None else self.expected[1]

    def transposed(self) -> LinearSite:
        """Give the call of the transpose, whose own transpose is the function.

        Raises:
            MissingDerivative: no transpose was given.
        """
        assert self.out is not None, "the function has run before it is transposed"
        if self.transpose is None:
            raise MissingDerivative(
                f"the linear function {self.name} has no transpose, but reverse mode "
                "asks for it.",
                where=f"Called at {self.origin}." if self.origin else called_at(),
                mend=f"Attach one: `@{self.name}.def_transpose` with "
                "`def transpose(residuals, ct)`.",
            )
        out_tree, out_avals = self.out
        return LinearSite(
            self.transpose,
            self.function,
            self.captured,
            (self.trees[0], out_tree),
            out_avals,
            (self.trees[1], self.in_avals),
        )


class BatchedLinearSite:
    """A linear call over a batch; `out_dims` says where results have their batch axis.

    A result without one is the sum over the batch, as the cotangent of an operand
    that all elements share must be.
    """

    __slots__ = ("dims", "inner", "out_dims", "size")

    def __init__(
        self, inner: Any, size: int, dims: Sequence[Dim], out_dims: Sequence[Dim] | None
    ) -> None:
        self.inner = inner
        self.size = size
        self.dims = tuple(dims)
        self.out_dims = out_dims

    @property
    def name(self) -> str:
        """The function's name."""
        return str(self.inner.name)

    @property
    def count_known(self) -> int:
        """How many leading operands are captured values and residuals."""
        return int(self.inner.count_known)

    def run(self, operands: Sequence[Value]) -> list[Value]:
        """Call the function on the whole batch."""
        outs, dims = batch_flat(
            lambda *xs: self.inner.run(xs), self.size, operands, self.dims
        )
        if self.out_dims is None:
            self.out_dims = [0] * len(outs)
        return [
            settle(y, d, w, self.size) for y, d, w in zip(outs, dims, self.out_dims)
        ]

    def result_avals(self) -> list[Aval] | None:
        """Give the types of the results, if they are known without a call."""
        avals = self.inner.result_avals()
        if avals is None:
            return None
        if self.out_dims is None:
            self.out_dims = [0] * len(avals)
        return [with_axis(a, self.size, d) for a, d in zip(avals, self.out_dims)]

    def transposed(self) -> BatchedLinearSite:
        """Give the batched transpose."""
        assert self.out_dims is not None, "the function has run before"
        n = self.count_known
        known, linear = self.dims[:n], self.dims[n:]
        dims = (*known, *self.out_dims)
        return BatchedLinearSite(self.inner.transposed(), self.size, dims, linear)


@frozen
class LinearCall(Primitive):
    """A call of a linear function whose transpose is given by hand.

    Operands are the constants of the staged program (none before staging), captured
    values, residuals, and the linear operands.
    """

    site: Any
    call_jaxpr: Jaxpr | None = None
    count_consts: int = 0

    multiple = True
    calls = True

    def parameters(self) -> dict[str, Any]:
        return {"name": self.site.name, "call_jaxpr": self.call_jaxpr}

    @property
    def count_known(self) -> int:
        """How many operands the function is not linear in."""
        return self.count_consts + self.site.count_known  # type: ignore[no-any-return]

    def function(self, *operands: Value) -> list[Value]:
        """Run the function, staged or not, under the current trace."""
        if self.call_jaxpr is not None:
            return evaluate(self.call_jaxpr, operands)
        return self.site.run(operands)  # type: ignore[no-any-return]

    def linear_in(self, unknown: Sequence[bool]) -> tuple[int, ...] | None:
        n = self.count_known
        return None if any(unknown[:n]) else tuple(range(n, len(unknown)))

    def abstract(self, *avals: Aval) -> list[Aval]:
        if self.call_jaxpr is not None:
            return self.call_jaxpr.out_avals
        known = self.site.result_avals()
        if known is not None:
            return [a.strong() for a in known]
        return [a.strong() for a in stage_flat(self.function, avals).out_avals]

    def eager(self, *operands: Value) -> list[Value]:
        return self.function(*operands)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        if self.call_jaxpr is not None:
            return ctx.jaxpr(self.call_jaxpr, operands)
        # A step of a linear program, which was recorded without being staged.
        closed = stage_flat(self.function, [x.aval for x in operands], self.site.name)
        consts = [ctx.constant(x.fetch(), aval_of(x)) for x in closed.consts]
        return ctx.jaxpr(closed.jaxpr, [*consts, *operands])

    def stage(self, trace: Any, operands: tuple[Value, ...]) -> Any:
        if self.call_jaxpr is not None:
            return trace.emit(self, operands)
        closed = stage_flat(
            self.function, [aval_of(x) for x in operands], self.site.name
        )
        call = LinearCall(self.site, closed.jaxpr, len(closed.consts))
        return trace.emit(call, [*closed.consts, *operands])

    def jvp(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        # By linearity in the operands; residuals through the function's body.
        n = self.count_known
        outs = self(*primals)
        dots: list[Any] = [Zero(like=y) for y in outs]
        linear = tangents[n:]
        if not all(map(is_zero, linear)):
            bare = LinearCall(self.site)
            known = primals[self.count_consts : n]
            dots = list(bare(*known, *map(instantiate, linear)))
        if not all(map(is_zero, tangents[:n])):
            held = [*tangents[:n], *(Zero(like=x) for x in primals[n:])]
            _, terms = jvp_flat(self.function, primals, held)
            dots = [add_tangents(s, t) for s, t in zip(dots, terms)]
        return outs, dots

    def transpose(self, cts: Sequence[Any], *operands: Value) -> list[Any]:
        known = operands[self.count_consts : self.count_known]
        site = self.site.transposed()
        found = LinearCall(site)(*known, *map(instantiate, cts))
        return [*[None] * self.count_known, *found]

    def uses_axis(self, name: Any) -> bool:
        """Say yes to a name: function and transpose are the user's code."""
        return name is not None

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        site = BatchedLinearSite(self.site, size, dims[self.count_consts :], None)
        outs = LinearCall(site)(*operands[self.count_consts :])
        return outs, [0] * len(outs)


def linear_call(
    fun: Callable[..., Any],
    transpose: Callable[..., Any] | None,
    residuals: Any,
    operands: Any,
    *,
    out_like: Any = None,
) -> Any:
    """Call a linear function, and say what its transpose is.

    Forward mode uses linearity, reverse mode calls `transpose`; transposing twice gives
    the function back. Derivatives with respect to residuals, and to values that `fun`
    captures, are those of its body.

    Args:
        fun: `(residuals, operands) -> out`, linear in the operands.
        transpose: `(residuals, ct) -> cotangents` like `operands`; None stands for zero
            anywhere in them.
        residuals: a tree of arrays (and functions) in which `fun` need not be linear.
        operands: a tree of floating-point arrays.
        out_like: a tree with the types of the result, if they are to be known without a
            call of `fun`; it is then held against what `fun` gives.

    Raises:
        ArgumentError: an operand of integer dtype.
        RuleTreeError, RuleShapeError: what `transpose` gives does not fit `operands`.

    Example:
        >>> from pullback import grad
        >>> def scale(r, x):
        ...     return r * x
        >>> def scale_transpose(r, ct):
        ...     return 10. * r * ct     # ten times too large, to be seen
        >>> print(grad(lambda x: linear_call(scale, scale_transpose, 2., x))(3.))
        20.0
    """
    check_callable(fun, "linear_call")
    if transpose is not None:
        check_callable(transpose, "linear_call: transpose")
    residual_leaves, residual_tree = tree.flatten(tree.map(close_callable, residuals))
    leaves, in_tree = tree.flatten(operands)
    who = f"linear_call of {name_of(fun)}"
    values = [as_value(x, who) for x in leaves]
    for x, path in zip(values, tree.path_strings(operands)):
        if not dtypes.is_inexact(x.dtype):
            raise ArgumentError(
                f"{who} was given a linear operand{at(path)} of type {aval_of(x)}.",
                where=called_at(),
                mend="Convert it to floating point, or pass it among the residuals.",
            )
    captured = [c.value for c in TracerFinder().find((fun, transpose))]
    known = [*captured, *(as_value(x, who) for x in residual_leaves)]
    trees = residual_tree, in_tree
    expected = None
    if out_like is not None:
        out_leaves, out_tree = tree.flatten(out_like)
        expected = out_tree, [Aval(tuple(a.shape), a.dtype) for a in out_leaves]
    avals = [aval_of(x) for x in values]
    site = LinearSite(fun, transpose, captured, trees, avals, expected)
    outs = LinearCall(site)(*known, *values)
    assert site.out is not None, "set when the function ran"
    return site.out[0].unflatten(outs)
