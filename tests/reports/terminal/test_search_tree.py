"""Searches drawn as trees: well-formed, wide where samples went, grey where they ended."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

from forethought.reports.terminal.search_tree import search_tree, tree_page
from tests.reports.documents import document


def candidate(path, *steps, score=None, chosen=False, pruned=False):
    return {
        "path": path,
        "text": "".join(text for text, _ in steps),
        "tokens": 9,
        "score": score,
        "weight": score,
        "pruned": pruned,
        "chosen": chosen,
        "steps": [{"text": text, "score": value} for text, value in steps],
    }


FOUND = (
    candidate([0, 0], ("First.\n", 0.9), ("So <42>.", 1.0), score=1.0, chosen=True),
    candidate([0, 1], ("First.\n", 0.9), ("So 41.", 0.2), score=0.2),
    candidate([1], ("Else.\n", 0.1), pruned=True),
)


def drawn(found=FOUND):
    return ElementTree.fromstring(search_tree(document(candidates=found)))


def parts(tree, name):
    return [one for one in tree.iter() if one.tag == f"{{http://www.w3.org/2000/svg}}{name}"]


def test_branches_are_as_wide_as_samples_went_their_way():
    widths = [float(one.get("stroke-width")) for one in parts(drawn(), "path")]

    assert len(widths) == 4  # to First, to its two ends, and to Else
    shared, first, second, gone = sorted(widths, reverse=True)
    assert shared > first == second == gone


def test_what_was_given_up_is_grey_and_what_was_chosen_stands_out():
    tree = drawn()
    kinds = [one.get("class") for one in parts(tree, "path")]

    assert sorted(kinds) == ["chosen", "chosen", "gone", "kept"]
    (label,) = [one for one in parts(tree, "text") if "<42>" in "".join(one.itertext())]
    assert "1.00" in "".join(label.itertext())


def test_a_tree_may_be_as_deep_as_it_likes():
    steps = [(f"{n} ", 0.5) for n in range(3000)]
    tree = drawn([candidate([0] * 3000, *steps, score=0.5, chosen=True)])
    assert len(parts(tree, "circle")) == 3001


def test_letters_that_no_page_may_hold_are_replaced():
    text = "a\x1b[31m\x00\ufffe\ud800 <b>"
    tree = drawn([candidate([0], (text, 0.5), score=0.5, chosen=True)])
    page = tree_page(document(candidates=[], answer=text))
    assert "\x1b" not in page
    assert page.encode()
    (label,) = parts(tree, "text")
    assert "".join(label.itertext()).endswith("a�[31m��� <b>")


def test_the_better_the_darker():
    shades = [re.search(r"high\) (\d+)%", one.get("style")) for one in parts(drawn(), "g")]
    assert sorted(int(shade[1]) for shade in shades if shade) == [10, 20, 90, 100]


def test_every_node_tells_its_text_and_its_samples():
    titles = ["".join(one.itertext()) for one in parts(drawn(), "title")]
    assert "2 of 3 samples · score 0.90\n\nFirst." in titles


def test_rows_do_not_overlap():
    many = tuple(candidate([n], (f"So {n}.", n / 20), score=n / 20) for n in range(20))
    heights = sorted(float(one.get("y")) for one in parts(drawn(many), "text"))
    assert all(b - a > 20 for a, b in pairwise(heights))


def test_a_plain_run_has_no_tree():
    assert search_tree(document()) == ""


def test_the_page_holds_answer_and_tree_and_escapes_both():
    seen = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attributes):
            seen.append(tag)

    page = tree_page(document(candidates=FOUND, answer="<script>x</script>"))
    Tags().feed(page)
    assert "svg" in seen
    assert "script" not in seen


def test_tokens_between_which_nothing_parts_are_drawn_as_one_piece():
    shared = [("a", None)] * 300
    found = [
        candidate([0] * 300 + [last] * 400, *shared, *[(text, None)] * 400)
        for last, text in enumerate("bc")
    ]
    tree = drawn(found)
    titles = ["".join(one.itertext()) for one in parts(tree, "title")]

    assert len(parts(tree, "path")) == 3
    assert [sum(letter * size in one for one in titles) for letter, size in
            (("a", 300), ("b", 400), ("c", 400))] == [1, 1, 1]  # fmt: skip
    assert float(tree.get("width")) < 1000


def test_pieces_with_a_score_stay_apart():
    found = [candidate([0, 0, 0], ("a", None), ("b", 0.6), ("c", 0.7), chosen=True)]
    assert len(parts(drawn(found), "path")) == 3
