"""The processes of the peers, seen from the program that compares them."""

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).resolve().parent
TIMEOUT = 900  # seconds, of a process that is asked once


def switches(cache: str | None = None) -> dict[str, str]:
    """Give the environment of a process: on the CPU, and where programs are cached.

    Args:
        cache: a folder; None for nowhere.
    """
    chosen = {"JAX_PLATFORMS": "cpu", "PULLBACK_COMPILATION_CACHE": "0"}
    # Peers were compiled to bytecode when they were installed; so may we be.
    chosen["PYTHONDONTWRITEBYTECODE"] = ""
    if cache is not None:
        chosen |= {
            "PULLBACK_COMPILATION_CACHE": "1",
            "PULLBACK_CACHE_DIR": f"{cache}/pullback",
            "JAX_COMPILATION_CACHE_DIR": f"{cache}/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    return {**os.environ, **chosen}


def ask_once(command: list[str], cache: str | None = None) -> dict:
    """Run one of the scripts here to its end, and give what it reports."""
    done = subprocess.run(
        [command[0], str(HERE / command[1]), *command[2:]],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=switches(cache),
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


class WorkerProcess:
    """A process that times the cases of a peer one by one; used in a `with` block.

    Args:
        peer: the library.
        python: the Python of its environment.
        script: which of the scripts here, and what it is given beside the library.
    """

    def __init__(self, peer: str, python: str, *script: str) -> None:
        self.peer = peer
        self.errors: dict[str, str] = {}
        name, *arguments = script or ("worker.py",)
        self.process = subprocess.Popen(
            [python, str(HERE / name), peer, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=switches(),
        )
        said = self._read()
        self.version: str = said["version"]
        self.times: dict[str, float] = said["times"]

    def _read(self) -> dict:
        assert self.process.stdout is not None, "the output is a pipe"
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"the process of {self.peer} ended")

    def ask(self, name: str) -> None:
        """Time a case; the least of its times counts."""
        assert self.process.stdin is not None, "the input is a pipe"
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        said = self._read()
        if "error" in said:
            self.errors[name] = said["error"]
        else:
            self.times[name] = min(said["time"], self.times.get(name, float("inf")))

    def report(self) -> dict:
        """Give what the process said, as `Results.add` takes it."""
        return {"version": self.version, "times": self.times, "errors": self.errors}

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.communicate()
