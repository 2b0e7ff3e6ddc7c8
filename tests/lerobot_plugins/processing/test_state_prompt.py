"""pi0.5's prompt: openpi's text to the character, its integers, and no prompt that is cut."""

import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from lerobot.lerobot_types import TransitionKey
from lerobot.policies.pi05.processor_pi05 import Pi05PrepareStateTokenizerProcessorStep
from lerobot.processor import PolicyProcessorPipeline
from lerobot.utils.constants import OBS_LANGUAGE_ATTENTION_MASK, OBS_LANGUAGE_TOKENS, OBS_STATE
from real_tokenizer import paligemma_folder
from small_tokenizer import SPECIAL, save_tokenizer
from stub_policy import stub_config
from tokenizers import Tokenizer

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing import runtime
from lerobot_plugins.processing.state_prompt import StatePromptTokenizerStep, clean_task, state_integers
from lerobot_plugins.processing.text_tokenizer import ByteTokenizer, FileTokenizer, read_tokenizer_file

BOS = 2
GOLDEN = Path(__file__).parents[4] / "shared/tools/tokenizers/golden_paligemma.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(autouse=True)
def _no_run():
    yield
    runtime.bind(None, None)


def start_run(*tasks: str, **changes: object) -> None:
    """Training on a dataset of these tasks."""
    config = stub_config(**{"prompt_max_len": 512} | changes)
    config.discrete_state_input = True
    runtime.bind(SimpleNamespace(tasks=pd.DataFrame(index=list(tasks))), config)


def run(step: StatePromptTokenizerStep, state: torch.Tensor | None, *tasks: str) -> tuple:
    transition = {
        TransitionKey.OBSERVATION: {} if state is None else {step.state_key: state},
        TransitionKey.COMPLEMENTARY_DATA: {"task": list(tasks)},
    }
    observation = step(transition)[TransitionKey.OBSERVATION]
    return observation[OBS_LANGUAGE_TOKENS], observation[OBS_LANGUAGE_ATTENTION_MASK]


def text_of(ids: torch.Tensor) -> str:
    """Back from byte tokens."""
    return bytes(int(i) - ByteTokenizer.offset for i in ids if i >= ByteTokenizer.offset).decode()


# Integers.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((-1.5, -1), (-1.0000001, -1), (-1.0, 0), (-0.5, 64), (-0.0039, 127)),
        *((0.0, 128), (0.5, 192), (0.9921875, 255), (1.0, 255), (1.7, 255)),
    ],
)
def test_reference_integers(value, expected):
    assert state_integers(np.array([value])).tolist() == [expected]
    tokens, _ = run(StatePromptTokenizerStep(), torch.tensor([[value]]), "go")
    assert text_of(tokens[0]) == f"Task: go, State: {expected};\nAction: "


def test_the_whole_range_against_the_definition():
    values = np.linspace(-1.2, 1.2, 4001)
    expected = np.clip(np.floor((values + 1) * 128), -1, 255)
    np.testing.assert_array_equal(state_integers(values), expected)


# Text.


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  pick_up the soup \n", "pick up the soup"),
        ("Pick UP\nnow", "Pick UP now"),
        ("two  blanks,\ta tab", "two  blanks,\ta tab"),
        ("_soup_", " soup "),
        ("", ""),
    ],
)
def test_only_openpis_cleaning(raw, clean):
    assert clean_task(raw) == clean


def test_text_and_integers_are_stock_pi05s():
    """LeRobot's own step writes the same text into the task."""
    state = torch.randn(3, 23, generator=torch.Generator().manual_seed(0))
    tasks = ["pick_up the Soup ", "open\nthe drawer", "go"]
    given = {
        TransitionKey.OBSERVATION: {OBS_STATE: state},
        TransitionKey.COMPLEMENTARY_DATA: {"task": list(tasks)},
    }
    expected = Pi05PrepareStateTokenizerProcessorStep()(given)[TransitionKey.COMPLEMENTARY_DATA]["task"]
    tokens, _ = run(StatePromptTokenizerStep(), state, *tasks)
    assert [text_of(row) for row in tokens] == expected


def test_bos_comes_first_and_no_newline_ends_the_prompt():
    tokens, mask = run(StatePromptTokenizerStep(), torch.zeros(1, 2), "go")
    assert tokens[0, 0] == BOS
    assert text_of(tokens[0]) == "Task: go, State: 128 128;\nAction: "
    assert tokens[0, -1] == ord(" ") + ByteTokenizer.offset
    assert mask.all()


def test_without_state_the_text_and_a_newline():
    step = StatePromptTokenizerStep(discrete_state=False)
    tokens, _ = run(step, None, "pick_up")
    assert tokens[0, 0] == BOS
    assert text_of(tokens[0]) == "pick up\n"


def test_of_several_steps_the_last_counts():
    state = torch.stack([torch.full((2, 3), -0.5), torch.full((2, 3), 0.5)], dim=1)
    tokens, _ = run(StatePromptTokenizerStep(), state, "go", "go")
    assert text_of(tokens[1]) == "Task: go, State: 192 192 192;\nAction: "


def test_the_state_may_have_another_name_and_precision():
    step = StatePromptTokenizerStep(state_key="observation.proprio")
    tokens, _ = run(step, torch.full((1, 1), 0.5, dtype=torch.bfloat16), "go")
    assert text_of(tokens[0]) == "Task: go, State: 192;\nAction: "


def test_rows_are_padded_on_the_right():
    tokens, mask = run(StatePromptTokenizerStep(), torch.tensor([[-1.0], [0.5]]), "go", "go")
    assert mask.sum(1).tolist() == [tokens.shape[1] - 2, tokens.shape[1]]
    assert (tokens[~mask] == ByteTokenizer.pad_id).all()
    fixed, _ = run(StatePromptTokenizerStep(padding="max_length"), torch.zeros(1, 1), "go")
    assert fixed.shape == (1, 512)


def test_the_first_prompt_is_in_the_log_once(caplog):
    step = StatePromptTokenizerStep()
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            run(step, torch.zeros(1, 1), "go")
    assert [record.getMessage() for record in caplog.records] == [
        "the first prompt: 'Task: go, State: 128;\\nAction: '"
    ]


# What is refused.


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_state_is_refused_with_its_dimension(value):
    state = torch.zeros(2, 5)
    state[1, 3] = value
    with pytest.raises(ZooError, match=rf"not finite(.|\n)*{value} in dimension 3 of row 1"):
        run(StatePromptTokenizerStep(), state, "go", "go")


def test_a_missing_state_is_refused():
    with pytest.raises(ZooError, match=r"observation\.state(.|\n)*--rename_map"):
        run(StatePromptTokenizerStep(), None, "go")


@pytest.mark.parametrize("shape", [(3,), (3, 2), (1, 2, 3, 4)])
def test_a_state_of_other_rows_is_refused(shape):
    with pytest.raises(ZooError, match="2 tasks"):
        run(StatePromptTokenizerStep(), torch.zeros(shape), "go", "go")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_long_prompt_is_never_cut(order):
    """Two rows of one task; the state of one is too long."""
    state = torch.tensor([[-1.0], [1.0]])[list(order)]
    step = StatePromptTokenizerStep(max_length=1 + len("Task: go, State: 0;\nAction: "))
    run(step, state[state == -1][None], "go")
    with pytest.raises(ZooError, match=r"up to 31 tokens for the task 'go'(.|\n)*prompt_max_len=31"):
        run(step, state, "go", "go")


# Before the first step of training.

LONG = "put the red block into the bowl"


def needed(width: int) -> int:
    """Byte tokens of the longest prompt of `LONG`."""
    return 1 + len(f"Task: {LONG}, State: {' '.join(['255'] * width)};\nAction: ")


def test_all_tasks_are_checked_at_the_first_batch():
    """The first batch itself is short enough."""
    start_run("go", LONG, prompt_max_len=needed(3) - 1)
    message = (
        rf"up to {needed(3)} tokens for the task '{LONG}'(.|\n)*pass --policy\.prompt_max_len={needed(3)}"
    )
    with pytest.raises(ZooError, match=message):
        run(StatePromptTokenizerStep(), -torch.ones(1, 3), "go")
    start_run("go", LONG, prompt_max_len=needed(3))
    run(StatePromptTokenizerStep(), -torch.ones(1, 3), "go")


def test_the_longest_state_follows_the_tokenizer(folder):
    start_run("go")
    step = StatePromptTokenizerStep(tokenizer_name=str(folder)).read_file()
    worst = max(len(step.encode("go", [value] * 4)) for value in range(-1, 256))
    step.max_length = worst - 1
    with pytest.raises(ZooError, match=f"up to {worst} tokens"):
        run(step, torch.zeros(1, 4), "go")


def test_a_fine_tuning_run_asks_for_its_own_lengths_and_format():
    start_run("b", prompt_max_len=40, tokenizer_padding="max_length")
    runtime.training_run().config.discrete_state_input = False
    tokens, _ = run(StatePromptTokenizerStep(), None, "b")
    assert tokens.shape == (1, 40)
    assert text_of(tokens[0]) == "b\n"


def test_a_state_that_no_step_normalises_is_refused():
    start_run("b")
    with pytest.raises(ZooError, match=r"hold no state(.|\n)*--policy.init_from=CHECKPOINT"):
        StatePromptTokenizerStep(discrete_state=False)


# In a checkpoint.


def test_the_step_comes_back_with_its_tokenizer(tmp_path):
    source = save_tokenizer(tmp_path / "source")
    step = StatePromptTokenizerStep(str(source), 300, "max_length", state_key="observation.proprio")
    pipeline = PolicyProcessorPipeline([step.read_file()], name="policy_preprocessor")
    state = torch.linspace(-1, 1, 8).view(2, 4)
    before = run(step, state, "open the drawer", "go")
    pipeline.save_pretrained(tmp_path / "checkpoint")
    shutil.rmtree(source)
    stored = json.loads((tmp_path / "checkpoint/policy_preprocessor.json").read_text())
    assert stored["steps"][0]["registry_name"] == "zoo_state_prompt_tokenizer"

    loaded = PolicyProcessorPipeline.from_pretrained(
        tmp_path / "checkpoint", config_filename="policy_preprocessor.json"
    )
    assert loaded.steps[0].get_config() == step.get_config()
    assert all(map(torch.equal, run(loaded.steps[0], state, "open the drawer", "go"), before))


# Token ids.


def test_the_whole_prompt_is_encoded_at_once(folder):
    tokens, _ = run(StatePromptTokenizerStep(str(folder)).read_file(), torch.zeros(1, 2), "pick up the soup")
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.no_truncation()
    library.no_padding()
    text = "Task: pick up the soup, State: 128 128;\nAction: "
    assert tokens[0].tolist() == [BOS, *library.encode(text, add_special_tokens=False).ids]
    assert SPECIAL.index("\n") in tokens[0, :-1]


def test_ids_of_real_prompts():
    """Prompts that others encoded with PaliGemma's own tokenizer, where it and they are at hand."""
    if not GOLDEN.exists():
        pytest.skip("no reference encodings beside the checkout")
    name = paligemma_folder()
    tokenizer = FileTokenizer(read_tokenizer_file(name), name)
    prompts = {text: ids for text, ids in json.loads(GOLDEN.read_text())["add_bos"] if "State: " in text}
    assert prompts
    for text, ids in prompts.items():
        assert [tokenizer.bos_id, *tokenizer.encode(text)] == ids
    # A prompt of the step's own, put together from those ids: layout, integers, marker.
    text, ids = next(iter(prompts.items()))
    numbers = [int(number) for number in text.split("State: ")[1].split(",")[0].split()]
    task = text.removeprefix("Task: ").split(",")[0]
    step = StatePromptTokenizerStep(name).read_file()
    state = (torch.tensor([numbers]) + 0.5) / 128 - 1
    made = run(step, state, task)[0][0].tolist()
    after_numbers = ids.index(tokenizer.encode(", Indicator")[0], ids.index(tokenizer.encode(" State")[0]))
    assert made[:after_numbers] == ids[:after_numbers]
    assert made[after_numbers:] == tokenizer.encode(";\nAction: ") == [235289, *ids[-4:]]
