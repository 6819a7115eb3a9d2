from forethought.reports.terminal.panel import panel
from tests.reports.documents import document


def candidate(path, text, *, weight=None, score=None, chosen=False, pruned=False):
    return {
        "path": path,
        "text": text,
        "tokens": 12,
        "log_probability": -3.0,
        "finish": "stop",
        "score": score,
        "weight": weight,
        "pruned": pruned,
        "chosen": chosen,
    }


def shown(found, width=80):
    return panel(document(candidates=tuple(found)), width=width, colour=False).splitlines()


def test_a_search_shows_its_answers_and_which_was_chosen():
    lines = shown(
        [
            candidate([0], "First this.\nSo 41.", weight=1.0),
            candidate([1], "So 42.\n", weight=2.0, chosen=True),
            candidate([2], "", weight=0.0),
            candidate([3], "Wrong", pruned=True),
        ]
    )

    assert lines[:4] == [
        " candidates 3 answers, 1 given up on the way",
        "               1.00  12 tok  So 41.",
        "            ▶  2.00  12 tok  So 42.",
        "               0.00  12 tok  (nothing)",
    ]
    assert not any("first token" in line for line in lines)


def test_of_many_the_heaviest_are_shown_in_their_order_and_the_others_counted():
    found = [candidate([n], f"So {n}.", weight=float(n), chosen=n == 0) for n in range(12)]
    lines = shown(found)

    assert "▶" in lines[1]
    assert [line.split()[-1] for line in lines[1:9]] == [
        f"{n}." for n in (0, 5, 6, 7, 8, 9, 10, 11)
    ]
    assert lines[9].strip() == "and 4 more"


def test_lines_end_where_the_terminal_does():
    long = candidate([0], "x" * 300, weight=1.0, chosen=True)
    assert max(map(len, shown([long, long], width=60))) <= 60


def test_one_answer_needs_no_list():
    lines = shown([candidate([0], "Yes.", weight=1.0, chosen=True)])
    assert lines[0] == " candidates 1 answer"
    assert "Yes." not in lines[1]
