"""The share of a cluster that each engine gets, and what cannot be a cluster."""

from __future__ import annotations

import sys

import pytest

from forethought.cli.main import exit_code
from forethought.contracts.errors import UsageError
from forethought.evaluation.compare import evaluate
from forethought.evaluation.ray_workers import EngineShare, RayCluster, engine_share

BOX = {"CPU": 2.0, "memory": 1e9}
SERVER = {"CPU": 16.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("nodes", "actors", "threads", "expected"),
    [
        ([BOX], None, None, EngineShare(1, 2, 0, 2)),
        ([BOX], 2, None, EngineShare(2, 1, 0, 1)),
        ([BOX], 4, None, EngineShare(4, 0.5, 0, 1)),
        ([BOX], None, 1, EngineShare(2, 1, 0, 1)),
        ([{"CPU": 16.0}] * 2, None, None, EngineShare(8, 4, 0, 4)),
        ([{"CPU": 16.0}, BOX], None, None, EngineShare(4, 4, 0, 4)),
        ([{"CPU": 16.0}], 3, None, EngineShare(3, 5, 0, 5)),
        ([SERVER, SERVER], None, None, EngineShare(4, 0, 1.0, 1)),
        ([SERVER], 8, None, EngineShare(8, 0, 0.25, 1)),
        ([SERVER], 1, 4, EngineShare(1, 0, 1.0, 4)),
        ([{"memory": 1e9}], None, None, EngineShare(1, 1, 0, 1)),
    ],
)
def test_engines_share_the_cluster(nodes, actors, threads, expected):
    assert engine_share(nodes, actors, threads) == expected


def test_without_ray_the_error_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(UsageError, match="needs the package ray") as error:
        evaluate(
            ["exact"],
            ["niah-single-1(tokens=64, count=1)"],
            "http://127.0.0.1:1/v1#nobody",
            results=tmp_path / "r.sqlite",
            ray=RayCluster("auto"),
        )

    assert error.value.hint == "install it: pip install '.[ray]' in a checkout"


def test_a_ray_client_is_refused():
    with pytest.raises(UsageError, match="cannot stream answers"):
        RayCluster("ray://head:10001")


def test_actors_without_a_cluster_are_refused(capsys):
    assert exit_code(["evaluate", "-t", "vt", "--ray-actors", "2"]) == 2
    assert "--ray-actors needs a cluster" in capsys.readouterr().err
