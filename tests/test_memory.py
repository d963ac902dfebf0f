"""What derivatives keep: the residuals and nothing else, for no longer than needed.

Bytes are counted in the recorded linear programs and compared with a count by hand.
"""

import contextlib
import gc
import weakref

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, custom_vjp, grad, jit, jvp, value_and_grad, vjp, vmap
from pullback.calls.checkpoint import checkpoint
from pullback.calls.cond import cond
from pullback.calls.loops import scan
from pullback.calls.while_loop import while_loop
from pullback.core.array import Array
from pullback.core.trace import aval_of
from pullback.transforms.linearize import (
    linearize_flat,
    linearize_jaxpr,
    needed_steps,
)
from pullback.transforms.stage import make_jaxpr

FLOAT = 4


def array(*shape, seed=0):
    return jnp.array(np.random.default_rng(seed).standard_normal(shape), "float32")


# -- bytes -----------------------------------------------------------------------------


def recorded_bytes(f, *args):
    """Count the bytes of all residuals that `grad` keeps between its two passes."""
    _, program = linearize_flat(lambda *xs: [f(*xs)], args)
    kept = {}
    for _, operands, _ in needed_steps(program.steps, program.outputs):
        for x in operands:
            if isinstance(x, Array) and x.shape:
                kept[id(x)] = aval_of(x).nbytes
    return sum(kept.values())


def staged_bytes(f, *args):
    """Count the same for the compiled function: residuals of its linear program."""
    closed = make_jaxpr(f)(*args)
    assert not closed.consts
    parts = linearize_jaxpr(closed.jaxpr, [True] * len(args))
    count = len(parts.linear.inputs) - len(args)
    assert count == len(parts.residual_inputs)
    return sum(v.aval.nbytes for v in parts.linear.inputs[:count] if v.aval.shape)


BOTH = pytest.mark.parametrize("count", [recorded_bytes, staged_bytes])
B, D, H, O = 16, 8, 32, 4  # noqa: E741


def mlp(x):
    def loss(w, b, v):
        hidden = jnp.tanh(x @ w + b)
        return jnp.sum((hidden @ v) ** 2)

    return loss


@BOTH
def test_an_mlp_keeps_its_activations_and_weights(count):
    x = np.ones((B, D), np.float32)
    if count is staged_bytes:
        # Captured arrays would be constants: make the input an argument.
        def loss(w, b, v, x):
            return mlp(x)(w, b, v)

        args = (array(D, H), array(H), array(H, O), array(B, D))
        extra = D * H  # x is differentiated here too, which takes w
    else:
        loss, args, extra = mlp(jnp.array(x)), (array(D, H), array(H), array(H, O)), 0
    # x, for w; 1 - tanh^2; tanh, for v; v, for tanh; twice the output, for the square.
    by_hand = B * D + B * H + B * H + H * O + B * O + extra
    assert count(loss, *args) == FLOAT * by_hand


@BOTH
def test_a_scan_stacks_what_changes_and_keeps_what_does_not_once(count):
    steps, n = 20, 8

    def f(w, init):
        def body(carry, _):
            return jnp.tanh(carry * w), None

        return jnp.sum(scan(body, init, None, length=steps)[0])

    # w once; the carry and 1 - tanh^2 at each step.
    by_hand = n + 2 * steps * n
    assert count(f, array(n), array(n)) == FLOAT * by_hand


@BOTH
def test_a_custom_vjp_keeps_what_its_forward_pass_says(count):
    @custom_vjp
    def f(x, y):
        return jnp.exp(x) * jnp.sin(y) + jnp.tanh(x * y)

    f.defvjp(
        lambda x, y: (f(x, y), (x[:2], jnp.sum(y, 0))),
        lambda res, ct: (ct, ct),
    )

    def loss(x, y):
        return jnp.sum(f(x, y))

    assert count(loss, array(10, 7), array(10, 7)) == FLOAT * (2 * 7 + 7)


@BOTH
def test_linear_functions_keep_nothing(count):
    def f(x):
        return jnp.sum(jnp.concatenate([x.T, 2.0 * x.T])[::2] - jnp.roll(x.T, 1))

    assert count(f, array(6, 6)) == 0


@BOTH
def test_a_checkpoint_keeps_its_inputs_only(count):
    @checkpoint
    def block(x, w):
        for _ in range(5):
            x = jnp.tanh(x @ w)
        return x

    def f(x, w):
        return jnp.sum(block(block(x, w), w))

    # x, the activation between the blocks, w.
    assert count(f, array(B, H), array(H, H)) == FLOAT * (2 * B * H + H * H)


def branched(x):
    wave = jnp.sin
    return jnp.sum(cond(jnp.sum(x) > 0, lambda x: x**3, lambda x: wave(wave(x)), x))


def test_at_once_a_branch_keeps_its_own_residuals():
    x = array(50)
    assert recorded_bytes(branched, jnp.abs(x)) == FLOAT * 50
    assert recorded_bytes(branched, -jnp.abs(x)) == FLOAT * 2 * 50


def test_compiled_branches_keep_residuals_in_shared_places():
    # cos x and cos sin x of one branch, or 3 x^2 of the other in the place of one.
    assert staged_bytes(branched, array(50)) == FLOAT * 2 * 50


def test_only_residuals_of_what_is_asked_for_are_kept_by_a_compiled_gradient():
    def f(w, x):
        return jnp.sum(jnp.tanh(x @ w) * 2.0)

    closed = make_jaxpr(f)(array(D, H), array(B, D))
    parts = linearize_jaxpr(closed.jaxpr, [False, True])
    shapes = {v.aval.shape for v in parts.linear.inputs[:-1] if v.aval.shape}
    assert shapes == {(D, H), (B, H)}


# -- release ---------------------------------------------------------------------------


@contextlib.contextmanager
def without_collector():
    """Let nothing but reference counts release objects."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def watched_layer(log, name):
    """Give a function that notes its residual, and looks at others when pulled back."""

    @custom_vjp
    def layer(x):
        return 2.0 * x

    def forward(x):
        residual = x + 1.0
        log[name] = weakref.ref(residual)
        return 2.0 * x, residual

    def backward(residual, ct):
        log["alive", name] = {
            k for k, r in log.items() if isinstance(k, str) and r() is not None
        }
        return (2.0 * ct,)

    layer.defvjp(forward, backward)
    return layer


@pytest.mark.parametrize("transform", [grad, value_and_grad])
def test_a_residual_is_released_once_its_step_is_transposed(transform):
    log = {}
    a, b, c = (watched_layer(log, name) for name in "abc")
    with without_collector():
        transform(lambda x: jnp.sum(c(b(a(x)))))(array(3))
    assert log["alive", "c"] == {"a", "b", "c"}
    assert log["alive", "b"] == {"a", "b"}
    assert log["alive", "a"] == {"a"}


def test_a_pullback_keeps_residuals_as_long_as_it_lives():
    log = {}
    layer = watched_layer(log, "a")
    with without_collector():
        _, pull = vjp(layer, array(3))
        pull(array(3))
        pull(array(3))
        assert log["a"]() is not None
        del pull
        assert log["a"]() is None


def spied(seen):
    """Give a function that notes every value it meets, of whatever trace."""

    def f(x):
        y = jnp.sin(x)
        z = jnp.sum(y * x)
        seen.extend(weakref.ref(v) for v in (x, y, z))
        return z

    return f


@custom_jvp
def cubed(x):
    return x * x * x


cubed.defjvps(lambda t, ans, x: 3.0 * x * x * t)

USES = {
    "grad": lambda f: grad(f)(array(3)),
    "jvp": lambda f: jvp(f, (array(3),), (array(3),)),
    "vjp": lambda f: vjp(f, array(3))[1](1.0),
    "vmap": lambda f: vmap(f)(array(2, 3)),
    "jit": lambda f: jit(f)(array(3)),
    "make_jaxpr": lambda f: make_jaxpr(f)(array(3)),
    "jit of grad": lambda f: jit(grad(f))(array(3)),
    "grad of jit": lambda f: grad(jit(f))(array(3)),
    "vmap of grad": lambda f: vmap(grad(f))(array(2, 3)),
    "grad of grad": lambda f: grad(lambda x: jnp.sum(grad(f)(x)))(array(3)),
    "scan": lambda f: scan(lambda c, x: (c + f(x), None), 0.0, array(2, 3)),
    "grad of scan": lambda f: grad(
        lambda x: scan(lambda c, y: (c + f(y * x), None), 0.0, array(2, 3))[0]
    )(array(3)),
    "cond": lambda f: cond(True, f, lambda x: 0.0, array(3)),
    "while_loop": lambda f: while_loop(
        lambda s: s[0] < 2, lambda s: (s[0] + 1, s[1] * f(s[1])), (0, array(3))
    ),
    "checkpoint": lambda f: grad(checkpoint(f))(array(3)),
    "custom rule": lambda f: grad(lambda x: f(cubed(x)))(array(3)),
}


@pytest.mark.parametrize("use", USES)
def test_no_cycle_keeps_traced_values_alive(use):
    seen = []
    with without_collector():
        result = USES[use](spied(seen))
        assert seen
        alive = [r() for r in seen if r() is not None]
        del result
    assert alive == []


# -- caches ----------------------------------------------------------------------------


def make_function():
    weight = array(3)

    def f(x):
        return jnp.sum(cubed(x) * weight)

    return f


@pytest.mark.parametrize("path", ["call", "grad", "vmap", "lower"])
def test_a_compiled_function_dies_with_its_last_user(path):
    f = make_function()
    g = jit(f)
    if path == "call":
        for _ in range(3):
            g(array(3))
    elif path == "grad":
        grad(g)(array(3))
    elif path == "vmap":
        vmap(g)(array(2, 3))
    else:
        g.lower(array(3)).compile()
    seen = weakref.ref(f), weakref.ref(g)
    del f, g
    gc.collect()
    assert [r() for r in seen] == [None, None]


def make_function_that_its_rule_calls():
    @custom_jvp
    def f(x):
        return x * x

    def compiled(x):
        return f(x)

    again = jit(compiled)
    f.defjvps(lambda t, ans, x: again(x) * t)
    again(array(3))
    return weakref.ref(compiled)


def test_a_compiled_function_that_its_own_rule_calls_dies_too():
    seen = make_function_that_its_rule_calls()
    gc.collect()
    assert seen() is None


def make_function_with_captured_array():
    weight = array(1000)
    compiled = jit(lambda x: x * weight)
    compiled(array(1000))
    grad(lambda x: jnp.sum(compiled(x)))(array(1000))
    return weakref.ref(weight)


def test_captured_arrays_are_released_with_the_function():
    seen = make_function_with_captured_array()
    gc.collect()
    assert seen() is None
