"""Which results get a loop of their own on the host, and are stored.

A formula (`host_math`) is many plain operations, of which the compiler takes none for
dear. So it writes the formula again into each loop that reads the result, and at each
place where the result is repeated; and where elements are read out of order, it writes
the formula without vectors. Of float32 on two cores: nine shifted copies of `sin` of
1e5 numbers take 243 us, with a loop for `sin` 61; `x * sin(t)` of 1,000 x 1,000 by
1,000 numbers 255 and 46; `sin` of tiles, 1,024 x 1,024, 2,270 and 310. Read once and in
order, a formula is faster in the loop of what is around it: `x**2.5 + 1` of 1e6 numbers
takes 435 us there, by itself 668.

What a gather reads is stored: `tanh(x)[i]` of 500 rows, read at 4,000 places, takes
180 us in one loop, 30 in two.

A transposed matrix is stored where one loop would read the same matrix in both orders,
for which the compiler writes slow code if its sides are a little below powers of two:
`x + x.T` of 1,000 x 1,000 takes 3,900 us, with a loop for `x.T` 210.
"""

from __future__ import annotations

import itertools
from collections.abc import Container
from typing import Any

from pullback.core.aval import Aval
from pullback.core.jaxpr import Eqn, Jaxpr, Var

#: Where an operation stands: the program and its eqn; None where that is not known.
Place = tuple[Jaxpr, Eqn] | None

#: Of fewer elements, a loop costs as much as writing the formula twice. With 4,096 the
#: gradient of a stencil on `sin` of 3,000 numbers took 165 us, with 512 it takes 12.
ENOUGH = 2**9
#: Operations that read elements in another order, or from pieces.
SHUFFLES = frozenset(("concatenate", "gather", "pad", "rev", "stack", "transpose"))
#: What reads a variable, in the end, instead of the number of one operation: nothing;
#: several, or one that wants it stored.
NOTHING, STORED = -1, -2


def store(ctx: Any, x: Any) -> Any:
    """Emit what keeps the loop that computes an operand apart from those that read it.

    It is a function that gives its argument, and must not be written in place.
    """
    return ctx.call_shared("host_store", [x], x.aval, lambda x: x, apart=True)


# -- formulas --------------------------------------------------------------------------


def formula_has_own_loop(place: Place, formulas: Container[str]) -> bool:
    """Whether the formula of an eqn is to be a loop of its own.

    Args:
        place: the program and the eqn.
        formulas: the names of all operations that are formulas.
    """
    if place is None:
        return False
    jaxpr, eqn = place
    if "formulas apart" not in jaxpr.cache:
        jaxpr.cache["formulas apart"] = formulas_apart(jaxpr, formulas)
    return eqn.outputs[0] in jaxpr.cache["formulas apart"]


def formulas_apart(jaxpr: Jaxpr, formulas: Container[str]) -> frozenset[Var]:
    """Find the results of formulas that are better stored than fused."""
    readers = readers_in_the_end(jaxpr, formulas)
    repeated: set[Any] = set()
    shuffled: set[Any] = set()
    found = set()
    for eqn in jaxpr.eqns:
        name, out = eqn.primitive.name, eqn.outputs[0]
        moved = not shuffled.isdisjoint(eqn.inputs)
        if name in formulas:
            if readers.get(out) == STORED or (moved and out.aval.size >= ENOUGH):
                found.add(out)
        elif eqn.primitive.elementwise:
            if moved:
                shuffled.add(out)
        elif name == "broadcast_in_dim":
            repeated.add(out)
        elif name in ("slice", "pick"):
            if max(eqn.primitive.parameters()["strides"], default=1) > 1:
                shuffled.add(out)
        elif name in SHUFFLES or (name == "reshape" and eqn.inputs[0] in repeated):
            shuffled.add(out)
    return frozenset(found)


def readers_in_the_end(jaxpr: Jaxpr, formulas: Container[str]) -> dict[Var, int]:
    """Give for each variable what ends the loops in which it is read.

    That is the operation which is not elementwise, or the result of the program, after
    all that can be computed in the same loop.
    """
    found: dict[Var, int] = {}
    numbers = itertools.count()

    def add(x: Any, reader: int) -> None:
        if type(x) is not Var or reader == NOTHING:
            return
        before = found.setdefault(x, reader)
        if before != reader and (x.aval.size >= ENOUGH or reader == STORED):
            found[x] = STORED

    for v in jaxpr.outputs:
        add(v, next(numbers))
    for eqn in reversed(jaxpr.eqns):
        name, out = eqn.primitive.name, eqn.outputs[0]
        size = out.aval.size
        for x in eqn.inputs:
            grows = size > x.aval.size
            if eqn.primitive.elementwise:
                stored, same_loop = grows or name in formulas, True
            else:
                stored = name in SHUFFLES or name == "broadcast_in_dim"
                stored = stored and size >= x.aval.size
                same_loop = name == "reshape"
            if stored and size >= ENOUGH:
                add(x, STORED)
            elif same_loop and not grows:
                add(x, found.get(out, NOTHING))
            else:
                add(x, next(numbers))
    return found


def has_computed_operand(place: Place) -> bool:
    """Whether an operand of an eqn is computed element by element in its program."""
    return place is None or not computed(place[0]).isdisjoint(place[1].inputs)


def computed(jaxpr: Jaxpr) -> frozenset[Any]:
    """Give what `computed_by_element` finds, looked for once."""
    if "computed" not in jaxpr.cache:
        jaxpr.cache["computed"] = computed_by_element(jaxpr)
    return jaxpr.cache["computed"]  # type: ignore[no-any-return]


def computed_by_element(jaxpr: Jaxpr) -> frozenset[Any]:
    """Find the results of elementwise operations, reshaped or not."""
    found: set[Any] = set()
    for eqn in jaxpr.eqns:
        inputs = eqn.inputs
        if eqn.primitive.elementwise or (
            eqn.primitive.name == "reshape" and inputs[0] in found
        ):
            found.update(eqn.outputs)
    return frozenset(found)


# -- what is gathered from -------------------------------------------------------------

#: Of an operand that has more elements than so many times those read, only these are
#: computed.
MUCH_LARGER = 8


def gathered_has_own_loop(place: Place, out: Aval) -> bool:
    """Whether the operand of a gather is computed for all places before it is read.

    In one loop with the gather, it is computed for each element read, without vectors.
    """
    if place is None or place[1].primitive.name != "gather" or out.size < ENOUGH:
        return False
    jaxpr, operand = place[0], place[1].inputs[0]
    if operand.aval.size > MUCH_LARGER * out.size:
        return False
    stored = jaxpr.cache.get("formulas apart", ())
    return operand in computed(jaxpr) and operand not in stored


# -- transposed matrices ---------------------------------------------------------------

#: Larger groups of what a loop reads are not looked through.
FEW = 16
#: Of fewer elements, the compiler writes loops another way (`backend/options.py`).
LARGE = 2**17
#: So much of the next power of two a side must have for the code to be slow.
MOST = 0.8


def transpose_has_own_loop(place: Place, out: Aval) -> bool:
    """Whether the result of a transpose is to be stored by itself."""
    sides = [n for n in out.shape if n > 1]
    if place is None or out.size < LARGE or min(n / _power(n) for n in sides) < MOST:
        return False
    jaxpr, eqn = place
    if "transposes apart" not in jaxpr.cache:
        jaxpr.cache["transposes apart"] = transposes_apart(jaxpr)
    return eqn.outputs[0] in jaxpr.cache["transposes apart"]


def _power(n: int) -> int:
    """Give the least power of two that is not less."""
    return 1 << (n - 1).bit_length()


def transposes_apart(jaxpr: Jaxpr) -> frozenset[Any]:
    """Find the transposes that are read together with what they transpose."""
    found: set[Any] = set()
    nothing: tuple[frozenset[Any], frozenset[Any]] = (frozenset(), frozenset())
    # For each variable what its loop reads in order, and which transposes it reads.
    read: dict[Any, tuple[frozenset[Any], frozenset[Any]]] = {}
    operands: dict[Any, Any] = {}
    for eqn in jaxpr.eqns:
        out = eqn.outputs[0]
        if eqn.primitive.name == "transpose":
            operands[out] = eqn.inputs[0]
            read[out] = frozenset(), frozenset((out,))
        elif eqn.primitive.elementwise:
            parts = [
                read.get(x, (frozenset((x,)), frozenset()))
                for x in eqn.inputs
                if type(x) is Var
            ]
            straight, turned = (frozenset().union(*p) for p in zip(nothing, *parts))
            if len(straight) + len(turned) <= FEW:
                read[out] = straight, turned
            for v in turned:
                whole = read.get(operands[v], (frozenset((operands[v],)), frozenset()))
                if not straight.isdisjoint(whole[0]):
                    found.add(v)
    return frozenset(found)
