"""Forward mode: values paired with tangents."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import dtypes, float0, grad, jit, jvp, lax, make_jaxpr, vmap
from pullback.core.jaxpr import evaluate
from pullback.core.zero import Forbidden, Zero, is_zero
from pullback.errors import NotAnArrayError, TreeError
from pullback.primitives.structural import instantiate
from pullback.transforms.jvp import jvp_flat, jvp_jaxpr


def test_jvp_gives_value_and_derivative():
    y, y_dot = jvp(lambda x, y: x * jnp.sin(y), (2.0, 0.5), (1.0, 10.0))
    np.testing.assert_allclose(y, 2 * np.sin(0.5), rtol=1e-6)
    np.testing.assert_allclose(y_dot, np.sin(0.5) + 20 * np.cos(0.5), rtol=1e-6)


def test_jvp_keeps_containers_and_aux():
    out, dot, aux = jvp(
        lambda d: ({"y": d["a"] ** 2}, "kept" and d["a"]),
        ({"a": 3.0},),
        ({"a": 1.0},),
        has_aux=True,
    )
    assert (out, dot, aux) == ({"y": 9.0}, {"y": 6.0}, 3.0)


def test_jvp_of_integers_is_float0():
    (y, n), (y_dot, n_dot) = jvp(lambda x, n: (x * n, n + 1), (2.0, 3), (1.0, None))
    assert (y, n, y_dot) == (6.0, 4, 3.0)
    assert n_dot.dtype == float0


def test_constant_output_has_a_zero_tangent():
    assert jvp(lambda x: jnp.ones(2), (1.0,), (1.0,))[1].tolist() == [0.0, 0.0]


def test_nested_jvps_do_not_confuse_their_tangents():
    def inner(x):
        return jvp(lambda y: x * y, (2.0,), (1.0,))[1]

    assert jvp(inner, (5.0,), (1.0,)) == (5.0, 1.0)
    assert jvp(lambda x: x * grad(lambda y: x + y)(1.0), (3.0,), (1.0,))[1] == 1.0


def test_zero_tangents_stay_symbolic():
    primals = [jnp.float32(1.0), jnp.float32(2.0)]
    tangents = [Zero(primals[0].aval), jnp.float32(1.0)]
    _, dots = jvp_flat(lambda x, y: [jnp.sin(x), x * y], primals, tangents)
    assert is_zero(dots[0])
    assert dots[1] == 1.0


def test_jvp_of_a_program_is_a_program():
    jaxpr = make_jaxpr(lambda x, y: (x * y, jnp.sin(y)))(1.0, 2.0).jaxpr
    both, nonzero = jvp_jaxpr(jaxpr, [True, False])
    assert nonzero == [True, False]
    got = evaluate(both, list(map(jnp.float32, (3.0, 4.0, 1.0))))
    np.testing.assert_allclose(got, [12.0, np.sin(4.0), 4.0], rtol=1e-6)
    assert jvp_jaxpr(jaxpr, [True, False])[0] is both
    filled, nonzero = jvp_jaxpr(jaxpr, [True, False], [True, True])
    assert len(filled.outputs) == 4


@pytest.mark.parametrize(
    ("primals", "tangents", "said"),
    [
        ((1.0,), 1.0, "tangents is a float, not a tuple"),
        (1.0, (1.0,), "primals is a float, not a tuple"),
        ((1.0,), (1.0, 2.0), "tangents is 2 entries where 1 is expected"),
        (({"a": 1.0},), ({"b": 1.0},), r"tangents\[0\] is missing key 'a'"),
        ((1.0,), (np.ones(2, "f"),), r"tangents\[0\] is f32\[2\] where f32\[\]"),
        ((1.0,), (1j,), "complex .* where real"),
    ],
)
def test_jvp_errors_say_where_and_what(primals, tangents, said):
    with pytest.raises(TreeError, match=said) as caught:
        jvp(lambda x: x, primals, tangents)
    assert "test_jvp.py:" in str(caught.value)


def test_jvp_of_a_string_is_an_error():
    with pytest.raises(NotAnArrayError, match="jvp of"):
        jvp(lambda x: x, ("text",), (1.0,))


@pytest.mark.parametrize("wrap", [lambda f: f, jit, vmap])
def test_jvp_inside_and_outside_of_others(wrap):
    x = jnp.ones(2)
    f = wrap(lambda x: jnp.sin(x) * x)
    want = np.cos(1.0) + np.sin(1.0)
    np.testing.assert_allclose(jvp(f, (x,), (x,))[1], [want, want], rtol=1e-6)
    g = wrap(lambda x: jvp(lambda y: jnp.sin(y) * y, (x,), (x,))[1])
    np.testing.assert_allclose(g(x), [want, want], rtol=1e-6)


def test_tangents_have_the_dtype_of_primals():
    x = jnp.ones(2, "bfloat16")
    assert jvp(jnp.sin, (x,), (np.ones(2, "float32"),))[1].dtype == dtypes.bfloat16


def test_stop_gradient_has_a_zero_tangent():
    assert jvp(lambda x: x * lax.stop_gradient(x), (3.0,), (1.0,))[1] == 3.0


def forbidden(aval):
    return Forbidden(aval, lambda: KeyError("asked for"))


def test_results_of_a_forbidden_tangent_are_forbidden_too():
    x = jnp.arange(3.0)
    outs, dots = jvp_flat(lambda x: [jnp.sin(x) * 2, x + 1], [x], [forbidden(x.aval)])
    np.testing.assert_allclose(outs[0], 2 * np.sin(np.arange(3)), rtol=1e-6)
    assert [type(t) for t in dots] == [Forbidden, Forbidden]
    with pytest.raises(KeyError, match="asked for"):
        instantiate(dots[0])


def test_integers_made_of_a_forbidden_tangent_are_constants():
    x = jnp.arange(3.0)
    _, dots = jvp_flat(lambda x: lax.top_k(x, 2), [x], [forbidden(x.aval)])
    assert type(dots[0]) is Forbidden
    assert is_zero(dots[1])
