"""Compile flags, chosen by the shape of a program."""

from __future__ import annotations

import contextlib
import functools
import math
import re
from typing import Any

from pullback.backend.disk_cache import compiling_threads
from pullback.backend.workload import (
    DEAR,
    largest_array,
    nanoseconds,
    widest_root_or_exponential,
)

#: The compiler's debug options: names and values.
Options = tuple[tuple[str, Any], ...]

# The compiler writes a loop in one of two ways, measured on a 2-core AVX-512 host with
# jaxlib 0.10.2 by `python -m tools.loop_code`:
#
# - The older compiles in 2/3 of the time: one fused loop in 15 ms instead of 22. But it
#   lets a loop whose result takes its operand's memory run without vectors: tanh of a
#   matrix product takes 15 times as long.
# - The newer knows better for fused loops, and worse for an operation that is a loop of
#   its own: add takes 4 times as long, exp 2.5 times, rsqrt 14 times.
#
# So: the older for small arrays, else the newer for fused loops, and for others too
# where one that is dear without vectors may take its operand's memory. Transposes up to
# 360 x 360 are 1.4 times faster the older way, larger ones up to 15 times slower;
# float64 remainders, which choose between loops, are 14 times faster, pieces put
# together and running sums of 1e7 elements 1.5 to 3 times.
OLDER_LOOPS: Options = (("xla_cpu_use_fusion_emitters", False),)
NEWER_FUSED_LOOPS: Options = (("xla_disable_hlo_passes", "fusion-wrapper"),)
NEWER_LOOPS: Options = ()
# The compiler prefers vectors of 256 bits, for processors that lower their clock for
# wider ones. Those with AVX-512 VBMI2 (Ice Lake, Zen 4 and later) are taken not to.
# On a Zen 5, 512 bits run tanh in 0.56 of the time, sinh in 0.55, an MLP's gradient in
# 0.81, a scan of 1,000 small steps in 0.87, row sums in 0.98; compiling takes as long.
# On a Xeon they run exp in 0.6 to 0.75, a gradient of logsumexp in 0.8, formulas of
# float64 in 1.0. What few elements leave over costs more: 1,000 steps of a sum of exp
# take 1.13 of the time on 64, 1.06 on 100, as long on 128; and the product of a matrix
# with rows of 10, 20, 30 or 32 and a vector 3, 1.4, 2 and 1.2, of 64 and 100 as long.
WIDE_VECTORS: Options = (("xla_cpu_prefer_vector_width", 512),)
WIDE_FLAG = "avx512_vbmi2"
ENOUGH_FOR_WIDE = 2**6  # elements
PRODUCT = re.compile(
    r"stablehlo[.]dot_general.* : \(tensor<([\dx]*)\w+>, tensor<([\dx]*)\w+>\) ->"
)
# With these the compiler's own arc tangent, by the newer way to write loops, is wrong:
# it calls a function that it does not have at this width. Logarithms of complex numbers
# are made of it.
NOT_WIDE = re.compile("[.]atan|complex<")
# Sums go through a library of kernels (YNNPACK), together with what they are made of.
# It is up to 3 times as fast as the compiler's own loops where more than 32 terms make
# a sum, and up to 12 times as slow (68 along the first of two axes) where 32 or less
# do: squared distances of points, means over neighbours. This leaves products, and
# convolutions, to the library, but not sums. Measured on a 2-core Xeon, 3e5 elements.
OWN_SUMS: Options = (
    (
        "xla_cpu_experimental_ynn_fusion_type",
        "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION",
    ),
)
SHORT_SUM = 32
# What is lost with a term of a short sum in the library is about 1 ns, what is won with
# one of a long sum a quarter as much, or less.
LONG_SUMS_GAIN = 0.25
SUM = re.compile(
    r"stablehlo[.]reduce\(.* applies stablehlo[.]add across dimensions = \[(.*?)\] : "
    r"\(tensor<((?:\d+x)+)b?f"
)
# Loops that the compiler takes for long it splits between the threads. A second thread
# begins some 45 us later, so that only what takes longer gains: roll of 1e5 elements
# takes 78 us split and 20 whole, abs 49 and 19, sin 129 and 102, of 1e4 elements 40 and
# 17; digamma of 1e5 280 and 339. What stands between Fourier transforms, which have
# threads of their own, is better split. Measured on a virtual machine of two cores.
WHOLE_LOOPS: Options = (("xla_disable_hlo_passes", "cpu-parallel-task-assigner"),)
HANDOVER = 45e3  # nanoseconds
# Formulas for the host (`primitives/host_math`) are 30 to 150 straight lines each that
# compile as one loop: they do not count.
HOST_FORMULA = "  func.func private @host_"
SMALL_PROGRAM = 200  # lines
SMALL_ARRAY, SMALL_SCATTER, SMALL_TRANSPOSE = 2**10, 2**12, 2**17
LARGE_PIECES = 2**21
#: Operations that are in no loop with what follows them.
APART = re.compile(
    "stablehlo[.](?:dot|convolution|reduce|sort|while|case|custom_call|fft|cholesky|triangular)"
)
#: Operations that put pieces together, or sum up as they go along.
PIECES = re.compile("stablehlo[.](?:concatenate|reduce_window)")


def choose_options(text: str) -> Options:
    """Choose compile flags by the shape of a program; see the measurements above."""
    threads = choose_threads(text)
    if HOST_FORMULA in text:
        text = without_formulas(text)
    return choose_width(text) + merged(choose_loops(text), threads) + choose_sums(text)


def merged(first: Options, second: Options) -> Options:
    """Put options together, of which both may switch passes off."""
    passes = "xla_disable_hlo_passes"
    off = [value for name, value in first + second if name == passes]
    others = tuple(pair for pair in first + second if pair[0] != passes)
    return (*others, (passes, ",".join(off))) if off else others


def choose_width(text: str) -> Options:
    """Choose the width of vectors by the operations and how much they compute."""
    if NOT_WIDE.search(text) or has_narrow_matrix_and_vector(text):
        return ()
    if "stablehlo.while" in text:
        if 0 < widest_root_or_exponential(text) <= ENOUGH_FOR_WIDE:
            return ()
    return vector_width()


def has_narrow_matrix_and_vector(text: str) -> bool:
    """Whether a matrix of short rows is multiplied by a vector."""
    for sides in PRODUCT.findall(text):
        vector, matrix = sorted((s.split("x")[:-1] for s in sides), key=len)
        if len(vector) == 1 and len(matrix) == 2:
            if 1 < int(matrix[1]) < ENOUGH_FOR_WIDE:
                return True
    return False


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


def choose_loops(text: str) -> Options:
    """Choose how the compiler writes loops."""
    if text.count("\n") <= SMALL_PROGRAM and "stablehlo.while" not in text:
        size = largest_array(text)
        if (
            size <= SMALL_ARRAY
            or (size <= SMALL_TRANSPOSE and has_transpose_in_loops_only(text))
            or ("stablehlo.scatter" in text and size <= SMALL_SCATTER)
            or "@host_rem_float64" in text
            or (size >= LARGE_PIECES and PIECES.search(text) and not DEAR.search(text))
        ):
            return OLDER_LOOPS
    # The compiler has no other code for a scatter.
    if "stablehlo.scatter" in text or (DEAR.search(text) and APART.search(text)):
        return NEWER_LOOPS
    return NEWER_FUSED_LOOPS


def has_transpose_in_loops_only(text: str) -> bool:
    """Whether a program transposes, and does nothing but what is written as loops.

    Beside products the older way is worse: attention of 64 places, four heads, takes
    440 us, the newer 190.
    """
    return "stablehlo.transpose" in text and not APART.search(text)


def choose_threads(text: str) -> Options:
    """Choose whether loops may be split, by what a second thread could gain."""
    threads = compiling_threads()[0]
    if threads < 2 or largest_array(text) <= SMALL_ARRAY or "stablehlo.fft" in text:
        return ()
    return WHOLE_LOOPS if nanoseconds(text) * (1 - 1 / threads) < HANDOVER else ()


def choose_sums(text: str) -> Options:
    """Choose who computes sums, by how many terms most of them have."""
    short = long = 0
    for axes, sides in SUM.findall(text):
        shape = [int(n) for n in sides[:-1].split("x")]
        terms = math.prod(shape[int(axis)] for axis in axes.split(", "))
        if terms <= SHORT_SUM:
            short += math.prod(shape)
        else:
            long += math.prod(shape)
    return OWN_SUMS if short > LONG_SUMS_GAIN * long else ()
