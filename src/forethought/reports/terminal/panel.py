"""The panel under an answer: cost relative to the exact run, and the recipe to repeat it."""

from __future__ import annotations

import shlex
import textwrap
from typing import Any

from forethought.reports import units
from forethought.reports.terminal import candidates, decisions
from forethought.reports.terminal.printable import printable
from forethought.reports.terminal.strip import strip

_LABEL = 11
_CANDIDATES = "candidates"
_HARD = "\ue000"  # placeholder of a non-breaking space
_NAMED = {"\n": "\\n", "\t": "\\t", "\\": "\\\\", "'": "\\'"}
_DIM, _RESET = "\x1b[2m", "\x1b[0m"
_ENDS = {
    "length": "at the most tokens allowed; more with --max-tokens",
    "budget": "when the budget was spent; more with --budget",
    "interrupted": "when it was interrupted",
    "content_filter": "by the server's content filter",
    "refusal": "in a refusal",
    "tool_calls": "in a call of a tool, which was not offered",
}


def panel(run: dict[str, Any], *, width: int, colour: bool) -> str:
    """Format a run's document in at most `width` columns, dimmed if `colour`."""
    rows = [
        ("ended", _ENDS.get(run["finish"], "")),
        (_CANDIDATES, candidates.summary(run)),
        ("withheld", (run["confidence"] or {}).get("abstained", "")),
        *_confidences(run),
        ("spending", decisions.summary(run)),
        ("cost", _cost(run)),
        ("speed", _speed(run)),
        ("drafts", _drafts(run)),
        ("density", _density(run)),
        ("cache", _cache(run)),
        ("kept", _kept(run, width)),
        *(("note", note) for note in run["notes"]),
        ("recipe", _recipe(run)),
    ]
    lines = [line for label, text in rows if text for line in _row_lines(run, label, text, width)]
    return "\n".join(f"{_DIM}{line}{_RESET}" if colour else line for line in lines)


def _row_lines(run: dict[str, Any], label: str, text: str, width: int) -> list[str]:
    """The lines of a row, with the candidates below theirs."""
    indent = " " * (_LABEL + 1)
    shown = label == _CANDIDATES and run["finish"] != "abstained"
    below = candidates.lines(run, width - len(indent)) if shown else []
    return [*_lines(label, text, width), *(indent + line for line in below)]


def _lines(label: str, text: str, width: int) -> list[str]:
    indent = " " * (_LABEL + 1)
    wrapped = textwrap.wrap(
        printable(text),
        max(width - len(indent), 20),
        break_on_hyphens=False,
        break_long_words=False,
    )
    first, *rest = [line.replace(_HARD, " ") for line in wrapped] or [""]
    return [f" {label:<{_LABEL}}{first}", *(indent + line for line in rest)]


def _confidences(run: dict[str, Any]) -> list[tuple[str, str]]:
    """A row for the confidence of the answer, by each method; agreement alone has its own label."""
    found = run["confidence"]
    if not found:
        return []
    told = found.get("estimates")
    if told is None:
        return [("agreement", _sure(found))]
    labels = ["confidence", *[""] * (len(told) - 1)]
    return [
        (label, f"{_sure(one)} · {one['method']}") for label, one in zip(labels, told, strict=True)
    ]


def _sure(found: dict[str, Any]) -> str:
    if found["value"] is None:
        return f"not known: {found['note']}"
    if not found["calibrated"]:
        return f"{found['value']:.2f}, not calibrated"
    if "calibration" not in found:
        return f"{found['value']:.2f}, calibrated"
    fit = found["calibration"]
    tasks = ", ".join(fit["tasks"])
    return (
        f"{found['value']:.2f}, calibrated ({fit['kind']}; error {fit['error']:.2f} on "
        f"{fit['questions']} answers to {tasks})"
    )


def _cost(run: dict[str, Any]) -> str:
    cost, exact = run["cost"], run["exact"]["flops"]
    cached = f", {cost['cached_tokens']:,} cached" if cost["cached_tokens"] else ""
    draft = f", {cost['draft_tokens']:,} draft" if cost["draft_tokens"] else ""
    beside = f", {units.ratio(cost['flops'] / exact)} exact" if exact else ""
    parts = [
        f"{cost['prompt_tokens']:,} + {cost['output_tokens']:,} tokens{cached}{draft}",
        units.seconds(cost["seconds"]),
    ]
    if cost["flops"]:  # servers do not report FLOPs
        parts.append(units.flops(cost["flops"]) + beside)
    if cost["usd"] is not None:
        parts.append(units.dollars(cost["usd"]))
    return " · ".join(parts)


def _speed(run: dict[str, Any]) -> str:
    timing = run["timing"]
    parts = []
    if timing["first_token"] and not candidates.summary(run):
        parts.append(f"first token {units.seconds(timing['first_token'])}")
    if timing["per_token"]:
        parts.append(f"then {1 / timing['per_token']:.3g} tokens/s")
    if roof := run.get("roofline"):
        parts.append(f"bound by {roof['bound']}, {100 * roof['share']:.0f} % of its roofline")
    if timing["load"]:
        parts.append(f"loaded in {units.seconds(timing['load'])}")
    return " · ".join(parts)


def _drafts(run: dict[str, Any]) -> str:
    """How many drafted tokens were accepted, and the tokens of a decode pass."""
    cost = run["cost"]
    if not (passes := cost.get("decode_passes", 0)):
        return ""
    if not (verified := cost["verified_tokens"]):
        return "no token drafted"
    accepted = cost["accepted_tokens"]
    tokens = (passes + accepted) / passes
    return f"draft accepted {100 * accepted / verified:.0f} %, {tokens:.1f} tokens a pass"


def _density(run: dict[str, Any]) -> str:
    """The share of the parameters that decoding used."""
    density = run["cost"].get("density")
    return "" if density is None else f"{density:.2f} of the parameters a token"


def _cache(run: dict[str, Any]) -> str:
    held, exact = run["kept"]["cache_bytes"], run["exact"]["cache_bytes"]
    if not held:
        return ""
    peak = units.memory(run["cost"]["peak_cache_bytes"])
    return f"{units.memory(held)} after prefill, exact {units.memory(exact)} · peak {peak}"


def _recipe(run: dict[str, Any]) -> str:
    options = [_option(name, value) for name, value in run["settings"].items()]
    return " · ".join(
        [" ".join([run["recipe"], *options]), f"seed {run['seed']}", f"run {run['run']}"]
    )


def _option(name: str, value: Any) -> str:
    flag = "--" + name.replace("_", "-")
    if value is True:
        return flag
    values = value if isinstance(value, tuple | list) else [value]
    return " ".join(f"{flag} {_quoted(str(one))}" for one in values)


def _quoted(text: str) -> str:
    """A value quoted for the shell, without line breaks inside."""
    if all(map(_is_plain, text)):
        return shlex.quote(text).replace(" ", _HARD)
    return f"$'{''.join(map(_in_shell, text))}'".replace(" ", _HARD)


def _is_plain(sign: str) -> bool:
    """Whether a character needs no escape."""
    return printable(sign) == sign and sign not in ("\n", "\t", _HARD)


def _in_shell(sign: str) -> str:
    """A character inside `$'...'`, where \\x is a byte and \\u a character."""
    if sign in _NAMED or _is_plain(sign):
        return _NAMED.get(sign, sign)
    return f"\\x{ord(sign):02x}" if ord(sign) < 0x80 else f"\\u{ord(sign):04x}"


def _kept(run: dict[str, Any], width: int) -> str:
    kept = run["kept"]
    of, shares = kept["of"], kept["shares"]
    if not kept["prompt_tokens"]:  # ended before prefill
        return ""
    if shares:
        text = f"{sum(shares):,.0f} of {of:,} cache entries a head"
    elif kept["prompt_tokens"] < of:
        text = f"{kept['prompt_tokens']:,} of {of:,} prompt tokens"
    else:
        return f"all {of:,} prompt tokens"
    room = width - _LABEL - 1 - len(text) - 3
    return f"{text}   {strip(kept['positions'], shares, of, width=max(room, 10))}"
