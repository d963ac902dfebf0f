"""New operations from outside: what each missing rule says, and the worked examples."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from pullback import extend, grad, hessian, jit, jvp, make_jaxpr, vmap
from pullback import numpy as jnp
from pullback.errors import LinearityError, MissingRule, RuleArityError
from tests.rule_checks import check_rules_of

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
X = jnp.arange(3.0)
BATCH = jnp.ones((2, 3))


def example(name):
    specification = importlib.util.spec_from_file_location(
        name, EXAMPLES / f"{name}.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def total(operation):
    return lambda x: jnp.sum(operation(x))


class Bare(extend.Primitive):
    """An operation without any rule."""


class Eager(Bare):
    """The running sum, as far as NumPy goes."""

    def eager(self, x):
        return np.cumsum(x)


class Typed(Eager):
    """The same, with a type."""

    def abstract(self, x):
        return x


class Lowered(Typed):
    """The same, compiled as another operation is."""

    def lower(self, ctx, x):
        return extend.lower_as(ctx, jnp.cumsum, x)


class Differentiable(Lowered):
    """The same, with a derivative, but not said to be linear."""

    def jvp(self, primals, tangents):
        return self(*primals), self(*tangents)


class LinearOne(Differentiable):
    """The same, said to be linear."""

    linear = ((0,),)


class Transposable(LinearOne):
    """The same, with its transpose."""

    def transpose(self, ct, x):
        return (self(ct[::-1])[::-1],)


class Complete(Transposable):
    """The same, in batches."""

    def batch(self, size, operands, dims):
        (x,), (dim,) = operands, dims
        return jnp.cumsum(extend.move_axis(x, dim, 0), 1), 0


@pytest.mark.parametrize(
    ("operation", "use", "text"),
    [
        (Bare(), lambda f: f(X), r"Write the method Bare\.eager\(self, \*arrays\)"),
        (Eager(), lambda f: make_jaxpr(f)(X), r"Eager\.abstract\(self, \*avals\)"),
        (Eager(), lambda f: jit(f)(X), r"Write the method Eager\.abstract"),
        (
            Typed(),
            lambda f: jit(f)(X),
            r"Typed\.lower\(self, ctx, \*operands\).*lower_as",
        ),
        (Lowered(), lambda f: jvp(f, (X,), (X,)), r"Lowered\.jvp\(self, primals, tan"),
        (Lowered(), lambda f: grad(total(f))(X), r"Write the method Lowered\.jvp"),
        (LinearOne(), lambda f: grad(total(f))(X), r"LinearOne\.transpose\(self, cot"),
        (Transposable(), lambda f: vmap(f)(BATCH), r"Transposable\.batch\(self, size"),
    ],
)
def test_each_missing_rule_says_what_to_write(operation, use, text):
    with pytest.raises(MissingRule, match=text):
        use(operation)


def test_missing_declaration_of_linearity_says_what_to_write():
    with pytest.raises(LinearityError, match=r"Differentiable.*`linear = \(\(0,\),\)`"):
        grad(total(Differentiable()))(X)


def test_what_a_transpose_rule_returns_is_counted():
    class Wrong(LinearOne):
        """A transpose that forgets the tuple."""

        def transpose(self, ct, x):
            return self(ct[::-1])[::-1]

    with pytest.raises(RuleArityError, match=r"Wrong\.transpose return a tuple"):
        grad(total(Wrong()))(X)


def test_the_complete_operation_works_everywhere():
    operation = Complete()
    assert jit(operation)(X).tolist() == [0.0, 1.0, 3.0]
    assert grad(total(operation))(X).tolist() == [3.0, 2.0, 1.0]
    assert jit(grad(total(operation)))(X).tolist() == [3.0, 2.0, 1.0]
    assert vmap(operation, 1)(BATCH.T).tolist() == [[1.0, 2.0, 3.0]] * 2
    assert not hessian(total(operation))(X).any()


def test_example_of_a_primitive():
    module = example("extend_primitive")
    module.main()
    for count in (0, 2, -7):
        check_rules_of(module.Rotate(count), [np.arange(12.0).reshape(3, 4)])


def test_example_of_a_solver(capsys):
    module = example("extend_solver")
    module.main()
    assert "residual True" in capsys.readouterr().out


def test_example_of_an_interpreter(capsys):
    module = example("jaxpr_interpreter")
    module.main()
    printed = capsys.readouterr().out
    assert "by program   0.7" in printed
    assert "mul at jaxpr_interpreter.py" in printed
    with pytest.raises(NotImplementedError, match=r"cos at .* has no inverse in the"):
        module.inverse(jnp.cos)(0.5)
    module.UNARY["cos"] = jnp.arccos
    np.testing.assert_allclose(module.inverse(jnp.cos)(0.5), np.pi / 3, rtol=1e-6)
    np.testing.assert_allclose(module.inverse(lambda x: 3.0 / x)(0.5), 6.0)
