"""Diverse beam search as it was published, slow and plain."""

import math
from collections import Counter

from forethought.backends.known import END, number_of


def by_hand(law, groups=1, width=1, diversity=0.0, phrase=0, longest=math.inf):
    """The published loop, over the whole vocabulary: each group's (text, score), best first.

    A group stops once its answers cannot change any more; answers of `longest` tokens have ended.
    """
    growing = [[((), 0.0)] for _ in range(groups)]
    ended = [[] for _ in range(groups)]
    while any(growing):
        before = Counter()
        for g in range(groups):
            options = []
            for beam, (tokens, total) in enumerate(growing[g]):
                for token, share in law("What?", "".join(tokens)).items():
                    said = ((*tokens, token)[-phrase:] if phrase else (token,)) if share else ()
                    taken = diversity * before[said]
                    if share:
                        score = total + math.log(share) - taken
                        options.append((-score, number_of(token), beam, (*tokens, token)))
            best = [(tokens, -negative) for negative, _, _, tokens in sorted(options)[:width]]
            told = [tokens for tokens, _ in [*best, *(ended[g] if phrase else ())]]
            for tokens in told:
                if phrase:
                    before.update(
                        tokens[at : at + phrase] for at in range(len(tokens) - phrase + 1)
                    )
                else:
                    before[tokens[-1:]] += 1
            done = [tokens[-1] == END or len(tokens) == longest for tokens, _ in best]
            growing[g] = [one for one, over in zip(best, done, strict=True) if not over]
            ended[g] += [one for one, over in zip(best, done, strict=True) if over]
            ended[g] = sorted(ended[g], key=lambda one: -one[1])[:width]
            if len(ended[g]) == width and all(s <= ended[g][-1][1] for _, s in growing[g]):
                growing[g] = []
    return [["".join(tokens) for tokens, _ in group] for group in ended]
