"""Jaxprs: programs as data, with typed variables and one eqn an operation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Any

from pullback.core.aval import Aval
from pullback.core.calling import as_value
from pullback.core.origin import Origin, called_at, speaks_for
from pullback.core.primitive import Primitive, fields_of
from pullback.core.trace import Value, current_trace
from pullback.errors import ArgumentError


class Var:
    """A variable of a jaxpr, compared by identity."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval) -> None:
        self.aval = aval


class Literal:
    """A constant scalar written into an eqn.

    Args:
        value: a Python scalar or a 0-d array, as operations take it.
        aval: its type.
    """

    __slots__ = ("aval", "value")

    def __init__(self, value: Value, aval: Aval) -> None:
        self.value = value
        self.aval = aval

    @property
    def val(self) -> Value:
        """The value under the ecosystem's name."""
        return self.value


Atom = Var | Literal


class Eqn:
    """One operation applied to atoms, giving variables.

    `origin` is the place in the user's code that applied it, None if unknown.
    """

    __slots__ = ("inputs", "origin", "outputs", "primitive")

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Atom, ...],
        outputs: tuple[Var, ...],
        origin: Origin | None = None,
    ) -> None:
        self.primitive = primitive
        self.inputs = inputs
        self.outputs = outputs
        self.origin = origin

    @property
    def invars(self) -> list[Atom]:
        """The inputs under the ecosystem's name."""
        return list(self.inputs)

    @property
    def outvars(self) -> list[Var]:
        """The outputs under the ecosystem's name."""
        return list(self.outputs)

    @property
    def params(self) -> dict[str, Any]:
        """The operation's static parameters by name; `primitive` holds them."""
        return fields_of(self.primitive)


class Jaxpr:
    """A program: inputs, eqns in order, outputs. Compared by identity.

    Args:
        inputs: variables.
        outputs: variables or literals.
        eqns: operations, each using only inputs and earlier outputs.
        name: the name of the function it was staged from.

    `cache` holds what other layers derive from the program (its linearization, its
    executable), and goes with it. `count_consts` says how many inputs lead that are
    constants, in programs that a user asked for.
    """

    __slots__ = (
        "__weakref__",
        "_dead",
        "cache",
        "count_consts",
        "eqns",
        "inputs",
        "name",
        "outputs",
    )

    def __init__(
        self,
        inputs: Sequence[Var],
        outputs: Sequence[Atom],
        eqns: list[Eqn],
        name: str = "f",
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.eqns = eqns
        self.name = name
        self.count_consts = 0
        self.cache: dict[Any, Any] = {}
        self._dead: list[tuple[Var, ...]] | None = None

    @property
    def in_avals(self) -> list[Aval]:
        """The types of the inputs."""
        return [v.aval for v in self.inputs]

    @property
    def out_avals(self) -> list[Aval]:
        """The types of the outputs."""
        return [v.aval for v in self.outputs]

    @property
    def constvars(self) -> list[Var]:
        """The inputs that are constants, under the ecosystem's name."""
        return list(self.inputs[: self.count_consts])

    @property
    def invars(self) -> list[Var]:
        """The other inputs under the ecosystem's name."""
        return list(self.inputs[self.count_consts :])

    @property
    def outvars(self) -> list[Atom]:
        """The outputs under the ecosystem's name."""
        return list(self.outputs)

    @property
    def effects(self) -> bool:
        """Whether any eqn must run even if its results are unused."""
        return any(eqn.primitive.effects for eqn in self.eqns)

    def uses_axis(self, name: Any) -> bool:
        """Whether any operation depends on the mapped axis of a name, None for any."""
        key = ("uses_axis", name)
        if key not in self.cache:
            self.cache[key] = any(eqn.primitive.uses_axis(name) for eqn in self.eqns)
        return self.cache[key]  # type: ignore[no-any-return]

    def dead_after(self) -> list[tuple[Var, ...]]:
        """Give, for each eqn, the variables that nothing after it uses."""
        if self._dead is None:
            seen: set[Any] = {v for v in self.outputs if type(v) is Var}
            dead: list[tuple[Var, ...]] = []
            for eqn in reversed(self.eqns):
                used = {*eqn.inputs, *eqn.outputs}
                last = tuple(v for v in used if type(v) is Var and v not in seen)
                seen.update(last)
                dead.append(last)
            self._dead = dead[::-1]
        return self._dead

    def __str__(self) -> str:
        return str(printer[0](self, ()))

    def __repr__(self) -> str:
        return str(self)


#: How jaxprs become text; `core.pretty` fills the only entry.
printer: list[Any] = [lambda jaxpr, consts: object.__repr__(jaxpr)]


class ClosedJaxpr:
    """A jaxpr with the values of its first inputs, the constants.

    Args:
        jaxpr: the program.
        consts: values for its leading inputs.
    """

    __slots__ = ("consts", "jaxpr")

    def __init__(self, jaxpr: Jaxpr, consts: Sequence[Value]) -> None:
        self.jaxpr = jaxpr
        self.consts = tuple(consts)

    @property
    def eqns(self) -> list[Eqn]:
        """The program's eqns."""
        return self.jaxpr.eqns

    @property
    def literals(self) -> list[Value]:
        """The constants under the ecosystem's name."""
        return list(self.consts)

    @property
    def in_avals(self) -> list[Aval]:
        """The types of the inputs after the constants."""
        return self.jaxpr.in_avals[len(self.consts) :]

    @property
    def out_avals(self) -> list[Aval]:
        """The types of the outputs."""
        return self.jaxpr.out_avals

    def __str__(self) -> str:
        return str(printer[0](self.jaxpr, self.consts))

    __repr__ = __str__


def evaluate(jaxpr: Jaxpr, args: Iterable[Value]) -> list[Value]:
    """Run a program under the current trace; values are dropped after their last use.

    Args:
        jaxpr: the program.
        args: one value an input, constants first.
    """
    env: dict[Any, Value] = dict(zip(jaxpr.inputs, args, strict=True))
    apply = current_trace().apply
    for eqn, dead in zip(jaxpr.eqns, jaxpr.dead_after()):
        operands = tuple(
            [env[x] if type(x) is Var else x.value for x in eqn.inputs]  # type: ignore[union-attr]
        )
        out = apply(eqn.primitive, operands)
        if eqn.primitive.multiple:
            env.update(zip(eqn.outputs, out))
        else:
            env[eqn.outputs[0]] = out
        for v in dead:
            del env[v]
    return [env[x] if type(x) is Var else x.value for x in jaxpr.outputs]  # type: ignore[union-attr]


def eval_jaxpr(jaxpr: Jaxpr, consts: Sequence[Any], *args: Any) -> list[Value]:
    """Run a program: with traced values its operations are traced in turn.

    Args:
        jaxpr: the program, as `make_jaxpr(f)(*args).jaxpr` or an operation holds one.
        consts: its constants, `make_jaxpr(f)(*args).consts`; () if it has none.
        args: an array or number for each of the other inputs.

    Returns:
        The outputs, flat.

    Raises:
        ArgumentError: the program has another number of inputs.

    Example:
        >>> import pullback, pullback.numpy as jnp
        >>> closed = pullback.make_jaxpr(lambda x: jnp.log(1. + jnp.exp(x)))(3.)
        >>> eval_jaxpr(closed.jaxpr, closed.consts, 0.)
        [Array(0.6931472, dtype=float32, weak_type=True)]
    """
    values = [as_value(x, f"eval_jaxpr of {jaxpr.name}") for x in (*consts, *args)]
    if len(values) != len(jaxpr.inputs):
        raise ArgumentError(
            f"eval_jaxpr of {jaxpr.name}: {len(consts)} constants and {len(args)} "
            f"arguments were given; the program has {len(jaxpr.inputs)} inputs.",
            where=called_at(),
            mend="Write eval_jaxpr(closed.jaxpr, closed.consts, *args), with the "
            "leaves of the arguments one by one.",
        )
    return evaluate(jaxpr, values)


def evaluated_origin(frame: FrameType) -> Origin | None:
    """Give the user's line of the eqn that a running `evaluate` is at."""
    eqn = frame.f_locals.get("eqn")
    return eqn.origin if eqn is not None else None


speaks_for(evaluate, evaluated_origin)


def prune(jaxpr: Jaxpr, used: Sequence[bool]) -> tuple[Jaxpr, list[bool]]:
    """Drop the outputs not used, and every eqn that only they needed.

    Args:
        jaxpr: the program.
        used: for each output, whether it is wanted.

    Returns:
        The smaller program, and for each input of the old whether it is still there.
    """
    key = ("prune", tuple(used))
    if key in jaxpr.cache:
        return jaxpr.cache[key]  # type: ignore[no-any-return]
    outputs = [v for v, u in zip(jaxpr.outputs, used) if u]
    live: set[Any] = {v for v in outputs if type(v) is Var}
    eqns: list[Eqn] = []
    for eqn in reversed(jaxpr.eqns):
        if live.isdisjoint(eqn.outputs):
            if not eqn.primitive.effects:
                continue
            eqn = prune_eqn(eqn, [False] * len(eqn.outputs))
        elif len(eqn.outputs) > 1:
            wanted = [v in live for v in eqn.outputs]
            if not all(wanted):
                eqn = prune_eqn(eqn, wanted)
        live.update(eqn.inputs)
        eqns.append(eqn)
    kept = [v in live for v in jaxpr.inputs]
    inputs = [v for v, k in zip(jaxpr.inputs, kept) if k]
    result = Jaxpr(inputs, outputs, eqns[::-1], jaxpr.name), kept
    jaxpr.cache[key] = result
    return result


def prune_eqn(eqn: Eqn, wanted: Sequence[bool]) -> Eqn:
    """Drop unwanted results of an operation that holds a jaxpr, where it knows how."""
    smaller = getattr(eqn.primitive, "prune", None)
    found = smaller(wanted) if smaller is not None else None
    if found is None:
        return eqn
    primitive, kept_inputs, kept_outputs = found
    inputs = tuple(v for v, k in zip(eqn.inputs, kept_inputs) if k)
    outputs = tuple(v for v, k in zip(eqn.outputs, kept_outputs) if k)
    return Eqn(primitive, inputs, outputs, eqn.origin)
