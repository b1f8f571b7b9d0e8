"""Recordings: item tables, readers, cards, split plans, audits. Imports no torch."""
