"""Counter-based random bits: Threefry-2x32 with 20 rounds, and keys made from it.

Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
A key is `u32[..., 2]`; leading axes hold independent keys. Element i of a result is the
hash of the counter i, so it depends on neither the shape nor the other elements: the
layout that the ecosystem calls partitionable, and its default.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import dtypes
from pullback.core.aval import Aval, Shape
from pullback.core.origin import called_at
from pullback.core.primitive import Primitive
from pullback.core.trace import Value
from pullback.core.zero import Zero
from pullback.errors import ShapeError
from pullback.primitives.structural import broadcast_new_axis, frozen, move_axis

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_MASK = 0xFFFFFFFF
# Below this many hashes Python integers beat NumPy's cost per call.
_FEW = 8
# Elements hashed at once: the two words and a scratch array stay in the L2 cache.
_BLOCK = 16384


def hash_one(k0: int, k1: int, x0: int, x1: int) -> tuple[int, int]:
    """Hash one counter, in Python integers."""
    keys = (k0, k1, k0 ^ k1 ^ _PARITY)
    x0 = (x0 + k0) & _MASK
    x1 = (x1 + k1) & _MASK
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            x0 = (x0 + x1) & _MASK
            x1 = (((x1 << r) & _MASK) | (x1 >> (32 - r))) ^ x0
        x0 = (x0 + keys[(group + 1) % 3]) & _MASK
        x1 = (x1 + keys[(group + 2) % 3] + group + 1) & _MASK
    return x0, x1


def hash_block(k0: Any, k1: Any, x0: Any, x1: Any) -> None:
    """Hash counters in place, in NumPy arrays of `uint32`."""
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(_PARITY))
    scratch = np.empty_like(x1)
    x0 += k0
    x1 += k1
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            x0 += x1
            np.right_shift(x1, np.uint32(32 - r), out=scratch)
            np.left_shift(x1, np.uint32(r), out=x1)
            x1 |= scratch
            x1 ^= x0
        x0 += keys[(group + 1) % 3]
        x1 += keys[(group + 2) % 3] + np.uint32(group + 1)


def hash_counts(key: np.ndarray[Any, Any], n: int) -> tuple[Any, Any]:
    """Hash the counters 0 to n - 1 under one key: two arrays of length n."""
    if n <= _FEW:
        k0, k1 = int(key[0]), int(key[1])
        pairs = [hash_one(k0, k1, i >> 32, i & _MASK) for i in range(n)]
        both = np.array(pairs, np.uint32).reshape(n, 2)
        return both[:, 0], both[:, 1]
    counts = np.arange(n, dtype=np.uint64)
    x0 = (counts >> np.uint64(32)).astype(np.uint32)
    x1 = counts.astype(np.uint32)
    for start in range(0, n, _BLOCK):
        part = slice(start, start + _BLOCK)
        hash_block(key[0], key[1], x0[part], x1[part])
    return x0, x1


def hash_counts_of_keys(keys: np.ndarray[Any, Any], shape: Shape) -> tuple[Any, Any]:
    """Hash counters for each of several keys: two arrays `(*batch, *shape)`."""
    batch, n = keys.shape[:-1], math.prod(shape)
    rows = [hash_counts(key, n) for key in keys.reshape(-1, 2)]
    if len(rows) == 1:
        x0, x1 = rows[0]
        return x0.reshape((*batch, *shape)), x1.reshape((*batch, *shape))
    both = np.array(rows, np.uint32).reshape(len(rows), 2, n)
    full = (*batch, *shape)
    return both[:, 0].reshape(full), both[:, 1].reshape(full)


# -- lowering --------------------------------------------------------------------------


def emit_words(ctx: Any, key: Any, shape: Shape) -> tuple[Any, Any]:
    """Emit the two words of keys, each repeated along new trailing axes."""
    batch = key.aval.shape[:-1]
    words = []
    for i in (0, 1):
        part = Aval((*batch, 1), dtypes.uint32)
        word = ctx.emit(
            "stablehlo.slice",
            [key],
            part,
            f"start_indices = {ctx.ints([*[0] * len(batch), i])}, "
            f"limit_indices = {ctx.ints([*batch, i + 1])}, "
            f"strides = {ctx.ints([1] * (len(batch) + 1))}",
        )
        flat = ctx.emit("stablehlo.reshape", [word], Aval(batch, dtypes.uint32))
        words.append(ctx.broadcast(flat, (*batch, *shape), range(len(batch))))
    return words[0], words[1]


def emit_counts(ctx: Any, batch: Shape, shape: Shape) -> tuple[Any, Any]:
    """Emit the two words of the counters 0, 1, ... over `shape`, for each key."""
    n, full = math.prod(shape), (*batch, *shape)
    axes = range(len(batch), len(full))

    def spread(flat: Any) -> Any:
        shaped = ctx.emit("stablehlo.reshape", [flat], Aval(shape, dtypes.uint32))
        return ctx.broadcast(shaped, full, axes)

    attribute = "iota_dimension = 0 : i64"
    if n <= _MASK:
        low = ctx.emit("stablehlo.iota", [], Aval((n,), dtypes.uint32), attribute)
        return ctx.constant(0, Aval(full, dtypes.uint32)), spread(low)
    wide = Aval((n,), dtypes.uint64)
    counts = ctx.emit("stablehlo.iota", [], wide, attribute)
    half = ctx.constant(32, wide)
    high = ctx.emit("stablehlo.shift_right_logical", [counts, half], wide)
    return (
        spread(ctx.convert(high, dtypes.uint32)),
        spread(ctx.convert(counts, dtypes.uint32)),
    )


def emit_hash(ctx: Any, k0: Any, k1: Any, x0: Any, x1: Any) -> tuple[Any, Any]:
    """Emit the hash of counters under keys, all of one shape."""
    aval = x0.aval

    def op(name: str, a: Any, b: Any) -> Any:
        b = ctx.constant(b, aval) if isinstance(b, int) else b
        return ctx.emit(f"stablehlo.{name}", [a, b], aval)

    keys = (k0, k1, op("xor", op("xor", k0, k1), _PARITY))
    x0, x1 = op("add", x0, k0), op("add", x1, k1)
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            x0 = op("add", x0, x1)
            left = op("shift_left", x1, r)
            right = op("shift_right_logical", x1, 32 - r)
            x1 = op("xor", op("or", left, right), x0)
        x0 = op("add", x0, keys[(group + 1) % 3])
        x1 = op("add", op("add", x1, keys[(group + 2) % 3]), group + 1)
    return x0, x1


def emit_pairs(ctx: Any, x0: Any, x1: Any) -> Any:
    """Emit keys of their two words."""
    shape = x0.aval.shape
    one = Aval((*shape, 1), dtypes.uint32)
    parts = [ctx.emit("stablehlo.reshape", [x], one) for x in (x0, x1)]
    out = Aval((*shape, 2), dtypes.uint32)
    return ctx.emit(
        "stablehlo.concatenate", parts, out, f"dimension = {len(shape)} : i64"
    )


# -- operations ------------------------------------------------------------------------


class KeyOperation(Primitive):
    """An operation on one operand with keys: integers in, integers out."""

    __slots__ = ()

    def jvp(self, primals: Any, tangents: Any) -> Any:
        out = self(*primals)
        return out, Zero(like=out)

    def weak_result(self, all_weak: bool) -> bool:
        return False

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        return self(move_axis(operands[0], dims[0], 0)), 0


def check_key(name: str, key: Aval) -> None:
    """Raise unless a type is one of keys."""
    if key.dtype != dtypes.uint32 or key.shape[-1:] != (2,):
        raise ShapeError(
            f"{name} was given a key of type {key}; keys are u32[2], or u32[...,2].",
            where=called_at(),
            mend="Make keys with random.key(seed), random.split or random.fold_in; map "
            "over several keys with vmap.",
        )


@frozen
class RandomSeed(KeyOperation):
    """The key of an integer seed: its upper and lower 32 bits."""

    def abstract(self, seed: Aval) -> Aval:
        return Aval((*seed.shape, 2), dtypes.uint32)

    def eager(self, seed: Any) -> Any:
        seed = np.asarray(seed)
        wide = seed.astype(np.uint64)
        high = wide >> np.uint64(32) if seed.dtype.itemsize == 8 else wide * 0
        return np.stack([high, wide], -1).astype(np.uint32)

    def lower(self, ctx: Any, seed: Any) -> Any:
        shape = seed.aval.shape
        low = ctx.convert(seed, dtypes.uint32)
        if seed.aval.dtype.itemsize < 8:
            return emit_pairs(ctx, ctx.constant(0, low.aval), low)
        wide = ctx.convert(seed, dtypes.uint64)
        half = ctx.constant(32, Aval(shape, dtypes.uint64))
        high = ctx.emit("stablehlo.shift_right_logical", [wide, half], wide.aval)
        return emit_pairs(ctx, ctx.convert(high, dtypes.uint32), low)


def random_seed(seed: Value) -> Value:
    """Make keys `u32[..., 2]` of integer seeds."""
    return RandomSeed()(seed)


@frozen
class RandomSplit(KeyOperation):
    """An array of `shape` of new keys from each key."""

    shape: Shape

    def abstract(self, key: Aval) -> Aval:
        check_key("split", key)
        return Aval((*key.shape[:-1], *self.shape, 2), dtypes.uint32)

    def eager(self, key: Any) -> Any:
        return np.stack(hash_counts_of_keys(key, self.shape), -1)

    def lower(self, ctx: Any, key: Any) -> Any:
        words = emit_words(ctx, key, self.shape)
        counts = emit_counts(ctx, key.aval.shape[:-1], self.shape)
        return emit_pairs(ctx, *emit_hash(ctx, *words, *counts))


def random_split(key: Value, shape: Shape) -> Value:
    """Make new keys `u32[..., *shape, 2]` from each of `key: u32[..., 2]`."""
    return RandomSplit(shape)(key)


@frozen
class RandomFoldIn(KeyOperation):
    """A new key from each key and a 32-bit integer of its own."""

    def abstract(self, key: Aval, data: Aval) -> Aval:
        check_key("fold_in", key)
        if data.shape != key.shape[:-1]:
            raise ShapeError(
                f"fold_in was given data of shape {data.shape} for keys of type {key}.",
                where=called_at(),
                mend="Give one integer a key; map over several with vmap.",
            )
        return key

    def eager(self, key: Any, data: Any) -> Any:
        if key.ndim == 1:
            pair = hash_one(int(key[0]), int(key[1]), 0, int(data) & _MASK)
            return np.array(pair, np.uint32)
        x0, x1 = np.zeros(key.shape[:-1], np.uint32), np.array(data, np.uint32)
        hash_block(key[..., 0], key[..., 1], x0, x1)
        return np.stack([x0, x1], -1)

    def lower(self, ctx: Any, key: Any, data: Any) -> Any:
        words = emit_words(ctx, key, ())
        low = ctx.convert(data, dtypes.uint32)
        high = ctx.constant(0, low.aval)
        return emit_pairs(ctx, *emit_hash(ctx, *words, high, low))

    def batch(self, size: int, operands: Any, dims: Any) -> Any:
        key, data = (
            broadcast_new_axis(x, size, 0) if d is None else move_axis(x, d, 0)
            for x, d in zip(operands, dims)
        )
        return self(key, data), 0


def random_fold_in(key: Value, data: Value) -> Value:
    """Make a new key of each key and the integer at the same place of `data`."""
    return RandomFoldIn()(key, data)


@frozen
class RandomBits(KeyOperation):
    """Uniform unsigned integers of 8, 16, 32 or 64 bits, `shape` of them a key."""

    bit_width: int
    shape: Shape

    @property
    def dtype(self) -> dtypes.Dtype:
        """The dtype of the result."""
        return np.dtype(f"u{self.bit_width // 8}")

    def abstract(self, key: Aval) -> Aval:
        check_key("random bits", key)
        return Aval((*key.shape[:-1], *self.shape), self.dtype)

    def eager(self, key: Any) -> Any:
        x0, x1 = hash_counts_of_keys(key, self.shape)
        if self.bit_width == 64:
            return (x0.astype(np.uint64) << np.uint64(32)) | x1
        return (x0 ^ x1).astype(self.dtype)

    def lower(self, ctx: Any, key: Any) -> Any:
        words = emit_words(ctx, key, self.shape)
        counts = emit_counts(ctx, key.aval.shape[:-1], self.shape)
        x0, x1 = emit_hash(ctx, *words, *counts)
        if self.bit_width < 64:
            mixed = ctx.emit("stablehlo.xor", [x0, x1], x0.aval)
            return ctx.convert(mixed, self.dtype)
        wide = Aval(x0.aval.shape, dtypes.uint64)
        high, low = (ctx.convert(x, dtypes.uint64) for x in (x0, x1))
        high = ctx.emit("stablehlo.shift_left", [high, ctx.constant(32, wide)], wide)
        return ctx.emit("stablehlo.or", [high, low], wide)


def random_bits(key: Value, bit_width: int, shape: Shape) -> Value:
    """Make unsigned integers `[..., *shape]` from each of `key: u32[..., 2]`."""
    return RandomBits(bit_width, shape)(key)
