"""SciPy's functions, by its modules; each is imported when first asked for."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from pullback.errors import missing_name as _missing_name

if _TYPE_CHECKING:
    from pullback.scipy import cluster as cluster
    from pullback.scipy import fft as fft
    from pullback.scipy import integrate as integrate
    from pullback.scipy import interpolate as interpolate
    from pullback.scipy import linalg as linalg
    from pullback.scipy import ndimage as ndimage
    from pullback.scipy import optimize as optimize
    from pullback.scipy import signal as signal
    from pullback.scipy import sparse as sparse
    from pullback.scipy import spatial as spatial
    from pullback.scipy import special as special
    from pullback.scipy import stats as stats

_MODULES = frozenset(
    (
        "cluster",
        "fft",
        "integrate",
        "interpolate",
        "linalg",
        "ndimage",
        "optimize",
        "signal",
        "sparse",
        "spatial",
        "special",
        "stats",
    )
)


def __getattr__(name: str) -> _Any:
    """Import a module, or say that a name is not here."""
    if name in _MODULES:
        return _import_module(f"pullback.scipy.{name}")
    raise _missing_name("pullback.scipy", name)


def __dir__() -> list[str]:
    """List also what is imported late."""
    return sorted({*globals(), *_MODULES})
