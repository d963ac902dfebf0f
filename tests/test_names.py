"""Names that are not there, and names that stand in two places."""

import pkgutil

import pytest

import pullback
from pullback.errors import MissingName


@pytest.mark.parametrize(
    ("module", "label"),
    [
        (pullback, "pullback"),
        (pullback.lax, "pullback.lax"),
        (pullback.nn, "pullback.nn"),
        (pullback.random, "pullback.random"),
        (pullback.scipy, "pullback.scipy"),
        (pullback.scipy.stats, "pullback.scipy.stats"),
    ],
)
def test_missing_names_say_that_they_are_missing(module, label):
    with pytest.raises(MissingName, match=f"{label} has no no_such; it may come"):
        _ = module.no_such
    assert not hasattr(module, "no_such")


@pytest.mark.parametrize(
    ("path", "same"),
    [
        ("pullback.experimental.ode:odeint", "pullback.ode:odeint"),
        ("pullback.experimental:io_callback", "pullback:io_callback"),
    ],
)
def test_names_that_the_ecosystem_has_elsewhere_are_there_too(path, same):
    assert pkgutil.resolve_name(path) is pkgutil.resolve_name(same)
