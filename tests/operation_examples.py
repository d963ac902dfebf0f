"""Operands to try every operation on: a table, operation -> examples.

An example is an instance of the operation and its operands. `elementwise_examples`
makes those of the table of elementwise operations from their dtypes and domains.
"""

import numpy as np

from pullback import custom_jvp, custom_vjp, dtypes, jit
from pullback.calls.checkpoint import checkpoint
from pullback.calls.cond import switch
from pullback.calls.loops import scan
from pullback.calls.policies import Name
from pullback.calls.while_loop import while_loop
from pullback.core.array import Array, from_host
from pullback.core.calling import as_value
from pullback.core.jaxpr import Var
from pullback.core.trace import EVAL
from pullback.custom.linear_call import linear_call
from pullback.implicit.linear_operation import custom_linear_solve
from pullback.primitives import (
    banded,
    barrier,
    boxes,
    callbacks,
    contraction,
    convolution,
    creation,
    cumulative,
    diagonal,
    fourier,
    gather_scatter,
    indexing,
    linalg,
    random_bits,
    recurrence,
    reduction,
    reflections,
    rejection,
    row_order,
    schur,
    shaping,
    slicing,
    sorting,
    spectral,
    stacking,
    structural,
    table,
    windows,
)
from pullback.primitives.places import (
    GatherDimensionNumbers,
    ScatterDimensionNumbers,
)
from pullback.primitives.slicing import dynamic_slice
from pullback.primitives.table import add, convert, div, mul, sin
from pullback.transforms.linearize import LinearTracer, linearize_flat
from pullback.transforms.stage import make_jaxpr

RNG = np.random.default_rng(20)
START = RNG.bit_generator.state


def restart():
    """Begin the numbers anew: examples do not depend on the tests before."""
    RNG.bit_generator.state = START


def floats(*shape, low=-2.0, high=2.0):
    return RNG.uniform(low, high, shape).astype(np.float32)


def ints(*shape, low=-5, high=6, dtype="int32"):
    return RNG.integers(low, high, shape).astype(dtype)


def complexes(*shape):
    return (floats(*shape) + 1j * floats(*shape)).astype(np.complex64)


def positive_definite(*batch, n=3):
    a = floats(*batch, n, n).astype(np.float64)
    return (a @ np.swapaxes(a, -1, -2) + 3 * np.eye(n)).astype(np.float32)


# -- elementwise -----------------------------------------------------------------------

ANYWHERE, INSIDE, POSITIVE, UNIT = (-2.0, 2.0), (-0.9, 0.9), (0.2, 3.0), (0.1, 0.9)
#: An order, which is whole.
ONCE = (1.0, 1.0)

#: Where the operands of an operation lie, if not anywhere; the last entry repeats.
DOMAINS = {
    "acosh": [(1.1, 3.0)],
    "asin": [INSIDE],
    "acos": [INSIDE],
    "atanh": [INSIDE],
    "erf_inv": [INSIDE],
    "ndtri": [UNIT],
    "log": [POSITIVE],
    "log1p": [INSIDE],
    "sqrt": [POSITIVE],
    "root": [POSITIVE],
    "rsqrt": [POSITIVE],
    "cbrt": [POSITIVE],
    "lgamma": [POSITIVE],
    "digamma": [POSITIVE],
    "pow": [POSITIVE, ANYWHERE],
    "div": [ANYWHERE, POSITIVE],
    "rem": [ANYWHERE, POSITIVE],
    "zeta": [(1.5, 4.0), POSITIVE],
    "zeta_grad_s": [ONCE, (1.5, 4.0), POSITIVE],
    "exp1": [POSITIVE],
    "expi": [POSITIVE],
    "expn": [ONCE, POSITIVE],
    "cosine_integral": [POSITIVE],
    "spence": [POSITIVE],
    "poch": [POSITIVE],
    "bessel_j": [ONCE, POSITIVE],
    "legendre": [(2.0, 2.0), ONCE, ANYWHERE],
    "hyp1f1": [POSITIVE, POSITIVE, ANYWHERE],
    "hyp2f1": [POSITIVE, POSITIVE, POSITIVE, INSIDE],
    "polygamma": [ONCE, POSITIVE],
    "igamma": [POSITIVE],
    "igammac": [POSITIVE],
    "igamma_grad_a": [POSITIVE],
    "igamma_grad_aa": [POSITIVE],
    **{
        name: [POSITIVE, POSITIVE, UNIT]
        for name in (
            "betainc",
            "betaincc",
            *(f"betainc_grad_{of}" for of in ("a", "b", "aa", "ab", "bb")),
        )
    },
    "xlogy": [ANYWHERE, POSITIVE],
    "xlog1py": [ANYWHERE, INSIDE],
    "clamp": [(-1.0, -0.5), ANYWHERE, (0.5, 1.0)],
}
#: Operations of which the second operand is a divisor or a distance.
POSITIVE_INTEGERS = ("div", "rem")

NARROW = (dtypes.float16, dtypes.bfloat16)
ONLY_WIDE = ("complex",)
OF_KIND = {
    "b": (dtypes.bool_,),
    "i": (dtypes.int32, dtypes.int8),
    "u": (dtypes.uint8, dtypes.uint32),
    "f": (dtypes.float32, *NARROW),
    "c": (dtypes.complex64,),
}


def domain_of(name, place):
    domains = DOMAINS.get(name, [ANYWHERE])
    return domains[min(place, len(domains) - 1)]


def sample(name, place, dtype, shape):
    """Draw an operand in the operation's domain."""
    if dtype == dtypes.bool_:
        # What `guard` says is not used must not matter; its cotangents are tried in
        # tests/primitives/test_table.py.
        return RNG.uniform(size=shape) < (1.0 if name == "guard" else 0.5)
    if not dtypes.is_inexact(dtype):
        low = 1 if dtype.kind == "u" or (place and name in POSITIVE_INTEGERS) else -4
        return np.asarray(RNG.integers(low, 7, shape)).astype(dtype)
    low, high = domain_of(name, place)
    x = RNG.uniform(low, high, shape)
    if dtype.kind == "c":
        x = x + 1j * RNG.uniform(0.1, 0.9, shape)
    return np.asarray(x).astype(dtype)


#: Operations whose first operand is a condition.
CONDITIONAL = ("guard", "select")


def operand_dtypes(name, dtype, count):
    if name in CONDITIONAL:
        return [dtypes.bool_, *[dtype] * (count - 1)]
    return [dtype] * count


def elementwise_examples(operation):
    """Give operands of each kind of dtype, broadcasting; and scalars, weak and not."""
    restart()
    name, count = operation.name, len(operation.partials)
    shapes = (
        [(2, 3), (3,), ()][:count]
        if count < 3
        else [(2, 3), (2, 3), (2, 1), (3,)][:count]
    )
    if name == "clamp":
        shapes = [(), (2, 3), (3,)]
    examples = []
    for kind in operation.kinds:
        for dtype in OF_KIND[kind]:
            if dtype in NARROW and name in ONLY_WIDE:
                continue
            kinds = operand_dtypes(name, dtype, count)
            for shapes_now in (shapes, [()] * count):
                operands = [
                    sample(name, i, k, s)
                    for i, (k, s) in enumerate(zip(kinds, shapes_now))
                ]
                examples.append((operation, operands))
    if "f" in operation.kinds and name not in CONDITIONAL:
        operands = [sample(name, i, dtypes.float32, ()) for i in range(count)]
        examples.append((operation, [from_host(x[()], True) for x in operands]))
        examples += with_numbers(operation, name, count)
    return examples


def with_numbers(operation, name, count):
    """Give operands of which one is a Python number, in each place."""
    if count < 2:
        return []
    examples = []
    for place in range(count):
        operands = [sample(name, i, dtypes.float32, (3,)) for i in range(count)]
        operands[place] = float(operands[place][0])
        examples.append((operation, operands))
    return examples


# -- operations that hold functions ----------------------------------------------------


def applied_in(kind, f, *args):
    """Give the first operation of a class that `f` applies, and its operands."""
    closed = make_jaxpr(f)(*args)
    values = [*closed.consts, *map(as_value, args)]
    env = dict(zip(closed.jaxpr.inputs, values))
    for eqn in closed.eqns:
        operands = [env[x] if isinstance(x, Var) else x.value for x in eqn.inputs]
        if type(eqn.primitive).__name__ == kind:
            return eqn.primitive, operands
        out = EVAL.apply(eqn.primitive, tuple(operands))
        env.update(zip(eqn.outputs, out if eqn.primitive.multiple else [out]))
    raise AssertionError(f"no {kind} in\n{closed}")


def recorded_in(kind, f, *args):
    """Give the first linear step of a class in the derivative of `f`, and operands."""
    _, program = linearize_flat(lambda *xs: [f(*xs)], [as_value(x) for x in args])
    for primitive, operands, _ in program.steps:
        if type(primitive).__name__ == kind:
            return primitive, [
                as_value(floats(*x.shape)) if isinstance(x, LinearTracer) else x
                for x in operands
            ]
    raise AssertionError(f"no {kind} among {program.steps}")


@custom_jvp
def twice(x):
    return mul(x, 2.0)


twice.defjvps(lambda x_dot, ans, x: mul(x_dot, 2.0))


@custom_vjp
def thrice(x):
    return mul(sin(x), 3.0)


thrice.defvjp(
    lambda x: (thrice(x), convert(x, dtypes.float32)),
    lambda res, ct: (mul(ct, mul(table.cos(res), 3.0)),),
)
thrice.defjvp(
    lambda primals, tangents: (
        thrice(*primals),
        mul(tangents[0], mul(table.cos(primals[0]), 3.0)),
    )
)


def twice_on_host(x):
    return np.asarray(2 * x, np.float32)


def callback_examples(call):
    def f(x):
        return call(twice_on_host, structural.aval_of(x), x)

    return f


X = floats(2, 3)
S = floats()
#: Of an array of shape (2, 3): overlapping, empty, a single element.
BOXES = (((0, 2), (1, 3)), ((1, 2), (0, 3)), ((0, 0), (0, 3)), ((1, 2), (2, 3)))
DROPPED = ((), (0,), (), (0, 1))


def call_examples():
    """Give examples of the operations that hold a function or a program."""
    restart()
    pure = callback_examples(
        lambda f, out, x: callbacks.pure_callback(f, out, x, vmap_method="sequential")
    )
    io = callback_examples(lambda f, out, x: callbacks.io_callback(f, out, x))
    return {
        "JitCall": [applied_in("JitCall", jit(lambda x: [mul(sin(x), x), x]), X)],
        "CustomCall": [
            applied_in("CustomCall", twice, X),
            applied_in("CustomCall", thrice, X),
        ],
        "PullbackCall": [recorded_in("PullbackCall", thrice, X)],
        "PureCallback": [applied_in("PureCallback", pure, X)],
        "IOCallback": [applied_in("IOCallback", io, X)],
        "DebugCallback": [
            applied_in(
                "DebugCallback",
                lambda x: callbacks.debug_callback(lambda v: None, x),
                X,
            )
        ],
        "LinearCall": [
            applied_in(
                "LinearCall",
                lambda r, x: linear_call(scaled, scaled, r, x),
                floats(3),
                X,
            )
        ],
        "LinearSolve": [applied_in("LinearSolve", solved_by_division, floats(3), X)],
        **control_flow_examples(),
    }


def solved_by_division(a, b):
    """Solve a diagonal system, in which division is the solver."""
    shifted = add(mul(a, a), 1.0)

    def divide(matvec, b):
        return div(b, matvec(structural.full(b.shape, 1, b.dtype)))

    return custom_linear_solve(lambda x: mul(shifted, x), b, divide, divide)


def scaled(r, x):
    return mul(r, x)


def control_flow_examples():
    """Give examples of branches, loops and checkpoints."""

    def branches(i, x, y):
        return switch(i, [lambda x, y: (mul(x, y), x), lambda x, y: (sin(x), y)], x, y)

    def scanned(c, init, xs):
        def body(carry, x):
            carry = mul(sin(add(carry, x)), c)
            return carry, mul(carry, x)

        return scan(body, init, xs)

    def looped(c, x):
        return while_loop(
            lambda s: table.lt(s[0], 3), lambda s: (add(s[0], 1), mul(sin(s[1]), c)),
            (0, x), max_steps=4,
        )  # fmt: skip

    def saved(x, y):
        return checkpoint(lambda x, y: [mul(sin(x), y), y])(x, y)

    c, init, xs = floats(3), floats(3), floats(4, 3)
    return {
        "Cond": [applied_in("Cond", branches, i, X, floats(2, 3)) for i in (0, 1)],
        "Scan": [applied_in("Scan", scanned, c, init, xs)],
        "While": [applied_in("While", looped, c, init)],
        "LoopTangent": [
            recorded_in("LoopTangent", lambda c, x: looped(c, x)[1], c, init)
        ],
        "Checkpoint": [applied_in("Checkpoint", saved, X, floats(2, 3))],
        "CheckpointTangent": [
            recorded_in(
                "CheckpointTangent", lambda x, y: saved(x, y)[0], X, floats(2, 3)
            )
        ],
        "Name": [(Name("x"), [X])],
    }


# -- all others ------------------------------------------------------------------------

ROWS = GatherDimensionNumbers((1,), (0,), (0,))
INTO_ROWS = ScatterDimensionNumbers((1,), (0,), (0,))
PLACES = np.array([[2], [0], [3]], np.int32)
PAIRS = ((0, 1), (0, 0))
WINDOW = ((2, 1), (1, 2), PAIRS, (1, 1), (1, 1))


def triangular(*flags):
    return linalg.TriangularSolve(*flags)


def plain_examples():
    """Give examples of the operations on arrays that are not elementwise."""
    restart()
    x, v = X, floats(4)
    rows, updates = floats(4, 5), floats(3, 5)
    square, right = floats(3, 3) + 3 * np.eye(3, dtype="f4"), floats(3, 2)
    symmetric = positive_definite()
    key = np.array([1, 2], np.uint32)
    return {
        **reductions(x),
        "Accumulate": [(structural.accumulate, [x, floats(2, 3)])],
        "Full": [
            (structural.Full(1.5, (2,), dtypes.float32), []),
            (structural.Full(1.5, (), dtypes.float32, True), []),
        ],
        "Broadcast": [(structural.Broadcast((4, 2, 3), (1, 2)), [x])],
        "Constant": [
            (structural.Constant(structural.Held(from_host(floats(2, 3)))), []),
            (structural.Constant(structural.Held(from_host(S, True))), []),
        ],
        "Transpose": [(structural.Transpose((1, 0)), [x])],
        "Reshape": [(structural.Reshape((3, 2)), [x])],
        "IntegerPow": [(table.IntegerPow(n), [x]) for n in (-2, 0, 3)],
        "ConvertElementType": [
            (table.ConvertElementType(dtypes.int32), [x]),
            (table.ConvertElementType(dtypes.bfloat16), [x]),
            (table.ConvertElementType(dtypes.float32, True), [ints(2, 3)]),
            (table.ConvertElementType(dtypes.complex64), [x]),
            (table.ConvertElementType(dtypes.bool_), [x]),
        ],
        "StopGradient": [(table.stop_gradient, [x])],
        "Iota": [(creation.Iota(dtypes.int32, (2, 3), 1), [])],
        "BitcastConvertType": [(creation.BitcastConvertType(dtypes.int32), [x])],
        "Concatenate": [(shaping.Concatenate(1), [x, floats(2, 2), x])],
        "OptimizationBarrier": [(barrier.OptimizationBarrier(), [x, S])],
        "Pad": [(shaping.Pad(((1, 0, 1), (-1, 2, 0))), [x, S])],
        "Slice": [(shaping.Slice((0, 1), (2, 3), (1, 2)), [x])],
        "Split": [(shaping.Split((1, 2), 1), [floats(2, 3)])],
        "Pick": [
            (stacking.Pick((0, 1), (2, 3), (1, 2), (1,)), [x]),
            (stacking.Pick((1, 0), (2, 3), (1, 2), (0,)), [x]),
            (stacking.Pick((1, 2), (2, 3), (1, 1), (0, 1)), [x]),
        ],
        "Stack": [(stacking.Stack(1), [x, floats(2, 3)]), (stacking.Stack(0), [S, S])],
        "Unstack": [(stacking.Unstack(1), [x]), (stacking.Unstack(0), [x])],
        "CutBoxes": [(boxes.CutBoxes(BOXES, DROPPED), [floats(2, 3)])],
        "AddBoxes": [
            (
                boxes.AddBoxes(BOXES, DROPPED, (2, 3)),
                [floats(2, 2), floats(3), floats(0, 3), floats()],
            )
        ],
        "Reverse": [(shaping.Reverse((1,)), [x])],
        "Diagonal": [
            (diagonal.Diagonal(), [y])
            for y in (floats(3, 3), floats(2, 3, 3), ints(2, 2))
        ],
        "DynamicSlice": [
            applied_in(
                "DynamicSlice", lambda x, i: dynamic_slice(x, [0, i], (1, 2)), x, 1
            )
        ],
        "DynamicUpdateSlice": [
            applied_in(
                "DynamicUpdateSlice",
                lambda x, u, i: slicing.dynamic_update_slice(x, u, [0, i]),
                x,
                floats(1, 2),
                1,
            )
        ],
        "Gather": [(gather_scatter.Gather(ROWS, (1, 5)), [rows, PLACES])],
        **{
            kind.__name__: [(kind(INTO_ROWS), [rows, PLACES, updates])]
            for kind in (
                gather_scatter.ScatterAdd,
                indexing.ScatterSet,
                indexing.ScatterMin,
                indexing.ScatterMax,
            )
        },
        "ScatterMul": [
            (
                indexing.ScatterMul(INTO_ROWS, unique_indices=True),
                [rows, PLACES, updates],
            )
        ],
        "Sort": [
            (sorting.Sort(1), [x]),
            (sorting.Sort(0, 1), [v, floats(4), ints(4)]),
        ],
        "TopK": [(sorting.TopK(2), [x])],
        "DotGeneral": [
            (contraction.DotGeneral(((1,), (0,))), [x, floats(3, 4)]),
            (
                contraction.DotGeneral(((2,), (1,)), ((0,), (0,))),
                [floats(2, 3, 4), floats(2, 4)],
            ),
            (contraction.DotGeneral(((1,), (0,))), [ints(2, 3), ints(3, 2)]),
        ],
        "ConvGeneralDilated": [
            (
                convolution.ConvGeneralDilated((1,), ((1, 1),), (1,), (1,)),
                [floats(2, 3, 5), floats(4, 3, 2)],
            )
        ],
        "Fft": [
            (fourier.Fft("FFT", (4,)), [complexes(2, 4)]),
            (fourier.Fft("IFFT", (4,)), [complexes(2, 4)]),
            (fourier.Fft("RFFT", (4,)), [floats(2, 4)]),
            (fourier.Fft("IRFFT", (4,)), [complexes(2, 3)]),
        ],
        "Cholesky": [(linalg.cholesky, [symmetric])],
        "TriangularSolve": [
            (triangular(True, True, False, False, False), [square, right]),
            (triangular(False, False, True, False, True), [square, floats(2, 3)]),
        ],
        "TridiagonalSolve": [
            (banded.TridiagonalSolve(), [floats(3), floats(3), floats(3), right]),
            (banded.TridiagonalSolve(True), [*complexes(3, 3), complexes(3, 2)]),
        ],
        "BandedSolve": [
            (banded.BandedSolve(0, 1), [floats(2, 3) + 2, right]),
            (banded.BandedSolve(2, 1), [complexes(4, 3), complexes(3, 2)]),
        ],
        "Lu": [(linalg.Lu(), [square])],
        "PivotsToPermutation": [
            (row_order.PivotsToPermutation(3), [np.array([2, 1, 2], np.int32)])
        ],
        "PermuteRows": [
            (row_order.PermuteRows(inverse), [right, np.array([2, 0, 1], np.int32)])
            for inverse in (False, True)
        ],
        "Solve": [(linalg.solve, [square, right])],
        "Det": [(linalg.Det(), [square])],
        "SlogDet": [
            (linalg.SlogDet(), [square]),
            (linalg.SlogDet(), [complexes(2, 3, 3)]),
        ],
        "Qr": [(spectral.Qr(False), [floats(4, 3)])],
        "PivotedQr": [(spectral.PivotedQr(False), [floats(4, 3)])],
        "Eigh": [(spectral.Eigh(), [symmetric])],
        "Svd": [(spectral.Svd(False, False), [floats(4, 3)])],
        "Eig": [(spectral.Eig(False), [np.diag(np.float32([1, 3, 7])) + 0.1 * square])],
        "Pinv": [(spectral.Pinv(), [floats(4, 3)])],
        "Schur": [(schur.Schur(), [y]) for y in (symmetric, complexes(2, 3, 3))],
        "ComplexSchur": [(schur.ComplexSchur(), [square, square])],
        "Hessenberg": [(reflections.Hessenberg(), [symmetric])],
        "Tridiagonal": [
            (reflections.Tridiagonal(), [symmetric]),
            (reflections.Tridiagonal(False), [complexes(2, 3, 3)]),
        ],
        "Sylvester": [(schur.sylvester, [square, positive_definite(n=2), right])],
        "SquareRoot": [(schur.square_root, [symmetric])],
        "RandomSeed": [(random_bits.RandomSeed(), [np.int32(7)])],
        "RandomSplit": [(random_bits.RandomSplit((3,)), [key])],
        "RandomFoldIn": [(random_bits.RandomFoldIn(), [key, np.uint32(5)])],
        "RandomGamma": [
            (rejection.RandomGamma(log), [key, floats(4, low=0.2, high=3.0)])
            for log in (False, True)
        ],
        "RandomPoisson": [
            (
                rejection.RandomPoisson(dtypes.int32),
                [key, floats(4, low=0.2, high=30.0)],
            )
        ],
        "RandomBits": [(random_bits.RandomBits(b, (5,)), [key]) for b in (8, 16, 32)],
    }


def reductions(x):
    """Give examples of what goes along an axis."""
    integers = ints(2, 3, low=0, high=9)
    return {
        "ReduceSum": [
            (structural.ReduceSum((1,)), [x]),
            (structural.ReduceSum((0, 1)), [integers]),
        ],
        **{
            kind.__name__: [(kind((1,)), [x]), (kind((0,)), [integers])]
            for kind in (reduction.ReduceMax, reduction.ReduceMin, reduction.ReduceProd)
        },
        **{
            kind.__name__: [(kind((1,)), [x > 0]), (kind((0,)), [integers])]
            for kind in (reduction.ReduceAnd, reduction.ReduceOr, reduction.ReduceXor)
        },
        **{
            kind.__name__: [(kind(1, dtypes.int32), [x])]
            for kind in (reduction.ArgMax, reduction.ArgMin)
        },
        "Count": [
            (reduction.Count((1,), dtypes.int32), [x > 0]),
            (reduction.Count((0, 1), dtypes.int32), [x > 0]),
        ],
        "ReducePrecision": [(reduction.ReducePrecision(5, 10), [x])],
        **{
            kind.__name__: [(kind(1, back), [x]) for back in (False, True)]
            for kind in (
                cumulative.CumSum,
                cumulative.CumProd,
                cumulative.CumLogSumExp,
                cumulative.CumMax,
                cumulative.CumMin,
            )
        },
        "Recurrence": [
            (recurrence.Recurrence(axis, back), [floats(5, 3), floats(5, 3)])
            for axis, back in ((0, False), (1, True))
        ],
        **{
            kind.__name__: [(kind(*WINDOW), [floats(4, 5)])]
            for kind in (
                windows.ReduceWindowSum,
                windows.ReduceWindowMax,
                windows.ReduceWindowMin,
            )
        },
    }


def as_operands(operands):
    """Make arrays of NumPy operands; Python numbers stay."""
    return [
        x if isinstance(x, (Array, bool, int, float)) else as_value(x) for x in operands
    ]
