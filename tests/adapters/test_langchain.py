"""The LangChain compressor in LangChain's own pipelines."""

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
    pytest.importorskip("langchain_core")
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableLambda, RunnablePassthrough

    from forethought.adapters.langchain import ForethoughtDocumentCompressor


def documents() -> list:
    return [
        Document(page_content=text, metadata={"place": n}, id=str(n))
        for n, text in enumerate(PASSAGES)
    ]


class Passages(BaseRetriever):
    """Retrieves every passage that has a word of the query."""

    def _get_relevant_documents(self, query: str, *, run_manager: object) -> list:
        return [one for one in documents() if "spare key" in one.page_content]


def test_metadata_and_ids_stay_and_the_kept_share_is_added(smollm2: Model) -> None:
    found = ForethoughtDocumentCompressor(keep=0.4).compress_documents(documents(), QUERY)

    assert [one.id for one in found] == [one.id for one in documents()]
    for one, whole in zip(found, documents(), strict=True):
        assert one.metadata["place"] == whole.metadata["place"]
        assert one.metadata["kept_share"] == pytest.approx(0.4, abs=0.02)
        assert one.metadata["kept_tokens"] < one.metadata["of_tokens"]
        assert len(one.page_content) < 0.6 * len(whole.page_content)
    assert "blue clock" in "".join(one.page_content for one in found)


def test_asynchronous_calls_at_once_give_the_same_documents(smollm2: Model) -> None:
    compressor = ForethoughtDocumentCompressor(method="bm25", keep=0.5)

    async def both() -> list:
        return await asyncio.gather(
            *(compressor.acompress_documents(documents()[:3], QUERY) for _ in range(3))
        )

    first, *others = asyncio.run(both())

    assert others == [first, first]
    assert first == compressor.compress_documents(documents()[:3], QUERY)


def test_it_stands_between_a_retriever_and_a_prompt(smollm2: Model) -> None:
    compressor = ForethoughtDocumentCompressor(keep=0.4)
    chain = (
        RunnablePassthrough.assign(found=lambda given: Passages().invoke(given["query"]))
        | RunnablePassthrough.assign(
            found=lambda given: compressor.compress_documents(given["found"], given["query"])
        )
        | RunnableLambda(lambda given: "\n\n".join(one.page_content for one in given["found"]))
    )

    text = chain.invoke({"query": QUERY})

    assert "blue clock" in text
    assert len(text) < 0.6 * sum(len(one) for one in PASSAGES if "spare key" in one)


def test_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(UsageError, match="states its own budget"):
        ForethoughtDocumentCompressor(method="specpc-shallow(keep=9)")
