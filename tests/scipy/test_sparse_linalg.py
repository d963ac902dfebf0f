"""Iterative solvers under SciPy's names: the same results and the same info."""

import numpy as np
import pytest
import scipy.sparse.linalg

from pullback import config, grad, jit
from pullback import numpy as jnp
from pullback.errors import ConvergenceWarning
from pullback.scipy.sparse import linalg
from tests.implicit.comparing import assert_close

RNG = np.random.default_rng(2)
M = RNG.normal(size=(30, 30))
A = M @ M.T / 30 + np.eye(30)
B = RNG.normal(size=30)


@pytest.fixture(autouse=True)
def double_precision():
    with config.context(enable_x64=True):
        yield


@pytest.mark.parametrize("name", ["cg", "bicgstab", "gmres"])
def test_against_scipy(name):
    wanted, _ = getattr(scipy.sparse.linalg, name)(A, B, rtol=1e-10)
    solve = getattr(linalg, name)
    found, info = solve(A, B, tol=1e-10)
    assert_close(found, wanted, 1e-7)
    assert info == 0
    assert_close(
        solve(lambda x: A @ x, B, x0=B, tol=1e-10, M=lambda x: x / 2)[0], wanted
    )

    def last(b):
        return solve(A, b, tol=1e-10)[0][-1]

    assert_close(grad(last)(jnp.array(B)), np.linalg.inv(A)[-1], 1e-6, 1e-8)
    assert_close(jit(grad(last))(jnp.array(B)), np.linalg.inv(A)[-1], 1e-6, 1e-8)


def test_info_is_the_number_of_steps_when_it_did_not_converge():
    with pytest.warns(ConvergenceWarning):
        assert linalg.cg(A, B, tol=1e-10, maxiter=2)[1] == 2
