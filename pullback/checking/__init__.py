"""Derivatives and custom rules held against other ways to know the same numbers."""
