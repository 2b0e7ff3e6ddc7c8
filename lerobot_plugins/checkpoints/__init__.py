"""Weights on disk: strict loading with a report, first checkpoints for adapters."""
