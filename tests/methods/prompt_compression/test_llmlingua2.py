import re

import numpy as np
import pytest
import torch

from forethought.contracts.errors import BudgetTooSmallError
from forethought.contracts.records import Prompt
from forethought.methods.prompt_compression.llmlingua2 import LLMLingua2
from forethought.numerics.word_choice import TextPart, words_that_fit
from tests.methods.prompt_compression.questions import CountingDraft, asked
from tests.models.tiny_encoders import PIECES, save_encoder, tokenizer

DOCUMENT = (
    "The cats sat far, not a dog ran. Which bird sings? The dog sat\n"
    "What cat ran far far far not the bird the 7 dogs. A cat sat not far the dog 8 sat sat ran!"
)
QUESTION = "Which cat ran?"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier")
    return str(folder), save_encoder(folder, "Bert", "ForTokenClassification")


@pytest.fixture
def method(classifier):
    def build(room, **changes):
        keep = len(asked(QUESTION, DOCUMENT).protected) + room
        return LLMLingua2(keep=keep, classifier=classifier[0], chunk=12, **changes)

    return build


def shown(method, prompt=None):
    kept = method.on_prompt(prompt or asked(QUESTION, DOCUMENT), CountingDraft(), 16)
    return kept.content_text.removesuffix(f"\n\n{QUESTION}").split()


def chunks_by_hand(longest):
    """Word pieces of the document, cut at the last stop or line end that fits, or between words."""
    inner = tokenizer()
    found = inner.encode(DOCUMENT, add_special_tokens=False)
    spans, ids, start = found.offsets, found.ids, 0
    while start < len(ids):
        stop = min(start + longest, len(ids))
        if stop < len(ids):
            for back in range(stop, start, -1):
                end = spans[back - 1][1]
                if DOCUMENT[end - 1] == "." or DOCUMENT[end : end + 1] == "\n":
                    stop = back
                    break
            else:
                while PIECES[ids[stop]].startswith("##"):
                    stop -= 1
        yield ids[start:stop], spans[start:stop]
        start = stop


def words_by_hand(model, longest=12):
    """By chunk: (word, chance, target tokens) as the published steps give them."""
    for ids, spans in chunks_by_hand(longest):
        with torch.no_grad():
            logits = model(torch.tensor([[2, *ids, 3]])).logits[0, 1:-1]
        words = []
        for token, (a, b), chance in zip(ids, spans, logits.softmax(-1)[:, 1], strict=True):
            if PIECES[token].startswith("##"):
                words[-1][0] += DOCUMENT[a:b]
                words[-1][1].append(float(chance))
            else:
                words.append([DOCUMENT[a:b], [float(chance)]])
        yield [(word, sum(chances) / len(chances), 1) for word, chances in words]


def kept_at(chunks, dropped):
    kept = []
    for words in chunks:
        chances = sorted(chance for _, chance, count in words for _ in range(count))
        rank = (len(chances) - 1) * min(1, dropped + 0.01)
        low = int(rank)
        high = min(low + 1, len(chances) - 1)
        threshold = chances[low] + (rank - low) * (chances[high] - chances[low])
        kept += [word for word, chance, _ in words if chance > threshold]
    return kept


@pytest.mark.parametrize("room", [0, 3, 8, 17, 25, 36])
def test_the_choice_equals_the_published_steps_at_the_highest_rate_that_fits(
    method, classifier, room
):
    chunks = list(words_by_hand(classifier[1]))
    assert len(chunks) > 3

    words = shown(method(room))

    rates = (kept_at(chunks, share) for share in np.linspace(-0.0099, 1, 4001))
    expected = next(kept for kept in rates if len(kept) <= room)
    assert re.findall(r"\w+|[^\w\s]", " ".join(words)) == expected


def test_no_budget_is_exceeded_and_what_a_smaller_one_keeps_a_larger_one_keeps_too(method):
    prompt = asked(QUESTION, DOCUMENT)
    before = set()
    for room in range(0, len(prompt) - len(prompt.protected), 3):
        kept = method(room).on_prompt(prompt, CountingDraft(), 16)
        assert len(kept) <= len(prompt.protected) + room
        assert before <= set(kept.origins)
        assert {kept.origins[i] for i in kept.protected} == prompt.protected
        before = set(kept.origins)


@pytest.mark.parametrize("width", [1, 3, 8])
def test_tokens_of_any_width_go_with_the_word_that_holds_their_last_character(classifier, width):
    text = DOCUMENT + QUESTION
    spans = tuple((a, min(a + width, len(text))) for a in range(0, len(text), width))
    protected = frozenset(n for n, (_, stop) in enumerate(spans) if stop > len(DOCUMENT))
    prompt = Prompt(tuple(range(len(spans))), spans, text, protected, content=(0, len(text)))
    method = LLMLingua2(keep=len(spans) // 2, classifier=classifier[0], chunk=12)

    kept = method.on_prompt(prompt, CountingDraft(), 16)

    assert len(protected) + 5 < len(kept) <= len(spans) // 2
    words = [place.end() for place in re.finditer(r"\w+|[^\w\s]", DOCUMENT)]
    lasts = [max(len(text[:b].rstrip()), a + 1) for a, b in spans]
    own = [next(n for n, end in enumerate(words) if last <= end)
           for token, last in enumerate(lasts) if token not in protected]  # fmt: skip
    stays = {own[token] for token in kept.origins if token not in protected}
    gone = {own[token] for token in set(range(len(own))) - set(kept.origins)}
    assert not stays & gone


def test_forced_signs_and_digits_stay_and_need_room(method):
    signs = shown(method(9, force=".?!"))

    assert "".join(signs).count(".") == DOCUMENT.count(".")
    assert "!" in signs[-1]
    digits = shown(method(4, digits=True))
    assert {"7", "8"} <= set(digits)
    with pytest.raises(BudgetTooSmallError, match=r"room for 3 tokens .* words of 4 tokens"):
        shown(method(3, force=".?!"))


def test_what_the_classifier_reads_is_charged(method, classifier):
    draft = CountingDraft()

    method(10).on_prompt(asked(QUESTION, DOCUMENT), draft, 16)

    chunks = [ids for ids, _ in chunks_by_hand(12)]
    hidden, wide, layers = 16, 24, 2
    flops = 0
    for length in (len(ids) + 2 for ids in chunks):
        linear = 4 * hidden * hidden + 2 * hidden * wide
        flops += layers * (2 * length * linear + 4 * length * length * hidden)
    assert draft.charged == [(sum(map(len, chunks)), flops)]


@pytest.mark.parametrize("keep", [1000, 1.0])
def test_a_budget_of_the_whole_prompt_loads_nothing_and_changes_nothing(keep):
    prompt = asked(QUESTION, DOCUMENT)

    assert LLMLingua2(keep=keep, classifier="no-such").on_prompt(prompt, None, 16) is prompt


def test_without_protection_the_question_loses_words_too(classifier):
    method = LLMLingua2(keep=5, classifier=classifier[0], protect=False)

    kept = method.on_prompt(asked(QUESTION, DOCUMENT), CountingDraft(), 16)

    assert len(kept) <= 5


def test_parts_lose_words_below_a_percentile_of_their_own():
    part = TextPart(np.array([0.1, 0.9, 0.5, 0.7]), np.array([1, 1, 5, 1]), np.zeros(4, bool))

    # Lengthened: .1 .5 .5 .5 .5 .5 .7 .9; the 51st percentile is .5, the 86th .7 + .02 * .2.
    assert part.kept(0.5).tolist() == [False, True, False, True]
    assert part.kept(0.85).tolist() == [False, True, False, False]
    assert part.kept(1.0).tolist() == [False] * 4
    # Lengthened: .1 .5 .7 .9 .9 .9 .9 .9; half of that is the best word alone.
    heavy = TextPart(part.chances, np.array([1, 5, 1, 1]), part.forced)
    assert heavy.kept(0.5).tolist() == [False] * 4
    other = TextPart(np.array([0.2, 0.01]), np.array([1, 1]), np.zeros(2, bool))
    first, second = words_that_fit([part, other], 3)
    assert first.tolist() == [False, True, False, True]
    assert second.tolist() == [True, False]


def test_words_of_no_tokens_and_forced_words_cost_what_they_take():
    nothing = TextPart(np.array([0.3]), np.array([0]), np.zeros(1, bool))
    forced = TextPart(np.array([1.0, 0.4]), np.array([2, 3]), np.array([True, False]))

    assert [stays.tolist() for stays in words_that_fit([nothing, forced], 2)] == [
        [False], [True, False]
    ]  # fmt: skip
