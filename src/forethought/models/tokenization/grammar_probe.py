"""Compiles one grammar in a process of its own, so that limits on time and memory can end it.

This file runs by path, outside the package, so it imports none of it. Its argument is the folder of
llguidance. Standard input holds a JSON object: the grammar, and the limits of the parser. The
process prints the error, or nothing.
"""

from __future__ import annotations

import json
import sys

SECONDS = 2
"""Processor time at most; a grammar that needs more is refused."""
MOST_BYTES = 2 << 30
"""Address space at most."""


def main(folder: str) -> None:
    """Print the error of the grammar on standard input."""
    given = json.load(sys.stdin)
    _limit()
    sys.path.append(folder)
    from llguidance import LLMatcher, LLParserLimits, LLTokenizer

    limits = LLParserLimits(**given["limits"])
    matcher = LLMatcher(LLTokenizer("byte"), given["grammar"], log_level=0, limits=limits)
    matcher.compute_bitmask()
    print(matcher.get_error())


def _limit() -> None:
    """Let the system end the process, even if its parent is gone."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


if __name__ == "__main__":
    main(sys.argv[1])
