"""`odeint`: ordinary differential equations, differentiable in everything they contain.

The steps are those of Dormand and Prince, A family of embedded Runge-Kutta formulae
(1980), table 2: order five, with an error estimate of order four. Step sizes, the first
step and the interpolation between steps follow Hairer, Norsett and Wanner, Solving
ordinary differential equations I (1993), sections II.4 and II.6.

Forward mode integrates the tangent beside the state; reverse mode integrates the
adjoint equation backwards. Both call the integrator as it was called, so that each may
be differentiated again by either.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback import dtypes, tree
from pullback import numpy as jnp
from pullback.calls.loops import scan
from pullback.calls.while_loop import while_loop
from pullback.core.calling import as_value, check_callable
from pullback.core.origin import called_at
from pullback.core.trace import Value
from pullback.core.zero import is_zero
from pullback.custom.custom_vjp import custom_vjp
from pullback.errors import ArgumentError, ConvergenceWarning
from pullback.implicit.solution import depth_of_user
from pullback.implicit.vectors import Packing
from pullback.transforms.vjp import jvp, vjp

__all__ = ["odeint"]

# Dormand and Prince (1980), table 2: stages, and the difference of the two solutions.
_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERRORS = (
    71 / 57600,
    0.0,
    -71 / 16695,
    71 / 1920,
    -17253 / 339200,
    22 / 525,
    -1 / 40,
)
# Hairer, Norsett and Wanner (1993), II.6: the last coefficient of the interpolation.
_DENSE = (
    -12715105075 / 11282082432,
    0.0,
    87487479700 / 32700410799,
    -10690763975 / 1880347072,
    701980252875 / 199316789632,
    -1453857185 / 822651844,
    69997945 / 29380423,
)

# The same book, II.4: safety factor, and the bounds of a change of step size.
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0

#: A right side on vectors: `(y, t, *args) -> dy/dt`.
RightSide = Callable[..., Value]


class Options(NamedTuple):
    """How exactly to integrate.

    Fields:
        rtol: error of a step relative to the state.
        atol: error by itself.
        mxstep: the most steps between two of the given times.
        hmax: the longest step.
    """

    rtol: float
    atol: float
    mxstep: int
    hmax: float


class State(NamedTuple):
    """Where an integration stands.

    Fields:
        y: the state at `t`.
        f: its derivative there.
        t: the time, which grows: backward integration counts it negatively.
        h: the length of the next step.
        before: the time before the last step.
        dense: five rows which interpolate over that step.
        count: the steps since the last of the given times.
        ok: whether all went well so far.
    """

    y: Value
    f: Value
    t: Value
    h: Value
    before: Value
    dense: Value
    count: Value
    ok: Value


def weighted(coefficients: Sequence[float], rows: Sequence[Value]) -> Value:
    """Add vectors with weights."""
    terms = [c * k for c, k in zip(coefficients, rows) if c]
    return functools.reduce(lambda a, b: a + b, terms)


def error_norm(error: Value, y: Value, z: Value, options: Options) -> Value:
    """Give the root mean square of an error relative to what is allowed."""
    allowed = options.atol + options.rtol * jnp.maximum(jnp.abs(y), jnp.abs(z))
    ratio = jnp.abs(error) / allowed
    return jnp.sqrt(jnp.mean(ratio * ratio))


def first_step(
    f: RightSide, y: Value, slope: Value, t: Value, options: Options
) -> Value:
    """Guess the length of the first step: Hairer, Norsett and Wanner, II.4."""
    allowed = options.atol + options.rtol * jnp.abs(y)
    size = jnp.sqrt(jnp.mean((jnp.abs(y) / allowed) ** 2))
    speed = jnp.sqrt(jnp.mean((jnp.abs(slope) / allowed) ** 2))
    tiny = (size < 1e-5) | (speed < 1e-5)
    guess = jnp.where(tiny, 1e-6, 0.01 * size / jnp.where(tiny, 1.0, speed))
    bend = jnp.abs(f(y + guess * slope, t + guess) - slope) / allowed
    curvature = jnp.sqrt(jnp.mean(bend * bend)) / guess
    most = jnp.maximum(speed, curvature)
    flat = most <= 1e-15
    better = (0.01 / jnp.where(flat, 1.0, most)) ** 0.2
    better = jnp.where(flat, jnp.maximum(1e-6, guess * 1e-3), better)
    return jnp.minimum(100 * guess, better).astype(t.dtype)


def step(f: RightSide, state: State, end: Value, options: Options) -> State:
    """Try one step; the state moves on if its error is small enough."""
    y, t = state.y, state.t
    h = jnp.minimum(jnp.minimum(state.h, options.hmax), end - t)
    slopes = [state.f]
    for node, row in zip(_NODES, _STAGES):
        z = y + h * weighted(row, slopes)
        slopes.append(f(z, t + node * h))
    error = error_norm(h * weighted(_ERRORS, slopes), y, z, options)
    good = error <= 1
    # A NaN shrinks the step as the largest error does.
    safe = jnp.where(error > 0, error, jnp.where(good, 1e-10, 1e10))
    factor = jnp.clip(_SAFETY * safe**-0.2, _SHRINK, jnp.where(good, _GROW, 1.0))
    # The last step ends at the end itself, whatever rounding makes of t + h.
    later = jnp.where(h >= end - t, end, t + h)
    change = z - y
    bend = h * slopes[0] - change
    last = change - h * slopes[-1] - bend
    dense = jnp.stack([y, change, bend, last, h * weighted(_DENSE, slopes)])
    return State(
        jnp.where(good, z, y),
        jnp.where(good, slopes[-1], state.f),
        jnp.where(good, later, t),
        jnp.where(good & (h < state.h), jnp.maximum(state.h, h * factor), h * factor),
        jnp.where(good, t, state.before),
        jnp.where(good, dense, state.dense),
        state.count + 1,
        state.ok & (later > t),
    )


def interpolated(state: State, target: Value) -> Value:
    """Give the state at a time within the last step."""
    width = state.t - state.before
    empty = width == 0
    s = jnp.where(empty, 0.0, (target - state.before) / jnp.where(empty, 1.0, width))
    y, change, bend, last, dense = state.dense
    return y + s * (change + (1 - s) * (bend + s * (last + (1 - s) * dense)))


def advance(f: RightSide, y0: Value, times: Value, options: Options) -> Value:
    """Give the states at growing times, the first of which is that of `y0`."""
    start, end = times[0], times[-1]
    slope = f(y0, start)
    h = first_step(f, y0, slope, start, options)
    dense = jnp.stack([y0, *[jnp.zeros_like(y0)] * 4])
    zero, ok = jnp.asarray(0), jnp.asarray(True)
    state = State(y0, slope, start, h, start, dense, zero, ok)

    def reach(state: State, target: Value) -> tuple[State, Value]:
        def going(now: State) -> Value:
            return (now.t < target) & now.ok & (now.count < options.mxstep)

        state = state._replace(count=zero)
        state = while_loop(going, lambda now: step(f, now, end, options), state)
        state = state._replace(ok=state.ok & (state.t >= target))
        return state, jnp.where(state.ok, interpolated(state, target), jnp.nan)

    _, ys = scan(reach, state, times[1:])
    return jnp.concatenate([y0[None], ys])


@functools.partial(custom_vjp, nondiff_argnums=(0,))
def integrate(
    options: Options, f: RightSide, y0: Value, times: Value, args: tuple[Any, ...]
) -> Value:
    """Give the states at times that grow or fall; NaN where none was reached."""
    direction = jnp.where(times[-1] >= times[0], 1, -1).astype(times.dtype)

    def forward(y: Value, t: Value) -> Value:
        return direction.astype(y.dtype) * f(y, direction * t, *args)

    return advance(forward, y0, direction * times, options)


class Parameters:
    """What of a right side and its arguments can be differentiated, as flat leaves.

    Args:
        f: the right side.
        args: its arguments after state and time.
        moving: for each leaf of both, whether it is to be differentiated.
    """

    def __init__(self, f: Any, args: Any, moving: Sequence[bool]) -> None:
        self.leaves, self.treedef = tree.flatten((f, args))
        self.moving = list(moving)

    def chosen(self, leaves: Sequence[Any]) -> list[Any]:
        """Give the leaves to be differentiated."""
        return [x for x, m in zip(leaves, self.moving) if m]

    def rebuilt(self, leaves: Sequence[Any], chosen: Sequence[Any]) -> Any:
        """Give right side and arguments with other values for the chosen leaves."""
        rest = iter(chosen)
        full = [next(rest) if m else x for x, m in zip(leaves, self.moving)]
        return self.treedef.unflatten(full)

    def call(self, y: Value, t: Value, leaves: Sequence[Any], chosen: Any) -> Value:
        """Evaluate the right side."""
        f, args = self.rebuilt(leaves, chosen)
        return f(y, t, *args)


@functools.partial(integrate.defjvp, symbolic_zeros=True)
def integrate_jvp(options: Options, primals: Any, tangents: Any) -> Any:
    """Integrate the tangent beside the state, and let the times move."""
    f, y0, times, args = primals
    f_dot, y_dot, times_dot, args_dot = tangents
    dots = tree.leaves((f_dot, args_dot))
    parameters = Parameters(f, args, [not is_zero(t) for t in dots])
    size = y0.shape[0]
    y_dot = jnp.zeros_like(y0) if is_zero(y_dot) else y_dot

    def both(z: Value, t: Value, leaves: Any, moved: Any) -> Value:
        y, v = z[:size], z[size:]
        out, out_dot = jvp(
            lambda y, chosen: parameters.call(y, t, leaves, chosen),
            (y, parameters.chosen(leaves)),
            (v, moved),
        )
        return jnp.concatenate([out, out_dot])

    shifts = None
    if not is_zero(times_dot):
        moving = times_dot.astype(y0.dtype)
        y_dot = y_dot - f(y0, times[0], *args) * moving[0]
    start = jnp.concatenate([y0, y_dot])
    given = (parameters.leaves, parameters.chosen(dots))
    zs = integrate(options, both, start, times, given)
    ys, ys_dot = zs[:, :size], zs[:, size:]
    if not is_zero(times_dot):
        shifts = stacked_slopes(f, ys, times, args)
        ys_dot = ys_dot + shifts * moving[:, None]
    return ys, ys_dot


def stacked_slopes(f: RightSide, ys: Value, times: Value, args: Any) -> Value:
    """Evaluate the right side at every time."""
    return scan(lambda _, x: (None, f(x[0], x[1], *args)), None, (ys, times))[1]


def integrate_fwd(
    options: Options, f: Any, y0: Value, times: Value, args: Any
) -> tuple[Value, Any]:
    """Integrate; the states at the given times are kept."""
    ys = integrate(options, f, y0, times, args)
    return ys, (ys, times, f, args)


def integrate_bwd(options: Options, residuals: Any, ct: Value) -> tuple[Any, ...]:
    """Integrate the adjoint equation backwards, from each given time to that before."""
    ys, times, f, args = residuals
    leaves = tree.leaves((f, args))
    moving = [dtypes.is_inexact(as_value(x).dtype) for x in leaves]
    parameters = Parameters(f, args, moving)
    packing = Packing(parameters.chosen(leaves), "odeint")
    size = ys.shape[1]

    def adjoint(z: Value, t: Value, leaves: Any) -> Value:
        y, y_bar = z[:size], z[size : 2 * size]
        out, pull = vjp(
            lambda y, chosen: parameters.call(y, t, leaves, chosen),
            y,
            parameters.chosen(leaves),
        )
        y_slope, slopes = pull(-y_bar)
        return jnp.concatenate([out, y_slope, packing.pack(slopes).astype(z.dtype)])

    def back(carry: Value, x: Any) -> tuple[Value, None]:
        y, t, before, y_ct = x
        z = jnp.concatenate([y, carry[:size] + y_ct, carry[size:]])
        span = jnp.stack([t, before])
        return integrate(options, adjoint, z, span, (parameters.leaves,))[
            1, size:
        ], None

    start = jnp.zeros(size + packing.size, ys.dtype)
    spans = (ys[1:], times[1:], times[:-1], ct[1:])
    found, _ = scan(back, start, spans, reverse=True)
    y_bar = found[:size]
    slopes = stacked_slopes(f, ys, times, args)
    times_bar = jnp.real(jnp.sum(ct * slopes, axis=1)).astype(times.dtype)
    first = jnp.real(-jnp.sum(y_bar * slopes[0])).astype(times.dtype)
    times_bar = times_bar.at[0].set(first)
    cotangents = packing.unpack(found[size:].astype(packing.dtype))
    f_bar, args_bar = parameters.rebuilt([None] * len(leaves), cotangents)
    return f_bar, y_bar + ct[0], times_bar, args_bar


integrate.defvjp(integrate_fwd, integrate_bwd)


def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    rtol: float | None = None,
    atol: float | None = None,
    mxstep: float = 10_000,
    hmax: float = math.inf,
) -> Any:
    """Integrate dy/dt = func(y, t, *args) by steps whose size adapts to their error.

    Derivatives of all orders, in both modes, with respect to `y0`, `t`, `args`, and the
    values that `func` captures. Reverse mode keeps the states at the given times only.

    Args:
        func: `(y, t, *args) -> dy/dt`, of y's structure.
        y0: the state at the first time: a tree of arrays.
        t: the times at which the state is wanted, growing or falling, of shape [n].
        args: more arguments, trees of arrays.
        rtol: error of a step relative to the state; by default 1.4e-8, and 1.2e-6 in
            float32.
        atol: error by itself; the same default.
        mxstep: the most steps between two of the given times.
        hmax: the longest step.

    Returns:
        A tree like `y0` whose arrays have a new first axis for the times. States that
        were not reached are NaN; outside of `jit`, a `ConvergenceWarning` says so.

    Raises:
        ArgumentError: `t` is no vector of times.
        TreeError: `func` gives another structure than `y0`'s.

    Example:
        >>> import pullback.numpy as jnp
        >>> from pullback import grad
        >>> decay = lambda y, t, k: -k * y
        >>> times = jnp.array([0., 1., 2.])
        >>> print(odeint(decay, 1., times, 0.5).round(4))
        [1.     0.6065 0.3679]
        >>> print(grad(lambda k: odeint(decay, 1., times, k)[-1])(0.5).round(4))
        -0.7358
    """
    check_callable(func, "odeint")
    packing = Packing(y0, "odeint")
    times = jnp.asarray(t)
    if len(times.shape) != 1 or times.shape[0] < 1:
        raise ArgumentError(
            f"odeint was given times of shape {times.shape}.",
            where=called_at(),
            mend="Give a vector with the time of y0 first.",
        )
    times = times.astype(np.empty(0, packing.dtype).real.dtype)
    tolerance = max(1.4e-8, 10 * float(jnp.finfo(packing.dtype).eps))
    options = Options(
        tolerance if rtol is None else float(rtol),
        tolerance if atol is None else float(atol),
        int(min(mxstep, 2**31 - 1)),
        float(hmax),
    )

    def right_side(y: Value, t: Value, *rest: Any) -> Value:
        return packing.pack(func(packing.unpack(y), t, *rest))

    start = packing.pack(y0)
    if times.shape[0] == 1:
        return unpacked(packing, start[None])
    ys = integrate(options, right_side, start, times, args)
    warn_unreached(ys, times)
    return unpacked(packing, ys)


def unpacked(packing: Packing, ys: Value) -> Any:
    """Make trees of vectors, with the axis of times in front."""
    count = ys.shape[0]
    leaves, start = [], 0
    for shape, dtype in packing.avals:
        stop = start + math.prod(shape)
        part = jnp.reshape(ys[:, start:stop], (count, *shape))
        leaves.append(part if part.dtype == dtype else part.astype(dtype))
        start = stop
    return packing.treedef.unflatten(leaves)


def warn_unreached(ys: Value, times: Value) -> None:
    """Warn if it is known that some times were not reached."""
    known, when = ys.concrete(), times.concrete()
    if known is None or when is None or not np.isnan(known[-1]).any():
        return
    lost = int(np.isnan(np.asarray(known)).any(axis=1).argmax())
    warnings.warn(
        f"odeint did not reach t[{lost}] = {float(when[lost]):g}; the states from "
        f"there on are NaN. {called_at()} Allow more steps (mxstep) or a larger rtol, "
        "atol; a stiff equation needs an implicit method.",
        ConvergenceWarning,
        stacklevel=depth_of_user(),
    )
