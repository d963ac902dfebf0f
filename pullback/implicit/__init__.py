"""Solvers whose derivatives follow from what they solve, not from how they do it."""
