"""The page's files: nothing inline, nothing from other hosts, and a whole export."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import forethought
from forethought.contracts.errors import StoreError
from forethought.contracts.questions import Sample
from forethought.recipes.recipe import Recipe
from forethought.server.page_data import prompt_document
from forethought.server.page_files import bundled, page_files
from forethought.server.page_router import PageSources, page_router
from forethought.server.served_runs import ServedRuns
from forethought.storage.run_log import RunLog, ServedRun
from tests.server.page import recordings
from tests.server.page.replaying_server import stored_samples

FILES = page_files()
NAMESPACE = "http://www.w3.org/2000/svg"
RECIPE = Recipe.parse("smollm2+specpc(keep=0.25)")
EVIL = "</script><script>alert(1)</script><!--"


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog.open(tmp_path / "runs.sqlite")


@pytest.fixture
def client(log: RunLog) -> TestClient:
    app = FastAPI()
    app.include_router(
        page_router(
            PageSources(ServedRuns(log), lambda: {"running": 2}, stored_samples, recipe=RECIPE)
        )
    )
    return TestClient(app)


def recorded(log: RunLog, name: str = "specpc", question: str = "Why?") -> ServedRun:
    prompt = prompt_document(recordings.prompt(name))
    run = ServedRun(f"chatcmpl-{name}", 5.0, recordings.events(name), question, prompt)
    log.record(run)
    return run


class Tags(HTMLParser):
    """All tags of a document with their attributes, and the text of inline elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_file_names_another_host(name: str) -> None:
    text = FILES[name].text.replace(NAMESPACE, "")

    assert not re.search(r"https?:|[\"'(]//|@import|url\(", text)


def test_the_page_obeys_its_content_security_policy() -> None:
    tags = Tags(FILES["index.html"].text).tags

    for tag, attributes in tags:
        assert tag != "style"
        assert not [one for one in attributes if one.startswith("on") or one == "style"]
        for one in ("src", "href"):
            assert attributes.get(one, "/page/").startswith(("/page/", "#"))
        if tag == "script":
            assert attributes["type"] == "module"
    # The policy also forbids style attributes and code from text.
    for name, file in FILES.items():
        if name.endswith(".js"):
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", file.text
            )
            assert not re.search(r"\beval\(|new Function|\bstyle:|\"style\"", file.text)


def test_every_imported_name_is_exported_by_a_file_of_the_page() -> None:
    for name, file in FILES.items():
        for names, module in re.findall(r'import \{([^}]*)\} from "\./([^"]+)"', file.text):
            for one in filter(None, map(str.strip, names.split(","))):
                assert re.search(rf"export (async )?(function\*?|const|class) {one}\b",
                                 FILES[module].text), (name, module, one)  # fmt: skip


def test_every_form_field_has_a_label() -> None:
    text = FILES["index.html"].text
    labelled = set(re.findall(r'<label for="([\w-]+)"', text))
    for tag, attributes in Tags(text).tags:
        if tag in ("input", "select", "textarea"):
            assert attributes["id"] in labelled or attributes.get("aria-label"), attributes


def test_every_file_of_the_page_is_in_the_package() -> None:
    folder = Path(forethought.__file__).parent / "server" / "page"

    assert {one.name for one in folder.iterdir()} | {"look.css"} == set(FILES)
    declared = (Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8")
    assert '"server/page/*"' in declared


def test_files_are_served_with_a_strict_policy_and_nothing_else_is(client: TestClient) -> None:
    index = client.get("/")

    assert index.status_code == 200
    assert index.text == FILES["index.html"].text
    assert "default-src 'self'" in index.headers["content-security-policy"]
    assert "unsafe" not in index.headers["content-security-policy"]
    assert client.get("/page/main.js").headers["content-type"].startswith("text/javascript")
    assert "content-security-policy" in client.get("/page/main.js").headers
    for path in ("/page/../page_router.py", "/page/%2e%2e%2fpage_router.py", "/page/none.js",
                 "/page/..%5cpage_router.py", "/page/page.css%00"):  # fmt: skip
        assert client.get(path).status_code == 404


def test_runs_are_listed_and_read_and_replayed(client: TestClient, log: RunLog) -> None:
    run = recorded(log)

    (listed,) = client.get("/v1/runs").json()["data"]
    document = client.get(f"/v1/runs/{run.id}").json()
    lines = client.get(f"/v1/runs/{run.id}/events").text.split("\n\n")

    assert listed["id"] == run.id
    assert document["kept"] == run.document["kept"]
    assert (
        document["prompt"]["tokens"][3] == prompt_document(recordings.prompt("specpc"))["tokens"][3]
    )
    assert document["form"]["approximate"] == [{"name": "specpc", "settings": {"keep": "256"}}]
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert [one["kind"] for one in events] == [one.kind for one in run.events]
    assert lines[-2:] == ["data: [DONE]", ""]


def test_an_unknown_run_is_a_404_in_the_shape_of_openai(client: TestClient) -> None:
    for path in ("/v1/runs/none", "/v1/runs/none/events", "/v1/runs/none/export"):
        answer = client.get(path)

        assert answer.status_code == 404
        assert answer.json()["error"]["message"].startswith("there is no run 'none'")
        assert answer.json()["error"]["hint"]
    assert client.get("/v1/runs?limit=0").status_code == 422


def test_live_figures_and_comparisons_come_from_their_sources(client: TestClient) -> None:
    assert client.get("/v1/live").json() == {"running": 2}
    assert len(client.get("/v1/comparisons").json()["data"]) == 1
    catalogue = client.get("/v1/catalogue").json()
    assert set(catalogue) == {"methods", "strategies", "scorers", "default"}
    assert catalogue["default"]["approximate"][0]["settings"] == {"keep": "0.25"}


def test_an_export_is_one_file_that_loads_nothing(client: TestClient, log: RunLog) -> None:
    run = recorded(log, question=EVIL)

    answer = client.get(f"/v1/runs/{run.id}/export")

    tags = Tags(answer.text).tags
    assert "attachment" in answer.headers["content-disposition"]
    assert not [attributes for _, attributes in tags if "src" in attributes]
    assert {attributes["href"] for tag, attributes in tags if tag == "link"} == {"data:,"}
    assert EVIL not in answer.text
    data = re.search(r'id="data">(.*?)</script>', answer.text, re.DOTALL)
    assert data
    held = json.loads(data[1])
    assert held["run"]["question"] == EVIL
    assert [one["kind"] for one in held["events"]] == [one.kind for one in run.events]


def test_the_bundle_has_no_import_left_and_modules_before_their_users() -> None:
    text = bundled("export.js")

    assert not re.search(r"^(import|export) ", text, re.MULTILINE)
    defined: list[str] = []
    for line in text.splitlines():
        if made := re.match(r'modules\["(\w+\.js)"\] = ', line):
            defined.append(made[1])
        if used := re.match(r'const \{.*\} = modules\["(\w+\.js)"\];', line):
            assert used[1] in defined
    assert len(defined) == len(set(defined))
    assert defined[-1] == "export.js"
    assert "main.js" not in defined


def test_a_damaged_results_file_is_an_error_with_a_hint(log: RunLog) -> None:
    def samples() -> list[Sample]:
        raise StoreError("the results file is damaged", "move it away")

    app = FastAPI()
    app.include_router(page_router(PageSources(ServedRuns(log), dict, samples)))
    answer = TestClient(app).get("/v1/comparisons")

    assert answer.status_code == 500
    assert answer.json()["error"]["hint"] == "move it away"
