"""Minimax polynomials by the exchange algorithm of Remez, with 50 digits.

E. Ya. Remez, Sur le calcul effectif des polynomes d'approximation de Tchebychef,
Comptes rendus 199 (1934). The relative error of a polynomial is levelled: its extrema
are found on a grid and polished, and the polynomial through them with an alternating
error is solved for, until the extrema agree.
"""

from collections.abc import Callable, Sequence

import mpmath as mp

mp.mp.dps = 50
Number = mp.mpf
GRID = 40  # points between two extrema


def value(coefficients: Sequence[Number], x: Number) -> Number:
    """Evaluate a polynomial, constant term first."""
    return mp.polyval(list(coefficients)[::-1], x)


def levelled(
    f: Callable[[Number], Number],
    weight: Callable[[Number], Number],
    points: Sequence[Number],
) -> list[Number]:
    """Solve for the coefficients whose weighted error at the points alternates."""
    count = len(points)
    rows = mp.matrix(count, count)
    right = mp.matrix(count, 1)
    for i, x in enumerate(points):
        for j in range(count - 1):
            rows[i, j] = x**j
        rows[i, count - 1] = (-1) ** i / weight(x)
        right[i] = f(x)
    return list(mp.lu_solve(rows, right))[:-1]


def extrema(error: Callable[[Number], Number], low: Number, high: Number, count: int):
    """Find the places of greatest error of alternating sign."""
    total = count * GRID
    # As dense at the ends as the zeros of a Chebyshev polynomial.
    grid = [
        (low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * k / total)
        for k in range(total + 1)
    ]
    values = [error(x) for x in grid]
    best: list[tuple[Number, Number]] = []
    for x, e in zip(grid, values, strict=True):
        if best and mp.sign(best[-1][1]) == mp.sign(e):
            if abs(e) > abs(best[-1][1]):
                best[-1] = (x, e)
        elif e != 0:
            best.append((x, e))
    while len(best) > count:
        best.pop(0 if abs(best[0][1]) < abs(best[-1][1]) else -1)
    return best


def minimax(
    f: Callable[[Number], Number],
    low: float,
    high: float,
    degree: int,
    weight: Callable[[Number], Number] | None = None,
    rounds: int = 12,
) -> tuple[list[Number], Number]:
    """Fit a polynomial with the least greatest weighted error.

    Args:
        f: the function.
        low: the lower end of the interval.
        high: the upper end.
        degree: the polynomial's degree.
        weight: what the error is multiplied by; 1 / |f| if not given.
        rounds: how many exchanges at most.

    Returns:
        The coefficients, constant term first, and the greatest error.
    """
    low, high = mp.mpf(low), mp.mpf(high)
    weight = weight or (lambda x: 1 / abs(f(x)))
    count = degree + 2
    points = [
        (low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * k / (count - 1))
        for k in range(count)
    ]
    for _ in range(rounds):
        found = levelled(f, weight, points)
        places = extrema(
            lambda x, p=found: (value(p, x) - f(x)) * weight(x), low, high, count
        )
        sizes = [abs(e) for _, e in places]
        if len(places) < count or max(sizes) < min(sizes) * mp.mpf("1.001"):
            break
        points = [x for x, _ in places]
    return found, max(sizes)
