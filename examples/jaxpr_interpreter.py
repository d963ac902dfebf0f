"""A transformation written from outside: the inverse of a function, from its program.

`make_jaxpr` gives a program as data: eqns in order, each of them an operation between
variables. An interpreter walks through them and does with each what it likes. This one
walks from the output back to the input and applies to each operation's result the
operation's inverse, from a table that anybody may add to. What it computes are ordinary
operations, so its results can be compiled, mapped and differentiated.
"""

import functools

import numpy as np

import pullback
import pullback.numpy as jnp
from pullback import core
from pullback.extend.core import Literal

#: By the operation's name, for operations of one operand: the inverse function.
UNARY = {
    "exp": jnp.log,
    "log": jnp.exp,
    "neg": jnp.negative,
    "sinh": jnp.arcsinh,
    "tanh": jnp.arctanh,
    "sqrt": jnp.square,
}
#: For operations of two: what gives the first operand, and what gives the second, from
#: the result and the other operand.
BINARY = {
    "add": (lambda z, y: z - y, lambda z, x: z - x),
    "sub": (lambda z, y: z + y, lambda z, x: x - z),
    "mul": (lambda z, y: z / y, lambda z, x: z / x),
    "div": (lambda z, y: z * y, lambda z, x: x / z),
}


def inverse(fun):
    """Give the inverse of a function of one array, whose result has its type."""

    @functools.wraps(fun)
    def inverted(y):
        """Find the x for which the function gives y."""
        closed = pullback.make_jaxpr(fun)(y)
        known = dict(zip(closed.jaxpr.constvars, closed.consts))
        return invert(closed.jaxpr, known, [y])[0]

    return inverted


def invert(jaxpr, known, outputs):
    """Give the inputs of a program that are not known, from its outputs.

    Args:
        jaxpr: the program.
        known: the values of variables that are known before: constants.
        outputs: the values of its outputs.
    """
    known = dict(known)

    def is_known(atom):
        return isinstance(atom, Literal) or atom in known

    def read(atom):
        return atom.val if isinstance(atom, Literal) else known[atom]

    # What depends on constants alone is computed forwards.
    for eqn in jaxpr.eqns:
        if all(map(is_known, eqn.invars)):
            found = eqn.primitive.bind(*map(read, eqn.invars), **eqn.params)
            if not eqn.primitive.multiple_results:
                found = [found]
            known.update(zip(eqn.outvars, found))
    wanted = [v for v in jaxpr.invars if v not in known]
    known.update(zip(jaxpr.outvars, outputs))
    for eqn in reversed(jaxpr.eqns):
        unknown = [i for i, atom in enumerate(eqn.invars) if not is_known(atom)]
        if unknown:
            given = [read(v) if is_known(v) else None for v in eqn.invars]
            results = [read(v) for v in eqn.outvars]
            for i, x in zip(unknown, undo(eqn, unknown, given, results)):
                known[eqn.invars[i]] = x
    return [read(v) for v in wanted]


def undo(eqn, unknown, given, results):
    """Give the unknown operands of one operation from its results and the others."""
    name = eqn.primitive.name
    if (
        name == "jit"
    ):  # an operation that holds a program, whose inputs its operands are
        inner = eqn.params["jaxpr"]
        known = {v: x for v, x in zip(inner.invars, given) if x is not None}
        return invert(inner, known, results)
    (position, *more) = unknown
    if more:
        raise ValueError(f"{name} at {eqn.origin} has two operands that depend on x")
    if name in UNARY:
        return [UNARY[name](results[0])]
    if name in BINARY:
        return [BINARY[name][position](results[0], given[1 - position])]
    raise NotImplementedError(f"{name} at {eqn.origin} has no inverse in the table")


def main():
    """Invert a function, and transform its inverse."""
    scale = jnp.array([1.0, 2.0, 4.0])

    @pullback.jit
    def squash(x):
        return jnp.tanh(x / scale)

    def f(x):
        return 3.0 - jnp.exp(squash(x) * 2.0)

    x = jnp.array([0.5, -1.0, 2.0])
    print("x again     ", inverse(f)(f(x)))
    batch = jnp.stack([f(x), f(-x)])
    print("a batch     ", pullback.jit(pullback.vmap(inverse(f)))(batch)[1])

    # Slopes of a function and of its inverse are one over the other.
    def g(x):
        return jnp.sinh(x) + 1.0

    slopes = pullback.grad(g)(0.7) * pullback.grad(inverse(g))(g(0.7))
    print("slopes      ", round(float(slopes), 4))
    np.testing.assert_allclose(inverse(f)(f(x)), x, rtol=1e-4)
    np.testing.assert_allclose(slopes, 1.0, rtol=1e-4)

    # The plain interpreter runs a program as it is: here the one of the inverse.
    closed = pullback.make_jaxpr(inverse(g))(1.5)
    print(closed)
    (again,) = core.eval_jaxpr(closed.jaxpr, closed.consts, g(0.7))
    print("by program  ", round(float(again), 4))
    try:
        inverse(lambda x: x * x)(4.0)
    except ValueError as error:
        print("refused     ", error)


if __name__ == "__main__":
    main()
