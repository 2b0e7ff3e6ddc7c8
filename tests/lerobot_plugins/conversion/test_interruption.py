"""Whatever interrupts a conversion, the same command continues it and ends with the same bytes."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rlds_samples import FatalSource, libero_source, modification_times, run_and_kill, start, tree

from lerobot_dataset_rlds.source import RldsSource

# Imported here, so that forked children do not spend seconds on it.
from lerobot_plugins.conversion import assembly, video
from lerobot_plugins.conversion.staging import Staging
from lerobot_plugins.conversion.writer import write_dataset
from lerobot_plugins.errors import ZooError

LENGTHS = (5, 9, 3, 12, 7, 4)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> RldsSource:
    return libero_source(tmp_path_factory.mktemp("rlds"), LENGTHS, shards=2)


@pytest.fixture(scope="module", params=["video", "jpeg"])
def storage(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def expected(source: RldsSource, storage: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The dataset of an uninterrupted conversion."""
    root = tmp_path_factory.mktemp("expected") / "dataset"
    write_dataset(source, root, images=storage)
    return tree(root)


def test_two_workers_write_the_same_bytes(
    source: RldsSource, storage: Any, expected: dict[str, str], tmp_path: Path
) -> None:
    write_dataset(source, tmp_path / "dataset", images=storage, workers=2)
    assert tree(tmp_path / "dataset") == expected


def kill_and_continue(
    source: RldsSource, root: Path, storage: Any, workers: int, kills: int, seed: int
) -> None:
    """Kill the conversion at random times; no finished episode may be touched again."""
    generator = np.random.default_rng(seed)
    episodes = Staging.of(root).folder / "episodes"
    longest = 1.5 if workers > 1 else 0.5
    for _ in range(kills):
        before = modification_times(episodes)
        finished = run_and_kill(
            lambda: write_dataset(source, root, images=storage, workers=workers),
            seconds=generator.uniform(0, longest),
        )
        if finished or root.exists():
            break
        after = modification_times(episodes)
        assert before.items() <= after.items()
    if not root.exists():
        write_dataset(source, root, images=storage, workers=workers)


def test_killed_conversions_continue(
    source: RldsSource, storage: Any, expected: dict[str, str], tmp_path: Path
) -> None:
    workers = 2 if storage == "video" else 1
    kill_and_continue(source, tmp_path / "dataset", storage, workers, kills=3, seed=0)
    assert tree(tmp_path / "dataset") == expected


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("seed", range(20))
def test_conversions_killed_again_and_again_continue(
    source: RldsSource, storage: Any, expected: dict[str, str], tmp_path: Path, workers: int, seed: int
) -> None:
    kill_and_continue(source, tmp_path / "dataset", storage, workers, kills=5, seed=100 + seed)
    assert tree(tmp_path / "dataset") == expected


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [*range(1, len(LENGTHS) + 2)])
def test_a_kill_at_any_rename_loses_nothing(
    source: RldsSource, tmp_path: Path, number: int, after: bool
) -> None:
    """The renames are all that changes the state: of each episode, and of the dataset."""
    root = tmp_path / "dataset"

    def work() -> None:
        renames = 0
        rename = Path.rename

        def fatal(path: Path, target: Path) -> Path:
            nonlocal renames
            renames += 1
            if renames == number and not after:
                os._exit(0)
            rename(path, target)
            if renames == number:
                os._exit(0)
            return target

        Path.rename = fatal  # type: ignore[assignment, method-assign]
        write_dataset(source, root, images="jpeg")

    assert run_and_kill(work, seconds=60)
    episodes = modification_times(Staging.of(root).folder / "episodes")
    assert len(episodes) == min(number - 1 + after, len(LENGTHS))
    if root.exists():
        with pytest.raises(ZooError, match="exists already"):
            write_dataset(source, root, images="jpeg")
    else:
        write_dataset(source, root, images="jpeg")
    write_dataset(source, tmp_path / "expected", images="jpeg")
    assert tree(root) == tree(tmp_path / "expected")
    assert not Staging.of(root).folder.exists()


def test_ctrl_c_says_how_far_it_came(
    source: RldsSource,
    storage: Any,
    expected: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = RldsSource.read

    def interrupted(self: RldsSource, index: int) -> Any:
        if index == 3:
            raise KeyboardInterrupt
        return read(self, index)

    monkeypatch.setattr(RldsSource, "read", interrupted)
    with pytest.raises(
        KeyboardInterrupt, match=r"3 of 6 episodes are finished[^$]*the same command continues"
    ):
        write_dataset(source, tmp_path / "dataset", images=storage)
    monkeypatch.undo()
    write_dataset(source, tmp_path / "dataset", images=storage)
    assert tree(tmp_path / "dataset") == expected


@pytest.fixture
def converting(source: RldsSource, tmp_path: Path) -> int:
    """A process that converts with two workers; the leader of its group."""

    def convert() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            write_dataset(source, tmp_path / "dataset", workers=2)
        except KeyboardInterrupt as error:
            (tmp_path / "message").write_text(str(error))

    return start(convert)


@pytest.fixture
def working(converting: int, tmp_path: Path) -> int:
    """One that has finished an episode."""
    episodes = Staging.of(tmp_path / "dataset").folder / "episodes"
    wait_until(lambda: bool(modification_times(episodes)))
    return converting


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def group_is_gone(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return True
    return False


def workers_of(process: int) -> int:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return sum(b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes() for child in children)


def interrupted(leader: int, tmp_path: Path) -> int:
    """Press Ctrl-C; how many episodes are finished, and said to be."""
    staging = Staging.of(tmp_path / "dataset")
    os.killpg(leader, signal.SIGINT)
    os.waitpid(leader, 0)
    finished = len(modification_times(staging.folder / "episodes"))
    assert f"{finished} of 6 episodes are finished" in (tmp_path / "message").read_text()
    assert not any((staging.folder / "working").iterdir())
    return finished


def test_ctrl_c_lets_running_workers_finish(working: int, tmp_path: Path) -> None:
    assert interrupted(working, tmp_path) >= 1


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are listed under /proc")
def test_ctrl_c_lets_starting_workers_finish(converting: int, tmp_path: Path) -> None:
    wait_until(lambda: workers_of(converting) == 2)
    interrupted(converting, tmp_path)


def test_workers_do_not_outlive_a_killed_parent(working: int) -> None:
    os.kill(working, signal.SIGKILL)
    os.waitpid(working, 0)
    wait_until(lambda: group_is_gone(working))


def test_a_killed_worker_is_reported(source: RldsSource, tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=r"a worker process was killed[^$]*fewer --workers"):
        write_dataset(FatalSource(source), tmp_path / "dataset", images="jpeg", workers=2)
    write_dataset(source, tmp_path / "dataset", images="jpeg")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_stops_at_the_first_damaged_episode(tmp_path: Path, workers: int) -> None:
    source = libero_source(tmp_path / "rlds", LENGTHS, shards=1)
    with source.shards[0].path.open("r+b") as file:
        for record in source.shards[0].records[2:4]:
            file.seek(record.offset + 100)
            file.write(b"damage")
    for _ in range(2):
        with pytest.raises(
            ZooError, match=r"episode 2 \(sample-train.tfrecord-00000-of-00001, record 2, byte"
        ) as error:
            write_dataset(source, tmp_path / "dataset", images="jpeg", workers=workers)
        kept = len(modification_times(Staging.of(tmp_path / "dataset").folder / "episodes"))
        assert f"{kept} of 6 episodes are finished and kept in {tmp_path}" in str(error.value)
        assert "add --on-error skip, and run the same command again" in str(error.value)
    made = write_dataset(source, tmp_path / "dataset", images="jpeg", workers=workers, on_error="skip")
    assert list(made.skipped) == [2, 3]
    assert made.episodes == 4


def test_another_conversion_is_refused(source: RldsSource, tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    broken = FailingSource(source, at=3)
    with pytest.raises(ZooError, match="broken"):
        write_dataset(broken, root, images="jpeg")
    with pytest.raises(ZooError, match=r"another conversion[^$]*other images[^$]*delete"):
        write_dataset(source, root, images="video")
    other = libero_source(tmp_path / "other", (3, 3))
    with pytest.raises(ZooError, match=r"another conversion[^$]*other source"):
        write_dataset(other, root, images="jpeg")
    assert write_dataset(source, root, images="jpeg").episodes == len(LENGTHS)


class FailingSource(FatalSource):
    """A source with one damaged episode."""

    def __init__(self, inner: RldsSource, at: int) -> None:
        super().__init__(inner)
        self.at = at

    def read(self, index: int) -> Any:
        if index == self.at:
            raise ZooError("broken")
        return self.inner.read(index)


def test_an_error_before_the_first_episode_leaves_nothing(source: RldsSource, tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="broken"):
        write_dataset(FailingSource(source, at=0), tmp_path / "dataset")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_refused_and_untouched(source: RldsSource, tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    root.mkdir()
    (root / "mine").write_text("precious")
    with pytest.raises(ZooError, match="exists already"):
        write_dataset(source, root)
    assert tree(tmp_path).keys() == {"dataset/mine"}


def test_a_second_process_is_refused(source: RldsSource, tmp_path: Path) -> None:
    staging = Staging.of(tmp_path / "dataset")
    with staging.opened({}), pytest.raises(ZooError, match="another process is converting"):
        write_dataset(source, tmp_path / "dataset")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A file system whose size can be set, in kilobytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")

    def resize(kilobytes: int) -> Path:
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", disk], check=True)
        return disk

    yield resize
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_says_how_far_it_came(
    source: RldsSource, storage: Any, expected: dict[str, str], small_disk: Callable[[int], Path]
) -> None:
    root = small_disk(100) / "dataset"
    episodes = Staging.of(root).folder / "episodes"
    stopped = 0
    for kilobytes in (60, 100, 140, 180, 240, 300, 360):
        small_disk(kilobytes)
        workers = 2 if kilobytes == 140 else 1
        before = modification_times(episodes)
        try:
            write_dataset(source, root, images=storage, workers=workers)
            break
        except ZooError as error:
            stopped += 1
            message = f"the disk is full: {len(modification_times(episodes))} of 6 episodes are finished"
            assert message in str(error)  # noqa: PT017
            assert not root.exists()
            assert before.items() <= modification_times(episodes).items()
    assert stopped
    if not root.exists():
        small_disk(10_000)
        write_dataset(source, root, images=storage)
    assert tree(root) == expected


def test_other_trouble_with_files_says_how_far_it_came(
    source: RldsSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "meta/stats.json")

    monkeypatch.setattr(assembly, "write_stats", forbidden)
    with pytest.raises(ZooError, match=r"6 of 6 episodes are finished[^$]*denied: 'meta/stats.json'"):
        write_dataset(source, tmp_path / "dataset", images="jpeg")


def test_a_root_that_the_system_refuses_is_explained(source: RldsSource) -> None:
    with pytest.raises(ZooError, match=r"0 of 6 episodes[^$]*/proc/nowhere[^$]*another --root"):
        write_dataset(source, Path("/proc/nowhere/x"))


@pytest.mark.parametrize("failing", ["DataFile", "write_stats", "concatenate"])
def test_a_disk_that_fills_during_assembly(
    source: RldsSource, tmp_path: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(video if failing == "concatenate" else assembly, failing, full)
    with pytest.raises(ZooError, match="the disk is full: 6 of 6 episodes are finished"):
        write_dataset(source, tmp_path / "dataset")
    monkeypatch.undo()
    assert not Staging.of(tmp_path / "dataset").dataset.exists()
    made = write_dataset(source, tmp_path / "dataset")
    assert json.loads((made.root / "meta/info.json").read_text())["total_episodes"] == 6
