"""What the compiler is known to get wrong, looked for in what it made of a program.

jaxlib 0.10.2 joins a product of matrices with a reduction near it in one call of a
library of kernels (YNNPACK), and with both what they read. A right factor that is one
number repeated has lost its sides there: the sum over the contracted axis has one term,
or reads what is not its own. Of a matrix `x` with 16 columns,

    ((x @ jnp.ones((16, 16))) ** 2).mean()

came out wrong by a factor, as it does in other libraries on this compiler. Whether the
two are joined, and whether the factor is one number, shows when all is simplified.
"""

from __future__ import annotations

import re

from pullback.backend.options import OWN_SUMS, Options

_INSTRUCTION = re.compile(r"%(\S+) = \w+\[([\d,]*)\]\S* ([\w-]+)\(([^()]*)\)")
_NAME = re.compile(r"%([^\s,]+)")


def remedy(compiled: str) -> Options:
    """Give the compile flags that mend a program, () if nothing is wrong.

    Args:
        compiled: what the compiler made of it, as HLO text.
    """
    joined = "__ynn_fusion" in compiled and any(
        multiplies_by_one_number(part) for part in compiled.split("\n\n")
    )
    return OWN_SUMS if joined else ()


def may_be_wrong(text: str) -> bool:
    """Whether a program has what `remedy` looks for: a product and a reduction."""
    return "stablehlo.dot_general" in text and "stablehlo.reduce" in text


def multiplies_by_one_number(computation: str) -> bool:
    """Whether the right factor of a product is made of single numbers alone."""
    if " dot(" not in computation:
        return False
    single: set[str] = set()
    for name, shape, operation, operands in _INSTRUCTION.findall(computation):
        names = _NAME.findall(operands)
        if operation == "dot" and names[1] in single:
            return True
        if not shape or (names and single.issuperset(names)):
            single.add(name)
    return False
