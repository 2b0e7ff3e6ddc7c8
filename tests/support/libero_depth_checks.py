"""What `libero_depth` gives in the real simulator, as JSON on standard output.

Runs in the simulator's own environment (`scripts/libero_setup.py`). Beside stock `libero` it takes the same
actions from the same start. Its depth is then held against rays that MuJoCo casts through the same pixels.
"""

import json
import sys
from typing import Any

import mujoco
import numpy as np
import torch
from lerobot.envs.configs import LiberoEnv
from lerobot.envs.factory import make_env, make_env_pre_post_processors
from lerobot.envs.utils import preprocess_observation

from lerobot_env_libero_depth import LiberoDepthEnv

HEIGHT, WIDTH = 96, 128
TASK = {"task": "libero_object", "task_ids": [3], "observation_height": HEIGHT, "observation_width": WIDTH}
ACTIONS = np.random.default_rng(0).uniform(-1, 1, (4, 1, 7)).astype(np.float32)
CAMERAS = {"observation.images.image": "agentview", "observation.images.image2": "robot0_eye_in_hand"}
# A pixel of an antialiased picture shows a point anywhere inside it.
WITHIN_A_PIXEL = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 9)] * 2), -1).reshape(-1, 2)
VISIBLE = np.array([0, 1, 0, 0, 0, 0], np.uint8)


def rollout(config: LiberoEnv) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    """What a policy gets at each step, reward and end included; and the depth of the first beside rays."""
    env = make_env(config)["libero_object"][3]
    process, _ = make_env_pre_post_processors(config, None)
    observation, _ = env.reset(seed=[1000])
    steps = [seen(process, observation)]
    rays = against_rays(env, steps[0]) if isinstance(config, LiberoDepthEnv) else {}
    for action in ACTIONS:
        observation, reward, terminated, truncated, info = env.step(action)
        steps.append(seen(process, observation))
        steps[-1] |= {"reward": torch.tensor(reward), "end": torch.tensor([*terminated, *truncated])}
        steps[-1]["success"] = torch.tensor([bool(each) for each in info["is_success"]])
    env.close()
    return steps, rays


def seen(process: Any, observation: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What a policy gets."""
    batch = process(preprocess_observation(observation))
    return {key: value for key, value in batch.items() if key.startswith("observation.")}


def against_rays(env: Any, observation: dict[str, torch.Tensor]) -> dict[str, list[float]]:
    """Millimetres between back-projected pixels and where rays through them hit: median and 90 %.

    Everything has come to rest after a reset, so the simulator still shows what the observation shows.
    """
    sim = env.envs[0].unwrapped._env.env.sim
    model, data = sim.model._model, sim.data._data
    found = {}
    for key, values in env.envs[0].camera_intrinsics().items():
        fx, fy, cx, cy = values[:4]
        depth_HW = observation[f"{key}_depth"][0, 0].numpy() / 1000
        camera = model.camera(CAMERAS[key]).id
        position, turned = data.cam_xpos[camera], data.cam_xmat[camera].reshape(3, 3)
        errors = []
        for u, v in np.random.default_rng(1).integers(0, (WIDTH, HEIGHT), (150, 2)):
            hits = []
            for du, dv in WITHIN_A_PIXEL:
                # x to the right, y down, z forward; MuJoCo's cameras look along -z.
                ray = turned @ ((u + du - cx) / fx, -(v + dv - cy) / fy, -1.0)
                length = np.linalg.norm(ray)
                distance = mujoco.mj_ray(
                    model, data, position, ray / length, VISIBLE, 1, -1, np.zeros(1, np.int32)
                )
                hits.append(abs(distance / length - depth_HW[v, u]))
            errors.append(1000 * min(hits))
        found[CAMERAS[key]] = [float(np.percentile(errors, share)) for share in (50, 90)]
    return found


def main() -> None:
    plain, _ = rollout(LiberoEnv(**TASK))
    deep, rays = rollout(LiberoDepthEnv(**TASK))
    different = sorted(
        {
            key
            for one, other in zip(plain, deep, strict=True)
            for key in one
            if not torch.equal(one[key], other[key])
        }
    )
    json.dump(
        {
            "compared": sorted(plain[-1]),
            "different": different,
            "added": sorted(deep[-1].keys() - plain[-1].keys()),
            "shape": list(deep[0]["observation.images.image_depth"].shape),
            "rays": rays,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
