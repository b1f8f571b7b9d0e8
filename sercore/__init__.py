"""A reproducible study of speech emotion recognition.

The way through: corpus folder -> item table -> split plan -> features -> model -> fit -> sealed evaluator -> prediction table ->
run store -> tidy rows -> ledger (published numbers beside ours) -> page. Nothing flows back.
"""

__version__ = "0.1.0"
