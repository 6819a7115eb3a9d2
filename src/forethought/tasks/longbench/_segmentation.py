"""Words of Chinese text, which has no spaces."""

from __future__ import annotations

import warnings
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any, Literal

from forethought.contracts.errors import UsageError
from forethought.tasks.longbench._metrics import Segment

Words = Literal["jieba", "characters"]


def segmentation(words: Words) -> Segment:
    """The split of a text into words; UsageError if it needs a missing package."""
    return list if words == "characters" else _jieba()


@cache
def _jieba() -> Segment:
    """The package's default mode, as in the published scorer."""
    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # from its use of old interfaces
        package = _package()
        package.setLogLevel("ERROR")
        tokenizer = package.Tokenizer()
        # The package would otherwise unmarshal a file that any user may have put in /tmp.
        tokenizer.tmp_dir = folder
        tokenizer.initialize()
    segment: Segment = tokenizer.lcut
    return segment


def _package() -> Any:
    try:
        import jieba
    except ImportError as error:
        raise UsageError(
            "LongBench's metric for Chinese needs the package jieba, which is not installed",
            "pip install jieba, or compare characters: chinese=characters",
        ) from error
    return jieba
