"""Reading with `x[...]` and writing with `x.at[...]`, against NumPy."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback.calls.jit import jit
from pullback.errors import ArgumentError, DtypeError, IndexBoundsError, ShapeError
from pullback.transforms.derivatives import grad
from pullback.transforms.stage import make_jaxpr
from pullback.transforms.vmap import vmap
from tests.numpy.agreement import RNG, has_right_derivatives

T = RNG.normal(size=(4, 5, 6)).astype(np.float32)
X = jnp.asarray(T)
I3, I21 = np.array([0, 2, -1]), np.array([[1], [3]])
ALL = slice(None)
INDICES = [
    0,
    -1,
    slice(1, 3),
    (slice(None, None, -1),),
    (ALL, 2),
    (..., 1),
    (None, 0),
    (0, None, slice(None, None, 2)),
    (slice(3, 0, -2), ..., slice(None, None, -1)),
    (1, 2, 3),
    (),
    (slice(5, 9),),
    (slice(2, 1), 0),
    (I3,),
    (ALL, I3),
    (I3, I3),
    (I3, ALL, I3),
    (0, ALL, I3),
    (ALL, 0, I3),
    (slice(1, 3), I3, I3),
    (I21, I3),
    (ALL, I21, I3),
    (I3, None, I3),
    (None, I3, slice(1, 3), I3),
    (T[:, 0, 0] > 0,),
    (T[:, 0, 0] > 0, slice(1, 3)),
    (ALL, T[0, :, 0] > 0),
    (T > 0,),
    (T[:, :, 0] > 0,),
    (..., I3, slice(2, 4)),
    (np.array(2),),
    (I3, 1, slice(None, None, -2)),
    (ALL, I3, None, 1),
    (slice(None, None, 2), I21, slice(None, None, -1)),
    (I3.astype(np.uint8) % 4, 0),
    [0, 2],
    (ALL, [0, 2]),
    ([0, 1], 0, [1, 2]),
    [],
]
NAMES = [str(i)[:50] for i in range(len(INDICES))]


def ours(index):
    """Puts our arrays in the place of NumPy's."""
    if not isinstance(index, tuple):
        return index
    return tuple(jnp.asarray(i) if isinstance(i, np.ndarray) else i for i in index)


@pytest.mark.parametrize("index", INDICES, ids=NAMES)
def test_reading_agrees_with_numpy(index):
    want = T[index]
    np.testing.assert_array_equal(X[ours(index)], want)
    np.testing.assert_array_equal(jit(lambda x: x[ours(index)])(X), want)


@pytest.mark.parametrize("index", INDICES, ids=NAMES)
@pytest.mark.parametrize("full", [False, True])
def test_writing_agrees_with_numpy(index, full):
    values = RNG.normal(size=T[index].shape).astype(np.float32) if full else 3.0
    for name, at in {
        "add": np.add.at,
        "multiply": np.multiply.at,
        "min": np.minimum.at,
        "max": np.maximum.at,
    }.items():
        want = T.copy()
        at(want, index, values)
        got = getattr(X.at[ours(index)], name)(values)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    want = T.copy()
    want[index] = 3.0
    np.testing.assert_array_equal(X.at[ours(index)].set(3.0), want)


@pytest.mark.parametrize("index", INDICES[:24], ids=NAMES[:24])
def test_compiled_writing_agrees_with_numpy(index):
    want = T.copy()
    want[index] = 3.0
    got = jit(lambda x, v: x.at[ours(index)].set(v))(X, 3.0)
    np.testing.assert_array_equal(got, want)


def test_other_updates_agree_with_numpy():
    index = (slice(1, 3), 2)
    for name, op in {
        "subtract": np.subtract,
        "divide": np.divide,
        "power": np.power,
    }.items():
        want = np.abs(T)
        want[index] = op(want[index], 2.0)
        got = getattr(jnp.abs(X).at[index], name)(2.0)
        np.testing.assert_allclose(got, want, rtol=1e-5)
    want = T.copy()
    want[index] = np.sin(want[index])
    np.testing.assert_allclose(X.at[index].apply(jnp.sin), want, rtol=1e-5)


@pytest.mark.parametrize("n", [0, 3, -1])
def test_traced_integers_index(n):
    np.testing.assert_array_equal(jit(lambda x, n: x[1:, n, ::2])(X, n), T[1:, n, ::2])
    want = T.copy()
    want[n, :, 2] = 1
    np.testing.assert_array_equal(jit(lambda x, n: x.at[n, :, 2].set(1))(X, n), want)


def test_a_traced_integer_is_a_dynamic_slice():
    assert "dynamic_slice" in str(make_jaxpr(lambda x, n: x[n])(X, 0))
    assert "gather" not in str(make_jaxpr(lambda x, n: x[n])(X, 0))


def test_mapped_integers_index():
    got = vmap(lambda n: X[n, 1:3])(jnp.asarray(I3))
    np.testing.assert_array_equal(got, T[I3, 1:3])
    got = vmap(lambda row, n: row.at[n].set(0.0))(X[:3, 0], jnp.asarray(I3))
    assert [got[i, n] for i, n in enumerate(I3)] == [0, 0, 0]


def test_places_out_of_bounds_follow_the_mode():
    x = jnp.arange(4.0)
    places = jnp.array([1, 9])
    assert x[places].tolist() == [1, 3]
    assert x.at[places].get(mode="fill", fill_value=-1.0).tolist() == [1, -1]
    assert jnp.isnan(x.at[places].get(mode="fill")[1])
    assert x.at[places].set(7.0).tolist() == [0, 7, 2, 3]
    assert x.at[places].set(7.0, mode="clip").tolist() == [0, 7, 2, 7]
    assert jit(lambda n: x[n])(9) == 3
    with pytest.raises(ArgumentError, match="'wrong'"):
        x.at[places].get(mode="wrong")


SMOOTH = {
    "slices": lambda x: x[1:, ::-1][0],
    "arrays": lambda x: x[jnp.array([0, 1, 1]), ::2],
    "set": lambda x: x.at[jnp.array([0, 2]), 1:3].set(x[:2, :2] ** 2),
    "add": lambda x: x.at[jnp.array([0, 0]), 1].add(x[1, :2] ** 2),
    "multiply": lambda x: x.at[0].multiply(x[1]),
    "max": lambda x: x.at[0].max(x[1]),
    "divide": lambda x: x.at[:, 1].divide(x[:, 0] ** 2 + 1),
    "apply": lambda x: x.at[0].apply(jnp.sin),
    "box": lambda x: x.at[1:, 2].set(x[0, :2]),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_right(name):
    has_right_derivatives(SMOOTH[name], T[0, :3, :4])


ERRORS = [
    (lambda: X[7], IndexBoundsError, r"index 7.*axis 0.*\(4, 5, 6\)"),
    (lambda: X[0, -6], IndexBoundsError, "index -6.*axis 1"),
    (lambda: X[0, 0, 0, 0], IndexBoundsError, "4 indices"),
    (lambda: X[..., 0, ...], IndexBoundsError, "two ellipses"),
    (lambda: X[True], IndexBoundsError, "truth value"),
    (lambda: X[1.5], DtypeError, r"f32\[\]"),
    (lambda: X[I3, np.arange(4)], IndexBoundsError, r"i32\[3\], i32\[4\]"),
    (lambda: X.at[0].set(np.ones(3)), ShapeError, r"f32\[3\] to shape \(5, 6\)"),
    (lambda: jnp.arange(3).at[0].set(2.5), DtypeError, r"f32\[\] into i32\[3\]"),
    (lambda: jit(lambda n: X[:n])(2), ArgumentError, "traced bound.*dynamic_slice"),
    (lambda: jit(lambda m: X[m])(T > 0), TypeError, "boolean array.*traced"),
]


@pytest.mark.parametrize(("f", "kind", "text"), ERRORS, ids=[e[2] for e in ERRORS])
def test_a_wrong_index_is_named(f, kind, text):
    with pytest.raises(kind, match=text):
        f()


def test_at_shows_array_and_index():
    assert repr(jnp.arange(2).at) == "At(Array([0, 1], dtype=int32))"
    assert repr(jnp.arange(2).at[0]) == "Array([0, 1], dtype=int32).at[0]"


@pytest.mark.parametrize("run", [lambda f: f, jit])
@pytest.mark.parametrize("place", [5, -7, (5, 0), (0, -7)])
def test_a_mode_says_what_becomes_of_a_static_index_out_of_bounds(place, run):
    x = jnp.arange(4.0).reshape(2, 2)
    for mode in ("drop", "fill"):
        same = run(lambda x, m=mode: x.at[place].set(9.0, mode=m))(x)
        np.testing.assert_array_equal(same, x)
    read = run(lambda x: x.at[place].get(mode="fill", fill_value=7.0))(x)
    np.testing.assert_array_equal(read, jnp.full_like(read, 7.0))
    inside = tuple(np.clip(place, 0, 1)) if isinstance(place, tuple) else int(place > 0)
    clipped = run(lambda x: x.at[place].get(mode="clip"))(x)
    np.testing.assert_array_equal(clipped, x[inside])
    added = run(lambda x: x.at[place].add(1.0, mode="clip"))(x)
    np.testing.assert_array_equal(added, x.at[inside].add(1.0))


def test_a_static_index_out_of_bounds_without_a_mode_is_refused():
    with pytest.raises(IndexBoundsError, match="index 5 is out of bounds for axis 0"):
        X.at[5].set(9.0)
    last = X.at[-1].get(mode="fill")
    np.testing.assert_array_equal(last, T[-1])


@pytest.mark.parametrize(
    ("index", "axes"),
    [
        (np.array([True, False]), (4,)),
        ((ALL, np.array([True] * 4)), (5,)),
        ((..., np.ones((6, 5), bool)), (5, 6)),
    ],
)
def test_a_boolean_index_has_the_shape_of_its_axes(index, axes):
    for f in (lambda x: x[index], lambda x: x.at[index].set(0.0)):
        with pytest.raises(IndexBoundsError) as caught:
            f(X)
        assert f"for axes of shape {axes} of" in str(caught.value)


def test_a_boolean_index_after_an_ellipsis_and_a_new_axis_is_checked_there():
    mask = np.arange(6) % 2 == 0
    np.testing.assert_array_equal(X[..., None, mask], T[..., None, mask])
    np.testing.assert_array_equal(X[None, ..., mask], T[None, ..., mask])


def test_a_single_truth_value_is_refused_as_an_index():
    for item in (True, np.array(False), jnp.array(True)):
        with pytest.raises(IndexBoundsError, match="the truth value"):
            X[item]


@pytest.mark.parametrize("run", [lambda f: f, jit])
def test_no_indices_into_an_empty_axis_read_and_write_nothing(run):
    x, none = jnp.zeros((0, 3)), np.array([], int)
    assert run(lambda x: x[none])(x).shape == (0, 3)
    assert run(lambda x: x[none, :2])(x).shape == (0, 2)
    assert run(lambda x: x.at[none].set(1.0))(x).shape == (0, 3)


def test_extremes_of_complex_numbers_are_refused_at_places():
    with pytest.raises(DtypeError, match=r"at\[...\].max takes real numbers; got c64"):
        (X + 0j).at[0].max(1.0)


MASKED = {
    "a number": (lambda x, m: x.at[m].set(7.0), (4, 5)),
    "added": (lambda x, m: x.at[m].add(x[0, 0]), (4, 5)),
    "a row": (lambda x, m: x.at[m].multiply(jnp.arange(5.0)), (4,)),
    "one of them": (lambda x, m: x.at[m].min(jnp.full((1, 5), 0.1)), (4,)),
    "largest": (lambda x, m: x.at[(m,)].max(0.1), (4, 5)),
    "subtracted": (lambda x, m: x.at[m, ...].subtract(2.0), (4,)),
    "divided": (lambda x, m: x.at[m, :].divide(2.0), (4,)),
    "power": (lambda x, m: x.at[m].power(2), (4, 5)),
}


@pytest.mark.parametrize("name", MASKED)
def test_writing_where_a_traced_mask_is_true(name):
    f, shape = MASKED[name]
    x = np.linspace(-1.0, 1.0, 20, dtype="f4").reshape(4, 5)
    mask = np.arange(np.prod(shape)).reshape(shape) % 3 > 0
    wanted = f(jnp.asarray(x), mask)
    np.testing.assert_allclose(jit(f)(x, mask), wanted, rtol=1e-6)
    found = vmap(f)(np.stack([x, x]), np.stack([mask, ~mask]))
    np.testing.assert_allclose(found[0], wanted, rtol=1e-6)
    slopes = [
        g(lambda x: jnp.sum(f(x, mask) ** 2))(jnp.asarray(x))
        for g in (grad, lambda h: jit(grad(h)))
    ]
    traced = jit(grad(lambda x, m: jnp.sum(f(x, m) ** 2)))(x, mask)
    for slope in slopes:
        np.testing.assert_allclose(slope, traced, rtol=1e-5, atol=1e-6)


def test_a_traced_mask_takes_no_values_one_for_each_place():
    x, mask = np.ones((3, 4), "f4"), np.ones((3, 4), bool)
    with pytest.raises(ShapeError, match=r"f32\[12\] are one for each place.*where"):
        jit(lambda x, m: x.at[m].set(jnp.ones(12)))(x, mask)
    with pytest.raises(IndexBoundsError, match=r"(4, 3).*axes of shape"):
        jit(lambda x, m: x.at[m.T].set(1.0))(x, mask)
    with pytest.raises(DtypeError, match=r"f32\[\] into i32\[3\]"):
        jit(lambda x, m: x.at[m].set(0.5))(np.arange(3), np.ones(3, bool))
