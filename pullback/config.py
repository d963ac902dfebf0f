"""Switches that change what the whole library does, read at every call."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from pullback.errors import ConfigError, MissingName

_CHOICES: dict[str, tuple[Any, ...]] = {
    "enable_x64": (False, True),
    "debug_nans": (False, True),
    "debug_infs": (False, True),
    "check_tracer_leaks": (False, True),
    "nondiff_arrays": ("error", "stop_gradient"),
    "custom_vjp_forward": ("error", "transpose"),
    "full_traceback": (False, True),
    "log_compiles": (False, True),
    "explain_cache_misses": (False, True),
    "no_tracing": (False, True),
    "disable_jit": (False, True),
    "compilation_cache": (True, False),
    "call_path": ("fast", "python", "numpy"),
    "strong_zeros": (False, True),
    "keep_memory": (True, False),
    "default_matmul_precision": ("default", "high", "highest"),
    "numpy_dtype_promotion": ("standard", "strict"),
    "numpy_rank_promotion": ("allow", "warn", "raise"),
}

#: Called after a switch was set, so that the compiled call path takes notice.
listeners: list[Callable[[], None]] = []


class Config:
    """One attribute a switch; `update` sets it, `context` sets it for a while.

    Switches:
        enable_x64: 64-bit types are kept (default: they become 32-bit).
        debug_nans: raise where the first nan appears.
        debug_infs: raise where the first infinity is made of finite operands.
        check_tracer_leaks: raise where a transformation ends and its values are kept.
        nondiff_arrays: "error" or "stop_gradient" for traced arrays in nondiff places.
        custom_vjp_forward: "error" or "transpose": forward mode of vjp-only functions.
        full_traceback: show the library's own frames in tracebacks.
        log_compiles: log each tracing, with its reason, and each compilation.
        explain_cache_misses: log each tracing, with its reason, only.
        no_tracing: refuse to trace jitted functions for other types than before.
        disable_jit: run jitted functions operation by operation.
        compilation_cache: keep compiled programs on disk.
        call_path: "fast" (C++), "python" or "numpy" (no compiler at all).
        strong_zeros: a zero tangent stays zero through an infinite partial.
        keep_memory: up to 128 MB of freed memory stay with the process, which makes
            large results cheap; read once, when the first program is compiled.
        default_matmul_precision: "default", "high" or "highest": how accurately
            accelerators multiply where no precision is given.
        numpy_dtype_promotion: "standard", or "strict": operands of different dtypes are
            refused, unless all but one are Python numbers.
        numpy_rank_promotion: "allow", "warn" or "raise": what happens where NumPy
            functions broadcast operands of different ranks that are no scalars.
    """

    __slots__ = (*_CHOICES, "epoch")

    enable_x64: bool
    debug_nans: bool
    debug_infs: bool
    check_tracer_leaks: bool
    nondiff_arrays: str
    custom_vjp_forward: str
    full_traceback: bool
    log_compiles: bool
    explain_cache_misses: bool
    no_tracing: bool
    disable_jit: bool
    compilation_cache: bool
    call_path: str
    strong_zeros: bool
    keep_memory: bool
    default_matmul_precision: str
    numpy_dtype_promotion: str
    numpy_rank_promotion: str
    #: How often programs compiled before went out of date; part of their keys.
    epoch: int

    def __init__(self) -> None:
        self.epoch = 0
        for name, choices in _CHOICES.items():
            setattr(self, name, _from_environment(name, choices))

    @property
    def checks_values(self) -> bool:
        """Whether results are looked at as they come: for nans, infinities or both."""
        return self.debug_nans or self.debug_infs

    def update(self, name: str, value: Any) -> None:
        """Set the switch `name`; a leading `jax_` is accepted.

        Raises:
            ConfigError: `name` is no switch, or `value` is not one of its choices.
        """
        name = self._known(name)
        if value not in _CHOICES[name]:
            raise ConfigError(
                f"config switch {name!r} was given {value!r}.",
                mend=f"Use one of {', '.join(map(repr, _CHOICES[name]))}.",
            )
        self._set(name, type(_CHOICES[name][0])(value))

    def read(self, name: str) -> Any:
        """Give the value of the switch `name`; a leading `jax_` is accepted.

        Raises:
            ConfigError: `name` is no switch.
        """
        return getattr(self, self._known(name))

    @property
    def values(self) -> dict[str, Any]:
        """The values of all switches, by name."""
        return {name: getattr(self, name) for name in _CHOICES}

    def changed(self) -> dict[str, Any]:
        """Give the switches that are not as they are by default."""
        return {n: v for n, v in self.values.items() if v != _CHOICES[n][0]}

    def __getattr__(self, name: str) -> Any:
        """Give a switch by its name with a leading `jax_`."""
        plain = name.removeprefix("jax_")
        if plain != name and plain in _CHOICES:
            return getattr(self, plain)
        raise MissingName(
            f"config has no switch {name!r}.",
            mend=f"Use one of {', '.join(sorted(_CHOICES))}.",
        )

    def _known(self, name: str) -> str:
        """Give the name of a switch without a leading `jax_`.

        Raises:
            ConfigError: there is no such switch.
        """
        name = name.removeprefix("jax_")
        if name not in _CHOICES:
            raise ConfigError(
                f"config has no switch {name!r}.",
                mend=f"Use one of {', '.join(sorted(_CHOICES))}.",
            )
        return name

    def _set(self, name: str, value: Any) -> None:
        """Set a switch to one of its choices, and tell the listeners."""
        setattr(self, name, value)
        for listener in listeners:
            listener()

    def outdate(self) -> None:
        """Let no program be used again that was compiled before now."""
        self.epoch += 1
        for listener in listeners:
            listener()

    @contextlib.contextmanager
    def context(self, **switches: Any) -> Iterator[None]:
        """Set switches inside a `with` block, and put the old values back after."""
        old: dict[str, Any] = {}
        try:
            for given, value in switches.items():
                name = given.removeprefix("jax_")
                before = getattr(self, name, None)
                self.update(name, value)
                old.setdefault(name, before)
            yield
        finally:
            for name, value in old.items():
                self._set(name, value)

    def __repr__(self) -> str:
        """Show every switch and its value."""
        return f"Config({', '.join(f'{n}={getattr(self, n)!r}' for n in _CHOICES)})"


def _from_environment(name: str, choices: tuple[Any, ...]) -> Any:
    """Take `PULLBACK_<NAME>` if it is set, else the first choice."""
    text = os.environ.get(f"PULLBACK_{name.upper()}")
    if text is None:
        return choices[0]
    if isinstance(choices[0], bool):
        return text.lower() in ("1", "true", "yes", "on")
    if text not in choices:
        raise ConfigError(
            f"environment variable PULLBACK_{name.upper()} is {text!r}.",
            mend=f"Use one of {', '.join(choices)}.",
        )
    return text


config = Config()
