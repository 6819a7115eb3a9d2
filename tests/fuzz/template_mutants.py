"""Mutants of chat templates."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

from forethought.models.chat.prompt import chat_prompt, next_turn, question_tokens
from forethought.models.tokenization.tokenizer import Tokenizer
from tests.models import tiny_gguf
from tests.models.tiny_rewards import TEMPLATE, bytes_tokenizer

_LONGER = """{%- if messages[0].role == 'system' %}
    {%- set system = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}{%- set system = '' %}{%- endif %}
{{- bos_token }}{% set ns = namespace(found=false, count=0) %}
{%- for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('roles must alternate') }}
    {%- endif %}
    {%- set ns.count = ns.count + 1 %}
    {%- if loop.first and system %}{%- set content = system + '\\n\\n' + message.content %}
    {%- else %}{%- set content = message.content %}{%- endif %}
    {{- '<|start|>' + message.role + '\\n' + content | trim + '<|end|>\\n' }}
    {%- if tools is not none and tools | length > 0 %}{{ tools | tojson(indent=2) }}{%- endif %}
{%- endfor %}
{%- macro line(text, times=1) %}{{ text | string * times }}{% endmacro %}
{%- if add_generation_prompt %}{{ line('<|start|>assistant') }}{{ '\\n' }}{%- endif %}"""
_SEEDS = (TEMPLATE, tiny_gguf.TEMPLATE, _LONGER)
_PIECES = (
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{{ messages }}{% endfor %}",
    "{% set n = namespace(s='x') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}",
    "{% set x = 'a' * 10**10 %}",
    "{{ 'a' * 3000000000 }}",
    "{{ 9**9**9 }}",
    "{{ 2 ** 100000000 }}",
    "{{ [0] * 10**9 }}",
    "{{ 'x' | center(1000000000) }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ messages | string | indent(100000000) }}",
    "{{ range(10**9) | list }}",
    "{{ range(10**8) | sum }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "{%- for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
    "{{ messages.__class__.__mro__ }}",
    "{{ messages[0].content.__class__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ lipsum(n=100000) }}",
    "{{ cycler('a').next.__globals__ }}",
    "{{ raise_exception(1) }}",
    "{{ raise_exception() }}",
    "{{ strftime_now('%' * 100000) }}",
    "{{ strftime_now(5) }}",
    "{{ strftime_now('\\ud800') }}",
    "{{ messages | tojson(indent=1000000000) }}",
    "{{ messages | tojson(nonsense=1) }}",
    "{{ namespace | tojson }}",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% extends 'x' %}",
    "{% break %}",
    "{% generation %}{{ messages }}{% endgeneration %}",
    "{% generation %}",
    "{% set messages = none %}",
    "{% set bos_token = [] %}",
    "{{ messages[99].content }}",
    "{{ nothing.at.all }}",
    "{{ 1 / 0 }}",
    "{{ messages | sort }}",
    "{{ messages | map('nothing') | list }}",
    "{{ messages | groupby('role') }}",
    "{{ '\\ud800' }}",
    "{{ ('(' * 5000) }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ " + "-" * 5000 + "1 }}",
    "{{ " + "1 + " * 5000 + "1 }}",
    "{% if 1 %}" * 500 + "{% endif %}" * 500,
    "{# " + "x" * 100_000,
    "\0\ue000\ue010\ue001",
)
_TOKEN = re.compile(r"(\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|\w+|\s+|.)", re.DOTALL)


def template_mutant(random: Random, folder: Path) -> Callable[[], object]:
    """A template with a few of its parts dropped, doubled, moved or replaced."""
    parts = _TOKEN.findall(random.choice(_SEEDS))
    for _ in range(random.choice((1, 1, 2, 3, 5))):
        place = random.randrange(len(parts) + 1)
        match random.randrange(8):
            case 0 if place < len(parts):
                del parts[place]
            case 1 if place < len(parts):
                parts.insert(random.randrange(len(parts)), parts[place])
            case 2 if place < len(parts):
                inner = _TOKEN.findall(parts[place][2:-2])
                inner[random.randrange(len(inner) or 1) :] = random.choice(
                    (["1"], [" messages "], [" | ", "trim"], ["(", ")"], [])
                )
                parts[place] = parts[place][:2] + "".join(inner) + parts[place][-2:]
            case 3 if len(parts) > 1:
                a, b = random.sample(range(len(parts)), 2)
                parts[a], parts[b] = parts[b], parts[a]
            case _:
                parts.insert(place, random.choice(_PIECES))
        parts = parts or [""]
    template = "".join(parts)
    if random.random() < 0.1:
        cut = random.randrange(len(template) + 1)
        template = template[:cut]
    return lambda: _used(template)


def _used(template: str) -> None:
    tokenizer = Tokenizer(bytes_tokenizer(), bos=256, ends=(258,), rows=260)
    for text in ("a {{ 7 }} <|end|>", ""):
        prompt = chat_prompt(tokenizer, template, text, "A document.", "Be brief.")
        assert len(prompt.tokens) == len(prompt.spans)
    chat_prompt(tokenizer, template, "hello")
    question_tokens(tokenizer, template, "hello")
    next_turn(tokenizer, template, "and now?")
