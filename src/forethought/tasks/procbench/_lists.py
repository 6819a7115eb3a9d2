"""Procedures whose states are lists."""

from __future__ import annotations

from itertools import accumulate, groupby, pairwise
from random import Random
from string import ascii_lowercase

from forethought.tasks.procbench._problem import (
    ALPHANUMERIC,
    Family,
    Problem,
    items,
    letters,
    mixed,
)

_LONGEST = 30
"""Most letters of a string that is split or composed."""


def _count(random: Random, steps: int) -> Problem:
    strings = [mixed(random, random.randint(4, 9), 0.75) for _ in range(steps - 1)]
    rows, total = list[str](), 0
    for string in strings:
        number = int("".join(filter(str.isdigit, string)) or "0")
        count = sum(map(str.isalpha, string))
        rows.append(f"{string}, {count}, {number}, {count * number}")
        total += count * number
    return Problem(f"Strings: {', '.join(strings)}", (*rows, str(total)))


def _search(random: Random, steps: int) -> Problem:
    pairs = [letters(random, 2) for _ in range(steps)]
    strings = []
    for _ in range(10):
        planted = "".join(random.choices(pairs, k=random.randint(0, 2)))
        rest = letters(random, max(0, random.randint(3, 10) - len(planted)))
        place = random.randint(0, len(rest))
        strings.append(rest[:place] + planted + rest[place:])
    counts, states = [0] * len(strings), []
    for pair in pairs:
        counts = [old + one.count(pair) for old, one in zip(counts, strings, strict=True)]
        states.append(items(counts))
    given = f"Strings: {', '.join(strings)}\nPairs: {', '.join(pairs)}"
    return Problem(given, tuple(states))


def _encode(random: Random, steps: int) -> Problem:
    first = random.randint(0, 1)
    given = "".join(str((first + n) % 2) * random.randint(1, 9) for n in range(steps))
    runs = [f"{sign}_{len([*run])}" for sign, run in groupby(given)]
    states = [items(runs[:end]) for end in range(1, len(runs) + 1)]
    return Problem(f"String: {given}", tuple(states))


def _split_1(random: Random, steps: int) -> Problem:
    given = letters(random, random.randint(steps + 1, max(_LONGEST, steps + 1)))
    places = random.sample(range(1, len(given)), steps)
    states = []
    for end in range(1, steps + 1):
        cuts = [0, *sorted(places[:end]), len(given)]
        states.append(items([given[one:other] for one, other in pairwise(cuts)]))
    return Problem(f"String: {given}\nPositions: {items(places)}", tuple(states))


def _split_2(random: Random, steps: int) -> Problem:
    given = letters(random, random.randint(steps + 1, max(_LONGEST, steps + 1)))
    pieces, cuts, states = [given], [], []
    for _ in range(steps):
        which = random.choice([n for n, piece in enumerate(pieces) if len(piece) > 1])
        at = random.randint(1, len(pieces[which]) - 1)
        pieces[which : which + 1] = [pieces[which][:at], pieces[which][at:]]
        cuts.append(f"({which}, {at})")
        states.append(items(pieces))
    return Problem(f"String: {given}\nPairs: {', '.join(cuts)}", tuple(states))


def _compose(random: Random, steps: int) -> Problem:
    given = letters(random, random.randint(steps + 3, max(_LONGEST, steps + 3)))
    rules, row = dict[str, str](), given
    for _ in range(random.randint(max(1, steps - 5), min(len(given) - 2, steps + 5))):
        at = random.randrange(len(row) - 1)
        new = rules.setdefault(row[at : at + 2], random.choice(ascii_lowercase))
        row = row[:at] + new + row[at + 2 :]
    for _ in range(steps // 7 + 1):  # rules that may never fit
        rules.setdefault(letters(random, 2), random.choice(ascii_lowercase))
    told = [f"{old[0]}, {old[1]} -> {new}" for old, new in rules.items()]
    random.shuffle(told)
    states = [items([*row]) for row in _composed(given, rules)]
    return Problem("Rules:\n" + "\n".join(told) + f"\nList: {items([*given])}", tuple(states))


def _composed(row: str, rules: dict[str, str]) -> list[str]:
    states = []
    while fits := [at for at in range(len(row) - 1) if row[at : at + 2] in rules]:
        at = fits[-1]
        row = row[:at] + rules[row[at : at + 2]] + row[at + 2 :]
        states.append(row)
    return states


def _compare(random: Random, steps: int) -> Problem:
    target = letters(random, steps + 1)
    known, shown = list[str](), list[str]()
    while len(known) < steps - 1:
        common = random.randint(1, steps)
        candidate = target[:common] + letters(random, steps + 1 - common)
        if candidate[common] != target[common]:
            known.append(target[:common])
            shown.append(candidate)
    after = [letters(random, steps + 1) for _ in range(random.randint(1, 10))]
    given = f"Target: {target}\nCandidates: {', '.join([*shown, target, *after])}"
    return Problem(given, (*known, items([*known, target])))


def _find_cyclic(random: Random, steps: int) -> Problem:
    row = "".join(random.sample(ALPHANUMERIC, random.randint(steps, steps + 4)))
    start = random.randrange(len(row))
    after = [row[(start + step) % len(row)] for step in range(1, steps + 1)]
    states = [f"{sign}, {steps - step}" for step, sign in enumerate(after[:-1], 1)]
    given = f"String: {row}\nCharacter: {row[start]}\nNumber: {steps}"
    return Problem(given, (*states, after[-1]))


def _gather(random: Random, steps: int) -> Problem:
    strings = [mixed(random, random.randint(5, 10)) for _ in range(random.randint(2, 20))]
    parts, triples = list[str](), list[str]()
    for _ in range(steps):
        which = random.randrange(len(strings))
        start = random.randrange(len(strings[which]))
        count = random.randint(1, len(strings[which]) - start)
        parts.append(strings[which][start : start + count])
        triples.append(f"({which}, {start}, {count})")
    given = f"Strings: {', '.join(strings)}\nTriples: {', '.join(triples)}"
    return Problem(given, tuple(accumulate(parts)))


def _copy(random: Random, steps: int) -> Problem:
    strings = [mixed(random, random.randint(5, 20)) for _ in range(random.randint(3, 25))]
    places = [random.randrange(len(strings)) for _ in range(steps)]
    given = f"Strings: {', '.join(strings)}\nIndices: {items(places)}"
    return Problem(given, tuple(accumulate(strings[place] for place in places)))


LISTS = {
    "count": Family(
        "Calculate with strings, one a step. N1 is the number of letters of the string. N2 is the "
        "number that its digits form in their order, 0 without digits. N3 is N1 times N2. The "
        "state after a string is: string, N1, N2, N3. The last step adds all N3, and its state is "
        "the sum.",
        "items",
        _count,
    ),
    "search": Family(
        "Count pairs of letters in ten strings, one pair a step. The counts begin at 0. For each "
        "string, add the number of times that the pair occurs in it; occurrences do not overlap. "
        "A state is all ten counts after a step.",
        "items",
        _search,
    ),
    "encode": Family(
        "Encode a string of 0 and 1 from left to right, one run of equal characters a step. A run "
        "is encoded as the character, _ and its length, like 0_3. A state is all runs so far.",
        "items",
        _encode,
    ),
    "split-1": Family(
        "Split a string at positions, in the order given, one a step. A position p is an index "
        "of the original string, counted from 0: the cut is before the character with index p. "
        "A state is all pieces after a step, from left to right.",
        "items",
        _split_1,
    ),
    "split-2": Family(
        "Split a string, one pair a step. A pair (i, j) splits the piece with index i, counted "
        "from 0, into its first j characters and the rest. A state is all pieces after a step, "
        "from left to right.",
        "items",
        _split_2,
    ),
    "compose": Family(
        "Rewrite a list of letters by rules. A rule A, B -> C replaces A and the B directly after "
        "it by C. In each step, apply the rule that fits farthest to the right. Stop when no rule "
        "fits. Some rules may never fit. A state is the list after a step.",
        "items",
        _compose,
    ),
    "compare": Family(
        "Compare a target with candidates, one a step, in their order. The result of a candidate "
        "is the longest beginning that it shares with the target. The state of a step is this "
        "result. Stop at the first candidate that equals the target; the state of this last step "
        "is the results of all candidates so far, the target included.",
        "items",
        _compare,
    ),
    "find-cyclic": Family(
        "Go to the right in a string from a character, one character a step, and lower a number "
        "by one in each step. After the last character comes the first one. Stop when the number "
        "is 0. A state is the character reached and the number; the state of the last step is "
        "the character alone.",
        "items",
        _find_cyclic,
    ),
    "gather": Family(
        "Collect parts of strings, one triple a step. A triple (N, i, n) names n characters of "
        "the string with index N, beginning at its character with index i; indices count from 0. "
        "Append them to a string that is empty at first. A state is this string after a step.",
        "string",
        _gather,
    ),
    "copy": Family(
        "Append strings to a string that is empty at first, one index a step. The index, counted "
        "from 0, names the string of the list to append. A state is the string after a step.",
        "string",
        _copy,
    ),
}
