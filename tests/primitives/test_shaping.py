"""Cutting, joining, padding, turning, at places known beforehand or given as values."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import dtypes, grad, jit, make_jaxpr
from pullback.core.array import from_host
from pullback.errors import DtypeError, ShapeError
from pullback.primitives import creation, shaping, slicing
from tests.rule_checks import check_dtypes_of, check_rules_of

RNG = np.random.default_rng(1)
X = RNG.standard_normal((3, 4))
Y = RNG.standard_normal((3, 2))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_concatenate_has_right_rules(count):
    arrays = [X, Y, X[:, :0]][:count]
    check_rules_of(
        lambda *xs: shaping.concatenate(list(xs), 1),
        *arrays,
        reference=lambda *xs: np.concatenate(xs, 1),
    )


def test_concatenate_names_the_types_that_do_not_fit():
    x, y = from_host(np.zeros((2, 3))), from_host(np.zeros((3, 3)))
    with pytest.raises(ShapeError, match=r"f64\[2,3\], f64\[3,3\]"):
        shaping.Concatenate(1).abstract(x.aval, y.aval)
    with pytest.raises(DtypeError, match=r"f64\[2,3\], i32\[3,3\]"):
        shaping.Concatenate(0).abstract(x.aval, from_host(np.zeros((3, 3), "i4")).aval)


@pytest.mark.parametrize(
    "config",
    [
        [(1, 2, 0), (0, 1, 0)],
        [(0, 0, 2), (1, 1, 1)],
        [(-1, 0, 0), (0, -2, 0)],
        [(-2, 1, 1), (2, -5, 2)],
        [(-1, -1, 1), (-9, 9, 0)],
        [(4, -6, 0), (0, 0, 3)],
    ],
)
def test_pad_has_right_rules(config):
    check_rules_of(lambda x, v: shaping.pad(x, v, config), X, np.float64(0.5))


THIN = {
    "stacked": (lambda a: jnp.stack([a, a * 2.0, a - 1.0], -1), True),
    "pairs": (
        lambda a: jnp.concatenate([jnp.outer(a, jnp.ones(2)), a[:, None]], 1),
        True,
    ),
    "small matrices": (
        lambda a: jnp.stack([jnp.stack([a, -a], -1), jnp.stack([a + 1, a], -1)], -2),
        True,
    ),
    "stacked first": (lambda a: jnp.stack([a, a * 2.0], 0), False),
    "copied": (lambda a: jnp.stack([a, a], -1), False),
    "few": (lambda a: jnp.stack([a[:9] * 2.0, a[:9]], -1), False),
    "wide": (lambda a: jnp.concatenate([a.reshape(-1, 5) * 2.0] * 2, 1), False),
}


@pytest.mark.parametrize("name", THIN)
def test_thin_pieces_computed_on_the_way_are_joined_the_other_way_round(name):
    f, turned = THIN[name]
    a = np.linspace(-1.0, 1.0, 1000, dtype="f4")
    compiled = jit(f).lower(a)
    assert ("stablehlo.transpose" in compiled.as_text()) == turned
    np.testing.assert_array_equal(compiled.compile()(a), f(a))


def test_pad_with_a_constant_has_right_rules():
    config = [(1, 2, 1), (0, -1, 0)]
    check_rules_of(lambda x: shaping.pad(x, -1.0, config), X)


def test_pad_agrees_with_numpy():
    check_rules_of(
        lambda x: shaping.pad(x, 7.0, [(1, 2, 0), (3, 0, 0)]),
        X,
        reference=lambda x: np.pad(x, [(1, 2), (3, 0)], constant_values=7.0),
    )


@pytest.mark.parametrize(
    ("starts", "limits", "strides"),
    [
        ((0, 1), (3, 3), None),
        ((1, 0), (3, 4), (1, 3)),
        ((0, 0), (3, 4), (2, 2)),
        ((2, 3), (2, 4), (1, 1)),
    ],
)
def test_slice_has_right_rules(starts, limits, strides):
    steps = strides or (1, 1)
    index = tuple(map(slice, starts, limits, steps))
    check_rules_of(
        lambda x: shaping.slice_(x, starts, limits, strides),
        X,
        reference=lambda x: x[index],
    )


def test_slice_refuses_bounds_outside():
    with pytest.raises(ShapeError, match="for an operand of shape"):
        shaping.slice_(from_host(X), (0, 0), (3, 5))


@pytest.mark.parametrize("axes", [(0,), (0, 1)])
def test_reverse_has_right_rules(axes):
    check_rules_of(
        lambda x: shaping.reverse(x, axes), X, reference=lambda x: np.flip(x, axes)
    )


def test_split_cuts_into_pieces_and_has_right_rules():
    check_rules_of(
        lambda x: shaping.split(x, (1, 0, 3), 1),
        X,
        reference=lambda x: [x[:, :1], x[:, 1:1], x[:, 1:]],
    )


@pytest.mark.parametrize("used", [(), (1,), (0, 3), (0, 1, 2, 3)])
def test_what_is_not_used_of_a_split_has_no_cotangent(used):
    sizes, weights = (1, 2, 0, 3), np.arange(18, dtype="f4").reshape(3, 6)

    def f(x):
        pieces = shaping.split(x * weights, sizes, 1)
        return sum([jnp.sum(pieces[i]) for i in used], x[0, 0] * 0.0)

    wanted = np.zeros_like(weights)
    for i in used:
        start = sum(sizes[:i])
        wanted[:, start : start + sizes[i]] = weights[:, start : start + sizes[i]]
    for g in (grad(f), jit(grad(f))):
        np.testing.assert_array_equal(g(np.ones((3, 6), "f4")), wanted)


def test_the_cotangent_of_a_split_is_one_array():
    def product(x):
        a, b, c = jnp.split(x, 3)
        return jnp.sum(a * b * c)

    text = str(make_jaxpr(grad(product))(X[0, :3]))
    assert "concatenate" in text
    assert "pad[" not in text


def test_split_refuses_sizes_that_do_not_add_up():
    with pytest.raises(ShapeError, match="add up"):
        shaping.split(from_host(X), (1, 1), 1)


def test_squeeze_and_expand_dims_reshape():
    check_rules_of(
        lambda x: shaping.squeeze(shaping.expand_dims(x, (0, 2)), (0,)),
        X,
        reference=lambda x: x[:, None],
    )
    with pytest.raises(ShapeError, match=r"axes \(1,\)"):
        shaping.squeeze(from_host(X), (1,))


def test_shaping_keeps_every_dtype():
    def f(x):
        padded = shaping.pad(x, 1, [(1, -1, 1), (0, 2, 0)])
        return [padded, shaping.reverse(padded, (1,)), shaping.concatenate([x, x], 0)]

    check_dtypes_of(f, 10 * X)


# -- at places given as values ---------------------------------------------------------


@pytest.mark.parametrize("start", [(0, 0), (1, 2), (9, -3), (-1, 3)])
def test_dynamic_slice_moves_the_box_inside_and_has_right_rules(start):
    i, j = (s + n if s < 0 else s for s, n in zip(start, X.shape))
    i, j = min(max(i, 0), 1), min(max(j, 0), 1)
    check_rules_of(
        lambda x, a, b: slicing.dynamic_slice(x, (a, b), (2, 3)),
        X,
        np.int32(start[0]),
        np.int32(start[1]),
        reference=lambda x, a, b: x[i : i + 2, j : j + 3],
    )


def starts_of(s):
    return [shaping.squeeze(x, (0,)) for x in shaping.split(s, (1, 1), 0)]


def test_dynamic_slice_batches_over_its_starts():
    check_rules_of(
        lambda x, s: slicing.dynamic_slice(x, starts_of(s), (2, 1)),
        X,
        np.array([1, 2]),
        order=1,
    )


@pytest.mark.parametrize("start", [(0, 0), (1, 2), (9, -3)])
def test_dynamic_update_slice_has_right_rules(start):
    check_rules_of(
        lambda x, u, a, b: slicing.dynamic_update_slice(x, u, (a, b)),
        X,
        RNG.standard_normal((2, 3)),
        np.int32(start[0]),
        np.int32(start[1]),
    )


def test_dynamic_update_slice_batches_over_its_starts():
    check_rules_of(
        lambda x, u, s: slicing.dynamic_update_slice(x, u, starts_of(s)),
        X,
        Y[:2],
        np.array([1, 2]),
        order=1,
    )


def test_static_starts_make_a_plain_slice():
    x = from_host(X)
    found = slicing.dynamic_slice(x, (-1, 1), (2, 2))
    np.testing.assert_array_equal(np.asarray(found), X[1:3, 1:3])


def test_a_box_that_is_too_large_is_refused():
    with pytest.raises(ShapeError, match="box of shape"):
        slicing.dynamic_slice(from_host(X), (0, 0), (4, 1))


# -- made of nothing -------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["int32", "uint8", "float32", "bfloat16", "complex64"])
def test_iota_counts_along_an_axis(name, axis):
    dtype = getattr(dtypes, name)
    check_rules_of(
        lambda x: [creation.broadcasted_iota(dtype, (3, 4), axis), x],
        X,
        reference=lambda x: [np.indices((3, 4))[axis].astype(dtype), x],
        order=1,
    )


def test_full_like_takes_shape_and_dtype_of_its_model():
    x = from_host(np.zeros((2, 3), np.int32))
    found = creation.full_like(x, 7)
    np.testing.assert_array_equal(np.asarray(found), np.full((2, 3), 7, np.int32))
    assert creation.full_like(x, 1, "float32", (4,)).shape == (4,)
