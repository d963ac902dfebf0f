"""Jaxprs as text."""

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import custom_vjp, dtypes, grad, jit, lax, make_jaxpr, vmap
from pullback.core.aval import Aval
from pullback.core.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from pullback.core.pretty import holds_jaxpr, letters, literal_text, parameter_text
from pullback.core.primitive import Primitive
from pullback.primitives.structural import frozen
from pullback.primitives.table import sin


@frozen
class Holder(Primitive):
    """An operation with a closed program as its parameter."""

    program: ClosedJaxpr


def text_of(f, *args):
    return str(make_jaxpr(f)(*args))


def test_jaxpr_must_print_as_the_document_does():
    text = """\
{ lambda ; a:f32[]. let
    b:f32[] = exp a
    c:f32[] = add b 1.0
    d:f32[] = log c
  in (d,) }"""
    assert text_of(lambda x: jnp.log(1.0 + jnp.exp(x)), 3.0) == text


def test_constants_must_stand_before_the_inputs():
    table = jnp.arange(3.0)
    text = "{ lambda a:f32[3] ; b:f32[]. let in (a, b, 2.0) }"
    assert text_of(lambda x: (table, x, 2.0), 1.0) == text


def test_jaxpr_without_outputs_must_have_empty_parentheses():
    assert text_of(lambda x: (), 1.0) == "{ lambda ; a:f32[]. let in () }"


def test_jaxpr_without_inputs_must_have_an_empty_head():
    assert text_of(lambda: 1.0) == "{ lambda ;. let in (1.0,) }"


def test_eqn_without_results_must_be_given_to_an_underscore():
    x = Var(Aval((), dtypes.float32))
    jaxpr = Jaxpr([x], [], [Eqn(sin, (x,), ())])
    assert "    _ = sin a\n" in str(jaxpr)


def test_compiled_call_must_show_its_program_indented():
    @jit
    def twice(x):
        return 2 * x

    text = """\
{ lambda ; a:f32[3]. let
    b:f32[3] = jit[
      name=twice
      jaxpr={ lambda ; a:f32[3]. let
          b:f32[3] = mul a 2.0
        in (b,) }
    ] a
  in (b,) }"""
    assert text_of(twice, jnp.ones(3)) == text


def test_custom_rule_must_name_function_and_rules():
    @custom_vjp
    def f(x):
        return x * x

    def f_fwd(x):
        return f(x), x

    def f_bwd(x, g):
        return (2 * x * g,)

    f.defvjp(f_fwd, f_bwd)
    text = """\
{ lambda ; a:f32[]. let
    b:f32[] = custom_vjp_call[
      name=f
      fwd=f_fwd
      bwd=f_bwd
      call_jaxpr={ lambda ; a:f32[]. let
          b:f32[] = mul a a
        in (b,) }
    ] a
  in (b,) }"""
    assert text_of(f, 1.0) == text


def test_gradient_must_print_as_a_program():
    text = """\
{ lambda ; a:f32[]. let
    b:f32[] = sin a
    c:f32[] = cos a
  in (c,) }"""
    assert text_of(grad(jnp.sin), 1.0).count(" = ") == 3
    assert text.splitlines()[2] in text_of(grad(jnp.sin), 1.0)


def test_batch_must_print_its_whole_shapes():
    text = "{ lambda ; a:f32[3]. let\n    b:f32[3] = sin a\n  in (b,) }"
    assert text_of(vmap(jnp.sin), jnp.ones(3)) == text


def test_parameters_must_stand_on_the_line_of_their_eqn():
    text = text_of(lambda x: jnp.sum(x, axis=(0, 2)), jnp.ones((2, 3, 4)))
    assert "reduce_sum[axes=(0, 2)] a" in text


def test_branches_must_be_written_one_after_the_other():
    text = text_of(lambda x: lax.cond(x > 0, jnp.sin, jnp.cos, x), 1.0)
    assert text.index(" = cos ") < text.index(" = sin ")
    assert text.count("{ lambda") == 3


def test_names_must_go_on_after_z():
    numbers = (0, 25, 26, 51, 52, 701, 702)
    assert [letters(i) for i in numbers] == ["a", "z", "aa", "az", "ba", "zz", "aaa"]


@pytest.mark.parametrize(
    ("value", "weak", "text"),
    [
        (2.0, True, "2.0"),
        (True, False, "True"),
        (3, True, "3"),
        (1j, True, "1j"),
        (jnp.asarray(2.0), True, "2.0"),
        (np.float32(2.0), False, "2.0:f32[]"),
    ],
)
def test_literals_must_show_a_type_only_where_it_is_not_obvious(value, weak, text):
    aval = Aval((), np.asarray(value).dtype, weak)
    assert literal_text(Literal(value, aval)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.dtype("float32"), "f32"),
        ((1,), "(1,)"),
        ((), "()"),
        ((np.dtype(bool), (2, "x")), "(bool, (2, x))"),
        ("name", "name"),
    ],
)
def test_parameters_must_be_written_shortly(value, text):
    assert parameter_text(value) == text


def test_only_programs_and_tuples_of_them_must_be_nested():
    closed = make_jaxpr(jnp.sin)(1.0)
    assert holds_jaxpr(closed)
    assert holds_jaxpr((closed.jaxpr, closed))
    assert not holds_jaxpr((closed, 1))
    assert not holds_jaxpr(())


def test_closed_program_held_by_an_eqn_must_show_its_constants():
    table = jnp.arange(3.0)
    closed = make_jaxpr(lambda x: x * table)(1.0)
    holder = Holder(closed)
    x = Var(Aval((), dtypes.float32))
    text = str(Jaxpr([x], [], [Eqn(holder, (x,), ())]))
    assert "program={ lambda a:f32[3] ; b:f32[]. let" in text
