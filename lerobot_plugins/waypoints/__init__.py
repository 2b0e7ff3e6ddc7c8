"""Waypoints of recorded episodes: extraction, the table beside a dataset, published index files."""
