"""Losses: torch only, nothing of sercore."""
