"""Transformations of random programs, and of functions with custom rules, in any order.

Programs are drawn from seeds: one that fails can be drawn again. Everything is computed
in 64 bits, so that finite differences tell.
"""

import numpy as np
import pytest

from pullback import grad, hessian, jit, jvp, linearize, value_and_grad, vjp, vmap
from pullback.calls.checkpoint import checkpoint
from pullback.config import config
from pullback.errors import ForwardModeError
from tests.compositions.comparing import arrays, direction, inner, same
from tests.compositions.pieces import PIECES
from tests.compositions.programs import inputs_of, random_program
from tests.compositions.ruled import RULED
from tests.compositions.wrapping import (
    BACKWARD,
    FORWARD_TRIPLES,
    TRIPLES,
    WRAPPERS,
    nest,
)

SEEDS = [
    *range(5),
    *[pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 100)],
]
STEP = 1e-5


@pytest.fixture(autouse=True)
def with_64_bits():
    with config.context(enable_x64=True):
        yield


def drawn(seed):
    """Give a random program and its inputs."""
    return random_program(seed), arrays(inputs_of(seed))


def moved(xs, dots, step):
    return arrays([np.asarray(x) + step * np.asarray(v) for x, v in zip(xs, dots)])


def by_differences(f, xs, dots):
    """Give the derivative along a direction by central differences."""
    above, below = f(*moved(xs, dots, STEP)), f(*moved(xs, dots, -STEP))
    return [(np.asarray(a) - np.asarray(b)) / (2 * STEP) for a, b in zip(above, below)]


def gradient(program):
    """Give the gradient of a program's sum with respect to all inputs, as a list."""
    positions = (0, 1, 2)
    return lambda *xs: list(grad(program.scalar, positions)(*xs))


# -- random programs -------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_compiled_programs_agree_with_eager_ones(seed):
    f, xs = drawn(seed)
    same(jit(f)(*xs), f(*xs))


@pytest.mark.parametrize("seed", SEEDS)
def test_jvp_agrees_with_finite_differences(seed):
    f, xs = drawn(seed)
    dots = direction(xs, seed)
    outs, outs_dot = jvp(f, tuple(xs), tuple(dots))
    same(outs, f(*xs))
    same(outs_dot, by_differences(f, xs, dots), 1e-6)
    outs, push = linearize(f, *xs)
    same(outs, f(*xs))
    same(push(*dots), outs_dot)


@pytest.mark.parametrize("seed", SEEDS)
def test_vjp_agrees_with_jvp_by_inner_products(seed):
    f, xs = drawn(seed)
    dots = direction(xs, seed)
    outs, pull = vjp(f, *xs)
    cts = direction(outs, seed + 1)
    found = inner(pull(cts), dots)
    np.testing.assert_allclose(
        found, inner(cts, jvp(f, tuple(xs), tuple(dots))[1]), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_of_compiled_and_compiled_gradients_agree(seed):
    f, xs = drawn(seed)
    expected = gradient(f)(*xs)
    same(jit(gradient(f))(*xs), expected)
    same(list(grad(jit(f.scalar), (0, 1, 2))(*xs)), expected)
    same(list(grad(checkpoint(f.scalar), (0, 1, 2))(*xs)), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_vmap_agrees_with_a_loop(seed):
    f, xs = drawn(seed)
    masks = [(True, True, True), (False, True, True), (True, False, False)]
    mask = masks[seed % 3]
    stacks = [
        np.stack([np.asarray(x) + 0.3 * i for i in range(3)], -1 if x.ndim else 0)
        for x in xs
    ]
    axes = tuple((-1 if x.ndim else 0) if m else None for x, m in zip(xs, mask))
    given = arrays(s if m else x for s, x, m in zip(stacks, xs, mask))
    for g in (f, gradient(f)):
        found = vmap(g, in_axes=axes)(*given)
        for row in range(3):
            one = arrays(s[..., row] if m else x for s, x, m in zip(stacks, xs, mask))
            same([y[row] for y in found], g(*one))
    same(jit(vmap(f, in_axes=axes))(*given), vmap(f, in_axes=axes)(*given))


@pytest.mark.parametrize("seed", SEEDS)
def test_second_derivatives_agree_in_every_mode(seed):
    f, xs = drawn(seed)
    u, v = direction(xs, seed), direction(xs, seed + 1)
    _, forward = jvp(gradient(f), tuple(xs), tuple(u))
    same(forward, by_differences(gradient(f), xs, u), 2e-5)
    _, pull = vjp(gradient(f), *xs)
    same(list(pull(u)), forward)

    def slope(*xs):
        return jvp(f.scalar, xs, tuple(u))[1]

    same(list(grad(slope, (0, 1, 2))(*xs)), forward)
    _, other = jvp(gradient(f), tuple(xs), tuple(v))
    np.testing.assert_allclose(inner(forward, v), inner(other, u), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", sorted(PIECES))
def test_each_piece_alone_has_right_derivatives(name):
    f = random_program(7, size=2, names=(name,))
    xs = arrays(inputs_of(7))
    dots = direction(xs, 5)
    outs, outs_dot = jvp(f, tuple(xs), tuple(dots))
    same(outs_dot, by_differences(f, xs, dots), 1e-6)
    cts = direction(outs, 6)
    np.testing.assert_allclose(
        inner(vjp(f, *xs)[1](cts), dots), inner(cts, outs_dot), rtol=1e-9, atol=1e-9
    )


def test_value_and_gradient_come_together():
    f, xs = drawn(3)
    value, slopes = value_and_grad(f.scalar, (0, 1, 2))(*xs)
    same(value, f.scalar(*xs))
    same(list(slopes), gradient(f)(*xs))


def test_a_hessian_is_symmetric_and_the_same_in_both_orders():
    f, xs = drawn(5)
    found = hessian(lambda x: f.scalar(xs[0], x, xs[2]))(xs[1])
    n = xs[1].size
    square = np.asarray(found).reshape(n, n)
    np.testing.assert_allclose(square, square.T, rtol=1e-8, atol=1e-10)


# -- functions with custom rules -------------------------------------------------------

PAIRS = [
    (name, outer)
    for name, (_, _, forward) in RULED.items()
    for outer in (WRAPPERS if forward else BACKWARD)
]
#: These go into the triples by default, all others in slow tests.
IN_TRIPLES = ("jvp", "vjp", "both", "captured vjp", "nondiff jvp", "trees")
ALL_TRIPLES = [
    pytest.param(
        name,
        triple,
        marks=[] if name in IN_TRIPLES else pytest.mark.slow,
        id=f"{name}-{'-'.join(triple)}",
    )
    for name, (_, _, forward) in RULED.items()
    for triple in [*TRIPLES, *(FORWARD_TRIPLES if forward else [])]
]


def agree_in(name, wrappers):
    """Compare a function with rules and the one without, inside transformations."""
    ruled, plain, _ = RULED[name]
    (x,) = arrays([np.array([0.4, -0.3, 0.9])])
    try:
        same(nest(wrappers, ruled)(x), nest(wrappers, plain, plain=True)(x))
    except Exception as error:
        error.add_note(f"in {' of '.join(wrappers)}")
        raise


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_each_transformation_of_a_function_with_rules(wrapper):
    for name, (_, _, forward) in RULED.items():
        if forward or wrapper in BACKWARD:
            agree_in(name, (wrapper,))


@pytest.mark.parametrize(("name", "outer"), PAIRS)
def test_every_pair_of_transformations_of_a_function_with_rules(name, outer):
    forward = RULED[name][2]
    for inner_name in WRAPPERS if forward else BACKWARD:
        agree_in(name, (outer, inner_name))


@pytest.mark.parametrize(("name", "triple"), ALL_TRIPLES)
def test_chosen_triples_of_transformations_of_a_function_with_rules(name, triple):
    agree_in(name, triple)


@pytest.mark.parametrize("name", [n for n, (_, _, f) in RULED.items() if not f])
def test_forward_mode_of_a_reverse_rule_says_so(name):
    (x,) = arrays([np.array([0.4, -0.3, 0.9])])
    for wrapper in ("jvp", "linearize"):
        with pytest.raises(ForwardModeError):
            nest((wrapper,), RULED[name][0])(x)
