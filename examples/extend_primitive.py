"""A new operation from outside, with every rule: rotating the last axis of an array.

Each method below is asked for by one transformation. Leave one out, and the error says
what to write.
"""

import numpy as np

import pullback
import pullback.numpy as jnp
from pullback import extend


@extend.frozen
class Rotate(extend.Primitive):
    """The elements of the last axis moved on by `count` places, round the end."""

    # Static parameters are fields: hashable, and part of what is compiled.
    count: int

    # It is linear in its only operand, so that it may be applied to tangents.
    linear = ((0,),)

    def abstract(self, x):
        """Staging asks for the type of the result."""
        return extend.Aval(x.shape, x.dtype)

    def eager(self, x):
        """Outside of transformations NumPy computes."""
        return np.roll(x, self.count, -1)

    def lower(self, ctx, x):
        """`jit` asks for StableHLO: two slices, joined the other way round."""
        *leading, n = x.aval.shape
        cut = n - self.count % n
        parts = [
            self.lower_slice(ctx, x, start, stop)
            for start, stop in ((cut, n), (0, cut))
        ]
        attribute = f"dimension = {len(leading)} : i64"
        return ctx.emit(
            "stablehlo.concatenate", parts, self.abstract(x.aval), attribute
        )

    @staticmethod
    def lower_slice(ctx, x, start, stop):
        """Emit one slice of the last axis."""
        *leading, _ = x.aval.shape
        starts = [0] * len(leading) + [start]
        limits = [*leading, stop]
        attributes = (
            f"start_indices = {ctx.ints(starts)}, limit_indices = {ctx.ints(limits)}, "
            f"strides = {ctx.ints([1] * len(starts))}"
        )
        out = extend.Aval((*leading, stop - start), x.aval.dtype)
        return ctx.emit("stablehlo.slice", [x], out, attributes)

    def jvp(self, primals, tangents):
        """The derivative of a linear operation is itself; zero stays zero."""
        (x,), (x_dot,) = primals, tangents
        y = self(x)
        return y, extend.Zero(like=y) if extend.is_zero(x_dot) else self(x_dot)

    def transpose(self, ct, x):
        """Cotangents go back to where the elements came from."""
        return (Rotate(-self.count)(ct),)

    def batch(self, size, operands, dims):
        """A batch axis anywhere but at the end changes nothing."""
        (x,), (dim,) = operands, dims
        return self(extend.move_axis(x, dim, 0)), 0


def rotate(x, count):
    """Move the elements of the last axis on by `count` places."""
    return Rotate(count)(jnp.asarray(x))


def main():
    """Use it under every transformation."""
    x = jnp.arange(5.0)
    weights = jnp.array([1.0, 10.0, 100.0, 1000.0, 10000.0])
    print("eager", rotate(x, 2))
    print("jit", pullback.jit(lambda x: rotate(x, 2))(x))
    print("jaxpr", pullback.make_jaxpr(lambda x: rotate(x, 2))(x))
    print("jvp", pullback.jvp(lambda x: rotate(x, 1), (x,), (jnp.ones(5),))[1])
    print("grad", pullback.grad(lambda x: jnp.sum(weights * rotate(x, 1)))(x))
    print("vmap", pullback.vmap(lambda x: rotate(x, 1), 1, 1)(jnp.eye(5))[0])


if __name__ == "__main__":
    main()
