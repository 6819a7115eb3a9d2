"""The LlamaIndex postprocessor in a query engine of LlamaIndex."""

from __future__ import annotations

import asyncio
import warnings

import pytest

from forethought.contracts.errors import UsageError
from forethought.models.model import Model
from tests.adapters.test_document_compressor import PASSAGES, QUERY

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("llama_index.core")
    from llama_index.core import MockEmbedding, VectorStoreIndex
    from llama_index.core.llms import MockLLM
    from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode

    from forethought.adapters.llama_index import ADDED, ForethoughtNodePostprocessor


def nodes() -> list:
    return [
        NodeWithScore(node=TextNode(text=text, id_=str(n), metadata={"place": n}), score=n / 9)
        for n, text in enumerate(PASSAGES)
    ]


def test_nodes_are_shortened_and_keep_scores_ids_and_metadata(smollm2: Model) -> None:
    given = nodes()
    found = ForethoughtNodePostprocessor(keep=0.4).postprocess_nodes(given, query_str=QUERY)

    for one, whole in zip(found, given, strict=True):
        assert (one.score, one.node.node_id) == (whole.score, whole.node.node_id)
        assert one.node.metadata["place"] == whole.node.metadata["place"]
        assert one.node.metadata["kept_share"] == pytest.approx(0.4, abs=0.02)
        assert len(one.node.text) < 0.6 * len(whole.node.text)
        assert "kept_share" not in one.node.get_content(MetadataMode.LLM)
        assert "kept_share" not in one.node.get_content(MetadataMode.EMBED)
    assert given == nodes()  # an index keeps its nodes whole
    assert "blue clock" in "".join(one.node.text for one in found)


def test_it_works_in_a_query_engine(smollm2: Model) -> None:
    index = VectorStoreIndex([one.node for one in nodes()], embed_model=MockEmbedding(8))
    engine = index.as_query_engine(
        llm=MockLLM(),
        similarity_top_k=2,
        node_postprocessors=[ForethoughtNodePostprocessor(method="bm25", keep=0.5)],
    )

    answer = engine.query(QUERY)

    assert len(answer.source_nodes) == 2
    for one in answer.source_nodes:
        assert set(ADDED) <= set(one.node.metadata)
        assert one.node.text in str(answer)  # the mock repeats its prompt


def test_the_asynchronous_call_gives_the_same(smollm2: Model) -> None:
    one = ForethoughtNodePostprocessor(method="truncate", keep=20)

    found = asyncio.run(one.apostprocess_nodes(nodes()[:2], query_str=QUERY))

    assert found == one.postprocess_nodes(nodes()[:2], query_str=QUERY)
    assert [node.node.metadata["kept_tokens"] for node in found] == [20, 20]


def test_nodes_without_a_query_are_refused() -> None:
    with pytest.raises(UsageError, match="without a query"):
        ForethoughtNodePostprocessor().postprocess_nodes(nodes())
