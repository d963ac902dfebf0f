"""Transformations in several threads and asyncio tasks at once do not meet."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, custom_vjp, grad, jit, jvp, make_jaxpr, vjp, vmap
from pullback.calls.loops import scan
from pullback.core.trace import EVAL, current_trace
from pullback.errors import LeakedTracerError

WORKERS = 8
ROUNDS = 25


@custom_jvp
def forward_rule(x):
    return jnp.sin(x)


forward_rule.defjvps(lambda x_dot, ans, x: jnp.cos(x) * x_dot)


@custom_vjp
def reverse_rule(x):
    return jnp.sin(x)


reverse_rule.defvjp(lambda x: (jnp.sin(x), jnp.cos(x)), lambda cos_x, ct: (cos_x * ct,))


@jit
def compiled(x):
    return jnp.sum(jnp.sin(x) * x)


def loss(x):
    return jnp.sum(forward_rule(x) * reverse_rule(x) + jnp.cos(x))


USES = {
    "grad": lambda x: grad(loss)(x),
    "vmap of grad": lambda x: vmap(grad(loss))(jnp.stack([x, 2 * x])),
    "jit": lambda x: compiled(x),
    "new jit": lambda x: jit(grad(loss))(x),
    "jvp": lambda x: jvp(lambda x: forward_rule(x) * x, (x,), (x,))[1],
    "vjp": lambda x: vjp(loss, x)[1](2.0)[0],
    "scan": lambda x: grad(
        lambda x: scan(lambda c, y: (jnp.sin(c) * y, None), x[0], x)[0]
    )(x),
    "trace": lambda x: len(make_jaxpr(grad(loss))(x).eqns),
    "eager": lambda x: jnp.sum(jnp.exp(x)) + x,
}


def point(seed):
    return jnp.array(np.random.default_rng(seed).standard_normal(4), "float32")


def wrong_results(seed, expected):
    """Do everything many times, and give what came out wrong."""
    wrong = []
    for i in range(ROUNDS):
        name = list(USES)[(seed + i) % len(USES)]
        found = USES[name](point(seed))
        if not np.allclose(found, expected[seed, name], rtol=1e-5, atol=1e-6):
            wrong.append((seed, name))
    if current_trace() is not EVAL:
        wrong.append((seed, "trace left behind"))
    return wrong


@pytest.fixture(scope="module")
def expected():
    """What each worker must find, computed one after the other."""
    return {
        (seed, name): np.asarray(use(point(seed)))
        for seed in range(WORKERS)
        for name, use in USES.items()
    }


def test_threads_do_not_disturb_each_other(expected):
    with ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(lambda s: wrong_results(s, expected), range(WORKERS)))
    assert found == [[]] * WORKERS


def test_one_function_is_compiled_rightly_when_threads_meet_in_its_first_call():
    f = jit(lambda x: jnp.sum(jnp.tanh(x)) * x)
    start = threading.Barrier(WORKERS)

    def first_call(seed):
        start.wait()
        return np.asarray(f(point(seed)))

    with ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(first_call, range(WORKERS)))
    for seed, y in enumerate(found):
        x = np.asarray(point(seed))
        np.testing.assert_allclose(y, np.tanh(x).sum() * x, rtol=1e-5)


def test_a_thread_started_inside_a_transformed_function_computes_plainly():
    found = []

    def f(x):
        def aside():
            found.append((current_trace() is EVAL, float(grad(jnp.sin)(0.5))))

        thread = threading.Thread(target=aside)
        thread.start()
        thread.join()
        return jnp.sin(x) * x

    slope = grad(f)(1.0)
    np.testing.assert_allclose(slope, np.cos(1) + np.sin(1), rtol=1e-6)
    assert found[0][0]
    np.testing.assert_allclose(found[0][1], np.cos(0.5), rtol=1e-6)


def test_a_traced_value_taken_to_another_thread_is_refused():
    def f(x):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(jnp.sin, x).result()

    with pytest.raises(LeakedTracerError):
        grad(f)(1.0)


async def alternate(seed, expected):
    """Transform now and then, letting other tasks go on in between."""
    wrong = []
    for i in range(ROUNDS):
        name = list(USES)[(seed + i) % len(USES)]
        found = USES[name](point(seed))
        await asyncio.sleep(0)
        if not np.allclose(found, expected[seed, name], rtol=1e-5, atol=1e-6):
            wrong.append((seed, name))
        found = await asyncio.to_thread(USES[name], point(seed))
        if not np.allclose(found, expected[seed, name], rtol=1e-5, atol=1e-6):
            wrong.append((seed, name, "in a thread"))
    return wrong


def test_tasks_do_not_disturb_each_other(expected):
    async def all_tasks():
        return await asyncio.gather(*[alternate(s, expected) for s in range(WORKERS)])

    assert asyncio.run(all_tasks()) == [[]] * WORKERS


def test_a_task_run_inside_a_transformed_function_is_transformed():
    async def compute(x):
        await asyncio.sleep(0)
        return jnp.sin(x) * x

    def f(x):
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(compute(x))
        finally:
            loop.close()

    np.testing.assert_allclose(grad(f)(1.0), np.cos(1) + np.sin(1), rtol=1e-6)
    np.testing.assert_allclose(jit(f)(1.0), np.sin(1), rtol=1e-6)


def test_an_error_leaves_no_trace_behind():
    def f(x):
        jnp.sin(x)
        raise ZeroDivisionError

    for transform in (grad, jit, make_jaxpr, lambda f: vmap(lambda x: f(x[None]))):
        with pytest.raises(ZeroDivisionError):
            transform(f)(jnp.ones(2) if transform not in (grad, jit) else 1.0)
        assert current_trace() is EVAL
