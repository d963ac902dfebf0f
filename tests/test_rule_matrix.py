"""Every operation has every rule, and all its rules agree.

The walk is over what is there: all subclasses of `Primitive` and all elementwise
operations in the package. What an operation lacks on purpose stands in a dictionary
below with its reason; what is listed but present is as wrong as what is missing and not
listed.
"""

import functools
import importlib
import itertools
import pkgutil
import sys

import numpy as np
import pytest

import pullback
from pullback import dtypes, jit, vmap
from pullback.backend import stablehlo
from pullback.core.array import Array
from pullback.core.primitive import Primitive
from pullback.core.trace import aval_of
from pullback.core.zero import Zero, is_zero
from pullback.errors import MissingDerivative
from pullback.primitives import structural, table
from pullback.primitives.elementwise import Elementwise
from pullback.transforms.linearize import linearize_flat
from pullback.transforms.transpose import backward
from tests.operation_examples import (
    as_operands,
    call_examples,
    elementwise_examples,
    plain_examples,
)
from tests.rule_checks import check_rules_of

RULES = ("abstract", "eager", "lower", "jvp", "transpose", "batch")

#: Classes that are no operations, but what several of them share.
BASES = {
    "Linear": "recipe: a derivative that is the operation itself",
    "Joining": "recipe: operands that are linear together",
    "Parting": "recipe: one linear operand, several results",
    "Flat": "recipe: a derivative that is zero",
    "Elementwise": "the class of the rows of the table",
    "Collective": "what operations across a mapped axis share",
    "PExtremum": "maximum and minimum across a mapped axis",
    "Cumulative": "what all running operations share",
    "RunningExtremum": "running maximum and minimum",
    "Reduction": "what all reductions share",
    "Extremum": "maximum and minimum",
    "Bitwise": "logical reductions",
    "ArgExtremum": "argmax and argmin",
    "Repeated": "operations that run a function again",
    "MatrixOperation": "a batch axis that becomes the leading axis",
    "HostMatrices": "functions of single NumPy matrices",
    "Form": "forms that matrices do not determine",
    "KeyOperation": "operations on keys of random numbers",
    "ReduceWindow": "reductions over windows",
    "ReduceWindowExtremum": "maximum and minimum over windows",
    "Scatter": "what all scatters share",
    "JointlyLinear": "scatters linear in operand and updates",
    "ScatterExtremum": "scatters that keep the greatest or least",
}

#: (operation, rule) -> why it is not there.
ABSENT = {
    ("PlainSort", rule): "appears in lowerings only, where nothing else is asked"
    for rule in ("abstract", "eager", "jvp", "batch")
}

#: Operations that cannot be applied by themselves.
WITHOUT_EXAMPLE = {
    "PlainSort": "appears in lowerings only",
    "Look": "has effects only; tried in tests/debugging/test_markers.py",
    "CotangentTap": "the same; tried in tests/debugging/test_markers.py",
    "Check": "has effects only; tried in tests/primitives/test_checks.py",
    **dict.fromkeys(
        (
            *("AllGather", "AllToAll", "AxisIndex", "PMax", "PMin", "PPermute"),
            *("PSum", "PSumScatter"),
        ),
        "wants a mapped axis; tried in tests/primitives/test_collectives.py",
    ),
    "Forbid": "stands for a derivative that must not be asked for; every rule raises",
}

DISCRETE = "results are whole numbers or truth values, constant between jumps"
BITS = "acts on bits"
STEPS = "constant between jumps"
#: (operation, operand) -> why the derivative there is zero.
ZERO_DERIVATIVES = {
    ("sign", 0): STEPS,
    ("floor", 0): STEPS,
    ("ceil", 0): STEPS,
    ("round", 0): STEPS,
    ("trunc", 0): STEPS,
    ("nextafter", 0): "as the ecosystem has it: neighbours are a matter of bits",
    ("nextafter", 1): "the same",
    **{
        (name, i): DISCRETE
        for name in ("eq", "ne", "lt", "le", "gt", "ge")
        for i in (0, 1)
    },
    ("is_finite", 0): DISCRETE,
    ("ArgMax", 0): DISCRETE,
    ("ArgMin", 0): DISCRETE,
    ("StopGradient", 0): "that is what it is for",
    ("BitcastConvertType", 0): BITS,
    ("DebugCallback", 0): "it has no results",
    ("RandomPoisson", 1): DISCRETE,
    ("PullbackCall", 1): "its jvp rule reads the primals, not the residuals of fwd",
}
ORDER = "it is whole"
FORM = "the form is not determined by the matrix"
UNKNOWN = "no closed form is known"
THIRD = "a third derivative in parameters is not computed"
FOREIGN = "Python code cannot be seen into"
#: (operation, operand) -> why asking for the derivative there is an error.
REFUSED_DERIVATIVES = {
    ("polygamma", 0): UNKNOWN,
    ("zeta_grad_s", 0): ORDER,
    ("expn", 0): ORDER,
    ("bessel_j", 0): ORDER,
    ("legendre", 0): ORDER,
    ("legendre", 1): ORDER,
    **{("hyp1f1", place): UNKNOWN for place in (0, 1)},
    **{("hyp2f1", place): UNKNOWN for place in (0, 1, 2)},
    ("complex_digamma", 0): "SciPy has no complex polygamma functions",
    ("igamma_grad_aa", 0): THIRD,
    **{
        (f"betainc_grad_{of}", place): THIRD
        for of in ("aa", "ab", "bb")
        for place in (0, 1)
    },
    ("Schur", 0): FORM,
    ("ComplexSchur", 0): FORM,
    ("ComplexSchur", 1): FORM,
    ("Hessenberg", 0): FORM,
    ("Tridiagonal", 0): FORM,
    ("PureCallback", 0): FOREIGN,
    ("IOCallback", 0): FOREIGN,
}
#: Operations that a batch must not meet, with the reason.
NO_LOOP = {
    "DebugCallback": "it has no results to compare",
    "ScatterMul": "tried in its own tests, with unique places",
}

#: How far eager and compiled values may be apart, relative; by dtype and operation.
NARROW_TOLERANCE = 2e-2
TOLERANCES = {"zeta": 2e-5, "polygamma": 2e-5, "igamma_grad_a": 1e-4, "Eigh": 5e-5}
TOLERANCE = 4e-6


# -- what there is ---------------------------------------------------------------------


def import_everything():
    for module in pkgutil.walk_packages(pullback.__path__, "pullback."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def subclasses(kind):
    for sub in kind.__subclasses__():
        yield sub
        yield from subclasses(sub)


@functools.cache
def classes():
    """Give every class of operations in the package, by name."""
    import_everything()
    found = {}
    for kind in subclasses(Primitive):
        home = sys.modules[kind.__module__]
        # `frozen` makes a second class of the one that was written.
        if kind.__module__.startswith("pullback.") and (
            getattr(home, kind.__name__, None) is kind
        ):
            assert found.setdefault(kind.__name__, kind) is kind, "two of one name"
    return found


@functools.cache
def elementwise():
    """Give every elementwise operation in the package, by name."""
    import_everything()
    found = {}
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("pullback."):
            for value in vars(module).values():
                if isinstance(value, Elementwise):
                    assert found.setdefault(value.name, value) is value, value.name
    return found


def operations():
    """Give the names of all classes and rows that can be applied."""
    rows = {type(e).__name__ for e in elementwise().values()}
    kinds = set(classes()) - set(BASES) - set(WITHOUT_EXAMPLE) - rows
    return sorted(kinds) + sorted(elementwise())


@functools.cache
def examples():
    found = {**plain_examples(), **call_examples()}
    found.update((n, elementwise_examples(e)) for n, e in elementwise().items())
    return {
        name: [(p, as_operands(xs)) for p, xs in cases] for name, cases in found.items()
    }


# -- the matrix ------------------------------------------------------------------------


def lacks(kind, rule):
    return getattr(kind, rule) is getattr(Primitive, rule)


def is_linear(kind):
    own = kind.linear_in is not Primitive.linear_in
    return own or bool(kind.linear)


@pytest.mark.parametrize("name", sorted(set(classes()) - set(BASES)))
def test_a_class_has_every_rule(name):
    kind = classes()[name]
    wanted = [r for r in RULES if r != "transpose" or is_linear(kind)]
    missing = {(name, r) for r in wanted if lacks(kind, r)}
    assert missing == {key for key in ABSENT if key[0] == name}


@pytest.mark.parametrize("name", BASES)
def test_a_base_is_only_a_base(name):
    kind = classes()[name]
    assert any(issubclass(k, kind) and k is not kind for k in classes().values()) or (
        name == "Elementwise"
    )
    assert name not in examples()


@pytest.mark.parametrize("name", sorted(elementwise()))
def test_a_row_of_the_table_is_complete(name):
    row = elementwise()[name]
    groups = {i for group in row.linear for i in group}
    has = {i for i, rule in enumerate(row.transposes) if rule is not None}
    assert groups == has, "transposes belong to the linear operands"
    assert set(row.kinds) <= set("biufc")
    assert row.result in ("same", "bool", "real")


def test_every_operation_has_examples_and_nothing_else_has():
    assert set(examples()) == set(operations())
    assert set(WITHOUT_EXAMPLE) <= set(classes())
    assert {name for name, _ in ABSENT} <= set(classes())


# -- eager, compiled, abstract ---------------------------------------------------------


def results(primitive, operands):
    out = primitive(*operands)
    return list(out) if primitive.multiple else [out]


def compare(found, expected, name):
    """Compare two values of one operation in type and, nearly, in value."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.weak_type == expected.weak_type, "weak flags differ"
    a, b = np.asarray(found), np.asarray(expected)
    if not dtypes.is_inexact(a.dtype):
        np.testing.assert_array_equal(a, b)
        return
    narrow = dtypes.is_float(a.dtype) and a.dtype.itemsize < 4
    tol = NARROW_TOLERANCE if narrow else TOLERANCES.get(name, TOLERANCE)
    kind = np.complex128 if a.dtype.kind == "c" else np.float64
    np.testing.assert_allclose(a.astype(kind), b.astype(kind), rtol=tol, atol=tol)


@pytest.mark.parametrize("name", operations())
def test_eager_compiled_and_abstract_agree(name):
    cases = examples()[name]
    eager = [results(p, xs) for p, xs in cases]

    def all_cases(arrays):
        given = iter(arrays)
        out = []
        for p, xs in cases:
            full = [next(given) if isinstance(x, Array) else x for x in xs]
            out.append(results(p, full))
        return out

    arrays = [x for _, xs in cases for x in xs if isinstance(x, Array)]
    compiled = jit(all_cases)(arrays)
    for (p, xs), one, other in zip(cases, eager, compiled):
        avals = p.abstract(*p.operand_avals(xs))
        avals = avals if p.multiple else [avals]
        assert len(one) == len(other) == len(avals)
        for x, y, aval in zip(one, other, avals):
            assert isinstance(x, Array)
            assert aval_of(x) == aval, f"{p}: eager gives another type than abstract"
            compare(y, x, name)


@pytest.mark.parametrize("name", operations())
def test_what_is_lowered_often_is_written_alike(name, monkeypatch):
    cases = examples()[name]

    def often(arrays):
        given = iter(arrays)
        outs = []
        for p, xs in cases:
            full = [next(given) if isinstance(x, Array) else x for x in xs]
            for _ in range(stablehlo._OFTEN + 3):
                outs += results(p, full)
        return outs

    arrays = [x for _, xs in cases for x in xs if isinstance(x, Array)]
    traced = jit(often).trace(arrays)
    with_templates = traced.lower().as_text()
    monkeypatch.setattr(stablehlo, "_OFTEN", -1)
    assert traced.lower().as_text() == with_templates


# -- derivatives -----------------------------------------------------------------------


def float_operands(name):
    """Give (example, operand) for the operands that could have a derivative."""
    for p, xs in examples()[name]:
        for i, x in enumerate(xs):
            if isinstance(x, Array) and dtypes.is_inexact(x.dtype):
                yield p, xs, i


def derivative_kind(p, xs, place):
    """Say whether a derivative is there, zero, or refused."""
    dots = [x if i == place else Zero(like=x) for i, x in enumerate(xs)]
    try:
        outs, outs_dot = p.jvp(xs, dots)
    except MissingDerivative:
        return "refused"
    outs, outs_dot = (outs, outs_dot) if p.multiple else ([outs], [outs_dot])
    floating = [(y, t) for y, t in zip(outs, outs_dot) if dtypes.is_inexact(y.dtype)]
    for y, t in zip(outs, outs_dot):
        assert t.aval.shape == y.shape
        assert t.aval.dtype == dtypes.tangent_dtype(y.dtype)
    return "zero" if all(is_zero(t) for _, t in floating) else "there"


@pytest.mark.parametrize("name", operations())
def test_a_derivative_is_there_unless_listed(name):
    found = {}
    for p, xs, place in float_operands(name):
        if type(p).__name__ == "ConvertElementType" and p.new_dtype.kind in "ib":
            continue
        if type(p).__name__ == "IntegerPow" and p.exponent == 0:
            continue
        found.setdefault((name, place), set()).add(derivative_kind(p, xs, place))
    for key, kinds in found.items():
        wanted = "there"
        if key in ZERO_DERIVATIVES:
            wanted = "zero"
        elif key in REFUSED_DERIVATIVES:
            wanted = "refused"
        assert kinds == {wanted}, key


def test_listed_absences_are_of_operations_that_exist():
    known = {
        (name, place) for name in operations() for _, _, place in float_operands(name)
    }
    assert set(ZERO_DERIVATIVES) | set(REFUSED_DERIVATIVES) <= known


@pytest.mark.parametrize("name", operations())
def test_transposes_agree_with_derivatives_by_inner_products(name):
    for p, xs, place in float_operands(name):
        group = p.linear_in([i == place for i in range(len(xs))])
        if group is None or type(p).__name__ in ("CustomCall",):
            continue
        check_transpose(p, xs, place)


def check_transpose(p, xs, place):
    def f(x):
        full = [x if i == place else y for i, y in enumerate(xs)]
        outs = results(p, full)
        return [y for y in outs if dtypes.is_inexact(y.dtype)]

    outs, program = linearize_flat(f, [xs[place]])
    if all(map(is_zero, program.outputs)):
        return
    rng = np.random.default_rng(3)
    cts = [like(y, rng) for y in outs]
    dots = program(xs[place])
    (back,) = backward(program, cts)
    assert (back.shape, back.dtype) == (xs[place].shape, xs[place].dtype)
    forward = sum(inner(c, t) for c, t in zip(cts, dots) if not is_zero(t))
    narrow = min(x.dtype.itemsize for x in (xs[place], *outs)) < 4
    tol = 5e-2 if narrow else 1e-4
    backwards = inner(back, xs[place])
    np.testing.assert_allclose(backwards, forward, rtol=tol, atol=tol)


def like(x, rng):
    y = rng.standard_normal(x.shape)
    if x.dtype.kind == "c":
        y = y + 1j * rng.standard_normal(x.shape)
    return as_operands([np.asarray(y).astype(x.dtype)])[0]


def inner(a, b):
    """Give the real product, as transposes between reals and complexes mean it."""
    a, b = np.asarray(a), np.asarray(b)
    kind = np.complex128 if a.dtype.kind == "c" or b.dtype.kind == "c" else np.float64
    return np.sum(a.astype(kind) * b.astype(kind)).real


# -- batches ---------------------------------------------------------------------------


def stacked(x):
    """Give two different examples of an operand along a new first axis."""
    value = np.asarray(x)
    flipped = np.roll(value.reshape(-1), 1).reshape(value.shape)
    return as_operands([np.stack([value, flipped])])[0]


@pytest.mark.parametrize("name", operations())
def test_a_batch_is_a_loop(name):
    if name in NO_LOOP:
        pytest.skip(NO_LOOP[name])
    for p, xs in examples()[name][:4]:
        places = [i for i, x in enumerate(xs) if isinstance(x, Array)]
        for mask in itertools.product((False, True), repeat=len(places)):
            if any(mask):
                mapped = {i for i, m in zip(places, mask) if m}
                check_batch(p, xs, mapped, name)


def check_batch(p, xs, mapped, name):
    if name == "Cholesky" or name in ("Eigh", "Eig"):
        batch = {i: as_operands([np.stack([np.asarray(xs[i])] * 2)])[0] for i in mapped}
    else:
        batch = {i: stacked(xs[i]) for i in mapped}

    def f(given):
        return results(p, [given.get(i, x) for i, x in enumerate(xs)])

    found = vmap(f)(batch)
    for row in range(2):
        one = {i: as_operands([np.asarray(b)[row]])[0] for i, b in batch.items()}
        for y, whole in zip(f(one), found):
            part = np.asarray(whole)[row]
            assert part.dtype == y.dtype
            kind = np.complex128 if y.dtype.kind == "c" else np.float64
            if not dtypes.is_inexact(y.dtype):
                np.testing.assert_array_equal(part, np.asarray(y))
                continue
            tol = NARROW_TOLERANCE if y.dtype.itemsize < 4 else 2e-5
            np.testing.assert_allclose(
                part.astype(kind), np.asarray(y).astype(kind), rtol=tol, atol=tol
            )


# -- everything by finite differences --------------------------------------------------

#: Operations whose derivatives are tried by finite differences in tests of their own.
NOT_BY_DIFFERENCES = {
    "RandomGamma": "its numbers come from rejection; only their law is smooth",
    "StopGradient": "differences do not stop",
    "BitcastConvertType": BITS,
    "ReducePrecision": "it rounds, so that differences are rounded too",
    "ConvertElementType": "it rounds",
    **dict.fromkeys(
        call_examples(), "its program is of 32 bits; see tests of compositions"
    ),
}
#: Operations that read one triangle of a matrix: they are given symmetric ones.
SYMMETRIC = ("Cholesky", "Eigh")
#: Operations whose second derivatives are not known in closed form.
FIRST_ORDER = ("log_gamma", "igamma_grad_a", "betainc_grad_a", "betainc_grad_b")


@pytest.mark.parametrize("name", sorted(set(operations()) - set(NOT_BY_DIFFERENCES)))
def test_all_rules_hold_against_differences_and_loops(name):
    done = set()
    for p, xs in examples()[name]:
        kinds = tuple(np.asarray(x).dtype.kind for x in xs)
        narrow = any(np.asarray(x).dtype.itemsize < 4 for x in xs)
        if (p, kinds) in done or narrow or not all(isinstance(x, Array) for x in xs):
            continue
        done.add((p, kinds))
        check_example(name, p, xs)


def check_example(name, p, xs):
    places = [i for i, x in enumerate(xs) if dtypes.is_inexact(x.dtype)]
    places = [i for i in places if (name, i) not in REFUSED_DERIVATIVES]
    discrete = any((name, i) in ZERO_DERIVATIVES for i in places)
    free = [np.asarray(xs[i]) for i in places]
    free = [
        x.astype(np.complex128 if x.dtype.kind == "c" else np.float64) for x in free
    ]
    fixed = [np.asarray(x).astype(np.float64) if x.dtype.kind == "f" else x for x in xs]

    def f(*given):
        full = [x if isinstance(x, Array) else as_operands([x])[0] for x in fixed]
        for i, x in zip(places, given):
            if name in SYMMETRIC:
                x = table.mul(table.add(x, structural.transpose(x, (1, 0))), 0.5)
            full[i] = x
        return results(p, full)

    order = 0 if discrete or not places else 1 if name in FIRST_ORDER else 2
    check_rules_of(f, *free, order=order, batched=False)
