"""Procedures on one string."""

from __future__ import annotations

from itertools import accumulate
from random import Random
from string import ascii_lowercase

from forethought.tasks.procbench._problem import ALPHANUMERIC, Family, Problem, letters, mixed


def _sort(random: Random, steps: int) -> Problem:
    given = letters(random, random.randint(5, 50))
    row, slot, states = list(given), 0, []
    for letter in ascii_lowercase:
        for place in range(slot, len(row)):
            if row[place] == letter:
                row[place], row[slot] = row[slot], letter
                states += ["".join(row)] if place != slot else []
                slot += 1
    return Problem(f"String: {given}", tuple(states))


def _substitute(random: Random, steps: int) -> Problem:
    given = mixed(random, steps)
    table, pool = dict[str, str](), ALPHANUMERIC
    for sign in random.sample(sorted(set(given)), len(set(given))):
        pool = pool.replace(sign, "")
        table[sign] = random.choice(pool)
    pairs = ", ".join(f"{old} -> {new}" for old, new in table.items())
    changed = [table[sign] for sign in given]
    states = ["".join(changed[:end]) + given[end:] for end in range(1, len(given) + 1)]
    return Problem(f"Pairs: {pairs}\nString: {given}", tuple(states))


def _decode(random: Random, steps: int) -> Problem:
    first = random.randint(0, 1)
    runs = [(str((first + place) % 2), random.randint(1, 9)) for place in range(steps)]
    states = accumulate(sign * times for sign, times in runs)
    return Problem(f"Pieces: {' '.join(f'{a}x{b}' for a, b in runs)}", tuple(states))


def _push_pop(random: Random, steps: int) -> Problem:
    state = given = letters(random, steps)
    actions, states = [], []
    for _ in range(steps):
        action = random.choice(("push_left", "push_right", "pop_left", "pop_right"))
        letter = random.choice(ascii_lowercase)
        state = {
            "push_left": letter + state,
            "push_right": state + letter,
            "pop_left": state[1:],
            "pop_right": state[:-1],
        }[action]
        actions.append(f"{action}({letter})" if action.startswith("push") else action)
        states.append(state)
    return Problem(f"String: {given}\nActions: {', '.join(actions)}", tuple(states))


def _rotate(random: Random, steps: int) -> Problem:
    state = given = letters(random, random.randint(5, 14))
    pairs, states = [], []
    for _ in range(steps):
        end = random.randint(2, len(given))
        start = random.randint(0, end - 2)
        state = state[:start] + state[end - 1] + state[start : end - 1] + state[end:]
        pairs.append(f"({start}, {end})")
        states.append(state)
    return Problem(f"String: {given}\nPairs: {', '.join(pairs)}", tuple(states))


def _delete_char(random: Random, steps: int) -> Problem:
    state = given = letters(random, random.randint(steps + 1, max(30, steps + 1)))
    deleted = random.sample(given, steps)
    states = [state := state.replace(letter, "", 1) for letter in deleted]
    return Problem(f"String: {given}\nLetters: {', '.join(deleted)}", tuple(states))


def _move_cyclic(random: Random, steps: int) -> Problem:
    width = 5 * random.randint(1, 10)
    start = place = random.randrange(width)
    moves, states = [], []
    for _ in range(steps):
        side, distance = random.choice(("left", "right")), random.randint(1, width)
        place = (place + (distance if side == "right" else -distance)) % width
        moves.append(f"{side} {distance}")
        states.append(_ring(width, place))
    return Problem(f"Ring: {_ring(width, start)}\nMoves: {', '.join(moves)}", tuple(states))


def _ring(width: int, place: int) -> str:
    return "-" * place + "x" + "-" * (width - place - 1)


STRINGS = {
    "sort": Family(
        "Sort the letters of a string by swaps. Go through the alphabet from a to z. For each "
        "letter, scan the string from left to right, beginning at the next free position, which "
        "is the first one at the start. Swap every occurrence with the letter at the next free "
        "position, which then moves one to the right. A state is the string after a swap that "
        "changes it; swaps that change nothing are left out.",
        "string",
        _sort,
    ),
    "substitute": Family(
        "Go through a string from the first character to the last, one character a step. Replace "
        "the character as its pair says: a -> b replaces a by b. A replaced character is not "
        "replaced again. A state is the whole string after a step.",
        "string",
        _substitute,
    ),
    "decode": Family(
        "Expand pieces of the form AxB: the character A, B times. Begin with an empty string and "
        "append the expansion of one piece a step. A state is the string after a step.",
        "string",
        _decode,
    ),
    "push-pop": Family(
        "Apply actions to a string, one a step. push_left(a) puts a before the string and "
        "push_right(a) puts a behind it; pop_left removes the first character and pop_right "
        "removes the last one. A state is the string after an action.",
        "string",
        _push_pop,
    ),
    "rotate": Family(
        "Rotate parts of a string, one pair a step. A pair (m, n) names the characters from index "
        "m to index n - 1, counted from 0 in the string as it is then. Move each of them one to "
        "the right, and the last one of them to index m. A state is the whole string after a step.",
        "string",
        _rotate,
    ),
    "delete-char": Family(
        "Remove letters from a string, one letter of the list a step. Remove the first occurrence "
        "from the left. A state is the string after a step.",
        "string",
        _delete_char,
    ),
    "move-cyclic": Family(
        'Move "x" on a ring of "-", one move a step: left or right by a number of positions. Left '
        "of the first position is the last one, and right of the last position is the first one. "
        "A state is the whole ring after a move.",
        "string",
        _move_cyclic,
    ),
}
