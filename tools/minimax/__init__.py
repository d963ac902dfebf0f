"""Polynomial approximations, fitted."""
