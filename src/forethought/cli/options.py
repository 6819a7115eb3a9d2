"""The options and arguments that are no field of a recipe: their spellings and help."""

from __future__ import annotations

from forethought.cli.grammar import Option, maybe, number, switch, text, texts, whole

QUESTION = maybe("question", help="The question; read from a pipe when left out.")
FILE = texts("--file", "-f", help="A document to ask about; repeatable; - is standard input.")
THEN = texts("--then", help="The next question of the same conversation; repeatable.")
SYSTEM = maybe("--system", help="The system message.")
TREE = maybe("--tree", help="Draw the search: FILE.svg or FILE.html.")
PRICES = texts(
    "--price",
    help="A server's price: MODEL=PROMPT/OUTPUT, dollars a million tokens; MODEL= is optional.",
)
SPEND = text(
    "--spend",
    help="auto: sample while a further answer pays; --draft names a cheaper model that may answer.",
    default="",
)
VALUE = text(
    "--value",
    help="What a right answer is worth: $0.01, 5TFLOP, 900tok, or 60x the first answer's price.",
    default="",
)
WRONG: Option[float | None] = Option(
    ("--penalty",),
    "Loss for a wrong answer, as a share of --value; above 0, --spend may abstain.",
    None,
    takes="float",
)
ABSTAIN_LEVEL = number(
    "--abstain-below",
    help="In the table of confidences, count less sure answers as withheld.",
    default=0.5,
)
THREADS: Option[int | None] = Option(
    ("--threads",), "Maximum CPU threads.", None, takes="int", limits=(1, 512)
)

RECIPES = texts("recipes", help="Methods, strategies or whole recipes.", among="recipes")
STRATEGIES = texts(
    "strategies", help="Strategies to choose among, two or more.", among="strategies"
)
KEEPS = texts("--keep", help="A budget for methods that state none; repeatable.")
AS_PUBLISHED = switch(
    "--as-published", help="Add each recipe with protect=false, as published methods run."
)
TASKS = texts(
    "--task", "-t", help="A task or family of `forethought list tasks`; repeatable.", among="tasks"
)
ANSWERS = whole("--samples", help="Answers to each question.", default=1, limits=(1, 1024))
HOLDOUT = switch(
    "--holdout",
    help="Hold out half of the questions behind Thresholdout; repeated looks share one budget.",
)
JUDGED: Option[int | None] = Option(
    ("--judged",),
    "Rank recipes by the verdicts of their --confidence methods too, with the gold scores of so "
    "many questions; 0 for none.",
    None,
    takes="int",
    limits=(0, 1_000_000),
)
LEVELS = whole("--levels", help="Levels of a verdict for --judged.", default=2, limits=(2, 10))
SKIP_BAD = switch("--skip-bad", help="Skip lines of a file that cannot be read.")
SANDBOX = text(
    "--sandbox",
    help="strict: exit with code 2 unless every isolation layer of the sandbox holds.",
    default="available",
)
RAY = maybe("--ray", help="Answer on a Ray cluster: auto, local or its address HOST:PORT.")
RAY_ACTORS: Option[int | None] = Option(
    ("--ray-actors",),
    "Engines of local models on the cluster; as many as it holds.",
    None,
    takes="int",
    limits=(1, 4096),
)
RESULTS = maybe("--results", help="The results file.")
CSV = switch("--csv", help="Print the table as CSV.")
MARKDOWN = switch("--markdown", help="Print the table as Markdown.")
REPORTS = texts("--report", "-o", help="Write a report: FILE.html, .md, .csv or .json; repeatable.")
INSPECT_LOGS = maybe(
    "--inspect-logs", help="Write a log of inspect-ai per recipe and task into this folder."
)

FALSE_POSITIVES: Option[float | None] = Option(
    ("--false-positives",),
    "The verifier's false-positive rate; the report says how many attempts pay.",
    None,
    takes="float",
)
MEASURED = switch(
    "--measured-verifier",
    help="Take the verifier's rates from the stored scores; 1/2 and above accepts an answer.",
)
PENALTY = number(
    "--penalty", help="Cost of a wrong answer that is accepted; a right one earns 1.", default=1.0
)
COMPLETENESS = number(
    "--completeness", help="Share of right answers that the verifier accepts.", default=1.0
)
ATTEMPT_PRICE = number(
    "--attempt-price", help="Cost of an attempt, where a right answer earns 1.", default=0.0
)
UP_TO = whole("--up-to", help="Forecast up to this many answers.", default=256, limits=(1, 100_000))
DESCRIBE = maybe(
    "--describe", help="Expect a score from this description and the results file; weak evidence."
)
PFN = maybe("--pfn", help="Forecast the best by this network of `tune --train-pfn coverage`.")
CURVES = maybe(
    "--curves",
    help="Forecast choices by score and by likelihood, by this network of `tune --train-pfn "
    "learning-curve`.",
)
PRIOR = text(
    "--prior",
    help="Prior of success rates: simulated; or zero-inflated, narrower, of one Beta law.",
    default="simulated",
)
SEEN = maybe("--seen", help="With --describe: first results, such as 7/10 for seven right of ten.")
AGAINST = text(
    "--against", help="A more expensive recipe: its single answers, beside these recipes."
)
TUNE_PROBE = text(
    "--probe",
    help="A number, such as 8: a plan estimates a question's difficulty by so many answers. Or a "
    "kind: fit that probe of hidden states, and no plan: value-head, p-ik, restart-gain or "
    "difficulty.",
    default="4",
)
BY = text(
    "--by",
    help="The first difficulty signal: agreement or likelihood.",
    default="agreement",
)
BINS = whole("--bins", help="Maximum bins of difficulty.", default=3)
WORTH = number("--worth", help="Points of score that a thousand tokens must earn.", default=0.0)
CALIBRATE = maybe(
    "--calibrate",
    help="Calibrate confidences by stored answers: best, isotonic, platt or temperature.",
)
SETTINGS = maybe(
    "--settings",
    help="Find the best settings of a space such as 'snapkv(keep=64..512, window=8|16)' by "
    "Bayesian optimisation; runs models.",
)
TRIALS = whole("--trials", help="Recipes that --settings measures.", default=16, limits=(1, 1000))
LOSS = number(
    "--loss", help="Loss of score, from 0 to 1, that --settings allows beside exact.", default=0.05
)
SURROGATE = text("--surrogate", help="Model of --settings: gp, tpe or wide-network.", default="gp")
ENGINE = text(
    "--engine",
    help="Engine settings that --settings searches too, by measured seconds, such as "
    "'threads=1|2, rows=1|4|8, weights=bf16|int4'.",
)
OBJECTIVE = text(
    "--objective",
    help="Cost of a right answer that --settings minimises: flops or seconds.",
    default="flops",
)
TRAIN_PFN = maybe(
    "--train-pfn",
    help="Train a network on simulated data: coverage, learning-curve or rate-filter; with -o "
    "FILE.safetensors.",
)
STEPS = whole("--steps", help="Steps of --train-pfn.", default=5000, limits=(1, 1_000_000))
PLAN = maybe(
    "--report",
    "-o",
    help="Write the plan, FILE.json, or the probe or network, FILE.safetensors.",
)
ORDER = maybe(
    "order", help='JSONL of training sequences in their order of training, as {"text": ...}.'
)
REFERENCE = text(
    "--reference",
    help="A model that never met the order; its losses are subtracted, which adds power.",
    among="models",
)
PREFIX = whole(
    "--prefix", help="Tokens of context in each sequence.", default=32, limits=(1, 100_000)
)
WINDOW = whole(
    "--window", help="Tokens after the prefix that are scored.", default=32, limits=(1, 100_000)
)
PERMUTATIONS = whole(
    "--permutations", help="Random orders of the test.", default=9999, limits=(99, 1_000_000)
)
AGAIN = switch("--again", help="Fetch the model even if the cache holds it.")

JSON = switch("--json", help="Print one JSON document.")
JSON_LINES = switch("--jsonl", help="Print each event as a line of JSON.")
QUIET = switch("--quiet", "-q", help="Print only the result, without progress.")
VERBOSE = switch("--verbose", "-v", help="Show stages, and the traceback of an error.")

SERVED = texts(
    "--model",
    "-m",
    help="A model, server or recipe; the first is the default; repeatable.",
    among="models",
)
ALLOWED = texts(
    "--allow", help="An encoder, judge, plan or probe that requests may name; repeatable."
)
HOST = text("--host", help="The address to listen on; any but loopback needs a key.",
            default="127.0.0.1")  # fmt: skip
PORT = whole("--port", help="The port; 0 for any free one.", default=8000, limits=(0, 65535))
KEY_VARIABLE = text(
    "--api-key-env", help="The environment variable with the key.", default="FORETHOUGHT_SERVE_KEY"
)
KEY_FILE = maybe(
    "--api-key-file", help="A file of keys, one a line; keys share no cache and no run."
)
OPEN = switch("--open", help="Open the page in a browser.")
CONCURRENT = whole(
    "--max-concurrent", help="Maximum sequences that run at once.", default=256, limits=(1, 4096)
)
REQUESTS = whole(
    "--max-requests",
    help="Requests in progress; more get status 429.",
    default=1280,
    limits=(1, 65536),
)
PREFIX_CACHE = text(
    "--prefix-cache", help="Memory for shared KV-cache entries, such as 500MB; 0B for none.",
    default="2GB",
)  # fmt: skip
REQUEST_SECONDS = number("--request-seconds", help="Maximum seconds of a request.", default=900.0)
LOG_PROMPTS = switch(
    "--log-prompts",
    help="Keep prompts and answers of runs; a server on loopback always does.",
)

RUNS_ACTION = texts("action", help="list; or show, replay or export, with the id of a run.")
WHY = switch("--why", help="Show every decision with its belief, prices and alternatives.")

ON = text(
    "--on",
    help="Hardware: h100, a100, rtx-4090, ...; `here` is this machine; or a JSON file.",
    default="here",
    among="hardware",
)
PROMPT_TOKENS = text("--prompt", help="Prompt tokens, such as 4096 or 32k.", default="1k")
ANSWER_TOKENS = text("--answer", help="Answer tokens.", default="256")
BATCH = whole("--batch", help="Equal requests at once.", default=1, limits=(1, 1 << 20))
ACCELERATORS = whole(
    "--accelerators", help="Accelerators that share the work.", default=1, limits=(1, 1 << 16)
)
PROBE = switch("--probe", help="Measure this machine again, which takes ten seconds.")
PRICE_FILE = maybe("--prices", help="A JSON file of hourly prices that replace the table's.")
USD_PER_HOUR: Option[float | None] = Option(
    ("--usd-per-hour",), "Dollars for an accelerator and hour.", None, takes="float"
)
HUMAN: Option[float | None] = Option(
    ("--human",), "Dollars of a right answer by a human, with -t.", None, takes="float"
)
TIMED = maybe(
    "--timed", help="A JSON file of timed requests, whose idealized runtime predicts this one."
)
CHARTS = texts("--report", "-o", help="Draw the roofline: FILE.svg; or FILE.json; repeatable.")

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
