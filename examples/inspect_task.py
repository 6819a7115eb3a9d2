"""A task of inspect-ai on this machine's models.

pip install forethought inspect-ai
inspect eval examples/inspect_task.py --model forethought/smollm2
inspect eval examples/inspect_task.py --model 'forethought/smollm2@majority-vote(n=4)'
"""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

CAPITALS = {"France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid"}


@task
def capitals() -> Task:
    """Capitals of Europe."""
    return Task(
        dataset=[
            Sample(input=f"What is the capital of {country}?", target=town)
            for country, town in CAPITALS.items()
        ],
        solver=generate(max_tokens=32),
        scorer=includes(),
    )
