"""Building the kernels: once, for this user, and never in the way of an answer."""

import os
import platform
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from forethought.models.compiled import build
from forethought.models.compiled.build import SWITCH, loaded
from forethought.models.compiled.check import agrees
from forethought.models.compiled.kernels import Kernels
from forethought.models.sources.model_cache import cache_root

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not build.lanes(), reason="no kernels are built here"
)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without kernels."""
    monkeypatch.setenv("FORETHOUGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def _cache(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)


def kept(cache: Path) -> list[Path]:
    return sorted((cache / "kernels").iterdir()) if (cache / "kernels").exists() else []


def compiler(folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> Path:
    """Make a program of these lines the only compiler; it notes its calls in a file."""
    calls = folder / "calls"
    program = folder / "programs" / "cc"
    program.parent.mkdir()
    program.write_text("\n".join(["#!/bin/sh", f"echo called >> {calls}", *lines]))
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(program.parent))
    return calls


def test_a_library_is_compiled_once_and_agrees_with_torch(own_cache: Path, made: Kernels) -> None:
    first = loaded(Kernels, agrees)
    (library,) = kept(own_cache)
    before = library.stat().st_mtime_ns
    again = loaded(Kernels, lambda kernels: pytest.fail("checked twice"))

    assert first is not None
    assert again is not None
    assert agrees(again)
    assert library.stat().st_mtime_ns == before
    assert stat.S_IMODE((own_cache / "kernels").stat().st_mode) == 0o700


def test_without_a_compiler_there_are_no_kernels(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")

    assert loaded(Kernels, agrees) is None
    assert kept(own_cache) == []


def test_the_switch_turns_kernels_off(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = compiler(tmp_path, monkeypatch, "exit 1")
    monkeypatch.setenv(SWITCH, "0")

    assert loaded(Kernels, agrees) is None
    assert not calls.exists()
    assert kept(own_cache) == []


@pytest.mark.parametrize(
    "does", ["exit 1", 'while [ "$1" != -o ]; do shift; done; echo junk > "$2"']
)
def test_what_does_not_compile_or_load_is_not_tried_again(
    does: str, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = compiler(tmp_path, monkeypatch, does)

    assert loaded(Kernels, agrees) is None
    assert loaded(Kernels, agrees) is None
    assert calls.read_text().count("called") == 1
    assert [path.stat().st_size for path in kept(own_cache)] == [0]


def test_a_compiler_that_is_killed_is_tried_again(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = compiler(tmp_path, monkeypatch, "kill -KILL $$")

    assert loaded(Kernels, agrees) is None
    assert loaded(Kernels, agrees) is None
    assert calls.read_text().count("called") == 2
    assert kept(own_cache) == []


def test_a_compiler_that_does_not_end_is_given_up(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(tmp_path, monkeypatch, "exec /bin/sleep 60")
    monkeypatch.setattr(build, "_MOST_SECONDS", 0.1)

    assert loaded(Kernels, agrees) is None
    assert kept(own_cache) == []


@pytest.fixture
def library(made: Kernels) -> Path:
    """The library that the other tests use."""
    program = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    assert program
    return cache_root() / "kernels" / f"{build._key(program)}.so"


@pytest.fixture
def copying(
    library: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A compiler that makes the library by copying it."""
    copy = f'/bin/cp "{library.resolve()}" "$2"'
    return compiler(tmp_path, monkeypatch, f'while [ "$1" != -o ]; do shift; done; {copy}')


def test_a_library_that_computes_otherwise_is_not_used(copying: Path, own_cache: Path) -> None:
    assert loaded(Kernels, lambda kernels: False) is None
    assert loaded(Kernels, agrees) is None
    assert copying.read_text().count("called") == 1
    assert [path.stat().st_size for path in kept(own_cache)] == [0]


@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_nothing_is_loaded_from_a_folder_that_others_can_write(
    mode: int, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = compiler(tmp_path, monkeypatch, "exit 1")
    (own_cache / "kernels").mkdir(parents=True)
    (own_cache / "kernels").chmod(mode)

    assert loaded(Kernels, agrees) is None
    assert not calls.exists()
    assert kept(own_cache) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only the administrator gives folders away")
def test_nothing_is_loaded_from_a_folder_of_another_user(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = compiler(tmp_path, monkeypatch, "exit 1")
    (own_cache / "kernels").mkdir(parents=True, mode=0o700)
    os.chown(own_cache / "kernels", 65534, 65534)

    assert loaded(Kernels, agrees) is None
    assert not calls.exists()


@pytest.mark.parametrize("what", ["flags", "torch", "compiler"])
def test_another_compiler_torch_or_flag_makes_another_library(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "cc"
    program.write_text("one")
    before = build._key(str(program))

    if what == "flags":
        monkeypatch.setattr(build, "_FLAGS", (*build._FLAGS, "-g"))
    elif what == "torch":
        monkeypatch.setattr(torch, "__version__", "2.9.9")
    else:
        program.write_text("another")

    assert build._key(str(program)) != before


@pytest.mark.slow
@pytest.mark.usefixtures("made")
def test_kernels_agree_where_torch_packs_for_avx2() -> None:
    code = (
        "from forethought.models.compiled.available import kernels; made = kernels();"
        "print(made is not None and made.lanes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ATEN_CPU_CAPABILITY": "avx2"},
        capture_output=True,
        text=True,
    )

    assert done.stdout.strip() == "8", done.stderr


def test_attention_without_the_matrix_unit_is_the_same_up_to_rounding(
    made: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("the compiler knows the flag on this architecture alone")
    monkeypatch.setattr(build, "_FLAGS", (*build._FLAGS, "-mno-amx-bf16"))
    by_vectors = loaded(Kernels, agrees)
    random = torch.Generator().manual_seed(5)
    queries, keys, values = (
        torch.randn(size, generator=random).bfloat16()
        for size in ((90, 6, 64), (2, 150, 64), (2, 150, 64))
    )

    def attended(kernels: Kernels) -> torch.Tensor:
        mixed = torch.empty(90, 6 * 64, dtype=torch.bfloat16)
        kernels.attend_prefill(queries, 0.125, keys, kernels.pair_values(values), 60, mixed)
        return mixed.float()

    assert by_vectors is not None
    one, other = attended(made), attended(by_vectors)
    assert (one - other).norm() < 2**-8 * other.norm()
