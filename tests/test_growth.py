"""Cost grows in proportion to the size of programs: counted in calls, not in seconds.

Twice the program must take twice the calls, up to what is done once.
"""

import sys

import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, custom_vjp, grad, jit, jvp, make_jaxpr, vjp, vmap
from pullback.calls.checkpoint import checkpoint
from pullback.calls.cond import cond
from pullback.calls.loops import scan
from pullback.transforms.linearize import linearize_flat, linearize_jaxpr
from pullback.transforms.transpose import transpose_jaxpr

SIZES = (20, 40, 80)
X = 0.5


def count_calls(f):
    """Count the Python and C functions called while `f` runs."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    sys.setprofile(note)
    try:
        f()
    finally:
        sys.setprofile(None)
    return count


def assert_growth(cost, sizes=SIZES, factor=2.2):
    """Raise unless each doubling adds about twice what the one before did.

    Twice is in proportion to the size, four times to its square.
    """
    cost(sizes[0])
    low, middle, high = (cost(n) for n in sizes)
    assert middle > low, "nothing grows"
    counts = f"{low}, {middle}, {high} for sizes {sizes}"
    assert high - middle < factor * (middle - low), counts


def chain(n):
    """Give a function of n operations of several kinds."""

    def f(x):
        y = x
        for i in range(n // 2):
            y = jnp.sin(y) if i % 2 else jnp.cos(y)
            y = y * x
        return y

    return f


def wide(n):
    """Give a function that uses its input n times."""

    def f(x):
        total = 0.0
        for i in range(n):
            total = total + x * i
        return total

    return f


COSTS = {
    "trace": lambda f: make_jaxpr(f)(X),
    "grad": lambda f: grad(f)(X),
    "vjp": lambda f: vjp(f, X)[1](1.0),
    "jvp": lambda f: jvp(f, (X,), (1.0,)),
    "vmap": lambda f: vmap(f)(jnp.ones(3)),
    "trace of grad": lambda f: make_jaxpr(grad(f))(X),
    "trace of grad of grad": lambda f: make_jaxpr(grad(grad(f)))(X),
    "trace of vmap of grad": lambda f: make_jaxpr(vmap(grad(f)))(jnp.ones(3)),
    "lower": lambda f: jit(f).lower(X).as_text(),
    "lower grad": lambda f: jit(grad(f)).lower(X).as_text(),
    "print": lambda f: str(make_jaxpr(f)(X)),
    "trace of checkpoint": lambda f: make_jaxpr(grad(checkpoint(f)))(X),
    "trace of grad of jit": lambda f: make_jaxpr(grad(jit(f)))(X),
}


@pytest.mark.parametrize("shape", [chain, wide])
@pytest.mark.parametrize("name", COSTS)
def test_calls_grow_in_proportion_to_the_program(name, shape):
    def cost(n):
        f = shape(n)
        return count_calls(lambda: COSTS[name](f))

    assert_growth(cost)


@pytest.mark.parametrize("shape", [chain, wide])
def test_eqns_steps_and_lines_grow_in_proportion(shape):
    def eqns(n):
        return len(make_jaxpr(grad(shape(n)))(X).eqns)

    def steps(n):
        return len(linearize_flat(lambda x: [shape(n)(x)], [jnp.array(X)])[1].steps)

    def lines(n):
        return len(jit(grad(shape(n))).lower(X).as_text().splitlines())

    def residuals(n):
        closed = make_jaxpr(shape(n))(X)
        parts = linearize_jaxpr(closed.jaxpr, [True])
        count = len(parts.linear.inputs) - 1
        back, _ = transpose_jaxpr(parts.linear, [False] * count + [True], [True])
        return count + len(parts.primal.eqns) + len(parts.linear.eqns) + len(back.eqns)

    for size in (eqns, steps, lines, residuals):
        assert_growth(size)


# -- nests -----------------------------------------------------------------------------

DEPTHS = (3, 6, 12)


def nest_of_jvp(depth):
    """Give functions with custom rules that call each other, one inside the other."""
    f = jnp.sin
    for _ in range(depth):
        f = wrapped_jvp(f)
    return f


def wrapped_jvp(inner):
    @custom_jvp
    def f(x):
        return jnp.cos(inner(x))

    @f.defjvp
    def rule(primals, tangents):
        y, y_dot = jvp(inner, primals, tangents)
        return jnp.cos(y), -jnp.sin(y) * y_dot

    return f


def nest_of_vjp(depth):
    f = jnp.sin
    for _ in range(depth):
        f = wrapped_vjp(f)
    return f


def wrapped_vjp(inner):
    @custom_vjp
    def f(x):
        return jnp.cos(inner(x))

    def forward(x):
        y, pull = vjp(inner, x)
        (slope,) = pull(jnp.ones_like(y))
        return jnp.cos(y), -jnp.sin(y) * slope

    f.defvjp(forward, lambda slope, ct: (slope * ct,))
    return f


def sequence_of_jvp(n):
    f = wrapped_jvp(jnp.sin)

    def g(x):
        for _ in range(n):
            x = f(x)
        return x

    return g


def sequence_of_vjp(n):
    f = wrapped_vjp(jnp.sin)

    def g(x):
        for _ in range(n):
            x = f(x)
        return x

    return g


def nest_of(wrap):
    def nest(depth):
        f = jnp.sin
        for _ in range(depth):
            f = wrap(f)
        return f

    return nest


NESTS = {
    "jit": nest_of(lambda f: jit(lambda x: f(x) * x)),
    "checkpoint": nest_of(lambda f: checkpoint(lambda x: f(x) * x)),
    "scan": nest_of(
        lambda f: lambda x: scan(lambda c, _: (f(c) * 0.5, None), x, None, length=2)[0]
    ),
    "cond": nest_of(lambda f: lambda x: cond(x > 0.1, lambda x: f(x) * x, jnp.sin, x)),
    "custom_jvp": nest_of_jvp,
    "custom_vjp": nest_of_vjp,
}
STAGED = {
    "trace": lambda f: make_jaxpr(f)(X),
    "lower": lambda f: jit(f).lower(X).as_text(),
    "trace of grad": lambda f: make_jaxpr(grad(f))(X),
    "lower grad": lambda f: jit(grad(f)).lower(X).as_text(),
    "vmap": lambda f: make_jaxpr(vmap(f))(jnp.ones(3)),
}


@pytest.mark.parametrize("nest", ["jit", "checkpoint", "scan", "cond"])
@pytest.mark.parametrize("name", ["trace", "lower"])
def test_calls_grow_in_proportion_to_the_depth_of_nests(name, nest):
    def cost(depth):
        f = NESTS[nest](depth)
        return count_calls(lambda: STAGED[name](f))

    assert_growth(cost, DEPTHS)


# Residuals of the innermost function pass through all others, and what functions
# capture is looked for at each level: the square of the depth, and no more.
@pytest.mark.parametrize("nest", NESTS)
@pytest.mark.parametrize("name", STAGED)
def test_calls_grow_at_most_with_the_square_of_the_depth_of_nests(name, nest):
    def cost(depth):
        f = NESTS[nest](depth)
        return count_calls(lambda: STAGED[name](f))

    assert_growth(cost, DEPTHS, factor=4.2)


@pytest.mark.parametrize("sequence", [sequence_of_jvp, sequence_of_vjp])
@pytest.mark.parametrize("name", COSTS)
def test_calls_grow_in_proportion_to_the_number_of_custom_rules(name, sequence):
    if sequence is sequence_of_vjp and name == "jvp":
        pytest.skip("a reverse rule has no forward mode")

    def cost(n):
        f = sequence(n)
        return count_calls(lambda: COSTS[name](f))

    assert_growth(cost)
