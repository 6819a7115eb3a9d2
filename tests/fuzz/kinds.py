"""What is fed with mutants, by name."""

from tests.fuzz.folder_mutants import folder_mutant
from tests.fuzz.gguf_mutants import gguf_mutant
from tests.fuzz.harness import Mutant
from tests.fuzz.planted import planted_mutant
from tests.fuzz.template_mutants import template_mutant
from tests.fuzz.tokenizer_mutants import tokenizer_mutant

KINDS: dict[str, Mutant] = {
    "gguf": gguf_mutant,
    "folder": folder_mutant,
    "tokenizer": tokenizer_mutant,
    "template": template_mutant,
    "planted": planted_mutant,
}
