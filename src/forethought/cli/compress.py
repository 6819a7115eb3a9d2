"""`forethought compress`: a document made shorter for a question, as text."""

from __future__ import annotations

import json as json_format
import sys

from forethought.cli import options
from forethought.cli.ask import methods, named_alone
from forethought.cli.inputs import asked
from forethought.cli.progress import Progress
from forethought.cli.screen import report
from forethought.runs.recipe import Recipe


def compress(
    question: options.Question = None,
    model: options.ModelHere = Recipe.model,
    draft: options.Draft = None,
    approximate: options.Approximate = None,
    file: options.File = None,
    threads: options.Threads = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Shorten a document for a question and print both, for any model to answer."""
    base = named_alone(model)
    recipe = Recipe(
        model=base.model,
        draft=draft or base.draft,
        approximate=(*base.approximate, *methods(approximate)),
    )
    ask_for = asked(question, file or [])
    # Imported this late since they bring torch, which other verbs must not wait for.
    import torch

    from forethought.runs.compress import compress as shorten

    if threads:
        torch.set_num_threads(threads)
    progress = Progress(sys.stderr, quiet).show
    found = shorten(ask_for.question, recipe, document=ask_for.document, progress=progress)
    if json:
        report(json_format.dumps(found.document, ensure_ascii=False, indent=2))
        return 0
    report(found.text)
    if not quiet:
        kept = found.document["kept"]
        lines = [f"kept {kept['prompt_tokens']:,} of {kept['of']:,} prompt tokens"]
        sys.stderr.write("\n" + "\n".join([*found.document["notes"], *lines]) + "\n")
    return 0
