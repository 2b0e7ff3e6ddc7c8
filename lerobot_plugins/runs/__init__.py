"""Training runs: what they are started with, what they need, what their logs say."""
