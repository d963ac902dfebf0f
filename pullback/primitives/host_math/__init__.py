"""Elementwise functions that the compiler vectorises on the host."""
