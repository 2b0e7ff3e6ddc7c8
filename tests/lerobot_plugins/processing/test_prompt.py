"""Prompts to ids: `<bos> prompt newline`, whatever the tokenizer's files do on their own."""

import shutil
from pathlib import Path

import pytest
import torch
from lerobot.configs import FeatureType, PipelineFeatureType
from lerobot.lerobot_types import TransitionKey
from lerobot.processor import PolicyProcessorPipeline
from lerobot.utils.constants import OBS_LANGUAGE_ATTENTION_MASK, OBS_LANGUAGE_TOKENS
from small_tokenizer import SPECIAL, save_tokenizer
from stub_policy import stub_config
from tokenizers import Tokenizer

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing import runtime
from lerobot_plugins.processing.prompt import PromptTokenizerStep, clean_text
from lerobot_plugins.processing.text_tokenizer import ByteTokenizer

PAD, EOS, BOS = 0, 1, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(autouse=True)
def _no_run():
    yield
    runtime.bind(None, None)


def run(step: PromptTokenizerStep, *tasks: str) -> tuple[torch.Tensor, torch.Tensor]:
    transition = {TransitionKey.OBSERVATION: {}, TransitionKey.COMPLEMENTARY_DATA: {"task": list(tasks)}}
    observation = step(transition)[TransitionKey.OBSERVATION]
    return observation[OBS_LANGUAGE_TOKENS], observation[OBS_LANGUAGE_ATTENTION_MASK]


def text_of(ids: torch.Tensor) -> str:
    """Back from byte tokens."""
    return bytes(int(i) - ByteTokenizer.offset for i in ids if i >= ByteTokenizer.offset).decode()


# Text.


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  pick_up\tthe\n soup ", "pick up the soup"),
        ("Pick UP", "Pick UP"),
        ("把红色_方块\n放进碗里", "把红色 方块 放进碗里"),
        ("", ""),
    ],
)
def test_text_becomes_one_line_of_words(raw, clean):
    assert clean_text(raw) == clean


# The byte tokenizer.


def test_bytes_have_their_special_tokens_around():
    tokens, mask = run(PromptTokenizerStep(), "Go 左")
    assert tokens.dtype == torch.int64
    assert mask.dtype == torch.bool
    assert tokens[0, 0] == BOS
    assert tokens[0, -1] == ByteTokenizer.newline_id
    assert text_of(tokens[0]) == "Go 左\n"
    assert tokens.max() < 264, "the tiny preset's vocabulary"


def test_rows_are_padded_on_the_right_to_the_longest():
    tokens, mask = run(PromptTokenizerStep(), "go", "go left")
    assert tokens.shape == mask.shape == (2, 9)
    assert mask.sum(1).tolist() == [4, 9]
    assert (tokens[~mask] == PAD).all()
    assert not mask[0, 4:].any()


def test_static_shapes_pad_to_max_length():
    tokens, mask = run(PromptTokenizerStep(padding="max_length", max_length=20), "go")
    assert tokens.shape == (1, 20)
    assert mask.sum() == 4


def test_a_long_prompt_is_cut_before_the_newline_and_named_once(caplog):
    step = PromptTokenizerStep(max_length=8)
    for _ in range(2):
        tokens, mask = run(step, "open the drawer")
    assert tokens[0, 0] == BOS
    assert text_of(tokens[0]) == "open t\n"
    assert mask.all()
    assert [record.getMessage().count("open the drawer") for record in caplog.records] == [1]


def test_the_template_surrounds_the_task():
    tokens, _ = run(PromptTokenizerStep(template="Task: {task};"), "go")
    assert text_of(tokens[0]) == "Task: go;\n"


def test_a_single_string_is_one_row():
    transition = {TransitionKey.OBSERVATION: {}, TransitionKey.COMPLEMENTARY_DATA: {"task": "go"}}
    assert PromptTokenizerStep()(transition)[TransitionKey.OBSERVATION][OBS_LANGUAGE_TOKENS].shape == (1, 4)


@pytest.mark.parametrize("extra", [{}, {"task": []}, {"task": None}])
def test_a_batch_without_task_is_refused(extra):
    with pytest.raises(ZooError, match="no task text"):
        PromptTokenizerStep()({TransitionKey.OBSERVATION: {}, TransitionKey.COMPLEMENTARY_DATA: extra})


@pytest.mark.parametrize(
    ("options", "message"),
    [({"padding": "left"}, "tokenizer_padding"), ({"template": "go"}, r"\{task\}")],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ZooError, match=message):
        PromptTokenizerStep(**options)


# A tokenizer.json.


def test_a_file_tokenizer_builds_paligemmas_format(folder):
    step = PromptTokenizerStep(tokenizer_name=str(folder)).read_file()
    tokens, mask = run(step, "put the red block into the bowl", "open")
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.no_truncation()
    library.no_padding()
    inside = library.encode("put the red block into the bowl", add_special_tokens=False).ids
    assert tokens[0, : len(inside) + 2].tolist() == [BOS, *inside, SPECIAL.index("\n")]
    assert (tokens[~mask] == PAD).all()


def test_any_script_survives_byte_fallback(folder):
    tokens, _ = run(PromptTokenizerStep(tokenizer_name=str(folder)).read_file(), "放进碗里")
    assert SPECIAL.index("<unk>") not in tokens
    assert tokens.shape[1] == 2 + len("放进碗里".encode())


def test_a_cut_prompt_keeps_bos_and_newline(folder):
    tokens, _ = run(
        PromptTokenizerStep(tokenizer_name=str(folder), max_length=6).read_file(),
        "put the red block into the bowl and open the drawer",
    )
    assert tokens.shape == (1, 6)
    assert (tokens[0, 0], tokens[0, -1]) == (BOS, SPECIAL.index("\n"))


def test_the_file_travels_in_the_state(tmp_path):
    source = save_tokenizer(tmp_path / "source")
    pipeline = PolicyProcessorPipeline(
        [PromptTokenizerStep(tokenizer_name=str(source)).read_file()], name="policy_preprocessor"
    )
    before = run(pipeline.steps[0], "open the drawer")
    pipeline.save_pretrained(tmp_path / "checkpoint")
    shutil.rmtree(source)

    loaded = PolicyProcessorPipeline.from_pretrained(
        tmp_path / "checkpoint", config_filename="policy_preprocessor.json"
    )
    assert all(map(torch.equal, run(loaded.steps[0], "open the drawer"), before))
    again = loaded.steps[0].state_dict()["tokenizer.json"]
    assert again.dtype == torch.uint8
    assert torch.equal(again, pipeline.steps[0].state_dict()["tokenizer.json"])


def test_byte_needs_no_file(tmp_path):
    step = PromptTokenizerStep().read_file()
    assert step.state_dict() == {}
    PolicyProcessorPipeline([step], name="policy_preprocessor").save_pretrained(tmp_path)
    loaded = PolicyProcessorPipeline.from_pretrained(tmp_path, config_filename="policy_preprocessor.json")
    assert run(loaded.steps[0], "go")[0].shape == (1, 4)


def test_a_state_without_the_file_is_refused():
    with pytest.raises(ZooError, match=r"tokenizer\.json"):
        PromptTokenizerStep(tokenizer_name="some-lab/some-model").load_state_dict({})


def test_the_file_is_parsed_at_first_use(folder, monkeypatch):
    """Loading a checkpoint stays cheap."""

    def refuse(*_: object) -> None:
        raise AssertionError("parsed too early")

    monkeypatch.setattr("lerobot_plugins.processing.tokenizer_step.FileTokenizer", refuse)
    step = PromptTokenizerStep(tokenizer_name=str(folder)).read_file()
    step.load_state_dict(step.state_dict())


def test_a_fine_tuning_run_asks_for_its_own_lengths():
    runtime.bind(
        "meta", stub_config(prompt_max_len=9, tokenizer_padding="max_length", prompt_template="a {task}")
    )
    tokens, _ = run(PromptTokenizerStep(max_length=77, padding="longest"), "b")
    assert tokens.shape == (1, 9)
    assert text_of(tokens[0]) == "a b\n"


# LeRobot's features.


def test_the_pipeline_announces_language_features():
    features = PromptTokenizerStep(max_length=20).transform_features({PipelineFeatureType.OBSERVATION: {}})
    assert {
        key: (feature.type, feature.shape)
        for key, feature in features[PipelineFeatureType.OBSERVATION].items()
    } == {
        OBS_LANGUAGE_TOKENS: (FeatureType.LANGUAGE, (20,)),
        OBS_LANGUAGE_ATTENTION_MASK: (FeatureType.LANGUAGE, (20,)),
    }


def test_a_checkpoint_keeps_its_tokenizer():
    runtime.bind(object(), stub_config(tokenizer_name="some-lab/other"))
    with pytest.raises(ZooError, match=r"some-lab/other(.|\n)*byte"):
        PromptTokenizerStep(tokenizer_name="byte")
