"""`external`: NumPy functions and rules under every transformation."""

import numpy as np
import pytest

from pullback import (
    ShapeDtypeStruct,
    external,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jit,
    jvp,
    make_jaxpr,
    vmap,
)
from pullback import numpy as jnp
from pullback.errors import (
    ArgumentError,
    MissingDerivative,
    NotAnArrayError,
    RuleArityError,
    RuleShapeError,
    RuleTreeError,
    ShapeError,
)
from tests.implicit.comparing import assert_close


def scaled_sine(x, y):
    return {"s": np.sin(x) * y, "n": np.int32(3)}


def like(x, y):
    shape = np.broadcast_shapes(x.shape, y.shape)
    return {"s": ShapeDtypeStruct(shape, x.dtype), "n": np.int32(0)}


def sine_vjp(args, out, ct):
    x, y = args
    return np.cos(x) * y * ct["s"], (np.sin(x) * ct["s"]).sum()


def sine_jvp(args, tangents):
    (x, y), (x_dot, y_dot) = args, tangents
    return {"s": np.cos(x) * y * x_dot + np.sin(x) * y_dot, "n": None}


sine = external(scaled_sine, like, sine_vjp, sine_jvp)
X = jnp.arange(3.0)
XS = jnp.stack([X, X + 1])


def size(f):
    return lambda x, y: jnp.sum(f(x, y)["s"] ** 2)


def reference(x, y):
    return {"s": jnp.sin(x) * y}


CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def test_values():
    for f in (sine, jit(sine)):
        out = f(X, 2.0)
        assert_close(out["s"], 2 * np.sin(X), **CLOSE)
        assert out["n"] == 3
        assert out["n"].dtype == jnp.int32


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: grad(f, (0, 1)),
        lambda f: jit(grad(f, (0, 1))),
        lambda f: grad(jit(f), (0, 1)),
        lambda f: jacfwd(f, (0, 1)),
        lambda f: jit(jacfwd(f, (0, 1))),
        lambda f: jacrev(f, (0, 1)),
    ],
)
def test_both_modes(transform):
    found = transform(size(sine))(X, 2.0)
    assert_close(found, transform(size(reference))(X, 2.0), **CLOSE)


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_batches(wrap):
    found = wrap(vmap(grad(size(sine), (0, 1)), (0, None)))(XS, 2.0)
    wanted = vmap(grad(size(reference), (0, 1)), (0, None))(XS, 2.0)
    assert_close(found, wanted, **CLOSE)


def test_shared_argument_of_a_batch():
    def total(f):
        return lambda y: jnp.sum(vmap(size(f), (0, None))(XS, y))

    assert_close(grad(total(sine))(2.0), grad(total(reference))(2.0), **CLOSE)


def test_rules_with_leading_axes_are_called_once():
    shapes = []

    def square(x):
        shapes.append(x.shape)
        return x * x

    f = external(
        square,
        np.float32(0),
        vjp=lambda args, out, ct: 2 * args[0] * ct,
        jvp=lambda args, tangents: 2 * args[0] * tangents[0],
        vmap_method="expand_dims",
    )
    assert_close(vmap(f)(X), X * X)
    assert shapes == [(3,)]
    assert_close(vmap(grad(f))(X), 2 * X)
    assert_close(jit(vmap(grad(f)))(X), 2 * X)
    assert_close(jvp(vmap(f), (X,), (X,))[1], 2 * X * X)


def test_captured_values_stay_out_and_products_work():
    f = external(lambda x: x**2, np.float32(0), vjp=lambda a, out, ct: 2 * a[0] * ct)
    assert_close(grad(lambda x: f(x) * x)(3.0), 27.0)


def test_jaxpr_shows_the_function_and_repr_its_rules():
    assert "pure_callback" in str(make_jaxpr(lambda x: sine(x, 2.0)["s"])(X))
    assert repr(sine) == "<external scaled_sine: vjp=sine_vjp, jvp=sine_jvp>"
    assert sine.__name__ == "scaled_sine"


def square(x):
    return x * x


def make(**rules):
    return external(square, np.float32(0), **rules)


def vjp_of_square(args, out, ct):
    return (2 * args[0] * ct,)


def jvp_of_square(args, tangents):
    return 2 * args[0] * tangents[0]


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_a_missing_rule_is_named_in_its_mode_only(wrap):
    forward, backward = make(jvp=jvp_of_square), make(vjp=vjp_of_square)
    assert jvp(wrap(forward), (3.0,), (1.0,))[1] == 6.0
    assert wrap(grad(backward))(3.0) == 6.0
    with pytest.raises(MissingDerivative, match=r"no reverse-mode rule.*vjp=\.\.\."):
        wrap(grad(forward))(3.0)
    with pytest.raises(MissingDerivative, match=r"no forward-mode rule.*jvp=\.\.\."):
        jvp(wrap(backward), (3.0,), (1.0,))


def test_without_rules_there_is_no_derivative():
    with pytest.raises(
        MissingDerivative, match="external function square has no deriv"
    ):
        grad(make())(3.0)


def test_second_order_is_refused_by_name():
    both = make(vjp=vjp_of_square, jvp=jvp_of_square)
    with pytest.raises(MissingDerivative, match="no derivative of second order"):
        hessian(both)(3.0)


@pytest.mark.parametrize(
    ("rule", "error", "text"),
    [
        (lambda a, out, ct: (ct, ct), RuleArityError, "2 cotangents; it has 1 arg"),
        (lambda a, out, ct: np.ones(3), RuleShapeError, r"\(3,\) in place of \(\)"),
        (lambda a, out, ct: {"a": ct}, RuleTreeError, "a dict where an array f32"),
    ],
)
def test_wrong_vjp_rules(rule, error, text):
    with pytest.raises(error, match=text):
        grad(make(vjp=rule))(3.0)


def test_wrong_jvp_rule():
    with pytest.raises(RuleTreeError, match="returned a tangent that does not fit"):
        jvp(make(jvp=lambda args, tangents: {"a": 1.0}), (3.0,), (1.0,))


def test_zero_cotangents():
    f = external(
        lambda x, y: x * y, np.float32(0), vjp=lambda a, out, ct: (a[1] * ct, None)
    )
    assert grad(f, (0, 1))(2.0, 3.0) == (3.0, 0.0)


def test_wrong_calls():
    with pytest.raises(NotAnArrayError, match="external function square: argument x"):
        make()("a")
    with pytest.raises(ArgumentError, match="external was given a int"):
        external(3, np.float32(0))
    with pytest.raises(ShapeError, match=r"declares f32\[2\]"):
        external(square, np.ones(2, np.float32))(3.0)
