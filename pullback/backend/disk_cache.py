"""Compiled programs on disk, so that a second process need not compile them again."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import zlib
from typing import Any

from pullback.lazy import hashlib

#: Bytes kept by default; `PULLBACK_CACHE_LIMIT` gives another number.
LIMIT = 512 * 2**20
#: How full the cache is left when old entries are removed.
LEFT = 0.75
#: One in so many writes counts the bytes on disk.
SWEEP = 32


def default_directory() -> str:
    """Give the user's own directory: `PULLBACK_CACHE_DIR` or `~/.cache/pullback`."""
    given = os.environ.get("PULLBACK_CACHE_DIR")
    if given:
        return given
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return os.path.join(os.path.expanduser(base), "pullback")


def machine_fingerprint() -> str:
    """Hash what decides whether native code of this machine runs on another."""
    lines: set[str] = set()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        wanted = ("flags", "model name", "Features", "CPU part")
        lines = {line for line in file if line.startswith(wanted)}
    text = repr((sorted(lines), os.uname().machine))
    return str(hashlib.sha256(text.encode()).hexdigest()[:16])


def compiling_threads() -> tuple[Any, ...]:
    """Give what decides between how many threads the compiler splits a loop."""
    given = [os.environ.get(name) for name in ("PJRT_NPROC", "NPROC")]
    if hasattr(os, "sched_getaffinity"):  # Linux: those that this process may use
        return (len(os.sched_getaffinity(0)), *given)
    return (os.cpu_count(), *given)


class DiskCache:
    """A bounded directory of byte strings, safe for many processes at once.

    An entry is native code that will be run, so the directory must belong to the user
    and be writable by nobody else; otherwise the cache is off. Whatever goes wrong is
    a miss. Entries are written under another name and moved into place.

    Args:
        directory: where entries are; made when first written to, with mode 0700.
        limit: bytes beyond which the entries used longest ago are removed.
    """

    def __init__(self, directory: str | None = None, limit: int | None = None) -> None:
        self.directory = directory or default_directory()
        self.limit = limit or int(os.environ.get("PULLBACK_CACHE_LIMIT", LIMIT))
        self.writes = 0

    @staticmethod
    def key(text: str, *circumstances: Any) -> str:
        """Hash a program and everything else its compiled form depends on."""
        digest = hashlib.sha256(repr(circumstances).encode())
        digest.update(text.encode())
        return str(digest.hexdigest())

    def path(self, key: str) -> str:
        """Give the file of an entry."""
        return os.path.join(self.directory, f"{key}.xla")

    def private(self) -> bool:
        """Whether the directory is the user's, and only the user can write to it."""
        try:
            found = os.stat(self.directory)
        except OSError:
            return False
        return found.st_uid == os.getuid() and not found.st_mode & (
            stat.S_IWGRP | stat.S_IWOTH
        )

    def get(self, key: str) -> bytes | None:
        """Give an entry, or None if there is none that can be read."""
        path = self.path(key)
        try:
            with open(path, "rb") as file:
                packed = file.read()
        except OSError:
            return None
        if not self.private():
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        try:
            return zlib.decompress(packed)
        except zlib.error:
            self.remove(key)
            return None

    def put(self, key: str, entry: bytes) -> None:
        """Write an entry; do nothing where the directory cannot be used."""
        packed = zlib.compress(entry, 1)
        if len(packed) > self.limit:
            return
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            if not self.private():
                return
            writer = f"{os.getpid()}-{threading.get_ident()}"
            temporary = os.path.join(self.directory, f"{key}-{writer}.new")
            with open(temporary, "xb") as file:
                file.write(packed)
            os.replace(temporary, self.path(key))
        except OSError:
            return
        if self.writes % SWEEP == 0:
            self.sweep()
        self.writes += 1

    def remove(self, key: str) -> None:
        """Remove an entry if it is there."""
        with contextlib.suppress(OSError):
            os.unlink(self.path(key))

    def entries(self) -> list[os.DirEntry[str]]:
        """List the files of the cache."""
        try:
            with os.scandir(self.directory) as found:
                return [e for e in found if e.name.endswith((".xla", ".new"))]
        except OSError:
            return []

    def sweep(self) -> None:
        """Remove the entries used longest ago if all together are too large."""
        known: list[tuple[float, int, str]] = []
        for entry in self.entries():
            with contextlib.suppress(OSError):
                found = entry.stat()
                known.append((found.st_mtime, found.st_size, entry.path))
        total = sum(size for _, size, _ in known)
        if total <= self.limit:
            return
        for _, size, path in sorted(known):
            with contextlib.suppress(OSError):
                os.unlink(path)
            total -= size
            if total <= LEFT * self.limit:
                return

    def clear(self) -> None:
        """Remove every entry."""
        for entry in self.entries():
            with contextlib.suppress(OSError):
                os.unlink(entry.path)
