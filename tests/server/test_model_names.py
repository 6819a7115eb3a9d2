"""From the fields of a request to its recipe, and all ways out of the allow list."""

import builtins
import io
import os

import pytest

from forethought import catalogue
from forethought.contracts import parameters
from forethought.recipes.recipe import Recipe
from forethought.server.allowed_names import _HARMLESS, _NESTED, _is_free_text
from forethought.server.errors import ApiError
from forethought.server.model_names import RecipeReader
from forethought.server.schemas.chat_request import ChatRequest
from forethought.server.schemas.common import MethodFields, SamplingFields
from forethought.server.settings import ServerSettings, public_name

SETTINGS = ServerSettings(
    recipe=Recipe(model="big", draft="small", approximate=("specpc(keep=0.25)",)),
    models=("other/model",),
    allowed=("all-minilm-l6-v2",),
)
READER = RecipeReader(SETTINGS)


def recipe(model=None, **fields):
    return READER.recipe(MethodFields(model=model, **fields))


def refused(model=None, **fields):
    with pytest.raises(ApiError) as caught:
        recipe(model, **fields)
    return caught.value


SPELLED = {
    "big": "big+draft(small)+specpc(keep=0.25)",
    "small": "small",
    "other/model": "other/model",
    "big+specpc(keep=512)": "big+draft(small)+specpc(keep=512)",
    "big+draft(other/model)+specpc": "big+draft(other/model)+specpc",
    "big+draft(self)+specpc": "big+specpc",
    "big+snapkv": "big+snapkv",
    "'big'+snapkv@majority-vote(n=5)": "big+snapkv@majority-vote(n=5)",
    "big+exact": "big",
    "other/model@best-of-n(n=3)@likelihood": "other/model@best-of-n(n=3)@likelihood",
    "big+embedding": "big+embedding",
    "big+evict(keep=9)": "big+evict(keep=9)",
    "big+duo-attention": "big+duo-attention",
}


@pytest.mark.parametrize("text", SPELLED)
def test_a_models_name_is_a_recipes_spelling(text):
    assert recipe(text).spelling == SPELLED[text]


FIELDS = {
    "no model": ({}, SPELLED["big"]),
    "no method": ({"approximate": []}, "big"),
    "exact": ({"approximate": "exact"}, "big"),
    "one method": ({"approximate": "snapkv(keep=9)"}, "big+snapkv(keep=9)"),
    "joined": ({"approximate": "specpc+quantised-kv"}, "big+draft(small)+specpc+quantised-kv"),
    "listed": ({"approximate": ["snapkv", "quantised-kv"]}, "big+snapkv+quantised-kv"),
    "a draft": ({"draft": "other/model"}, "big+draft(other/model)+specpc(keep=0.25)"),
    "a search": (
        {"approximate": [], "search": "best-of-n(n=3)@likelihood"},
        "big@best-of-n(n=3)@likelihood",
    ),
    "a search and scorer": (
        {"approximate": [], "search": "best-of-n(n=3)", "scorer": "likelihood"},
        "big@best-of-n(n=3)@likelihood",
    ),
    "no search": ({"model": "small@majority-vote", "search": ""}, "small"),
    "confidence": ({"approximate": [], "confidence": 0.8}, "big@adaptive(enough=0.8)"),
    "confidence of a search": (
        {"approximate": [], "search": "best-of-n(n=3)@likelihood", "confidence": 0.9},
        "big@best-of-n(n=3, enough=0.9)@likelihood",
    ),
}


@pytest.mark.parametrize("case", FIELDS)
def test_fields_add_to_the_models_name(case):
    fields, spelled = FIELDS[case]

    assert recipe(**fields).spelling == spelled


def test_a_search_has_the_servers_budget_and_an_answer_has_none():
    def sampled(**fields):
        asked = ChatRequest(messages=[{"role": "user", "content": "x"}], **fields)
        return READER.sampled(asked, samples=1, max_tokens=9)

    assert sampled(search="majority-vote").budget == f"{SETTINGS.max_total_tokens}tok"
    assert sampled(search="majority-vote", budget="5tok").budget == "5tok"
    assert sampled(search="majority-vote", budget="2s").limit.tokens == SETTINGS.max_total_tokens
    assert sampled(search="majority-vote", budget="2s").limit.seconds == 2
    assert sampled().budget == ""


def test_an_unknown_model_has_status_404_and_its_neighbour():
    error = refused("smal")

    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert error.hint == "did you mean small?"
    assert refused("gpt-9").hint == "served: big, small, other/model"


OUTSIDE = [
    "/etc/passwd",
    "'/etc/passwd'",
    '"/etc/passwd"',
    "../big",
    "./big",
    "~/model.gguf",
    "'C:\\models\\new.gguf'",
    "big/../../etc",
    "file:///etc/passwd",
    "http://169.254.169.254/v1#x",
    "'http://127.0.0.1:1/v1#big'",
    "Qwen/Qwen2.5-1.5B-Instruct",
    "smollm2",
    "big\x00",
    " ",
    "''",
    "@majority-vote",
    "+snapkv",
    "self",
    "big+draft(/etc/passwd)+specpc",
    "big+draft('/etc/passwd')+specpc",
    "big+draft(http://127.0.0.1:1/v1#x)+specpc",
    "big+draft(smollm2)+specpc",
    "big+ draft (smollm2)+specpc",
    "big+draft(",
    "big+draft()",
    "big+embedding(encoder='/etc')",
    "big+embedding(encoder='sentence-transformers/x')",
    "big+llmlingua2",
    "big+llmlingua2(classifier='/etc/passwd')",
    "big+llmlingua2(classifier=/etc/passwd)",
    "big@difficulty-router(plan='/etc/passwd')",
    "big@difficulty-router(plan=/etc/passwd)",
    "big@cascade(then='difficulty-router(plan=\"/etc/passwd\")')",
    "big@cascade(then='cascade(then=\"difficulty-router(plan=/etc/passwd)\")')",
    "big@best-of-n@reward-model",
    "big@best-of-n@reward-model(model='/etc/passwd')",
    "big@best-of-n@remote-judge(server='http://127.0.0.1:1/v1#x')",
    "big@best-of-n@checker",
    "big@best-of-n@unit-tests",
    "big@best-of-n@noisy-checker",
    "big@majority-vote(n=65)",
    "big@beam(width=100000)@likelihood",
    "big@mcts(iterations=1000000)@likelihood",
    "big@majority-vote(n=1e9)",
    "big+ruler(path='/etc/passwd')",
    "big@greedy@likelihood@likelihood",
]


@pytest.mark.parametrize("text", OUTSIDE)
def test_no_name_leaves_the_allow_list(text, monkeypatch):
    opened = []
    own = builtins.open

    def watched(file, *rest, **more):
        opened.append(os.fspath(file) if not isinstance(file, int) else file)
        return own(file, *rest, **more)

    monkeypatch.setattr(builtins, "open", watched)
    monkeypatch.setattr(io, "open", watched)

    assert refused(text).status in (400, 404)

    assert not [file for file in opened if "passwd" in str(file)]


@pytest.mark.parametrize(
    "fields",
    [
        {"draft": "/etc/passwd"},
        {"draft": "http://127.0.0.1:1/v1#x"},
        {"draft": "draft(big)"},
        {"draft": ""},
        {"approximate": "embedding(encoder='/etc')"},
        {"approximate": ["snapkv", "llmlingua2"]},
        {"approximate": "kvzap(predictor=/etc/passwd)"},
        {"approximate": "duo-attention(heads=/etc/passwd)"},
        {"approximate": "draft(/etc/passwd)"},
        {"approximate": ["snapkv"] * 17},
        {"approximate": "x" * 2001},
        {"search": "difficulty-router(plan=/etc/passwd)"},
        {"search": "majority-vote@checker"},
        {"search": "majority-vote(n=100)"},
        {"search": "best-of-n", "scorer": "remote-judge(server='http://127.0.0.1/v1#x')"},
        {"search": "best-of-n@likelihood@likelihood"},
        {"search": "majority-vote", "confidence": 0.9},
        {"scorer": "reward-model"},
        {"budget": "5"},
        {"budget": "x"},
    ],
    ids=str,
)
def test_no_field_leaves_the_allow_list(fields):
    assert refused(**fields).status in (400, 404)


def test_every_free_text_of_the_catalogue_is_either_harmless_or_checked():
    free = {
        (entry.name, setting.name)
        for kind in ("methods", "strategies", "scorers")
        for entry in catalogue.entries(kind).values()
        for setting in parameters.settings_of(entry.load())
        if _is_free_text(entry, setting.name)
    }
    checked = {(name, one) for name, one in free if one not in _HARMLESS and one not in _NESTED}

    assert checked == {
        ("cpc", "encoder"),
        ("r2c", "encoder"),
        ("embedding", "encoder"),
        ("semantic-agreement", "encoder"),
        ("llmlingua2", "classifier"),
        ("difficulty-router", "plan"),
        ("remote-judge", "server"),
        ("reward-model", "model"),
        ("kvzap", "predictor"),
        ("evict", "predictor"),
        ("evict", "heads"),
        ("duo-attention", "heads"),
        ("kvzip-heads", "heads"),
        ("difficulty", "probe"),
        ("p-ik", "probe"),
        ("restart-gain", "probe"),
        ("value-head", "probe"),
    }
    assert free - checked == {(name, one) for name, one in free if one in _HARMLESS | set(_NESTED)}


def test_resources_of_the_default_recipe_are_allowed(tmp_path):
    judged = ServerSettings(
        recipe=Recipe.parse("big@best-of-n(n=2)@remote-judge(server='http://judge/v1#x')")
    )
    reader = RecipeReader(judged)

    asked = MethodFields(model="big@best-of-n(n=4)@remote-judge(server='http://judge/v1#x')")
    assert reader.recipe(asked).scorer == "remote-judge(server='http://judge/v1#x')"


def test_public_names_tell_no_folder_and_no_address(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()

    assert public_name("http://user:secret@host:1/v1#big") == "big"
    assert public_name("/models/new.gguf") == "new"
    assert public_name(str(folder)) == "weights"
    assert public_name("Qwen/Qwen2.5") == "Qwen/Qwen2.5"


HINTS = {
    "big+embedding(keep=0.5)": "use another method",
    "big+llmlingua2": "use another method",
    "big@best-of-n@reward-model": "use another scorer",
    "big@best-of-n@remote-judge": "use another scorer",
    "big@difficulty-router": "use another strategy",
    "big@best-of-n@self-judge(model=x)": "write self-judge alone",
    "big+embedding(encoder='/etc')": "use a model of GET /v1/models",
    "big+duo-attention(heads='/etc/passwd')": "leave heads out, or use a model of GET /v1/models",
}


@pytest.mark.parametrize("text", HINTS)
def test_a_hint_mends_the_name(text):
    reader = RecipeReader(ServerSettings(recipe=Recipe(model="big")))
    with pytest.raises(ApiError) as told:
        reader.sampled(SamplingFields(model=text), samples=1, max_tokens=8)

    assert told.value.hint == HINTS[text]


def test_an_empty_scorer_is_none_and_limits_name_no_huge_number():
    assert recipe("big@majority-vote", scorer="").scorer == ""
    error = refused(search="majority-vote(n=0)")
    assert error.message == "majority-vote: n=0 must be 1 or more"


def test_a_cascade_without_a_smaller_model_names_none():
    reader = RecipeReader(ServerSettings(recipe=Recipe(model="big")))
    with pytest.raises(ApiError) as told:
        reader.sampled(SamplingFields(model="big@cascade"), samples=1, max_tokens=8)

    assert told.value.hint == (
        "name the smaller one with draft, and with model a larger one that runs here too"
    )
