"""The LIBERO simulator as LeRobot gives it, with metric depth beside its pictures.

`--env.type=libero_depth` takes every option of `--env.type=libero`. Importing this package registers the
environment's config and nothing more.
"""

from lerobot_env_libero_depth.config import LiberoDepthEnv

__all__ = ["LiberoDepthEnv"]
