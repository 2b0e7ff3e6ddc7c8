"""`vision_resampler_type`: each resampler is really between the towers, trained, saved and masked right."""

from typing import Any

import pytest
import torch
from tiny_policies import observation_batch, tiny_config, tiny_policy, training_batch

from lerobot_plugins.errors import ZooError
from lerobot_policy_paligemma_flow.modeling_paligemma_flow import PaliGemmaFlowPolicy

TYPE = "paligemma_flow"
KINDS = ("mlp", "pool", "perceiver")
CAMERA = "observation.images.image2"
FEW = {"resampler_num_tokens": 16}  # of the 64 tokens of a tiny picture


@pytest.fixture(scope="module")
def batch() -> dict[str, Any]:
    return training_batch(tiny_config(TYPE))


@pytest.fixture(scope="module", params=KINDS)
def policy(request) -> PaliGemmaFlowPolicy:
    return tiny_policy(TYPE, vision_resampler_type=request.param, **FEW)


@torch.no_grad()
def test_the_prefix_has_the_resamplers_tokens(policy, batch):
    _, mask = policy.encode(batch)
    per_picture = 64 if policy.config.vision_resampler_type == "mlp" else 16
    assert mask.shape[1] == 2 * per_picture + batch["observation.language.tokens"].shape[1]


@torch.no_grad()
def test_the_mlp_starts_as_none(batch):
    torch.manual_seed(0)
    plain = PaliGemmaFlowPolicy(tiny_config(TYPE)).eval()
    torch.manual_seed(0)
    corrected = PaliGemmaFlowPolicy(tiny_config(TYPE, vision_resampler_type="mlp")).eval()
    assert torch.equal(corrected.encode(batch)[0], plain.encode(batch)[0])


@torch.no_grad()
def test_a_missing_camera_is_a_masked_one(policy):
    batch = observation_batch(policy.config)
    policy.config.allow_missing_cameras = policy.pictures._allow_missing = True
    absent = {key: value for key, value in batch.items() if key != CAMERA}
    _, mask = policy.encode(absent)
    _, whole = policy.encode(batch)
    assert mask.sum() < whole.sum()
    images = list(policy.pictures(batch, training=False).values())
    prompt = batch["observation.language.tokens"], batch["observation.language.attention_mask"]
    no = torch.zeros(3, dtype=torch.bool)
    masked = policy.vlm(images, [None, no], *prompt, resampler=policy.vision_resampler)
    alone = policy.vlm(images[:1], [None], *prompt, resampler=policy.vision_resampler)
    kept = masked.hidden_BSD[masked.mask_BS]
    torch.testing.assert_close(kept, alone.hidden_BSD[alone.mask_BS], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["mlp", "perceiver"])
def test_it_trains_between_frozen_towers(batch, kind):
    frozen = {"freeze_vision_tower": True, "freeze_language_model": True, "gradient_checkpointing": True}
    policy = tiny_policy(TYPE, vision_resampler_type=kind, **FEW, **frozen).train()
    policy(batch)[0].backward()
    silent = [n for n, p in policy.vision_resampler.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
    listed = {id(p) for group in policy.get_optim_params()[:2] for p in group["params"]}
    assert {id(p) for p in policy.vision_resampler.parameters()} <= listed, "at the head's learning rate"
    assert [n for n, p in policy.vlm.named_parameters() if p.grad is not None] == []


def test_adapters_train_it_in_full(policy):
    saved = policy._get_default_peft_targets()["modules_to_save"]
    assert ("vision_resampler" in saved) == (policy.config.vision_resampler_type != "pool")


def test_it_comes_back_from_a_checkpoint(policy, tmp_path):
    policy.save_pretrained(tmp_path)
    batch = observation_batch(policy.config)
    loaded = PaliGemmaFlowPolicy.from_pretrained(tmp_path)
    policy.reset()
    assert torch.equal(loaded.predict_action_chunk(batch), policy.predict_action_chunk(batch))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vision_resampler_type": "qformer"}, "none or mlp or pool or perceiver"),
        ({"vision_resampler_type": "mlp", "resampler_hidden_dim": 0}, "resampler_hidden_dim"),
        ({"vision_resampler_type": "mlp", "vlm_grad_scale": 0.0}, "nothing would train the resampler"),
    ],
)
def test_wrong_values_are_refused_at_once(changes, message):
    with pytest.raises(ZooError, match=message):
        tiny_config(TYPE, **changes)


def test_a_frozen_language_model_behind_a_perceiver_is_pointed_out(caplog):
    tiny_policy(TYPE, vision_resampler_type="perceiver", freeze_language_model=True)
    assert "frozen and will see tokens of the perceiver" in caplog.text
