"""Operations: names, parameters, defaults of rules, and errors for missing ones."""

import dataclasses
import itertools

import numpy as np
import pytest

import pullback.numpy as jnp
from pullback import dtypes, float0, grad, jit, jvp, make_jaxpr, vmap
from pullback.core.aval import Aval
from pullback.core.frozen import replaced
from pullback.core.primitive import Primitive, fields_of, zeros_like_outputs
from pullback.core.zero import Zero
from pullback.errors import MissingRule
from pullback.primitives import elementwise
from pullback.primitives.structural import Reshape, frozen
from pullback.primitives.table import mul
from tests.operation_examples import call_examples, plain_examples

F32 = Aval((), dtypes.float32)


@frozen
class Bare(Primitive):
    """An operation without rules."""


@frozen
class HTTPScale2D(Primitive):
    """An operation of which only the values are known, with parameters."""

    factor: float
    axes: tuple[int, ...] = ()

    def abstract(self, x):
        return x

    def eager(self, x):
        return x * self.factor


@frozen
class Joint(Primitive):
    """Linear in its first operand, and jointly in all from the second on."""

    linear = ((0,), (1, 2, ...))


def test_name_must_be_the_class_in_snake_case():
    assert Bare().name == "bare"
    assert HTTPScale2D(2.0).name == "httpscale2_d"


def test_parameters_must_be_the_fields_by_name():
    assert HTTPScale2D(2.0, (1,)).parameters() == {"factor": 2.0, "axes": (1,)}
    assert Bare().parameters() == {}


def test_operations_must_be_equal_if_class_and_parameters_are():
    assert HTTPScale2D(2.0) == HTTPScale2D(2.0)
    assert hash(HTTPScale2D(2.0)) == hash(HTTPScale2D(2.0))
    assert HTTPScale2D(2.0) != HTTPScale2D(3.0)
    assert Bare() != Joint()


def test_operations_must_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        HTTPScale2D(2.0).factor = 3.0  # type: ignore[misc]


def test_calling_an_operation_must_apply_it_under_the_current_trace():
    assert HTTPScale2D(2.0)(jnp.float32(3.0)) == 6.0
    closed = make_jaxpr(HTTPScale2D(2.0))(3.0)
    assert "httpscale2_d[factor=2.0 axes=()] a" in str(closed)


@pytest.mark.parametrize(
    ("rule", "use", "says"),
    [
        ("abstract", lambda f: make_jaxpr(f)(1.0), r"\(self, \*avals\)"),
        ("eager", lambda f: f(jnp.ones(2)), r"\(self, \*arrays\)"),
        ("jvp", lambda f: jvp(f, (1.0,), (1.0,)), r"\(self, primals, tangents\)"),
        ("jvp", lambda f: grad(f)(1.0), r"giving \(primals_out, tangents_out\)"),
        ("batch", lambda f: vmap(f)(jnp.ones(2)), r"\(results, their batch axes\)"),
    ],
)
def test_missing_rule_must_be_named_with_the_method_to_write(rule, use, says):
    message = rf"operation bare has no {rule} rule\..*test_primitive\.py.*"
    with pytest.raises(MissingRule, match=message + rf"Write .*Bare\.{rule}.*{says}"):
        use(Bare())


def test_missing_lower_rule_must_say_what_to_write():
    with pytest.raises(MissingRule, match=r"HTTPScale2D\.lower.*extend\.lower_as"):
        jit(HTTPScale2D(2.0))(1.0)


def test_missing_transpose_rule_must_say_what_to_write():
    with pytest.raises(MissingRule, match=r"bare has no transpose.*Bare\.transpose"):
        Bare().transpose(1.0, 2.0)


def test_missing_rule_must_be_a_not_implemented_error():
    assert issubclass(MissingRule, NotImplementedError)


def test_linearize_must_be_jvp_where_no_other_rule_is_written():
    column, x = Reshape((2, 1)), jnp.ones(2)
    (_, one), (_, other) = (
        rule([x], [3 * x]) for rule in (column.linearize, column.jvp)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("unknown", "group"),
    [
        ((True, False, False, False), (0,)),
        ((False, False, True, True), (1, 2, 3)),
        ((False, True, False, False), (1, 2, 3)),
        ((True, True, False, False), None),
    ],
)
def test_linear_group_must_be_the_one_with_all_unknown_operands(unknown, group):
    assert Joint().linear_in(unknown) == group


def test_operation_without_groups_must_be_linear_in_nothing():
    assert Bare().linear_in((True,)) is None


def test_results_must_be_weak_if_all_operands_are():
    assert Bare().weak_result(True)
    assert not Bare().weak_result(False)


def test_python_numbers_must_have_their_default_types_as_operands():
    assert Bare().operand_avals([1.0, jnp.ones(2)]) == [
        Aval((), dtypes.float32, True),
        Aval((2,), dtypes.float32),
    ]


def test_elementwise_operation_must_adapt_python_numbers():
    assert isinstance(mul, elementwise.Elementwise)
    _, aval = mul.operand_avals([jnp.ones(2, "bfloat16"), 2.0])
    assert aval.dtype == dtypes.bfloat16


def test_linear_result_must_be_the_abstract_result():
    assert HTTPScale2D(2.0).linear_result([jnp.float32(1.0)]) == F32


def test_zeros_like_outputs_must_have_their_tangent_types():
    zero = zeros_like_outputs(jnp.float32(1.0))
    assert (type(zero), zero.aval) == (Zero, F32)
    first, second = zeros_like_outputs([np.float32(1.0), jnp.arange(2)])
    assert (first.aval, second.aval) == (F32, Aval((2,), float0))


def test_an_operation_that_reads_a_part_must_say_how_it_adds_to_a_total():
    with pytest.raises(MissingRule, match=r"Bare\.transpose_onto\(self, total, cotang"):
        Bare().transpose_onto(1.0, 2.0)


def test_bind_applies_the_operation_with_other_parameters():
    scale = HTTPScale2D(2.0)
    np.testing.assert_array_equal(scale.bind(jnp.ones(2)), [2.0, 2.0])
    np.testing.assert_array_equal(scale.bind(jnp.ones(2), factor=3.0), [3.0, 3.0])
    with pytest.raises(TypeError, match="factr unknown"):
        scale.bind(jnp.ones(2), factr=3.0)
    assert not scale.multiple_results


@pytest.mark.parametrize("examples", [plain_examples, call_examples])
def test_parameters_make_the_operation_again(examples):
    for operation, _ in itertools.chain(*examples().values()):
        fields = fields_of(operation)
        assert not fields or replaced(operation, **fields) == operation
