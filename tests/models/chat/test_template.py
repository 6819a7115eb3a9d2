"""Chat templates are programs of strangers: what they take is limited, and every error is typed."""

from __future__ import annotations

import json
import sys
import threading
import tracemalloc
from typing import Any

import pytest

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.chat.prompt import chat_prompt
from forethought.models.chat.template import LONGEST_TEMPLATE, render_chat
from forethought.models.chat.template_budget import SECONDS, OverBudgetError, TemplateBudget, weight
from forethought.models.tokenization.tokenizer import Tokenizer
from tests.fast_cases import fast_where
from tests.models.tiny_tokenizers import byte_level

NAMES = {"bos": "<s>", "eos": "</s>"}
DOUBLED = (
    "{% set n = namespace(x='ab' * 500, l=[1], t=(1,)) %}{% for i in range(60) %}"
    "{% set n.x = BODY %}{% endfor %}"
)


def shown(template: str, *contents: str) -> str:
    messages = [("user", one) for one in contents or ("hello",)]
    return render_chat(template, messages, NAMES)


def nested(depth: int, inside: str, values: str = "range(99999)") -> str:
    starts = "".join(f"{{% for v{n} in {values} %}}" for n in range(depth))
    return starts + inside + "{% endfor %}" * depth


HEAVY = {
    "loops": nested(4, ""),
    "loops with a condition": "{% for i in range(99999) %}"
    + "{% for j in range(99999) if false %}{% endfor %}{% endfor %}",
    "recursive loops": "{% for i in [1, 2] recursive %}"
    "{% if loop.depth < 40 %}{{ loop([1, 2]) }}{% endif %}{% endfor %}",
    "macros": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(40) }}",
    "own text in loops": nested(2, "x" * 5000),
    "texts in loops": nested(2, "{{ messages[0].content * 2000 }}"),
    "set blocks": nested(2, "{% set y %}" + "x" * 5000 + "{% endset %}"),
    "doubled with +": DOUBLED.replace("BODY", "n.x + n.x"),
    "doubled with ~": DOUBLED.replace("BODY", "n.x ~ n.x"),
    "doubled with *": DOUBLED.replace("BODY", "n.x * 2"),
    "doubled by a join": DOUBLED.replace("BODY", "[n.x, n.x] | join"),
    "doubled by the method join": DOUBLED.replace("BODY", "''.join([n.x, n.x])"),
    "doubled by replacing": DOUBLED.replace("BODY", "n.x | replace('b', 'bb')"),
    "doubled by the method replace": DOUBLED.replace("BODY", "n.x.replace('', 'a')"),
    "doubled by a format": DOUBLED.replace("BODY", "'%s%s' % (n.x, n.x)"),
    "doubled by the filter format": DOUBLED.replace("BODY", "'%s%s' | format(n.x, n.x)"),
    "doubled by the method format": DOUBLED.replace("BODY", "'{0}{0}'.format(n.x)"),
    "doubled by JSON": DOUBLED.replace("BODY", "[n.x, n.x] | tojson"),
    "doubled in a macro": "{% macro g(x) %}{{ x }}{{ x }}{% endmacro %}"
    + DOUBLED.replace("BODY", "g(n.x)"),
    "a list in itself": DOUBLED.replace("n.x = BODY", "n.l = [n.l, n.l]") + "{{ n.l }}",
    "a list in itself, compared": DOUBLED.replace("n.x = BODY", "n.l = [n.l, n.l]")
    + "{{ n.l == [n.l] }}",
    "a list in itself by batches": "{% set n = namespace(l=[1, 1]) %}{% for i in range(60) %}"
    "{% set n.l = (n.l + n.l) | batch(2) | list %}{% endfor %}{{ n.l | tojson }}",
    "a tuple in itself": DOUBLED.replace("n.x = BODY", "n.t = (n.t, n.t)") + "{{ {n.t: 1} }}",
    "a huge text": "{{ 'x' * 10 ** 10 }}",
    "a huge list": "{{ ([1] * 10 ** 10) | length }}",
    "a huge number": "{{ 10 ** (10 ** 8) }}",
    "a huge number by multiplying": "{% set n = namespace(x=10) %}{% for i in range(90) %}"
    "{% set n.x = n.x * n.x %}{% endfor %}{{ n.x }}",
    "a wide field": "{{ '%1000000000d' % 1 }}",
    "a field of any width": "{{ '%*d' % (1000000000, 1) }}",
    "a wide field in braces": "{{ '{:1000000000}'.format(1) }}",
    "a field in a field": "{{ '{:{}}'.format(1, 1000000000) }}",
    "a wide line": "{{ 'x' | center(1000000000) }}",
    "a wide line by the method": "{{ 'x'.ljust(1000000000) }}",
    "wide lines": "{{ messages[0].content | indent(100000000, true) }}",
    "wide tabs": "{{ '\t'.expandtabs(1000000000) }}",
    "wide JSON": "{{ [1] | tojson(indent=1000000000) }}",
    "long batches": "{{ [1] | batch(1000000000, 'x') | list | length }}",
    "many slices": "{{ [1] | slice(1000000000) | list | length }}",
    "a rounding of many digits": "{{ 1 | round(1000000000, 'floor') }}",
    "long texts compared": nested(2, "{{ x == y }}").replace(
        "{%", "{% set x = 'x' * 9000000 %}{% set y = x ~ '' %}{%", 1
    ),
    "long texts searched": "{% set x = 'x' * 9000000 %}" + nested(2, "{{ 'y' in x }}"),
    "long texts cut": "{% set x = 'x' * 900000 %}" + nested(2, "{% set y = x[::-1] %}"),
    "long texts split": "{% set x = ' x' * 400000 %}" + nested(2, "{% set y = x.split() %}"),
    "long texts as lists": "{% set x = 'x' * 900000 %}" + nested(2, "{% set y = x | list %}"),
    "long texts in capitals": "{% set x = 'x' * 900000 %}" + nested(2, "{% set y = x.upper() %}"),
    "one text joined often": "{% set x = 'x' * 900000 %}{{ ([x] * 90000) | join }}",
    "one text of namespaces joined": "{% set n = namespace(x='x' * 900000) %}"
    "{{ ([n] * 90000) | join(attribute='x') }}",
    "a wide mark between": "{{ range(99999) | join('x' * 90000) }}",
    "sums of lists": "{{ range(90000) | batch(1) | sum(start=[]) }}",
    "long paths": "{% set n = namespace() %}{% set n.a = n %}"
    "{{ range(90000) | map(attribute=PATH) | list }}".replace("PATH", repr("a." * 9000 + "a")),
    "lists through lists": nested(2, "{{ range(99999) | map('string') | join }}"),
    "deep calls": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "deep blocks": "{% block b %}{{ self.b() }}{% endblock %}",
    "a long date": "{{ strftime_now('%Y' * 1000) }}",
}  # fmt: skip


SLOWEST = {
    "recursive loops",
    "macros",
    "lists through lists",
    "a list in itself",
    "a list in itself, compared",
    "one text of namespaces joined",
}
"""Each has a neighbour that is refused for the same reason."""


@pytest.mark.parametrize("name", fast_where(lambda name: name not in SLOWEST, HEAVY))
def test_what_a_template_takes_is_limited(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedModelError, match="exceeds its budget") as caught:
            shown(HEAVY[name], "hello\nworld")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert "another" in caught.value.hint
    assert peak < 200 << 20


ERRORS = {
    "no syntax": "{% for %}",
    "an unknown tag": "{% nothing %}",
    "an unknown filter": "{{ 1 | nothing }}",
    "a filter for web pages": "{{ 'a' | urlize }}",
    "an unknown test": "{{ 1 is nothing }}",
    "an include": "{% include 'x' %}",
    "an import": "{% import 'x' as y %}",
    "nothing": "{{ nothing.at.all }}",
    "no function": "{{ 1() }}",
    "a sorted list of no pairs": "{{ [1] | dictsort }}",
    "more branches than memory": "{% if a %}" + "{% elif a %}" * 9000 + "{% endif %}",
    "a division": "{{ 1 / 0 }}",
    "a number beyond floats": "{{ 1e308 * 10.0 ** 400 }}",
    "a big division": "{{ (10 ** 300) * (10 ** 5) / 3 }}",
    "sorting what has no order": "{{ [1, 'a'] | sort }}",
    "JSON of a namespace": "{{ namespace() | tojson }}",
    "a list in itself as JSON": "{{ namespace(a=1) | tojson }}",
    "a generator that goes wrong": "{{ [1] | map('nothing') | list }}",
    "no such place": "{{ 'a'.index('b') }}",
    "a big range": "{{ range(10 ** 7) | length }}",
    "too many arguments": "{% macro f() %}{% endmacro %}{{ f(1, 2) }}",
    "a wrong format": "{{ '%d' % 'a' }}",
    "half a format": "{{ '{'.format(1) }}",
    "half a letter": "{{ 'a'.encode('ascii') }}",
    "a date of nothing": "{{ strftime_now(1) }}",
    "loops too deep for the compiler": nested(30, "x", "[1]"),
    "ifs too deep": "{% if 1 %}" * 900 + "{% endif %}" * 900,
    "brackets too deep": "{{ " + "(" * 900 + "1" + ")" * 900 + " }}",
    "lists too deep": "{{ " + "[" * 900 + "]" * 900 + " }}",
    "a sum too long": "{{ " + "+".join("1" * 5000) + " }}",
    "attributes too deep": "{{ x" + ".a" * 5000 + " }}",
    "a deep list": "{% set n = namespace(l=[]) %}{% for i in range(2000) %}{% set n.l = [n.l] %}"
    "{% endfor %}{{ n.l }}",
    "a deep list as JSON": "{% set n = namespace(l=[]) %}{% for i in range(2000) %}"
    "{% set n.l = [n.l] %}{% endfor %}{{ n.l | tojson }}",
    "deep lists compared": "{% set n = namespace(l=[], m=[]) %}{% for i in range(2000) %}"
    "{% set n.l = [n.l] %}{% set n.m = [n.m] %}{% endfor %}{{ n.l == n.m }}",
    "refused with a list": "{{ raise_exception([1]) }}",
    "refused at length": "{{ raise_exception('no' * 100000) }}",
    "a name of Python's": "{% set None = 1 %}{{ None.x.y }}",
    "a loop's own name": "{% for loop in [1] %}{% endfor %}",
    "a break nowhere": "{% break %}",
    "an assigned call": "{% set f() = 1 %}",
    "a letter that is none": "{{ '\ud800' | urlencode }}",
    "a block twice": "{% block a %}{% endblock %}{% block a %}{% endblock %}",
    "a parent": "{% extends messages %}",
    "no parent": "{{ super() }}",
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_whatever_goes_wrong_in_a_template_is_typed_and_short(name: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        shown(ERRORS[name])

    assert "chat template" in caught.value.message
    assert len(caught.value.message) < 500
    assert caught.value.hint


@pytest.mark.parametrize(
    "call",
    [
        "messages[0].content.encode('punycode')",
        "'a'.translate({97: 'b' * 1000000})",
        "(1).to_bytes(1000000000, 'big')",
        "dict.fromkeys(range(9))",
        "messages.append(1)",
        "messages[0].update(a=1)",
        "''.__class__",
        "self.__init__.__globals__",
        "lipsum(n=1000000)",
        "cycler.__init__.__globals__",
        "namespace.__init__",
        "[1]|map(attribute='__class__')|list|first",
        "''|attr('__class__')",
        "(messages | map('upper')).send(1)",
    ],
)
def test_what_no_conversation_needs_cannot_be_called(call: str) -> None:
    with pytest.raises(UnsupportedModelError):
        shown("{{ " + call + " + '' }}")


def test_a_template_of_any_length_is_refused_unread() -> None:
    with pytest.raises(UnsupportedModelError, match="100,001 characters"):
        shown("x" * (LONGEST_TEMPLATE + 1))

    assert shown("x" * LONGEST_TEMPLATE) == "x" * LONGEST_TEMPLATE


def test_a_template_of_many_parts_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="more than 30,000 parts"):
        shown("{{" + "~".join("a" * 40_000) + "}}")


def test_limits_hold_in_any_thread_and_for_each_alone() -> None:
    found: dict[int, str] = {}
    template = "{{ messages[0].content * 1000 }}"
    contents = "abcd" * 2000

    def render(number: int) -> None:
        try:
            found[number] = shown(HEAVY["loops"] if number % 2 else template, contents)
        except UnsupportedModelError as error:
            found[number] = error.message

    threads = [threading.Thread(target=render, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all("exceeds its budget" in found[number] for number in (1, 3, 5))
    assert all(found[number] == contents * 1000 for number in (0, 2, 4))


def test_time_is_the_last_limit() -> None:
    moments = iter([0.0, SECONDS - 1, SECONDS + 1])
    budget = TemplateBudget(1_000_000, 0, clock=lambda: next(moments))
    budget.spend(20_000)

    with pytest.raises(OverBudgetError, match="seconds"):
        budget.spend(20_000)


def test_a_budget_grows_with_the_conversation() -> None:
    small = TemplateBudget.of([{"role": "user", "content": "a"}])
    large = TemplateBudget.of([{"role": "user", "content": "a" * 1000}] * 10)

    assert large.characters - small.characters > 9_000 * 60
    assert large.steps - small.steps > 9_000


def test_a_value_held_twice_weighs_twice() -> None:
    once: Any = ["ab", {"c": 1}]
    size, twice = weight(once), weight([once, once])

    assert size.values == 5
    assert twice.values == 2 * size.values + 1
    assert twice.characters > 2 * size.characters


CHATML = (
    "{%- for m in messages %}"
    "{{- '<|im_start|>' + m.role + '\\n' + m['content'] | trim + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
LOOKING_BACK = (
    "{%- set n = namespace(last=0, system='') %}{%- for m in messages[::-1] %}"
    "{%- set at = (messages | length - 1) - loop.index0 %}"
    "{%- if m.role == 'user' and not (m.content.startswith('<r>') and m.content.endswith('>')) %}"
    "{%- set n.last = [n.last, at] | max %}{%- endif %}{%- endfor %}"
    "{%- for m in messages %}{%- if m.role == 'assistant' and '</think>' in m.content %}"
    "{{- '<a>' ~ m.content.split('</think>')[-1].lstrip('\\n') ~ '</a>' }}"
    "{%- else %}{{- '<' ~ m.role ~ '>' ~ m.content ~ '</' ~ m.role ~ '>' }}{%- endif %}"
    "{%- if not loop.last and messages[loop.index].role == m.role %}"
    "{{- raise_exception('x') }}{%- endif %}{%- endfor %}{{- n.last }}"
)
LOOKING_ON = (
    "{%- for m in messages %}{%- set n = namespace(next=none) %}"
    "{%- for later in messages[loop.index:] %}{%- if later.role == 'user' and n.next is none %}"
    "{%- set n.next = later.content %}{%- endif %}{%- endfor %}"
    "{{- m.role ~ ': ' ~ m.content ~ (' > ' ~ n.next if n.next else '') }}\n{%- endfor %}"
)
MACROS = (
    "{%- macro show(value, depth=0) %}{%- if value is mapping %}"
    "{%- for k, v in value | dictsort %}{{- k }}:{{ show(v, depth + 1) }};{%- endfor %}"
    "{%- elif value is string %}{{- value | tojson }}"
    "{%- elif value is iterable %}{%- for v in value %}{{- show(v, depth + 1) }},{%- endfor %}"
    "{%- else %}{{- value }}{%- endif %}{%- endmacro %}"
    "{%- set asked = messages | selectattr('role', 'equalto', 'user') %}"
    "{{- show(asked | map(attribute='content') | list) }}"
)


def conversation(count: int, length: int) -> list[tuple[str, str]]:
    text = "word é " * (length // 7 + 1)
    return [
        ("assistant", f"<think>\n{text}\n</think>\n\n{n}{text}")
        if n % 2
        else ("user", f"{n} {text}")
        for n in range(count)
    ]


@pytest.mark.parametrize("size", [(3000, 70), (1, 1_000_000), (9, 200_000), (700, 1500)])
def test_long_conversations_stay_within_the_limits(size: tuple[int, int]) -> None:
    messages = conversation(*size)

    chatml = render_chat(CHATML, messages, NAMES)
    back = render_chat(LOOKING_BACK, messages, NAMES)
    macros = render_chat(MACROS, messages, NAMES)

    assert (
        chatml
        == "".join(f"<|im_start|>{role}\n{text.strip()}<|im_end|>\n" for role, text in messages)
        + "<|im_start|>assistant\n"
    )
    answers = {r: t.split("</think>")[-1].lstrip("\n") for r, t in messages[1:2]}
    assert back.endswith(str((len(messages) - 1) // 2 * 2))
    assert all(f"<a>{text}</a>" in back for text in answers.values())
    users = [json.dumps(text, ensure_ascii=False) for role, text in messages if role == "user"]
    assert macros == "".join(f"{text}," for text in users)


def test_templates_that_look_on_from_every_message_stay_within_the_limits() -> None:
    messages = conversation(800, 50)

    assert render_chat(LOOKING_ON, messages, NAMES).count(" > ") == 798


def test_a_document_of_a_million_characters_is_laid_out() -> None:
    document = "hello 123 \n" * 100_000
    prompt = chat_prompt(Tokenizer(byte_level("smollm"), bos=1, ends=[2]), CHATML, "why?", document)

    assert f"{document}\n\nwhy?" in prompt.text


def test_values_are_shown_as_the_library_shows_them() -> None:
    template = (
        "{{ 1 }}{{ none }}{{ true }}{{ [1, 'a'] }}{{ {'a': 1} }}{{ (1, 2) }}{{ 1.5 }}{{ nothing }}|"
        "{{ [3, 1, 2] | sort | join(', ') }}|{{ 'a-b' | replace('-', '+') | upper }}|"
        "{{ '%s is %.2f' | format('x', 1) }}|{{ '{:>5}|{!r}'.format('a', 'b') }}|{{ 'x' * 3 }}|"
        "{{ [1, 2] + [3] }}|{{ 7 // 2 }}{{ 7 % 4 }}{{ 2 ** 10 }}{{ 7 / 2 }}|"
        "{{ {'b': [1, 2], 'a': 'é'} | tojson }}|{{ [1] | tojson(indent=2) }}|"
        "{{ range(5) | batch(2) | list }}|{{ 'abc'[::-1] }}{{ 'abc'[1:] }}|"
        "{{ messages | map(attribute='role') | unique | list }}|{{ 'a\nb' | indent(2) }}|"
        "{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{{ loop.last }}{% endfor %}|"
        "{% for i in range(9) if i % 2 %}{{ i }}{% if i > 4 %}{% break %}{% endif %}{% endfor %}|"
        "{{ 'a,b'.split(',') }}{{ ' x '.strip() }}{{ 'ab'.startswith('a') }}"
        "{{ ', '.join(['a', 'b']) }}|"
        "{{ 1 in [1, 2] }}{{ 'a' is in 'abc' }}{{ 3 is divisibleby 3 }}{{ 1 < 2 < 3 }}|"
        "{% set x %}a{{ 1 }}{% endset %}{{ x }}{% filter upper %}b{% endfilter %}|"
        "{% macro m(a, b=2) %}{{ a }}{{ b }}{{ caller() if caller }}{% endmacro %}{{ m(1) }}"
        "{% call m(3) %}c{% endcall %}|{{ [1, 2, 3] | sum }}{{ ['a', 'b'] | first }}{{ -1 | abs }}"
    )

    assert shown(template) == (
        "1NoneTrue[1, 'a']{'a': 1}(1, 2)1.5|1, 2, 3|A+B|x is 1.00|    a|'b'|xxx|[1, 2, 3]|"
        "3310243.5|"
        '{"b": [1, 2], "a": "é"}|[\n  1\n]|[[0, 1], [2, 3], [4]]|cbabc|'
        "['user']|a\n  b|a1True|135|"
        "['a', 'b']xTruea, b|TrueTrueTrueTrue|a1B|1232c|6a1"
    )


def test_compiling_nested_signs_takes_calls_in_proportion_to_them() -> None:
    def calls(signs: int) -> int:
        counted = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal counted
            counted += event == "call"

        sys.setprofile(count)
        try:
            with pytest.raises(UnsupportedModelError):
                shown("{{ " + "-" * signs + "nothing() }}")
        finally:
            sys.setprofile(None)
        return counted

    calls(10)
    assert calls(120) < 4 * calls(60)
