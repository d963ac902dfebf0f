"""Transformations of functions: forward and reverse mode, batching, staging."""
