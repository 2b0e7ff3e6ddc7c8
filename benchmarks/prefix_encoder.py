"""The prefix encoder beside transformers' own modules, used the way LeRobot's stock pi05 uses them.

Both sides hold the same weights. The stock way sends each camera through SigLIP on its own, an absent third
camera as black pictures that are masked afterwards, and a prompt padded to 200 tokens. Ours stacks the
cameras that exist and pads to the longest prompt. The hidden states of the real tokens are compared first.

    python benchmarks/prefix_encoder.py [--batch 4] [--repeats 5]

The last line is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import Tensor

from lerobot_plugins.nn.paligemma import build_paligemma
from lerobot_plugins.nn.prefix_encoder import PrefixEncoder, positions_from_mask

# PaliGemma's shape at an eighth of its width and a third of its depth: a CPU can repeat it.
GEOMETRY = {
    "projection_dim": 256,
    "hidden_size": 256,
    "image_token_index": 259,
    "vision_config": {
        "hidden_size": 144,
        "intermediate_size": 538,
        "num_hidden_layers": 9,
        "num_attention_heads": 4,
        "patch_size": 14,
        "image_size": 224,
        "vision_use_head": False,
    },
    "text_config": {
        "hidden_size": 256,
        "intermediate_size": 2048,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "vocab_size": 264,
    },
}
REAL_TOKENS, PADDED_TOKENS = 20, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    model = build_paligemma(GEOMETRY).eval()
    encoder = PrefixEncoder(model).eval()
    batch = arguments.batch
    images = [torch.rand(batch, 3, 224, 224) * 2 - 1 for _ in range(2)]
    tokens = torch.randint(3, 250, (batch, PADDED_TOKENS))
    mask = torch.arange(PADDED_TOKENS).expand(batch, -1) < REAL_TOKENS

    def stock() -> Tensor:
        pictures = [*images, torch.full_like(images[0], -1.0)]
        features = [model.get_image_features(picture).pooler_output for picture in pictures]
        x = torch.cat([*features, model.get_input_embeddings()(tokens)], dim=1)
        valid = torch.cat([torch.ones(batch, 512), torch.zeros(batch, 256), mask], dim=1).bool()
        bias = torch.zeros(batch, 1, 1, x.shape[1]).masked_fill(~valid[:, None, None], -1e30)
        hidden = model.language_model(
            inputs_embeds=x, attention_mask=bias, position_ids=positions_from_mask(valid), use_cache=False
        ).last_hidden_state
        return torch.cat([hidden[:, :512], hidden[:, 768 : 768 + REAL_TOKENS]], dim=1)

    def ours() -> Tensor:
        prefix = encoder(images, [None, None], tokens[:, :REAL_TOKENS], mask[:, :REAL_TOKENS])
        assert prefix.hidden_BSD is not None
        return prefix.hidden_BSD

    with torch.inference_mode():
        difference = float((stock() - ours()).abs().max())
        # In turn, so that both meet the same state of a shared machine.
        pairs = [(seconds(stock), seconds(ours)) for _ in range(arguments.repeats)]
    ratios = sorted(theirs / own for theirs, own in pairs)
    result = {
        "benchmark": "prefix_encoder",
        "peer": "transformers modules called as LeRobot 0.6.1 pi05 does",
        "batch": batch,
        "prefix_tokens": {"peer": 768 + PADDED_TOKENS, "ours": 512 + REAL_TOKENS},
        "max_difference": difference,
        "peer_seconds": sorted(theirs for theirs, _ in pairs)[len(pairs) // 2],
        "our_seconds": sorted(own for _, own in pairs)[len(pairs) // 2],
        "speedup_median": ratios[len(ratios) // 2],
        "speedup_range": [ratios[0], ratios[-1]],
    }
    print(f"largest difference of the real tokens' hidden states: {difference:.1e}")
    print(f"peer {result['peer_seconds']:.3f} s, ours {result['our_seconds']:.3f} s a batch of {batch}")
    print(json.dumps(result))


def seconds(call: Callable[[], Tensor]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
