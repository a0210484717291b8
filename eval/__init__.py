"""Scores of generated text: predictions, metrics with intervals, errors, reports.

Reads what `summarizer` generates; knows no training. Nothing here imports torch until a model is
really needed, so that every command answers `--help` at once.
"""
