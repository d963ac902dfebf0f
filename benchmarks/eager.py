"""Eager code: functions of small arrays, and gradients of plain Python.

A program is a function of a NumPy-like module and of arrays. Peers that have NumPy's
interface run the same one. Like `cases.py`, this file imports no peer.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy

Arrays = tuple[Any, ...]
Program = Callable[..., Any]

_RNG = numpy.random.default_rng(0)


def _floats(*shape: int) -> Any:
    return _RNG.normal(size=shape).astype("f4")


_X, _A = _floats(100), _floats(10, 10)
_SPREAD = numpy.arange(0, 100, 3)
_GRID = numpy.linspace(-2, 2, 9).astype("f4")
_DEFINITE = _A @ _A.T + numpy.eye(10, dtype="f4")

#: Functions of 100 numbers: a title, the program, its arrays.
FUNCTIONS: dict[str, tuple[Program, Arrays]] = {
    "`x + x`": (lambda np, x: x + x, (_X,)),
    "`exp(x)`": (lambda np, x: np.exp(x), (_X,)),
    "`x[3]`": (lambda np, x: x[3], (_X,)),
    "`x[2:50]`": (lambda np, x: x[2:50], (_X,)),
    "`A[:, 3]`": (lambda np, a: a[:, 3], (_A,)),
    "`x[indices]`": (lambda np, x: x[_SPREAD], (_X,)),
    "`A @ A`": (lambda np, a: a @ a, (_A,)),
    "`sum(x)`": (lambda np, x: np.sum(x), (_X,)),
    "`max(A, axis=1)`": (lambda np, a: np.max(a, axis=1), (_A,)),
    "`mean(x)`": (lambda np, x: np.mean(x), (_X,)),
    "`std(x)`": (lambda np, x: np.std(x), (_X,)),
    "`linalg.norm(x)`": (lambda np, x: np.linalg.norm(x), (_X,)),
    "`where(x > 0, x, 0)`": (lambda np, x: np.where(x > 0, x, 0), (_X,)),
    "`stack([x, x])`": (lambda np, x: np.stack([x, x]), (_X,)),
    "`reshape(x, (10, 10))`": (lambda np, x: np.reshape(x, (10, 10)), (_X,)),
    "`sort(x)`": (lambda np, x: np.sort(x), (_X,)),
    "`interp(x, ...)`": (lambda np, x, g: np.interp(x, g, g), (_X, _GRID)),
    "`searchsorted(g, x)`": (lambda np, x, g: np.searchsorted(g, x), (_X, _GRID)),
    "`quantile(x, 0.3)`": (lambda np, x: np.quantile(x, 0.3), (_X,)),
    "`einsum('ij,jk->ik')`": (lambda np, a: np.einsum("ij,jk->ik", a, a), (_A,)),
    "`linalg.solve`": (lambda np, a, b: np.linalg.solve(a, b), (_DEFINITE, _X[:10])),
    "`linalg.cholesky`": (lambda np, a: np.linalg.cholesky(a), (_DEFINITE,)),
    "`fft.fft(x)`": (lambda np, x: np.fft.fft(x), (_X,)),
}


def loss_of_layers(np: Any, weights: Any, x: Any) -> Any:
    """Give a loss of a network of three layers."""
    for w, b in weights:
        x = np.tanh(np.dot(x, w) + b)
    return np.sum(x**2)


def recurrent(np: Any, w: Any, x: Any) -> Any:
    """Go through a sequence, one row after the other."""
    h = np.zeros(20)
    for row in range(50):
        h = np.tanh(np.dot(w, h) + x[row])
    return np.sum(h)


def pendulum(np: Any, start: Any) -> Any:
    """Take a hundred steps with two numbers."""
    x, v = start[0], start[1]
    for _ in range(100):
        x, v = x + 0.01 * v, v - 0.01 * np.sin(x)
    return x


def oscillator(np: Any, start: Any) -> Any:
    """Take a hundred steps with a vector that is made anew each time."""
    y = start
    for _ in range(100):
        y = y + 0.01 * np.array([y[1], -y[0]])
    return np.sum(y**2)


def softmax_loss(np: Any, w: Any, x: Any) -> Any:
    """Give the cross entropy of the first class."""
    z = np.dot(x, w)
    top = np.max(z, axis=1, keepdims=True)
    return np.sum(np.log(np.sum(np.exp(z - top), axis=1)) + top[:, 0] - z[:, 0])


def log_likelihood(np: Any, length: Any, x: Any, y: Any) -> Any:
    """Give the likelihood of a Gaussian process, but for a constant."""
    gaps = x[:, None] - x[None]
    k = np.exp(-(gaps**2) / (2 * length**2)) + 0.1 * np.eye(len(y))
    lower = np.linalg.cholesky(k)
    weights = np.linalg.solve(k, y)
    return 0.5 * np.dot(y, weights) + np.sum(np.log(np.diag(lower)))


def filtered(np: Any, taps: Any, x: Any) -> Any:
    """Weigh ten shifted copies."""
    return np.sum(sum(taps[i] * x[i : i + 90] for i in range(10)) ** 2)


_WEIGHTS = [(_floats(10, 10), _floats(10)) for _ in range(3)]
_NUMBER = numpy.float32(1.5)

#: Programs whose gradient by the first argument is timed.
GRADIENTS: dict[str, tuple[Program, Arrays]] = {
    "three layers of 10": (loss_of_layers, (_WEIGHTS, _floats(64, 10))),
    "recurrent network of 20, 50 steps": (
        recurrent,
        (_floats(20, 20) * 0.2, _floats(50, 20)),
    ),
    "pendulum, 100 steps, two numbers": (pendulum, (_floats(2),)),
    "oscillator, 100 steps, `array([...])`": (oscillator, (_floats(2),)),
    "softmax, 500 x 50": (softmax_loss, (_floats(50, 10), _floats(500, 50))),
    "Gaussian process, 50 points": (
        log_likelihood,
        (_NUMBER, _floats(50), _floats(50)),
    ),
    "ten slices": (filtered, (_floats(10), _X)),
    "`prod` of 50": (lambda np, x: np.prod(x), (_X[:50],)),
    "`std` of 100": (lambda np, x: np.std(x), (_X,)),
    "`x[indices]`": (lambda np, x: np.sum(x[_SPREAD] ** 2), (_X,)),
    "`slogdet`, 30 x 30": (lambda np, a: np.linalg.slogdet(a)[1], (_floats(30, 30),)),
}


def build_function(name: str, lib: Any) -> Callable[[], Any]:
    """Build an eager call of a function with a peer's arrays."""
    program, arrays = FUNCTIONS[name]
    np = getattr(lib, "np", lib)  # NumPy is its own module of arrays
    return functools.partial(program, np, *[np.asarray(x) for x in arrays])


def build_gradient(name: str, lib: Any) -> Callable[[], Any]:
    """Build an eager call of a gradient."""
    program, arrays = GRADIENTS[name]

    def own(x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return type(x)(map(own, x))
        return lib.np.asarray(x) if hasattr(lib, "peer") else numpy.asarray(x)

    gradient = lib.grad(functools.partial(program, lib.np))
    return functools.partial(gradient, *map(own, arrays))
