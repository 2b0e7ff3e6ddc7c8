"""Tokenizers: where their file is looked for, and what can be wrong with it."""

import pytest
from small_tokenizer import SPECIAL, save_tokenizer
from tokenizers import Tokenizer, normalizers

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.text_tokenizer import FileTokenizer, read_tokenizer_file


@pytest.mark.parametrize("lacking", ["<pad>", "<bos>"])
def test_a_tokenizer_without_gemmas_tokens_is_refused(tmp_path, lacking):
    folder = save_tokenizer(tmp_path, [token for token in SPECIAL if token != lacking])
    with pytest.raises(ZooError, match=lacking):
        FileTokenizer(read_tokenizer_file(str(folder)), str(folder))


def test_a_tokenizer_that_drops_newlines_is_refused(tmp_path):
    folder = save_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.Replace("\n", "")])
    content = tokenizer.to_str().replace('"content":"\\n"', '"content":"~"').encode()
    with pytest.raises(ZooError, match="a newline"):
        FileTokenizer(content, "somewhere")


def test_bytes_that_are_no_tokenizer_are_refused():
    with pytest.raises(ZooError, match="somewhere is not a tokenizer"):
        FileTokenizer(b"{}", "somewhere")


def test_a_folder_without_the_file_lists_what_is_there(tmp_path):
    (tmp_path / "tokenizer.model").touch()
    with pytest.raises(ZooError, match=r"holds tokenizer\.model"):
        read_tokenizer_file(str(tmp_path))


@pytest.mark.parametrize("name", ["some-lab/some-model", "/no/such/folder", "not a name!"])
def test_offline_the_message_says_what_to_download(name):
    with pytest.raises(ZooError, match=r"hf download (.|\n)*--policy\.tokenizer_name=FOLDER"):
        read_tokenizer_file(name)


def test_what_can_be_no_model_is_not_offered_for_download():
    with pytest.raises(ZooError, match=r"no such folder(.|\n)*hf download OWNER/MODEL"):
        read_tokenizer_file("/no/such/folder")
