"""The flags of the verbs: their spellings and help."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

Question = Annotated[
    str | None, Argument(help="What to ask; piped in when left out.", show_default=False)
]
Model = Annotated[
    str, Option("--model", "-m", help="A name, hub id, folder, GGUF file or server; or a recipe.")
]
ModelHere = Annotated[
    str, Option("--model", "-m", help="A name, hub id, folder or GGUF file; or a recipe.")
]
Draft = Annotated[
    str | None,
    Option("--draft", "-d", help="The model that reads ahead; if left out, the model itself."),
]
Approximate = Annotated[
    list[str] | None,
    Option("--approximate", "-x", help="A method of `forethought list`; repeat, or join by +."),
]
File = Annotated[
    list[str] | None,
    Option("--file", "-f", help="A text to ask about; repeatable; - is standard input."),
]
Then = Annotated[
    list[str] | None,
    Option("--then", help="Ask this next, in the same conversation; repeatable."),
]
System = Annotated[str | None, Option("--system", help="The system message.")]

MaxTokens = Annotated[int, Option("--max-tokens", help="Most tokens of an answer.")]
Temperature = Annotated[
    float | None,
    Option(
        "--temperature",
        help="0 takes the likeliest token; unless stated 0, or 0.7 with a search.",
        show_default=False,
    ),
]
TopK = Annotated[int, Option("--top-k", help="Draw from the k likeliest tokens; 0: from all.")]
TopP = Annotated[float, Option("--top-p", help="Draw from the likeliest with this total.")]
MinP = Annotated[float, Option("--min-p", help="Draw from those this likely beside the likeliest.")]
Samples = Annotated[int, Option("--samples", help="Answers to draw.")]
Stop = Annotated[
    list[str] | None, Option("--stop", help="A text that ends the answer; repeatable.")
]
KeepStop = Annotated[bool, Option("--keep-stop", help="Leave that text in the answer.")]
LogProbs = Annotated[int, Option("--logprobs", help="Likeliest tokens to report in --jsonl.")]
Weights = Annotated[str, Option("--weights", help="auto, bf16, int4, int8 or w8a8.")]
Seed = Annotated[int, Option("--seed", help="The same seed gives the same answer.")]
Search = Annotated[
    str | None,
    Option(
        "--search", "-s", help="A strategy of `forethought list strategies`.", show_default=False
    ),
]
Scorer = Annotated[
    str, Option("--scorer", help="What ranks its candidates: see `forethought list scorers`.")
]
Tree = Annotated[
    str | None,
    Option("--tree", help="Draw the search: FILE.svg or FILE.html.", show_default=False),
]
Budget = Annotated[
    str, Option("--budget", help="Most to spend: 500tok, 2s, 1TFLOP or $0.01, joined by commas.")
]
SearchBudget = Annotated[
    str, Option("--budget", help="Most that a search spends on a question: 1000tok or 2TFLOP.")
]
Prices = Annotated[
    list[str] | None,
    Option(
        "--price",
        help="A server's: MODEL=READ/WRITTEN, dollars a million tokens; MODEL= may be left out.",
    ),
]
Threads = Annotated[
    int | None, Option("--threads", min=1, max=512, help="Processor threads to use.")
]

Keeps = Annotated[
    list[str] | None,
    Option("--keep", help="A budget for methods that leave theirs open; repeatable."),
]
Tasks = Annotated[
    list[str] | None,
    Option("--task", "-t", help="A task or family of `forethought list tasks`; repeatable."),
]
Answers = Annotated[int, Option("--samples", min=1, max=1024, help="Answers to each question.")]
SkipBad = Annotated[
    bool, Option("--skip-bad", help="Leave out lines of a file that cannot be read.")
]
Results = Annotated[
    str | None, Option("--results", help="The file that samples are kept in.", show_default=False)
]
Csv = Annotated[bool, Option("--csv", help="Print the table as CSV.")]
Markdown = Annotated[bool, Option("--markdown", help="Print the table as Markdown.")]

Reports = Annotated[
    list[str] | None,
    Option("--report", "-o", help="Write a report too: FILE.html, .md, .csv or .json; repeatable."),
]

Json = Annotated[bool, Option("--json", help="Print one JSON document.")]
JsonLines = Annotated[bool, Option("--jsonl", help="Print each event as a line of JSON.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Print nothing but the answer.")]
Verbose = Annotated[bool, Option("--verbose", "-v", help="Show stages, and where errors arose.")]
