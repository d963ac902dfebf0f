"""Axes moved, arrays joined, cut and repeated: against NumPy, with derivatives."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.errors import ArgumentError, ShapeError, TracerIntegerError
from tests.numpy.agreement import (
    agrees,
    assert_same,
    has_right_derivatives,
    integers,
    normal,
)

A, V, T, K = normal(3, 4), normal(4), normal(2, 3, 4), integers(3, 4)

CASES = [
    ("reshape", T, (4, -1)),
    ("ravel", T),
    ("transpose", T),
    ("transpose", T, (1, 0, 2)),
    ("moveaxis", T, 0, -1),
    ("moveaxis", T, (0, 1), (-1, 0)),
    ("swapaxes", T, 0, 2),
    ("rollaxis", T, 2),
    ("rollaxis", T, 0, 3),
    ("expand_dims", A, 1),
    ("expand_dims", A, (0, 2)),
    ("squeeze", A[None, :, None]),
    ("squeeze", A[None], 0),
    ("matrix_transpose", T),
    ("atleast_1d", np.float32(3)),
    ("atleast_2d", V),
    ("atleast_3d", A),
    ("atleast_3d", V),
    ("broadcast_to", V, (3, 4)),
    ("broadcast_arrays", A, V),
    ("append", A, V),
    ("append", A, A, 0),
    ("split", A, 2, 1),
    ("split", A, [1, 3], 1),
    ("split", V, [3, 1]),
    ("array_split", V, 3),
    ("hsplit", A, 2),
    ("vsplit", A, 3),
    ("dsplit", T, 2),
    ("tile", A, 2),
    ("tile", A, (2, 1, 3)),
    ("roll", A, 1),
    ("roll", A, (1, -2), (0, 1)),
    ("roll", A, 2, 1),
    ("rot90", A),
    ("rot90", A, 2),
    ("rot90", T, -1, (1, 2)),
    ("flip", A),
    ("flip", A, 0),
    ("fliplr", A),
    ("flipud", A),
    ("resize", A, (5, 3)),
    ("resize", V, (2,)),
    ("shape", A),
    ("ndim", A),
    ("size", A),
    ("unstack", A),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}{c[2:]}")
def test_shapes_agree_with_numpy(case):
    agrees(*case, compiled=case[0] not in ("shape", "ndim", "size"))


@pytest.mark.parametrize("name", ["reshape", "ravel"])
def test_column_order_agrees_with_numpy(name):
    shape = [(6, 4)] if name == "reshape" else []
    agrees(name, T, *shape, order="F")


JOINS = [
    ("concatenate", [A, K], 1),
    ("concatenate", [A, V], None),
    ("concatenate", [A, A[:1]], 0),
    ("stack", [A, K], -1),
    ("stack", [V, V], 1),
    ("vstack", [V, A]),
    ("hstack", [V, V[:2]]),
    ("hstack", [A, A]),
    ("dstack", [A, A]),
    ("dstack", [V, V]),
    ("column_stack", [V, V]),
    ("block", [[A, A], [A, A]]),
    ("block", [V, V]),
]


@pytest.mark.parametrize("case", JOINS, ids=lambda c: f"{c[0]}{c[2:]}")
def test_joins_agree_with_numpy(case):
    name, arrays, *rest = case
    want = [getattr(np, name)(arrays, *rest)]
    assert_same([getattr(jnp, name)(arrays, *rest)], want, 0)
    if name != "block":
        got = jit(lambda *xs: getattr(jnp, name)(xs, *rest))(*map(jnp.asarray, arrays))
        assert_same([got], want, 0)


def test_joins_promote():
    assert jnp.concatenate([jnp.ones(1, jnp.int8), jnp.ones(1)]).dtype == jnp.float32
    assert jnp.stack([1, 2.5]).dtype == jnp.float32


def test_an_array_is_a_sequence_of_its_rows():
    assert_same([jnp.concatenate(jnp.asarray(T))], [np.concatenate(T)], 0)
    assert_same([jnp.vstack(jnp.asarray(T))], [np.vstack(T)], 0)


SMOOTH = {
    "reshape": lambda x: jnp.reshape(x, (4, 3), order="F"),
    "concatenate": lambda x: jnp.concatenate([x, x * x], 1),
    "stack": lambda x: jnp.stack([x, x * x]),
    "split": lambda x: jnp.split(x, 2, 1)[1],
    "tile": lambda x: jnp.tile(x, (2, 2)),
    "roll": lambda x: jnp.roll(x, 1, 0),
    "rot90": jnp.rot90,
    "resize": lambda x: jnp.resize(x, (5, 3)),
    "broadcast_to": lambda x: jnp.broadcast_to(x[0], (2, 4)),
    "moveaxis": lambda x: jnp.moveaxis(x, 0, 1),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_right(name):
    has_right_derivatives(SMOOTH[name], A)


ERRORS = [
    (lambda: jnp.reshape(jnp.ones(6), (4, 2)), r"f32\[6\].*\(4, 2\)"),
    (lambda: jnp.reshape(jnp.ones(6), (-1, -1)), r"\(-1, -1\)"),
    (lambda: jnp.ones(6).reshape(4, -1), r"\(4, -1\)"),
    (lambda: jnp.reshape(jnp.ones(6), 6, order="A"), "order='A'"),
    (lambda: jnp.transpose(jnp.ones((2, 3)), (0, 0)), r"\(0, 0\)"),
    (lambda: jnp.swapaxes(jnp.ones((2, 3)), 0, 5), "axis 5"),
    (lambda: jnp.moveaxis(jnp.ones((2, 3)), (0, 1), 0), "destination=0"),
    (lambda: jnp.squeeze(jnp.ones((2, 3)), 0), r"\(2, 3\)"),
    (lambda: jnp.broadcast_to(jnp.ones(3), (2, 2)), r"f32\[3\] to shape \(2, 2\)"),
    (lambda: jnp.concatenate([]), "no arrays"),
    (lambda: jnp.concatenate([1.0, 2.0]), "scalar"),
    (
        lambda: jnp.concatenate([jnp.ones((2, 3)), jnp.ones((3, 2))]),
        r"f32\[2,3\].*array 1, f32\[3,2\]",
    ),
    (lambda: jnp.stack([jnp.ones(2), jnp.ones(3)]), r"f32\[2\], f32\[3\]"),
    (lambda: jnp.split(jnp.ones(5), 2), r"f32\[5\] into 2"),
    (lambda: jnp.array_split(jnp.ones(5), 0), "0 pieces"),
    (lambda: jnp.rot90(jnp.ones((2, 2)), axes=(1, 1)), r"\(1, 1\)"),
    (lambda: jnp.matrix_transpose(jnp.ones(2)), r"f32\[2\]"),
]


@pytest.mark.parametrize(("f", "text"), ERRORS, ids=[text for _, text in ERRORS])
def test_what_does_not_fit_is_named(f, text):
    with pytest.raises((ShapeError, ArgumentError), match=text):
        f()


def test_places_to_cut_must_be_known_when_tracing():
    with pytest.raises(TracerIntegerError, match="split needs"):
        jit(lambda n: jnp.split(jnp.ones(4), n))(2)
    with pytest.raises(TracerIntegerError, match="roll"):
        jit(lambda n: jnp.roll(jnp.ones(4), n))(2)


def test_trim_zeros_agrees_with_numpy():
    x = np.array([0, 0, 1, 0, 2, 0])
    for trim in ("fb", "f", "b"):
        agrees("trim_zeros", x, trim, compiled=False)
