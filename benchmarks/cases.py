"""What is timed: a row per question, and for each row a function per peer.

A function builds its inputs and returns what is to be timed. Pullback and JAX share
theirs, which is possible because they share an interface. This file is run in the
environment of each peer, so it imports none of them: each arrives as `lib`.
"""

import importlib
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

Call = Callable[[], Any]


@dataclass(frozen=True)
class Fresh:
    """A call that needs something new each time; making it is not timed."""

    make: Callable[[], Any]
    call: Callable[[Any], Any]


Builder = Callable[[Any], Call | Fresh]


@dataclass(frozen=True)
class Row:
    """A line of the table: what is timed, and the ratio or time to be reached."""

    title: str
    aim: float | None = None
    against: str = "jax"  # the peer of the ratio; "" if the aim is in seconds
    builders: dict[str, Builder] = field(default_factory=dict, compare=False)


ROWS: dict[str, Row] = {
    "import": Row("import", 0.3),
    "sin_scalar": Row("eager `sin(x)`, scalar", 0.35),
    "add_1000": Row("eager `x + x`, 1,000 elements", 0.25),
    "grad": Row("eager `grad` of log(1 + exp x)", 1.0, "autograd"),
    "grad_jvp": Row("the same with a custom jvp rule", 45e-6, ""),
    "grad_vjp": Row("the same with a custom vjp rule", 45e-6, ""),
    "hessian_forward": Row("forward over reverse, jvp and vjp rules"),
    "hessian_forward_jvp": Row("the same, jvp rule only"),
    "hessian_reverse": Row("reverse over forward, jvp and vjp rules"),
    "hessian_reverse_jvp": Row("the same, jvp rule only"),
    "trace": Row("trace `grad` of a 100-layer MLP", 0.15),
    "lower": Row("lower that to StableHLO", 0.1),
    "first_call": Row("first call of a small `jit` function", 0.9),
    "compiled_call": Row("call of a compiled scalar function", 1.0),
    "sin": Row("compiled `sin`, 1e6 float32", 0.06),
    "sort": Row("compiled `sort`, 1e6 float32", 0.2),
    "matmul": Row("compiled matmul, 512 x 512", 1.0),
    "scan": Row("compiled `scan`, 1,000 steps of 64", 1.0),
    "mlp_step": Row("compiled MLP step, 3 layers of 256", 1.0),
}

GROWTH = {
    "trace": "trace",
    "lower": "trace and lower",
    "grad": "eager grad",
    "trace_grad": "trace grad",
}


def load(peer: str) -> Any:
    """Import a peer and gather what the cases use of it."""
    if peer in ("pullback", "jax"):
        lib = importlib.import_module(peer)
        return SimpleNamespace(
            np=importlib.import_module(f"{peer}.numpy"),
            lax=importlib.import_module(f"{peer}.lax"),
            peer=peer,
            **{
                name: getattr(lib, name)
                for name in (
                    "custom_jvp custom_vjp grad jacfwd jacrev jit make_jaxpr".split()
                )
            },
        )
    if peer == "autograd":
        extend = importlib.import_module("autograd.extend")
        return SimpleNamespace(
            np=importlib.import_module("autograd.numpy"),
            grad=importlib.import_module("autograd").grad,
            primitive=extend.primitive,
            defvjp=extend.defvjp,
        )
    return importlib.import_module(peer)


def case(row: str, *peers: str) -> Callable[[Builder], Builder]:
    """Enter a function into a row, for these peers."""

    def enter(build: Builder) -> Builder:
        ROWS[row].builders.update(dict.fromkeys(peers, build))
        return build

    return enter


# Eager operations


@case("sin_scalar", "pullback", "jax")
def sin_scalar(lib):
    x = lib.np.asarray(1.0)
    return lambda: lib.np.sin(x)


@case("sin_scalar", "torch")
def sin_scalar_torch(torch):
    x = torch.tensor(1.0)
    return lambda: torch.sin(x)


@case("sin_scalar", "numpy")
def sin_scalar_numpy(np):
    x = np.asarray(1.0, np.float32)
    return lambda: np.sin(x)


@case("add_1000", "pullback", "jax")
def add_1000(lib):
    x = lib.np.ones(1000)
    return lambda: x + x


@case("add_1000", "torch")
def add_1000_torch(torch):
    x = torch.ones(1000)
    return lambda: x + x


@case("add_1000", "numpy")
def add_1000_numpy(np):
    x = np.ones(1000, np.float32)
    return lambda: x + x


# Eager gradients


@case("grad", "pullback", "jax", "autograd")
def grad(lib):
    gradient = lib.grad(lambda x: lib.np.log(1.0 + lib.np.exp(x)))
    return lambda: gradient(3.0)


@case("grad", "torch")
def grad_torch(torch):
    def call():
        x = torch.tensor(3.0, requires_grad=True)
        return torch.autograd.grad(torch.log(1.0 + torch.exp(x)), x)

    return call


@case("grad_jvp", "pullback", "jax")
def grad_jvp(lib):
    @lib.custom_jvp
    def f(x):
        return lib.np.log(1.0 + lib.np.exp(x))

    @f.defjvp
    def f_jvp(primals, tangents):
        (x,), (x_dot,) = primals, tangents
        return f(x), (1 - 1 / (1 + lib.np.exp(x))) * x_dot

    gradient = lib.grad(f)
    return lambda: gradient(3.0)


@case("grad_vjp", "pullback", "jax")
def grad_vjp(lib):
    @lib.custom_vjp
    def f(x):
        return lib.np.log(1.0 + lib.np.exp(x))

    f.defvjp(
        lambda x: (f(x), x),
        lambda x, g: ((1 - 1 / (1 + lib.np.exp(x))) * g,),
    )
    gradient = lib.grad(f)
    return lambda: gradient(3.0)


def rules_for_sums(lib, both: bool):
    """Build a function of a vector with a jvp rule, and a vjp rule too if asked."""
    np = lib.np

    @lib.custom_jvp
    def f(x):
        return np.sum(np.log(1.0 + np.exp(x)))

    def slope(x):
        return 1 - 1 / (1 + np.exp(x))

    def f_jvp(primals, tangents):
        return f(*primals), np.sum(slope(primals[0]) * tangents[0])

    f.defjvp(f_jvp)
    if both:
        f.defvjp(lambda x: (f(x), x), lambda x, g: (slope(x) * g,))
    return f, np.ones(16)


# JAX has one kind of rule a function, so its side of these is the jvp rule alone.


@case("hessian_forward", "pullback", "jax")
def hessian_forward(lib):
    f, x = rules_for_sums(lib, both=lib.peer == "pullback")
    hessian = lib.jacfwd(lib.grad(f))
    return lambda: hessian(x)


@case("hessian_forward_jvp", "pullback", "jax")
def hessian_forward_jvp(lib):
    f, x = rules_for_sums(lib, both=False)
    hessian = lib.jacfwd(lib.grad(f))
    return lambda: hessian(x)


@case("hessian_reverse", "pullback", "jax")
def hessian_reverse(lib):
    f, x = rules_for_sums(lib, both=lib.peer == "pullback")
    hessian = lib.jacrev(lib.jacfwd(f))
    return lambda: hessian(x)


@case("hessian_reverse_jvp", "pullback", "jax")
def hessian_reverse_jvp(lib):
    f, x = rules_for_sums(lib, both=False)
    hessian = lib.jacrev(lib.jacfwd(f))
    return lambda: hessian(x)


@case("grad_vjp", "autograd")
def grad_vjp_autograd(lib):
    @lib.primitive
    def f(x):
        return lib.np.log(1.0 + lib.np.exp(x))

    lib.defvjp(f, lambda ans, x: lambda g: (1 - 1 / (1 + lib.np.exp(x))) * g)
    gradient = lib.grad(f)
    return lambda: gradient(3.0)


@case("grad_vjp", "torch")
def grad_vjp_torch(torch):
    class F(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.log(1.0 + torch.exp(x))

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return (1 - 1 / (1 + torch.exp(x))) * g

    def call():
        x = torch.tensor(3.0, requires_grad=True)
        return torch.autograd.grad(F.apply(x), x)

    return call


# Staging


def mlp(lib, layers: int, width: int, batch: int):
    """Build a loss with the parameters and inputs of a multilayer perceptron."""
    np = lib.np
    params = [(np.ones((width, width)) / width, np.ones(width))] * layers
    inputs = np.ones((batch, width))

    def loss(params, x):
        for w, b in params:
            x = np.tanh(np.dot(x, w) + b)
        return np.sum(x * x)

    return loss, params, inputs


@case("trace", "pullback", "jax")
def trace(lib):
    loss, params, x = mlp(lib, layers=100, width=8, batch=4)
    # A new function each time: nothing is remembered from the call before.
    return Fresh(
        lambda: lambda params, x: loss(params, x),
        lambda f: lib.make_jaxpr(lib.grad(f))(params, x),
    )


@case("lower", "pullback", "jax")
def lower(lib):
    loss, params, x = mlp(lib, layers=100, width=8, batch=4)
    return Fresh(
        lambda: lib.jit(lib.grad(lambda *args: loss(*args))).trace(params, x),
        lambda traced: traced.lower().as_text(),
    )


@case("first_call", "pullback", "jax")
def first_call(lib):
    numbers: Iterator[int] = itertools.count(random.randrange(10_000, 1_000_000))

    def make():
        # A shape never seen before, so that no cache of the compiler can know it.
        return lib.jit(lambda x: lib.np.sum(lib.np.exp(x) * x + 1.0)), lib.np.ones(
            next(numbers)
        )

    return Fresh(make, lambda new: new[0](new[1]).block_until_ready())


# Compiled programs


@case("compiled_call", "pullback", "jax")
def compiled_call(lib):
    f = lib.jit(lambda x: x * 2.0 + 1.0)
    x = lib.np.asarray(1.0)
    return lambda: f(x)


def on_a_million(lib, operation):
    """Time a compiled operation on a million shuffled numbers."""
    x = lib.np.sin(lib.np.arange(1_000_000) * 1.7) * 100.0
    f = lib.jit(operation)
    return lambda: f(x).block_until_ready()


@case("sin", "pullback", "jax")
def sin(lib):
    return on_a_million(lib, lib.np.sin)


@case("sort", "pullback", "jax")
def sort(lib):
    return on_a_million(lib, lib.np.sort)


@case("sin", "torch")
def sin_torch(torch):
    x = torch.sin(torch.arange(1_000_000) * 1.7) * 100.0
    return lambda: torch.sin(x)


@case("sort", "torch")
def sort_torch(torch):
    x = torch.sin(torch.arange(1_000_000) * 1.7) * 100.0
    return lambda: torch.sort(x)


@case("sin", "numpy")
def sin_numpy(np):
    x = (np.sin(np.arange(1_000_000) * 1.7) * 100.0).astype(np.float32)
    return lambda: np.sin(x)


@case("sort", "numpy")
def sort_numpy(np):
    x = (np.sin(np.arange(1_000_000) * 1.7) * 100.0).astype(np.float32)
    return lambda: np.sort(x)


@case("matmul", "pullback", "jax")
def matmul(lib):
    x = lib.np.ones((512, 512))
    f = lib.jit(lib.np.matmul)
    return lambda: f(x, x).block_until_ready()


@case("matmul", "torch")
def matmul_torch(torch):
    x = torch.ones(512, 512)
    return lambda: x @ x


@case("matmul", "numpy")
def matmul_numpy(np):
    x = np.ones((512, 512), np.float32)
    return lambda: x @ x


@case("scan", "pullback", "jax")
def scan(lib):
    def step(carry, x):
        carry = lib.np.tanh(carry + x)
        return carry, carry

    x = lib.np.ones((1000, 64))
    f = lib.jit(lambda x: lib.lax.scan(step, lib.np.zeros(64), x)[1])
    return lambda: f(x).block_until_ready()


@case("mlp_step", "pullback", "jax")
def mlp_step(lib):
    loss, params, x = mlp(lib, layers=3, width=256, batch=128)

    @lib.jit
    def step(params, x):
        gradients = lib.grad(loss)(params, x)
        return [
            (w - 0.1 * dw, b - 0.1 * db)
            for (w, b), (dw, db) in zip(params, gradients, strict=True)
        ]

    return lambda: step(params, x)[0][0].block_until_ready()


@case("mlp_step", "torch")
def mlp_step_torch(torch):
    params = [
        torch.full(shape, 1.0 / 256, requires_grad=True)
        for _ in range(3)
        for shape in ((256, 256), (256,))
    ]
    inputs = torch.ones(128, 256)

    def call():
        x = inputs
        for w, b in zip(params[::2], params[1::2], strict=True):
            x = torch.tanh(x @ w + b)
        gradients = torch.autograd.grad((x * x).sum(), params)
        with torch.no_grad():
            return [p - 0.1 * g for p, g in zip(params, gradients, strict=True)]

    return call


# Growth with the number of eqns


def chain(lib, eqns: int):
    """Build a new function of `eqns` operations, one after the other."""

    def f(x):
        for _ in range(eqns // 2):
            x = lib.np.sin(x) * 1.5
        return x

    return f


def growth(lib, what: str, eqns: int) -> Fresh:
    """Build the work of one point of a growth curve."""
    calls: dict[str, Callable[[Any], Any]] = {
        "trace": lambda f: lib.make_jaxpr(f)(1.0),
        "lower": lambda f: lib.jit(f).lower(1.0).as_text(),
        "grad": lambda f: lib.grad(f)(1.0),
        "trace_grad": lambda f: lib.make_jaxpr(lib.grad(f))(1.0),
    }
    return Fresh(lambda: chain(lib, eqns), calls[what])
