"""Procedures on letters and words, and on a number."""

from __future__ import annotations

from collections import Counter
from random import Random
from string import ascii_lowercase

from forethought.tasks.procbench._problem import Family, Problem, items, letters

_TEXT = """
    apple autumn basket bench bridge bright bring butter candle carry castle chair clean clock
    cloud corner cotton dance dinner early empty evening family farmer field finger flower follow
    forest garden gather gentle glass golden green happy harbor heavy honest horse hungry island
    kettle kitchen ladder large laugh lemon letter little market meadow middle mirror morning
    mountain narrow needle north ocean orange paper pencil people picture plenty pocket proud
    quiet river road round sailor school season seven shadow silver simple sister small spoon
    stone story street summer table teacher thunder timber tower travel under valley village
    visit water weather window winter yellow
"""
_WORDS = tuple(_TEXT.split())


def _decompose(random: Random, steps: int) -> Problem:
    given = letters(random, random.randint(steps + 5, steps + 15))
    known = sorted(set(given))
    olds = random.sample(known, random.randint(1, min(23, steps, len(known))))
    left = [letter for letter in ascii_lowercase if letter not in olds]
    rules = {old: "".join(random.choices(left, k=2)) for old in olds}
    done, states = "", []
    for place, letter in enumerate(given):
        done += rules.get(letter, letter)
        states += [done + given[place + 1 :]] if letter in rules else []
    told = ", ".join(f"{old} -> {new}" for old, new in rules.items())
    return Problem(f"Rules: {told}\nString: {given}", tuple(states))


def _rhythm(random: Random, steps: int) -> Problem:
    numbers = [random.randint(0, 9) for _ in range(random.randint(4, 6))]
    signs = random.choices(ascii_lowercase[: random.randint(2, 5)], k=8)
    row, states = "", []
    for step in range(steps):
        row += f"{numbers[step % len(numbers)]}{signs[step % len(signs)]}"
        states.append(row)
    given = f"Numbers: {items(numbers)}\nLetters: {items(signs)}\nSteps: {steps}"
    return Problem(given, tuple(states))


def _count_2(random: Random, steps: int) -> Problem:
    words = random.sample(_WORDS, steps)
    counts, states = Counter[str](), []
    for word in words:
        counts.update(word)
        states.append(items([counts[letter] for letter in ascii_lowercase]))
    return Problem(f"Words: {' '.join(words)}", tuple(states))


def _fill_word(random: Random, steps: int) -> Problem:
    row = random.choices(_WORDS, k=steps + random.randint(2, 8))
    places = random.sample(range(len(row)), steps)
    words = [row[place] for place in places]
    for number, place in enumerate(places, 1):
        row[place] = f"[{number}]"
    told = ", ".join(f"({number}, {word})" for number, word in enumerate(words, 1))
    given, states = " ".join(row), []
    for place, word in zip(places, words, strict=True):
        row[place] = word
        states.append(" ".join(row))
    return Problem(f"Sentence: {given}\nWords: {told}", tuple(states))


def _delete_word(random: Random, steps: int) -> Problem:
    row = random.choices(_WORDS, k=max(5, steps + random.randint(1, 8)))
    given, deleted, states = " ".join(row), random.sample(row, steps), []
    for word in deleted:
        row.remove(word)
        states.append(" ".join(row))
    return Problem(f"Sentence: {given}\nWords: {', '.join(deleted)}", tuple(states))


def _cumulate(random: Random, steps: int) -> Problem:
    number = start = random.randint(1, 9)
    told, states = [], []
    for _ in range(steps):
        if random.random() < 0.5:
            number += (other := random.randint(0, 9))
            told.append(f"add {other}")
        else:
            number *= (other := random.randint(1, 5))
            told.append(f"multiply by {other}")
        states.append(str(number))
    return Problem(f"Number: {start}\nOperations: {', '.join(told)}", tuple(states))


WORDS = {
    "decompose": Family(
        "Rewrite a string by rules. A rule a -> bc replaces the letter a by bc. In each step, "
        "replace the leftmost letter that a rule fits. Stop when no rule fits. A state is the "
        "whole string after a step.",
        "string",
        _decompose,
    ),
    "rhythm": Family(
        "Build a string from a list of numbers and a list of letters. In each step, append the "
        "next number and then the next letter to the string, which is empty at first. After the "
        "last element of a list comes its first one. A state is the string after a step.",
        "string",
        _rhythm,
    ),
    "count-2": Family(
        "Count letters, one word a step. The 26 counts, of a to z in this order, begin at 0. Add "
        "each letter of the word to its count. A state is all 26 counts after a step, zeros "
        "included.",
        "items",
        _count_2,
    ),
    "fill-word": Family(
        "Fill the gaps of a sentence, one pair a step. A pair (1, word) puts the word in place of "
        "[1]. A state is the whole sentence after a step.",
        "sentence",
        _fill_word,
    ),
    "delete-word": Family(
        "Remove words from a sentence, one word of the list a step. Remove the first occurrence "
        "from the left. A state is the whole sentence after a step.",
        "sentence",
        _delete_word,
    ),
    "cumulate": Family(
        "Apply operations to a number, one a step. A state is the number after a step, without "
        "commas.",
        "number",
        _cumulate,
    ),
}
