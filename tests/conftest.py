"""What all tests share: compiled programs are kept beside the tests."""

import os
from pathlib import Path

# Before any test imports the library, which reads it once.
os.environ.setdefault(
    "PULLBACK_CACHE_DIR",
    str(Path(__file__).resolve().parent.parent / ".pytest_cache" / "programs"),
)
