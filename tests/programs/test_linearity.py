"""Programs whose rules are not linear: rules.md, section 4."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_jvp, grad, jacrev, jit, jvp, linearize, vjp, vmap
from pullback.errors import LinearityError

REVERSE = {
    "grad": lambda f: grad(f)(2.0),
    "vjp": lambda f: vjp(f, 2.0)[1](1.0),
    "linearize": lambda f: linearize(f, 2.0),
    "jit of grad": lambda f: jit(grad(f))(2.0),
    "grad of jit": lambda f: grad(jit(f))(2.0),
    "grad of jit of jit": lambda f: grad(jit(lambda x: jit(f)(x)))(2.0),
    "vmap of grad": lambda f: vmap(grad(f))(jnp.ones(2)),
    "grad of vmap": lambda f: grad(lambda x: vmap(f)(x).sum())(jnp.ones(2)),
    "grad of jit of vmap": lambda f: grad(jit(lambda x: vmap(f)(x).sum()))(jnp.ones(2)),
    "jacrev": lambda f: jacrev(f)(2.0),
    "grad of grad": lambda f: grad(grad(f))(2.0),
}


def with_tangent(dot):
    """A function whose rule makes its tangent with `dot(x, t)`."""

    @custom_jvp
    def energy(x):
        return jnp.sin(x)

    @energy.defjvp
    def energy_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        return energy(x), dot(x, t)

    return energy


WRONG = {
    "square": lambda x, t: t * t,
    "power": lambda x, t: t**2,
    "sine": lambda x, t: x * jnp.sin(t),
    "quotient": lambda x, t: x / t,
    "absolute value": lambda x, t: jnp.abs(t),
    "clip": lambda x, t: jnp.clip(t, -1.0, 1.0),
    "maximum": lambda x, t: jnp.maximum(t, 0.0),
    "affine": lambda x, t: t + 1.0,
    "affine in x": lambda x, t: x * t + x,
    "constant": lambda x, t: jnp.cos(x),
    "python constant": lambda x, t: 1.0,
    "comparison": lambda x, t: jnp.where(t > 0, t, 2 * t),
    "branch": lambda x, t: t if t > 0 else 2 * t,
    "float()": lambda x, t: x * float(t),
    "numpy": lambda x, t: np.multiply(2.0, np.asarray(t)),
    "inside jit": lambda x, t: jit(lambda t: t * t)(t),
    "affine inside jit": lambda x, t: jit(lambda t: t + 1.0)(t),
    "constant inside jit": lambda x, t: jit(lambda x: jnp.cos(x))(x),
    "affine with zeros_like trick": lambda x, t: t + jnp.ones_like(t),
    "inside vmap": lambda x, t: vmap(lambda t: t * t)(t[None])[0],
    "exp": lambda x, t: jnp.exp(t),
}


@pytest.mark.parametrize("how", REVERSE)
@pytest.mark.parametrize("wrong", WRONG)
def test_rule_that_is_not_linear_is_refused_in_reverse_mode(wrong, how):
    f = with_tangent(WRONG[wrong])
    with pytest.raises(LinearityError, match="linear") as caught:
        REVERSE[how](f)
    message = str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert "custom_jvp rule `energy_jvp` of energy" in message
    assert "Rule at test_linearity.py:" in message


@pytest.mark.parametrize(
    "wrong", ["square", "sine", "affine", "branch", "float()", "clip"]
)
def test_message_shows_the_line_that_is_not_linear(wrong):
    dot = WRONG[wrong]
    with pytest.raises(LinearityError) as caught:
        grad(with_tangent(dot))(2.0)
    line = f"test_linearity.py:{dot.__code__.co_firstlineno} "
    assert line in str(caught.value)


RIGHT = {
    "zeros": lambda x, t: jnp.zeros_like(x),
    "python zero": lambda x, t: 0.0,
    "none": lambda x, t: None,
    "linear": lambda x, t: 3.0 * t,
    "sum": lambda x, t: t + t - 0.5 * t,
    "plus zeros": lambda x, t: t + jnp.zeros_like(t),
    "negated and divided": lambda x, t: -t / x * x,
    "inside jit": lambda x, t: jit(lambda x, t: jnp.cos(x) * t)(x, t),
    "inside vmap": lambda x, t: vmap(lambda t: 2.0 * t)(t[None])[0],
    "where on the primal": lambda x, t: jnp.where(x > 0, t, 0.0),
    "convolution": lambda x, t: jnp.convolve(jnp.ones(1), t[None])[0],
    "by jvp": lambda x, t: jvp(jnp.sin, (x,), (t,))[1],
    "stacked": lambda x, t: jnp.stack([t, 2 * t]).sum(),
}


@pytest.mark.parametrize("how", REVERSE)
@pytest.mark.parametrize("right", RIGHT)
def test_rule_that_is_linear_is_accepted(right, how):
    REVERSE[how](with_tangent(RIGHT[right]))


def test_branch_on_the_primal_is_welcome_in_eager_code():
    f = with_tangent(lambda x, t: 2 * t if x > 0 else 3 * t)
    assert grad(f)(1.0) == 2.0
    assert grad(f)(-1.0) == 3.0


@pytest.mark.parametrize("how", ["grad", "jit of grad", "grad of jit", "vmap of grad"])
def test_primal_output_that_depends_on_a_tangent_is_refused(how):
    @custom_jvp
    def energy(x):
        return jnp.sin(x)

    @energy.defjvp
    def energy_jvp(primals, tangents):
        return tangents[0], tangents[0]

    with pytest.raises(LinearityError, match=r"energy_jvp.*energy.*linear.*primal"):
        REVERSE[how](energy)


@pytest.mark.parametrize("how", ["grad", "jit of grad", "grad of jit", "vmap of grad"])
def test_single_argument_rule_that_is_not_linear_is_named(how):
    @custom_jvp
    def energy(x):
        return jnp.sin(x)

    def by_x(t, ans, x):
        return ans * t * t

    energy.defjvps(by_x)
    with pytest.raises(LinearityError, match=r"`by_x` of energy .*linear"):
        REVERSE[how](energy)


def test_inner_rule_is_named_not_the_outer_one():
    inner = with_tangent(lambda x, t: t * t)

    @custom_jvp
    def outer(x):
        return inner(x)

    @outer.defjvp
    def outer_jvp(primals, tangents):
        return jvp(inner, primals, tangents)

    with pytest.raises(LinearityError, match=r"rule `energy_jvp` of energy"):
        grad(outer)(1.0)


def test_forward_mode_runs_a_rule_that_is_not_linear_as_it_stands():
    assert jvp(with_tangent(lambda x, t: t * t), (1.0,), (3.0,))[1] == 9.0


def test_linear_rule_with_several_tangents_may_not_multiply_them():
    @custom_jvp
    def energy(x, y):
        return x * y

    @energy.defjvp
    def energy_jvp(primals, tangents):
        return energy(*primals), tangents[0] * tangents[1]

    with pytest.raises(LinearityError, match="energy_jvp"):
        grad(energy, (0, 1))(1.0, 2.0)


def test_zero_tangent_of_another_argument_may_be_used_freely():
    @custom_jvp
    def energy(x, y):
        return x * y

    energy.defjvp(lambda p, t: (energy(*p), p[1] * t[0] + p[0] * t[1]))
    assert grad(energy)(2.0, 3.0) == 3.0
    assert grad(energy, 1)(2.0, 3.0) == 2.0
    assert grad(jit(energy))(2.0, 3.0) == 3.0


ZERO_BESIDE = {
    "grad": grad,
    "jit": lambda f: jit(grad(f)),
    "of jit": lambda f: grad(jit(f)),
    "of jit of vmap": lambda f: grad(jit(lambda x: vmap(f)(x[None])[0])),
    "of vmap of jit": lambda f: grad(lambda x: vmap(jit(f))(x[None])[0]),
    "vmap": lambda f: lambda x: vmap(grad(f))(x[None])[0],
}


@pytest.mark.parametrize("how", ZERO_BESIDE)
@pytest.mark.parametrize("x", [1.0, 0.0])
def test_zero_tangent_beside_another_is_known_as_zero_and_meets_no_infinity(how, x):
    energy = custom_jvp(lambda x, y: x + y)
    energy.defjvp(lambda p, t: (energy(*p), 2.0 * t[0] + t[1] / p[0]))
    assert ZERO_BESIDE[how](lambda x: energy(x, 3.0))(jnp.float32(x)) == 2.0
