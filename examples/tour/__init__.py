"""A walk through a document on custom derivative rules, example by example.

The document is "Custom derivative rules for JAX-transformable Python functions" (2020).
Run it with `make tour`.
"""
