"""One check for all rules of an operation: each is held against another way to know.

`check_rules_of(f, *args)` compares, with 64-bit types:

- the types that staging finds with those of the values computed at once;
- the compiled program with the values computed at once, derivatives and batches too;
- jvp with central finite differences, and with vjp by inner products;
- the same for the gradient of `f` (second order), and for its jvp;
- vmap with a loop, for every choice of mapped arguments, of `f` and of its gradient.
"""

import itertools

import numpy as np

from pullback import dtypes, tree
from pullback.calls.jit import jit
from pullback.config import config
from pullback.core.array import Array
from pullback.core.calling import as_value
from pullback.transforms.stage import make_jaxpr
from pullback.transforms.vjp import jvp, vjp
from pullback.transforms.vmap import vmap

STEP = 1e-5


def check_rules_of(
    f,
    *args,
    reference=None,
    order=2,
    tol=2e-6,
    batched=True,
    compiled=True,
):
    """Check every rule of the operations in `f` at `args`.

    Args:
        f: a function of arrays, giving an array or a list of arrays.
        *args: NumPy arrays or scalars; floats are differentiated.
        reference: a NumPy function that gives the same values.
        order: 0 for no derivatives, 1, or 2.
        tol: how far derivatives may be from finite differences, relative to the
            greatest entry (or 1).
        batched: whether vmap is tried.
        compiled: whether jit is tried.
    """
    with config.context(enable_x64=True):
        values = [as_value(np.asarray(x)) for x in args]
        outs = f(*values)
        if reference is not None:
            expected = reference(*[np.asarray(x) for x in values])
            assert_close(outs, expected, 1e-12, "value")
        check_staging(f, values)
        if order:
            check_derivatives(f, values, order, tol)
        if batched:
            check_batching(f, values, order)
        if compiled:
            check_compiled(f, values, order, batched)


def leaves(outs):
    return [np.asarray(y) for y in tree.flatten(outs)[0]]


def assert_close(found, expected, tol, what):
    """Compare outputs leaf by leaf, in dtype, shape and value."""
    found, expected = leaves(found), leaves(expected)
    assert len(found) == len(expected), f"{what}: {len(found)} outputs"
    for i, (a, b) in enumerate(zip(found, expected)):
        assert a.shape == b.shape, f"{what}, output {i}: {a.shape}, wanted {b.shape}"
        assert a.dtype == b.dtype, f"{what}, output {i}: {a.dtype}, wanted {b.dtype}"
        if a.dtype == dtypes.float0:
            continue
        if not dtypes.is_inexact(a.dtype):
            np.testing.assert_array_equal(a, b, err_msg=what)
            continue
        kind = np.complex128 if a.dtype.kind == "c" else np.float64
        a, b = a.astype(kind), b.astype(kind)
        finite = np.abs(b[np.isfinite(b)])
        scale = max(1.0, finite.max()) if finite.size else 1.0
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol * scale, err_msg=what)


def check_staging(f, args):
    """The abstract rule and the eager rule agree on types."""
    closed = make_jaxpr(f)(*args)
    outs = tree.flatten(f(*args))[0]
    assert len(outs) == len(closed.out_avals)
    for y, aval in zip(outs, closed.out_avals):
        assert isinstance(y, Array)
        assert (y.shape, y.dtype, y.weak_type) == (aval.shape, aval.dtype, aval.weak)
    for eqn in closed.eqns:
        hash(eqn.primitive)
        assert eqn.primitive == eqn.primitive
    str(closed)


def is_float(x):
    return dtypes.is_inexact(x.dtype)


def random_like(x, seed):
    """Draw a direction; complex ones too."""
    rng = np.random.default_rng(seed)
    out = rng.standard_normal(x.shape)
    if x.dtype.kind == "c":
        out = out + 1j * rng.standard_normal(x.shape)
    return as_value(np.asarray(out, x.dtype))


def of_floats(f, args):
    """Make a function of the float arguments alone, with float outputs alone."""
    places = [i for i, x in enumerate(args) if is_float(x)]

    def g(*floats):
        full = list(args)
        for i, x in zip(places, floats):
            full[i] = x
        outs = tree.flatten(f(*full))[0]
        return [y for y in outs if is_float(y)]

    return g, [args[i] for i in places]


def gradient_of(f, args):
    """Give the function that pulls fixed random cotangents back through `f`."""
    outs = f(*args)
    cts = [random_like(y, 100 + i) for i, y in enumerate(outs)]

    def gradient(*xs):
        return list(vjp(f, *xs)[1](cts))

    return gradient


def tangent_of(f, args):
    """Give the function that pushes fixed random tangents through `f`."""
    dots = tuple(random_like(x, 200 + i) for i, x in enumerate(args))

    def tangent(*xs):
        return jvp(f, xs, dots)[1]

    return tangent


def check_derivatives(f, args, order, tol):
    g, floats = of_floats(f, args)
    if not floats or not g(*floats):
        return
    check_first_order(g, floats, tol, "first derivative")
    if order > 1:
        check_first_order(gradient_of(g, floats), floats, tol, "jvp of the gradient")
        check_first_order(tangent_of(g, floats), floats, tol, "jvp of the jvp")


def moved(xs, dots, step):
    return [as_value(np.asarray(x) + step * np.asarray(v)) for x, v in zip(xs, dots)]


def check_first_order(f, xs, tol, what):
    """Hold jvp against finite differences, and vjp against jvp."""
    dots = [random_like(x, i) for i, x in enumerate(xs)]
    outs, outs_dot = jvp(f, tuple(xs), tuple(dots))
    assert_close(outs, f(*xs), 1e-12, f"{what}: primal output of jvp")
    above, below = leaves(f(*moved(xs, dots, STEP))), leaves(f(*moved(xs, dots, -STEP)))
    slopes = [((a - b) / (2 * STEP)).astype(a.dtype) for a, b in zip(above, below)]
    assert_close(outs_dot, slopes, tol, f"{what}: jvp against differences")
    primal, pull = vjp(f, *xs)
    assert_close(primal, outs, 1e-12, f"{what}: primal output of vjp")
    cts = [random_like(y, 50 + i) for i, y in enumerate(outs)]
    bars = pull(cts)
    for x, bar in zip(xs, bars):
        assert (bar.shape, bar.dtype) == (x.shape, x.dtype), f"{what}: cotangent type"
    forward = sum(inner(c, t) for c, t in zip(cts, outs_dot))
    backward = sum(inner(b, v) for b, v in zip(bars, dots))
    np.testing.assert_allclose(
        backward, forward, rtol=1e-9, atol=1e-9, err_msg=f"{what}: vjp against jvp"
    )


def inner(a, b):
    """Give the product without conjugation, as transposes mean it: over the reals."""
    return np.sum(np.asarray(a) * np.asarray(b)).real


def stacks_of(args, size=3):
    """Give, for each argument, several variants of it along a new first axis."""
    return [np.stack([variant(np.asarray(x), i) for i in range(size)]) for x in args]


def variant(x, i):
    if dtypes.is_inexact(x.dtype):
        return x + np.asarray(0.25 * i, x.dtype)
    if not x.ndim:
        return x
    return np.roll(x, i, axis=0)


def check_batching(f, args, order):
    """Hold vmap against a loop for every choice of mapped arguments."""
    functions = [("vmap", f)]
    floats = [i for i, x in enumerate(args) if is_float(x)]
    if order and floats and of_floats(f, args)[0](*[args[i] for i in floats]):
        functions.append(("vmap of the gradient", full_gradient(f, args)))
        functions.append(("vmap of the jvp", full_tangent(f, args)))
    stacks = stacks_of(args)
    for mask in itertools.product((True, False), repeat=len(args)):
        if any(mask):
            for i, (what, g) in enumerate(functions):
                compare_batch(g, args, stacks, mask, i % 2, f"{what} over {mask}")


def full_gradient(f, args):
    """Give a function of all arguments: the gradient with respect to floats."""

    def gradient(*xs):
        g, floats = of_floats(f, xs)
        _, pull = vjp(g, *floats)
        outs = g(*[x for x in args if is_float(x)])
        return list(pull([random_like(y, 7 + i) for i, y in enumerate(outs)]))

    return gradient


def full_tangent(f, args):
    """Give a function of all arguments: the tangent along fixed directions."""

    def tangent(*xs):
        g, floats = of_floats(f, xs)
        dots = tuple(random_like(x, 9 + i) for i, x in enumerate(floats))
        return jvp(g, tuple(floats), dots)[1]

    return tangent


def compare_batch(f, args, stacks, mask, last, what):
    axes = [
        None if not m else (s.ndim - 1 if last else 0) for m, s in zip(mask, stacks)
    ]
    mapped = [
        as_value(np.moveaxis(s, 0, a or 0)) if m else x
        for m, s, a, x in zip(mask, stacks, axes, args)
    ]
    found = vmap(f, in_axes=tuple(axes))(*mapped)
    rows = [
        leaves(f(*[as_value(s[i]) if m else x for m, s, x in zip(mask, stacks, args)]))
        for i in range(len(stacks[0]))
    ]
    expected = [np.stack(column) for column in zip(*rows)]
    assert_close(found, expected, 1e-9, what)


def check_compiled(f, args, order, batched):
    """Hold one compiled program of everything above against the values at once."""
    g, floats = of_floats(f, args)
    differentiable = bool(order and floats and g(*floats))
    stacks = [as_value(s) for s in stacks_of(args)]

    def everything(args, stacks):
        out = [f(*args)]
        if differentiable:
            out += [full_gradient(f, as_given)(*args), full_tangent(f, as_given)(*args)]
        if batched:
            out.append(vmap(f)(*stacks))
            if differentiable:
                out.append(vmap(full_gradient(f, as_given))(*stacks))
        return out

    as_given = args
    assert_close(jit(everything)(args, stacks), everything(args, stacks), 1e-9, "jit")


def check_dtypes_of(f, *args, dtypes_tried=("bfloat16", "float16", "float32", "int32")):
    """Compiled and immediate values agree in each dtype, in type and value."""
    for name in dtypes_tried:
        dtype = getattr(dtypes, name)
        values = [
            as_value(np.asarray(x).astype(dtype))
            if np.asarray(x).dtype.kind == "f"
            else x
            for x in args
        ]
        tol = 2e-2 if dtype.itemsize < 4 else 2e-6
        assert_close(jit(f)(*values), f(*values), tol, f"jit in {name}")
