import builtins

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import (
    custom_jvp,
    custom_vjp,
    grad,
    jit,
    jvp,
    linear_transpose,
    linearize,
    make_jaxpr,
    vmap,
)
from pullback.custom.call import CustomCall
from pullback.custom.site import Same
from pullback.errors import ForwardModeError, LeakedTracerError, MissingCustomRule


def test_jaxpr_names_the_form_of_the_rule():
    f = custom_jvp(lambda x: x)
    f.defjvps(lambda t, ans, x: t)
    assert "jvp=defjvps" in str(make_jaxpr(f)(1.0))


def test_function_without_rules_is_refused_in_every_mode():
    f = custom_jvp(lambda x: x)
    for use in (grad, linearize, lambda f, x: jit(grad(f))(x)):
        with pytest.raises(MissingCustomRule):
            use(f, 1.0) if use is not grad else grad(f)(1.0)


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_decorated_linear_function_on_tangents_is_transposed_through_its_body(wrap):
    scale = custom_jvp(lambda t: 3.0 * t)
    scale.defjvps(lambda t, ans, x: 3.0 * t)
    assert linear_transpose(wrap(scale), 1.0)(2.0) == (6.0,)
    f = custom_jvp(lambda x: x)
    f.defjvp(lambda p, t: (f(*p), wrap(scale)(t[0])))
    assert grad(f)(1.0) == 3.0


def test_pullback_of_a_rule_shows_its_name():
    f = custom_vjp(lambda x: x)

    def f_bwd(res, g):
        return (g,)

    f.defvjp(lambda x: (x, None), f_bwd)
    f.defjvp(lambda p, t: (p[0], t[0]))
    _, f_lin = linearize(jit(f), 1.0)
    (program,) = [
        c.cell_contents
        for c in f_lin.__closure__ or ()
        if hasattr(c.cell_contents, "steps")
    ]
    (step,) = program.steps
    text = str(step[0].jaxpr)
    assert "custom_vjp_pullback[name=<lambda> bwd=f_bwd]" in text


def test_static_values_of_a_call_are_compared_by_identity():
    one, other = [1], [1]
    assert Same(one) == Same(one)
    assert Same(one) != Same(other)
    assert hash(Same(one)) == hash(Same(one))


def test_function_called_with_many_types_forgets_old_ones():
    f = custom_vjp(lambda n, x: jnp.sin(x), nondiff_argnums=(0,))
    f.defvjp(lambda n, x: (jnp.sin(x), x), lambda n, x, g: (2.0 * g,))
    for n in range(300):
        grad(f, 1)(n, 1.0)
    assert len(f.known_types) <= 256
    assert grad(f, 1)(0, 1.0) == 2.0


def test_builtin_without_signature_may_be_a_rule():
    f = custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda r, g: (g,))
    f.defvmap(builtins.max)
    assert f(1.0) == 1.0


def test_staged_call_is_one_eqn_and_batches_without_calling_again():
    runs = []
    f = custom_jvp(lambda x: runs.append(1) or jnp.sin(x))
    f.defjvps(lambda t, ans, x: t)
    closed = make_jaxpr(f)(1.0)
    (eqn,) = closed.eqns
    assert type(eqn.primitive) is CustomCall
    runs.clear()
    got = vmap(jit(f))(jnp.arange(2.0))
    np.testing.assert_allclose(got, np.sin([0.0, 1.0]), rtol=1e-6)
    assert len(runs) == 1


def test_leaked_value_in_a_backward_rule_is_explained():
    kept = []
    f = custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, g: (kept[0] * g,))
    jit(lambda x: kept.append(x) or x)(1.0)
    with pytest.raises(LeakedTracerError) as caught:
        grad(f)(1.0)
    (note,) = caught.value.__notes__
    assert "What bwd needs of fwd must be among the residuals." in note


def test_linear_operations_on_constants_are_computed_inside_a_rule():
    f = custom_jvp(lambda x: 3.0 * x)

    @f.defjvp
    def f_jvp(primals, tangents):
        one = jnp.ones(())
        slope = jvp(lambda x: jnp.sum(jnp.reshape(3.0 * x, (1,))), primals, (one,))[1]
        return f(*primals), slope * tangents[0]

    assert grad(f)(2.0) == 3.0


def test_pullback_calls_in_batches_show_the_rule():
    f = custom_vjp(lambda x: 2.0 * x)

    def f_bwd(_, g):
        return (2.0 * g,)

    f.defvjp(lambda x: (f(x), None), f_bwd)
    _, f_jvp = linearize(vmap(f), jnp.ones(3))
    with pytest.raises(ForwardModeError, match="f_bwd"):
        f_jvp(jnp.ones(3))
