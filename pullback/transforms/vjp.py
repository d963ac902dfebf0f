"""`jvp`, `linearize` and `vjp` of functions of pytrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from pullback import dtypes, tree
from pullback.core.array import SCALARS, Array, from_host
from pullback.core.aval import Aval
from pullback.core.calling import as_value, check_callable, is_arraylike
from pullback.core.closure import Closure
from pullback.core.origin import called_at, name_of
from pullback.core.trace import Tracer, Value, aval_of
from pullback.core.zero import Zero
from pullback.errors import GradError, TreeError
from pullback.primitives.structural import instantiate
from pullback.transforms.jvp import jvp_flat
from pullback.transforms.linearize import (
    LinearProgram,
    flatten_program,
    linearize_flat,
    needed_steps,
    unflatten_program,
)
from pullback.transforms.tangents import (
    Complain,
    Mismatch,
    aval_text,
    fit_tangent,
    fit_tangents,
)
from pullback.transforms.transpose import backward, collecting_logs

#: The structure of arguments that are one leaf.
_ONE_LEAF = tree.structure((0.0,))


def flatten_arguments(
    args: Sequence[Any], f: Callable[..., Any], who: str
) -> tuple[list[Value], tree.TreeDef, tuple[Any, ...]]:
    """Flatten arguments to values; callables become containers of what they capture.

    Returns:
        The values, the structure, and the arguments with closures for callables.
    """
    args = tuple(args)
    if len(args) == 1 and (type(args[0]) is Array or type(args[0]) in SCALARS):
        return [as_value(args[0])], _ONE_LEAF, args
    leaves, in_tree = tree.flatten(args)
    for i, x in enumerate(leaves):
        kind = type(x)
        if kind is Array or isinstance(x, Tracer):
            continue
        if kind in SCALARS:
            leaves[i] = as_value(x)
            continue
        if callable(x) and not is_arraylike(x):
            closed: Any = tree.map(close_callable, args)  # type: ignore[arg-type]
            return flatten_arguments(closed, f, who)
        leaves[i] = as_value(x, f"{who} of {name_of(f)}")
    return leaves, in_tree, args


def close_callable(x: Any) -> Any:
    """Turn a callable into a container of the values it captures."""
    return Closure(x) if callable(x) and not is_arraylike(x) else x


class Flat:
    """A user function as a function of flat values; remembers its output's tree.

    Args:
        f: the function.
        in_tree: the structure of its positional arguments.
        has_aux: it gives `(output, aux)`, and aux is set aside.
        who: the transformation, for errors.
    """

    __slots__ = ("aux", "f", "has_aux", "in_tree", "out_tree", "who")

    out_tree: tree.TreeDef

    def __init__(self, f: Any, in_tree: tree.TreeDef, has_aux: bool, who: str) -> None:
        self.f = f
        self.in_tree = in_tree
        self.has_aux = has_aux
        self.who = who
        self.aux: Any = None

    def __call__(self, *values: Value) -> list[Value]:
        out = self.f(*self.in_tree.unflatten(values))
        if self.has_aux:
            out = self._set_aside(out)
        elif isinstance(out, Tracer):
            self.out_tree = tree.leaf_structure
            return [out]
        leaves, self.out_tree = tree.flatten(out)
        if self.aux is not None:
            aux_leaves, aux_tree = tree.flatten(self.aux)
            self.aux = aux_tree, len(leaves)
            leaves = [*leaves, *aux_leaves]
        return [
            y if type(y) is Array or isinstance(y, Tracer) else self._output(y)
            for y in leaves
        ]

    def _output(self, y: Any) -> Value:
        return as_value(y, f"{self.who}: the output of {name_of(self.f)}")

    def _set_aside(self, out: Any) -> Any:
        if not isinstance(out, (tuple, list)) or len(out) != 2:
            raise GradError(
                f"{self.who} with has_aux=True: {name_of(self.f)} returned "
                f"{type(out).__name__}, not a pair (output, aux).",
                where=called_at(),
                mend="Return (output, aux), or drop has_aux.",
            )
        out, self.aux = out
        if self.aux is None:
            self.aux = ()
        return out

    def split(self, outs: list[Value]) -> tuple[list[Value], Any]:
        """Give the outputs' leaves and the aux tree."""
        if self.aux is None:
            return outs, None
        aux_tree, count = self.aux
        return outs[:count], aux_tree.unflatten(outs[count:])


def fit_input(
    given: Any, aval: Aval, complain: Complain, path: Callable[[], str]
) -> Any:
    """Make the tangent of an argument; a float for an integer is asked in error."""
    if not dtypes.is_inexact(aval.dtype) and given is not None:
        if is_arraylike(given) and dtypes.is_inexact(aval_of(as_value(given)).dtype):
            what = f"{aval_text(given)} where None or float0 is expected, the argument "
            complain(Mismatch("dtype", f"{what}being {aval}", path()))
    return fit_tangent(given, aval, complain, path)


def jvp(
    fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False
) -> Any:
    """Give the output of `fun` and its derivative along `tangents`.

    Args:
        fun: a function of pytrees of arrays.
        primals: a tuple or list with its arguments.
        tangents: a tuple or list like `primals`; None stands for zero anywhere, and
            must stand (or `float0`) at integers.
        has_aux: `fun` returns `(output, aux)`.

    Returns:
        `(output, output_tangent)`, or `(output, output_tangent, aux)`.

    Raises:
        TreeError: primals and tangents differ in structure, shape or kind.
        ForwardModeError: a function with only a reverse rule is on the way.

    Example:
        >>> import pullback.numpy as jnp
        >>> y, y_dot = jvp(jnp.sin, (3.,), (1.,))
        >>> print(y, y_dot)
        0.14112 -0.9899925
    """
    check_callable(fun, "jvp")
    for name, x in (("primals", primals), ("tangents", tangents)):
        if not isinstance(x, (tuple, list)):
            raise TreeError(
                f"jvp of {name_of(fun)}: {name} is a {type(x).__name__}, not a tuple.",
                where=called_at(),
                mend=f"Write jvp(fun, (x,), (x_dot,)), with a tuple for {name}.",
            )
    values, in_tree, primals = flatten_arguments(primals, fun, "jvp")

    def complain(found: Mismatch) -> NoReturn:
        raise TreeError(
            f"jvp of {name_of(fun)}: tangents{found.path} is {found.what}.",
            where=called_at(),
            mend="Give each argument a tangent of its structure, shape and dtype; None "
            "stands for zero. To differentiate by an integer, convert it to a float.",
        )

    avals = map(aval_of, values)
    dots = fit_tangents(primals, tuple(tangents), avals, complain, fit_input)
    flat = Flat(fun, in_tree, has_aux, "jvp")
    outs, outs_dot = jvp_flat(flat, values, dots)
    outs, aux = flat.split(outs)
    out = flat.out_tree.unflatten(outs)
    out_dot = flat.out_tree.unflatten([instantiate(t) for t in outs_dot[: len(outs)]])
    return (out, out_dot, aux) if has_aux else (out, out_dot)


def start(flat: Flat, values: Sequence[Value]) -> tuple[list[Value], LinearProgram]:
    """Linearize a function; integers among its inputs have no tangent."""
    nonzero = [dtypes.is_inexact(x.dtype) for x in values]
    if all(nonzero):
        return linearize_flat(flat, values)
    outs, program = linearize_flat(flat, values, nonzero)
    return outs, spread(program, values, nonzero)


class Spread(LinearProgram):
    """A linear program with an entry for every input, integer ones included."""

    __slots__ = ("avals", "nonzero")

    avals: list[Aval]
    nonzero: Sequence[bool]


tree.register_node(Spread, flatten_program, unflatten_program)


def spread(
    program: LinearProgram, values: Sequence[Value], nonzero: Sequence[bool]
) -> Spread:
    """Remember at which inputs a program has no tangent."""
    made = Spread(program.steps, program.inputs, program.outputs)
    made.avals = [aval_of(x).tangent() for x in values]
    made.nonzero = nonzero
    return made


def widen(program: LinearProgram, found: list[Any]) -> list[Any]:
    """Give a cotangent for every input, zero at integers."""
    if not isinstance(program, Spread):
        return found
    rest = iter(found)
    return [
        next(rest) if n else Zero(a) for a, n in zip(program.avals, program.nonzero)
    ]


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Run `fun` once, and give its output and its derivative there as a function.

    Args:
        fun: a function of pytrees of arrays.
        primals: its arguments.
        has_aux: `fun` returns `(output, aux)`.

    Returns:
        `(output, f_jvp)`, where `f_jvp(*tangents)` is linear and does not run `fun`
        again; or `(output, f_jvp, aux)`.
    """
    check_callable(fun, "linearize")
    values, in_tree, _ = flatten_arguments(primals, fun, "linearize")
    flat = Flat(fun, in_tree, has_aux, "linearize")
    outs, program = start(flat, values)
    outs, aux = flat.split(outs)
    program.steps[:] = needed_steps(program.steps, program.outputs)
    count = len(outs)
    avals = [aval_of(x) for x in values]
    # Not the arguments themselves: the function is to keep its residuals alive only.
    like = in_tree.unflatten(avals)

    def complain(found: Mismatch) -> NoReturn:
        raise TreeError(
            f"the linearization of {name_of(fun)}: tangents{found.path} is "
            f"{found.what}.",
            where=called_at(),
            mend="Give each argument a tangent of its structure, shape and dtype.",
        )

    def f_jvp(*tangents: Any) -> Any:
        """Give the tangent of the output for tangents of the arguments."""
        dots = fit_tangents(like, tangents, avals, complain, fit_input)
        if isinstance(program, Spread):
            dots = [t for t, n in zip(dots, program.nonzero) if n]
        out_dots = program(*dots)[:count]
        return flat.out_tree.unflatten([instantiate(t) for t in out_dots])

    out = flat.out_tree.unflatten(outs)
    return (out, f_jvp, aux) if has_aux else (out, f_jvp)


class Pullback:
    """The reverse-mode derivative of a function at a point: cotangent -> cotangents.

    Calling it walks the recorded program backwards; it can be called many times. It is
    a container of its residuals, so it can be a residual, an argument or an output.
    """

    __slots__ = ("__weakref__", "program", "shape")

    def __init__(self, shape: PullbackShape, program: LinearProgram) -> None:
        self.shape = shape
        self.program = program

    def __call__(self, cotangent: Any) -> Any:
        """Give a tuple with one cotangent an argument of the function.

        Args:
            cotangent: like the function's output; None stands for zero anywhere.

        Raises:
            TreeError: it differs from the output in structure, shape or kind.
        """
        found = widen(self.program, backward(self.program, self.fit(cotangent)))
        return self.shape.in_tree.unflatten([instantiate(c) for c in found])

    def with_logs(self, cotangent: Any) -> tuple[Any, Any]:
        """Give the cotangents, and what rules of `defvjp_with_logs` log on the way.

        Logs that are dicts are put together; where two have a key in common, the call
        that came first in the forward pass wins. What is logged in a loop (`scan`,
        or `while_loop` with `max_steps`) is stacked over its steps, with zeros for the
        steps not made. What a branch of a compiled `cond` would have logged that was
        not taken is zero.

        Args:
            cotangent: like the function's output; None stands for zero anywhere.

        Returns:
            `(cotangents, logs)`, with logs `{}` where nothing was logged.
        """
        with collecting_logs() as logs:
            cotangents = self(cotangent)
        return cotangents, merge_logs(logs)

    def fit(self, cotangent: Any) -> list[Any]:
        """Check a cotangent against the output, and flatten it."""
        avals = self.shape.avals
        like = self.shape.out_tree.unflatten(avals)
        fitted = fit_tangents(like, cotangent, avals, self.complain)
        return [*fitted, *[None] * (len(self.program.outputs) - len(fitted))]

    def complain(self, found: Mismatch) -> NoReturn:
        """Raise the error for a cotangent that does not fit."""
        raise TreeError(
            f"the pullback of {self.shape.name}: cotangent{found.path} is "
            f"{found.what}.",
            where=called_at(),
            mend="Give a cotangent with the structure, shapes and dtypes of the "
            "output; None stands for zero.",
        )

    def __repr__(self) -> str:
        """Show the function and the types of its output."""
        types = ", ".join(map(str, self.shape.avals))
        return f"<pullback of {self.shape.name}, from {types}>"


class PullbackShape(NamedTuple):
    """What of a pullback is no array.

    Fields:
        name: the function's name.
        in_tree: the structure of its arguments.
        out_tree: the structure of its output.
        avals: the types of the output's leaves.
    """

    name: str
    in_tree: tree.TreeDef
    out_tree: tree.TreeDef
    avals: tuple[Aval, ...]


tree.register_node(
    Pullback,
    lambda p: ((p.program,), p.shape),
    lambda shape, children: Pullback(shape, *children),
)


def merge_logs(logs: Sequence[Any]) -> Any:
    """Put the logs of a backward pass together: dicts into one, else a list."""
    if all(isinstance(log, dict) for log in logs):
        return {key: value for log in logs for key, value in log.items()}
    return logs[0] if len(logs) == 1 else list(logs)


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Run `fun` once, and give its output and its pullback.

    Args:
        fun: a function of pytrees of arrays; arguments may be callables too, whose
            cotangents are those of the values they capture.
        primals: its arguments.
        has_aux: `fun` returns `(output, aux)`.

    Returns:
        `(output, f_vjp)`, where `f_vjp(cotangent)` gives a tuple with one cotangent
        an argument (`float0` zeros at integers); or `(output, f_vjp, aux)`.

    Example:
        >>> import pullback.numpy as jnp
        >>> y, f_vjp = vjp(lambda x, y: x * jnp.sin(y), 2., 0.5)
        >>> print(y, *f_vjp(1.))
        0.9588511 0.47942555 1.7551651
    """
    check_callable(fun, "vjp")
    values, in_tree, _ = flatten_arguments(primals, fun, "vjp")
    flat = Flat(fun, in_tree, has_aux, "vjp")
    outs, program = start(flat, values)
    outs, aux = flat.split(outs)
    avals = tuple([aval_of(y) for y in outs])
    shape = PullbackShape(name_of(fun), in_tree, flat.out_tree, avals)
    pullback = Pullback(shape, program)
    out = flat.out_tree.unflatten(outs)
    return (out, pullback, aux) if has_aux else (out, pullback)


def seed_of(aval: Aval) -> Value:
    """Give the cotangent 1 of a scalar output."""
    return from_host(aval.dtype.type(1), aval.weak)
