"""The packages that LongBench's scorer uses, beside our own metrics."""

import tempfile
from pathlib import Path
from random import Random

import pytest

from forethought.tasks.longbench._metrics import score
from forethought.tasks.longbench._segmentation import segmentation
from tests.tasks.longbench import published_scorer as published


def test_rouge_l_is_that_of_its_package() -> None:
    package = pytest.importorskip("rouge").Rouge()
    random = Random(8)
    for _ in range(100):
        answer, reference = (
            " ".join(random.choices(["the", "cat", "sat", ".", "on.", "a", "mat", "\n"], k=20))
            for _ in range(2)
        )
        expected = package.get_scores([answer], [reference], avg=True)["rouge-l"]["f"]

        assert score("rouge-l", answer, reference, None, []) == pytest.approx(expected, abs=1e-12)


def test_chinese_words_are_those_of_jieba(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = pytest.importorskip("jieba")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    segment = segmentation("jieba")
    answer, reference = "他在北京大学读书。", "她在北京的大学教书。"
    given, wanted = ([*package.cut(text, cut_all=False)] for text in (answer, reference))

    assert segment(answer) == given
    expected = published.f1(published.chinese_words(given), published.chinese_words(wanted))
    assert 0 < expected < 1
    assert score("f1", answer, reference, segment, []) == pytest.approx(expected)
    expected = published.rouge_l(" ".join(given), " ".join(wanted))
    assert score("rouge-l", answer, reference, segment, []) == pytest.approx(expected)
