"""The pages: every public name stands in the reference, every link leads somewhere."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]

# The index itself, and what `make bench` writes.
NOT_LINKED = {"index.md", "benchmarks.md", "benchmarks_wide.md", "accuracy.md"}

spec = importlib.util.spec_from_file_location(
    "write_reference", ROOT / "docs" / "write_reference.py"
)
assert spec is not None
assert spec.loader is not None
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)


def listed(module):
    """The names in the table of a module."""
    section = reference.PAGE.read_text().split(f"## `{module}`\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


@pytest.mark.parametrize("module", reference.MODULES)
def test_the_reference_lists_exactly_the_public_names(module):
    names = {name for name, _ in reference.public_names(reference.load(module))}
    assert listed(module) == names, "run `python docs/write_reference.py`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose)
    inner = [t for t in targets if not t.startswith(("http:", "https:"))]
    assert [t for t in inner if not (page.parent / t).exists()] == []


def test_every_page_is_linked_from_the_index():
    index = (ROOT / "docs" / "index.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - NOT_LINKED
    assert {name for name in pages if f"({name})" not in index} == set()
