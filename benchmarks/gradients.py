"""The gradient programs: functions whose compiled gradient is timed and weighed.

As in `cases`, Pullback and JAX share the code, and each library arrives as `lib`. The
sizes are such that what is kept for the way back shows in the memory of the process.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Program:
    """A scalar function with its arguments; the gradient is that by the first.

    Fields:
        title: its line in the table.
        build: makes function and arguments of a library.
    """

    title: str
    build: Callable[[Any], tuple[Callable[..., Any], tuple[Any, ...]]]


def numbers(lib, *shape):
    """Give numbers in (-1, 1) that are not all alike."""
    count = 1
    for n in shape:
        count *= n
    return lib.np.sin(lib.np.arange(count) * 1.7).reshape(shape)


def perceptron(lib):
    np = lib.np
    layers = [(numbers(lib, 512, 512) / 16, numbers(lib, 512)) for _ in range(4)]

    def loss(layers, x):
        for w, b in layers:
            x = np.tanh(np.dot(x, w) + b)
        return np.mean(x * x)

    return loss, (layers, numbers(lib, 512, 512))


def recurrent(lib):
    np = lib.np
    width, batch = 64, 32

    def loss(weights, xs):
        u, w, b = weights

        def step(h, x):
            h = np.tanh(np.dot(x, u) + np.dot(h, w) + b)
            return h, np.sum(h * h)

        return np.sum(lib.lax.scan(step, np.zeros((batch, width)), xs)[1])

    u, w = numbers(lib, width, width) / 8, numbers(lib, width, width) / 16
    return loss, ((u, w, numbers(lib, width)), numbers(lib, 1000, batch, width))


def convolution(lib):
    np = lib.np

    def convolve(x, kernel):
        return lib.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def loss(params, x):
        (first, a), (second, b), dense = params
        x = np.maximum(convolve(x, first) + a, 0.0)
        x = lib.lax.reduce_window(
            x, -np.inf, lib.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
        )
        x = np.maximum(convolve(x, second) + b, 0.0)
        return np.mean(np.dot(np.mean(x, (1, 2)), dense) ** 2)

    params = [
        (numbers(lib, 3, 3, 3, 16) / 4, numbers(lib, 16)),
        (numbers(lib, 3, 3, 16, 32) / 8, numbers(lib, 32)),
        numbers(lib, 32, 10),
    ]
    return loss, (params, numbers(lib, 32, 32, 32, 3))


def logsumexp(lib):
    np = lib.np

    def loss(x, labels):
        chosen = np.take_along_axis(x, labels[:, None], 1)
        return np.mean(lib.logsumexp(x, 1) - chosen[:, 0])

    return loss, (numbers(lib, 2000, 1000), np.arange(2000) % 1000)


def differential_equation(lib):
    np = lib.np

    def slope(y, t, w):
        return np.tanh(np.dot(w, y)) - 0.1 * y

    def loss(w, y, times):
        ys = lib.odeint(slope, y, times, w, rtol=1e-5, atol=1e-5)
        return np.mean(ys[-1] ** 2)

    return loss, (numbers(lib, 32, 32), numbers(lib, 32), np.linspace(0.0, 5.0, 11))


def rows(lib):
    np = lib.np

    def loss(rows, x):
        for i in range(len(rows)):
            x = x * rows[i] + np.sin(np.sum(rows[i, :5]))
        return np.sum(x * x)

    return loss, (numbers(lib, 50, 2000), numbers(lib, 2000))


def graph(lib):
    np = lib.np
    nodes, edges = 500, 4000
    source = (np.arange(edges) * 7919) % nodes
    target = (np.arange(edges) * 104_729 + 13) % nodes

    def loss(weights, x, source, target):
        for w in weights:
            messages = np.dot(x, w)[source]
            x = np.tanh(np.zeros_like(x).at[target].add(messages))
        return np.sum(x * x)

    weights = [numbers(lib, 16, 16) / 8 for _ in range(2)]
    return loss, (weights, numbers(lib, nodes, 16), source, target)


def filtered(lib):
    np = lib.np

    def loss(kernel, x):
        return np.sum(np.tanh(np.convolve(x, kernel)) ** 2)

    return loss, (numbers(lib, 500), numbers(lib, 10_000))


def fixed_point(lib):
    np = lib.np

    @functools.partial(lib.custom_vjp, nondiff_argnums=(0,))
    def solve(f, a, start):
        def going(carry):
            before, x = carry
            return np.max(np.abs(before - x)) > 1e-5

        first = (start, f(a, start))
        return lib.lax.while_loop(going, lambda c: (c[1], f(a, c[1])), first)[1]

    def forward(f, a, start):
        x = solve(f, a, start)
        return x, (a, x)

    def back_step(f, packed, u):
        a, x, ct = packed
        return ct + lib.vjp(lambda x: f(a, x), x)[1](u)[0]

    def backward(f, residuals, ct):
        a, x = residuals
        u = solve(functools.partial(back_step, f), (a, x, ct), ct)
        return lib.vjp(lambda a: f(a, x), a)[1](u)[0], np.zeros_like(x)

    solve.defvjp(forward, backward)

    def update(a, x):
        w, b = a
        return np.tanh(np.dot(w, x) + b)

    def loss(a, start):
        return np.sum(solve(update, a, start) ** 2)

    size = 512
    return loss, ((numbers(lib, size, size) / size, numbers(lib, size)), np.zeros(size))


PROGRAMS: dict[str, Program] = {
    "perceptron": Program("MLP, 4 layers of 512, 512 inputs", perceptron),
    "recurrent": Program("recurrent network, `scan` of 1,000 steps", recurrent),
    "convolution": Program("two convolutions and a pooling, 32 images", convolution),
    "logsumexp": Program("`logsumexp` of 2,000 rows of 1,000", logsumexp),
    "ode": Program("`odeint`, 32 equations, 10 times", differential_equation),
    "rows": Program("recurrence over 50 rows of 2,000, by `rows[i]`", rows),
    "graph": Program("graph network, 2 layers, 4,000 edges", graph),
    "filtered": Program("`convolve` of 10,000 numbers by 500", filtered),
    "fixed_point": Program("implicit fixed point, rule of the user's", fixed_point),
}
