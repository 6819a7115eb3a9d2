"""The procedures of ProcBench once more, from the text of a question and by other means."""

from __future__ import annotations

import re
from itertools import cycle, islice


def given(text: str) -> dict[str, str]:
    """The lines of an instance by their names."""
    told = text.rpartition("\n\nNow this one:\n")[2].removesuffix("\nLines:") or text
    return {
        name: rest.strip() for name, rest in re.findall(r"^(\w+):((?:.|\n(?!\w+:))*)", told, re.M)
    }


def listed(text: str) -> list[str]:
    return text.split(", ")


def tuples(text: str) -> list[list[str]]:
    return [listed(found) for found in re.findall(r"\((.*?)\)", text)]


def sort(String: str) -> list[str]:
    row, states = String, []
    for place, letter in enumerate(sorted(String)):
        found = row.index(letter, place)
        if found != place:
            row = row[:place] + letter + row[place + 1 : found] + row[place] + row[found + 1 :]
            states.append(row)
    return states


def gather(Strings: str, Triples: str) -> list[str]:
    row, states = "", []
    for which, start, count in tuples(Triples):
        for step in range(int(count)):
            row += listed(Strings)[int(which)][int(start) + step]
        states.append(row)
    return states


def count(Strings: str) -> list[str]:
    states, total = [], 0
    for string in listed(Strings):
        first = len(re.sub(r"\d", "", string))
        second = int("0" + re.sub(r"\D", "", string))
        total += first * second
        states.append(f"{string}, {first}, {second}, {first * second}")
    return [*states, str(total)]


def search(Strings: str, Pairs: str) -> list[str]:
    states = []
    for end in range(1, len(listed(Pairs)) + 1):
        sums = [
            sum(len(re.findall(pair, string)) for pair in listed(Pairs)[:end])
            for string in listed(Strings)
        ]
        states.append(", ".join(map(str, sums)))
    return states


def copy(Strings: str, Indices: str) -> list[str]:
    order = [listed(Strings)[int(index)] for index in listed(Indices)]
    return ["".join(order[: end + 1]) for end in range(len(order))]


def substitute(Pairs: str, String: str) -> list[str]:
    table = dict(pair.split(" -> ") for pair in listed(Pairs))
    row, states = [*String], []
    for place, sign in enumerate(String):
        row[place] = table[sign]
        states.append("".join(row))
    return states


def encode(String: str) -> list[str]:
    runs = [f"{found[0][0]}_{len(found[0])}" for found in re.finditer(r"0+|1+", String)]
    return [", ".join(runs[: end + 1]) for end in range(len(runs))]


def split_1(String: str, Positions: str) -> list[str]:
    marks, states = set[int](), []
    for position in listed(Positions):
        marks.add(int(position))
        states.append("".join(f"{', ' if n in marks else ''}{c}" for n, c in enumerate(String)))
    return states


def split_2(String: str, Pairs: str) -> list[str]:
    pieces, states = [String], []
    for which, at in tuples(Pairs):
        piece = pieces.pop(int(which))
        pieces.insert(int(which), piece[int(at) :])
        pieces.insert(int(which), piece[: int(at)])
        states.append(", ".join(pieces))
    return states


def compose(Rules: str, List: str) -> list[str]:
    rules = dict(rule.split(" -> ") for rule in Rules.split("\n"))
    row, states = listed(List), []
    while True:
        for at in range(len(row) - 2, -1, -1):
            if (new := rules.get(", ".join(row[at : at + 2]))) is not None:
                row = [*row[:at], new, *row[at + 2 :]]
                states.append(", ".join(row))
                break
        else:
            return states


def decompose(Rules: str, String: str) -> list[str]:
    rules = dict(rule.split(" -> ") for rule in listed(Rules))
    row, states = String, []
    while places := [place for place, letter in enumerate(row) if letter in rules]:
        row = row[: places[0]] + rules[row[places[0]]] + row[places[0] + 1 :]
        states.append(row)
    return states


def rhythm(Numbers: str, Letters: str, Steps: str) -> list[str]:
    pairs = zip(cycle(listed(Numbers)), cycle(listed(Letters)), strict=False)
    parts = [number + letter for number, letter in islice(pairs, int(Steps))]
    return ["".join(parts[: end + 1]) for end in range(len(parts))]


def compare(Target: str, Candidates: str) -> list[str]:
    shared = [
        max(end for end in range(len(Target) + 1) if candidate.startswith(Target[:end]))
        for candidate in listed(Candidates)
    ]
    known = [Target[:end] for end in shared]
    known = known[: listed(Candidates).index(Target) + 1]
    return [*known[:-1], ", ".join(known)]


def count_2(Words: str) -> list[str]:
    words, alphabet = Words.split(), "abcdefghijklmnopqrstuvwxyz"
    ends = range(1, len(words) + 1)
    return [", ".join(str("".join(words[:end]).count(one)) for one in alphabet) for end in ends]


def decode(Pieces: str) -> list[str]:
    row, states = "", []
    for piece in Pieces.split():
        for _ in range(int(piece[2:])):
            row += piece[0]
        states.append(row)
    return states


def push_pop(String: str, Actions: str) -> list[str]:
    row, states = [*String], []
    for action in listed(Actions):
        match action.rstrip(")").split("("):
            case ["push_left", letter]:
                row.insert(0, letter)
            case ["push_right", letter]:
                row.append(letter)
            case ["pop_left"]:
                row.pop(0)
            case ["pop_right"]:
                row.pop()
        states.append("".join(row))
    return states


def rotate(String: str, Pairs: str) -> list[str]:
    row, states = [*String], []
    for start, end in tuples(Pairs):
        row.insert(int(start), row.pop(int(end) - 1))
        states.append("".join(row))
    return states


def fill_word(Sentence: str, Words: str) -> list[str]:
    row, states = Sentence, []
    for number, word in tuples(Words):
        row = row.replace(f"[{number}]", word)
        states.append(row)
    return states


def delete_char(String: str, Letters: str) -> list[str]:
    row, states = String, []
    for letter in listed(Letters):
        before, _, after = row.partition(letter)
        row = before + after
        states.append(row)
    return states


def delete_word(Sentence: str, Words: str) -> list[str]:
    row, states = Sentence.split(), []
    for word in listed(Words):
        del row[row.index(word)]
        states.append(" ".join(row))
    return states


def cumulate(Number: str, Operations: str) -> list[str]:
    number, states = int(Number), []
    for operation in listed(Operations):
        *_, verb, other = operation.replace(" by", "").split()
        number = number + int(other) if verb == "add" else number * int(other)
        states.append(str(number))
    return states


def move_cyclic(Ring: str, Moves: str) -> list[str]:
    row, states = Ring, []
    for move in listed(Moves):
        side, steps = move.split()
        for _ in range(int(steps)):
            row = row[-1] + row[:-1] if side == "right" else row[1:] + row[0]
        states.append(row)
    return states


def find_cyclic(String: str, Character: str, Number: str) -> list[str]:
    row = String * 2
    for sign in String[: String.index(Character)]:
        row = row.partition(sign)[2] + sign
    walk = (row * int(Number))[1 : int(Number) + 1]
    left = [f"{sign}, {int(Number) - step}" for step, sign in enumerate(walk[:-1], 1)]
    return [*left, walk[-1]]


FOLLOWED = {
    name.replace("_", "-"): one
    for name, one in globals().items()
    if callable(one) and getattr(one, "__module__", "") == __name__
    and name not in ("given", "listed", "tuples")
}  # fmt: skip
