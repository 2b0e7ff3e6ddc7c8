"""A training run from what it left behind: its log, and its first and last checkpoint."""

from pathlib import Path

from lerobot_plugins.doctor.finding import OK, PROBLEM, Finding
from lerobot_plugins.errors import ZooError
from lerobot_plugins.runs.findings import findings
from lerobot_plugins.runs.history import History
from lerobot_plugins.runs.text_logs import read_text_log
from lerobot_plugins.runs.wandb_logs import read_wandb, wandb_files


def read_run(path: Path) -> History:
    """The log of a run.

    Args:
        path: A text log, a `.wandb` file, or a folder with an offline wandb run or a `.log` file, such as
            `--output_dir` of lerobot-train.

    Raises:
        ZooError: There is none, or it is damaged.
    """
    if path.is_file():
        return read_wandb([path], path) if path.suffix == ".wandb" else read_text_log(path)
    if not path.is_dir():
        raise ZooError(f"there is no run at {path}", do="name a log, or the --output_dir of lerobot-train")
    if files := wandb_files(path):
        return read_wandb(files, path)
    logs = sorted(path.glob("*.log"))
    if len(logs) == 1:
        return read_text_log(logs[0])
    raise ZooError(
        f"{path} does not tell which log is the run's",
        got=", ".join(log.name for log in logs) or "no .log file and no offline wandb run",
        expected="one of them",
        do="name the file. lerobot-train writes none by itself: lerobot-train ... 2>&1 | tee run.log, or "
        "--wandb.enable=true --wandb.mode=offline",
    )


def analyse(history: History, folder: Path | None, *, progress: bool = True) -> list[Finding]:
    """The findings of the log, and of the checkpoints where there are two.

    Args:
        history: The log.
        folder: `--output_dir` of the run, where `checkpoints` is; None looks at no weights.
        progress: Show a bar.
    """
    found = findings(history)
    checkpoints = _checkpoints(folder) if folder is not None else []
    if len(checkpoints) > 1:
        found += _weights(checkpoints[0], checkpoints[-1], progress)
    return found


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "checkpoints").glob("*") if path.name.isdecimal())


def _weights(first: Path, last: Path, progress: bool) -> list[Finding]:
    # torch takes seconds to import.
    from lerobot_plugins.diagnosis.weights import diagnose

    try:
        diagnosis = diagnose(last / "pretrained_model", first / "pretrained_model", progress=progress)
    except ZooError as error:  # adapters name a base that may not be here: the log can be judged without it
        return [Finding("weights", PROBLEM, str(error).replace("\n", " "))]
    steps = f"steps {int(first.name)} to {int(last.name)}"
    if diagnosis.findings:
        return [Finding("weights", PROBLEM, f"{steps}: {text}") for text in diagnosis.findings]
    moved = sum(not change.equal for change in diagnosis.changes.values())
    return [
        Finding("weights", OK, f"{steps}: {moved} of {len(diagnosis.changes)} tensors moved, as they should")
    ]
