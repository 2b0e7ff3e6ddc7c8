"""The commands of `docs/requirements.md`, run small in this process, and what was asked written down."""

import re
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from evaluating import lerobot_eval_here
from lerobot.configs import PreTrainedConfig
from lerobot.policies import get_policy_class, make_pre_post_processors
from training import TINY, Run, command, lerobot_train_here
from vla_rows import episode_rows, write

from lerobot_plugins.cli.main import main

PAGE = Path(__file__).parents[2] / "docs/requirements.md"
YAML = """
data: {{train_parquet_files: rows, batch_size: 20, max_seq_len: 1}}
model:
  vlm_config: {{model_name_or_path: ./weight/paligemma-3b-pt-224, num_image_tokens: {tokens}}}
  action_head_config: {{horizon: 8, per_action_dim: 3, action_dim: 24}}
training: {{epochs: 10, save_every_n_epochs: 1}}
"""


def promises() -> dict[str, str]:
    """Number of each promise of the page -> its row."""
    return dict(re.findall(r"^\| (R\d+) (\|.*)$", PAGE.read_text(), re.MULTILINE))


class Promises:
    """A folder with rows, the dataset that was converted from them, and a run on it.

    Args:
        folder: A new folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self._count = 0

    def new(self) -> Path:
        """A path that does not exist yet."""
        self._count += 1
        return self.folder / f"{self._count}"

    def plugins(self, *words: Any, status: int = 0) -> None:
        """`lerobot-plugins` with these words."""
        given = [str(word) for word in words]
        self.asked += ["lerobot-plugins " + given[0], *given]
        assert main(given) == status

    @cached_property
    def rows(self) -> Path:
        """Two files of rows; prompts in two alphabets, the last number of the actions never changes."""
        folder = self.new()
        for number, prompt in enumerate(("把红色的块放进碗里", "ouvre le tiroir, s'il te plaît")):
            rows = [row | {"prompt": prompt} for row in episode_rows(number, 9)]
            for row in rows:
                row["action"][-1] = 0.5
            write(folder / f"rows_{number}.parquet", rows)
        return folder

    def convert(self, *inputs: Path | str, options: tuple[str, ...] = (), status: int = 0) -> Path:
        """`lerobot-plugins convert vla-parquet`, pictures stored as they are."""
        root = self.new()
        fixed = ("--repo-id", "me/data", "--root", root, "--fps", "10", "--images=jpeg", "--workers=1")
        self.plugins("convert", "vla-parquet", *inputs, *fixed, *options, status=status)
        return root

    @cached_property
    def data(self) -> Path:
        return self.convert(self.rows)

    def train(self, *options: str, raw: bool = False) -> Run:
        """`lerobot-train T` with these options, for two steps; `raw` takes them alone."""
        output = self.new() / "out"
        given = list(options) if raw else command(self.data, output, *TINY, "--steps=2", *options)
        self.asked += ["lerobot-train", *given]
        return lerobot_train_here(output, *given)

    @cached_property
    def run(self) -> Run:
        """`lerobot-train T`."""
        return self.train()

    def copy_of_run(self) -> Path:
        return Path(shutil.copytree(self.run.output, self.new() / "out", symlinks=True))

    def evaluate(self, policy: Path | None = None, *options: str) -> tuple[dict[str, Any], Path]:
        """`lerobot-eval --policy.path=C` on the recording: metrics and the report's folder."""
        folder = self.new()
        self.asked += ["lerobot-eval", "--policy.path", *options]
        metrics = lerobot_eval_here(policy or self.run.policy(), self.data, folder, *options)
        return metrics, folder / "report"

    def load(self, folder: Path) -> tuple[Any, Any, Any]:
        """The policy of a folder and its processors."""
        config = PreTrainedConfig.from_pretrained(folder)
        policy = get_policy_class(config.type).from_pretrained(folder, config=config)
        return policy, *make_pre_post_processors(config, str(folder))

    def yaml(self, tokens: int = 256) -> Path:
        """A YAML of PaliGemma-VLA."""
        path = self.new().with_suffix(".yaml")
        path.write_text(YAML.format(tokens=tokens))
        return path


def same_tensors(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], part: str) -> bool:
    """Whether all tensors of a part of the network are equal in both, to the precision of the first."""
    names = [name for name in one if part in name]
    assert names, part
    return all(torch.equal(one[name], other[name].to(one[name].dtype)) for name in names)
