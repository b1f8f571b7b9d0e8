"""Layers: torch only, nothing of sercore."""
