"""What became of a training: its weights, and whether several processes can train together."""
