"""The document's examples, in its order and in its words.

Each function holds one example, written as the document writes it with `pullback` in
place of `jax`; the text beside it is what the document prints there.
"""

import bdb
import contextlib
import io
import pdb as python_debugger
import textwrap
from collections import namedtuple
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import pullback.numpy as jnp
from examples.tour.example import Curve, Example, Figure, Section
from pullback import (
    custom_jvp,
    custom_vjp,
    grad,
    jit,
    jvp,
    make_jaxpr,
    vjp,
    vmap,
)
from pullback.lax import while_loop

EXAMPLES: list[Example] = []


def example(section: Section, title: str, document: str = "", jaxpr: bool = False):
    """Enter the decorated function into the tour."""

    def enter(run: Callable[[], Figure | None]) -> Callable[[], Figure | None]:
        text = textwrap.dedent(document).strip()
        EXAMPLES.append(Example(section, title, run, text, jaxpr))
        return run

    return enter


TLDR = Section(
    "TL;DR",
    "A function may say what its derivative is: as a map of tangents "
    "(custom_jvp), one derivative per argument (defjvps), or a forward and a "
    "backward pass (custom_vjp).",
)


@example(
    TLDR,
    "A custom JVP",
    """
    2.7278922
    2.7278922
    -1.2484405
    -1.2484405
    """,
)
def tldr_custom_jvp():
    @custom_jvp
    def f(x, y):
        return jnp.sin(x) * y

    @f.defjvp
    def f_jvp(primals, tangents):
        x, y = primals
        x_dot, y_dot = tangents
        primal_out = f(x, y)
        tangent_out = jnp.cos(x) * x_dot * y + jnp.sin(x) * y_dot
        return primal_out, tangent_out

    print(f(2.0, 3.0))
    y, y_dot = jvp(f, (2.0, 3.0), (1.0, 0.0))
    print(y)
    print(y_dot)
    print(grad(f)(2.0, 3.0))


@example(
    TLDR,
    "The same with defjvps",
    """
    2.7278922
    2.7278922
    -1.2484405
    -1.2484405
    """,
)
def tldr_defjvps():
    @custom_jvp
    def f(x, y):
        return jnp.sin(x) * y

    f.defjvps(
        lambda x_dot, primal_out, x, y: jnp.cos(x) * x_dot * y,
        lambda y_dot, primal_out, x, y: jnp.sin(x) * y_dot,
    )

    print(f(2.0, 3.0))
    y, y_dot = jvp(f, (2.0, 3.0), (1.0, 0.0))
    print(y)
    print(y_dot)
    print(grad(f)(2.0, 3.0))


@example(TLDR, "A custom VJP", "-1.2484405")
def tldr_custom_vjp():
    @custom_vjp
    def f(x, y):
        return jnp.sin(x) * y

    def f_fwd(x, y):
        # Returns primal output and residuals to be used in backward pass by f_bwd.
        return f(x, y), (jnp.cos(x), jnp.sin(x), y)

    def f_bwd(res, g):
        cos_x, sin_x, y = res  # Gets residuals computed in f_fwd
        return (cos_x * g * y, sin_x * g)

    f.defvjp(f_fwd, f_bwd)

    print(grad(f)(2.0, 3.0))


STABILITY = Section(
    "Numerical stability",
    "Composing the derivatives of the operations can give a program that "
    "overflows where the true derivative is harmless. A rule states the "
    "derivative as a unit.",
)


@example(
    STABILITY,
    "log(1 + exp x), transformed",
    """
    DeviceArray(3.0485873, dtype=float32)
    3.0485873
    0.95257413
    [0.5 0.7310586 0.8807971]
    """,
)
def plain_log1pexp():
    def log1pexp(x):
        return jnp.log(1.0 + jnp.exp(x))

    print(repr(log1pexp(3.0)))
    print(jit(log1pexp)(3.0))
    print(jit(grad(log1pexp))(3.0))
    print(vmap(jit(grad(log1pexp)))(jnp.arange(3.0)))


@example(STABILITY, "Its gradient at 100 is lost", "nan")
def unstable_log1pexp():
    def log1pexp(x):
        return jnp.log(1.0 + jnp.exp(x))

    print(grad(log1pexp)(100.0))


@example(
    STABILITY,
    "The jaxpr of the gradient, before the rule",
    """
    { lambda ; a.
      let b = exp a
          c = add b 1.0
          _ = log c
          d = div 1.0 c
          e = mul d b
      in (e,) }
    """,
    jaxpr=True,
)
def jaxpr_before():
    def log1pexp(x):
        return jnp.log(1.0 + jnp.exp(x))

    print(make_jaxpr(grad(log1pexp))(100.0))


@example(STABILITY, "The jaxpr of the gradient, after the rule", jaxpr=True)
def jaxpr_after():
    @custom_jvp
    def log1pexp(x):
        return jnp.log(1.0 + jnp.exp(x))

    log1pexp.defjvps(lambda t, ans, x: (1 - 1 / (1 + jnp.exp(x))) * t)

    print(make_jaxpr(grad(log1pexp))(100.0))


@example(
    STABILITY,
    "A rule mends it",
    """
    1.0
    3.0485873
    0.95257413
    [0.5 0.7310586 0.8807971]
    """,
)
def stable_log1pexp():
    @custom_jvp
    def log1pexp(x):
        return jnp.log(1.0 + jnp.exp(x))

    @log1pexp.defjvp
    def log1pexp_jvp(primals, tangents):
        (x,) = primals
        (x_dot,) = tangents
        ans = log1pexp(x)
        ans_dot = (1 - 1 / (1 + jnp.exp(x))) * x_dot
        return ans, ans_dot

    print(grad(log1pexp)(100.0))
    print(jit(log1pexp)(3.0))
    print(jit(grad(log1pexp))(3.0))
    print(vmap(jit(grad(log1pexp)))(jnp.arange(3.0)))


@example(
    STABILITY,
    "The same with defjvps",
    """
    1.0
    3.0485873
    0.95257413
    [0.5 0.7310586 0.8807971]
    """,
)
def stable_log1pexp_defjvps():
    @custom_jvp
    def log1pexp(x):
        return jnp.log(1.0 + jnp.exp(x))

    log1pexp.defjvps(lambda t, ans, x: (1 - 1 / (1 + jnp.exp(x))) * t)

    print(grad(log1pexp)(100.0))
    print(jit(log1pexp)(3.0))
    print(jit(grad(log1pexp))(3.0))
    print(vmap(jit(grad(log1pexp)))(jnp.arange(3.0)))


CONVENTION = Section(
    "Enforcing a differentiation convention",
    "Where a function ends, a rule says which derivative is meant there.",
)


@example(CONVENTION, "x / (1 + sqrt x) has no derivative at 0", "nan")
def plain_convention():
    def f(x):
        return x / (1 + jnp.sqrt(x))

    print(grad(f)(0.0))


@example(CONVENTION, "By convention it has one, from the right", "1.0")
def convention():
    @custom_jvp
    def f(x):
        return x / (1 + jnp.sqrt(x))

    @f.defjvp
    def f_jvp(primals, tangents):
        (x,) = primals
        (x_dot,) = tangents
        ans = f(x)
        ans_dot = ((jnp.sqrt(x) + 2) / (2 * (jnp.sqrt(x) + 1) ** 2)) * x_dot
        return ans, ans_dot

    print(grad(f)(0.0))


@example(CONVENTION, "The same with defjvps", "1.0")
def convention_defjvps():
    @custom_jvp
    def f(x):
        return x / (1 + jnp.sqrt(x))

    f.defjvps(lambda t, ans, x: ((jnp.sqrt(x) + 2) / (2 * (jnp.sqrt(x) + 1) ** 2)) * t)

    print(grad(f)(0.0))


CLIPPING = Section(
    "Gradient clipping",
    "A backward pass need not be the derivative: here it bounds what flows back, "
    "while the value stays what it was.",
)


@example(CLIPPING, "The sine and its gradient")
def sine_plot():
    t = jnp.linspace(0, 10, 1000)
    value, slope = jnp.sin(t), vmap(grad(jnp.sin))(t)

    x = np.asarray(t)
    lines = (
        Curve("sin(t)", np.asarray(value), np.sin(x)),
        Curve("its gradient", np.asarray(slope), np.cos(x)),
    )
    return Figure("sine.png", "The sine and its gradient", x, lines)


@example(CLIPPING, "The same with a clipped gradient")
def clipped_plot():
    @custom_vjp
    def clip_gradient(lo, hi, x):
        return x  # identity function

    def clip_gradient_fwd(lo, hi, x):
        return x, (lo, hi)  # save bounds as residuals

    def clip_gradient_bwd(res, g):
        lo, hi = res
        # use None to indicate zero cotangents for lo and hi
        return (None, None, jnp.clip(g, lo, hi))

    clip_gradient.defvjp(clip_gradient_fwd, clip_gradient_bwd)

    def clip_sin(x):
        x = clip_gradient(-0.75, 0.75, x)
        return jnp.sin(x)

    t = jnp.linspace(0, 10, 1000)
    value, slope = clip_sin(t), vmap(grad(clip_sin))(t)

    x = np.asarray(t)
    lines = (
        Curve("clip_sin(t)", np.asarray(value), np.sin(x)),
        Curve("its gradient", np.asarray(slope), np.clip(np.cos(x), -0.75, 0.75)),
    )
    return Figure("clipped_gradient.png", "A clipped gradient", x, lines)


IMPLICIT = Section(
    "Implicit function differentiation",
    "A solver is differentiated at its solution and not through its iterations: "
    "the backward pass solves a linear equation with the same solver.",
)


@example(
    IMPLICIT,
    "Newton's square root, by iteration",
    """
    1.4142135
    [1. 1.4142135 1.7320509 2. ]
    """,
)
def plain_newton_sqrt():
    def fixed_point(f, a, x_guess):
        def cond_fun(carry):
            x_prev, x = carry
            return jnp.abs(x_prev - x) > 1e-6

        def body_fun(carry):
            _, x = carry
            return x, f(a, x)

        _, x_star = while_loop(cond_fun, body_fun, (x_guess, f(a, x_guess)))
        return x_star

    def newton_sqrt(a):
        update = lambda a, x: 0.5 * (x + a / x)
        return fixed_point(update, a, a)

    print(newton_sqrt(2.0))
    print(jit(vmap(newton_sqrt))(jnp.array([1.0, 2.0, 3.0, 4.0])))


@example(
    IMPLICIT,
    "Differentiated by the implicit function theorem, twice",
    """
    1.4142135
    0.35355338
    -0.088388346
    """,
)
def implicit_newton_sqrt():
    @partial(custom_vjp, nondiff_argnums=(0,))
    def fixed_point(f, a, x_guess):
        def cond_fun(carry):
            x_prev, x = carry
            return jnp.abs(x_prev - x) > 1e-6

        def body_fun(carry):
            _, x = carry
            return x, f(a, x)

        _, x_star = while_loop(cond_fun, body_fun, (x_guess, f(a, x_guess)))
        return x_star

    def fixed_point_fwd(f, a, x_init):
        x_star = fixed_point(f, a, x_init)
        return x_star, (a, x_star)

    def fixed_point_rev(f, res, x_star_bar):
        a, x_star = res
        _, vjp_a = vjp(lambda a: f(a, x_star), a)
        (a_bar,) = vjp_a(
            fixed_point(partial(rev_iter, f), (a, x_star, x_star_bar), x_star_bar)
        )
        return a_bar, jnp.zeros_like(x_star)

    def rev_iter(f, packed, u):
        a, x_star, x_star_bar = packed
        _, vjp_x = vjp(lambda x: f(a, x), x_star)
        return x_star_bar + vjp_x(u)[0]

    fixed_point.defvjp(fixed_point_fwd, fixed_point_rev)

    def newton_sqrt(a):
        update = lambda a, x: 0.5 * (x + a / x)
        return fixed_point(update, a, a)

    print(newton_sqrt(2.0))
    print(grad(newton_sqrt)(2.0))
    print(grad(grad(newton_sqrt))(2.0))


@example(
    IMPLICIT,
    "The library's own square root agrees",
    """
    0.35355338
    -0.08838835
    """,
)
def library_sqrt():
    print(grad(jnp.sqrt)(2.0))
    print(grad(grad(jnp.sqrt))(2.0))


FORWARD = Section(
    "Basic usage of custom_jvp",
    "One rule for tangents serves forward mode, reverse mode (transposed) and "
    "every higher order. Without differentiation it is never called.",
)


@example(
    FORWARD,
    "One rule serves both modes and every order",
    """
    0.14112
    0.14112
    -0.9899925
    -0.9899925
    -0.14112
    """,
)
def basic_custom_jvp():
    # f :: a -> b
    @custom_jvp
    def f(x):
        return jnp.sin(x)

    # f_jvp :: (a, T a) -> (b, T b)
    def f_jvp(primals, tangents):
        (x,) = primals
        (t,) = tangents
        return f(x), jnp.cos(x) * t

    f.defjvp(f_jvp)

    print(f(3.0))
    y, y_dot = jvp(f, (3.0,), (1.0,))
    print(y)
    print(y_dot)
    print(grad(f)(3.0))
    print(grad(grad(f))(3.0))


@example(FORWARD, "Several arguments", "12.0")
def several_arguments():
    @custom_jvp
    def f(x, y):
        return x**2 * y

    @f.defjvp
    def f_jvp(primals, tangents):
        x, y = primals
        x_dot, y_dot = tangents
        primal_out = f(x, y)
        tangent_out = 2 * x * y * x_dot + x**2 * y_dot
        return primal_out, tangent_out

    print(grad(f)(2.0, 3.0))


@example(FORWARD, "defjvps: one derivative per argument", "-0.9899925")
def defjvps_one_argument():
    @custom_jvp
    def f(x):
        return jnp.sin(x)

    f.defjvps(lambda t, ans, x: jnp.cos(x) * t)

    print(grad(f)(3.0))


@example(
    FORWARD,
    "defjvps with several arguments",
    """
    12.0
    12.0
    4.0
    """,
)
def defjvps_several_arguments():
    @custom_jvp
    def f(x, y):
        return x**2 * y

    f.defjvps(
        lambda x_dot, primal_out, x, y: 2 * x * y * x_dot,
        lambda y_dot, primal_out, x, y: x**2 * y_dot,
    )

    print(grad(f)(2.0, 3.0))
    print(grad(f, 0)(2.0, 3.0))  # same as above
    print(grad(f, 1)(2.0, 3.0))


@example(
    FORWARD,
    "None stands for a zero derivative",
    """
    12.0
    12.0
    0.0
    """,
)
def defjvps_none():
    @custom_jvp
    def f(x, y):
        return x**2 * y

    f.defjvps(lambda x_dot, primal_out, x, y: 2 * x * y * x_dot, None)

    print(grad(f)(2.0, 3.0))
    print(grad(f, 0)(2.0, 3.0))  # same as above
    print(grad(f, 1)(2.0, 3.0))


@example(
    FORWARD,
    "When the rule is called, and when only the function",
    """
    called f!
    0.14112
    called f!
    [0. 0.84147096 0.9092974 ]
    called f!
    0.14112
    called f_jvp!
    called f!
    -0.9899925
    called f_jvp!
    called f!
    -0.9899925
    called f_jvp!
    called f_jvp!
    called f!
    DeviceArray(-0.14112, dtype=float32)
    """,
)
def jvp_call_order():
    @custom_jvp
    def f(x):
        print("called f!")  # a harmless side-effect
        return jnp.sin(x)

    @f.defjvp
    def f_jvp(primals, tangents):
        print("called f_jvp!")  # a harmless side-effect
        (x,) = primals
        (t,) = tangents
        return f(x), jnp.cos(x) * t

    print(f(3.0))
    print(vmap(f)(jnp.arange(3.0)))
    print(jit(f)(3.0))
    _, y_dot = jvp(f, (3.0,), (1.0,))
    print(y_dot)
    print(grad(f)(3.0))
    print(repr(grad(grad(f))(3.0)))


@example(
    FORWARD,
    "Python control flow",
    """
    2.0
    3.0
    """,
)
def control_flow():
    @custom_jvp
    def f(x):
        if x > 0:
            return jnp.sin(x)
        else:
            return jnp.cos(x)

    @f.defjvp
    def f_jvp(primals, tangents):
        (x,) = primals
        (x_dot,) = tangents
        ans = f(x)
        if x > 0:
            return ans, 2 * x_dot
        else:
            return ans, 3 * x_dot

    print(grad(f)(1.0))
    print(grad(f)(-1.0))


REVERSE = Section(
    "Basic usage of custom_vjp",
    "The forward pass returns the output and what to keep; the backward pass "
    "turns a cotangent of the output into one per argument. Forward mode has no "
    "rule then.",
)


@example(
    REVERSE,
    "A forward and a backward pass",
    """
    0.14112
    -0.9899925
    """,
)
def basic_custom_vjp():
    # f :: a -> b
    @custom_vjp
    def f(x):
        return jnp.sin(x)

    # f_fwd :: a -> (b, c)
    def f_fwd(x):
        return f(x), jnp.cos(x)

    # f_bwd :: (c, CT b) -> CT a
    def f_bwd(cos_x, y_bar):
        return (cos_x * y_bar,)

    f.defvjp(f_fwd, f_bwd)

    print(f(3.0))
    print(grad(f)(3.0))


@example(REVERSE, "Several arguments", "-1.2484405")
def vjp_several_arguments():
    @custom_vjp
    def f(x, y):
        return jnp.sin(x) * y

    def f_fwd(x, y):
        return f(x, y), (jnp.cos(x), jnp.sin(x), y)

    def f_bwd(res, g):
        cos_x, sin_x, y = res
        return (cos_x * g * y, -sin_x * g)

    f.defvjp(f_fwd, f_bwd)

    print(grad(f)(2.0, 3.0))


@example(
    REVERSE,
    "When each function is called",
    """
    called f!
    0.14112
    called f_fwd!
    called f!
    called f_bwd!
    -0.9899925
    called f_fwd!
    called f!
    0.14112
    called f_bwd!
    (DeviceArray(-0.9899925, dtype=float32),)
    """,
)
def vjp_call_order():
    @custom_vjp
    def f(x):
        print("called f!")
        return jnp.sin(x)

    def f_fwd(x):
        print("called f_fwd!")
        return f(x), jnp.cos(x)

    def f_bwd(cos_x, y_bar):
        print("called f_bwd!")
        return (cos_x * y_bar,)

    f.defvjp(f_fwd, f_bwd)

    print(f(3.0))
    print(grad(f)(3.0))
    y, f_vjp = vjp(f, 3.0)
    print(y)
    print(f_vjp(1.0))


@example(
    REVERSE,
    "Forward mode says that it cannot",
    """
    called f_fwd!
    called f!
    ERROR! can't apply forward-mode autodiff (jvp) to a custom_vjp function.
    """,
)
def forward_mode_error():
    @custom_vjp
    def f(x):
        print("called f!")
        return jnp.sin(x)

    def f_fwd(x):
        print("called f_fwd!")
        return f(x), jnp.cos(x)

    def f_bwd(cos_x, y_bar):
        print("called f_bwd!")
        return (cos_x * y_bar,)

    f.defvjp(f_fwd, f_bwd)

    try:
        jvp(f, (3.0,), (1.0,))
    except TypeError as e:
        print(f"ERROR! {e}")


DEBUGGING = Section(
    "Python debugging",
    "An identity whose backward pass stops in the debugger shows the cotangents "
    "that pass through a chosen place.",
)


class TypedInput(io.StringIO):
    """Lines typed at a prompt, echoed as a terminal would."""

    def __init__(self, lines: tuple[str, ...], screen: io.StringIO) -> None:
        super().__init__("".join(f"{line}\n" for line in lines))
        self.screen = screen

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        """Read a line and echo it."""
        line = super().readline(size)
        self.screen.write(line)
        return line


@contextlib.contextmanager
def debugger_typing(*lines: str) -> Iterator[python_debugger.Pdb]:
    """Give a debugger at which these lines are typed; print the session."""
    screen = io.StringIO()
    stdin = TypedInput(lines, screen)
    try:
        yield python_debugger.Pdb(
            stdin=stdin, stdout=screen, nosigint=True, readrc=False
        )
    except bdb.BdbQuit:
        session = screen.getvalue()
        print(session[session.index("(Pdb)") :])


@example(
    DEBUGGING,
    "A debugger in the backward pass",
    """
    (Pdb) p x
    DeviceArray(9., dtype=float32)
    (Pdb) p g
    DeviceArray(-0.91113025, dtype=float32)
    (Pdb) q
    """,
)
def debugging():
    @custom_vjp
    def debug(x):
        return x  # acts like identity

    def debug_fwd(x):
        return x, x

    def debug_bwd(x, g):
        pdb.set_trace()
        return g

    debug.defvjp(debug_fwd, debug_bwd)

    def foo(x):
        y = x**2
        y = debug(y)  # insert pdb in corresponding backward pass step
        return jnp.sin(y)

    with debugger_typing("p x", "p g", "q") as pdb:
        grad(foo)(3.0)


CONTAINERS = Section(
    "Working with containers",
    "Arguments, outputs, tangents and residuals may be any nest of tuples, named "
    "tuples, lists and dicts.",
)
Point = namedtuple("Point", ["x", "y"])


@example(
    CONTAINERS,
    "custom_jvp on a named tuple and a dict",
    """
    {'a': 1.0, 'b': (DeviceArray(0.84147096, dtype=float32), \
DeviceArray(-0.41614684, dtype=float32))}
    Point(x=DeviceArray(2.5403023, dtype=float32), y=array(0., dtype=float32))
    """,
)
def jvp_containers():
    @custom_jvp
    def f(pt):
        x, y = pt.x, pt.y
        return {"a": x**2, "b": (jnp.sin(x), jnp.cos(y))}

    @f.defjvp
    def f_jvp(primals, tangents):
        (pt,) = primals
        (pt_dot,) = tangents
        ans = f(pt)
        ans_dot = {
            "a": 2 * pt.x * pt_dot.x,
            "b": (jnp.cos(pt.x) * pt_dot.x, -jnp.sin(pt.y) * pt_dot.y),
        }
        return ans, ans_dot

    def fun(pt):
        dct = f(pt)
        return dct["a"] + dct["b"][0]

    pt = Point(1.0, 2.0)
    print(f(pt))
    print(grad(fun)(pt))


@example(
    CONTAINERS,
    "custom_vjp on a named tuple and a dict",
    """
    {'a': 1.0, 'b': (DeviceArray(0.84147096, dtype=float32), \
DeviceArray(-0.41614684, dtype=float32))}
    Point(x=DeviceArray(2.5403023, dtype=float32), y=DeviceArray(-0., dtype=float32))
    """,
)
def vjp_containers():
    @custom_vjp
    def f(pt):
        x, y = pt.x, pt.y
        return {"a": x**2, "b": (jnp.sin(x), jnp.cos(y))}

    def f_fwd(pt):
        return f(pt), pt

    def f_bwd(pt, g):
        a_bar, (b0_bar, b1_bar) = g["a"], g["b"]
        x_bar = 2 * pt.x * a_bar + jnp.cos(pt.x) * b0_bar
        y_bar = -jnp.sin(pt.y) * b1_bar
        return (Point(x_bar, y_bar),)

    f.defvjp(f_fwd, f_bwd)

    def fun(pt):
        dct = f(pt)
        return dct["a"] + dct["b"][0]

    pt = Point(1.0, 2.0)
    print(f(pt))
    print(grad(fun)(pt))


NONDIFF = Section(
    "Handling non-differentiable arguments",
    "Arguments that are no arrays, such as functions, are marked, and come first "
    "in the rules.",
)


@example(
    NONDIFF,
    "custom_jvp with nondiff_argnums",
    """
    27.0
    2.0
    """,
)
def jvp_nondiff():
    @partial(custom_jvp, nondiff_argnums=(0,))
    def app(f, x):
        return f(x)

    @app.defjvp
    def app_jvp(f, primals, tangents):
        (x,) = primals
        (x_dot,) = tangents
        return f(x), 2.0 * x_dot

    print(app(lambda x: x**3, 3.0))
    print(grad(app, 1)(lambda x: x**3, 3.0))


@example(
    NONDIFF,
    "They come first in the rule",
    """
    3375.0
    3.0
    """,
)
def jvp_nondiff_order():
    @partial(custom_jvp, nondiff_argnums=(0, 2))
    def app2(f, x, g):
        return f(g(x))

    @app2.defjvp
    def app2_jvp(f, g, primals, tangents):
        (x,) = primals
        (x_dot,) = tangents
        return f(g(x)), 3.0 * x_dot

    print(app2(lambda x: x**3, 3.0, lambda y: 5 * y))
    print(grad(app2, 1)(lambda x: x**3, 3.0, lambda y: 5 * y))


@example(
    NONDIFF,
    "custom_vjp with nondiff_argnums",
    """
    16.0
    5.0
    """,
)
def vjp_nondiff():
    @partial(custom_vjp, nondiff_argnums=(0,))
    def app(f, x):
        return f(x)

    def app_fwd(f, x):
        return f(x), x

    def app_bwd(f, x, g):
        return (5 * g,)

    app.defvjp(app_fwd, app_bwd)

    print(app(lambda x: x**2, 4.0))
    print(grad(app, 1)(lambda x: x**2, 4.0))
