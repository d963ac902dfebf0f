"""Pullback beside its peers: what things cost, in one run on one machine."""
