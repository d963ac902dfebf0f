"""Writes `docs/reference.md`: every public name, by module, with its first line.

Run it as `python docs/write_reference.py`; `tests/test_docs.py` says when a name is
missing from the page, or gone from the library.
"""

import functools
import importlib
import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("reference.md")

# Modules in the order of the page, each with what it is for; "" stands for what the
# module says.
MODULES = {
    "pullback": "Transformations, custom rules, and what goes with them.",
    "pullback.lax": "Operations without promotion, control flow, solvers as functions.",
    "pullback.lax.linalg": "Matrix factors as the operations give them.",
    "pullback.implicit": "Solvers; see [Solvers](solvers.md).",
    "pullback.ode": "Differential equations; see [its page](ode.md).",
    "pullback.custom_batching": "Batching rules; see "
    "[Batching and transposition](batching_and_transposition.md).",
    "pullback.ad_checkpoint": "What a derivative keeps; see "
    "[Loops and memory](loops_and_memory.md).",
    "pullback.experimental": "What the ecosystem looks for there.",
    "pullback.experimental.ode": "Differential equations, by this name too.",
    "pullback.experimental.jet": "Taylor mode; see [its page](taylor.md).",
    "pullback.experimental.checkify": "Errors as values; see [Checks](checks.md).",
    "pullback.checkpoint_policies": "What a checkpointed function keeps; see "
    "[Loops and memory](loops_and_memory.md).",
    "pullback.test_util": "Is a rule right? See [its page](checking_rules.md).",
    "pullback.debug": "See [Seeing into the backward pass](seeing_backward.md).",
    "pullback.extend": "See [New operations](new_operations.md).",
    "pullback.extend.core": "Programs as data; see [Interpreters](interpreters.md).",
    "pullback.core": "Running a program, and the classes of types and traced values.",
    "pullback.tree": "Containers of arrays.",
    "pullback.tree_util": "The same, by the names of the ecosystem.",
    "pullback.flatten_util": "Containers as vectors.",
    "pullback.typing": "Types for annotations.",
    "pullback.stages": "Types of jitted functions on their way to the machine.",
    "pullback.dtypes": "Dtypes: canonical ones, common ones, limits.",
    "pullback.custom_derivatives": "Custom rules, by the names of the ecosystem.",
    "pullback.image": "Images made larger or smaller.",
    "pullback.ops": "Reductions of segments.",
    "pullback.random": "Random numbers, from keys.",
    "pullback.nn": "Functions that neural networks are made of.",
    "pullback.nn.initializers": "Initial weights.",
    "pullback.numpy": "The NumPy interface.",
    "pullback.numpy.linalg": "Linear algebra.",
    "pullback.numpy.fft": "Fourier transforms.",
    "pullback.scipy.special": "Special functions.",
    "pullback.scipy.linalg": "Linear algebra, as SciPy has it.",
    "pullback.scipy.cluster.vq": "Nearest vectors of a code book.",
    "pullback.scipy.fft": "Cosine and sine transforms.",
    "pullback.scipy.integrate": "Integrals of samples.",
    "pullback.scipy.interpolate": "Interpolation on grids.",
    "pullback.scipy.ndimage": "Interpolation in images.",
    "pullback.scipy.optimize": "Least values; see also [Solvers](solvers.md).",
    "pullback.scipy.signal": "Convolutions, trends, spectra.",
    "pullback.scipy.sparse.linalg": "Iterative linear solvers, as SciPy has them.",
    "pullback.scipy.spatial.transform": "Rotations in three dimensions.",
    "pullback.scipy.stats": "Statistics, and distributions, a module each.",
    "pullback.scipy.stats.bernoulli": "",
    "pullback.scipy.stats.beta": "",
    "pullback.scipy.stats.betabinom": "",
    "pullback.scipy.stats.binom": "",
    "pullback.scipy.stats.cauchy": "",
    "pullback.scipy.stats.chi2": "",
    "pullback.scipy.stats.dirichlet": "",
    "pullback.scipy.stats.expon": "",
    "pullback.scipy.stats.gamma": "",
    "pullback.scipy.stats.gennorm": "",
    "pullback.scipy.stats.geom": "",
    "pullback.scipy.stats.gumbel_l": "",
    "pullback.scipy.stats.gumbel_r": "",
    "pullback.scipy.stats.laplace": "",
    "pullback.scipy.stats.logistic": "",
    "pullback.scipy.stats.multinomial": "",
    "pullback.scipy.stats.multivariate_normal": "",
    "pullback.scipy.stats.nbinom": "",
    "pullback.scipy.stats.norm": "",
    "pullback.scipy.stats.pareto": "",
    "pullback.scipy.stats.poisson": "",
    "pullback.scipy.stats.t": "",
    "pullback.scipy.stats.truncnorm": "",
    "pullback.scipy.stats.uniform": "",
    "pullback.scipy.stats.vonmises": "",
    "pullback.scipy.stats.wrapcauchy": "",
    "pullback.errors": "Errors; each also derives from a built-in class.",
}

# What modules use themselves, and do not offer.
BORROWED = ("typing", "collections.abc", "__future__")


def public_names(module: types.ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the public names of a module with what they stand for."""
    listed = getattr(module, "__all__", None)
    names = listed or [name for name in dir(module) if not name.startswith("_")]
    policies = module.__name__.endswith("policies")
    for name in sorted(names, key=str.lower):
        value = getattr(module, name)
        borrowed = getattr(value, "__module__", "") in BORROWED
        borrowed |= type(value).__module__ in BORROWED
        if policies and "save" not in name:
            continue
        mutable = isinstance(value, list)
        if not inspect.ismodule(value) and not borrowed and not mutable:
            yield name, value


def said_of(name: str, value: Any) -> str:
    """Give what a table says of a value."""
    if type(value).__name__ == "Policy":
        return "A policy."
    if name == "config":
        return "Switches of the whole library: `config.update(name, value)`."
    if isinstance(value, frozenset):
        return f"`{', '.join(sorted(map(str, value)))}`"
    if not callable(value) and " object at 0x" not in str(value):
        return f"`{value}`"
    if isinstance(value, functools.partial):
        value = value.func
    text = inspect.getdoc(value) or ""
    return text.split("\n")[0].replace("|", "\\|")


def load(name: str) -> Any:
    """Import a module, or find it where the package shows it under another name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        parent, _, last = name.rpartition(".")
        return getattr(importlib.import_module(parent), last)


def tables() -> Iterator[str]:
    """Yield the lines of the page."""
    yield "# Reference"
    yield ""
    yield "Every public name, with the first line of its description; `help` shows the"
    yield "rest. Written by `docs/write_reference.py`."
    for name, what in MODULES.items():
        what = what or (inspect.getdoc(load(name)) or "").split("\n")[0]
        yield from ("", f"## `{name}`", "", what, "", "| name | |", "|---|---|")
        for public, value in public_names(load(name)):
            yield f"| `{public}` | {said_of(public, value)} |"


if __name__ == "__main__":
    PAGE.write_text("\n".join(tables()) + "\n")
