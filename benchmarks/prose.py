"""Real prose of any length for prompts, and needles to hide in it."""

from __future__ import annotations

import random
from pathlib import Path

SOURCES = ("GPL-3", "GFDL-1.3", "MPL-2.0", "GPL-2", "Artistic")
LICENSES = Path("/usr/share/common-licenses")

COLOURS = ("amber", "cobalt", "crimson", "emerald", "indigo", "ochre", "scarlet", "violet")
PLACES = ("Arles", "Bergen", "Cadiz", "Ghent", "Lucca", "Malmo", "Porto", "Riga", "Tartu")


def prose(path: str | None = None) -> str:
    """The text of a file, or of the licences that ship with a Debian system."""
    if path is not None:
        return Path(path).read_text()
    texts = [LICENSES / name for name in SOURCES if (LICENSES / name).exists()]
    texts = texts or [Path(__file__).parent.parent / "LICENSE"]
    return "\n\n".join(text.read_text() for text in texts)


def passage(text: str, characters: int, seed: int) -> str:
    """A stretch of the text that begins at a paragraph chosen by the seed."""
    doubled = text + "\n\n" + text
    starts = [i + 2 for i in range(len(text)) if text.startswith("\n\n", i)] or [0]
    start = random.Random(seed).choice(starts)
    return doubled[start : start + characters]


def needle(seed: int, direct: bool = False) -> tuple[str, str, str]:
    """A sentence to hide, the question it answers, and the answer.

    A direct question repeats the sentence's words; the other kind asks more of a model.
    """
    chance = random.Random(1000 + seed)
    colour, place = chance.choice(COLOURS), chance.choice(PLACES)
    number = str(chance.randint(10_000, 99_999))
    if direct:
        word = f"{colour}-{number}"
        return (
            f"The secret code word for {place} is {word}.",
            f"What is the secret code word for {place}?",
            word,
        )
    sentence = f"The {colour} locker at {place} station opens with the code {number}."
    question = f"What is the code of the {colour} locker at {place} station? Answer with the code."
    return sentence, question, number


def hidden(text: str, sentence: str, depth: float) -> str:
    """The text with a sentence put in as a paragraph at about `depth` (0 to 1) of it."""
    place = text.find("\n\n", int(depth * len(text)))
    place = len(text) if place < 0 else place
    return f"{text[:place]}\n\n{sentence}{text[place:]}"
