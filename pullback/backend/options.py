"""Compile flags, chosen by the shape of a program."""

from __future__ import annotations

import contextlib
import functools
import math
import re
from typing import Any

#: The compiler's debug options: names and values.
Options = tuple[tuple[str, Any], ...]

# Compile flags. Measured on a 2-core AVX-512 host with jaxlib 0.10.2: without fusion
# emitters a program of one operation compiles in 12 ms instead of 22, of 100 in 44
# instead of 55, with results equal to the last bit and running times within 10 % for
# elementwise operations, reductions and slices; fused transposes up to 1000 x 1000 run
# 10 times faster. Loops run 1.5 times slower, matrix products with an epilogue 1.3
# times, transposes of 3000 x 3000 1.25 times, scatters of 1e5 elements 2.2 times. So
# without, for small programs that have none of these: tests/backend/test_options.py.
NO_FUSION_EMITTERS: Options = (("xla_cpu_use_fusion_emitters", False),)
# The compiler prefers vectors of 256 bits, for processors that lower their clock for
# wider ones. Those with AVX-512 VBMI2 (Ice Lake, Zen 4 and later) are taken not to. On
# the one measured, a Zen 5, 512 bits run tanh in 0.56 of the time, sinh in 0.55, an
# MLP's gradient in 0.81, a scan of 1,000 small steps in 0.87, row sums in 0.98;
# compiling takes as long.
WIDE_VECTORS: Options = (("xla_cpu_prefer_vector_width", 512),)
WIDE_FLAG = "avx512_vbmi2"
# Formulas for the host (`primitives/host_math`) are 30 to 150 straight lines each that
# compile as one loop: they do not count.
HOST_FORMULA = "  func.func private @host_"
SMALL_PROGRAM = 200
SMALL_PRODUCT, SMALL_SCATTER, SMALL_TRANSPOSE = 2**14, 2**12, 2**21


def choose_options(text: str) -> Options:
    """Choose compile flags by the shape of a program; see the measurements above."""
    if HOST_FORMULA in text:
        text = without_formulas(text)
    return vector_width() + choose_emitters(text)


@functools.cache
def vector_width() -> Options:
    """Choose the width of vectors by this machine's processor."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        if any(line.startswith("flags") and WIDE_FLAG in line for line in file):
            return WIDE_VECTORS
    return ()


def without_formulas(text: str) -> str:
    """Give a program's text without the formulas for the host."""
    first, *others = text.split("  func.func ")
    kept = [part for part in others if not part.startswith("private @host_")]
    return "".join([first, *kept])


def choose_emitters(text: str) -> Options:
    """Choose whether to use the compiler's newer way to write loops."""
    if text.count("\n") > SMALL_PROGRAM or "stablehlo.while" in text:
        return ()
    size = largest_array(text)
    if "stablehlo.dot" in text or "stablehlo.convolution" in text:
        return NO_FUSION_EMITTERS if size <= SMALL_PRODUCT else ()
    if "stablehlo.scatter" in text and size > SMALL_SCATTER:
        return ()
    if "stablehlo.transpose" in text and size > SMALL_TRANSPOSE:
        return ()
    return NO_FUSION_EMITTERS


def largest_array(text: str) -> int:
    """Give the number of elements of the largest type in a program's text."""
    shapes = set(re.findall(r"tensor<((?:\d+x)+)", text))
    sizes = [math.prod(map(int, shape[:-1].split("x"))) for shape in shapes]
    return max(sizes, default=1)
