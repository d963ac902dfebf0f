"""Custom rules held against the function they belong to, and against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pullback import tree
from pullback.calls.jit import jit
from pullback.checking.case import Case, Matrices, Point, near
from pullback.checking.coordinates import Space, in_64_bits
from pullback.checking.diagnosis import Evidence, Sample, diagnose
from pullback.checking.grads import excess_of, worst_of
from pullback.checking.jacobian import along, applied, inner, random_like
from pullback.checking.linearity import differ, find_nonlinear, worst
from pullback.checking.raw_rules import explain_error
from pullback.checking.report import Line, RuleReport, number_text
from pullback.core.origin import called_at, defined_at, name_of
from pullback.errors import ArgumentError, ConcretizationError
from pullback.transforms.tangents import aval_text
from pullback.transforms.vjp import jvp, vjp
from pullback.transforms.vmap import vmap


def check_rules(
    f: Any,
    *args: Any,
    extremes: Sequence[Any] = (),
    points: int = 2,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Hold the custom rules of `f` against `f` itself; silent if they are right.

    Arguments as `rule_report`.

    Raises:
        AssertionError: a rule is wrong. Each line names function, rule, argument, path,
            both numbers, and what would explain them.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import custom_jvp
        >>> @custom_jvp
        ... def square(x):
        ...     return x * x
        >>> square.defjvps(lambda x_dot, ans, x: 2. * x * x_dot)
        >>> check_rules(square, 3.)
    """
    report = rule_report(
        f, *args, extremes=extremes, points=points, rtol=rtol, atol=atol
    )
    if not report.passed:
        raise AssertionError(report.error_text())


def rule_report(
    f: Any,
    *args: Any,
    extremes: Sequence[Any] = (),
    points: int = 2,
    rtol: float | None = None,
    atol: float | None = None,
) -> RuleReport:
    """Give a table of all that was checked of the custom rules of `f`.

    Primal outputs are held against the function's; the derivative by each argument
    against that of the function's body, or finite differences where the body has none;
    the rules against each other. Then linearity, `jit` and `vmap` are tried. All in 64
    bits, at the given arguments and near them.

    Args:
        f: a `custom_jvp` or `custom_vjp` function, or a method, partial or compiled
            function around one.
        args: its arguments.
        extremes: tuples of arguments at which value and derivatives must be finite;
            for a function of one argument, its values.
        points: how many points near the given one are tried as well.
        rtol: the relative tolerance; by default 1e-4.
        atol: the absolute tolerance; by default 1e-6 of the largest derivative.

    Returns:
        A `RuleReport`: prints as text, shows as HTML in a notebook, is false if a
        check failed.

    Raises:
        ArgumentError: `f` has no rules.
    """
    case = Case(f, args)
    rules = case.kept_rules
    if len(rules.functions) == 1:
        raise ArgumentError(
            f"{case.name} has no custom rules to check yet.",
            where=called_at(),
            mend="Define one with defjvp, defjvps or defvjp.",
        )
    types = ", ".join(f"{n}={aval_or_type(x)}" for n, x in zip(case.names, case.full))
    with in_64_bits() if takes_64_bits(case) else _nothing():
        lines = list(Checker(case, points, rtol, atol).lines())
    lines += list(extreme_lines(case, f, extremes))
    return RuleReport(case.name, f"{case.function!r} at {types}", lines)


class _nothing:
    """A context that changes nothing."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def aval_or_type(x: Any) -> str:
    """Write the type of an argument; the number of leaves of a container."""
    if tree.leaves(x) == [x] or hasattr(x, "shape"):
        return aval_text(x)
    return f"{type(x).__name__} of {len(tree.leaves(x))}"


def takes_64_bits(case: Case) -> bool:
    """Whether the function's body can be called with 64-bit types."""
    with in_64_bits():
        body = case.subjects()[1].wide()
        try:
            body(*body.point)
        except Exception:  # it insists on narrow types
            return False
    return True


class Checker:
    """The checks of one function's rules, each giving lines of the report.

    Args:
        case: the function and its arguments.
        points: how many other points to try.
        rtol, atol: tolerances; None for the usual ones.
    """

    def __init__(
        self, case: Case, points: int, rtol: float | None, atol: float | None
    ) -> None:
        self.case = case
        self.rules = case.kept_rules
        self.tolerances = rtol, atol
        narrow = case.subjects()
        self.subject, self.body = narrow[0].wide(), narrow[1].wide()
        self.base = Point(self.subject, self.body)
        others = (near(self.base, seed) for seed in range(points))
        self.points = [self.base, *[p for p in others if p is not None]]
        self.modes: list[str] = []
        if self.rules.jvp is not None or self.rules.jvps is not None:
            self.modes.append("jvp")
        if self.rules.fwd is not None:
            self.modes.append("vjp")
        self.broken: set[str] = set()
        self.nonlinear: dict[str, str] = {}

    def lines(self) -> Iterator[Line]:
        """Run all checks."""
        if not self.base.inputs.coordinates:
            yield Line("derivative", passed=None, diagnosis="no argument has one.")
            return
        for mode in self.modes:
            yield from self.primal_output(mode)
            if mode in self.broken:
                continue
            yield from self.linearity(mode)
            if mode not in self.broken:
                yield from self.derivatives(mode)
                yield from self.unseen(mode)
        if "jvp" in self.modes and "jvp" not in self.broken | set(self.nonlinear):
            yield from self.agreement()
        yield from self.compiled()
        yield from self.mapped()

    # -- naming ------------------------------------------------------------------------

    def rule_of(self, mode: str, leaf: int | None = None) -> tuple[str, str]:
        """Give the name and the place of the rule that gives a derivative."""
        rules = self.rules
        if mode == "vjp":
            rule, slot = rules.bwd, "bwd"
        elif mode == "fwd":
            rule, slot = rules.fwd, "fwd"
        elif mode == "vmap":
            rule, slot = rules.vmap, "vmap"
        elif rules.jvp is not None:
            rule, slot = rules.jvp, "jvp"
        else:
            return self._argument_rule(leaf)
        return f"{slot} rule `{name_of(rule)}`", defined_at(rule) if rule else ""

    def _argument_rule(self, leaf: int | None) -> tuple[str, str]:
        """Give the name and place of a rule given with defjvps."""
        found = [r for r in self.rules.jvps or () if r is not None]
        if leaf is None:
            return "defjvps rules", defined_at(found[0]) if found else ""
        position = self.case.argument_of(self.subject.varied[leaf])
        nondiff = sum(i < position for i in self.case.nondiff)
        rule = (self.rules.jvps or ())[position - nondiff]
        if rule is None:
            return f"defjvps rule None for {self.case.names[position]}", ""
        return f"defjvps rule `{name_of(rule)}`", defined_at(rule)

    def failed(self, check: str, mode: str, error: Exception) -> Line:
        """Make the line for a rule that raised an error."""
        rule, place = self.rule_of(mode)
        text = explain_error(self.case, mode, error)
        return Line(check, rule, "", False, diagnosis=text, place=place)

    # -- the checks --------------------------------------------------------------------

    def primal_output(self, mode: str) -> Iterator[Line]:
        """Hold the primal output of a rule against the function's."""
        slot = "fwd" if mode == "vjp" else "jvp"
        rule, place = self.rule_of(slot)
        for point in self.points:
            try:
                found = self.primal_by(mode, point)
            except Exception as error:
                self.broken.add(mode)
                yield self.failed("primal output", mode, error)
                return
            a, b = point.outputs.read(found), point.outputs.read(point.values)
            if differ(a, b) or (~np.isfinite(a) & np.isfinite(b)).any():
                off = worst(np.where(np.isfinite(a), a, 1e300), b, "")
                name = point.outputs.coordinates[off.at].name
                same = point is self.base
                text = "the rule computes another value than the function; let it call "
                text += (
                    f"{self.case.name}."
                    if same
                    else (f"{self.case.name}: it is right at the given arguments only.")
                )
                numbers = number_text(a[off.at]), number_text(b[off.at])
                yield Line("primal output", rule, name, False, *numbers, text, place)
                return
        yield Line("primal output", rule, place=place)

    def primal_by(self, mode: str, point: Point) -> Sequence[Any]:
        """Run a rule for its primal output."""
        values = point.rules.point
        if mode == "vjp":
            outs, pullback = vjp(point.rules, *values)
            pullback([np.ones_like(np.asarray(y)) for y in outs])
            return outs  # type: ignore[no-any-return]
        dots = tuple(np.ones_like(np.asarray(x)) for x in values)
        return jvp(point.rules, tuple(values), dots)[0]  # type: ignore[no-any-return]

    def linearity(self, mode: str) -> Iterator[Line]:
        """Try multiples and sums of tangents or cotangents."""
        rule, place = self.rule_of(mode)
        point, subject = self.base, self.subject
        space, results = point.inputs, point.outputs
        if mode == "vjp":
            space, results = results, space
            _, pullback = vjp(subject, *subject.point)

        def apply(given: list[Any]) -> np.ndarray:
            if mode == "vjp":
                return results.read(pullback(given))
            return results.read(jvp(subject, tuple(subject.point), tuple(given))[1])

        what = "cotangent" if mode == "vjp" else "tangent"
        try:
            found = find_nonlinear(apply, space, what)
        except Exception as error:
            self.broken.add(mode)
            yield self.failed("linearity", mode, error)
            return
        if found is None:
            yield Line("linearity", rule, place=place)
            return
        self.nonlinear[mode] = found.diagnosis
        numbers = number_text(found.found), number_text(found.wanted)
        name = results.coordinates[found.at].name
        yield Line("linearity", rule, name, False, *numbers, found.diagnosis, place)

    def derivatives(self, mode: str) -> Iterator[Line]:
        """Hold a rule's derivative by each leaf against the reference."""
        found: list[np.ndarray] = []
        for point in self.points:
            try:
                found.append(point.found(mode))
            except Exception as error:
                yield self.failed("derivative", mode, error)
                return
        wanted = [p.wanted() for p in self.points]
        excess = [self.excess(p, f, w) for p, f, w in zip(self.points, found, wanted)]
        for leaf in range(len(self.subject.point)):
            yield self.derivative_line(mode, leaf, found, wanted, excess)

    def unseen(self, mode: str) -> Iterator[Line]:
        """Where entries were sampled, try them all at once, along one direction."""
        point = self.base
        if (
            not (point.inputs.sampled or point.outputs.sampled)
            or mode in self.nonlinear
        ):
            return
        rule, place = self.rule_of(mode)
        dots, cts = random_like(point.inputs, 8), random_like(point.outputs, 9)
        try:
            found = applied(self.subject, mode, dots, cts)
        except Exception as error:
            yield self.failed("all entries together", mode, error)
            return
        wanted, error_bound = along(self.body, dots, cts)
        if not abs(found - wanted) > 1e-4 * abs(wanted) + 2 * error_bound + 1e-290:
            yield Line("all entries together", rule, place=place)
            return
        numbers = number_text(found), number_text(wanted)
        text = "entries are wrong that are not listed; try it on smaller arrays."
        yield Line("all entries together", rule, "", False, *numbers, text, place)

    def excess(self, point: Point, found: np.ndarray, wanted: Matrices) -> np.ndarray:
        """Say how far off each entry is, in tolerances.

        Where the body's derivative disagrees but finite differences agree, the rule is
        right: it may well be there because autodiff of the body is not.
        """
        excess = excess_of(found, wanted, *self.tolerances)
        if excess.size and excess.max() > 1:
            value, error, low, high = point.by_differences()
            telling = error <= 1e-3 * np.abs(value)
            second = excess_of(found, (value, error, low, high), *self.tolerances)
            excess = np.where(telling & (second <= 1), 0.0, excess)
        return excess

    def derivative_line(
        self,
        mode: str,
        leaf: int,
        found: Sequence[np.ndarray],
        wanted: Sequence[Matrices],
        excess: Sequence[np.ndarray],
    ) -> Line:
        """Judge the derivative by one leaf at all points."""
        rule, place = self.rule_of(mode, leaf)
        name = self.base.inputs.names[leaf]
        columns = self.base.inputs.of_leaf(leaf)
        at = next(
            (i for i, e in enumerate(excess) if worst_of(e[:, columns]) is not None),
            None,
        )
        if at is None:
            return Line("derivative", rule, name, place=place)
        off = worst_of(np.where(columns, excess[at], 0.0))
        assert off is not None, "found just before"
        inputs, outputs = self.base.inputs, self.base.outputs
        argument = f"argument {inputs.coordinates[off.column].name}"
        if len(outputs.coordinates) > 1:
            argument += f" -> {outputs.coordinates[off.row].name}"
        if at:
            here = inputs.read(self.points[at].rules.point)[off.column]
            argument += f" = {number_text(here)}"
        numbers = (
            number_text(found[at][off.row, off.column]),
            number_text(wanted[at][0][off.row, off.column]),
        )
        text = self.explain(mode, leaf, found, wanted, base_right=at > 0)
        return Line("derivative", rule, argument, False, *numbers, text, place)

    def explain(
        self,
        mode: str,
        leaf: int,
        found: Sequence[np.ndarray],
        wanted: Sequence[Matrices],
        base_right: bool,
    ) -> str:
        """Find what would explain a wrong derivative."""
        if mode in self.nonlinear:
            return self.nonlinear[mode]
        samples = [
            Sample(f, w[0], [np.asarray(x) for x in p.rules.point], list(p.values))
            for f, w, p in zip(found, wanted, self.points)
        ]

        def elsewhere(by_rule: bool, value: np.ndarray) -> np.ndarray | None:
            leaves = list(self.base.rules.point)
            leaves[leaf] = value
            try:
                point = self.base.moved(leaves)
                return point.found(mode) if by_rule else point.wanted()[0]
            except Exception:  # outside the domain: no evidence
                return None

        return diagnose(
            Evidence(
                leaf,
                samples,
                self.base.inputs,
                self.base.outputs,
                mode,
                elsewhere,
                base_right,
            )
        )

    def agreement(self) -> Iterator[Line]:
        """Hold forward mode against reverse mode, by one inner product."""
        both = self.rules.fwd is not None
        if both and "vjp" in self.broken | set(self.nonlinear):
            return
        rule, place = self.rule_of("vjp" if both else "jvp")
        check = "jvp against vjp" if both else "jvp transposed"
        subject, point = self.subject, self.base
        dots = random_like(point.inputs, 4)
        cts = random_like(point.outputs, 5)
        try:
            _, out_dots = jvp(subject, tuple(subject.point), tuple(dots))
            found = vjp(subject, *subject.point)[1](cts)
        except Exception as error:
            yield self.failed(check, "vjp" if both else "jvp", error)
            return
        a, b = inner(cts, out_dots), inner(found, dots)
        scale = sum(
            float(np.abs(np.asarray(c) * np.asarray(d)).sum())
            for c, d in zip(cts, out_dots)
        )
        if abs(a - b) <= 1e-5 * max(scale, abs(a)) + 1e-290 or not np.isfinite(a + b):
            yield Line(check, rule, place=place)
            return
        text = "the two rules of this function do not belong to the same derivative."
        yield Line(check, rule, "", False, number_text(b), number_text(a), text, place)

    def compiled(self) -> Iterator[Line]:
        """Compare with the same under `jit`."""
        yield from self.transformed("under jit", lambda f: jit(f), [self.base])

    def mapped(self) -> Iterator[Line]:
        """Compare with the same under `vmap`, over two points."""
        if len(self.points) > 1:
            yield from self.transformed(
                "under vmap", lambda f: vmap(f), self.points[:2]
            )

    def transformed(
        self, check: str, transform: Callable[[Any], Any], points: Sequence[Point]
    ) -> Iterator[Line]:
        """Compare value and derivatives with and without a transformation."""
        leaves = [p.rules.point for p in points]
        mapped = len(points) > 1
        given = [np.stack(x) for x in zip(*leaves)] if mapped else leaves[0]
        try:
            transform(lambda *xs: self.body(*xs))(*given)
        except (ConcretizationError, NotImplementedError) as error:
            yield Line(
                check, passed=None, diagnosis=f"the function itself cannot be: {error}"
            )
            return
        for mode, f in self.programs():
            rule, place = self.rule_of(mode) if mode else ("", "")
            if not mode and self.rules.vmap is not None and mapped:
                rule, place = self.rule_of("vmap")
            try:
                expected = [tree.leaves(f(*x)) for x in leaves]
                found = tree.leaves(transform(f)(*given))
            except Exception as error:
                yield self.failed(check, mode or "vmap" * mapped or "fwd", error)
                continue
            wanted = [np.stack(y) for y in zip(*expected)] if mapped else expected[0]
            yield compare_results(check, (rule, place), mode, found, wanted)

    def programs(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        """Give the function and its derivatives as programs of the varying leaves."""
        yield "", lambda *xs: self.subject(*xs)
        dots = random_like(self.base.inputs, 6)
        cts = random_like(self.base.outputs, 7)
        for mode in self.modes:
            if mode in self.broken:
                continue
            if mode == "jvp":
                yield mode, lambda *xs: jvp(self.subject, xs, tuple(dots))[1]
            else:
                yield mode, lambda *xs: vjp(self.subject, *xs)[1](cts)


def compare_results(
    check: str,
    rule: tuple[str, str],
    mode: str,
    found: Sequence[Any],
    wanted: Sequence[Any],
) -> Line:
    """Judge the results of a transformed program."""
    what = {"": "value", "jvp": "derivative", "vjp": "derivative"}[mode]
    name, place = rule
    for x, y in zip(found, wanted):
        a, b = np.asarray(x), np.asarray(y)
        if a.shape != b.shape:
            text = f"the {what} has shape {a.shape}, wanted {b.shape}."
            return Line(check, name, what, False, diagnosis=text, place=place)
        space = Space([b], [what], limit=10_000)
        one, other = space.read([a]), space.read([b])
        lost = ~np.isfinite(one) & np.isfinite(other)
        if lost.any() or differ(one, other):
            off = int(lost.argmax()) if lost.any() else worst(one, other, "").at
            numbers = number_text(one[off]), number_text(other[off])
            text = f"the {what} differs from that without the transformation."
            argument = space.coordinates[off].name
            return Line(check, name, argument, False, *numbers, text, place)
    return Line(check, name, what, place=place)


def extreme_lines(case: Case, f: Any, extremes: Sequence[Any]) -> Iterator[Line]:
    """Look for values and derivatives that are not finite at given points."""
    for given in extremes:
        args = given if isinstance(given, tuple) else (given,)
        other = Case(f, args)
        subject, body = other.subjects()
        at = ", ".join(f"{n}={x!r}" for n, x in zip(other.names, other.full))
        modes = ["vjp"] if case.kept_rules.fwd is not None else []
        if case.kept_rules.jvp is not None or case.kept_rules.jvps is not None:
            modes.append("jvp")
        checker = Checker.__new__(Checker)
        checker.case, checker.rules, checker.subject = other, case.kept_rules, subject
        for mode in modes:
            rule, place = checker.rule_of(mode)
            try:
                point = Point(subject, body)
                bad = first_infinite(point, mode)
            except Exception as error:
                yield checker.failed(f"finite at {at}", mode, error)
                continue
            if bad is None:
                yield Line(f"finite at {at}", rule, place=place)
                continue
            name, value = bad
            text = "not finite: the rule breaks down at this extreme point; use a form "
            text += "of the formula that does not overflow or divide by zero."
            yield Line(
                f"finite at {at}",
                rule,
                name,
                False,
                number_text(value),
                "a finite number",
                text,
                place,
            )


def first_infinite(point: Point, mode: str) -> tuple[str, float] | None:
    """Find a value or derivative that is not finite."""
    values = point.outputs.read(point.values)
    for c, x in zip(point.outputs.coordinates, values):
        if not np.isfinite(x):
            return c.name, float(x)
    found = point.found(mode)
    bad = np.argwhere(~np.isfinite(found))
    if not len(bad):
        return None
    row, col = bad[0]
    return f"argument {point.inputs.coordinates[col].name}", float(found[row, col])
