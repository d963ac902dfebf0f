"""A function and its derivative written down as one program, ready to be drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pullback import dtypes, tree
from pullback.calls.checkpoint import Checkpoint
from pullback.calls.jit_call import JitCall
from pullback.core.calling import as_value, leaf_names
from pullback.core.jaxpr import Eqn, Var, evaluate
from pullback.core.origin import name_of, speaks_for
from pullback.core.primitive import Primitive
from pullback.core.trace import Trace, Value, using
from pullback.core.zero import is_zero
from pullback.custom.call import CustomCall
from pullback.debugging.births import NotedSteps, step_origin
from pullback.transforms.linearize import LinearizeTrace, LinearizeTracer, LinearTracer
from pullback.transforms.stage import StageTrace, input_aval
from pullback.transforms.transpose import transpose_step


class Tag(NamedTuple):
    """The custom rule that an operation belongs to.

    Fields:
        number: one for each call of a decorated function.
        function: its name.
        rule: the rule's slot and name.
    """

    number: int
    function: str
    rule: str


@dataclass(slots=True)
class Program:
    """A staged function with its derivative.

    Fields:
        name: the function's name.
        forward, backward: operations in order.
        inputs: variable -> name, of arguments.
        constants: variables of captured arrays.
        seeds: variable -> name, of the outputs' cotangents.
        outputs: (name, variable or literal) of the outputs.
        gradients: the same of the arguments' cotangents.
        tags: id of an eqn -> the custom rule it belongs to.
    """

    name: str
    forward: list[Eqn] = field(default_factory=list)
    backward: list[Eqn] = field(default_factory=list)
    inputs: dict[Var, str] = field(default_factory=dict)
    constants: list[Var] = field(default_factory=list)
    seeds: dict[Var, str] = field(default_factory=dict)
    outputs: list[tuple[str, Any]] = field(default_factory=list)
    gradients: list[tuple[str, Any]] = field(default_factory=list)
    tags: dict[int, Tag] = field(default_factory=dict)


class InliningTrace(Trace):
    """Stages, with compiled functions written out in place."""

    __slots__ = ("stage",)

    def __init__(self, stage: StageTrace) -> None:
        self.stage = stage

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Emit the operation, or the operations of the program it holds."""
        if isinstance(primitive, (JitCall, Checkpoint)):
            with using(self):
                return evaluate(primitive.jaxpr, operands)
        return self.stage.apply(primitive, operands)


class TaggingTrace(LinearizeTrace):
    """Linearizes, and notes which operations custom rules apply."""

    __slots__ = ("count", "program", "stage", "step_tags")

    passes_on = False

    def __init__(self, parent: InliningTrace, program: Program) -> None:
        super().__init__(parent)
        self.stage = parent.stage
        self.program = program
        self.count = 0
        self.step_tags: dict[int, Tag] = {}
        self.linear.steps = NotedSteps()

    def apply(self, primitive: Primitive, operands: tuple[Value, ...]) -> Any:
        """Linearize; tag what a custom rule does."""
        if isinstance(primitive, (JitCall, Checkpoint)):
            with using(self):
                return evaluate(primitive.jaxpr, operands)
        if not isinstance(primitive, CustomCall):
            return LinearizeTrace.apply(self, primitive, operands)
        eqns, steps = len(self.stage.eqns), len(self.linear.steps)
        out = LinearizeTrace.apply(self, primitive, operands)
        self.count += 1
        rules = primitive.site.rules
        vjp = rules.fwd is not None
        first = rule_name("fwd", rules.fwd) if vjp else jvp_name(rules)
        second = (
            rule_name("bwd", rules.bwd) if vjp else f"{jvp_name(rules)}, transposed"
        )
        for eqn in self.stage.eqns[eqns:]:
            self.program.tags[id(eqn)] = Tag(self.count, primitive.site.name, first)
        for step in self.linear.steps[steps:]:
            self.step_tags[id(step)] = Tag(self.count, primitive.site.name, second)
        return out


def rule_name(slot: str, rule: Any) -> str:
    """Name a rule with its slot."""
    return f"{slot} rule {name_of(rule)}"


def jvp_name(rules: Any) -> str:
    """Name the forward-mode rule, or say that there are several."""
    if rules.jvp is not None:
        return rule_name("jvp", rules.jvp)
    return "defjvps rules" if rules.jvps is not None else "body"


def write_program(
    f: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    derivative: bool,
) -> Program:
    """Write down what `f` does, and what its backward pass does.

    Args:
        f: a function of trees.
        args, kwargs: example arguments, or stand-ins for them.
        derivative: whether the backward pass is wanted.
    """
    leaves, in_tree = tree.flatten((tuple(args), kwargs))
    names = [*leaf_names(f, args), *[p[2:-2] for p in tree.path_strings(kwargs)]]
    avals = [input_aval(x, name_of(f)) for x in leaves]
    program = Program(name_of(f))
    stage = StageTrace(program.name, lambda: names)
    outer = InliningTrace(stage)
    inputs = [stage.input(a) for a in avals]
    out_names: list[str] = []

    def flat(*values: Value) -> list[Value]:
        inner_args, inner_kwargs = in_tree.unflatten(values)
        out = f(*inner_args, **inner_kwargs)
        out_names.extend("output" + p for p in tree.path_strings(out))
        return [as_value(y) for y in tree.leaves(out)]

    varied = [derivative and dtypes.is_inexact(a.dtype) for a in avals]
    trace = TaggingTrace(outer, program)
    tangents = [LinearTracer(trace.linear, a.tangent()) for a in avals]
    given = [
        LinearizeTracer(trace, x, t) if v else x
        for x, t, v in zip(inputs, tangents, varied)
    ]
    with using(trace):
        outs = flat(*given)
    pairs = [trace.split(y) for y in outs]
    program.outputs = list(zip(out_names, [stage.atom(p) for p, _ in pairs]))
    program.forward = list(stage.eqns)
    if derivative:
        found = write_backward(program, stage, outer, trace, [t for _, t in pairs])
        program.gradients = [
            (f"gradient by {name}", stage.atom(found[t]))
            for name, t in zip(names, tangents)
            if t in found
        ]
    program.inputs = dict(zip([x.variable for x in inputs], names))
    program.constants = [var for _, var in stage.consts.values()]
    drop_unused(program)
    return program


def write_backward(
    program: Program,
    stage: StageTrace,
    outer: InliningTrace,
    trace: TaggingTrace,
    out_tangents: Sequence[Any],
) -> dict[Any, Value]:
    """Walk the recorded steps backwards, staging each transpose.

    Returns:
        The cotangent of each recorded tangent that has one.
    """
    found: dict[Any, Value] = {}
    start = len(stage.eqns)
    for (name, _), t in zip(program.outputs, out_tangents):
        if not is_zero(t) and t not in found:
            seed = stage.input(t.aval)
            found[t] = seed
            program.seeds[seed.variable] = f"cotangent of {name}"
    steps = trace.linear.steps
    with using(outer):
        for step in reversed(steps):
            before = len(stage.eqns)
            transpose_step(step, found)
            tag = trace.step_tags.get(id(step))
            if tag is not None:
                for eqn in stage.eqns[before:]:
                    program.tags[id(eqn)] = tag
    program.backward = list(stage.eqns[start:])
    return found


# Operations of the backward pass stand at the lines of the forward pass.
speaks_for(write_backward, step_origin)


def drop_unused(program: Program) -> None:
    """Drop operations that nothing needs."""
    live = {a for _, a in (*program.outputs, *program.gradients) if isinstance(a, Var)}
    for part in (program.backward, program.forward):
        kept: list[Eqn] = []
        for eqn in reversed(part):
            if eqn.primitive.effects or not live.isdisjoint(eqn.outputs):
                live.update(a for a in eqn.inputs if isinstance(a, Var))
                kept.append(eqn)
        part[:] = kept[::-1]
    program.constants = [v for v in program.constants if v in live]
