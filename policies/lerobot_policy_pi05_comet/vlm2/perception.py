"""3-D perception: what a camera sees, with where it lies in space.

    paper:            F' = F + gate*phi          H = LN(F' + S)
    gated_identity:   F' = F + gate*LN(phi) A    H = F' + LN(S) B    matrices A = B = 0 at the start

phi is the position injection, S the semantic-geometric fusion of F' with the view-aligned geometry. In the
published form the LayerNorm replaces the scale that the pretrained tokens had, whatever the gates; gated,
the tokens are those of the pretrained model until training opens a gate.

Source: VLM2 (arXiv 2511.20644), as in openpi-comet.

Legend: B pictures, h w patches, N = h*w, D width of the tokens, G width of the encoder's geometry, Y width of
its view, C width of geometry and view inside.
"""

from torch import Tensor, nn

from lerobot_policy_pi05_comet.vlm2.geometry.base import Geometry, on_grid
from lerobot_policy_pi05_comet.vlm2.position_injection import PositionInjection
from lerobot_policy_pi05_comet.vlm2.semantic_fusion import SemanticGeometricFusion
from lerobot_policy_pi05_comet.vlm2.view_alignment import ViewAlignment
from lerobot_policy_pi05_comet.vlm2.zero_gate import ZeroGate

PAPER, GATED = "paper", "gated_identity"
RESIDUAL_MODES = (GATED, PAPER)


class Perception(nn.Module):
    """Injects positions and fuses geometry into picture tokens.

    Args:
        width: D.
        encoder_widths: (G, Y) of the geometry encoder.
        geometry_width: C of the geometry.
        view_width: Width of the view inside.
        hidden: Width inside the small networks.
        heads: Attention heads, a divisor of D.
        residual_mode: One of `RESIDUAL_MODES`.
    """

    def __init__(
        self,
        width: int,
        encoder_widths: tuple[int, int],
        *,
        geometry_width: int,
        view_width: int,
        hidden: int,
        heads: int,
        residual_mode: str,
    ) -> None:
        super().__init__()
        self.geometry_proj = nn.Linear(encoder_widths[0], geometry_width)
        self.view_proj = nn.Linear(encoder_widths[1], view_width)
        self.gated = residual_mode == GATED
        self.position_injection = PositionInjection(width, hidden, normalized=self.gated)
        self.view_alignment = ViewAlignment(geometry_width, view_width, hidden)
        self.fusion = SemanticGeometricFusion(width, geometry_width, heads)
        self.layer_norm = nn.LayerNorm(width)
        if self.gated:
            self.position_gate = ZeroGate(width)
            self.fusion_gate = ZeroGate(width)

    def forward(self, tokens_BND: Tensor, geometry: Geometry) -> Tensor:
        """Tokens (B, N, D) of pictures whose geometry is given; N must be a square of patches."""
        side = round(tokens_BND.shape[1] ** 0.5)
        features_BhwG, point_Bhw3, valid_Bhw = on_grid(geometry, side)
        return self.fuse(
            tokens_BND.unflatten(1, (side, side)),
            point_Bhw3,
            valid_Bhw,
            self.geometry_proj(features_BhwG),
            self.view_proj(geometry.view_BY)[:, None, None],
        )

    def fuse(
        self,
        tokens_BhwD: Tensor,
        point_Bhw3: Tensor,
        valid_Bhw: Tensor,
        geometry_BhwC: Tensor,
        view_B11C: Tensor,
    ) -> Tensor:
        """The formula above, on projected geometry; (B, N, D)."""
        injected = self.position_injection(tokens_BhwD, point_Bhw3, valid_Bhw)
        if self.gated:
            injected = self.position_gate(injected)
        placed_BND = (tokens_BhwD + injected).flatten(1, 2)
        fused_BND = self.fusion(placed_BND, self.view_alignment(geometry_BhwC, view_B11C))
        if self.gated:
            return placed_BND + self.fusion_gate(self.layer_norm(fused_BND))
        return self.layer_norm(placed_BND + fused_BND)
