"""Names that are not there."""

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
