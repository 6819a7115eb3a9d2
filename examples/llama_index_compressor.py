"""Shorten the nodes of a LlamaIndex query engine, between its retriever and its model.

pip install forethought llama-index-core
python examples/llama_index_compressor.py
"""

from pathlib import Path

from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.llms import MockLLM

from forethought.adapters.llama_index import ForethoughtNodePostprocessor

text = (Path(__file__).parent / "lighthouse.txt").read_text()
index = VectorStoreIndex.from_documents([Document(text=text)], embed_model=MockEmbedding(8))
# The mock model repeats its prompt, which shows what a real one would read.
engine = index.as_query_engine(
    llm=MockLLM(), node_postprocessors=[ForethoughtNodePostprocessor(method="bm25", keep=0.3)]
)

answer = engine.query("Where does the spare key hang?")
for node in answer.source_nodes:
    print(f"{node.metadata['kept_tokens']:,} of {node.metadata['of_tokens']:,} tokens kept")
print(answer)
