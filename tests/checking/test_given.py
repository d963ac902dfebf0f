import functools

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_vjp, jit, jvp, vjp
from pullback.errors import ArgumentError
from pullback.test_util import check_jvp, check_vjp

P = {"w": np.ones((2, 3)), "x": np.arange(3.0)}
CASES = [
    (jnp.sin, (1.5,)),
    (lambda x, n: x**n, (np.arange(1.0, 4.0), 3)),
    (lambda p, flag: {"y": p["w"] @ p["x"], "n": 3}, (P, True)),
    (lambda z: jnp.exp(z) * z, (1 + 2j,)),
    (lambda z: (jnp.real(z) * jnp.abs(z) ** 2, z), (np.complex64(1 - 2j),)),
    (jit(lambda x: jnp.tanh(x).sum()), (np.arange(100.0) / 50,)),
]


def product(x, y):
    return x**2 * y


def product_jvp(primals, tangents):
    """The forward derivative, wrong in y."""
    (x, y), (x_dot, y_dot) = primals, tangents
    return product(x, y), 2 * x * y * x_dot + x**3 * y_dot


def product_vjp(x, y):
    """The reverse derivative, wrong in y."""
    return product(x, y), lambda ct: (2 * x * y * ct, x**3 * ct)


@pytest.mark.parametrize(("f", "args"), CASES)
def test_right_derivatives_pass(f, args):
    check_jvp(f, functools.partial(jvp, f), args)
    check_vjp(f, functools.partial(vjp, f), args)


def test_derivatives_written_by_hand_may_insist_on_32_bits():
    def f_jvp(primals, tangents):
        assert primals[0].dtype == tangents[0].dtype == np.float32
        return jnp.sin(*primals), jnp.cos(*primals) * tangents[0]

    check_jvp(jnp.sin, f_jvp, (np.float32(1.0),))


@pytest.mark.parametrize(
    ("check", "derivative"), [(check_jvp, product_jvp), (check_vjp, product_vjp)]
)
def test_the_worst_entry_and_both_numbers_are_named(check, derivative):
    args = np.array([1.0, 3.0]), np.array([2.0, 2.0])
    with pytest.raises(AssertionError) as info:
        check(product, derivative, args)
    text = str(info.value)
    assert f"{check.__name__} of product by {derivative.__name__}: " in text
    assert "of output[1] by y[1] is 27; finite differences give 9." in text
    assert "1 of 8 entries are off." in text
    assert "Called at test_given.py" in text
    assert "Mend the derivative, or the rule that it follows; give rtol, atol" in text


def test_a_wrong_rule_is_found_through_the_transformation():
    f = custom_vjp(product)
    f.defvjp(lambda x, y: (f(x, y), (x, y)), lambda r, ct: (ct, r[0] ** 2 * ct))
    with pytest.raises(AssertionError) as info:
        check_vjp(f, functools.partial(vjp, f), (2.0, 3.0), err_msg="layer 3")
    text = str(info.value)
    assert text.startswith("layer 3: check_vjp of product by vjp: the derivative of ")
    assert "output by x is 1; finite differences give 12. 1 of 2 entries" in text


@pytest.mark.parametrize("check", [check_jvp, check_vjp])
def test_entries_that_were_not_sampled_are_seen_together(check):
    x = np.linspace(1.0, 2.0, 1000)
    wrong = np.ones(1000)
    wrong[3] = 2.0  # not among those looked at one by one

    def f_jvp(primals, tangents):
        return jnp.sum(primals[0] ** 2), jnp.sum(2 * wrong * primals[0] * tangents[0])

    def f_vjp(x):
        return jnp.sum(x**2), lambda ct: (2 * wrong * x * ct,)

    given = f_jvp if check is check_jvp else f_vjp
    with pytest.raises(AssertionError, match=r"along a random direction.* Mend the"):
        check(lambda x: jnp.sum(x**2), given, (x,))


@pytest.mark.parametrize("check", [check_jvp, check_vjp])
def test_an_output_that_differs_is_named(check):
    def g(x):
        return {"a": jnp.sin(x), "b": x + jnp.array([0.0, 1.0])}

    def f(x):
        return {"a": jnp.sin(x), "b": x}

    given = functools.partial(jvp if check is check_jvp else vjp, g)
    with pytest.raises(AssertionError) as info:
        check(f, given, (np.array([1.0, 2.0]),))
    text = str(info.value)
    assert "its output['b'][1] is 3; f gives 2. 1 of 4 entries are off." in text


def test_tolerances_and_step_can_be_given():
    def f_jvp(primals, tangents):
        return primals[0] ** 2, 2.01 * primals[0] * tangents[0]

    check_jvp(lambda x: x**2, f_jvp, (1.0,), rtol=0.1, eps=1e-3)
    with pytest.raises(AssertionError, match=r"is 2\.01; finite differences give 2"):
        check_jvp(lambda x: x**2, f_jvp, (1.0,), rtol=1e-3, atol=0.0)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (
            lambda p, t: (p[0], t),
            "the output's tangent is a tuple where an array f64[2]",
        ),
        (lambda p, t: (p[0], t[0][0]), "the output's tangent is f64[] where f64[2]"),
        (lambda p, t: (p, t[0]), "the output is a tuple where an array f64[2] is"),
        (lambda p, t: (p[0], 1j * t[0]), "is complex c128[2] where real f64[2]"),
    ],
)
def test_a_tangent_that_does_not_fit_is_named(given, complaint):
    with pytest.raises(AssertionError) as info:
        check_jvp(lambda x: x, given, (np.ones(2),))
    text = str(info.value).replace("f32", "f64").replace("c64", "c128")
    assert complaint in text


def test_a_cotangent_that_does_not_fit_is_named():
    with pytest.raises(AssertionError, match=r"the cotangent is an array f\d\d\[\] "):
        check_vjp(jnp.sin, lambda x: (jnp.sin(x), lambda ct: ct), (1.0,))
    with pytest.raises(AssertionError, match=r"cotangent is 2 entries where 1 is exp"):
        check_vjp(jnp.sin, lambda x: (jnp.sin(x), lambda ct: (ct, ct)), (1.0,))


def test_none_stands_for_zero():
    check_jvp(lambda x: 0 * x, lambda p, t: (0 * p[0], None), (1.0,))
    check_vjp(lambda x, y: x, lambda x, y: (x, lambda ct: (ct, None)), (1.0, 2.0))


@pytest.mark.parametrize(
    ("check", "names"),
    [(check_jvp, "(output, output_tangent)"), (check_vjp, "(output, pull)")],
)
def test_what_gives_no_pair_is_refused(check, names):
    with pytest.raises(ArgumentError) as info:
        check(jnp.sin, lambda *args: 3.0, (1.0,))
    text = str(info.value)
    assert "by <lambda>: it gave a float, not a pair. Called at" in text
    assert f"Let it return {names}." in text


@pytest.mark.parametrize("check", [check_jvp, check_vjp])
def test_arguments_that_cannot_be_meant_are_refused(check):
    with pytest.raises(ArgumentError, match=f"{check.__name__} of sin: args is a flo"):
        check(jnp.sin, product_jvp, 1.0)
    with pytest.raises(ArgumentError, match=f"{check.__name__} was given a float"):
        check(jnp.sin, 1.0, (1.0,))
    with pytest.raises(ArgumentError, match=f"{check.__name__} was given a float"):
        check(1.0, jnp.sin, (1.0,))
