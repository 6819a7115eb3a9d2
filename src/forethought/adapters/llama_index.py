"""A LlamaIndex node postprocessor, for query engines between retriever and synthesis."""

from __future__ import annotations

from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode

from forethought.adapters.document_compressor import CompressedDocument, DocumentCompressor
from forethought.contracts.errors import UsageError

ADDED = ("kept_share", "kept_tokens", "of_tokens")
"""The metadata that a shortened node gains; neither an embedding nor a model sees it."""


class ForethoughtNodePostprocessor(BaseNodePostprocessor):  # type: ignore[misc]
    """Shortens each node's text for the query; its score stays, and its metadata gains `ADDED`."""

    model: str = DocumentCompressor.model
    """Counts the tokens, and is its own draft if no other is named."""
    draft: str = DocumentCompressor.draft
    method: str = DocumentCompressor.method
    """A prompt compression method of `forethought list`, with its keep left open."""
    keep: float | int = DocumentCompressor.keep
    """Share of a node's tokens that stays, or their number."""
    _compressor: DocumentCompressor = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Check the settings; no model loads before the first query."""
        super().model_post_init(context)
        self._compressor = DocumentCompressor(self.model, self.draft, self.method, self.keep)

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises the component."""
        return cls.__name__

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise UsageError("the nodes come without a query", "pass query_str or query_bundle")
        texts = [one.node.get_content(MetadataMode.NONE) for one in nodes]
        found = self._compressor.compress(query_bundle.query_str, texts)
        return [_shortened(one, short) for one, short in zip(nodes, found, strict=True)]


def _shortened(one: NodeWithScore, short: CompressedDocument) -> NodeWithScore:
    """A copy, since the index may hold the node itself."""
    node = TextNode.model_validate(one.node.model_dump() | {"text": short.text})
    node.metadata |= dict(zip(ADDED, (short.share, short.kept, short.of), strict=True))
    node.excluded_embed_metadata_keys += ADDED
    node.excluded_llm_metadata_keys += ADDED
    return NodeWithScore(node=node, score=one.score)
