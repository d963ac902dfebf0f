"""Every example runs as it stands, in a Python of its own, and says something."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(arguments, folder):
    """Run Python on an example, away from the source tree; give what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    found = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Warning" not in found.stderr, found.stderr
    return found.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path, tmp_path):
    assert run([str(path)], tmp_path).strip()


def test_the_tour_finds_every_number_of_the_document(tmp_path):
    printed = run(["-m", "examples.tour", "--brief"], tmp_path)
    assert printed.strip()
    assert "✗" not in printed


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_what_it_shows(path):
    first = path.read_text().splitlines()[0]
    assert first.startswith('"""')
    assert len(first) <= 88
