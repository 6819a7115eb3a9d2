import re
import shutil
import subprocess

import pytest

from forethought.contracts.records import Cost, Kept
from forethought.reports.terminal.panel import panel
from tests.reports.documents import COMPRESSED, document


def test_a_compressed_run_is_shown_beside_the_exact_one() -> None:
    assert panel(document(), width=80, colour=False) == (
        " cost       512 + 57 tokens, 4,031 draft · 4.2 s · 1.10 TFLOP, 0.12 × exact\n"
        " speed      first token 2.9 s · then 62.5 tokens/s · loaded in 0.8 s\n"
        " cache      1.43 MiB after prefill, exact 12.0 MiB · peak 1.53 MiB\n"
        " kept       512 of 4,031 prompt tokens   " + "▁" * 34 + "▆▇▇▇▇\n"
        " recipe     smollm2+specpc(keep=512) · seed 7 · run 3f9c0a1b2c3d4e5f"
    )


def test_an_exact_run_says_that_all_was_kept_and_repeats_no_strip() -> None:
    cost = Cost(prompt_tokens=30, output_tokens=1, flops=2e9, seconds=0.05, peak_cache_bytes=2048)
    kept = Kept(30, 30, tuple(range(30)), cache_bytes=1024)

    shown = panel(document(cost=cost, kept=kept, recipe="smollm2"), width=80, colour=False)

    assert " kept       all 30 prompt tokens\n" in shown
    assert " cost       30 + 1 tokens · 50 ms · 2.00 GFLOP, 0.00023 × exact\n" in shown


def test_an_evicted_cache_counts_entries_of_a_head() -> None:
    kept = Kept(4, 4, (0, 1, 3), (1.0, 0.5, 0.5), cache_bytes=1024)

    shown = panel(document(kept=kept), width=80, colour=False)

    assert " kept       2 of 4 cache entries a head   ▇▄▁▄\n" in shown


def test_accepted_drafts_and_the_tokens_of_a_pass_are_told() -> None:
    cost = Cost(output_tokens=57, verified_tokens=45, accepted_tokens=32, decode_passes=24)

    shown = panel(document(cost=cost), width=80, colour=False)

    assert " drafts     draft accepted 71 %, 2.3 tokens a pass\n" in shown
    none = panel(document(cost=Cost(output_tokens=9, decode_passes=8)), width=80, colour=False)
    assert " drafts     no token drafted\n" in none
    assert "drafts" not in panel(document(), width=80, colour=False)


@pytest.mark.parametrize(
    ("finish", "line"),
    [
        ("length", " ended      at the most tokens allowed; more with --max-tokens"),
        ("budget", " ended      when the budget was spent; more with --budget"),
        ("interrupted", " ended      when it was interrupted"),
    ],
)
def test_an_answer_that_did_not_end_by_itself_says_why(finish: str, line: str) -> None:
    assert panel(document(finish=finish), width=80, colour=False).startswith(line + "\n")


def test_notes_wrap_beside_their_label() -> None:
    note = "specpc skipped: nothing to drop from a prompt of 30 tokens"

    shown = panel(document(notes=(note,)), width=50, colour=False)

    assert (
        " note       specpc skipped: nothing to drop from a\n            prompt of 30 tokens\n"
    ) in shown


def test_a_bare_probability_is_called_not_calibrated() -> None:
    confidence = {"value": 0.94, "method": "agreement", "calibrated": False}

    shown = panel(document(confidence=confidence), width=80, colour=False)

    assert shown.startswith(" agreement  0.94, not calibrated\n")


def test_a_run_that_ended_before_reading_has_neither_cache_nor_strip() -> None:
    run = document(finish="interrupted", kept=Kept(0, 4031, ()), cost=Cost())

    shown = panel(run, width=80, colour=False)

    assert "kept" not in shown
    assert "cache" not in shown


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = panel(document(), width=width, colour=False).splitlines()

    assert max(len(line) for line in lines) <= width


def test_colour_dims_every_line_and_changes_no_text() -> None:
    plain = panel(document(), width=80, colour=False)

    dimmed = panel(document(), width=80, colour=True)

    assert dimmed == "\n".join(f"\x1b[2m{line}\x1b[0m" for line in plain.splitlines())


def test_the_recipe_is_never_broken_where_it_is_long() -> None:
    recipe = f"{COMPRESSED.recipe}+speckv(keep=256, reduction=mean, lookahead=8)"

    assert recipe in panel(document(recipe=recipe), width=120, colour=False)


TEXTS = ["\n", "a  b", "it's\n\\x", "\x1b[31mA", "\x9b1", "\u202eabc", "\t'", "\ue000 x", "é\r\n"]


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
@pytest.mark.parametrize("text", [*TEXTS, "  ", "-x", "$HOME `id`", "word " * 30])
@pytest.mark.parametrize("width", [30, 100])
def test_the_recipe_line_gives_the_same_settings_back(text: str, width: int) -> None:
    settings = {"stop": (text, "end"), "system": text}
    shown = panel(document(settings=settings), width=width, colour=False)
    recipe = re.split(r"\s+·\s+seed", shown[shown.index(" recipe") :])[0].split("--", 1)[1]

    read = f"printf '%s\\0' --{recipe}"
    done = subprocess.run(["bash", "-c", read.replace("\n", " ")], capture_output=True)

    words = ["--stop", text, "--stop", "end", "--system", text, ""]
    assert done.stdout.decode() == "\0".join(words)


def test_a_newline_that_ends_an_answer_is_seen_in_the_recipe() -> None:
    shown = panel(document(settings={"stop": ("\n",)}), width=80, colour=False)

    assert " --stop $'\\n' · seed" in shown


def test_what_a_terminal_obeys_is_escaped_in_every_row() -> None:
    run = document(recipe="m\x1b[2J", notes=("n\x9b", "\u202e"))

    shown = panel(run, width=80, colour=True)

    assert set(re.findall(r"[\x1b\x9b\u202e]\S*", shown)) == {"\x1b[2m", "\x1b[0m"}
