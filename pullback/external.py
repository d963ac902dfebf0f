"""`external`: a NumPy function with NumPy rules, under every transformation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from pullback import dtypes, tree
from pullback.core.aval import Aval, ShapeDtypeStruct
from pullback.core.calling import as_value, check_callable, leaf_names
from pullback.core.origin import called_at, defined_at, name_of
from pullback.core.trace import Value, aval_of
from pullback.core.zero import is_zero
from pullback.custom.agreement import ERRORS
from pullback.custom.custom_jvp import custom_jvp
from pullback.custom.linear_call import linear_call
from pullback.errors import MissingDerivative, RuleArityError
from pullback.primitives.callbacks import pure_callback
from pullback.transforms.tangents import Mismatch, flatten_like

__all__ = ["external"]


class External:
    """A NumPy function as an operation; made by `external`."""

    def __init__(
        self,
        fn: Callable[..., Any],
        out_like: Any,
        vjp: Callable[..., Any] | None,
        jvp: Callable[..., Any] | None,
        vmap_method: str,
    ) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.out_like = out_like
        self.vjp = vjp
        self.jvp = jvp
        self.vmap_method = vmap_method
        self.call = custom_jvp(self._call)
        self.call.defjvp(self._tangent, symbolic_zeros=True)

    def __call__(self, *args: Any) -> Any:
        """Call the function on trees of arrays."""
        names = leaf_names(self.fn, args)
        leaves, treedef = tree.flatten(args)
        who = f"external function {name_of(self.fn)}: argument"
        values = [as_value(x, f"{who} {name}") for x, name in zip(leaves, names)]
        return self.call(treedef.unflatten(values))

    def __repr__(self) -> str:
        """Show the function and its rules."""
        rules = [f"{n}={name_of(f)}" for n in ("vjp", "jvp") if (f := getattr(self, n))]
        return f"<external {name_of(self.fn)}: {', '.join(rules) or 'no rules'}>"

    def _declared(self, args: tuple[Any, ...]) -> Any:
        """Give the tree of the result's types."""
        like = self.out_like
        if callable(like) and not hasattr(like, "shape"):
            like = like(*[tree.map(struct_of, x) for x in args])
        return tree.map(aval_like, like)

    def _host(self, f: Callable[..., Any], declared: Any, *args: Any) -> Any:
        return pure_callback(f, declared, *args, vmap_method=self.vmap_method)

    def _call(self, args: tuple[Any, ...]) -> Any:
        return self._host(self.fn, self._declared(args), *args)

    def _tangent(self, primals: Any, tangents: Any) -> Any:
        """Give the output, and the rules as a linear function and its transpose."""
        (args,) = primals
        dots = tree.leaves(tangents)
        out = self.call(args)
        if self.vjp is None and self.jvp is None:
            self._refuse("derivative", "vjp=..., jvp=...")
        used = [not is_zero(t) for t in dots]
        rules = HostRules(self, self._declared(args), tree.flatten(args), used)
        moved = [t for t in dots if not is_zero(t)]
        wanted = [a for a, f in zip(rules.outs, rules.floats) if f]
        floats = linear_call(
            rules.forward, rules.backward, (args, out), moved, out_like=wanted
        )
        return out, rules.spread(floats)

    def _refuse(self, what: str, mend: str) -> NoReturn:
        """Raise the error for a derivative that no rule gives."""
        name = name_of(self.fn)
        raise MissingDerivative(
            f"external function {name} has no {what}: NumPy code cannot be seen into. "
            f"{name} was defined at {defined_at(self.fn)}.",
            where=called_at(),
            mend=f"Write external({name}, out_like, {mend}) with `vjp(args, out, ct)` "
            "for reverse mode, `jvp(args, tangents)` for forward mode.",
        )


class HostRules:
    """The rules at one call: NumPy functions behind callbacks.

    Args:
        external: the function and its rules.
        declared: the tree of the output's types.
        flat: the arguments' leaves and structure.
        used: for each leaf, whether it has a tangent.
    """

    def __init__(
        self,
        external: External,
        declared: Any,
        flat: tuple[list[Value], tree.TreeDef],
        used: Sequence[bool],
    ) -> None:
        self.external = external
        self.outs, self.out_tree = tree.flatten(declared)
        self.floats = [dtypes.is_inexact(a.dtype) for a in self.outs]
        self.ins = [aval_like(x) for x in flat[0]]
        self.in_tree = flat[1]
        self.used = list(used)

    def spread(self, floats: Sequence[Value]) -> Any:
        """Give a tree like the output, None where it has no tangents."""
        rest = iter(floats)
        return self.out_tree.unflatten([next(rest) if f else None for f in self.floats])

    def forward(self, known: Any, moved: Sequence[Value]) -> list[Value]:
        """Apply the jvp rule."""
        rule = self.external.jvp
        if rule is None:
            self.external._refuse("forward-mode rule", "jvp=...")
        wanted = [a for a, f in zip(self.outs, self.floats) if f]
        return self._host(self._numpy_forward, wanted, known[0], list(moved))

    def _numpy_forward(self, args: Any, moved: Sequence[Any]) -> list[Any]:
        rest = iter(moved)
        dots = [
            next(rest) if u else np.zeros(a.shape, dtypes.tangent_dtype(a.dtype))
            for u, a in zip(self.used, self.ins)
        ]
        rule = self.external.jvp
        assert rule is not None, "asked only where there is one"
        given = rule(args, self.in_tree.unflatten(dots))
        like = self.out_tree.unflatten(self.outs)
        found = self._fit(like, given, self.floats, "jvp", rule, "tangent")
        return [t for t, f in zip(found, self.floats) if f]

    def backward(self, known: Any, cts: Sequence[Value]) -> list[Value]:
        """Apply the vjp rule."""
        rule = self.external.vjp
        if rule is None:
            self.external._refuse("reverse-mode rule", "vjp=...")
        wanted = [a for a, u in zip(self.ins, self.used) if u]
        return self._host(self._numpy_backward, wanted, *known, list(cts))

    def _numpy_backward(self, args: Any, out: Any, cts: Sequence[Any]) -> list[Any]:
        rest = iter(cts)
        full = [
            next(rest) if f else np.zeros(a.shape, dtypes.float0)
            for f, a in zip(self.floats, self.outs)
        ]
        rule = self.external.vjp
        assert rule is not None, "asked only where there is one"
        given = rule(args, out, self.out_tree.unflatten(full))
        like = self.in_tree.unflatten(self.ins)
        if not isinstance(given, (tuple, list)) and len(like) == 1:
            given = (given,)
        if not isinstance(given, (tuple, list)) or len(given) != len(like):
            count = len(given) if isinstance(given, (tuple, list)) else "no tuple of"
            raise RuleArityError(
                f"vjp rule `{name_of(rule)}` of external function "
                f"{name_of(self.external.fn)} returned {count} cotangents; it has "
                f"{len(like)} arguments.",
                where=f"Rule at {defined_at(rule)}.",
                mend="Return one entry per argument; None stands for zero.",
            )
        found = self._fit(like, tuple(given), self.used, "vjp", rule, "cotangent")
        return [c for c, u in zip(found, self.used) if u]

    def _host(self, f: Callable[..., Any], declared: Any, *args: Any) -> list[Value]:
        """Call a rule, whose own derivative nobody knows."""

        def call(*values: Any) -> Any:
            return self.external._host(f, declared, *values)

        def refuse(*_: Any) -> NoReturn:
            name = name_of(self.external.fn)
            raise MissingDerivative(
                f"the rules of external function {name} are NumPy code, so that it has "
                "no derivative of second order.",
                where=called_at(),
                mend="Write the rules with pullback.numpy, in a function with "
                "custom_jvp or custom_vjp rules that calls the external one.",
            )

        guarded = custom_jvp(call)
        guarded.defjvp(lambda primals, tangents: refuse())
        return guarded(*args)  # type: ignore[no-any-return]

    def _fit(
        self,
        like: Any,
        given: Any,
        wanted: Sequence[bool],
        kind: str,
        rule: Callable[..., Any],
        what: str,
    ) -> list[Any]:
        """Hold what a rule returned against types; None is zero."""

        def complain(found: Mismatch) -> NoReturn:
            where = f" at {found.path}" if found.path else ""
            raise ERRORS[found.kind](
                f"{kind} rule `{name_of(rule)}` of external function "
                f"{name_of(self.external.fn)} returned a {what}{where} that does not "
                f"fit: {found.what}.",
                where=f"Rule at {defined_at(rule)}.",
                mend=f"Return a {what} with the structure and shapes of the value; "
                "None stands for zero.",
            )

        found = []
        leaves, paths = flatten_like(like, given, complain), tree.path_strings(like)
        for x, aval, path, use in zip(leaves, tree.leaves(like), paths, wanted):
            value = np.zeros(aval.shape, aval.dtype) if x is None else np.asarray(x)
            if use and value.shape != self._unbatched(aval, value):
                difference = f"shape {value.shape} in place of {aval.shape}"
                complain(Mismatch("shape", difference, path))
            found.append(value.astype(aval.dtype) if use else value)
        return found

    def _unbatched(self, aval: Any, value: Any) -> tuple[int, ...]:
        """Give the shape wanted; a rule that is mapped at once has axes in front."""
        if self.external.vmap_method.startswith("sequential"):
            return aval.shape  # type: ignore[no-any-return]
        extra = value.ndim - len(aval.shape)
        return (*value.shape[: max(extra, 0)], *aval.shape)


def aval_like(x: Any) -> Aval:
    """Give the type of an array, a number, or a stand-in for one."""
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return Aval(tuple(x.shape), dtypes.canonical(x.dtype))
    return aval_of(as_value(x)).strong()


def struct_of(x: Any) -> ShapeDtypeStruct:
    """Give the type of an array as users write types."""
    aval = aval_like(x)
    return ShapeDtypeStruct(aval.shape, aval.dtype)


def external(
    fn: Callable[..., Any],
    out_like: Any,
    vjp: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    vmap_method: str = "sequential",
) -> External:
    """Make a function of NumPy arrays, with NumPy rules, one of this library's.

    It runs eagerly, under `jit` (the compiled program calls back), under `vmap`, and is
    differentiated in each mode by the rule for that mode.

    Args:
        fn: a pure function of trees of NumPy arrays.
        out_like: a tree of arrays or `ShapeDtypeStruct`s like its result, or a function
            that gives this tree from the types of the arguments.
        vjp: `(args, out, ct) -> cotangents`, one an argument; None stands for zero.
        jvp: `(args, tangents) -> tangent of the result`; both are tuples with one entry
            an argument.
        vmap_method: how `vmap` maps function and rules: "sequential" calls them for
            each element; "expand_dims" and "broadcast_all" call them once with leading
            axes, as `pure_callback` says.

    Raises:
        MissingDerivative: a derivative in a mode without a rule.
        RuleArityError, RuleTreeError, RuleShapeError: a rule's result does not fit.

    Example:
        >>> import numpy as np
        >>> from pullback import grad, jit
        >>> cube = external(
        ...     lambda x: x ** 3, np.float32(0.),
        ...     vjp=lambda args, out, ct: 3 * args[0] ** 2 * ct)
        >>> print(cube(2.), grad(cube)(2.), jit(grad(cube))(2.))
        8.0 12.0 12.0
    """
    for name, f in (("external", fn), ("external: vjp", vjp), ("external: jvp", jvp)):
        if f is not None or name == "external":
            check_callable(f, name)
    return External(fn, out_like, vjp, jvp, vmap_method)
