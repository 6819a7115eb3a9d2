"""Shorten what a LangChain retriever finds, before any model reads it.

pip install forethought langchain-core
python examples/langchain_compressor.py
"""

from pathlib import Path

from langchain_core.documents import Document

from forethought.adapters.langchain import ForethoughtDocumentCompressor

text = (Path(__file__).parent / "lighthouse.txt").read_text()
documents = [
    Document(page_content=passage, metadata={"passage": number})
    for number, passage in enumerate(text.split("\n\n"))
    if "key" in passage
]

compressor = ForethoughtDocumentCompressor(keep=0.4)
for document in compressor.compress_documents(documents, "Where does the spare key hang?"):
    print(f"passage {document.metadata['passage']}, {document.metadata['kept_share']:.0%} kept:")
    print(document.page_content.strip(), "\n")
