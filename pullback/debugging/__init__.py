"""Seeing into programs and their derivatives while they run."""
