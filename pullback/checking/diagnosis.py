"""What would explain a wrong derivative: sign, factor, swapped arguments and so on.

Each explanation is a small function of the evidence, tried in order from the most
telling; the first that accounts for every number at every point is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback.checking.coordinates import Space
from pullback.lazy import fractions

CONSTANTS = {
    "pi": math.pi,
    "2*pi": 2 * math.pi,
    "pi/180 (degrees and radians?)": math.pi / 180,
    "180/pi (degrees and radians?)": 180 / math.pi,
    "log(2)": math.log(2),
    "log(10)": math.log(10),
    "1/log(2)": 1 / math.log(2),
    "1/log(10)": 1 / math.log(10),
    "sqrt(2)": math.sqrt(2),
    "1/sqrt(2)": math.sqrt(0.5),
    "sqrt(pi)": math.sqrt(math.pi),
    "2/sqrt(pi)": 2 / math.sqrt(math.pi),
    "1/sqrt(2*pi)": 1 / math.sqrt(2 * math.pi),
}

Feature = Callable[[np.ndarray], np.ndarray]
FEATURES: tuple[tuple[str, Feature], ...] = (
    ("{0}", lambda v: v),
    ("1/{0}", lambda v: 1 / v),
    ("{0}**2", lambda v: v * v),
    ("1/{0}**2", lambda v: 1 / (v * v)),
    ("sqrt({0})", np.sqrt),
    ("1/sqrt({0})", lambda v: 1 / np.sqrt(v)),
    ("cos({0})", np.cos),
    ("sin({0})", np.sin),
    ("exp({0})", np.exp),
    ("exp(-{0})", lambda v: np.exp(-v)),
    ("log({0})", np.log),
    ("(1 - {0})", lambda v: 1 - v),
    ("(1 + {0})", lambda v: 1 + v),
    ("(1 - {0}**2)", lambda v: 1 - v * v),
    ("(1 + {0}**2)", lambda v: 1 + v * v),
    ("1/(1 + {0}**2)", lambda v: 1 / (1 + v * v)),
    ("{0}**3", lambda v: v**3),
)


class Sample(NamedTuple):
    """What was found at one point.

    Fields:
        found, wanted: matrices of derivatives (outputs, inputs).
        inputs: the values of the leaves that vary.
        outputs: the values of the output's leaves.
    """

    found: np.ndarray
    wanted: np.ndarray
    inputs: list[np.ndarray]
    outputs: list[np.ndarray]


class Evidence(NamedTuple):
    """A wrong derivative with respect to one leaf.

    Fields:
        leaf: which leaf.
        samples: what was found at each point; the given one first.
        inputs, outputs: what rows and columns are.
        mode: "jvp" or "vjp".
        elsewhere: gives the matrix of the rule (True) or the reference (False) with
            leaf `leaf` replaced by another array; None where that cannot be had.
        base_right: it is right at the given point, and wrong at others.
    """

    leaf: int
    samples: Sequence[Sample]
    inputs: Space
    outputs: Space
    mode: str
    elsewhere: Callable[[bool, np.ndarray], np.ndarray | None]
    base_right: bool

    @property
    def columns(self) -> np.ndarray:
        """Which columns belong to the leaf."""
        return self.inputs.of_leaf(self.leaf)

    @property
    def what(self) -> str:
        """What the rule multiplies."""
        return "tangent" if self.mode == "jvp" else "cotangent"

    def blocks(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Give (found, wanted) of the leaf at each point."""
        c = self.columns
        return [(s.found[:, c], s.wanted[:, c]) for s in self.samples]

    def explains(self, change: Callable[[np.ndarray], np.ndarray]) -> bool:
        """Whether changing what is wanted gives what was found, at every point."""
        return all(same(found, change(wanted)) for found, wanted in self.blocks())


def same(a: np.ndarray, b: np.ndarray, rtol: float = 1e-3) -> bool:
    """Whether two matrices agree, up to rounding, where both are known."""
    if a.shape != b.shape:
        return False
    known = np.isfinite(b)
    scale = np.max(np.abs(b[known]), initial=0.0)
    return bool(np.all(np.isfinite(a[known]))) and bool(
        np.all(np.abs(a - b)[known] <= rtol * np.abs(b[known]) + 1e-6 * scale)
    )


def diagnose(evidence: Evidence) -> str:
    """Name what would explain a wrong derivative, or say that nothing simple does."""
    for explain in EXPLANATIONS:
        with np.errstate(all="ignore"):
            text = explain(evidence)
        if text:
            return text
    return "no simple change explains it; work through the formula again."


# -- explanations ----------------------------------------------------------------------


def not_finite(e: Evidence) -> str:
    """Nan or infinity where the derivative is finite."""
    found, wanted = e.blocks()[0]
    bad = ~np.isfinite(found) & np.isfinite(wanted)
    if not bad.any():
        return ""
    return "not finite: the rule gives nan or inf where the derivative is finite."


def one_point(e: Evidence) -> str:
    """Right where it was asked first, wrong elsewhere."""
    if not e.base_right:
        return ""
    constant = all(same(s.found, e.samples[0].found) for s in e.samples)
    same_everywhere = " It is the same number at every point." if constant else ""
    return (
        "only right at one point: it agrees at the given arguments and not near them, "
        "so the rule holds a number that belongs there only." + same_everywhere
    )


def zero(e: Evidence) -> str:
    """Nothing at all."""
    if not all(not found.any() for found, _ in e.blocks()):
        return ""
    return "missing: the rule gives zero (or None) where the derivative is not zero."


def sign(e: Evidence) -> str:
    """The opposite."""
    return "sign: it is minus the derivative." if e.explains(lambda w: -w) else ""


def factor(e: Evidence) -> str:
    """A constant times the derivative."""
    ratio = constant_ratio(e)
    if ratio is None:
        return ""
    for size, what in sizes(e):
        if size > 2 and math.isclose(abs(ratio), size, rel_tol=1e-3):
            return f"factor {size}, which is {what}: a sum where a mean belongs."
        if size > 2 and math.isclose(abs(ratio), 1 / size, rel_tol=1e-3):
            return f"factor 1/{size}, one over {what}: a mean where a sum belongs."
    fraction = fractions.Fraction(ratio).limit_denominator(12)
    if fraction and math.isclose(fraction, ratio, rel_tol=1e-4) and abs(fraction) <= 24:
        if abs(fraction) == 2:
            return f"factor two: it is {fraction} times the derivative."
        if abs(fraction) == fractions.Fraction(1, 2):
            return f"factor two: it is {fraction} of the derivative."
        return f"factor {fraction}: it is {fraction} times the derivative."
    for name, value in CONSTANTS.items():
        if math.isclose(abs(ratio), value, rel_tol=1e-3):
            return f"factor {name}: it is {ratio:.6g} times the derivative."
    return f"factor {ratio:.6g}: it is a constant times the derivative."


def constant_ratio(e: Evidence) -> float | None:
    """Give found / wanted if it is one number everywhere."""
    found = np.concatenate([f.ravel() for f, _ in e.blocks()])
    wanted = np.concatenate([w.ravel() for _, w in e.blocks()])
    known = np.isfinite(wanted) & np.isfinite(found)
    found, wanted = found[known], wanted[known]
    if not wanted.any() or not found.any():
        return None
    ratio = float(found @ wanted / (wanted @ wanted))
    # One point with one number has a ratio, but proves nothing.
    enough = len(e.samples) > 1 or np.count_nonzero(wanted) > 1
    return ratio if enough and same(found, ratio * wanted) else None


def sizes(e: Evidence) -> Iterator[tuple[int, str]]:
    """Give the sizes of arguments and outputs, and their axes."""
    for space in (e.inputs, e.outputs):
        for shape, name in zip(space.shapes, space.names):
            yield math.prod(shape), f"the number of elements of {name}"
            for axis, n in enumerate(shape):
                yield n, f"the length of axis {axis} of {name}"


def swapped(e: Evidence) -> str:
    """The derivative by another argument."""
    for other, name in enumerate(e.inputs.names):
        theirs = e.inputs.of_leaf(other)
        if other == e.leaf or theirs.sum() != e.columns.sum():
            continue
        if all(same(s.found[:, e.columns], s.wanted[:, theirs]) for s in e.samples):
            mine = e.inputs.names[e.leaf]
            both = all(
                same(s.found[:, theirs], s.wanted[:, e.columns]) for s in e.samples
            )
            if both:
                what = f"the derivatives by {mine} and {name} are exchanged."
                return f"swapped arguments: {what}"
            return f"swapped arguments: it is the derivative by {name}, not by {mine}."
    return ""


def conjugate(e: Evidence) -> str:
    """The complex conjugate of the derivative."""
    part = np.array([c.imaginary for c in e.inputs.coordinates])[e.columns]
    rows = np.array([c.imaginary for c in e.outputs.coordinates])
    if not part.any():
        return ""
    inner, outer = np.where(part, -1.0, 1.0), np.where(rows, -1.0, 1.0)[:, None]
    if e.explains(lambda w: w * inner * outer):
        return (
            "conjugate: it is the complex conjugate of the derivative; cotangents and "
            "tangents are multiplied without conjugation here."
        )
    if e.explains(lambda w: w * inner) or e.explains(lambda w: w * outer):
        return f"conjugate: the {e.what} or the result is conjugated once too often."
    return ""


def transposed(e: Evidence) -> str:
    """A matrix where its transpose belongs."""
    found, _ = e.blocks()[0]
    if found.shape[0] == found.shape[1] > 1 and e.explains(lambda w: w.T):
        return (
            "transposed matrix: it is the transpose of the Jacobian; a matrix A "
            "stands where A.T belongs."
        )
    shape = e.inputs.shapes[e.leaf]
    if len(shape) >= 2 and shape[-1] == shape[-2] > 1 and not e.inputs.sampled:
        order = np.arange(math.prod(shape)).reshape(shape)
        order = np.swapaxes(order, -1, -2).reshape(-1)
        if found.shape[1] == len(order) and e.explains(lambda w: w[:, order]):
            return (
                f"transposed matrix: the result for {e.inputs.names[e.leaf]} is the "
                "transpose of the right one."
            )
    return ""


def value_returned(e: Evidence) -> str:
    """The function's value where its derivative belongs."""
    size = int(e.columns.sum())
    for fixed in (True, False):
        hits = []
        for s in e.samples:
            values = (
                e.outputs.read(s.outputs)
                if fixed
                else e.inputs.read(s.inputs)[e.columns]
            )
            found = s.found[:, e.columns]
            if found.shape == (len(values), size) and size == len(values):
                hits.append(same(found, np.diag(values)))
            else:
                hits.append(
                    len(values) == 1 and same(found, np.full(found.shape, values[0]))
                )
        if all(hits):
            which = (
                "function's value"
                if fixed
                else f"argument {e.inputs.names[e.leaf]} itself"
            )
            what = f"it is the {which} times the {e.what}."
            return f"value in place of the derivative: {what}"
    return ""


def broadcast(e: Evidence) -> str:
    """One term, or the mean, of a sum over the axis an argument is repeated along."""
    found, _ = e.blocks()[0]
    rows = found.shape[0]
    if rows < 2 or e.inputs.sampled or e.outputs.sampled:
        return ""
    for k in range(rows):
        if all(
            same(f[k], w[k])
            and not np.delete(f, k, 0).any()
            and np.delete(w, k, 0).any()
            for f, w in e.blocks()
        ):
            return (
                f"missing sum over a broadcast axis: only the {e.what} of "
                f"{e.outputs.coordinates[k].name} is used."
            )
    return ""


def residual(e: Evidence) -> str:
    """The right formula at the wrong place: another value was kept as the residual."""
    s = e.samples[0]
    shape = e.inputs.shapes[e.leaf]
    mine = e.inputs.names[e.leaf]
    others = [(f"the output ({n})", y) for n, y in zip(e.outputs.names, s.outputs)]
    others += [
        (f"argument {n}", x)
        for k, (n, x) in enumerate(zip(e.inputs.names, s.inputs))
        if k != e.leaf
    ]
    for name, value in others:
        if np.shape(value) != tuple(shape) or same(np.asarray(value), s.inputs[e.leaf]):
            continue
        reference = e.elsewhere(False, np.asarray(value))
        if reference is not None and same(
            s.found[:, e.columns], reference[:, e.columns]
        ):
            return (
                f"wrong residual: it is the derivative at {name} in place of {mine}; "
                "keep the argument."
            )
        rule = e.elsewhere(True, np.asarray(value))
        if rule is not None and same(rule[:, e.columns], s.wanted[:, e.columns]):
            what = f"the rule would be right with {name} in place of {mine}."
            return f"wrong residual: {what}"
    return ""


def chain(e: Evidence) -> str:
    """A factor that depends on an argument or on the output."""
    for name, values in candidates(e):
        for text, feature in FEATURES:
            factors = [feature(np.asarray(v, float)) for v in values]
            scale = scale_of(e, factors)
            if scale is None:
                continue
            product = text.format(name)
            if scale != 1:
                product = f"{scale}*{product}"
            return f"missing chain factor: it would be right multiplied by {product}."
    return ""


def candidates(e: Evidence) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Give values that a factor may depend on, shaped to multiply the block."""
    block = e.blocks()[0][0]
    for inputs in (True, False):
        space = e.inputs if inputs else e.outputs
        for k, name in enumerate(space.names):
            if any(c.imaginary for c in space.coordinates):
                continue
            values = [
                space.read(s.inputs if inputs else s.outputs)[space.of_leaf(k)]
                for s in e.samples
            ]
            n = len(values[0])
            if n == 1:
                yield name, [v.reshape(1, 1) for v in values]
            if n == block.shape[1]:
                yield name, [v.reshape(1, n) for v in values]
            if n == block.shape[0]:
                yield name, [v.reshape(n, 1) for v in values]


def scale_of(e: Evidence, factors: Sequence[np.ndarray]) -> Any:
    """Give the simple constant c with found * c * factor == wanted, if there is one."""
    products = [f * g for (f, _), g in zip(e.blocks(), factors)]
    if len(e.samples) < 2 or not all(np.isfinite(p).all() for p in products):
        return None
    found = np.concatenate([p.ravel() for p in products])
    wanted = np.concatenate([w.ravel() for _, w in e.blocks()])
    known = np.isfinite(wanted)
    found, wanted = found[known], wanted[known]
    if not found.any():
        return None
    ratio = float(found @ wanted / (found @ found))
    if not math.isfinite(ratio):
        return None
    fraction = fractions.Fraction(ratio).limit_denominator(6)
    if (
        not fraction
        or abs(fraction) > 12
        or not math.isclose(fraction, ratio, rel_tol=1e-4)
    ):
        return None
    return fraction if same(found * ratio, wanted) else None


def reciprocal(e: Evidence) -> str:
    """One over the derivative: that of the inverse function."""
    for found, wanted in e.blocks():
        use = wanted != 0
        if not use.any() or not same(found[use], 1 / wanted[use]) or found[~use].any():
            return ""
    return "reciprocal: it is one over the derivative."


def order(e: Evidence) -> str:
    """The right numbers in the wrong places."""
    for found, wanted in e.blocks():
        if found.size < 2 or not same(np.sort(found.ravel()), np.sort(wanted.ravel())):
            return ""
        if not wanted.any():
            return ""
    return (
        "order: the numbers are right but in wrong places; an index, a permutation "
        "or a flip is missing in the rule."
    )


def constant(e: Evidence) -> str:
    """The same at every point, where the derivative is not."""
    founds = [f for f, _ in e.blocks()]
    wanteds = [w for _, w in e.blocks()]
    if len(founds) < 2 or not all(same(f, founds[0]) for f in founds[1:]):
        return ""
    if all(same(w, wanteds[0]) for w in wanteds[1:]):
        return ""
    return (
        "missing chain factor: it is the same at every point, so the rule does not "
        "use the argument."
    )


def offset(e: Evidence) -> str:
    """A term more or less that is the same everywhere."""
    found, wanted = e.blocks()[0]
    known = np.isfinite(wanted)
    step = (found - wanted)[known]
    if step.size and np.any(wanted[known]) and np.allclose(step, step[0], rtol=1e-3):
        rest = [(f - w)[np.isfinite(w)] for f, w in e.blocks()[1:]]
        if rest and all(np.allclose(r, step[0], rtol=1e-3) for r in rest):
            return (
                f"a term too {'many' if step[0] > 0 else 'few'}: it is off by "
                f"{step[0]:.6g} everywhere."
            )
    return ""


def imprecise(e: Evidence) -> str:
    """Nearly right."""
    if e.explains(lambda w: w) or all(same(f, w, 0.02) for f, w in e.blocks()):
        return (
            "imprecise: right to two digits only; an approximation, or precision lost "
            "to cancellation."
        )
    return ""


EXPLANATIONS: tuple[Callable[[Evidence], str], ...] = (
    not_finite,
    one_point,
    zero,
    sign,
    imprecise,
    conjugate,
    factor,
    swapped,
    transposed,
    broadcast,
    residual,
    value_returned,
    chain,
    reciprocal,
    order,
    offset,
    constant,
)
