"""The conformance suite of System One servers against ours."""

from __future__ import annotations

import pytest

from forethought.recipes.recipe import Recipe
from tests.server.served import serving
from tests.tiny_model import tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
runner = pytest.importorskip("jevcompat.runner")

REFUSED_ON_PURPOSE = {
    "request.unknown-fields",  # a field that does nothing would be a silent mistake
    "http.models",  # /v1/models has the shape of OpenAI's API
}


def test_the_conformance_suite_passes():
    roomy = tiny_model("tiny", merges=400, seed=1, max_position_embeddings=1 << 15)
    models = {"tiny": roomy, "small": roomy}
    with serving(models, recipe=Recipe(model="tiny", draft="self")) as served:
        report = runner.run(served.url, timeout=120)

    failed = {one.id for one in report.results if one.status == "fail"}
    assert failed <= REFUSED_ON_PURPOSE, [(one.id, one.findings) for one in report.results]
    assert report.verdict == "conformant", (report.aborted, report.untested_musts)
