"""Random programs: graphs of pieces, drawn from a seed."""

from dataclasses import dataclass

import numpy as np

import pullback.numpy as jnp
from tests.compositions.pieces import HOLDING, PIECES, SHAPES, tame

NAMES = tuple(PIECES)


@dataclass(frozen=True)
class Program:
    """A function of three arrays, as a list of pieces applied to earlier values.

    Fields:
        steps: name of a piece, the numbers of two values, and a static number.
        outputs: the numbers of the values that are given back.
    """

    steps: tuple[tuple[str, int, int, int], ...]
    outputs: tuple[int, ...]

    def __call__(self, *inputs):
        """Run the program; the results are arrays of different shapes."""
        values = list(inputs)
        for name, i, j, number in self.steps:
            values.append(tame(PIECES[name](values[i], values[j], number)))
        return [values[k] for k in self.outputs]

    def scalar(self, *inputs):
        """Run the program and add everything up."""
        total = 0.0
        for k, y in enumerate(self(*inputs)):
            total = total + jnp.sum(jnp.sin(y + k))
        return total


def random_program(seed, size=10, names=NAMES):
    """Draw a program in which every piece feeds an output."""
    rng = np.random.default_rng(seed)
    count = len(inputs_of(seed))
    steps = []
    unused = set(range(count))
    for step in range(size):
        known = count + step
        pool = tuple(HOLDING) if rng.uniform() < 0.25 and names is NAMES else names
        name = pool[rng.integers(len(pool))]
        i, j = (pick(rng, known, unused) for _ in range(2))
        steps.append((name, i, j, int(rng.integers(6))))
        unused -= {i, j}
        unused.add(known)
    outputs = sorted(unused | {count + size - 1})
    return Program(tuple(steps), tuple(outputs))


def pick(rng, known, unused):
    """Draw the number of a value, of one that nothing uses yet with preference."""
    if unused and rng.uniform() < 0.6:
        return int(rng.choice(sorted(unused)))
    return int(rng.integers(known))


def inputs_of(seed):
    """Draw the inputs of a program: a scalar, a vector and a matrix."""
    rng = np.random.default_rng(1000 + seed)
    shapes = ((), *[SHAPES[i] for i in rng.permutation([1, 2, 3])[:2]])
    return [rng.uniform(-1.5, 1.5, shape) for shape in shapes]
