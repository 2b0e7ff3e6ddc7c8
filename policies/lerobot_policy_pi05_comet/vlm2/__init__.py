"""The parts of VLM2 (arXiv 2511.20644), a module per file."""
