"""`libero_depth` as LeRobot's commands see it; nothing here needs the simulator."""

import sys

import pytest
from lerobot.configs import FeatureType
from lerobot.configs.eval import EvalPipelineConfig
from lerobot.envs.configs import EnvConfig, LiberoEnv
from lerobot.envs.factory import make_env_config, make_env_pre_post_processors
from lerobot.envs.utils import env_to_policy_features
from recipes import understood

from lerobot_env_libero_depth import LiberoDepthEnv
from lerobot_plugins.errors import ZooError

SIZE = {"observation_height": 64, "observation_width": 96}


def test_it_adds_depth_of_each_camera_to_the_features_of_libero_and_nothing_else():
    plain, deep = (
        env_to_policy_features(make_env_config(name, **SIZE)) for name in ("libero", "libero_depth")
    )
    added = {key: deep[key] for key in deep.keys() - plain.keys()}
    assert {key: (value.type, value.shape) for key, value in added.items()} == {
        "observation.images.image_depth": (FeatureType.VISUAL, (1, 64, 96)),
        "observation.images.image2_depth": (FeatureType.VISUAL, (1, 64, 96)),
    }
    assert {key: deep[key] for key in plain} == plain


def test_cameras_that_are_left_out_or_renamed_keep_their_depth_beside_them():
    one = make_env_config("libero_depth", camera_name="agentview_image")
    assert one.depth_keys == {"agentview_image": "observation.images.image_depth"}
    names = {"agentview_image": "top", "robot0_eye_in_hand_image": "wrist"}
    renamed = make_env_config("libero_depth", camera_name_mapping=names)
    assert list(renamed.depth_keys.values()) == [
        "observation.images.top_depth",
        "observation.images.wrist_depth",
    ]


def test_the_command_line_knows_it_and_all_of_liberos_options():
    options = [
        "--policy.path=somewhere",
        "--env.type=libero_depth",
        "--env.task=libero_object",
        "--env.task_ids=[3, 8]",
        "--env.depth_output_unit=m",
    ]
    env = understood(EvalPipelineConfig, options, "pi05_comet_vlm2").env
    assert isinstance(env, LiberoDepthEnv)
    assert (env.task_ids, env.depth_output_unit) == ([3, 8], "m")
    with pytest.raises(ZooError, match="mm or m"):
        LiberoDepthEnv(depth_output_unit="cm")


def test_its_processors_are_stock_and_the_simulator_is_not_imported():
    assert issubclass(EnvConfig.get_choice_class("libero_depth"), LiberoEnv)
    steps = [
        make_env_pre_post_processors(make_env_config(n), None)[0].steps for n in ("libero", "libero_depth")
    ]
    assert [type(step) for step in steps[0]] == [type(step) for step in steps[1]]
    assert "libero" not in sys.modules
