"""How long a program's own loops take on one core of the host, read off its text."""

from __future__ import annotations

import functools
import math
import re

# Nanoseconds for each element of four bytes, measured with vectors of 512 bits by
# `benchmarks/wide.py` at 1e4 and 1e5 elements.
READ = 0.1
PLAIN = 0.012
SUMMED = 0.15
ROOT_OR_EXPONENTIAL = 0.3
PLACED = 0.4
WITHOUT_VECTORS = 1.5

#: Operations that take several times as long without vectors.
DEAR = re.compile(
    "(?:stablehlo|chlo)[.](?:exp|log|tan|sin|cos|sqrt|rsqrt|cbrt|pow|div|rem|atan|erf)"
)
_PLACES = frozenset(("gather", "transpose", "dynamic_slice"))
#: What costs nothing here: no loops, or loops that are not the compiler's.
_FREE = frozenset(
    (
        *("constant", "iota", "broadcast_in_dim", "reshape", "bitcast_convert"),
        *("optimization_barrier", "custom_call", "dot_general", "convolution", "fft"),
        *("sort", "while", "case", "cholesky", "triangular_solve"),
        *("reduce_window", "select_and_scatter", "scatter"),  # see _WITH_REGION
    )
)
_LINE = re.compile(r'= "?((?:stablehlo|chlo)[.]\w+)(.*)')
_NAME = re.compile(r"@\w+")
#: Operations whose types follow a region, in which there is no other.
_WITH_REGION = re.compile(
    r'= "stablehlo[.](?:reduce_window|scatter|select_and_scatter)"\(.*?\}\)'
    r".*?: \(tensor<((?:\d+x)*)",
    re.DOTALL,
)
_TYPE = re.compile(r"tensor<((?:\d+x)*)(\w+)")


def elements(sides: str) -> int:
    """Count the elements of a type, whose sides are written as `2x3x`."""
    return math.prod(int(n) for n in sides.split("x")[:-1])


def largest_array(text: str) -> int:
    """Give the number of elements of the largest type in a program's text."""
    return max(map(elements, set(re.findall(r"tensor<((?:\d+x)+)", text))), default=1)


def widest_root_or_exponential(text: str) -> int:
    """Give the number of elements of the largest dear operation; 0 if there is none."""
    lines = _LINE.findall(text)
    found = [_result(rest) for name, rest in lines if DEAR.match(name)]
    return max((elements(type_[1]) for type_ in found if type_), default=0)


def _result(rest: str) -> re.Match[str] | None:
    """Find the type that is written last in a line."""
    return _TYPE.match(rest, rest.rfind("tensor<"))


def nanoseconds(text: str) -> float:
    """Estimate the time that the loops of a program take, each step of a loop once.

    It is within a factor of 1.5 of what was measured for most of 90 single operations.
    A program of several loops takes less, if each of them reads less than the largest.
    """
    total, most = 0.0, 0
    for function in text.split("  func.func ")[1:]:
        name = _NAME.search(function)
        calls = text.count(f"callee = {name[0]}}}") if name else 0
        for price, size in map(_price_and_size, _LINE.findall(function)):
            total += max(calls, 1) * price * size
            most = max(most, size)
    total += PLACED * sum(map(elements, _WITH_REGION.findall(text)))
    return total + READ * most


def _price_and_size(line: tuple[str, str]) -> tuple[float, int]:
    """Give the nanoseconds of an operation on an element, and how many it meets.

    Args:
        line: its name, and the rest of its line.
    """
    name, rest = line
    price = _price_of_element(name)
    if not price:
        return 0.0, 0
    if name == "stablehlo.reduce":  # reads its first operand
        type_ = _TYPE.search(rest)
    elif name == "stablehlo.dynamic_update_slice":  # writes its second into the first
        type_ = _TYPE.search(rest, rest.find("tensor<") + 1)
    else:
        type_ = _result(rest)
    if type_ is None:
        return 0.0, 0
    return price * (2 if type_[2].endswith("64") else 1), elements(type_[1])


@functools.cache
def _price_of_element(name: str) -> float:
    """Give the nanoseconds of an operation for an element of four bytes."""
    dialect, _, short = name.partition(".")
    if short in _FREE:
        return 0.0
    if dialect == "chlo":
        return WITHOUT_VECTORS
    if short in ("reduce", "concatenate"):
        return SUMMED
    if short in _PLACES:
        return PLACED
    return ROOT_OR_EXPONENTIAL if DEAR.match(name) else PLAIN
