"""A LangChain document compressor, for `ContextualCompressionRetriever` and chains of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import PrivateAttr

from forethought.adapters.document_compressor import DocumentCompressor


class ForethoughtDocumentCompressor(BaseDocumentCompressor):  # type: ignore[misc]
    """Shortens each document for the query; its metadata gains `kept_share` and the counts."""

    model: str = DocumentCompressor.model
    """Counts the tokens, and is its own draft if no other is named."""
    draft: str = DocumentCompressor.draft
    method: str = DocumentCompressor.method
    """A prompt compression method of `forethought list`, with its keep left open."""
    keep: float | int = DocumentCompressor.keep
    """Share of a document's tokens that stays, or their number."""
    _compressor: DocumentCompressor = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Check the settings; no model loads before the first query."""
        self._compressor = DocumentCompressor(self.model, self.draft, self.method, self.keep)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The documents in their order, each shortened for the query."""
        found = self._compressor.compress(query, [one.page_content for one in documents])
        return [
            one.model_copy(
                update={
                    "page_content": short.text,
                    "metadata": {
                        **one.metadata,
                        "kept_share": short.share,
                        "kept_tokens": short.kept,
                        "of_tokens": short.of,
                    },
                }
            )
            for one, short in zip(documents, found, strict=True)
        ]
