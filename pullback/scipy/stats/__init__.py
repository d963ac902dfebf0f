"""SciPy's distributions and statistics; each is imported when first asked for."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from pullback.errors import missing_name as _missing_name

if _TYPE_CHECKING:
    from pullback.scipy.stats import bernoulli as bernoulli
    from pullback.scipy.stats import beta as beta
    from pullback.scipy.stats import betabinom as betabinom
    from pullback.scipy.stats import binom as binom
    from pullback.scipy.stats import cauchy as cauchy
    from pullback.scipy.stats import chi2 as chi2
    from pullback.scipy.stats import dirichlet as dirichlet
    from pullback.scipy.stats import expon as expon
    from pullback.scipy.stats import gamma as gamma
    from pullback.scipy.stats import gennorm as gennorm
    from pullback.scipy.stats import geom as geom
    from pullback.scipy.stats import gumbel_l as gumbel_l
    from pullback.scipy.stats import gumbel_r as gumbel_r
    from pullback.scipy.stats import laplace as laplace
    from pullback.scipy.stats import logistic as logistic
    from pullback.scipy.stats import multinomial as multinomial
    from pullback.scipy.stats import multivariate_normal as multivariate_normal
    from pullback.scipy.stats import nbinom as nbinom
    from pullback.scipy.stats import norm as norm
    from pullback.scipy.stats import pareto as pareto
    from pullback.scipy.stats import poisson as poisson
    from pullback.scipy.stats import t as t
    from pullback.scipy.stats import truncnorm as truncnorm
    from pullback.scipy.stats import uniform as uniform
    from pullback.scipy.stats import vonmises as vonmises
    from pullback.scipy.stats import wrapcauchy as wrapcauchy
    from pullback.scipy.stats.kde import gaussian_kde as gaussian_kde
    from pullback.scipy.stats.ranking import ModeResult as ModeResult
    from pullback.scipy.stats.ranking import mode as mode
    from pullback.scipy.stats.ranking import rankdata as rankdata
    from pullback.scipy.stats.ranking import sem as sem

_DISTRIBUTIONS = frozenset(
    (
        "bernoulli",
        "beta",
        "betabinom",
        "binom",
        "cauchy",
        "chi2",
        "dirichlet",
        "expon",
        "gamma",
        "gennorm",
        "geom",
        "gumbel_l",
        "gumbel_r",
        "laplace",
        "logistic",
        "multinomial",
        "multivariate_normal",
        "nbinom",
        "norm",
        "pareto",
        "poisson",
        "t",
        "truncnorm",
        "uniform",
        "vonmises",
        "wrapcauchy",
    )
)
#: Functions and classes, and the modules that they come from.
_FUNCTIONS = {
    "gaussian_kde": "kde",
    "ModeResult": "ranking",
    "mode": "ranking",
    "rankdata": "ranking",
    "sem": "ranking",
}


def __getattr__(name: str) -> _Any:
    """Import what is imported late, or say that a name is not here."""
    if name in _DISTRIBUTIONS:
        return _import_module(f"pullback.scipy.stats.{name}")
    if name in _FUNCTIONS:
        module = _import_module(f"pullback.scipy.stats.{_FUNCTIONS[name]}")
        return getattr(module, name)
    raise _missing_name("pullback.scipy.stats", name)


def __dir__() -> list[str]:
    """List also what is imported late."""
    return sorted({*globals(), *_DISTRIBUTIONS, *_FUNCTIONS})
