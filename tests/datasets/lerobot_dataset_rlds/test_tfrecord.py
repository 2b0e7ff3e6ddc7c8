import pickle
from pathlib import Path

import numpy as np
import pytest
from rlds_samples import damage

from lerobot_dataset_rlds.tfrecord import FRAMING_BYTES, TFRecordShard, TFRecordWriter, masked_crc32c
from lerobot_plugins.errors import ZooError

RECORDS = [np.random.default_rng(i).bytes(size) for i, size in enumerate((700, 0, 1400))]


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "x-train.tfrecord-00000-of-00001"
    with TFRecordWriter(path) as writer:
        for record in RECORDS:
            writer.write(record)
    return path


def read_all(path: Path) -> list[bytes]:
    return [bytes(data) for data in TFRecordShard(path)]


def test_round_trip(shard: Path) -> None:
    assert read_all(shard) == RECORDS
    assert shard.stat().st_size == sum(map(len, RECORDS)) + len(RECORDS) * FRAMING_BYTES


def test_the_checksum_is_tensorflows() -> None:
    """The header of a record of 0x23504 bytes, as TensorFlow wrote it."""
    header = bytes.fromhex("0435020000000000 8c1fcfa2")
    assert masked_crc32c(header[:8]).to_bytes(4, "little") == header[8:]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert read_all(path) == []


def test_every_flipped_bit_is_detected(shard: Path) -> None:
    content = shard.read_bytes()
    assert len(content) > 2000
    for position in range(len(content)):
        damage(shard, position, bytes([content[position] ^ 1 << position % 8]))
        with pytest.raises(ZooError, match=r"damaged|truncated"):
            read_all(shard)
        damage(shard, position, content[position : position + 1])
    assert read_all(shard) == RECORDS


def test_every_truncation_is_detected(shard: Path, tmp_path: Path) -> None:
    content = shard.read_bytes()
    lengths = np.cumsum([len(record) + FRAMING_BYTES for record in RECORDS]).tolist()
    short = tmp_path / "short"
    for size in range(1, len(content)):
        short.write_bytes(content[:size])
        if size in lengths:
            assert read_all(short) == RECORDS[: lengths.index(size) + 1]
        else:
            with pytest.raises(ZooError, match="truncated"):
                read_all(short)


def test_damaged_data_leaves_the_neighbours_alone(shard: Path) -> None:
    damage(shard, 100, b"damage")
    opened = TFRecordShard(shard)
    with pytest.raises(ZooError, match="the record's data is damaged"):
        opened.read(0)
    assert bytes(opened.read(2)) == RECORDS[2]


def test_a_damaged_length_hides_the_rest(shard: Path) -> None:
    second = len(RECORDS[0]) + FRAMING_BYTES
    damage(shard, second, b"\xff")
    with pytest.raises(ZooError, match=f"record 1 at byte {second}: its length field is damaged"):
        TFRecordShard(shard)
    opened = TFRecordShard(shard, tolerate_damage=True)
    assert len(opened) == 1
    assert bytes(opened.read(0)) == RECORDS[0]
    assert opened.damage is not None


def test_a_shard_travels_to_another_process(shard: Path) -> None:
    opened = pickle.loads(pickle.dumps(TFRecordShard(shard)))
    assert [bytes(data) for data in opened] == RECORDS


def test_the_digest_follows_the_content(shard: Path) -> None:
    before = TFRecordShard(shard).checksums_sha256()
    assert before == TFRecordShard(shard).checksums_sha256()
    with TFRecordWriter(shard) as writer:
        for record in [*RECORDS[:2], RECORDS[2][:-1] + b"!"]:
            writer.write(record)
    assert TFRecordShard(shard).checksums_sha256() != before


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError), TFRecordWriter(tmp_path / "x") as writer:
        writer.write("text")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
