import pytest
import torch

from forethought.contracts.errors import BadParameterError, BudgetTooSmallError
from forethought.methods.prompt_compression.gem_filter import GemFilter
from tests.methods.reference import TinyDraft, prompt_of
from tests.tiny import tiny_decoder, tokens_of

LENGTH = 60


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(seed=3)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def products(decoder, tokens, layer):
    """The last token's query times every key, summed over heads, one pair at a time."""
    found = []

    def attend(number, queries, keys, values):
        shape = decoder.shape.layers[number]
        groups = shape.heads // shape.kv_heads
        if number == layer:
            for place in range(len(tokens)):
                pairs = [(queries[-1, h], keys[place, h // groups]) for h in range(shape.heads)]
                found.append(sum(float(query.float() @ key.float()) for query, key in pairs))
        heads = [keys[:, h // groups] for h in range(shape.heads)]
        scores = torch.stack([queries[:, h] @ heads[h].T for h in range(shape.heads)])
        future = queries.new_ones(len(tokens), len(tokens)).triu(1).bool()
        weights = torch.softmax((scores * shape.scale).masked_fill(future, -torch.inf), -1)
        mixed = [weights[h] @ values[:, h // groups] for h in range(shape.heads)]
        return torch.stack(mixed, 1).flatten(1)

    places = torch.arange(len(tokens), device=decoder.device)
    decoder.forward(torch.tensor(tokens, device=decoder.device), places, attend, phase="prefill")
    return found


def averaged(scores, kernel):
    half = kernel // 2
    padded = [0.0] * half + scores + [0.0] * half
    return [sum(padded[i : i + kernel]) / kernel for i in range(len(scores))]


@pytest.mark.parametrize("kernel", [1, 5])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_choice_equals_the_published_steps(decoder, seed, layers, kernel):
    tokens = tokens_of(LENGTH, seed)
    prompt = prompt_of(tokens, {0, 7, LENGTH - 1})
    method = GemFilter(keep=20, layers=layers, kernel=kernel)

    kept = method.on_prompt(prompt, TinyDraft(decoder), 16)

    scores = averaged(products(decoder, tokens, layers - 1), kernel)
    free = sorted(set(range(LENGTH)) - prompt.protected, key=lambda i: (-scores[i], i))
    assert list(kept.origins) == sorted([*free[:17], *prompt.protected])
    assert kept.positions == ()


def test_only_the_first_layers_of_the_target_itself_are_run(decoder):
    seen = []

    class Watched(TinyDraft):
        def read(self, prompt, tap, *, layers=None, lookahead=0, queries=None):
            seen.append((layers, lookahead))
            return super().read(prompt, tap, layers=layers, lookahead=lookahead)

    method = GemFilter(keep=10)
    method.on_prompt(prompt_of(tokens_of(LENGTH)), Watched(decoder), 16)

    assert method.drafts_with_itself()
    assert seen == [(1, 0)]  # 13 of 32 are 1 of 3
    assert method.draft_layers(Watched(decoder)) == 1


def test_more_layers_than_there_are_are_refused(decoder):
    with pytest.raises(BadParameterError, match="first 4 layers, but tiny has 3"):
        GemFilter(keep=10, layers=4).on_prompt(prompt_of(tokens_of(LENGTH)), TinyDraft(decoder), 16)


@pytest.mark.parametrize("keep", [LENGTH, LENGTH + 1, 1.0])
def test_a_budget_of_the_whole_prompt_runs_nothing_and_drops_nothing(decoder, keep):
    draft, prompt = TinyDraft(decoder), prompt_of(tokens_of(LENGTH))

    assert GemFilter(keep=keep).on_prompt(prompt, draft, 16) is prompt
    assert draft.runs == 0


def test_what_must_stay_needs_room_unless_it_is_not_protected(decoder):
    prompt = prompt_of(tokens_of(LENGTH), {0, 1, 2})

    with pytest.raises(BudgetTooSmallError, match="gem-filter keeps 2 tokens, but 3 must stay"):
        GemFilter(keep=2).on_prompt(prompt, TinyDraft(decoder), 16)
    assert len(GemFilter(keep=2, protect=False).on_prompt(prompt, TinyDraft(decoder), 16)) == 2
