"""What operations that hold jaxprs share: rewriting programs, and staging functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

from pullback import dtypes, tree
from pullback.core.array import Array
from pullback.core.aval import Aval
from pullback.core.calling import as_value, leaf_names
from pullback.core.jaxpr import Atom, Eqn, Jaxpr, Var
from pullback.core.jaxpr import prune as prune_jaxpr
from pullback.core.origin import called_at, name_of
from pullback.core.primitive import Primitive
from pullback.core.trace import Tracer, Value, aval_of
from pullback.core.zero import Zero, is_zero
from pullback.errors import ControlFlowError
from pullback.primitives.structural import is_known_zero, zero_operation
from pullback.primitives.table import ConvertElementType
from pullback.transforms.stage import stage_flat

_Item = TypeVar("_Item")

# -- lists -----------------------------------------------------------------------------


def cut(items: Sequence[_Item], *sizes: int) -> list[list[_Item]]:
    """Cut a sequence into parts of the given sizes, and the rest."""
    parts, start = [], 0
    for n in sizes:
        parts.append(list(items[start : start + n]))
        start += n
    return [*parts, list(items[start:])]


def chosen(items: Sequence[_Item], flags: Sequence[bool]) -> list[_Item]:
    """Give the items whose flag is set."""
    return [x for x, flag in zip(items, flags, strict=True) if flag]


def spread(items: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    """Put items where the flags are set, and None elsewhere."""
    rest = iter(items)
    return [next(rest) if flag else None for flag in flags]


def spread_tangents(
    found: Sequence[Any], nonzero: Sequence[bool], outs: Sequence[Value]
) -> list[Any]:
    """Put symbolic zeros between the tangents that a program gave."""
    rest = iter(found)
    return [next(rest) if n else Zero(like=y) for n, y in zip(nonzero, outs)]


def given_tangents(tangents: Sequence[Any]) -> tuple[list[bool], list[Any]]:
    """Say which tangents are no symbolic zeros, and give those."""
    nonzero = [not is_zero(t) for t in tangents]
    return nonzero, chosen(tangents, nonzero)


# -- programs --------------------------------------------------------------------------


def has_effects(*jaxprs: Jaxpr) -> bool:
    """Whether something in the programs must run even if no result is used."""
    for jaxpr in jaxprs:
        if "effects" not in jaxpr.cache:
            jaxpr.cache["effects"] = jaxpr.effects
    return any(jaxpr.cache["effects"] for jaxpr in jaxprs)


def append(eqns: list[Eqn], primitive: Primitive, *inputs: Atom) -> Var:
    """Append an operation with one result to a list of eqns."""
    out = Var(primitive.abstract(*[x.aval for x in inputs]))
    eqns.append(Eqn(primitive, inputs, (out,)))
    return out


def append_zero(eqns: list[Eqn], aval: Aval) -> Var:
    """Append the zero of a type to a list of eqns."""
    return append(eqns, zero_operation(aval))


def rewired(
    jaxpr: Jaxpr, inputs: Sequence[Var], outputs: Sequence[Atom] | None = None
) -> Jaxpr:
    """Give the same program with other inputs or outputs, or these in another order."""
    atoms = jaxpr.outputs if outputs is None else outputs
    return Jaxpr(inputs, atoms, jaxpr.eqns, jaxpr.name)


def with_zeros(
    jaxpr: Jaxpr, have: Sequence[bool], want: Sequence[bool], avals: Sequence[Aval]
) -> Jaxpr:
    """Add outputs that are zero.

    Args:
        jaxpr: a program with an output for each True of `have`.
        have: which values it gives.
        want: which values it shall give: at least those.
        avals: the types of all values.
    """
    if list(have) == list(want):
        return jaxpr
    eqns = list(jaxpr.eqns)
    rest = iter(jaxpr.outputs)
    outputs: list[Atom] = []
    for h, w, aval in zip(have, want, avals, strict=True):
        if h:
            outputs.append(next(rest))
        elif w:
            outputs.append(append_zero(eqns, aval))
    return Jaxpr(jaxpr.inputs, outputs, eqns, jaxpr.name)


def with_types(jaxpr: Jaxpr, avals: Sequence[Aval]) -> Jaxpr:
    """Convert outputs whose dtype or weak flag differs from the given types."""
    eqns = list(jaxpr.eqns)
    outputs: list[Atom] = []
    for atom, aval in zip(jaxpr.outputs, avals, strict=True):
        if atom.aval.dtype != aval.dtype or atom.aval.weak != aval.weak:
            atom = append(eqns, ConvertElementType(aval.dtype, aval.weak), atom)
        outputs.append(atom)
    if len(eqns) == len(jaxpr.eqns):
        return jaxpr
    return Jaxpr(jaxpr.inputs, outputs, eqns, jaxpr.name)


def fresh_inputs(avals: Sequence[Aval]) -> list[Var]:
    """Make new variables of the given types."""
    return [Var(a) for a in avals]


def share_consts(
    jaxprs: Sequence[Jaxpr], consts: Sequence[Sequence[Value]]
) -> tuple[list[Jaxpr], list[Value]]:
    """Let programs with constants of their own all take the same ones.

    Returns:
        The programs with the union of the constants as leading inputs, and these.
    """
    values: dict[int, Value] = {id(c): c for group in consts for c in group}
    out = []
    for jaxpr, group in zip(jaxprs, consts, strict=True):
        own = {id(c): v for c, v in zip(group, jaxpr.inputs)}
        leading = [own.get(key) or Var(aval_of(c)) for key, c in values.items()]
        out.append(rewired(jaxpr, [*leading, *jaxpr.inputs[len(group) :]]))
    return out, list(values.values())


def apply_pruned(
    primitive: Any, operands: Sequence[Value], wanted: Sequence[bool]
) -> list[Any]:
    """Apply an operation that can be pruned; None for results that are not wanted."""
    if not any(wanted):
        return [None] * len(wanted)
    kept_outputs: Sequence[bool] = [True] * len(wanted)
    if not all(wanted):
        primitive, kept_inputs, kept_outputs = primitive.prune(wanted)
        operands = chosen(operands, kept_inputs)
    found = spread(primitive(*operands), kept_outputs)
    return [x if w else None for x, w in zip(found, wanted)]


def prune_fixed(
    jaxpr: Jaxpr, wanted: Sequence[bool], required: Sequence[bool]
) -> tuple[Jaxpr, list[bool]]:
    """Drop outputs and what only they needed, but not the required inputs."""
    smaller, kept = prune_jaxpr(jaxpr, wanted)
    stays = [k or r for k, r in zip(kept, required, strict=True)]
    return rewired(smaller, chosen(jaxpr.inputs, stays)), stays


def reached(jaxpr: Jaxpr, nonzero: Sequence[bool]) -> list[bool]:
    """Say which outputs may have a tangent, from which values they are made of.

    No derivative rule is run for it.
    """
    live = set(chosen(jaxpr.inputs, nonzero))
    for eqn in jaxpr.eqns:
        if any(v in live for v in eqn.inputs):
            live.update(v for v in eqn.outputs if dtypes.is_inexact(v.aval.dtype))
    return [v in live for v in jaxpr.outputs]


# -- functions -------------------------------------------------------------------------


class Written(NamedTuple):
    """A user function written down.

    Fields:
        jaxpr: its program, constants first.
        consts: the values of the constants.
        out_tree: the structure of what it returned.
    """

    jaxpr: Jaxpr
    consts: tuple[Value, ...]
    out_tree: tree.TreeDef

    @property
    def inner(self) -> list[Aval]:
        """The types of the inputs that are no constants."""
        return self.jaxpr.in_avals[len(self.consts) :]


def write_down(
    f: Callable[..., Any], in_tree: tree.TreeDef, avals: Sequence[Aval], who: str
) -> Written:
    """Stage a function of positional arguments.

    Args:
        f: the function.
        in_tree: the structure of its tuple of arguments.
        avals: the types of their leaves.
        who: the public function that asks, for errors.
    """
    trees: list[tree.TreeDef] = []

    def flat(*values: Value) -> list[Value]:
        outs, out_tree = tree.flatten(f(*in_tree.unflatten(values)))
        trees.append(out_tree)
        return [as_value(y, f"{who}: the output of {name_of(f)}") for y in outs]

    arguments: Any = in_tree.unflatten(list(avals))
    closed = stage_flat(flat, avals, name_of(f), lambda: leaf_names(f, arguments))
    return Written(closed.jaxpr, closed.consts, trees[0])


def is_concrete(x: Any) -> bool:
    """Whether a value is an array, known now."""
    return not isinstance(x, Tracer)


def python_value(x: Any) -> Any:
    """Give the NumPy value of an array or number."""
    return x.fetch() if type(x) is Array else x


# -- carries ---------------------------------------------------------------------------


class Carry:
    """The values a loop carries: their structure, types and names in errors.

    Args:
        who: the public function, for errors.
        init: the initial carry.
    """

    __slots__ = ("avals", "tree", "values", "who")

    def __init__(self, who: str, init: Any) -> None:
        leaves, self.tree = tree.flatten(init)
        self.who = who
        self.values = [as_value(x, f"{who}: the initial carry") for x in leaves]
        self.avals = [aval_of(x) for x in self.values]

    def settle(self, write: Callable[[], Written], f: Any, leading: int) -> Written:
        """Write a body down, with the carry's types promoted until it keeps them.

        Weak types of the initial carry yield to what the body makes of them.

        Args:
            write: writes the body down for the present types.
            f: the body, named in errors.
            leading: how many of its outputs are the carry.

        Raises:
            ControlFlowError: the body gives the carry another structure or type.
        """
        while True:
            written = write()
            found = written.jaxpr.out_avals[:leading]
            wanted = [self.promoted(a, b) for a, b in zip(self.avals, found)]
            if wanted == self.avals:
                break
            self.avals = wanted
        for i, (a, b) in enumerate(zip(self.avals, found)):
            if not a.matches(b):
                self.disagree(f, i, b)
        self.values = [fit(x, a) for x, a in zip(self.values, self.avals)]
        avals = [*self.avals, *written.jaxpr.out_avals[leading:]]
        return written._replace(jaxpr=with_types(written.jaxpr, avals))

    def promoted(self, a: Aval, b: Aval) -> Aval:
        """Give the type that an initial type takes where the body gives another."""
        if not a.weak or a.shape != b.shape or (a.dtype == b.dtype and b.weak):
            return a
        dtype, weak = dtypes.promote((a.dtype, True), (b.dtype, b.weak))
        return Aval(a.shape, dtype, weak)

    def check_tree(self, found: tree.TreeDef, f: Any) -> None:
        """Raise if a body gives the carry another structure."""
        if found != self.tree:
            raise ControlFlowError(
                f"{self.who}: the body {name_of(f)} gave a carry of structure "
                f"{tree.structure_text(found)}; the initial carry has "
                f"{tree.structure_text(self.tree)}.",
                where=called_at(),
                mend="Return a carry with the containers of the initial one.",
            )

    def disagree(self, f: Any, index: int, found: Aval) -> NoReturn:
        """Raise the error for a carry leaf of another type."""
        like = self.tree.unflatten(self.avals)
        path = tree.path_strings(like)[index]
        wanted = self.avals[index]
        if found.shape != wanted.shape:
            mend = "Let the body keep the shape, or start with that of its result."
        else:
            mend = f"Start with an array of dtype {found.dtype.name}, or convert the "
            mend += f"body's result with astype({wanted.dtype.name!r})."
        raise ControlFlowError(
            f"{self.who}: the body {name_of(f)} gave carry{path} of type {found}; the "
            f"initial carry{path} has type {wanted}.",
            where=called_at(),
            mend=mend,
        )


def fit(x: Value, aval: Aval) -> Value:
    """Convert a value to a dtype and weak flag."""
    if x.dtype == aval.dtype and bool(x.weak_type) == aval.weak:
        return x
    if getattr(x, "eqn", None) is not None and is_known_zero(x):
        # After a conversion it would no longer be known to be zero.
        return zero_operation(aval)()
    return ConvertElementType(aval.dtype, aval.weak)(x)
