"""Prompt compression in front of a server: a draft on this machine, a real process that answers."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from forethought.backends.openai.compression import Compression
from forethought.cli.main import exit_code
from forethought.contracts.questions import Question
from forethought.evaluation.compare import compare
from forethought.methods.prompt_compression.specpc_shallow import SpecPCShallow
from forethought.models.load import load
from forethought.prefill.draft_model import ModelDraft
from forethought.recipes.recipe import Recipe
from forethought.sessions.ask import ask, stream
from forethought.sessions.compress import compress
from forethought.storage.store import Store
from tests.backends.openai.remote_asks import request
from tests.cli.tiny_folder import write_tiny_model

DOCUMENT = " ".join(f"Locker {n} has the code {n * 37 % 101}." for n in range(12))
QUESTION = "What?"
KEPT = 120
SPECPC = f"specpc-shallow(keep={KEPT}, window=8)"


@pytest.fixture(scope="module")
def draft(tmp_path_factory, own_cache) -> str:
    """A tiny model in a folder; each byte is a token, and it has no chat template."""
    return str(write_tiny_model(tmp_path_factory.mktemp("draft") / "tiny"))


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETHOUGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def recipe(toy, draft, *methods, **settings):
    base = {"model": f"{toy.base}/v1#toy", "draft": draft, "max_tokens": 20}
    return Recipe(**base, approximate=methods or (SPECPC,), **settings)


def sent(toy):
    """The prompts of the run, without those of the probe."""
    bodies = [one for one in toy.told()["asked"] if one["path"].endswith("completions")]
    texts = [
        one["messages"][0]["content"] if "messages" in one else one["prompt"] for one in bodies
    ]
    return [text for text in texts if len(text) > 100]


def shortened(draft, *methods):
    return compress(QUESTION, Recipe(model=draft, approximate=methods), document=DOCUMENT)


def test_the_server_gets_the_text_of_the_kept_tokens(toy, draft):
    run = ask(QUESTION, recipe(toy, draft), document=DOCUMENT)
    here = shortened(draft, SPECPC)

    assert sent(toy) == [here.text]
    assert run["answer"] == "a\na\na\n"
    assert (run["kept"]["prompt_tokens"], run["kept"]["of"]) == (KEPT, len(DOCUMENT) + 2 + 5)
    assert run["kept"]["positions"] == here.document["kept"]["positions"]
    assert run["cost"]["draft_tokens"] == here.document["cost"]["draft_tokens"] > KEPT
    assert run["cost"]["flops"] == here.document["cost"]["flops"] > 0
    assert run["timing"]["stages"].keys() == {"draft"}
    assert run["exact"] == {"flops": 0.0, "cache_bytes": 0}
    assert f"the prompt is sent as text; kept tokens are those of {draft}" in run["notes"]


@pytest.mark.parametrize("method", ["truncate", "bm25", "random", "spec-prefill", "gem-filter"])
def test_every_method_that_shortens_prompts_is_served(toy, draft, method):
    run = ask(QUESTION, recipe(toy, draft, f"{method}(keep={KEPT})"), document=DOCUMENT)

    (text,) = sent(toy)
    assert len(text) == run["kept"]["prompt_tokens"] <= KEPT
    assert text.endswith(QUESTION)
    in_place = method == "spec-prefill"
    assert any("without gaps" in note for note in run["notes"]) == in_place
    if not in_place:  # alone, its draft would not pay
        assert text == shortened(draft, f"{method}(keep={KEPT})").text


def test_at_its_off_value_the_whole_prompt_is_sent(toy, draft):
    run = ask(QUESTION, recipe(toy, draft, "specpc-shallow(keep=1.0)"), document=DOCUMENT)

    assert sent(toy) == [f"{DOCUMENT}\n\n{QUESTION}"]
    assert run["cost"]["draft_tokens"] == 0
    assert run["kept"]["prompt_tokens"] == run["kept"]["of"]
    assert any("nothing to drop" in note for note in run["notes"])


def test_a_search_shortens_once_for_all_of_its_candidates(toy, draft):
    plain = ask(QUESTION, recipe(toy, draft), document=DOCUMENT)["cost"]
    toy.set()
    voting = recipe(toy, draft, search="majority-vote(n=6)")
    run = ask(QUESTION, voting, document=DOCUMENT)

    assert len(sent(toy)) == len(run["candidates"]) == 6
    assert len(set(sent(toy))) == 1
    assert run["cost"]["draft_tokens"] == plain["draft_tokens"]
    assert run["cost"]["flops"] == plain["flops"]


def test_steps_continue_answers_after_the_shortened_prompt(toy, draft):
    beam = recipe(toy, draft, search=r"beam(n=4, delimiter='\n')", scorer="likelihood")
    run = ask(QUESTION, beam, document=DOCUMENT)

    assert len(sent(toy)) > 4
    assert len(set(sent(toy))) == 1
    assert run["cost"]["draft_tokens"] == shortened(draft, SPECPC).document["cost"]["draft_tokens"]


def test_the_events_tell_of_the_draft_before_the_answer(toy, draft):
    kinds = [event.kind for event in stream(recipe(toy, draft), QUESTION, DOCUMENT)]
    stages = [e.data for e in stream(recipe(toy, draft), QUESTION, DOCUMENT) if e.kind == "stage"]

    assert kinds.index("stage") < kinds.index("token") < kinds.index("done")
    assert [one["name"] for one in stages] == ["draft"]
    assert stages[0]["seconds"] > 0


def ids_of(toy, draft, **settings):
    toy.set(tokenizer=f"{draft}/tokenizer.json", **settings)


def test_a_server_with_the_draft_s_tokens_and_template_gets_token_ids(toy, draft):
    ids_of(toy, draft)
    run = ask(QUESTION, recipe(toy, draft), document=DOCUMENT)
    prompt = [one for one in toy.told()["asked"] if one["path"] == "/v1/completions"][-1]

    tokenizer = load(draft).tokenizer
    positions = run["kept"]["positions"]
    whole = tokenizer.encode(f"{DOCUMENT}\n\n{QUESTION}")
    assert prompt["prompt"] == [whole[place] for place in positions]
    assert run["cost"]["prompt_tokens"] == KEPT == run["kept"]["prompt_tokens"]
    assert run["answer"] == "a\na\na\n"
    assert "the prompt is sent as token ids" in run["notes"]


def test_a_server_with_another_template_gets_text(toy, draft):
    ids_of(toy, draft, template="<user>{}</user>")
    run = ask(QUESTION, recipe(toy, draft), document=DOCUMENT)

    assert sent(toy) == [shortened(draft, SPECPC).text]
    assert any("sent as text" in note for note in run["notes"])


def test_a_server_with_other_tokens_gets_text(toy, draft, tmp_path):
    text = (Path(draft) / "tokenizer.json").read_text()
    vocabulary = json.loads(text)
    words = vocabulary["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(vocabulary))
    toy.set(tokenizer=str(tmp_path / "tokenizer.json"))
    run = ask(QUESTION, recipe(toy, draft), document=DOCUMENT)

    assert any("sent as text" in note for note in run["notes"])


def test_answers_that_continue_do_so_in_token_ids(toy, draft):
    ids_of(toy, draft, chat=False)
    beam = recipe(toy, draft, search=r"beam(n=4, delimiter='\n')", scorer="likelihood")
    by_ids = ask(QUESTION, beam, document=DOCUMENT)
    toy.set()
    as_text = ask(QUESTION, beam, document=DOCUMENT)

    assert [one["text"] for one in by_ids["candidates"]] == [
        one["text"] for one in as_text["candidates"]
    ]


def test_a_prompt_beyond_the_draft_s_context_is_refused_with_a_way_out(toy, draft, capsys):
    line = ["ask", QUESTION, "-m", f"{toy.base}/v1#toy", "-d", draft, "-x", SPECPC, "-f"]
    file = Path(draft).parent / "long.txt"
    file.write_text("word " * 2000)

    assert exit_code([*line, str(file)]) == 2
    err = capsys.readouterr().err
    assert "holds 4,096 tokens, but would prefill" in err
    assert "the method truncate before this one" in err
    assert sent(toy) == []


def test_a_budget_in_tokens_and_in_seconds_holds(toy, draft):
    voting = recipe(toy, draft, search="majority-vote(n=6)", budget="9tok")
    run = ask(QUESTION, voting, document=DOCUMENT)
    late = ask(QUESTION, recipe(toy, draft, budget="30s"), document=DOCUMENT)

    assert run["cost"]["output_tokens"] <= 9
    assert late["answer"] == "a\na\na\n"


def test_a_draft_stops_if_nobody_waits_for_it(toy, draft, passes):
    first = threading.Event()
    compression = Compression(
        (("specpc-shallow", SpecPCShallow(keep=KEPT, window=8)),), load(draft), 20
    )
    with toy.remote("toy", compression=compression) as backend:
        _ = backend.capabilities
        backend._drafts.submit(first.wait)  # the thread of the drafts is busy
        toy.set()
        asked = request("k", question=Question("q", QUESTION, DOCUMENT))
        backend.submit(asked)
        backend.submit(replace(asked, key="other", first=False))
        assert backend.poll(backend.now() + 0.1) == []
        backend.cancel("k")
        (cut,) = backend.poll()
        backend.cancel("other")
        (also,) = backend.poll()
        first.set()

    assert (cut.piece.finish, also.piece.finish) == ("cancelled", "cancelled")
    assert cut.cost.draft_tokens == 0
    assert toy.told()["asked"] == []
    assert passes == []


def test_a_budget_in_dollars_is_leased_for_the_shortened_prompt(toy, draft):
    """The whole prompt has about 480 bytes, so a lease for all of them would refuse it."""
    priced = recipe(toy, draft, budget="$0.000500")
    run = ask(QUESTION, priced, document=DOCUMENT, prices=["1/10"])

    assert 0 < run["cost"]["usd"] <= 0.0005
    assert run["answer"]


def test_recipes_of_one_draft_share_its_pass_and_pay_for_their_own(toy, draft, tmp_path, passes):
    found = compare(
        [f"specpc-shallow(keep={keep}, window=8)" for keep in (0.8, 0.9)],
        ["vt(tokens=300, count=2)"],
        Recipe(model=f"{toy.base}/v1#toy", draft=draft, max_tokens=12),
        results=tmp_path / "r.sqlite",
    )

    assert [one.questions for one in found.standings] == [2, 2, 2]
    assert len(passes) == 2  # one for each question
    with Store.open(tmp_path / "r.sqlite") as store:
        runs = [one.run for one in store.samples() if "specpc-shallow" in one.recipe]
    assert len(runs) == 4
    assert all(run["cost"]["draft_tokens"] == run["kept"]["of"] for run in runs)
    shares = sorted(round(run["kept"]["prompt_tokens"] / run["kept"]["of"], 2) for run in runs)
    assert shares == [0.8, 0.8, 0.9, 0.9]


def test_a_second_comparison_asks_and_drafts_nothing(toy, draft, tmp_path, passes):
    line = [
        ["truncate(keep=0.8)"],
        ["vt(tokens=300, count=2)"],
        recipe(toy, draft, "random(keep=0.9)"),
    ]
    first = compare(*line, results=tmp_path / "r.sqlite")
    toy.set()
    again = compare(*line, results=tmp_path / "r.sqlite")

    assert not first.refusals
    assert toy.told()["asked"] == []
    assert [one.recipe for one in again.standings] == [one.recipe for one in first.standings]


def test_keys_of_requests_hold_the_methods(toy, draft):
    one = recipe(toy, draft, search="majority-vote(n=2)")

    assert one.asking.to_json() != replace(one, approximate=()).asking.to_json()
    assert one.asking.to_json() != replace(one, draft="smollm2").asking.to_json()


@pytest.fixture
def passes(monkeypatch):
    """A list that grows with every pass of a draft."""
    seen = []
    read = ModelDraft.read

    def counted(self, prompt, *given, **named):
        seen.append(prompt.tokens)
        return read(self, prompt, *given, **named)

    monkeypatch.setattr(ModelDraft, "read", counted)
    return seen
