"""`custom_linear_solve`: a linear solver whose derivatives are solves too."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes, tree
from pullback.core.aval import Aval
from pullback.core.calling import as_value, check_callable
from pullback.core.closure import TracerFinder, substitute
from pullback.core.jaxpr import Jaxpr, evaluate
from pullback.core.origin import called_at, defined_at, name_of
from pullback.core.primitive import Dim, Primitive
from pullback.core.trace import Value, aval_of
from pullback.core.zero import Zero, is_zero
from pullback.errors import ArgumentError, LinearityError, MissingDerivative, TreeError
from pullback.primitives.structural import accumulate, frozen, instantiate
from pullback.primitives.table import convert, neg
from pullback.transforms.batch import batch_flat, batch_jaxpr, to_front
from pullback.transforms.jvp import jvp_flat
from pullback.transforms.stage import stage_flat
from pullback.transforms.transpose import transpose_jaxpr

#: `solve(matvec, b)`, giving x with matvec(x) = b, and maybe something beside.
Solve = Callable[..., Any]


class System:
    """A linear system as its solver sees it: the matrix as a program, and who solves.

    Operands are the constants of the program, the values that the solvers capture, and
    the leaves of the right side.

    Args:
        matvec: constants and x -> the matrix times x.
        solvers: those of the system and of its transpose, which may be None.
        symmetric: the matrix is its own transpose.
        has_aux: the solver gives `(x, aux)`.
        captured: the tracers that the solvers capture.
        count_consts: how many constants lead the program's inputs.
        treedef: the structure of x and of the right side.
    """

    __slots__ = (
        "aux_tree",
        "captured",
        "count_consts",
        "has_aux",
        "matvec",
        "solvers",
        "symmetric",
        "treedef",
    )

    def __init__(
        self,
        matvec: Jaxpr,
        solvers: tuple[Solve, Solve | None],
        symmetric: bool,
        has_aux: bool,
        captured: Sequence[Value],
        count_consts: int,
        treedef: tree.TreeDef,
    ) -> None:
        self.matvec = matvec
        self.solvers = solvers
        self.symmetric = symmetric
        self.has_aux = has_aux
        self.captured = list(captured)
        self.count_consts = count_consts
        self.treedef = treedef
        self.aux_tree: tree.TreeDef | None = None

    @property
    def name(self) -> str:
        """The solver's name."""
        return name_of(self.solvers[0])

    @property
    def count_known(self) -> int:
        """How many operands lead the right side."""
        return self.count_consts + len(self.captured)

    @property
    def size(self) -> int:
        """How many leaves the right side has."""
        return self.treedef.num_leaves

    def run(self, operands: Sequence[Value]) -> list[Value]:
        """Solve: give the leaves of x, and then those of aux."""
        consts = list(operands[: self.count_consts])
        given = operands[self.count_consts : self.count_known]
        rights = operands[self.count_known :]

        def matvec(x: Any) -> Any:
            """Multiply the matrix by x."""
            out = evaluate(self.matvec, [*consts, *self._fit(x, rights, "matvec")])
            return self.treedef.unflatten(out)

        values = {id(a): b for a, b in zip(self.captured, given) if a is not b}
        solve = substitute(self.solvers[0], values)
        x = solve(matvec, self.treedef.unflatten(rights))
        if not self.has_aux:
            return self._fit(x, rights, self.name)
        if not isinstance(x, (tuple, list)) or len(x) != 2:
            raise ArgumentError(
                f"custom_linear_solve with has_aux=True: {self.name} returned a "
                f"{type(x).__name__}, not a pair (x, aux).",
                where=called_at(),
                mend="Return (x, aux), or drop has_aux.",
            )
        aux, self.aux_tree = tree.flatten(x[1])
        return [*self._fit(x[0], rights, self.name), *map(as_value, aux)]

    def _fit(self, x: Any, rights: Sequence[Value], who: str) -> list[Value]:
        """Hold an x against the right side, which has its structure and type."""
        leaves, treedef = tree.flatten(x)
        if treedef != self.treedef:
            raise TreeError(
                f"custom_linear_solve: {who} met an x of structure "
                f"{tree.structure_text(treedef)}; the right side has "
                f"{tree.structure_text(self.treedef)}.",
                where=called_at(),
                mend="Give x the structure of b.",
            )
        return [fit_leaf(as_value(v), aval_of(b), who) for v, b in zip(leaves, rights)]

    def without_aux(self) -> System:
        """Give the same system, whose solver gives x alone."""
        if not self.has_aux:
            return self
        return self._with(self.matvec, self.solvers)

    def transposed(self) -> System:
        """Give the transposed system.

        Raises:
            MissingDerivative: nobody can solve it.
        """
        if self.symmetric:
            return self.without_aux()
        solve, transpose_solve = self.solvers
        if transpose_solve is None:
            raise MissingDerivative(
                f"custom_linear_solve with {self.name} has no transpose_solve, but "
                "reverse mode asks for a solution of the transposed system.",
                where=called_at(),
                mend="Give transpose_solve (often the same as solve), or "
                "symmetric=True if the matrix is its own transpose.",
            )
        return self._with(self._transposed_matvec(), (transpose_solve, solve))

    def _transposed_matvec(self) -> Jaxpr:
        unknown = [False] * self.count_consts + [True] * self.size
        try:
            return transpose_jaxpr(self.matvec, unknown, [True] * self.size, True)[0]
        except LinearityError as error:
            raise LinearityError(
                f"custom_linear_solve: {self.matvec.name} is not linear: {error.what}",
                where=error.where,
                mend="Let matvec be linear in x: move constant terms to b.",
            ) from None

    def _with(self, matvec: Jaxpr, solvers: tuple[Solve, Solve | None]) -> System:
        if self.has_aux:
            solvers = (first_of(solvers[0]), solvers[1] and first_of(solvers[1]))
        return System(
            matvec,
            solvers,
            self.symmetric,
            False,
            self.captured,
            self.count_consts,
            self.treedef,
        )


def first_of(solve: Solve) -> Solve:
    """Give the solver that drops what another gives beside x."""

    @functools.wraps(solve)
    def solve_alone(matvec: Any, b: Any) -> Any:
        return solve(matvec, b)[0]

    return solve_alone


def fit_leaf(x: Value, aval: Aval, who: str) -> Value:
    """Hold a leaf of x against that of the right side; its dtype adapts."""
    if x.shape != aval.shape:
        raise TreeError(
            f"custom_linear_solve: {who} met an x of type {aval_of(x)} for a right "
            f"side {aval}.",
            where=called_at(),
            mend="Give x the shape of b.",
        )
    return x if x.dtype == aval.dtype else convert(x, aval.dtype)


class BatchedSystem:
    """Many systems at once: every operand has a batch axis in front, or none."""

    __slots__ = ("dims", "inner", "length")

    def __init__(self, inner: Any, length: int, dims: Sequence[Dim]) -> None:
        self.inner = inner
        self.length = length
        self.dims = tuple(dims)

    @property
    def name(self) -> str:
        """The solver's name."""
        return str(self.inner.name)

    @property
    def has_aux(self) -> bool:
        """Whether the solver gives something beside x."""
        return bool(self.inner.has_aux)

    @property
    def count_consts(self) -> int:
        """How many operands are constants of the matrix."""
        return int(self.inner.count_consts)

    @property
    def count_known(self) -> int:
        """How many operands lead the right side."""
        return int(self.inner.count_known)

    @property
    def size(self) -> int:
        """How many leaves the right side has."""
        return int(self.inner.size)

    @property
    def matvec(self) -> Jaxpr:
        """The program that multiplies every matrix by its x."""
        dims = [*self.dims[: self.count_consts], *[0] * self.size]
        wanted = [True] * self.size
        return batch_jaxpr(self.inner.matvec, self.length, dims, wanted)[0]

    def run(self, operands: Sequence[Value]) -> list[Value]:
        """Solve all systems."""
        outs, dims = batch_flat(
            lambda *xs: self.inner.run(xs), self.length, operands, self.dims
        )
        return [to_front(y, d, self.length) for y, d in zip(outs, dims)]

    def without_aux(self) -> BatchedSystem:
        """Give the same systems, whose solver gives x alone."""
        return BatchedSystem(self.inner.without_aux(), self.length, self.dims)

    def transposed(self) -> BatchedSystem:
        """Give the transposed systems."""
        return BatchedSystem(self.inner.transposed(), self.length, self.dims)


@frozen
class LinearSolve(Primitive):
    """The solution of a linear system, linear in the right side.

    Operands are the constants of the staged solver (none before staging), those of the
    matrix, the values that the solvers capture, and the right side. Derivatives follow
    from A x = b: x_dot solves A x_dot = b_dot - A_dot x, whatever the solver does.
    """

    system: Any
    call_jaxpr: Jaxpr | None = None
    count_consts: int = 0

    multiple = True
    calls = True

    @property
    def name(self) -> str:
        """The name in jaxprs, the ecosystem's."""
        return "custom_linear_solve"

    def parameters(self) -> dict[str, Any]:
        return {
            "solve": self.system.name,
            "matvec": self.system.matvec,
            "call_jaxpr": self.call_jaxpr,
        }

    @property
    def count_known(self) -> int:
        """How many operands lead the right side."""
        return self.count_consts + self.system.count_known  # type: ignore[no-any-return]

    def function(self, *operands: Value) -> list[Value]:
        """Run the solver, staged or not, under the current trace."""
        if self.call_jaxpr is not None:
            return evaluate(self.call_jaxpr, operands)
        return self.system.run(operands)  # type: ignore[no-any-return]

    def linear_in(self, unknown: Sequence[bool]) -> tuple[int, ...] | None:
        n = self.count_known
        return None if any(unknown[:n]) else tuple(range(n, len(unknown)))

    def abstract(self, *avals: Aval) -> list[Aval]:
        if not self.system.has_aux:
            return [a.strong() for a in avals[self.count_known :]]
        if self.call_jaxpr is not None:
            return self.call_jaxpr.out_avals
        return stage_flat(self.function, avals).out_avals

    def eager(self, *operands: Value) -> list[Value]:
        return self.function(*operands)

    def lower(self, ctx: Any, *operands: Any) -> Any:
        if self.call_jaxpr is not None:
            return ctx.jaxpr(self.call_jaxpr, operands)
        # A step of a linear program, which was recorded without being staged.
        avals = [x.aval for x in operands]
        closed = stage_flat(self.function, avals, self.system.name)
        consts = [ctx.constant(x.fetch(), aval_of(x)) for x in closed.consts]
        return ctx.jaxpr(closed.jaxpr, [*consts, *operands])

    def stage(self, trace: Any, operands: tuple[Value, ...]) -> Any:
        if self.call_jaxpr is not None:
            return trace.emit(self, operands)
        avals = [aval_of(x) for x in operands]
        closed = stage_flat(self.function, avals, self.system.name)
        call = LinearSolve(self.system, closed.jaxpr, len(closed.consts))
        return trace.emit(call, [*closed.consts, *operands])

    def jvp(self, primals: Sequence[Value], tangents: Sequence[Any]) -> Any:
        system, n = self.system, self.count_known
        outs = self(*primals)
        x = outs[: system.size]
        known = list(primals[self.count_consts : n])
        split = system.count_consts
        const_dots = tangents[self.count_consts :][:split]
        rights = list(tangents[n:])
        if not all(map(is_zero, const_dots)):
            _, terms = jvp_flat(
                lambda *consts: evaluate(system.matvec, [*consts, *x]),
                known[:split],
                const_dots,
            )
            rights = [subtract(t, term) for t, term in zip(rights, terms)]
        dots = [Zero(like=y) for y in outs]
        if not all(map(is_zero, rights)):
            solve = LinearSolve(system.without_aux())
            dots[: system.size] = solve(*known, *map(instantiate, rights))
        return outs, dots

    def transpose(self, cts: Sequence[Any], *operands: Value) -> list[Any]:
        known = operands[self.count_consts : self.count_known]
        rights = [instantiate(c) for c in cts[: self.system.size]]
        found = LinearSolve(self.system.transposed())(*known, *rights)
        return [*[None] * self.count_known, *found]

    def uses_axis(self, name: Any) -> bool:
        """Say yes to a name: matrix and solvers are the user's code."""
        return name is not None

    def batch(self, size: int, operands: Sequence[Value], dims: Sequence[Dim]) -> Any:
        n, start = self.count_known, self.count_consts
        moved = [
            to_front(x, d, size, i >= n) for i, (x, d) in enumerate(zip(operands, dims))
        ]
        fronts = [0 if i >= n or d is not None else None for i, d in enumerate(dims)]
        system = BatchedSystem(self.system, size, fronts[start:])
        outs = LinearSolve(system)(*moved[start:])
        return outs, [0] * len(outs)


def subtract(s: Any, t: Any) -> Any:
    """Subtract tangents, either of which may be zero."""
    if is_zero(t):
        return s
    return neg(t) if is_zero(s) else accumulate(s, neg(t))


def custom_linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Solve,
    transpose_solve: Solve | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """Solve `matvec(x) = b` by a solver that is never differentiated itself.

    Derivatives of all orders, in both modes, are solutions of systems with the same
    matrix or its transpose, for the same solvers. `matvec` may capture values that are
    being differentiated, mapped or staged.

    Args:
        matvec: a linear function of trees of floating-point arrays.
        b: the right side, of the structure of x.
        solve: `(matvec, b) -> x`, by whatever means.
        transpose_solve: the same for the transposed system, whose matrix it is given;
            reverse mode needs it.
        symmetric: the matrix is its own transpose; `solve` then serves for both.
        has_aux: the solvers give `(x, aux)`; aux has derivative zero.

    Returns:
        `x`, or `(x, aux)`.

    Raises:
        LinearityError: reverse mode of a `matvec` that is not linear.
        TreeError: it maps `b` to another structure or type.
        MissingDerivative: reverse mode without `transpose_solve`.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import grad
        >>> def halve(matvec, b):
        ...     return b / matvec(jnp.ones_like(b))
        >>> solved = lambda a: custom_linear_solve(lambda x: a * x, 6., halve, halve)
        >>> print(solved(2.), grad(solved)(2.), grad(grad(solved))(2.))
        3.0 -1.5 1.5
    """
    for name, f in (("matvec", matvec), ("solve", solve)):
        check_callable(f, f"custom_linear_solve: {name}")
    leaves, treedef = tree.flatten(b)
    rights = [floating(as_value(x, "custom_linear_solve: b")) for x in leaves]
    program, consts = staged_matvec(matvec, rights, treedef)
    finder = TracerFinder()
    captured = [c.value for c in finder.find((solve, transpose_solve))]
    system = System(
        program,
        (solve, transpose_solve),
        symmetric,
        has_aux,
        captured,
        len(consts),
        treedef,
    )
    outs = LinearSolve(system)(*consts, *captured, *rights)
    x = treedef.unflatten(outs[: len(rights)])
    if not has_aux:
        return x
    assert system.aux_tree is not None, "set when the solver ran"
    return x, system.aux_tree.unflatten(outs[len(rights) :])


def floating(x: Value) -> Value:
    """Convert integers to the default floating-point dtype."""
    return x if dtypes.is_inexact(x.dtype) else convert(x, dtypes.scalar_dtype(float))


def staged_matvec(
    matvec: Callable[[Any], Any], rights: Sequence[Value], treedef: tree.TreeDef
) -> tuple[Jaxpr, Sequence[Value]]:
    """Write the matrix down as a program of its constants and x.

    Raises:
        TreeError: the result has another structure or type than the right side.
    """
    avals = [aval_of(x).strong() for x in rights]

    def flat(*values: Value) -> list[Value]:
        out, out_tree = tree.flatten(matvec(treedef.unflatten(values)))
        outs = [as_value(y) for y in out]
        given = [aval_of(y) for y in outs]
        same = out_tree == treedef and all(map(Aval.matches, given, avals))
        if not same:
            raise TreeError(
                f"custom_linear_solve: {name_of(matvec)} maps "
                f"{treedef.unflatten(avals)} to {out_tree.unflatten(given)}; the "
                "matrix must be square.",
                where=f"Defined at {defined_at(matvec)}. {called_at()}",
                mend="Let matvec return the structure, shapes and dtypes of b.",
            )
        return outs

    closed = stage_flat(flat, avals, name_of(matvec))
    return closed.jaxpr, closed.consts
