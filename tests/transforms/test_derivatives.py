"""grad, value_and_grad, jacfwd, jacrev and hessian."""

import functools
from typing import NamedTuple

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    custom_jvp,
    dtypes,
    float0,
    grad,
    hessian,
    jacfwd,
    jacobian,
    jacrev,
    jit,
    jvp,
    make_jaxpr,
    tree_util,
    value_and_grad,
    vmap,
)
from pullback.config import config
from pullback.errors import ArgumentError, GradError, NotAnArrayError
from pullback.transforms.derivatives import index_axis, standard_basis

X = jnp.asarray([1.0, 2.0, 3.0])
BOTH = pytest.mark.parametrize("jacobian_of", [jacfwd, jacrev])


class Point(NamedTuple):
    x: object
    y: object


def product(x, y, z=1.0):
    return x * y * z


def waves(x):
    return jnp.stack([jnp.sin(x[0]) * x[1], x[1] * x[2], x[0] * 1.0, x[2] ** 2])


def waves_jacobian(x):
    a, b, c = np.asarray(x, np.float64)
    rows = [[np.cos(a) * b, np.sin(a), 0], [0, c, b], [1, 0, 0], [0, 0, 2 * c]]
    return np.array(rows)


# Which arguments.


@pytest.mark.parametrize(
    ("argnums", "wanted"),
    [
        (0, 12.0),
        (1, 8.0),
        (-1, 6.0),
        ((0,), (12.0,)),
        ([2, 0], (6.0, 12.0)),
        ((1, 0), (8.0, 12.0)),
        ((), ()),
    ],
)
def test_grad_must_follow_its_argnums(argnums, wanted):
    assert grad(product, argnums)(2.0, 3.0, 4.0) == wanted


def test_grad_must_pass_keywords_on():
    assert grad(product)(2.0, 3.0, z=4.0) == 12.0
    assert grad(product)(2.0, y=3.0) == 3.0


def test_grad_must_leave_other_arguments_alone():
    def f(x, name, flags=()):
        assert name == "twice"
        assert flags == [object]
        return 2 * x

    assert grad(f)(1.0, "twice", [object]) == 2.0


def test_gradient_must_have_the_containers_of_the_argument():
    p = {"w": [X, 2.0], "p": Point(1.0, None), "e": ()}
    got = grad(lambda p: (p["w"][0] * p["w"][1]).sum() + p["p"].x ** 2)(p)
    np.testing.assert_array_equal(got["w"][0], [2, 2, 2])
    assert got["w"][1] == 6.0
    assert (got["p"], got["e"]) == (Point(2.0, None), ())


def test_argument_that_is_not_used_must_have_a_zero_gradient():
    x, y = grad(lambda x, y: 3.0 * x, (0, 1))(1.0, X)
    assert x == 3.0
    np.testing.assert_array_equal(y, np.zeros(3))


def test_output_that_depends_on_nothing_must_have_a_zero_gradient():
    assert grad(lambda x: 2.0)(1.0) == 0.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_gradient_must_have_the_dtype_of_the_argument(dtype):
    assert grad(lambda x: x * 2)(jnp.asarray(1.0, dtype)).dtype == dtypes.canonical(
        dtype
    )


def test_gradient_must_be_wide_with_x64():
    with config.context(enable_x64=True):
        assert grad(jnp.sin)(1.0).dtype == np.float64


def test_callable_argument_must_have_a_gradient_of_what_it_captures():
    w = jnp.asarray(3.0)
    got = grad(lambda g, x: g(x))(lambda x: w * x, 2.0)
    assert got.leaves[0] == 2.0


# Values and auxiliary outputs.


def test_value_and_grad_must_give_both():
    assert value_and_grad(product, (0, 1))(2.0, 3.0) == (6.0, (3.0, 2.0))


def test_aux_must_be_given_beside_value_and_gradient():
    f = lambda x: (x**2, {"half": x / 2, "n": 3})  # noqa: E731
    (value, aux), gradient = value_and_grad(f, has_aux=True)(4.0)
    assert (value, aux, gradient) == (16.0, {"half": 2.0, "n": 3}, 8.0)
    assert grad(f, has_aux=True)(4.0) == (8.0, aux)


@pytest.mark.parametrize("aux", [None, (), {}])
def test_empty_aux_must_be_kept(aux):
    _, found = grad(lambda x: (x, aux), has_aux=True)(1.0)
    assert found == (aux if aux is not None else ())


def test_aux_must_be_plain_values_outside():
    _, aux = grad(lambda x: (x, x * 2), has_aux=True)(1.0)
    assert float(aux) == 2.0


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacrev, jacfwd, hessian])
@pytest.mark.parametrize("out", [(1.0, 2.0, 3.0), 1.0])
def test_output_without_aux_must_be_refused(transform, out):
    with pytest.raises(GradError, match=r"has_aux=True: .*not a pair \(output, aux\)"):
        transform(lambda x: out, has_aux=True)(1.0)


def test_transformed_function_must_keep_its_name():
    def cube(x):
        """Cube it."""
        return x**3

    for transform in (grad, value_and_grad, jacfwd, jacrev, hessian):
        assert transform(cube).__name__ in ("cube", "jacrev_f")
        assert transform(cube).__doc__ is not None


# Refusals.


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacrev, jacfwd, hessian])
def test_what_is_no_function_must_be_refused(transform):
    name = "jacrev" if transform is hessian else transform.__name__
    with pytest.raises(ArgumentError, match=rf"{name} was given a float.*{name}\(f\)"):
        transform(2.0)


@pytest.mark.parametrize(
    ("x", "path", "dtype"),
    [
        ({"w": [1]}, r"p\['w'\]\[0\]", "int32"),
        (True, "p", "bool"),
        ([1.0, jnp.arange(2, dtype="uint8")], r"p\[1\]", "uint8"),
    ],
)
@pytest.mark.parametrize("transform", [grad, jacrev, jacfwd])
def test_argument_without_derivative_must_be_named(transform, x, path, dtype):
    def f(p):
        return 1.0

    message = rf"respect to {path}, which has dtype {dtype}.*Called at test_deriv"
    with pytest.raises(GradError, match=message) as caught:
        transform(f)(x)
    assert str(caught.value).startswith(f"{transform.__name__} of f was asked for")
    assert "x.astype(float)" in str(caught.value)


def test_positional_argument_must_be_named_by_its_parameter():
    with pytest.raises(GradError, match=r"grad of product .* respect to y, which has"):
        grad(product, (0, 1))(1.0, 2)


def test_real_argument_of_a_holomorphic_function_must_be_refused():
    with pytest.raises(GradError, match=r"holomorphic=True give complex arguments"):
        grad(lambda z: z, holomorphic=True)(1.0)


@pytest.mark.parametrize(
    ("f", "given"),
    [
        (lambda x: x * X, r"shape \(3,\) \(f32\[3\]\)"),
        (lambda x: (x, x), r"a container \(\*, \*\)"),
        (lambda x: [x], r"a container \[\*\]"),
        (lambda x: None, r"a container None"),
    ],
)
def test_output_that_is_no_scalar_must_be_refused(f, given):
    message = rf"Gradient only defined for scalar-output.* gave an output of {given}"
    with pytest.raises(GradError, match=message) as caught:
        grad(f)(1.0)
    assert "jnp.sum or jnp.mean" in str(caught.value)


@pytest.mark.parametrize(
    ("f", "dtype"), [(lambda x: 2, "int32"), (lambda x: x * 1j, "complex64")]
)
def test_output_that_is_not_real_must_be_refused(f, dtype):
    with pytest.raises(GradError, match=rf"real-valued outputs: .* dtype {dtype}\."):
        grad(f)(1.0)


def test_real_output_of_a_holomorphic_function_must_be_refused():
    message = r"{} requires complex outputs .*: .* dtype float32.* Drop"
    with pytest.raises(GradError, match=message.format("grad")):
        grad(jnp.abs, holomorphic=True)(1j)
    with pytest.raises(GradError, match=message.format("jacrev")):
        jacrev(jnp.abs, holomorphic=True)(1j)


def test_complex_output_must_be_refused_by_jacrev():
    message = r"jacrev requires real-valued .* holomorphic=True. Any complex .* a vjp"
    with pytest.raises(GradError, match=message):
        jacrev(lambda z: {"y": z * z})(1j)
    got = jacrev(lambda z: z * z, holomorphic=True)(1j)
    assert got == 2j
    assert jacrev(lambda z: jnp.real(z * z))(1j) == 2j


def test_argument_that_is_no_array_must_be_refused():
    with pytest.raises(NotAnArrayError, match=r"grad of product was given .* type str"):
        grad(product)("text", 1.0)


def test_output_that_is_no_array_must_be_refused():
    with pytest.raises(NotAnArrayError, match=r"grad: the output of .* type str"):
        grad(lambda x: "text")(1.0)


@pytest.mark.parametrize("transform", [grad, jacrev, jacfwd])
def test_argnums_out_of_range_must_be_refused(transform):
    message = rf"argnums of {transform.__name__} names position 3, but there are 2"
    with pytest.raises(ArgumentError, match=message):
        transform(product, 3)(1.0, 2.0)


# Integers and complex numbers.


@pytest.mark.parametrize("n", [3, True, jnp.arange(2)])
def test_integers_must_have_float0_gradients_if_allowed(n):
    got = grad(lambda p: p["x"] * p["x"], allow_int=True)({"x": 2.0, "n": n})
    assert got["x"] == 4.0
    assert (got["n"].dtype, got["n"].shape) == (float0, np.shape(n))


def test_jacrev_must_allow_integers():
    got = jacrev(lambda n, x: x * X, (0, 1), allow_int=True)(3, 2.0)
    assert (got[0].dtype, got[0].shape) == (float0, (3,))
    np.testing.assert_array_equal(got[1], X)


def test_holomorphic_gradient_must_be_the_complex_derivative():
    z = 0.5 + 1.5j
    got = grad(jnp.sin, holomorphic=True)(z)
    np.testing.assert_allclose(got, np.cos(z), rtol=1e-6)


@BOTH
def test_holomorphic_jacobian_must_be_the_complex_derivative(jacobian_of):
    z = jnp.asarray([0.5 + 1.5j, 1j])
    got = jacobian_of(lambda z: z**3, holomorphic=True)(z)
    np.testing.assert_allclose(got, np.diag(3 * np.asarray(z) ** 2), rtol=1e-5)


def test_holomorphic_hessian_must_be_the_second_derivative():
    got = hessian(lambda z: z**3, holomorphic=True)(1 + 2j)
    np.testing.assert_allclose(got, 6 * (1 + 2j), rtol=1e-5)


def test_real_function_through_complex_numbers_must_be_differentiated():
    f = lambda x: jnp.abs(jnp.exp(1j * x) + 2.0) ** 2  # noqa: E731
    np.testing.assert_allclose(grad(f)(1.0), -4 * np.sin(1.0), rtol=1e-5)


# Jacobians.


@BOTH
def test_jacobian_must_have_a_row_an_output(jacobian_of):
    np.testing.assert_allclose(jacobian_of(waves)(X), waves_jacobian(X), rtol=1e-5)


@BOTH
def test_jacobian_of_arrays_must_have_both_shapes(jacobian_of):
    a = jnp.ones((2, 3))
    assert jacobian_of(lambda a: a.T @ jnp.ones((2, 4)))(a).shape == (3, 4, 2, 3)


@BOTH
def test_jacobian_of_scalars_must_be_a_scalar(jacobian_of):
    assert jacobian_of(lambda x: x**2)(3.0) == 6.0


@BOTH
def test_jacobian_must_nest_containers_of_output_and_argument(jacobian_of):
    f = lambda p: {"s": p["x"] * p["y"], "t": (p["y"] ** 2,)}  # noqa: E731
    got = jacobian_of(f)({"x": X, "y": 2.0})
    np.testing.assert_array_equal(got["s"]["x"], 2 * np.eye(3))
    np.testing.assert_array_equal(got["s"]["y"], X)
    np.testing.assert_array_equal(got["t"][0]["x"], np.zeros(3))
    assert got["t"][0]["y"] == 4.0


@BOTH
@pytest.mark.parametrize("argnums", [1, (0, 1), [1, 0]])
def test_jacobian_must_follow_its_argnums(jacobian_of, argnums):
    got = jacobian_of(lambda x, y: x * y, argnums)(X, 2.0)
    wanted = [2 * np.eye(3), np.asarray(X)]
    if argnums == 1:
        np.testing.assert_array_equal(got, wanted[1])
    else:
        for i, found in zip(argnums, got):
            np.testing.assert_array_equal(found, wanted[i])


@BOTH
def test_jacobian_must_give_aux(jacobian_of):
    got, aux = jacobian_of(lambda x: (x**2, {"x": x}), has_aux=True)(X)
    np.testing.assert_array_equal(got, np.diag([2.0, 4.0, 6.0]))
    np.testing.assert_array_equal(aux["x"], X)


@BOTH
def test_jacobian_of_a_constant_must_be_zero(jacobian_of):
    np.testing.assert_array_equal(jacobian_of(lambda x: X)(X), np.zeros((3, 3)))


@BOTH
def test_jacobian_of_an_empty_array_must_be_empty(jacobian_of):
    assert jacobian_of(lambda x: jnp.sin(x))(jnp.zeros(0)).shape == (0, 0)


@BOTH
def test_jacobian_must_run_its_function_a_fixed_number_of_times(jacobian_of):
    runs = []
    jacobian_of(lambda x: runs.append(1) or waves(x))(X)
    assert len(runs) == 1


def test_jacfwd_must_undo_a_batch_of_equal_outputs():
    # A rule whose primal output touches the tangent's batch.
    f = custom_jvp(lambda x: x * 2)
    f.defjvp(lambda p, t: (f(*p) + jnp.zeros_like(t[0]), 2 * t[0]))
    got, aux = jacfwd(lambda x: (f(x), f(x)), has_aux=True)(X)
    np.testing.assert_array_equal(got, 2 * np.eye(3))
    np.testing.assert_array_equal(aux, 2 * X)


def test_jacobian_must_be_jacrev():
    assert jacobian is jacrev


def test_hessian_must_have_all_second_derivatives():
    f = lambda p: p["x"] ** 2 * p["y"].sum()  # noqa: E731
    got = hessian(f)({"x": 3.0, "y": X})
    assert got["x"]["x"] == 12.0
    np.testing.assert_array_equal(got["x"]["y"], [6, 6, 6])
    np.testing.assert_array_equal(got["y"]["x"], [6, 6, 6])
    np.testing.assert_array_equal(got["y"]["y"], np.zeros((3, 3)))


def test_hessian_must_follow_its_argnums():
    got = hessian(lambda x, y: x**2 * y, (0, 1))(2.0, 3.0)
    assert got == ((6.0, 4.0), (4.0, 0.0))


def test_hessian_must_give_aux():
    assert hessian(lambda x: (x**3, x), has_aux=True)(2.0) == (12.0, 2.0)


# Nesting.

NESTS = {
    "grad grad": lambda f: grad(grad(f)),
    "jvp grad": lambda f: lambda x: jvp(grad(f), (x,), (1.0,))[1],
    "grad jvp": lambda f: grad(lambda x: jvp(f, (x,), (1.0,))[1]),
    "jvp jvp": lambda f: (
        lambda x: jvp(lambda x: jvp(f, (x,), (1.0,))[1], (x,), (1.0,))[1]
    ),
    "hessian": hessian,
    "jacrev jacrev": lambda f: jacrev(jacrev(f)),
    "jacrev jacfwd": lambda f: jacrev(jacfwd(f)),
    "jacfwd jacfwd": lambda f: jacfwd(jacfwd(f)),
    "value_and_grad": lambda f: lambda x: value_and_grad(grad(f))(x)[1],
}


@pytest.mark.parametrize("nest", NESTS)
@pytest.mark.parametrize("wrap", [lambda f: f, jit], ids=["eager", "jit"])
def test_second_derivative_must_be_the_same_in_every_nest(nest, wrap):
    f = lambda x: jnp.sin(x) * x**2  # noqa: E731
    x = 0.7
    wanted = (2 - x**2) * np.sin(x) + 4 * x * np.cos(x)
    np.testing.assert_allclose(wrap(NESTS[nest](f))(x), wanted, rtol=1e-5)


def test_derivatives_of_any_order_must_be_right():
    f, wanted = (lambda x: x**5), [5, 20, 60, 120, 120, 0]
    for factor in wanted:
        f = grad(f)
        assert f(1.0) == factor


def test_perturbations_of_nested_derivatives_must_not_be_confused():
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(2.0) == 1.0
    inner = lambda x: jvp(lambda y: x * y, (1.0,), (1.0,))[1]  # noqa: E731
    assert jvp(lambda x: x * inner(x), (3.0,), (1.0,))[1] == 6.0


def test_inner_gradient_of_an_outer_value_must_be_a_value_of_the_outer():
    f = lambda x: grad(lambda y: x**2 * y)(5.0)  # noqa: E731
    assert grad(f)(3.0) == 6.0
    np.testing.assert_array_equal(vmap(f)(X), [1, 4, 9])


def test_partial_function_must_be_differentiated():
    assert grad(functools.partial(product, 2.0))(3.0, 4.0) == 8.0
    assert grad(functools.partial(product, z=4.0))(3.0, 2.0) == 8.0


@BOTH
def test_jacobians_must_be_mapped(jacobian_of):
    got = vmap(jacobian_of(waves))(jnp.stack([X, 2 * X]))
    np.testing.assert_allclose(got[1], waves_jacobian(2 * X), rtol=1e-5)


# Parts.


def test_standard_basis_must_have_one_array_an_element():
    basis = standard_basis((2, 2), dtypes.float32)
    assert basis.shape == (4, 2, 2)
    np.testing.assert_array_equal(np.asarray(basis).reshape(4, 4), np.eye(4))


def test_index_axis_must_take_the_first_along_an_axis():
    np.testing.assert_array_equal(index_axis(jnp.arange(6).reshape(2, 3), 1), [0, 3])


def test_integer_in_a_callable_container_is_named():
    @tree_util.register_pytree_node_class
    class Scale:
        def __init__(self, by, count):
            self.parts = by, count

        def __call__(self, x):
            return x * self.parts[0]

        def tree_flatten(self):
            return self.parts, None

        @classmethod
        def tree_unflatten(cls, _, parts):
            return cls(*parts)

    with pytest.raises(
        GradError, match=r"respect to f\[.*1.*\], which has dtype int32"
    ):
        grad(lambda f: f(2.0))(Scale(3.0, 4))
    with pytest.raises(GradError, match=r"respect to f\['n'\], which has dtype int32"):
        grad(lambda f: f["f"](2.0))({"f": jnp.sin, "n": 4})


@pytest.mark.parametrize("transform", [jacfwd, jacrev, hessian])
def test_programs_of_jacobians_capture_no_basis(transform):
    program = make_jaxpr(transform(lambda x: jnp.sum(jnp.sin(x) ** 2)))(jnp.ones(3))
    assert not program.consts
