"""Topics to write about, and words and phrases that constraints ask for."""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """A topic, and words that a text about it uses unless they are forbidden."""

    name: str
    words: tuple[str, ...]


TOPICS = (
    Topic("a morning at a railway station", ("train", "ticket", "platform", "passengers")),
    Topic("the first day at a new job", ("office", "boss", "work", "team")),
    Topic("a walk through a forest", ("trees", "leaves", "birds", "path")),
    Topic("a visit to the dentist", ("teeth", "pain", "chair", "mouth")),
    Topic("why people keep a diary", ("memories", "feelings", "pages", "life")),
    Topic("how to care for a house plant", ("water", "light", "soil", "leaves")),
    Topic("a storm at sea", ("waves", "wind", "ship", "water")),
    Topic("the opening of a small bakery", ("bread", "oven", "flour", "cake")),
    Topic("a football match in the rain", ("ball", "goal", "team", "wet")),
    Topic("what makes a good teacher", ("students", "patience", "learning", "class")),
    Topic("an evening with old friends", ("laughter", "dinner", "stories", "memories")),
    Topic("moving to another city", ("boxes", "streets", "home", "apartment")),
    Topic("how a bicycle works", ("wheels", "pedals", "chain", "brakes")),
    Topic("a lost umbrella", ("rain", "wet", "found", "bus")),
    Topic("the life of a lighthouse keeper", ("sea", "light", "ships", "lonely")),
    Topic("a market on a summer day", ("fruit", "sun", "vegetables", "crowd")),
)
REQUIRED = (
    "lantern", "copper", "violin", "harvest", "marble", "compass", "thunder", "velvet",
    "orchard", "pepper", "anchor", "candle", "ribbon", "granite", "saffron", "whistle",
)  # fmt: skip
"""Words that no topic suggests."""
FIRST = ("Nobody expected this", "Long ago", "There is one thing to know", "It began quietly")
LAST = (
    "That is all there is to say.",
    "Nothing was quite the same again.",
    "Please let me know how it goes.",
    "And so it ends.",
)
KEYS = ("headline", "summary", "author", "details", "mood", "advice")
"""Keys of JSON objects."""
