import numpy as np
import pytest

from forethought.contracts.errors import BudgetTooSmallError, UsageError
from forethought.contracts.records import Prompt
from forethought.methods.prompt_compression.embedding import Embedding
from forethought.models.encoders.sentence_encoder import open_sentence_encoder
from forethought.numerics.sentences import sentences
from tests.methods.prompt_compression.questions import CountingDraft, asked
from tests.models.tiny_encoders import save_encoder

DOCUMENT = "The cat sat. The dog ran far. Dogs sing! A cat ran, a bird sat. Birds ran."
QUESTION = "Which cat ran?"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    save_encoder(folder, "Bert")
    return str(folder)


@pytest.mark.parametrize("room", [0, 4, 9, 13, 20])
def test_the_nearest_sentences_that_fit_stay(encoder, room):
    prompt, draft = asked(QUESTION, DOCUMENT), CountingDraft()

    kept = Embedding(keep=len(prompt.protected) + room, encoder=encoder).on_prompt(
        prompt, draft, 16
    )

    texts = [DOCUMENT[a:b] for a, b in sentences(DOCUMENT)]
    found = open_sentence_encoder(encoder).embed([QUESTION, *texts])
    nearness = [float(np.dot(vector, found.vectors[0])) for vector in found.vectors[1:]]
    left, chosen = room, []
    for rank in sorted(range(len(texts)), key=lambda n: -nearness[n]):
        size = len(asked("", texts[rank].strip()).tokens) - 2
        if size <= left:
            left, chosen = left - size, [*chosen, rank]
    document = kept.content_text.removesuffix(f"\n\n{QUESTION}")
    assert [s.strip() for s in (document[a:b] for a, b in sentences(document))] == [
        texts[n].strip() for n in sorted(chosen)
    ]
    assert draft.charged == [(found.tokens, found.flops)]


@pytest.mark.parametrize("keep", [1000, 1.0])
def test_a_budget_of_the_whole_prompt_loads_nothing_and_changes_nothing(keep):
    prompt = asked(QUESTION, DOCUMENT)

    assert Embedding(keep=keep, encoder="no-such").on_prompt(prompt, None, 16) is prompt


def test_what_must_stay_needs_room_and_a_question_is_needed(encoder):
    prompt = asked(QUESTION, DOCUMENT)

    with pytest.raises(BudgetTooSmallError, match="embedding keeps 3 tokens"):
        Embedding(keep=3, encoder=encoder).on_prompt(prompt, CountingDraft(), 16)
    with pytest.raises(UsageError, match="no question behind a document"):
        Embedding(keep=1, encoder=encoder).on_prompt(
            Prompt((1, 2), ((0, 3), (3, 6)), "A. B. ", content=(0, 6)), CountingDraft(), 16
        )
