"""The importances and allocations of `evict`: each file in their folders is one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import forethought
from forethought import catalogue
from forethought.contracts.errors import BadParameterError

OLDEST = '''"""The older an entry, the more important."""

from dataclasses import dataclass

from forethought.methods.kv_eviction.importance import LayerImportance


@dataclass(frozen=True)
class Oldest(LayerImportance):
    """Minus the place of each entry; every `seed` entries are worth the same."""

    seed: int
    sign: float = -1.0

    def score_layer(self, view, places):
        """Scores [K, E]."""
        return self.sign * (places // (self.seed + 1)).float()
'''
ASKED = """
from forethought import catalogue
from tests.methods.reference import seen_layer

limits = {one.name: one.limits for one in catalogue.find("evict").parameters}["importance"]
method = catalogue.build("evict(importance=the-oldest, keep=8, window=2, sinks=0, seed=2)")
print(limits.split(" or "))
print([head.tolist() for head in method.on_layer(seen_layer(0, 20))])
"""


def test_a_new_file_is_a_new_importance(tmp_path: Path) -> None:
    source = Path(forethought.__file__).parent
    copy = shutil.copytree(source, tmp_path / "forethought")
    (copy / "methods/kv_eviction/importance/the_oldest.py").write_text(OLDEST)
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])])
    environment = {**os.environ, "PYTHONPATH": paths}

    done = subprocess.run(
        [sys.executable, "-c", ASKED], capture_output=True, text=True, check=True, env=environment
    )

    limits, kept = done.stdout.splitlines()
    assert "'the-oldest'" in limits
    assert kept == str([[0, 1, 2, 3, 4, 5, 18, 19]] * 2)


@pytest.mark.parametrize("folder", ["importance", "allocation"])
def test_other_names_are_refused_with_those_there_are(folder: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        catalogue.build(f"evict({folder}=evict)")

    assert caught.value.message.startswith(f"evict: {folder}='evict' must be one of a")


@pytest.mark.parametrize("name", ["window", "draft", "own-lookahead", "accumulated", "expected",
                                  "reconstruction", "recency", "key-norm", "random", "compact",
                                  "critical", "key-difference", "far-heads", "repeating-heads",
                                  "stated-heads", "predicted"])  # fmt: skip
def test_every_importance_builds_by_its_name(name: str) -> None:
    eviction = catalogue.build(f"evict(importance={name}, seed=3)").eviction()

    file = name.replace("-", "_")
    assert type(eviction.importance).__module__.endswith(f"kv_eviction.importance.{file}")


@pytest.mark.parametrize(("name", "spelled"), [
    ("uniform", "Uniform()"),
    ("pyramid", "Pyramid(beta=3)"),
    ("adaptive", "AdaptiveAllocation(alpha=0.5, layers=Uniform())"),
    ("adaptive-pyramid", "AdaptivePyramid(alpha=0.5, beta=3)"),
    ("global", "GlobalAllocation()"),
    ("tova", "Tova()"),
    ("chunks", "Chunks(chunk_tokens=20)"),
    ("gated-chunks", "GatedChunks(chunk_tokens=10, spiky_tokens=4)"),
    ("whole-heads", "WholeHeads()"),
])  # fmt: skip
def test_an_allocation_takes_the_settings_of_its_fields(name: str, spelled: str) -> None:
    method = catalogue.build(f"evict(allocation={name}, alpha=0.5, beta=3)")

    assert repr(method.eviction().allocation) == spelled
