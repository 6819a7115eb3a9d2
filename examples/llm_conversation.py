"""A conversation through `llm`; its command line does the same: llm chat -m forethought/smollm2

pip install forethought llm
python examples/llm_conversation.py
"""

from pathlib import Path

import llm

text = (Path(__file__).parent / "lighthouse.txt").read_text()
conversation = llm.get_model("forethought/smollm2").conversation()

first = conversation.prompt(
    "Where does the spare key hang?",
    fragments=[text],
    approximate="specpc-shallow(keep=0.3)",
    max_tokens=40,
)
for piece in first:  # as it is written
    print(piece, end="", flush=True)
print("\n", first.usage())
print(conversation.prompt("Say that in five words.", max_tokens=20).text())
