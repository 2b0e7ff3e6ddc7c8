"""Semantic-geometric fusion: what a patch shows asks for what the geometry knows.

    S = cross_attention(query = F', keys = values = aligned geometry)

Source: VLM2 (arXiv 2511.20644), as in openpi-comet.
"""

from lerobot_policy_pi05_comet.vlm2.cross_attention import CrossAttention


class SemanticGeometricFusion(CrossAttention):
    """(B, N, D) picture tokens and (B, h*w + 1, C) geometry -> (B, N, D)."""
