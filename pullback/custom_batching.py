"""Batching rules of one's own: `custom_vmap`, and `sequential_vmap`."""

from __future__ import annotations

from pullback.custom.custom_vmap import custom_vmap as custom_vmap

__all__ = ["custom_vmap"]
