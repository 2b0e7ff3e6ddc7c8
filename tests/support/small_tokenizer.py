"""A real `tokenizer.json` in the manner of Gemma's: BPE with byte fallback, <pad> 0, <eos> 1, <bos> 2."""

from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, trainers

SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "\n"]
CORPUS = ["pick up the soup", "open the drawer", "put the red block into the bowl"]


def save_tokenizer(folder: Path, special: list[str] = SPECIAL) -> Path:
    """Train it on three sentences and write it to the folder; returns the folder."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=330, special_tokens=special + bytes_, show_progress=False)
    )
    # What Gemma's file may or may not do on its own; prompts must not depend on it.
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=12)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
