"""Functions across mapped axes, with the arguments users write."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import grad, jit, lax, vmap
from pullback.errors import ArgumentError, DtypeError, ShapeError, UnboundAxisError

X = jnp.array([1.0, 2.0, 4.0])
M = np.random.default_rng(1).standard_normal((3, 2, 6)).astype("f")


def over(f, **options):
    return vmap(f, axis_name="i", **options)


def grid(f):
    """Map over two axes, i of length 2 and j of length 3; elements are 0 to 5."""
    values = jnp.arange(6.0).reshape(2, 3)
    return np.asarray(vmap(vmap(f, axis_name="j"), axis_name="i")(values))


# -- names -----------------------------------------------------------------------------


def test_the_length_of_an_axis_is_a_python_int():
    found = []

    def f(x):
        found.extend([lax.axis_size("i"), lax.psum(1, "i"), lax.axis_size(("j", "i"))])
        return x

    vmap(over(f), axis_name="j")(jnp.ones((2, 3)))
    assert found == [3, 3, 6]
    assert {type(n) for n in found} == {int}


def test_an_unbound_name_says_which_names_there_are():
    with pytest.raises(
        NameError,
        match=r"psum was asked for the mapped axis 'k'.*'i' \(length 3\).*"
        r"test_collectives.py.*axis_name='k'",
    ):
        over(lambda x: lax.psum(x, "k"))(X)
    with pytest.raises(UnboundAxisError, match=r"mapped axis \{'i'\}"):
        over(lambda x: lax.psum(x, {"i"}))(X)
    for f in (
        lambda x: lax.pmean(x, "i"),
        lambda x: lax.all_gather(x, "i"),
        jit(lambda x: x + lax.axis_index("i")),
    ):
        with pytest.raises(UnboundAxisError, match="no axis has a name there"):
            f(X)


def test_the_inner_of_two_axes_of_one_name_is_meant():
    found = over(lambda x: over(lambda y: lax.psum(x + y, "i"))(X))(X)
    np.testing.assert_array_equal(found[:, 0], 3 * np.asarray(X) + 7)


def test_several_names_are_one_axis_of_which_the_last_is_fastest():
    index = grid(lambda x: lax.axis_index(("i", "j")))
    np.testing.assert_array_equal(index, [[0, 1, 2], [3, 4, 5]])
    index = grid(lambda x: lax.axis_index(("j", "i")))
    np.testing.assert_array_equal(index, [[0, 2, 4], [1, 3, 5]])
    assert (grid(lambda x: lax.psum(x, ("i", "j"))) == 15).all()
    assert (grid(lambda x: lax.pmax(x, ("j", "i"))) == 5).all()
    assert (grid(lambda x: lax.psum(x, ())) == np.arange(6).reshape(2, 3)).all()
    assert (grid(lambda x: lax.axis_index(())) == 0).all()


def test_groups_and_names_given_twice_are_refused():
    with pytest.raises(ArgumentError, match=r"axis_index_groups.*vmap of its own"):
        over(lambda x: lax.psum(x, "i", axis_index_groups=[[0, 1], [2]]))(X)
    with pytest.raises(ArgumentError, match="name twice"):
        over(lambda x: lax.all_gather(x, ("i", "i")))(X)


# -- reductions ------------------------------------------------------------------------


def test_reductions_take_trees():
    found = over(lambda t: lax.psum(t, "i"))({"a": X, "b": [M, None]})
    np.testing.assert_array_equal(found["a"], [7.0] * 3)
    np.testing.assert_allclose(found["b"][0][1], M.sum(0), rtol=1e-5)
    assert found["b"][1] is None


def test_python_numbers_are_reduced_to_python_numbers():
    def f(x):
        assert lax.psum(2.5, "i") == 7.5
        assert lax.psum(1j, "i") == 3j
        assert lax.pmean(2, "i") == 2.0
        assert type(lax.pmean(2, "i")) is float
        assert lax.pmax(2, "i") == lax.pmin(2, "i") == 2
        return x

    over(f)(X)


def test_booleans_are_counted_and_means_are_floats():
    found = over(lambda x: (lax.psum(x > 1, "i"), lax.pmean(x > 1, "i")))(X)
    assert [y.dtype.name for y in found] == ["int32", "float32"]
    assert found[0][0] == 2
    assert found[1][0] == np.float32(2 / 3)
    assert over(lambda n: lax.pmean(n, "i"))(jnp.arange(4))[0] == 1.5


def test_extrema_of_complex_numbers_are_refused():
    with pytest.raises(DtypeError, match=r"pmax .* c64\[\]; complex numbers have no"):
        over(lambda x: lax.pmax(x + 1j, "i"))(X)


def test_integers_among_names_are_axes_of_the_operand():
    total = over(lambda x: lax.psum(x, ("i", 0)))(M)
    np.testing.assert_allclose(total[0], M.sum((0, 1)), rtol=1e-5)
    mean = over(lambda x: lax.pmean(x, (1, "i")))(M)
    np.testing.assert_allclose(mean[0], M.mean((0, 2)), rtol=1e-5)
    best = over(lambda x: lax.pmin(x, (-1, "i", 0)))(M)
    assert best[0] == M.min()
    np.testing.assert_allclose(lax.psum(M, 0), M.sum(0), rtol=1e-5)
    with pytest.raises(ArgumentError, match="pmean was given axis 5"):
        over(lambda x: lax.pmean(x, ("i", 5)))(M)


# -- places ----------------------------------------------------------------------------


def test_values_are_sent_along_an_axis():
    found = over(lambda x: lax.ppermute({"x": x}, "i", [(2, 0), (0, 1)]))(X)
    np.testing.assert_array_equal(found["x"], [4.0, 1.0, 0.0])
    found = over(lambda x: lax.pshuffle(x, "i", [2, 0, 1]))(X)
    np.testing.assert_array_equal(found, [4.0, 1.0, 2.0])


def test_values_are_sent_along_several_axes():
    def send(x):
        return lax.ppermute(x + 1, ("i", "j"), [(0, 5), (5, 0), (1, 3)])

    want = [[6.0, 0.0, 0.0], [2.0, 0.0, 1.0]]
    np.testing.assert_array_equal(grid(send), want)
    np.testing.assert_array_equal(grid(jit(send)), want)
    # What is sent has the derivative of what arrives; inside, that flows back.
    slopes = grid(grad(lambda x: send(x) ** 2))
    np.testing.assert_array_equal(slopes, [[2.0, 4.0, 0.0], [0.0, 0.0, 12.0]])


@pytest.mark.parametrize(
    "perm", [[(0, 1), (0, 2)], [(0, 1), (2, 1)], [(0, 3)], [1, 2], [(0, 1, 2)]]
)
def test_places_that_do_not_fit_are_refused(perm):
    with pytest.raises(ArgumentError, match=r"axis of length 3.*places from 0 to 2"):
        over(lambda x: lax.ppermute(x, "i", perm))(X)


def test_a_shuffle_must_name_each_place():
    with pytest.raises(ArgumentError, match=r"pshuffle was given \[0, 0, 1\]"):
        over(lambda x: lax.pshuffle(x, "i", [0, 0, 1]))(X)


# -- exchanges -------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_gathered_values_go_where_asked(axis):
    want = np.stack(M, axis)
    found = over(lambda x: lax.all_gather(x, "i", axis=axis))(M)
    np.testing.assert_array_equal(found, [want] * 3)
    if axis != 2:
        want = np.concatenate(M, axis)
        found = over(lambda x: lax.all_gather(x, "i", axis=axis, tiled=True))(M)
        np.testing.assert_array_equal(found, [want] * 3)


def test_values_are_gathered_along_several_axes():
    found = grid(lambda x: lax.all_gather(x, ("i", "j")))
    assert (found == np.arange(6)).all()
    found = grid(lambda x: lax.all_gather(jnp.stack([x, x]), ("j", "i"), tiled=True))
    assert (found == np.repeat([0, 3, 1, 4, 2, 5], 2)).all()


def test_scattered_sums_are_parts_of_the_sum():
    total = M.sum(0)
    found = over(lambda x: lax.psum_scatter(x, "i", scatter_dimension=1, tiled=True))(M)
    np.testing.assert_allclose(found, np.split(total, 3, 1), rtol=1e-5)
    found = over(lambda x: lax.psum_scatter(x[:, :3], "i", scatter_dimension=-1))(M)
    np.testing.assert_allclose(found, total[:, :3].T, rtol=1e-5)
    found = grid(lambda x: lax.psum_scatter(x + jnp.arange(6.0), ("i", "j")))
    np.testing.assert_array_equal(found, 15 + 6 * np.arange(6.0).reshape(2, 3))
    found = grid(lambda x: lax.psum_scatter(jnp.arange(12.0), ("j", "i"), tiled=True))
    np.testing.assert_array_equal(found[1, 0], [12.0, 18.0])


def test_parts_are_exchanged():
    parts = M.reshape(3, 2, 3, 2)
    found = over(lambda x: lax.all_to_all(x, "i", 1, 0))(parts)
    np.testing.assert_array_equal(found, parts.transpose(2, 0, 1, 3))
    found = over(lambda x: lax.all_to_all(x, "i", 1, 0, tiled=True))(M)
    want = np.concatenate(parts, 0).reshape(6, 3, 2).transpose(1, 0, 2)
    np.testing.assert_array_equal(found, want)
    found = over(lambda x: lax.pswapaxes(x, "i", 1))(parts)
    np.testing.assert_array_equal(found, parts.swapaxes(0, 2))


@pytest.mark.parametrize(("names", "order"), [("ij", "C"), ("ji", "F")])
def test_parts_are_exchanged_along_several_axes(names, order):
    parts = np.arange(36.0).reshape(6, 6).astype("f")
    shape = (2, 3, 6)

    def f(x):
        return lax.all_to_all(x, tuple(names), 0, 0)

    given = jnp.asarray(parts.reshape(shape))
    found = np.asarray(vmap(vmap(f, axis_name="j"), axis_name="i")(given))
    # Element k of the common axis has row `place[k]`.
    place = np.arange(6).reshape(2, 3).ravel(order)
    rows = parts[place]
    np.testing.assert_array_equal(found.reshape(6, 6)[place], rows.T)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: lax.all_to_all(x, "i", 0, 0), "all_to_all over 'i' of length 3"),
        (
            lambda x: lax.psum_scatter(x, "i", tiled=True),
            r"psum_scatter .* shape \(2, 6\), whose axis 0 has length 2.*multiple",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(f, message):
    with pytest.raises(ShapeError, match=message):
        over(f)(M)


# -- derivatives -----------------------------------------------------------------------


def normalized(x):
    """Normalize over a batch, as layers of neural networks do."""
    centre = lax.pmean(x, "i")
    return (x - centre) / jnp.sqrt(lax.pmean((x - centre) ** 2, "i") + 0.1)


def test_normalization_over_a_batch_is_that_of_the_whole():
    def whole(x):
        centre = x.mean(0)
        return (x - centre) / jnp.sqrt(((x - centre) ** 2).mean(0) + 0.1)

    x = jnp.asarray(M[:, 0])
    weights = jnp.arange(18.0).reshape(3, 6)
    np.testing.assert_allclose(over(normalized)(x), whole(x), rtol=1e-5)
    want = grad(lambda x: (weights * whole(x) ** 2).sum())(x)
    found = grad(lambda x: (weights * over(normalized)(x) ** 2).sum())(x)
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)
    # A gradient inside is that of the sum of what all elements give.
    inside = over(grad(lambda x, w: (w * normalized(x) ** 2).sum()))(x, weights)
    np.testing.assert_allclose(inside, want, rtol=1e-4, atol=1e-5)


def test_the_gradient_inside_of_a_sum_counts_every_element():
    found = over(grad(lambda x: lax.psum(x**2, "i")))(X)
    np.testing.assert_array_equal(found, 3 * 2 * np.asarray(X))
    found = over(grad(lambda x: lax.pmean(x**2, "i")))(X)
    np.testing.assert_allclose(found, 2 * np.asarray(X), rtol=1e-6)
