"""Errors: what they are made of, and what Python's errors they are."""

import inspect

import pytest

import pullback
import pullback.numpy as jnp
from pullback import errors, grad, jit
from pullback.errors import PullbackError, ShapeError

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, PullbackError)
]


def test_error_must_join_what_where_and_mend():
    error = ShapeError("What.", where="Where.", mend="Mend.")
    assert str(error) == "What. Where. Mend."
    assert (error.what, error.where, error.mend) == ("What.", "Where.", "Mend.")


@pytest.mark.parametrize(
    ("parts", "text"),
    [({}, "What."), ({"where": "W."}, "What. W."), ({"mend": "M."}, "What. M.")],
)
def test_error_must_leave_out_what_is_not_known(parts, text):
    assert str(ShapeError("What.", **parts)) == text


@pytest.mark.parametrize("kind", CLASSES)
def test_error_must_be_one_of_the_library_with_a_docstring(kind):
    assert str(kind("What.")) == "What."
    assert kind.__doc__


@pytest.mark.parametrize("kind", [k for k in CLASSES if k is not PullbackError])
def test_error_must_be_an_error_of_pythons_kind_too(kind):
    known = [
        base
        for base in kind.__mro__
        if base.__module__ == "builtins" and base not in (Exception, BaseException)
    ]
    assert [base for base in known if base is not object]


@pytest.mark.parametrize(
    ("name", "bases"),
    [
        ("ConfigError", (ValueError,)),
        ("ShapeError", (TypeError, ValueError)),
        ("DtypeError", (TypeError,)),
        ("ArgumentError", (TypeError, ValueError)),
        ("IndexBoundsError", (IndexError,)),
        ("MissingName", (AttributeError,)),
        ("NotAnArrayError", (TypeError,)),
        ("TreeError", (TypeError, ValueError)),
        ("MissingRule", (NotImplementedError,)),
        ("ForwardModeError", (errors.MissingDerivative, TypeError)),
        ("TracerIntegerError", (errors.ConcretizationError, IndexError)),
        ("LeakedTracerError", (RuntimeError,)),
        ("RuleKeyError", (errors.RuleTreeError, TypeError)),
        ("RuleShapeError", (errors.RuleError, ValueError)),
        ("MissingCustomRule", (errors.RuleError, AttributeError)),
        ("StaticArgumentError", (ValueError, TypeError)),
        ("BatchError", (ValueError, TypeError)),
        ("BackendError", (RuntimeError, ImportError)),
        ("TracingError", (RuntimeError,)),
        ("NanError", (FloatingPointError,)),
        ("InfError", (FloatingPointError,)),
    ],
)
def test_error_must_be_caught_as_its_bases(name, bases):
    assert all(issubclass(getattr(errors, name), base) for base in bases)


def test_linearity_error_must_not_know_its_rule_at_first():
    assert errors.LinearityError("What.").rule is None


def test_convergence_must_be_a_warning():
    assert issubclass(errors.ConvergenceWarning, UserWarning)
    assert issubclass(errors.RankPromotionWarning, UserWarning)


@pytest.mark.parametrize(
    "call",
    [
        lambda: jnp.ones(2) + jnp.ones(3),
        lambda: jnp.reshape(jnp.ones(4), (3,)),
        lambda: grad(lambda x: x)(jnp.ones(2)),
        lambda: jit(lambda x: 1 if x else 2)(1.0),
        lambda: pullback.vmap(lambda x: x)(1.0),
        lambda: jnp.sin("text"),
    ],
)
def test_message_must_say_what_where_and_how_to_mend_it(call):
    with pytest.raises(PullbackError) as caught:
        call()
    error = caught.value
    assert error.what.endswith(".")
    assert error.where.startswith("Called at test_errors.py:")
    assert error.mend.endswith(".")
    assert error.mend[0].isupper() or error.mend[0] in "`x"


def test_name_that_does_not_exist_must_say_so():
    with pytest.raises(AttributeError, match=r"frobnicate"):
        _ = jnp.frobnicate  # type: ignore[attr-defined]


def test_errors_of_traced_values_have_the_ecosystems_names_too():
    @jit
    def branch(x):
        return 1 if x > 0 else 2

    with pytest.raises(errors.TracerBoolConversionError):
        branch(1.0)
    assert issubclass(errors.TracerArrayConversionError, errors.ConcretizationTypeError)
    assert errors.UnexpectedTracerError is errors.LeakedTracerError
