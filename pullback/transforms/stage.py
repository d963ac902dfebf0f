"""Staging: run a function on traced values and write down what it does, as a jaxpr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback import dtypes, tree
from pullback.collector import resting_collector
from pullback.core.array import SCALARS, Array
from pullback.core.aval import Aval, ShapeDtypeStruct
from pullback.core.calling import as_value, check_callable, leaf_names, out_of_range
from pullback.core.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from pullback.core.origin import called_at, name_of, user_origin
from pullback.core.primitive import Primitive
from pullback.core.trace import (
    Axes,
    Trace,
    Tracer,
    Value,
    aval_of,
    current_trace,
    leak_watches,
    using,
)
from pullback.errors import LeakedTracerError
from pullback.primitives.structural import Constant, Held


class StageTracer(Tracer):
    """A variable of the jaxpr being written; `eqn` made it, None for an input."""

    __slots__ = ("aval", "eqn", "owner", "variable")

    def __init__(
        self, trace: StageTrace, var: Var, eqn: Eqn | None, aval: Aval
    ) -> None:
        self.owner = trace
        self.variable = var
        self.eqn = eqn
        self.aval = aval

    @property
    def eqn_operands(self) -> list[Any]:
        """The tracers, constants and literals this value was made of."""
        if self.eqn is None:
            return []
        known: dict[Any, Any] = self.owner.made
        if any(isinstance(v, Var) and v not in known for v in self.eqn.inputs):
            consts = self.owner.consts.values()
            known = {**known, **{var: value for value, var in consts}}
        return [known[v] if isinstance(v, Var) else v.value for v in self.eqn.inputs]

    def describe(self) -> str:
        """Say which arguments of the staged function the value came from."""
        names = self.owner.sources(self.variable)
        made = f", made by {self.eqn.primitive.name}" if self.eqn else ""
        at = f" at {self.eqn.origin}" if self.eqn and self.eqn.origin else ""
        came = f", which came from {' and '.join(names)}" if names else ""
        return (
            f"a value of type {self.aval} traced in {self.owner.name}{made}{at}{came}"
        )


class StageTrace(Trace):
    """Emits an eqn for each operation; values of other traces become constants."""

    __slots__ = ("bound", "consts", "eqns", "input_names", "inputs", "made", "name")

    def __init__(
        self,
        name: str = "f",
        input_names: Callable[[], Sequence[str]] = tuple,
        axes: Axes = (),
    ) -> None:
        # The program belongs where it is written: names that are bound there are here.
        self.bound = (*axes, *current_trace().axes)
        self.eqns: list[Eqn] = []
        self.inputs: list[Var] = []
        # id -> (value, variable); holding the value keeps the id its own.
        self.consts: dict[int, tuple[Value, Var]] = {}
        self.made: dict[Var, StageTracer] = {}
        self.name = name
        self.input_names = input_names

    @property
    def axes(self) -> Axes:
        """The names of mapped axes that are bound here, the innermost first."""
        return self.bound

    def input(self, aval: Aval) -> StageTracer:
        """Add an input of a type, and give its tracer."""
        var = Var(aval)
        self.inputs.append(var)
        return self.tracer(var, None)

    def tracer(self, var: Var, eqn: Eqn | None) -> StageTracer:
        """Give the tracer of a new variable."""
        made = self.made[var] = StageTracer(self, var, eqn, var.aval)
        return made

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Let the operation write itself down; most emit one eqn."""
        return primitive.stage(self, operands)

    def emit(self, primitive: Primitive, operands: Sequence[Value]) -> Any:
        """Append one eqn and give the tracers of its results."""
        avals = primitive.operand_avals(operands)
        out = primitive.abstract(*avals)
        atoms = tuple([self.atom(x, a) for x, a in zip(operands, avals)])
        outs = tuple([Var(a) for a in out]) if primitive.multiple else (Var(out),)
        eqn = Eqn(primitive, atoms, outs, user_origin())
        self.eqns.append(eqn)
        if primitive.multiple:
            return [self.tracer(v, eqn) for v in outs]
        return self.tracer(outs[0], eqn)

    def atom(self, x: Value, aval: Aval | None = None) -> Atom:
        """Give the variable or literal that stands for a value in this jaxpr."""
        kind = type(x)
        if kind is StageTracer and x.owner is self:
            return x.variable  # type: ignore[no-any-return]
        if kind in SCALARS:
            aval = aval or aval_of(x)
            if kind is int and not 0 <= x < 128:
                check_range(x, aval)
            return Literal(x, aval)
        if not isinstance(x, Tracer):
            x = as_value(x)
            if not x.shape:
                return Literal(x, x.aval)
        found = self.consts.get(id(x))
        if found is None:
            found = self.consts[id(x)] = (x, Var(aval_of(x)))
        return found[1]

    def finish(self, outputs: Sequence[Value]) -> ClosedJaxpr:
        """Close the jaxpr with its outputs; constants become leading inputs."""
        atoms = [self.atom(x) for x in outputs]
        consts = [var for _, var in self.consts.values()]
        values = [value for value, _ in self.consts.values()]
        jaxpr = Jaxpr([*consts, *self.inputs], atoms, self.eqns, self.name)
        self.made.clear()
        return ClosedJaxpr(jaxpr, values)

    def sources(self, var: Var) -> list[str]:
        """Give the names of the inputs that a variable depends on."""
        needed = {var}
        for eqn in reversed(self.eqns):
            if not needed.isdisjoint(eqn.outputs):
                needed.update(v for v in eqn.inputs if isinstance(v, Var))
        return [name for v, name in zip(self.inputs, self.input_names()) if v in needed]


def check_range(x: int, aval: Aval) -> None:
    """Raise unless the type a Python integer is to have can hold it, as NumPy does.

    Raises:
        IntegerRangeError: it cannot.
    """
    if dtypes.is_integer(aval.dtype):
        limits = dtypes.iinfo(aval.dtype)
        if not limits.min <= x <= limits.max:
            raise out_of_range(x, aval.dtype)


def stage_flat(
    f: Callable[..., Sequence[Value]],
    avals: Sequence[Aval],
    name: str = "f",
    input_names: Callable[[], Sequence[str]] = tuple,
    axes: Axes = (),
) -> ClosedJaxpr:
    """Stage a function of flat values to a list of values.

    `input_names` gives the inputs' names in the user's code; errors ask for them.
    Values it captures, whether arrays or tracers of outer traces, become constants.
    `axes` are names of mapped axes to bind beside those that are bound already.
    """
    trace = StageTrace(name, input_names, axes)
    if leak_watches:
        trace = leak_watches[0].begin(trace)
    inputs = [trace.input(a) for a in avals]
    with resting_collector():
        with using(trace):
            outputs = f(*inputs)
        closed = trace.finish(outputs)
    if leak_watches:
        leak_watches[0].end(trace, inputs, outputs)
    return closed


def stage_closed(
    f: Callable[..., Sequence[Value]], avals: Sequence[Aval], name: str = "f"
) -> Jaxpr:
    """Stage what is derived from a program: arrays that rules capture are written in.

    Raises:
        LeakedTracerError: a rule uses a value of a trace that has ended.
    """
    return without_constants(stage_flat(f, avals, name))


def without_constants(closed: ClosedJaxpr) -> Jaxpr:
    """Write the constants of a program into it."""
    jaxpr, count = closed.jaxpr, len(closed.consts)
    if not count:
        return jaxpr
    eqns = []
    for var, value in zip(jaxpr.inputs, closed.consts):
        if isinstance(value, Tracer):
            raise leaked_error(jaxpr, var, value)
        eqns.append(Eqn(Constant(Held(value)), (), (var,)))
    inputs = jaxpr.inputs[count:]
    return Jaxpr(inputs, jaxpr.outputs, [*eqns, *jaxpr.eqns], jaxpr.name)


def leaked_error(jaxpr: Jaxpr, var: Var, value: Tracer) -> LeakedTracerError:
    """Make the error for a value of a trace that has ended, naming its first use."""
    user = next((eqn for eqn in jaxpr.eqns if var in eqn.inputs), None)
    used = f"operation {user.primitive.name}" if user else f"the output of {jaxpr.name}"
    origin = user.origin if user else None
    return LeakedTracerError(
        f"{used} got {value.describe()}, but the transformation that made it has "
        "ended.",
        where=f"Called at {origin}." if origin else called_at(),
        mend="Pass values on as arguments and results: what a bwd rule needs of its "
        "fwd rule must be among the residuals.",
    )


def stage(
    f: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any] | None = None,
    axes: Axes = (),
) -> tuple[ClosedJaxpr, tree.TreeDef]:
    """Stage a function of trees, given example arguments (arrays, scalars, avals).

    Returns:
        The jaxpr over the leaves of `(args, kwargs)`, and the output's treedef.
    """
    leaves, treedef = tree.flatten((tuple(args), kwargs or {}))
    out_tree: list[tree.TreeDef] = []

    def flat(*values: Value) -> list[Value]:
        inner_args, inner_kwargs = treedef.unflatten(values)
        out = f(*inner_args, **inner_kwargs)
        outs, out_treedef = tree.flatten(out)
        out_tree.append(out_treedef)
        who = f"the output of {name_of(f)}"
        return [as_value(x, who) for x in outs]

    def names() -> list[str]:
        named = [path[2:-2] for path in tree.path_strings(kwargs or {})]
        return [*leaf_names(f, args), *named]

    avals = [input_aval(x, name_of(f)) for x in leaves]
    closed = stage_flat(flat, avals, name_of(f), names, axes)
    return closed, out_tree[0]


def input_aval(x: Any, who: str) -> Aval:
    """Give the type of an example argument: a value or a stand-in for one."""
    if isinstance(x, Aval):
        return x if type(x) is Aval else Aval(x.shape, x.dtype)
    if isinstance(x, Array):
        return x.aval
    return aval_of(as_value(x, who))


def make_jaxpr(
    fun: Callable[..., Any],
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
    return_shape: bool = False,
) -> Callable[..., Any]:
    """Give a function that shows what `fun` does on given arguments, as a jaxpr.

    Args:
        fun: a function of pytrees of arrays.
        static_argnums: positions passed on as they are, negative ones from the end.
        axis_env: names of mapped axes that `fun` may use, each with its length.
        return_shape: give also what `eval_shape` would.

    Returns:
        A function of its arguments (or `ShapeDtypeStruct`s in their place) that gives
        a `ClosedJaxpr`; print it to read it.

    Example:
        >>> import pullback.numpy as jnp
        >>> print(make_jaxpr(lambda x: jnp.log(1. + jnp.exp(x)))(3.))
        { lambda ; a:f32[]. let
            b:f32[] = exp a
            c:f32[] = add b 1.0
            d:f32[] = log c
          in (d,) }
    """
    check_callable(fun, "make_jaxpr")
    marked = (static_argnums,) if isinstance(static_argnums, int) else static_argnums

    def jaxpr_maker(*args: Any, **kwargs: Any) -> Any:
        """Stage the function on these arguments."""
        static = {i + len(args) if i < 0 else i for i in marked}
        dynamic = [x for i, x in enumerate(args) if i not in static]

        def call(*values: Any, **kw: Any) -> Any:
            rest = iter(values)
            full = [x if i in static else next(rest) for i, x in enumerate(args)]
            return fun(*full, **kw)

        axes = tuple((name, int(n)) for name, n in axis_env or ())
        closed, out_tree = stage(call if static else fun, dynamic, kwargs, axes)
        closed.jaxpr.count_consts = len(closed.consts)
        return (closed, output_shapes(closed, out_tree)) if return_shape else closed

    return jaxpr_maker


def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Give the output of `fun` with a `ShapeDtypeStruct` for each array, uncomputed."""
    check_callable(fun, "eval_shape")
    return output_shapes(*stage(fun, args, kwargs))


def output_shapes(closed: ClosedJaxpr, out_tree: tree.TreeDef) -> Any:
    """Give a program's output with a `ShapeDtypeStruct` for each array."""
    return out_tree.unflatten(
        [ShapeDtypeStruct(a.shape, a.dtype) for a in closed.out_avals]
    )
