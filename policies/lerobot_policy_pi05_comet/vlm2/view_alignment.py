"""Viewpoint-aware alignment: geometry of a patch, seen from where the camera stands.

    aligned = MLP([G, W z])                            [C, C] -> hidden -> C, exact GELU
    global  = W' mean(z)                               one more token
    out     = [aligned patches, global]

Source: VLM2 (arXiv 2511.20644), as in openpi-comet.

Legend: B batch, h w patches, C width of geometry, V width of the view.
"""

import torch
from torch import Tensor, nn


class ViewAlignment(nn.Module):
    """Mixes a view into the geometry of every patch.

    Args:
        geometry_width: C.
        view_width: V.
        hidden: Width inside the network.
    """

    def __init__(self, geometry_width: int, view_width: int, hidden: int) -> None:
        super().__init__()
        self.view_proj_patch = nn.Linear(view_width, geometry_width)
        self.view_proj_global = nn.Linear(view_width, geometry_width)
        self.fusion_mlp = nn.Sequential(
            nn.Linear(2 * geometry_width, hidden), nn.GELU(), nn.Linear(hidden, geometry_width)
        )

    def forward(self, geometry_BhwC: Tensor, view_BhwV: Tensor) -> Tensor:
        """Tokens (B, h*w + 1, C): the patches, row after row, then the view of the whole picture.

        Args:
            geometry_BhwC: Geometry of each patch.
            view_BhwV: View of each patch; (B, 1, 1, V) where one view holds for all.
        """
        view_BhwC = self.view_proj_patch(view_BhwV).expand_as(geometry_BhwC)
        aligned_BhwC = self.fusion_mlp(torch.cat([geometry_BhwC, view_BhwC], dim=-1))
        global_B1C = self.view_proj_global(view_BhwV.mean(dim=(1, 2)))[:, None]
        return torch.cat([aligned_BhwC.flatten(1, 2), global_B1C], dim=1)
