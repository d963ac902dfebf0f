"""Random numbers by rejection: gamma and Poisson, from the bits of a key.

The number of tries differs from element to element, so NumPy tries the elements that
are not done yet. Compiled programs do so with the same keys, by loops of their own
(`rejection_lowered`, `poisson_lowered`). Keys are split as in the ecosystem.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Zero, is_zero
from pullback.lazy import scipy_special
from pullback.primitives import poisson_lowered, rejection_lowered
from pullback.primitives.incomplete import gamma_density, igamma_grad_a
from pullback.primitives.random_bits import check_key, hash_block, hash_counts
from pullback.primitives.recipes import Flat, batch_to_front, lower_as
from pullback.primitives.structural import frozen
from pullback.primitives.table import div, exp, max, mul, neg

# -- numbers from keys, one each -------------------------------------------------------


def split_keys(keys: Any, count: int) -> list[Any]:
    """Split each of `keys: u32[n, 2]` into `count`, given apart."""
    out = []
    for i in range(count):
        x0 = np.zeros(len(keys), np.uint32)
        x1 = np.full(len(keys), i, np.uint32)
        hash_block(keys[:, 0], keys[:, 1], x0, x1)
        out.append(np.stack([x0, x1], -1))
    return out


def floats_of_bits(x0: Any, x1: Any, dtype: dtypes.Dtype) -> Any:
    """Make numbers in [0, 1) of hashes, as `random.uniform` does."""
    if dtype == np.float64:
        bits = (x0.astype(np.uint64) << np.uint64(32)) | x1
        one = np.uint64(0x3FF0000000000000)
        return ((bits >> np.uint64(12)) | one).view(np.float64) - 1.0
    mixed = ((x0 ^ x1) >> np.uint32(9)) | np.uint32(0x3F800000)
    return mixed.view(np.float32) - np.float32(1)


def uniform_of(keys: Any, dtype: dtypes.Dtype) -> Any:
    """Give one number in [0, 1) for each key."""
    x0, x1 = np.zeros((2, len(keys)), np.uint32)
    hash_block(keys[:, 0], keys[:, 1], x0, x1)
    return floats_of_bits(x0, x1, dtype)


def normal_of(keys: Any, dtype: dtypes.Dtype) -> Any:
    """Give one normal number for each key."""
    low = np.nextafter(dtype.type(-1), dtype.type(0))
    u = uniform_of(keys, dtype) * (dtype.type(1) - low) + low
    return dtype.type(math.sqrt(2)) * scipy_special.erfinv(np.maximum(u, low))


# -- gamma -----------------------------------------------------------------------------


def log_gamma_numbers(keys: Any, alpha: Any) -> Any:
    """Give the log of one gamma number for each key and parameter.

    Marsaglia and Tsang, A simple method for generating gamma variables (2000); a
    parameter below 1 is raised by 1, and the number multiplied by a power of a uniform
    one.
    """
    dtype = alpha.dtype
    one = dtype.type(1)
    large = alpha >= 1
    d = np.where(large, alpha, alpha + one) - dtype.type(1 / 3)
    c = dtype.type(1 / 3) / np.sqrt(d)
    keys, boost_keys = split_keys(keys, 2)
    cube = np.ones_like(alpha)
    todo = np.arange(len(alpha))
    while len(todo):
        keys, x_keys, u_keys = split_keys(keys, 3)
        x, v = positive_cube_root(x_keys, c[todo])
        square = x * x
        trial = v * v * v
        u = uniform_of(u_keys, dtype)
        bound = square / 2 + d[todo] * (one - trial + np.log(trial))
        again = (u >= one - dtype.type(0.0331) * square * square) & (np.log(u) >= bound)
        cube[todo[~again]] = trial[~again]
        todo, keys = todo[again], keys[again]
    log_u = np.log1p(-uniform_of(boost_keys, dtype))
    boost = np.where(large | (log_u == 0), 0, log_u * (one / alpha))
    return (np.log(d) + np.log(cube) + boost).astype(dtype)


def positive_cube_root(keys: Any, c: Any) -> tuple[Any, Any]:
    """Give normal numbers x with positive 1 + c x, and that."""
    x, v = np.zeros_like(c), np.zeros_like(c)
    todo = np.arange(len(c))
    while len(todo):
        keys, fresh = split_keys(keys, 2)
        x[todo] = normal_of(fresh, c.dtype)
        v[todo] = 1 + x[todo] * c[todo]
        again = v[todo] <= 0
        todo, keys = todo[again], keys[again]
    return x, v


@frozen
class RandomGamma(Primitive):
    """Gamma numbers of a key, one for each parameter alpha; their logs if `log_space`.

    Differentiable in alpha: a number moves so that its probability stays (Figurnov,
    Mohamed and Mnih, Implicit reparameterization gradients, 2018).
    """

    log_space: bool

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def abstract(self, key: Aval, alpha: Aval) -> Aval:
        check_key("gamma", key)
        return alpha.strong()

    def eager(self, key: Any, alpha: Any) -> Any:
        batch = key.shape[:-1]
        count = math.prod(alpha.shape[len(batch) :])
        split = [np.stack(hash_counts(k, count), -1) for k in key.reshape(-1, 2)]
        keys = np.concatenate(split) if split else np.zeros((0, 2), np.uint32)
        flat = np.asarray(alpha, np.promote_types(alpha.dtype, np.float32)).reshape(-1)
        with np.errstate(all="ignore"):
            logs = log_gamma_numbers(keys, flat).reshape(alpha.shape)
            found = logs if self.log_space else np.exp(logs)
        return found.astype(alpha.dtype)

    def lower(self, ctx: Any, key: Any, alpha: Any) -> Any:
        def numbers(key: Any, alpha: Any) -> Value:
            return rejection_lowered.gamma(ctx, key, alpha, self.log_space)

        return lower_as(ctx, numbers, key, alpha)

    def jvp(self, primals: Any, tangents: Any) -> Any:
        (key, alpha), (_, t) = primals, tangents
        ans = self(key, alpha)
        if is_zero(t):
            return ans, Zero(like=ans)
        tiny = float(dtypes.finfo(alpha.dtype).tiny)
        x = max(exp(ans) if self.log_space else ans, tiny)
        slope = neg(div(igamma_grad_a(alpha, x), gamma_density(alpha, x)))
        return ans, mul(t, div(slope, x) if self.log_space else slope)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(*batch_to_front(size, operands, dims)), 0


def random_gamma(key: Value, alpha: Value, log_space: bool = False) -> Value:
    """Make a gamma number for each parameter."""
    return RandomGamma(log_space)(key, alpha)


# -- Poisson ---------------------------------------------------------------------------


def uniform_array(key: Any, shape: tuple[int, ...]) -> Any:
    """Give numbers in [0, 1) of one key."""
    x0, x1 = hash_counts(key, math.prod(shape))
    return floats_of_bits(x0, x1, dtypes.float32).reshape(shape)


def poisson_by_products(key: Any, rate: Any) -> Any:
    """Count uniform numbers whose product stays above exp(-rate) (Knuth, 1969)."""
    count = np.zeros(rate.shape, np.int64)
    logs = np.zeros(rate.shape, np.float32)
    while np.any(logs > -rate):
        key, fresh = (k[0] for k in split_keys(key[None], 2))
        count = np.where(logs > -rate, count + 1, count)
        logs = logs + np.log(uniform_array(fresh, rate.shape))
    return count - 1


def poisson_by_rejection(key: Any, rate: Any) -> Any:
    """Reject from a transformed uniform number.

    Hoermann, The transformed rejection method for generating Poisson random variables
    (1993), algorithm PTRS.
    """
    # NumPy's logarithm of float32 is not rightly rounded, which would show where the
    # terms below are great and cancel.
    log_rate = np.log(rate, dtype=np.float64).astype(np.float32)
    b = np.float32(0.931) + np.float32(2.53) * np.sqrt(rate)
    a = np.float32(-0.059) + np.float32(0.02483) * b
    inverse = np.float32(1.1239) + np.float32(1.1328) / (b - np.float32(3.4))
    squeeze = np.float32(0.9277) - np.float32(3.6224) / (b - 2)
    found = np.full(rate.shape, -1, np.float32)
    done = np.zeros(rate.shape, bool)
    while not np.all(done):
        key, u_key, v_key = (k[0] for k in split_keys(key[None], 3))
        u = uniform_array(u_key, rate.shape) - np.float32(0.5)
        v = uniform_array(v_key, rate.shape)
        edge = np.float32(0.5) - np.abs(u)
        k = np.floor((2 * a / edge + b) * u + rate + np.float32(0.43))
        s = np.log(v * inverse / (a / (edge * edge) + b))
        t = -rate + k * log_rate - scipy_special.gammaln(k + 1)
        outside = (k < 0) | ((edge < np.float32(0.013)) & (v > edge))
        accept = ((edge >= np.float32(0.07)) & (v <= squeeze)) | (~outside & (s <= t))
        found = np.where(accept, k, found)
        done |= accept
    return found


@frozen
class RandomPoisson(Flat):
    """Poisson numbers of a key, one for each rate, which is taken as float32."""

    dtype: dtypes.Dtype

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def abstract(self, key: Aval, rate: Aval) -> Aval:
        check_key("poisson", key)
        return Aval(rate.shape, self.dtype)

    def eager(self, key: Any, rate: Any) -> Any:
        batch = key.shape[:-1]
        each = rate.shape[len(batch) :]
        rates = np.asarray(rate, np.float32).reshape((math.prod(batch), *each))
        with np.errstate(all="ignore"):
            rows = [self.one(k, r) for k, r in zip(key.reshape(-1, 2), rates)]
        return np.array(rows, self.dtype).reshape(rate.shape)

    def one(self, key: Any, rate: Any) -> Any:
        """Make the numbers of one key; small rates by products."""
        small = ~(rate >= 10)
        few = poisson_by_products(key, np.where(small, rate, 0))
        many = poisson_by_rejection(key, np.where(small, np.float32(1e5), rate))
        found = np.where(small, few, many).astype(self.dtype)
        return np.where(rate == 0, 0, np.where(np.isnan(rate), -1, found))

    def lower(self, ctx: Any, key: Any, rate: Any) -> Any:
        def numbers(key: Any, rate: Any) -> Value:
            return poisson_lowered.poisson(ctx, key, rate, self.dtype)

        return lower_as(ctx, numbers, key, rate)

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(*batch_to_front(size, operands, dims)), 0


def random_poisson(key: Value, rate: Value, dtype: dtypes.Dtype) -> Value:
    """Make a Poisson number for each rate."""
    return RandomPoisson(dtype)(key, rate)
