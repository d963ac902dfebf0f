"""Vector quantization against SciPy."""

import numpy as np
import pytest
import scipy.cluster.vq

from pullback import grad, jit, vmap
from pullback import numpy as jnp
from pullback.config import config
from pullback.errors import DtypeError, ShapeError
from pullback.scipy.cluster.vq import vq
from tests.rule_checks import check_rules_of

RNG = np.random.default_rng(13)
OBSERVED, BOOK = RNG.standard_normal((20, 3)), RNG.standard_normal((6, 3))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("one", [False, True])
def test_nearest_vectors_agree(dtype, one):
    obs, book = OBSERVED.astype(dtype), BOOK.astype(dtype)
    if one:
        obs, book = obs[:, 0], book[:, 0]
    wanted = scipy.cluster.vq.vq(obs, book)
    with config.context(enable_x64=dtype == "f8"):
        for f in (vq, jit(vq)):
            code, distance = f(jnp.array(obs), jnp.array(book))
            assert (code.dtype, distance.dtype) == (np.int32, dtype)
            np.testing.assert_array_equal(code, wanted[0])
            np.testing.assert_allclose(distance, wanted[1], 1e-5)


def test_the_first_of_equally_near_vectors_is_taken():
    code, _ = vq(np.zeros((1, 2)), np.array([[3.0, 4.0], [0.0, 1.0], [1.0, 0.0]]))
    assert code.tolist() == [1]


def test_distances_have_right_rules():
    check_rules_of(lambda x, book: vq(x, book)[1], OBSERVED[:4], BOOK)


def test_distances_of_zero_have_derivatives_of_zero():
    def total(x, book):
        return vq(x, book)[1].sum()

    for part in grad(total, (0, 1))(jnp.array(BOOK), jnp.array(BOOK)):
        np.testing.assert_array_equal(part, 0)


def test_batches_of_code_books_are_loops():
    books = jnp.array(RNG.standard_normal((3, 6, 3)))
    code, distance = vmap(vq, (None, 0))(jnp.array(OBSERVED), books)
    for i, book in enumerate(books):
        wanted = vq(jnp.array(OBSERVED), book)
        np.testing.assert_array_equal(code[i], wanted[0])
        np.testing.assert_allclose(distance[i], wanted[1], 1e-6)


def test_errors_say_what_was_given():
    with pytest.raises(ShapeError, match=r"vq was given f32\[20,3\] and a code book"):
        vq(OBSERVED, BOOK[:, :2])
    with pytest.raises(ShapeError, match=r"vq was given f32\[\] and .*observations"):
        vq(1.0, 2.0)
    with pytest.raises(
        ShapeError, match=r"an empty code book f32\[0,3\]. .*one vector"
    ):
        vq(OBSERVED, BOOK[:0])
    with pytest.raises(
        DtypeError, match=r"vq takes real numbers; it was given c64\[20"
    ):
        vq(OBSERVED + 1j, BOOK)
