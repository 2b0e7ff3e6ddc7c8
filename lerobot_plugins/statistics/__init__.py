"""Exact statistics of datasets, and the hash by which a checkpoint names those it was trained with."""
