"""Rotations, and interpolation between them, against SciPy."""

import itertools

import numpy as np
import pytest
import scipy.spatial.transform

from pullback import grad, hessian, jacfwd, jacrev, jit, lax, random, tree, vmap
from pullback import numpy as jnp
from pullback.config import config
from pullback.errors import ArgumentError, DtypeError, ShapeError
from pullback.scipy.spatial.transform import Rotation, Slerp
from tests.rule_checks import check_rules_of

THEIRS = scipy.spatial.transform.Rotation
RNG = np.random.default_rng(14)
# The identity, half turns and both signs of them, then any.
QUATERNIONS = np.concatenate(
    [np.eye(4), -np.eye(4), [[0, -1, 1, 0], [0, 0, -2, 0]], RNG.normal(size=(8, 4))]
)
VECTORS = np.concatenate(
    [np.zeros((1, 3)), np.eye(3) * 1e-9, np.eye(3), RNG.normal(size=(11, 3)) * 2]
)
SEQUENCES = [
    "".join(s) for s in itertools.product("xyz", repeat=3) if s[0] != s[1] != s[2]
]
SEQUENCE = pytest.mark.parametrize(
    "seq", [*SEQUENCES, *[seq.upper() for seq in SEQUENCES]]
)


@pytest.fixture(autouse=True)
def wide():
    with config.context(enable_x64=True):
        yield


@pytest.fixture
def pair():
    return Rotation.from_quat(QUATERNIONS), THEIRS.from_quat(QUATERNIONS)


def assert_close(found, wanted, tol=1e-12):
    assert found.shape == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, tol, tol)


def assert_same_rotations(found, wanted, tol=1e-12):
    assert_close(found.as_matrix(), wanted.as_matrix(), tol)


# -- values ----------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("as_quat", {}),
        ("as_quat", {"canonical": True}),
        ("as_quat", {"scalar_first": True}),
        ("as_matrix", {}),
        ("as_rotvec", {}),
        ("as_rotvec", {"degrees": True}),
        ("as_mrp", {}),
        ("magnitude", {}),
    ],
)
def test_rotations_are_given_as_scipy_gives_them(pair, name, options, compiled):
    def f(r):
        return getattr(r, name)(**options)

    ours, theirs = pair
    assert_close((jit(f) if compiled else f)(ours), f(theirs))
    assert_close(f(ours[3]), f(theirs[3]))


@pytest.mark.parametrize("degrees", [False, True])
def test_rotations_are_made_of_vectors_as_scipy_makes_them(degrees):
    for x in (VECTORS, VECTORS[8]):
        found = Rotation.from_rotvec(x, degrees)
        assert_close(found.as_quat(), THEIRS.from_rotvec(x, degrees).as_quat())
    found = Rotation.from_mrp(VECTORS).as_quat()
    assert_close(found, THEIRS.from_mrp(VECTORS).as_quat())


def test_rotations_are_made_of_matrices_as_scipy_makes_them(pair):
    wanted = THEIRS.from_matrix(pair[1].as_matrix()).as_quat()
    for valid in (False, True):
        found = Rotation.from_matrix(pair[1].as_matrix(), assume_valid=valid)
        assert_close(found.as_quat(), wanted)
    near = pair[1].as_matrix() * 1.5 + RNG.normal(size=(18, 3, 3)) * 0.1
    thin = near * np.array([1.0, 1e-2, 1e-4])
    for f in (Rotation.from_matrix, jit(Rotation.from_matrix)):
        assert_same_rotations(f(near), THEIRS.from_matrix(near))
        assert_same_rotations(f(thin), THEIRS.from_matrix(thin), 1e-10)
        assert_close(vmap(f)(near).quat, f(near).quat)


def test_a_matrix_that_is_no_rotation_gives_nan():
    given = jnp.stack([jnp.eye(3), -jnp.eye(3), jnp.zeros((3, 3))])
    found = np.isnan(Rotation.from_matrix(given).as_quat()).any(-1)
    assert found.tolist() == [False, True, True]
    slope = grad(lambda m: Rotation.from_matrix(m)[0].magnitude())(given)
    assert np.isfinite(slope[0]).all()


def test_quaternions_may_have_the_scalar_first_and_any_length():
    found = Rotation.from_quat(QUATERNIONS * 3, scalar_first=True)
    wanted = THEIRS.from_quat(QUATERNIONS * 3, scalar_first=True)
    assert_close(found.as_quat(), wanted.as_quat())
    kept = Rotation(2 * QUATERNIONS, normalize=False).as_quat()
    assert_close(kept, 2 * QUATERNIONS)


@SEQUENCE
@pytest.mark.parametrize("degrees", [False, True])
def test_euler_angles_agree(pair, seq, degrees):
    angles = RNG.uniform(-3, 3, (9, 3)) * (60 if degrees else 1)
    for x in (angles, angles[0]):
        found = Rotation.from_euler(seq, x, degrees)
        assert_close(found.as_quat(), THEIRS.from_euler(seq, x, degrees).as_quat())
    ours, theirs = (r[10:] for r in pair)
    wanted = theirs.as_euler(seq, degrees)
    assert_close(ours.as_euler(seq, degrees), wanted, 1e-9)
    assert_close(ours[0].as_euler(seq, degrees), wanted[0], 1e-9)


@SEQUENCE
def test_angles_whose_axes_fall_together_agree(seq):
    angles = RNG.uniform(-3, 3, (9, 3))
    for middle in (0.0, np.pi) if seq[0] == seq[2] else (-np.pi / 2, np.pi / 2):
        angles[:, 1] = middle
        found = Rotation.from_euler(seq, angles).as_euler(seq)
        with pytest.warns(UserWarning, match="Gimbal lock"):
            wanted = THEIRS.from_euler(seq, angles).as_euler(seq)
        turns = (np.asarray(found) - wanted) / (2 * np.pi)
        np.testing.assert_allclose(turns, np.round(turns), atol=1e-7)
        assert not np.any(found[:, 2])


@pytest.mark.parametrize(
    ("seq", "shape"),
    [("x", ()), ("y", (4, 1)), ("Z", (1,)), ("zx", (2,)), ("XZ", (3, 2))],
)
def test_fewer_than_three_angles_agree(seq, shape):
    angles = RNG.uniform(-3, 3, shape)
    wanted = THEIRS.from_euler(seq, angles).as_quat()
    found = Rotation.from_euler(seq, angles).as_quat()
    assert_close(found, np.reshape(wanted, found.shape))
    assert found.shape == (*shape[:-1], 4)


def test_rotations_are_applied_multiplied_and_inverted(pair):
    ours, theirs = pair
    assert_close(ours.apply(VECTORS), theirs.apply(VECTORS))
    assert_close(ours.apply(VECTORS, True), theirs.apply(VECTORS, inverse=True))
    assert_close(ours[9].apply(VECTORS), theirs[9].apply(VECTORS))
    assert_close(ours.apply(VECTORS[9]), theirs.apply(VECTORS[9]))
    assert_close(ours.inv().as_quat(), theirs.inv().as_quat())
    others = Rotation.from_rotvec(VECTORS), THEIRS.from_rotvec(VECTORS)
    assert_same_rotations(ours * others[0], theirs * others[1])
    assert_same_rotations(ours * others[0][9], theirs * others[1][9])
    for n in (-1, 0, 0.5, 3):
        assert_same_rotations(others[0] ** n, others[1] ** n)
    with pytest.raises(TypeError, match="unsupported operand"):
        ours * 2.0


def test_means_agree(pair):
    ours, theirs = (r[10:] for r in pair)
    weights = RNG.uniform(size=8)
    assert_same_rotations(ours.mean(), theirs.mean())
    assert_same_rotations(ours.mean(weights), theirs.mean(weights))
    assert_same_rotations(
        jit(lambda r, w: r.mean(w))(ours, weights), theirs.mean(weights)
    )
    assert_same_rotations(ours[3].mean(), theirs[3])


@pytest.mark.parametrize("size", [1e-8, 1e-4, 0.01, 0.34, 0.36, 0.99, 1.01, 3.1])
def test_single_precision_keeps_its_digits_at_every_angle(size):
    x = RNG.normal(size=(300, 3))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True) * size).astype(np.float32)
    with config.context(enable_x64=False):
        r = Rotation.from_rotvec(x)
        assert r.quat.dtype == r.as_matrix().dtype == np.float32
        np.testing.assert_allclose(r.as_rotvec(), x, 4e-7, 4e-7 * size)
        np.testing.assert_allclose(r.magnitude(), size, 1e-6)
        angles = r.as_euler("xyz")
    wanted = THEIRS.from_rotvec(x.astype(float))
    np.testing.assert_allclose(r.as_quat(), wanted.as_quat(), 3e-7, 2e-7)
    np.testing.assert_allclose(angles, wanted.as_euler("xyz"), 1e-5, 1e-6)


def test_drawn_rotations_have_no_direction():
    r = Rotation.random(random.key(3), 4000)
    assert r.shape == (4000,)
    assert Rotation.random(random.key(3)).single
    assert abs(r.as_matrix().mean(0)).max() < 0.05
    assert_close(vector_lengths(r), np.ones(4000))


def vector_lengths(r):
    return np.linalg.norm(r.as_quat(), axis=-1)


# -- as containers ---------------------------------------------------------------------


def test_rotations_have_lengths_and_elements(pair):
    ours, theirs = pair
    assert (len(ours), ours.shape, ours.single, ours[2].single) == (
        18,
        (18,),
        False,
        True,
    )
    for index in (2, slice(1, 9, 3), np.array([0, 5]), QUATERNIONS[:, 0] > 0):
        assert_close(ours[index].as_quat(), theirs[index].as_quat())
    assert [r.single for r in ours[:3]] == [True] * 3
    grid = Rotation.from_quat(QUATERNIONS.reshape(6, 3, 4))
    assert (grid[1, 2].shape, grid[..., 0].shape, grid[:, None].shape) == (
        (),
        (6,),
        (6, 1, 3),
    )
    assert ours
    assert ours[0]


def test_identities_and_joined_rotations():
    assert Rotation.identity(3).as_quat().tolist() == [[0, 0, 0, 1]] * 3
    assert Rotation.identity(dtype=np.float32).quat.dtype == np.float32
    r = Rotation.from_quat(QUATERNIONS)
    joined = Rotation.concatenate([r[:2], r[2], r[3:]])
    assert_close(joined.as_quat(), r.as_quat())
    assert Rotation.concatenate(r).shape == (18,)


def test_rotations_are_pytrees():
    r = Rotation.from_quat(QUATERNIONS)
    assert tree.flatten_with_path(r)[0][0][0] == (tree.GetAttrKey("quat"),)
    mapped = jit(vmap(lambda r, v: (r * r, r.apply(v)), (0, None)))
    twice, turned = mapped(r, jnp.array(VECTORS[9]))
    assert_close((r * r).as_quat(), twice.as_quat())
    assert_close(r.apply(VECTORS[9]), turned)

    def step(r, _):
        return r * Rotation.from_euler("z", 0.1), None

    end, _ = lax.scan(step, Rotation.identity(), None, length=10)
    assert_close(end.as_rotvec(), [0.0, 0.0, 1.0])


# -- derivatives -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda r: r.quat,
        lambda r: r.as_matrix(),
        lambda r: r.as_rotvec(),
        lambda r: r.as_mrp(),
        lambda r: r.as_euler("xyz"),
        lambda r: r.as_euler("ZYX"),
        lambda r: r.apply(VECTORS[11], True),
        lambda r: (r * Rotation.from_mrp(VECTORS[12]) ** 0.5).inv().magnitude(),
        lambda r: Rotation.from_matrix(r.as_matrix()).as_mrp(),
        lambda r: Rotation.from_matrix(r.as_matrix(), assume_valid=True).as_mrp(),
        lambda r: Rotation.from_euler("xyx", r.as_euler("zyx")).as_matrix(),
    ],
)
def test_rotations_have_right_rules_at_the_identity_too(f):
    def g(v):
        return f(Rotation.from_rotvec(v))

    check_rules_of(g, VECTORS[0], tol=2e-5, batched=False)
    check_rules_of(g, VECTORS[9], tol=2e-5, order=1, compiled=False)


@pytest.mark.parametrize("size", [0.0, 1e-12, 0.3, 0.36, 0.9, 1.1, 3.0])
def test_vectors_there_and_back_are_the_identity_in_every_derivative(size):
    def f(v):
        return Rotation.from_rotvec(v).as_rotvec()

    x = jnp.array([2.0, -1.0, 2.0]) / 3 * size
    for jacobian in (jacfwd, jacrev, jit(jacrev(f)), jit(jacfwd(f))):
        found = jacobian(f)(x) if jacobian in (jacfwd, jacrev) else jacobian(x)
        np.testing.assert_allclose(found, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(hessian(f)(x), 0, atol=1e-10)
    np.testing.assert_allclose(jacfwd(hessian(f))(x), 0, atol=1e-7)


def test_matrices_have_right_rules_off_the_rotations():
    m = THEIRS.from_quat(QUATERNIONS[12]).as_matrix() * 1.3 + 0.1
    check_rules_of(lambda m: Rotation.from_matrix(m).as_matrix(), m, tol=2e-5)


def test_the_angle_of_the_identity_has_a_subgradient():
    def angle(v):
        return Rotation.from_rotvec(v).magnitude()

    for f in (grad(angle), jit(grad(angle)), hessian(angle)):
        np.testing.assert_array_equal(f(jnp.zeros(3)), 0)


@pytest.mark.parametrize("seq", ["zxz", "YXY", "xyz", "ZXY"])
def test_angles_have_finite_derivatives_where_axes_fall_together(seq):
    middle = 0.0 if seq[0] == seq[2] else np.pi / 2
    x = Rotation.from_euler(seq, np.array([0.5, middle, 0.0])).as_rotvec()
    for transform in (jacrev, jacfwd, lambda f: jit(jacrev(f)), hessian):
        slope = transform(lambda v: Rotation.from_rotvec(v).as_euler(seq))(x)
        assert np.isfinite(slope).all()


def test_means_have_right_rules_of_few_and_of_equal_rotations():
    def f(q, weights):
        return Rotation.from_quat(q).mean(weights).as_matrix()

    q = QUATERNIONS[10:14]
    check_rules_of(f, q, np.array([1.0, 2.0, 0.5, 1.5]), tol=2e-5)
    check_rules_of(f, q[:1], np.ones(1), batched=False, tol=2e-5)
    check_rules_of(f, np.stack([q[0]] * 3), np.ones(3), batched=False, tol=2e-5)


def test_a_gradient_is_a_container_as_its_rotation():
    slope = grad(lambda r: r.as_matrix()[0, 1])(Rotation.identity())
    assert isinstance(slope, Rotation)
    assert_close(slope.quat, [0.0, 0.0, -2.0, 0.0])


# -- interpolation ---------------------------------------------------------------------

TIMES = np.array([0.0, 0.5, 2.0, 3.0])


def test_interpolated_rotations_agree():
    times = np.concatenate([TIMES, RNG.uniform(0, 3, 20)])
    turns = QUATERNIONS[10:14]
    ours = Slerp(TIMES, Rotation.from_quat(turns))
    theirs = scipy.spatial.transform.Slerp(TIMES, THEIRS.from_quat(turns))
    assert_same_rotations(ours(times), theirs(times))
    assert_same_rotations(Slerp.init(TIMES, ours.rotations)(times), theirs(times))
    assert_same_rotations(jit(lambda f, t: f(t))(ours, times), theirs(times))
    assert ours(1.0).single
    grid = ours(times.reshape(4, 6))
    assert_close(grid[1, 2].quat, ours(times[8]).quat)


def test_rotations_go_on_before_the_first_time_and_after_the_last():
    turns = Rotation.from_euler("z", np.array([[0.0], [0.1], [0.3]]))
    found = Slerp(np.arange(3.0), turns)(np.array([-1.0, 3.0])).as_euler("zyx")[:, 0]
    assert_close(found, [-0.1, 0.5])


def test_interpolations_have_right_rules():
    def f(times, vectors, t):
        return Slerp(times, Rotation.from_rotvec(vectors))(t).as_rotvec()

    x = np.stack([VECTORS[0], VECTORS[0], *VECTORS[9:11]])
    check_rules_of(f, TIMES, x, np.array([0.2, 0.9, 2.5]), batched=False, tol=2e-5)
    found = vmap(f, (None, None, 0))(TIMES, x, jnp.array([0.2, 2.5]))
    assert_close(found, f(TIMES, x, np.array([0.2, 2.5])))


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (
            lambda: Rotation.from_quat(np.ones(3)),
            r"from_quat was given f64\[3\].*, 4\]",
        ),
        (lambda: Rotation.from_matrix(np.ones(3)), r"from_matrix was .*\[..., 3, 3\]"),
        (lambda: Rotation.from_rotvec(np.ones(2)), r"from_rotvec was given f64\[2\]"),
        (lambda: Rotation.from_mrp(1.0), r"from_mrp was given f64\[\]"),
        (lambda: Rotation.from_euler("xx", 1.0), "from_euler was given seq='xx'.*none"),
        (lambda: Rotation.from_euler("xY", 1.0), "given seq='xY'.*one to three axes"),
        (lambda: Rotation.from_euler("", 1.0), "from_euler was given seq=''"),
        (lambda: Rotation.from_euler(3, 1.0), "from_euler was given seq=3"),
        (lambda: Rotation.identity().as_euler("xy"), "given seq='xy'.*Name three axes"),
        (
            lambda: Rotation.from_euler("xy", np.ones(3)),
            r"angles f64\[3\] for seq='xy'",
        ),
        (lambda: Rotation.identity().apply(np.ones(2)), r"apply was given f64\[2\]"),
        (
            lambda: Rotation.concatenate([]),
            r"concatenate was given \[\]. .*one Rotation",
        ),
        (lambda: Rotation.concatenate("r"), r"concatenate was given \['str'\]"),
        (lambda: Rotation.identity()[0], "single Rotation cannot be indexed. .*Make a"),
        (lambda: len(Rotation.identity()), "single Rotation has no length"),
        (
            lambda: Rotation.identity(2).mean(np.ones(3)),
            r"weights f64\[3\] for .*\(2,\)",
        ),
        (lambda: Rotation.identity(0).mean(), r"weights f64\[0\] for rotations"),
        (lambda: Slerp(1.0, Rotation.identity()), r"times f64\[\] for .*shape \(\)"),
        (lambda: Slerp(np.ones(3), Rotation.identity(2)), r"times f64\[3\] .*\(2,\)"),
        (lambda: Slerp(np.ones(2), Rotation.identity(2)), "times that do not ascend"),
    ],
)
def test_errors_say_what_was_given(f, message):
    with pytest.raises((ShapeError, ArgumentError), match=message):
        f()


def test_complex_numbers_are_refused():
    with pytest.raises(DtypeError, match=r"Rotation.from_quat takes real numbers"):
        Rotation.from_quat(QUATERNIONS + 0j)
    with pytest.raises(IndexError):
        Rotation.from_quat(QUATERNIONS)[1, 1]
