"""A SciPy solver as a differentiable function: compiled, batched, of all orders.

SciPy solves the Sylvester equation A X + X B = Q by a way of its own (Bartels and
Stewart), which no transformation can see into. Two things are written here by hand: how
to call it, and what its derivative is.
"""

import numpy as np
import scipy.linalg

import pullback
import pullback.numpy as jnp
from pullback import extend
from pullback.custom.linear_call import linear_call


def call_scipy(a, b, q):
    """Call SciPy from wherever we are: eager code, a compiled program, a batch."""

    def on_host(a, b, q):
        return scipy.linalg.solve_sylvester(a, b, q).astype(q.dtype)

    result = extend.ShapeDtypeStruct(q.shape, q.dtype)
    return extend.pure_callback(on_host, result, a, b, q, vmap_method="sequential")


@pullback.custom_jvp
def sylvester(a, b, q):
    """Give the X with A X + X B = Q.

    X is linear in Q, and the transpose of that linear function is a solution too, with
    A and B transposed.
    """

    def solve(matrices, q):
        return call_scipy(*matrices, q)

    def solve_transposed(matrices, ct):
        a, b = matrices
        return sylvester(a.T, b.T, ct)

    return linear_call(solve, solve_transposed, (a, b), q)


@sylvester.defjvp
def sylvester_jvp(primals, tangents):
    """Differentiate the equation: A X' + X' B = Q' - A' X - X B'."""
    a, b, q = primals
    a_dot, b_dot, q_dot = tangents
    x = sylvester(a, b, q)
    return x, sylvester(a, b, q_dot - a_dot @ x - x @ b_dot)


def main():
    """Use it as any other function."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 3)).astype(np.float32) + 4 * np.eye(3, dtype="f")
    q = rng.normal(size=(3, 3)).astype(np.float32)
    x = sylvester(a, b, q)
    print("residual", jnp.max(jnp.abs(a @ x + x @ b - q)) < 1e-5)

    def size(a):
        return jnp.sum(sylvester(a, b, q) ** 2)

    gradient = pullback.grad(size)(jnp.array(a))
    step = 1e-2
    moved = np.zeros_like(a)
    moved[0, 1] = step
    difference = (size(a + moved) - size(a - moved)) / (2 * step)
    print("gradient", gradient[0, 1], "by differences", difference)
    print("compiled", pullback.jit(pullback.grad(size))(a)[0, 1])
    print(
        "batched",
        pullback.vmap(sylvester, (None, None, 0))(a, b, np.stack([q, 2 * q])).shape,
    )
    print("second order", pullback.hessian(size)(jnp.array(a)).shape)


if __name__ == "__main__":
    main()
