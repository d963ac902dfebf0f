"""Linearization: run a function once, and record the linear program of its tangents."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pullback import tree
from pullback.core.array import SCALARS, Array
from pullback.core.aval import Aval
from pullback.core.closure import Hole
from pullback.core.jaxpr import Eqn, Jaxpr, Literal, Var, evaluate
from pullback.core.origin import called_at
from pullback.core.primitive import Primitive
from pullback.core.trace import (
    PrimalTracer,
    Trace,
    Tracer,
    Value,
    aval_of,
    current,
    current_trace,
    leak_watches,
    using,
)
from pullback.core.zero import Forbidden, Unknown, Zero, is_zero
from pullback.errors import LinearityError
from pullback.primitives.structural import (
    Forbid,
    instantiate,
    is_known_zero,
    zero_operation,
)
from pullback.transforms.linearity import affine, linear_group, not_linear
from pullback.transforms.stage import StageTrace, without_constants


class LinearTracer(Tracer, Unknown):
    """A tangent: the result of a linear step, or an input of the linear program.

    `zero` marks a tangent that is zero, but was asked for as a value by a rule.
    """

    __slots__ = ("aval", "owner", "zero")

    is_tangent = True

    def __init__(self, trace: LinearTrace, aval: Aval, zero: bool = False) -> None:
        self.owner = trace
        self.aval = aval
        self.zero = zero

    def describe(self) -> str:
        """Say that the value is a tangent, in which everything must be linear."""
        return (
            f"a tangent of type {self.aval}; derivatives must be linear in tangents, "
            "so their values cannot decide anything"
        )

    def refuse(self, error: Any, reason: tuple[str, str]) -> Any:
        """Raise the linearity error in place of the general one."""
        raise LinearityError(
            f"{reason[0]} was asked of {self.describe()}.",
            where=called_at(),
            mend="Let a derivative rule branch, compare and compute on primal values "
            "only, and use each tangent linearly.",
        )


#: One linear operation (primitive, operands, results); operands that are no
#: `LinearTracer` are residuals. The results are a list if the operation has several.
Step = tuple[Primitive, tuple[Value, ...], Any]
#: What makes the list that steps are appended to; while nans are looked for, the only
#: entry makes lists with `origins`: id of a step -> the user's line.
make_steps: list[Callable[[], list[Step]]] = [list]


class LinearTrace(Trace):
    """Records operations on tangents; all others go straight to the parent trace."""

    __slots__ = ("parent", "steps")

    passes_on = True
    records = True

    def __init__(self, parent: Trace) -> None:
        self.parent = parent
        self.steps = make_steps[0]()

    def input(self, aval: Aval) -> LinearTracer:
        """Make an input of the linear program."""
        return LinearTracer(self, aval)

    def take_steps(self) -> list[Step]:
        """Give the steps recorded, and forget them.

        Steps hold tracers, and tracers this trace: were it to hold the steps too, only
        the garbage collector would release residuals (see tests/test_memory.py).
        """
        steps, self.steps = self.steps, []
        return steps

    def apply_linear(self, primitive: Primitive, tangent: Value, aval: Aval) -> Value:
        """Record the operation; its type is known, and that it is linear."""
        if type(tangent) is not LinearTracer or tangent.owner is not self:
            return self.apply(primitive, (tangent,))
        if aval.weak != tangent.aval.weak:
            aval = Aval(aval.shape, aval.dtype, tangent.aval.weak)
        result = LinearTracer(self, aval, tangent.zero)
        if not tangent.zero:
            self.steps.append((primitive, (tangent,), result))
        return result

    def record(
        self, primitive: Primitive, operands: tuple[Value, ...], avals: Sequence[Aval]
    ) -> list[LinearTracer]:
        """Record an operation that is linear in the tangents among its operands.

        Args:
            primitive: an operation of several results.
            operands: its operands, among them a tangent that is not zero.
            avals: the types of its results.
        """
        results = [LinearTracer(self, a) for a in avals]
        self.steps.append((primitive, operands, results))
        return results

    def zero_tracer(self, aval: Aval) -> LinearTracer:
        """Make a zero that is still known to be one."""
        return LinearTracer(self, aval, True)

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Record an operation on tangents, or pass it to the parent."""
        if primitive.scales:  # a tangent by a factor: most of what rules record
            t, y = operands
            if type(t) is LinearTracer and t.owner is self and not t.zero:
                aval = t.aval
                if type(y) in SCALARS or (
                    type(y) is not LinearTracer
                    and y.dtype is aval.dtype
                    and (y.shape == aval.shape or y.shape == ())
                ):
                    result = LinearTracer(self, aval)
                    self.steps.append((primitive, operands, result))
                    return result
        for x in operands:
            if type(x) is LinearTracer and x.owner is self:
                break
        else:
            return self.parent.apply(primitive, operands)
        unknown = tuple([type(x) is LinearTracer and x.owner is self for x in operands])
        if primitive.splits:
            return record_split(self, primitive, operands, unknown)
        if primitive.separates:
            with using(self):
                found = primitive.separate(operands, unknown)
            if found is not None:
                return found
        group = linear_group(primitive, unknown)
        if group is None:
            raise not_linear(primitive)
        zero = True
        for i in group:
            x = operands[i]
            if unknown[i]:
                zero = zero and x.zero
            elif not is_known_zero(x):
                raise affine(primitive)
        out = primitive.linear_result(operands)
        if primitive.multiple:
            results: Any = [LinearTracer(self, a, zero) for a in out]
        else:
            results = LinearTracer(self, out, zero)
        if not zero or primitive.effects:
            self.steps.append((primitive, operands, results))
        return results


def record_split(
    trace: LinearTrace,
    primitive: Primitive,
    operands: tuple[Value, ...],
    unknown: tuple[bool, ...],
) -> list[Value]:
    """Record the linear part of an operation that holds a program; run the rest."""
    parts = primitive.split(unknown)
    known = [x for x, u in zip(operands, unknown) if not u]
    given = [x for x, u in zip(operands, unknown) if u]
    results: list[Value] = []
    if parts.known.outputs:
        call = primitive.with_jaxpr(parts.known)
        results = trace.parent.apply(call, tuple(known))
    pool = [*known, *results]
    residuals = [pool[i] for i in parts.sources]
    zero = all(x.zero for x in given)
    dots = [LinearTracer(trace, a, zero) for a in parts.linear.out_avals]
    if dots and not zero:
        call = primitive.with_jaxpr(parts.linear)
        trace.steps.append((call, (*residuals, *given), dots))
    linear, plain = iter(dots), iter(results)
    return [next(linear) if n else next(plain) for n in parts.out_linear]


class LinearizeTracer(PrimalTracer):
    """A primal value, and its tangent in a linear program being recorded."""

    __slots__ = ("aval", "owner", "primal", "tangent")

    def __init__(self, trace: LinearizeTrace, primal: Value, tangent: Any) -> None:
        self.owner = trace
        self.primal = primal
        self.tangent = tangent
        self.aval = tangent.aval


class LinearizeTrace(Trace):
    """Runs `linearize` rules: primals in the parent trace, tangents recorded."""

    __slots__ = ("linear", "parent")

    passes_on = True

    def __init__(self, parent: Trace) -> None:
        self.parent = parent
        self.linear = LinearTrace(parent)

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Give primal results paired with recorded tangents."""
        primals: list[Value] = []
        tangents: list[Any] = []
        live = False
        for x in operands:
            if type(x) is LinearizeTracer and x.owner is self:
                primals.append(x.primal)
                tangents.append(x.tangent)
                live = True
            else:
                primals.append(x)
                tangents.append(Zero(like=x))
        if not live:
            return self.parent.apply(primitive, tuple(primals))
        token = current.set(self.linear)
        try:
            out, out_dot = primitive.linearize(primals, tangents)
        finally:
            current.reset(token)
        if primitive.multiple:
            return [self.pair(y, t) for y, t in zip(out, out_dot)]
        return self.pair(out, out_dot)

    def pair(self, primal: Value, tangent: Any) -> Value:
        """Make a tracer, or give the primal alone if its tangent is zero."""
        if type(tangent) is LinearTracer and not tangent.zero:
            if type(primal) is LinearTracer and primal.owner is self.linear:
                raise LinearityError(
                    f"the primal output of a derivative rule depends on a tangent "
                    f"(type {primal.aval}), so the rule is not linear.",
                    where=called_at(),
                    mend="Compute primal outputs from primal inputs only.",
                )
            return LinearizeTracer(self, primal, tangent)
        if type(tangent) is Forbidden:
            tracer = LinearTracer(self.linear, tangent.aval)
            self.linear.steps.append((Forbid(tangent), (tangent.source,), tracer))
            return LinearizeTracer(self, primal, tracer)
        if not isinstance(tangent, (Zero, LinearTracer)) and not is_known_zero(tangent):
            raise constant_tangent(tangent)
        return primal

    def split(self, x: Value) -> tuple[Value, Any]:
        """Give the primal and the recorded tangent of any value."""
        if type(x) is LinearizeTracer and x.owner is self:
            return x.primal, x.tangent
        return x, Zero(like=x)


def constant_tangent(tangent: Value) -> LinearityError:
    """Make the error for an output tangent that no input tangent made."""
    return LinearityError(
        f"a derivative rule gave a tangent of type {aval_of(tangent)} that does not "
        "depend on its input tangents and is not zero, so it is not linear in them.",
        where=called_at(),
        mend="Multiply the derivative by the input's tangent; return zeros where the "
        "derivative is zero.",
    )


class LinearProgram:
    """A recorded linear function of tangents.

    Args:
        steps: what to do, in order.
        inputs: its inputs.
        outputs: recorded tangents, or `Zero`.
    """

    __slots__ = ("inputs", "outputs", "recorded", "steps")

    def __init__(
        self, steps: list[Step], inputs: Sequence[LinearTracer], outputs: Sequence[Any]
    ) -> None:
        self.steps = steps
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.recorded: Recorded | None = None

    def __call__(self, *tangents: Any) -> list[Any]:
        """Apply the linear function under the current trace; zeros go in and out."""
        env: dict[Any, Any] = dict(zip(self.inputs, tangents, strict=True))
        apply = current_trace().apply

        def read(x: Value) -> Value:
            if type(x) is not LinearTracer:
                return x
            value = env.get(x)
            return (
                instantiate(Zero(x.aval)) if value is None or is_zero(value) else value
            )

        for primitive, operands, results in self.steps:
            out = apply(primitive, tuple([read(x) for x in operands]))
            if primitive.multiple:
                env.update(zip(results, out))
            else:
                env[results] = out
        return [
            env[x] if type(x) is LinearTracer and x in env else Zero(x.aval)
            for x in self.outputs
        ]

    def residuals(self) -> tuple[Value, ...]:
        """The values that the steps hold, each once."""
        found: dict[int, Value] = {}
        for _, operands, _ in self.steps:
            for x in operands:
                if type(x) is not LinearTracer and type(x) not in SCALARS:
                    found[id(x)] = x
        return tuple(found.values())

    def with_residuals(self, values: Sequence[Value]) -> LinearProgram:
        """Give the program with other values in place of the residuals."""
        new = dict(zip(map(id, self.residuals()), values, strict=True))
        steps: list[Step] = [
            (primitive, tuple([new.get(id(x), x) for x in operands]), results)
            for primitive, operands, results in self.steps
        ]
        made = copy.copy(self)
        made.steps = steps
        return made


class Recorded:
    """A linear program without its residuals: the static part of the container.

    Args:
        program: the program; residuals are taken out.
    """

    __slots__ = ("program",)

    def __init__(self, program: LinearProgram) -> None:
        self.program = program.with_residuals([Hole() for _ in program.residuals()])

    def __repr__(self) -> str:
        return f"<{len(self.program.steps)} linear steps>"


def flatten_program(program: LinearProgram) -> tuple[tuple[Value, ...], Recorded]:
    """Take a program apart into residuals and the rest."""
    if program.recorded is None:
        program.recorded = Recorded(program)
    return program.residuals(), program.recorded


def unflatten_program(recorded: Recorded, residuals: Sequence[Value]) -> LinearProgram:
    """Put residuals back into a program."""
    made = recorded.program.with_residuals(residuals)
    made.recorded = recorded
    return made


tree.register_node(LinearProgram, flatten_program, unflatten_program)


def linearize_flat(
    f: Callable[..., Sequence[Value]],
    primals: Sequence[Value],
    nonzero: Sequence[bool] | None = None,
) -> tuple[list[Value], LinearProgram]:
    """Run a flat function once, and record its derivative.

    Args:
        f: a function of flat values, giving a list of values.
        primals: its inputs; those of integer dtype have no tangent.
        nonzero: for each input, whether it has a tangent; None for all.

    Returns:
        The outputs, and the linear program from the tangents of those inputs to the
        tangents of the outputs.
    """
    trace = LinearizeTrace(current_trace())
    if leak_watches:
        trace = leak_watches[0].begin(trace)
    inputs = []
    tangents = []
    for i, x in enumerate(primals):
        if nonzero is None or nonzero[i]:
            t = LinearTracer(trace.linear, aval_of(x).tangent())
            tangents.append(t)
            x = LinearizeTracer(trace, x, t)
        inputs.append(x)
    token = current.set(trace)
    try:
        outputs = f(*inputs)
    finally:
        current.reset(token)
    primals_out, tangents_out = [], []
    for y in outputs:
        p, t = trace.split(y)
        primals_out.append(p)
        tangents_out.append(t)
    program = LinearProgram(trace.linear.take_steps(), tangents, tangents_out)
    if leak_watches:
        leak_watches[0].end(trace, inputs, outputs)
    return primals_out, program


#: In the cache of a program: how many inputs lead those in which all of it is linear.
LINEAR = "linear after"


class Linearized(NamedTuple):
    """A program split into what computes and what is linear.

    Fields:
        primal: inputs -> outputs and then residuals.
        linear: residuals and then nonzero tangents -> tangents of nonzero outputs.
        out_nonzero: for each output, whether it has a tangent.
        residual_inputs: for each residual, the input it is, or None.
    """

    primal: Jaxpr
    linear: Jaxpr
    out_nonzero: list[bool]
    residual_inputs: list[int | None]


def linearize_jaxpr(jaxpr: Jaxpr, nonzero: Sequence[bool]) -> Linearized:
    """Split a program by which of its inputs have tangents; cached on the program."""
    key = ("linearize", tuple(nonzero))
    if key in jaxpr.cache:
        return jaxpr.cache[key]  # type: ignore[no-any-return]
    trace = StageTrace(jaxpr.name)
    inputs = [trace.input(a) for a in jaxpr.in_avals]
    with using(trace):
        outs, program = linearize_flat(lambda *xs: evaluate(jaxpr, xs), inputs, nonzero)
    out_nonzero = [not is_zero(t) for t in program.outputs]
    linear, residuals = linear_jaxpr(program, jaxpr.name)
    where = {id(x): i for i, x in enumerate(inputs)}
    residual_inputs = [where.get(id(r)) for r in residuals]
    primal = without_constants(trace.finish([*outs, *residuals]))
    result = Linearized(primal, linear, out_nonzero, residual_inputs)
    jaxpr.cache[key] = result
    return result


def linear_jaxpr(program: LinearProgram, name: str) -> tuple[Jaxpr, list[Value]]:
    """Write a recorded program as a jaxpr of residuals and tangents.

    Steps that no output needs are dropped, and the residuals only they used with them.

    Returns:
        The program (residuals, tangents) -> nonzero output tangents, and the residuals.
    """
    outputs = [x for x in program.outputs if not is_zero(x)]
    live = needed_steps(program.steps, outputs)
    env: dict[Any, Var] = {x: Var(x.aval) for x in program.inputs}
    residuals: dict[int, tuple[Value, Var]] = {}
    eqns: list[Eqn] = []

    def read(x: Value, aval: Aval) -> Any:
        if type(x) is LinearTracer:
            if x not in env:
                env[x] = Var(x.aval)
                eqns.append(Eqn(zero_operation(x.aval), (), (env[x],)))
            return env[x]
        if type(x) in SCALARS or (type(x) is Array and not x.shape):
            return Literal(x, aval)
        if getattr(x, "eqn", None) is not None and is_known_zero(x):
            # As an input it would no longer be known to be zero.
            if x not in env:
                env[x] = Var(aval_of(x))
                eqns.append(Eqn(zero_operation(env[x].aval), (), (env[x],)))
            return env[x]
        if id(x) not in residuals:
            residuals[id(x)] = (x, Var(aval_of(x)))
        return residuals[id(x)][1]

    origins = getattr(program.steps, "origins", {})
    for step in live:
        primitive, operands, results = step
        avals = primitive.operand_avals(operands)
        atoms = tuple(read(x, a) for x, a in zip(operands, avals))
        outs = results if primitive.multiple else [results]
        for y in outs:
            env[y] = Var(y.aval)
        made = tuple(env[y] for y in outs)
        eqns.append(Eqn(primitive, atoms, made, origins.get(id(step))))
    atoms_out = [read(x, x.aval) for x in outputs]
    known = [var for _, var in residuals.values()]
    values = [value for value, _ in residuals.values()]
    inputs = [env[x] for x in program.inputs]
    written = Jaxpr([*known, *inputs], atoms_out, eqns, name)
    written.cache[LINEAR] = len(known)
    return written, values


def needed_steps(steps: Sequence[Step], outputs: Sequence[Any]) -> list[Step]:
    """Give the steps that some output depends on, in order."""
    live: set[Any] = set(outputs)
    kept: list[Step] = []
    for step in reversed(steps):
        primitive, operands, results = step
        if not primitive.multiple:
            results = (results,)
        if any(y in live for y in results) or primitive.effects:
            live.update(x for x in operands if type(x) is LinearTracer)
            kept.append(step)
    return kept[::-1]
