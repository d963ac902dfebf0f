"""Looking into programs and their derivatives while they run."""

from pullback.debugging.find_nan import NanReport as NanReport
from pullback.debugging.find_nan import find_nan as find_nan
from pullback.debugging.markers import backward_nan as backward_nan
from pullback.debugging.markers import inspect_cotangent as inspect_cotangent
from pullback.debugging.printing import breakpoint as breakpoint
from pullback.debugging.printing import callback as callback
from pullback.debugging.printing import print as print
