"""Figures of the book: drawn from tidy rows only, each with a text that says what it shows."""
