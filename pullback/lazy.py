"""Modules that are imported when first used, so that importing the library is quick."""

from __future__ import annotations

import importlib
from typing import Any


class LazyModule:
    """Stands for a module, and imports it when an attribute is first asked for.

    Args:
        name: the module's dotted name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """Import the module and give its attribute, which is kept."""
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        found = getattr(importlib.import_module(self._name), attribute)
        self.__dict__[attribute] = found
        return found

    def __repr__(self) -> str:
        """Show the module's name."""
        return f"<lazy module {self._name}>"


#: SciPy has the special functions and matrix factors that NumPy lacks. Importing it
#: takes longer than importing this library.
scipy_special = LazyModule("scipy.special")
scipy_linalg = LazyModule("scipy.linalg")
scipy_signal = LazyModule("scipy.signal")
#: Loading OpenSSL takes 4 ms, starting processes 5; only the compiler needs these.
hashlib: Any = LazyModule("hashlib")
subprocess: Any = LazyModule("subprocess")
#: 9 ms and more together: for reports, logs, pictures and the debugger.
logging: Any = LazyModule("logging")
metadata: Any = LazyModule("importlib.metadata")
fractions: Any = LazyModule("fractions")
html: Any = LazyModule("html")
pdb: Any = LazyModule("pdb")
