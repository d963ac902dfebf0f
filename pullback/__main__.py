"""`python -m pullback` is the shell command `pullback`."""

import sys

from pullback.cli import main

sys.exit(main())
