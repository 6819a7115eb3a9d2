from pathlib import Path

import pytest

from forethought.cli.recipes import methods, named
from forethought.contracts.errors import UsageError
from forethought.recipes.recipe import Recipe


def test_methods_may_be_repeated_and_joined() -> None:
    given = ["specpc(keep=512) + snapkv", "truncate"]

    assert methods(given) == ["specpc(keep=512)", "snapkv", "truncate"]
    assert methods(()) == []


def test_a_model_may_be_a_whole_recipe() -> None:
    assert named("smollm2+draft(qwen-coder-0.5b)+snapkv") == Recipe(
        draft="qwen-coder-0.5b", approximate=("snapkv",)
    )


def test_a_file_is_a_model_whatever_its_name_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a+b(1).gguf").write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)

    assert named("a+b(1).gguf").model == "a+b(1).gguf"
    with pytest.raises(UsageError):
        named("b+c(1).gguf")
