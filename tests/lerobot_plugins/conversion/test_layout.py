from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from lerobot.datasets import utils

from lerobot_plugins.conversion.layout import FileLimits, Place, assign_files

MEGABYTE = 1024**2


def test_the_limits_are_lerobots() -> None:
    assert FileLimits() == FileLimits(
        utils.DEFAULT_DATA_FILE_SIZE_IN_MB, utils.DEFAULT_VIDEO_FILE_SIZE_IN_MB, utils.DEFAULT_CHUNK_SIZE
    )


def test_files_and_chunks_fill_up() -> None:
    sizes = [2 * MEGABYTE, MEGABYTE, 1, 9 * MEGABYTE, 1, 1]
    assert assign_files(sizes, limit_mb=3, files_per_chunk=2) == [
        Place(0, 0, range(0, 2)),
        Place(0, 1, range(2, 3)),
        Place(1, 0, range(3, 4)),
        Place(1, 1, range(4, 6)),
    ]


@given(st.lists(st.integers(1, 5 * MEGABYTE), min_size=1, max_size=30), st.integers(1, 4), st.integers(1, 3))
def test_every_episode_has_one_place_within_the_limit(sizes: list[int], limit: int, per_chunk: int) -> None:
    places = assign_files(sizes, limit, per_chunk)
    assert [episode for place in places for episode in place.episodes] == list(range(len(sizes)))
    for place in places:
        filled = sum(sizes[episode] for episode in place.episodes)
        assert filled <= limit * MEGABYTE or len(place.episodes) == 1
    numbers = [place.chunk * per_chunk + place.file for place in places]
    assert all(after == before + 1 for before, after in pairwise(numbers))
    assert all(place.file < per_chunk for place in places)
