"""The options of the verbs: their spellings and help.

The defaults of a recipe's options are those of the fields of `Recipe`; a test compares them, since
importing it here would slow all help.
"""

from __future__ import annotations

from forethought.cli.grammar import Option, maybe, number, switch, text, texts, whole

QUESTION = maybe("question", help="What to ask; piped in when left out.")
_MODEL = "--model", "-m"
MODEL = text(
    *_MODEL,
    help="A name, hub id, folder, GGUF file or server; or a recipe.",
    default="smollm2",
    among="models",
)
MODEL_HERE = MODEL._replace(help="A name, hub id, folder or GGUF file; or a recipe.")
DRAFT = text(
    "--draft",
    "-d",
    help="The model that reads ahead; if left out, the model itself.",
    among="models",
)
APPROXIMATE = texts(
    "--approximate",
    "-x",
    help="A method of `forethought list`; repeat, or join by +.",
    among="methods",
)
FILE = texts("--file", "-f", help="A text to ask about; repeatable; - is standard input.")
THEN = texts("--then", help="Ask this next, in the same conversation; repeatable.")
SYSTEM = maybe("--system", help="The system message.")

MAX_TOKENS = whole("--max-tokens", help="Most tokens of an answer.", default=256)
TEMPERATURE: Option[float | None] = Option(
    ("--temperature",),
    "0 is greedy.  [default: 0, or 0.7 with a search]",
    None,
    takes="float",
)
TOP_K = whole("--top-k", help="Draw from the k likeliest tokens; 0: from all.", default=0)
TOP_P = number("--top-p", help="Draw from the likeliest with this total.", default=1.0)
MIN_P = number("--min-p", help="Draw from those this likely beside the likeliest.", default=0.0)
SAMPLES = whole("--samples", help="Answers to draw.", default=1)
STOP = texts("--stop", help="A stop string: the answer ends before it; repeatable.")
KEEP_STOP = switch("--keep-stop", help="Leave the stop string in the answer.")
LOGPROBS = whole("--logprobs", help="Likeliest tokens to report in --jsonl.", default=0)
WEIGHTS = text("--weights", help="auto, bf16, int4, int8 or w8a8.", default="auto")
SEED = whole("--seed", help="The same seed gives the same answer.", default=0)
SEARCH = maybe(
    "--search", "-s", help="A strategy of `forethought list strategies`.", among="strategies"
)
SCORER = text(
    "--scorer", help="What ranks its candidates: see `forethought list scorers`.", among="scorers"
)
TREE = maybe("--tree", help="Draw the search: FILE.svg or FILE.html.")
_BUDGET = "--budget"
BUDGET = text(_BUDGET, help="Most to spend: 500tok, 2s, 1TFLOP or $0.01, joined by commas.")
SEARCH_BUDGET = text(_BUDGET, help="Most that a search spends on a question: 1000tok or 2TFLOP.")
PRICES = texts(
    "--price",
    help="A server's: MODEL=READ/WRITTEN, dollars a million tokens; MODEL= may be left out.",
)
THREADS: Option[int | None] = Option(
    ("--threads",), "Most processor threads to use.", None, takes="int", limits=(1, 512)
)

RECIPES = texts("recipes", help="Methods, strategies or whole recipes.", among="recipes")
STRATEGIES = texts(
    "strategies", help="Strategies to choose among, two or more.", among="strategies"
)
KEEPS = texts("--keep", help="A budget for methods that leave theirs open; repeatable.")
TASKS = texts(
    "--task", "-t", help="A task or family of `forethought list tasks`; repeatable.", among="tasks"
)
ANSWERS = whole("--samples", help="Answers to each question.", default=1, limits=(1, 1024))
SKIP_BAD = switch("--skip-bad", help="Leave out lines of a file that cannot be read.")
SANDBOX = text(
    "--sandbox",
    help="strict: exit with code 2 unless every wall of the sandbox holds.",
    default="available",
)
RESULTS = maybe("--results", help="The file that samples are kept in.")
CSV = switch("--csv", help="Print the table as CSV.")
MARKDOWN = switch("--markdown", help="Print the table as Markdown.")
REPORTS = texts(
    "--report", "-o", help="Write a report too: FILE.html, .md, .csv or .json; repeatable."
)

FALSE_POSITIVES: Option[float | None] = Option(
    ("--false-positives",),
    "Share of wrong answers that a verifier passes: how many attempts then pay.",
    None,
    takes="float",
)
PENALTY = number(
    "--penalty", help="What such an answer costs; a right one is worth 1.", default=1.0
)
PROBE = whole("--probe", help="Answers that tell how hard a question is.", default=4)
BY = text(
    "--by",
    help="What of them is looked at first: agreement or likelihood.",
    default="agreement",
)
BINS = whole("--bins", help="Most bins of difficulty.", default=3)
WORTH = number("--worth", help="Points of score that a thousand tokens must bring.", default=0.0)
PLAN = maybe("--report", "-o", help="Write the plan: FILE.json.")
AGAIN = switch("--again", help="Fetch it even if it is here.")

JSON = switch("--json", help="Print one JSON document.")
JSON_LINES = switch("--jsonl", help="Print each event as a line of JSON.")
QUIET = switch("--quiet", "-q", help="Print nothing but the answer.")
VERBOSE = switch("--verbose", "-v", help="Show stages, and where errors arose.")

FAMILY = maybe(
    "family",
    help="A family, `methods`, `strategies`, `scorers`, `tasks`, or `models`.",
    among="families",
)
NAME = text("name", help="A name from `forethought list` or `list tasks`.", among="names")._replace(
    required=True
)
FETCHED = text(
    "model",
    help="A model of `forethought list models`, a hub id, a folder or GGUF file.",
    among="models",
)._replace(required=True)
