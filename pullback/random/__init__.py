"""Random numbers from explicit keys; equal keys give equal numbers.

A key is an array `u32[2]`, as `key` and `PRNGKey` both make it; an array of keys has
leading axes, and `vmap` maps over it. The bits are Threefry's in the order that the
ecosystem calls partitionable, so a seed gives the same numbers there. Use a key once:
`split` makes new ones.

Samplers take `(key, ..., shape, dtype)`. `shape` is a Python tuple; where parameters
are arrays, it defaults to their common shape and must be one they broadcast to.
"""

from typing import Any as _Any

from pullback.errors import missing_name as _missing_name
from pullback.random.continuous import ball as ball
from pullback.random.continuous import beta as beta
from pullback.random.continuous import cauchy as cauchy
from pullback.random.continuous import chisquare as chisquare
from pullback.random.continuous import dirichlet as dirichlet
from pullback.random.continuous import double_sided_maxwell as double_sided_maxwell
from pullback.random.continuous import exponential as exponential
from pullback.random.continuous import f as f
from pullback.random.continuous import gamma as gamma
from pullback.random.continuous import generalized_normal as generalized_normal
from pullback.random.continuous import gumbel as gumbel
from pullback.random.continuous import laplace as laplace
from pullback.random.continuous import loggamma as loggamma
from pullback.random.continuous import logistic as logistic
from pullback.random.continuous import lognormal as lognormal
from pullback.random.continuous import maxwell as maxwell
from pullback.random.continuous import multivariate_normal as multivariate_normal
from pullback.random.continuous import normal as normal
from pullback.random.continuous import orthogonal as orthogonal
from pullback.random.continuous import pareto as pareto
from pullback.random.continuous import rayleigh as rayleigh
from pullback.random.continuous import t as t
from pullback.random.continuous import triangular as triangular
from pullback.random.continuous import truncated_normal as truncated_normal
from pullback.random.continuous import wald as wald
from pullback.random.continuous import weibull_min as weibull_min
from pullback.random.discrete import categorical as categorical
from pullback.random.discrete import choice as choice
from pullback.random.discrete import geometric as geometric
from pullback.random.discrete import permutation as permutation
from pullback.random.discrete import poisson as poisson
from pullback.random.keys import PRNGKey as PRNGKey
from pullback.random.keys import bernoulli as bernoulli
from pullback.random.keys import bits as bits
from pullback.random.keys import clone as clone
from pullback.random.keys import fold_in as fold_in
from pullback.random.keys import key as key
from pullback.random.keys import key_data as key_data
from pullback.random.keys import key_impl as key_impl
from pullback.random.keys import rademacher as rademacher
from pullback.random.keys import randint as randint
from pullback.random.keys import split as split
from pullback.random.keys import uniform as uniform
from pullback.random.keys import wrap_key_data as wrap_key_data
from pullback.random.trials import binomial as binomial
from pullback.random.trials import multinomial as multinomial


def __getattr__(name: str) -> _Any:
    """Say that a name is not here."""
    raise _missing_name("pullback.random", name)
