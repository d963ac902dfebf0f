"""Why a row of the wide table is slower than another library's, where it is known."""

from collections.abc import Collection
from typing import NamedTuple


class Reason(NamedTuple):
    """A reason, and where it holds.

    Args:
        text: what stands on the page.
        peers: which libraries are faster for it.
        sizes: at which sizes.
        rows: in which rows; none for all.
    """

    text: str
    peers: Collection[str]
    sizes: Collection[int]
    rows: Collection[str] = ()


SMALL, MIDDLE, LARGE = 1_000, 100_000, 10_000_000
ALL = (SMALL, MIDDLE, LARGE)

NUMPY, OTHERS, ANY = ("numpy",), ("torch", "numpy"), ("jax", "torch", "numpy")

#: By the letter that stands in the table; the first that holds is given.
REASONS = {
    "a": Reason(
        "Rejection with keys: a try takes nine hashes, which make the numbers of each "
        "element its own; NumPy and PyTorch take the next numbers of one stream.",
        ANY,
        ALL,
        ("gamma",),
    ),
    "b": Reason(
        "A call of a compiled program costs 4 us, of NumPy or PyTorch 1 us: this "
        "decides at 1,000 elements, and is a good part of what takes 10 us.",
        OTHERS,
        (SMALL,),
    ),
    "c": Reason(
        "NumPy's functions of float32 err by up to 3.2 ulp (PyTorch's were not looked "
        "at). Most of these are computed in float64, correctly rounded but for a hair, "
        "for arguments of any size ([accuracy](accuracy.md)); those of float64 err by "
        "at most 2 ulp, but for erfc, lgamma and digamma.",
        OTHERS,
        ALL,
        (
            *("sin", "cos", "tan", "tanh", "sinh", "arcsin", "arccos", "arctan"),
            *("exp", "log", "log1p", "expm1", "exp2", "log2", "arcsinh", "arccosh"),
            *("arctanh", "cbrt", "arctan2", "power", "lgamma"),
        ),
    ),
    "d": Reason(
        "At 100,000 elements the 4 us of a call stand beside 5 to 30 us of work in one "
        "thread; a second one would begin 45 us later, and is left out. PyTorch's "
        "threads begin sooner.",
        ANY,
        (MIDDLE,),
        (
            *("abs", "floor", "square", "sqrt", "add", "divide", "maximum", "expm1"),
            *("sum", "sum of rows", "sum of columns", "max", "max of int32", "all"),
            *("reverse", "every second", "concatenate", "norm", "row products"),
            *("matrix times vector", "scatter add", "scatter set", "argsort", "var"),
            *("normal", "uniform", "gather", "bincount", "matmul", "x ** 3", "where"),
            *("take along rows", "searchsorted", "repeat", "logsumexp", "histogram"),
        ),
    ),
    "e": Reason(
        "Several loops over all elements: the greatest, the exponentials and their "
        "sum, the quotients.",
        ANY,
        ALL,
        ("logsumexp", "softmax"),
    ),
    "f": Reason(
        "Elements are compared by their order as integers, a few operations more than "
        "comparing them, so that nan and the first of equals are right; NumPy stops at "
        "nan, and at the first True of booleans.",
        NUMPY,
        ALL,
        ("argmax", "argmax of rows", "argmax of columns", "argmin of int32"),
    ),
    "g": Reason(
        "Read from memory once with vectors by all; the time of the libraries is that "
        "of the memory, and differs with what else uses it.",
        ANY,
        (LARGE,),
        (
            *("sum", "sum of rows", "sum of columns", "max", "max of int32", "all"),
            "var",
            *("norm", "row products", "matrix times vector", "every second", "add"),
            *("divide", "maximum", "abs", "floor", "square", "concatenate"),
            *("scatter set", "scatter add", "gather", "reverse"),
        ),
    ),
    "h": Reason(
        "NumPy counts truth values in one pass; here bytes are folded in steps.",
        OTHERS,
        ALL,
        ("count",),
    ),
    "i": Reason(
        "PyTorch adds up in the order of the elements in one pass; the compiler has "
        "no such loop with vectors, and a loop of rows, or a tree, reads them twice.",
        OTHERS,
        ALL,
        ("cumsum", "cumprod", "cummax", "cumsum of columns"),
    ),
    "j": Reason(
        "NumPy sorts; to this come the call back into Python and a copy of the result.",
        NUMPY,
        ALL,
        ("sort", "argsort", "median"),
    ),
    "l": Reason(
        "The compiler's loops over permuted axes are not tiled for the cache; NumPy's "
        "copy loops and PyTorch's are.",
        OTHERS,
        ALL,
        ("transpose",),
    ),
    "m": Reason(
        "Two pieces in one loop that chooses between them for each element; NumPy and "
        "PyTorch copy each piece.",
        ANY,
        ALL,
        ("roll", "repeat"),
    ),
    "n": Reason(
        "Binary searches for each element, as in JAX.",
        ANY,
        ALL,
        ("searchsorted",),
    ),
    "r": Reason(
        "The order that a key gives is JAX's, which sorts once for up to 1,600 "
        "elements, twice for up to 2.6 million, and then three times.",
        OTHERS,
        ALL,
        ("permutation",),
    ),
    "o": Reason(
        "Results depend on the key only, whatever the number of threads: each number "
        "is a hash of its place. Others draw from a state, one after another.",
        ANY,
        ALL,
        ("uniform", "normal"),
    ),
    "p": Reason(
        "LAPACK, of which all have other builds (SciPy's here, MKL there), and more "
        "calls: the factors, then the solution. Where other processes hold a core, its "
        "second thread is waited for: an inverse of 79 x 79 then takes 0.07 to 15 ms.",
        ANY,
        ALL,
        ("solve", "cholesky", "inverse"),
    ),
    "u": Reason(
        "The compiler's own formula, in float64 not replaced yet.",
        ANY,
        ALL,
        ("erfinv",),
    ),
    "q": Reason(
        "The compiler's own code (transforms, convolutions, products and scatters).",
        ANY,
        (MIDDLE, LARGE),
        (
            *("fft", "convolution", "image convolution", "matmul", "bincount"),
            *("erf", "sinh"),
            *("scatter add", "scatter set"),
        ),
    ),
    "s": Reason(
        "JAX gives the same compiler the same operation: what differs is noise, and "
        "flags that make compiling faster.",
        ("jax",),
        (SMALL, MIDDLE),
        (
            *("sum of rows", "sum of columns", "every second", "transpose"),
            *("concatenate", "erfinv", "tanh", "log", "scatter add", "exp"),
            *("top 10", "bincount", "expm1", "sqrt", "reverse"),
        ),
    ),
    "v": Reason(
        "Folded in steps of a few rows, each a loop; PyTorch has one loop for all.",
        ("torch",),
        (MIDDLE, LARGE),
        ("prod",),
    ),
    "w": Reason(
        "Computed in float64 and rounded once: dearer for 1,000 elements than the "
        "compiler's own way, faster for many.",
        ("jax",),
        (SMALL,),
        ("power", "log1p"),
    ),
    "x": Reason(
        "Each place is held against the edges on both sides, so that it is that of a "
        "search exactly: two more readings for each element.",
        OTHERS,
        (LARGE,),
        ("histogram",),
    ),
    "t": Reason(
        "The remainder of float32 is exact for quotients of any size: a division of "
        "ten steps, whatever the operands.",
        OTHERS,
        ALL,
        ("mod",),
    ),
}


def reason_for(row: str, peer: str, size: int) -> str:
    """Give the letter of the reason why a row is slower than a peer's; "" if none is.

    Args:
        row: the name of the row.
        peer: the fastest library.
        size: the number of elements.
    """
    for letter, reason in REASONS.items():
        named = not reason.rows or row in reason.rows
        if named and peer in reason.peers and size in reason.sizes:
            return letter
    return ""
