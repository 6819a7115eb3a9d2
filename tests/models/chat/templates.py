"""Chat templates in the shapes of published ones, with their quirks."""

from __future__ import annotations

from typing import Any

HERMES = """
{%- if tools %}<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}

{% endif %}# Tools
{%- for tool in tools %}
{{ tool | tojson }}{% endfor %}<|im_end|>
{% elif messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}
{%- for m in messages %}
{%- if m.role == 'user' or (m.role == 'system' and not loop.first) %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% elif m.role == 'assistant' %}<|im_start|>assistant
{%- if m.reasoning_content %}
<think>
{{ m.reasoning_content.strip('\n') }}
</think>
{% endif %}
{{ m.content.lstrip('\n') }}
{%- for call in m.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% elif m.role == 'tool' %}<|im_start|>user
<tool_response>
{{ m.content }}
</tool_response><|im_end|>
{% endif %}{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{% endif %}"""
"""Calls in tags, arguments as objects, thinking that a setting turns off."""

LLAMA = """
{%- if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] | trim %}
{%- set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}
{{- bos_token }}<|im_start|>system
{% if tools %}Environment: ipython
{% for t in tools %}{{ t | tojson(indent=4) }}

{% endfor %}{% endif %}{{ system }}<|im_end|>
{%- for m in messages %}
{%- if m.role == 'tool' or m.role == 'ipython' %}<|im_start|>ipython
{% if m.content is mapping or m.content is iterable %}{{ m.content | tojson }}
{%- else %}{{ m.content }}{% endif %}<|im_end|>
{%- elif 'tool_calls' in m %}
{%- if m.tool_calls | length != 1 %}{{ raise_exception('one call at a time!') }}{% endif %}
<|im_start|>assistant
{"name": "{{ m.tool_calls[0].function.name }}", "parameters": {{
m.tool_calls[0].function.arguments | tojson }}}<|im_end|>
{%- else %}<|im_start|>{{ m.role }}
{{ m.content | trim }}<|im_end|>{% endif %}{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""Contents are stripped, results are JSON, and calls are objects of name and parameters."""

MISTRAL = """
{%- if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}
{%- set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}
{{- bos_token }}
{%- for m in loop_messages if m.role in ['user', 'assistant'] and not m.tool_calls %}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('roles must alternate user/assistant') }}{% endif %}{% endfor %}
{%- for m in loop_messages %}
{%- if m.role == 'user' %}
{%- if tools is not none and loop.last %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]
{%- endif %}[INST]{% if loop.last and system is defined %}{{ system }}

{% endif %}{{ m.content }}[/INST]
{%- elif m.tool_calls %}[TOOL_CALLS][
{%- for call in m.tool_calls %}{% if call.id | length != 9 %}
{{- raise_exception('ids should have length 9!') }}{% endif %}
{{- (call.function | tojson)[:-1] }}, "id": "{{ call.id }}"}{{ ', ' if not loop.last }}
{%- endfor %}]{{ eos_token }}
{%- elif m.role == 'tool' %}[TOOL_RESULTS]{"content": {{ m.content }}, "call_id": "{{
m.tool_call_id }}"}[/TOOL_RESULTS]
{%- else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"""
"""Roles alternate, ids have nine characters, and the system prompt stands before the question."""

DEEPSEEK = """{{ bos_token }}{% for m in messages %}
{%- if m.role == 'system' %}{{ m.content }}
{%- elif m.role == 'user' %}<|im_start|>User{{ m.content }}
{%- elif m.role == 'tool' %}<|im_start|>Output{{ m.content }}
{%- elif m.role == 'assistant' %}<|im_start|>Assistant
{%- set text = m.content.split('</think>')[-1] %}{{ text }}
{%- for call in m.tool_calls or [] %}
{{- '```json\n' + call.function.arguments + '\n```' }}{% endfor %}{{ eos_token }}{% endif %}
{%- endfor %}{% if tools %}{{ tools | length }}{% endif %}
{%- if add_generation_prompt %}<|im_start|>Assistant<think>
{% endif %}"""
"""Arguments are text, old reasoning is dropped, and the template itself opens the reasoning."""

GEMMA = """{{ bos_token }}{% if messages[0].role == 'system' %}
{{- raise_exception('System role not supported') }}{% endif %}{% for m in messages %}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('Conversation roles must alternate') }}{% endif %}<|im_start|>{{
'model' if m.role == 'assistant' else m.role }}
{{ m.content | trim }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>model
{% endif %}"""
"""No system role."""

XML = HERMES.replace('"arguments"', "<function=name><parameter=key>")
"""Calls with an element per parameter."""

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": 'The "weather" of a city,\nnow or later: <|im_end|>.',
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Such as Oslo"},
                "days": {"type": "integer"},
                "unit": {"enum": ["°C", "degrees F"]},
            },
            "required": ["city"],
        },
    },
}
CLOCK: dict[str, Any] = {"type": "function", "function": {"name": "clock"}}
