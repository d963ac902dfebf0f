"""Values kept after their transformation: found as it ends, while that is asked for."""

import functools

import numpy as np
import pytest

import pullback
import pullback.numpy as jnp
from pullback import (
    checking_leaks,
    config,
    custom_vjp,
    grad,
    hessian,
    jit,
    jvp,
    lax,
    make_jaxpr,
    vjp,
    vmap,
)
from pullback.core.trace import leak_watches
from pullback.custom.linear_call import linear_call
from pullback.errors import LeakedTracerError
from pullback.experimental.jet import jet
from pullback.ode import odeint

XS = jnp.arange(3.0)


class Model:
    """Something with an attribute."""


MODEL = Model()


@pytest.fixture(autouse=True)
def nothing_kept():
    yield
    vars(MODEL).clear()


def keep(x):
    """Keep a value that is made here."""
    MODEL.hidden = jnp.sin(x)
    return x * 2.0


def error_of(run):
    with checking_leaks(), pytest.raises(LeakedTracerError) as info:
        run()
    return str(info.value)


@pytest.mark.parametrize(
    ("run", "title"),
    [
        (lambda: grad(keep)(1.0), "a transformation in reverse mode (grad, vjp, "),
        (lambda: hessian(keep)(1.0), "a transformation in reverse mode (grad, vjp, "),
        (lambda: jvp(keep, (1.0,), (1.0,)), "a transformation in forward mode (jvp, "),
        (lambda: vmap(keep)(XS), "vmap has ended"),
        (lambda: vmap(keep, axis_name="i")(XS), "vmap has ended"),
        (lambda: jet(keep, (1.0,), ([1.0],)), "jet has ended"),
        (lambda: jit(keep)(1.0), "the tracing of keep has ended"),
        (lambda: make_jaxpr(keep)(1.0), "the tracing of keep has ended"),
        (lambda: lax.scan(lambda c, x: (keep(c), x), 0.0, XS), "the tracing of <lamb"),
        (lambda: lax.cond(True, keep, lambda x: x, 1.0), "the tracing of keep has end"),
        (lambda: lax.while_loop(lambda x: x < 3, keep, 1.0), "the tracing of keep has"),
        (lambda: grad(pullback.checkpoint(keep))(1.0), "the tracing of keep has ended"),
    ],
)
def test_every_transformation_says_who_keeps_what_and_where_it_was_made(run, title):
    text = error_of(run)
    assert text.startswith(title)
    assert "but its values are kept: a value of type f32[] " in text
    assert "made by sin at test_leaks.py" in text
    holders = "held by the attribute `hidden` of a Model, held by the global `MODEL` of"
    assert holders in text
    assert "Called at test_leaks.py" in text
    assert "Return the value from the transformed function (has_aux=True gives" in text


def test_a_variable_shared_with_a_function_is_named():
    kept = None

    def f(x):
        nonlocal kept
        kept = x
        return x

    text = error_of(lambda: vmap(f)(XS))
    assert (
        "by vmap, an argument of the function, is held by the variable `kept`" in text
    )
    assert "that f captures (test_leaks.py" in text
    assert kept is not None


def test_containers_are_named_down_to_the_variable():
    kept = []

    def run(f):
        def g(x, to):
            to.append({"a": (1, x)})
            return x

        return f(functools.partial(g, to=kept))(1.0)

    text = error_of(lambda: run(jit))
    assert (
        "held by element 1 of a tuple, held by the key 'a' of a dict, held by" in text
    )
    assert "element 0 of a list" in text
    assert len(kept) == 1


def test_a_list_that_only_a_running_function_has_is_found():
    def run():
        kept = []
        vmap(lambda x, to: (to(x), x)[1], in_axes=(0, None))(XS, kept.append)
        return kept

    assert "held by element 0 of a list" in error_of(run)


class Slotted:
    """Something that holds a value without a dict of attributes."""

    __slots__ = ("held",)


def test_slots_are_named():
    MODEL.box = Slotted()

    def f(x):
        MODEL.box.held = x
        return x

    text = error_of(lambda: grad(f)(1.0))
    assert "held by the attribute `held` of a Slotted, held by the attr" in text


def test_what_an_error_or_a_generator_keeps_is_found():
    def with_error(x):
        try:
            raise ValueError(str(x.shape))
        except ValueError as error:
            MODEL.error = error
        return x

    text = error_of(lambda: jvp(with_error, (1.0,), (1.0,)))
    assert "held by a variable of with_error, which an error or generator keeps" in text

    def with_generator(x):
        def values():
            y = x * 2.0
            yield y
            yield y

        MODEL.generator = values()
        return next(MODEL.generator)

    assert "held by" in error_of(lambda: jvp(with_generator, (1.0,), (1.0,)))


def test_of_many_values_a_few_are_described():
    MODEL.all = []

    def f(x):
        MODEL.all += [x + float(i) for i in range(10)]
        return x

    text = error_of(lambda: jit(f)(1.0))
    assert text.count("is held by") == 3
    assert "; and 7 more. Called at" in text


def test_functions_that_keep_nothing_pass_in_any_nesting():
    square = custom_vjp(lambda x: x * x)
    square.defvjp(lambda x: (square(x), x), lambda x, ct: (2.0 * x * ct,))

    def f(x):
        scale = jnp.cos(x)
        _, ys = lax.scan(lambda c, y: (c + y, square(c) * scale), x, XS)
        return jnp.sum(ys) + lax.cond(x > 0, lambda: square(x) * scale, lambda: x)

    with checking_leaks():
        found = jit(vmap(grad(f)))(XS)
        assert found.shape == (3,)
        twice = vmap(grad(grad(f)))(XS)
    np.testing.assert_allclose(found, vmap(grad(f))(XS), rtol=1e-5)
    assert twice.shape == (3,)


def test_what_operations_keep_of_captured_values_is_no_leak():
    def f(x):
        linear = linear_call(lambda r, y: x * y, lambda r, ct: x * ct, (), 2.0)
        return odeint(lambda y, t: -x * y, linear, jnp.array([0.0, 0.1]))[1]

    with checking_leaks():
        y, pull = vjp(jit(f), 1.0)
        pull(y)


def test_what_only_a_cycle_keeps_is_no_leak():
    def f(x):
        loop = [x]
        loop.append(loop)
        return x

    with checking_leaks():
        assert float(grad(f)(2.0)) == 1.0


def test_values_of_transformations_that_go_on_may_be_kept():
    def outer(x):
        kept = []

        def inner(y):
            kept.append(x)
            return y * x

        return vmap(inner)(XS).sum() * kept[0]

    with checking_leaks():
        assert float(grad(outer)(2.0)) == 12.0


def test_functions_traced_before_are_traced_again():
    f = jit(keep)
    f(1.0)
    assert "the tracing of keep has ended" in error_of(lambda: f(1.0))


def test_nothing_is_looked_for_while_the_switch_is_off():
    assert not leak_watches
    grad(keep)(1.0)
    with checking_leaks():
        assert leak_watches
        with pullback.check_tracer_leaks(False):
            grad(keep)(1.0)
    with config.context(jax_check_tracer_leaks=True), pytest.raises(LeakedTracerError):
        grad(keep)(1.0)
    assert not leak_watches
