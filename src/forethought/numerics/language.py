"""Whether a text is English, Chinese or in another language, by its letters and commonest words."""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["English", "Chinese", "other", ""]
_WORD = re.compile(r"[^\W\d_]+")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_KANA = re.compile("[\u3040-\u30ff]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_ENGLISH_WORDS = """
the of and to that for with are you what how many much does which this it they his her if each
from be by will would have has not can there their when where who why your my our all more then
than into about answer write give following these some only after before
"""
_OTHER_WORDS = """
der das und ist nicht ein eine einen wie viele sie ich wir mit auf für den dem von zu im kann wird
le la les des et est un une que qui quel quelle combien pour dans avec sur il elle nous vous sont
el los las y es una qué cuál cuántos cuántas cuánto para con por del se en su son cómo
o os uma é quantos quantas quanto não em ao da dos mais lo gli che di per sono quanti quante non è
het een van niet hoeveel zijn dat wat voor met op de och är att det som hur många på av ett
i w z na się jest ile nie to jak ve bir bu kaç için ne yang dan berapa adalah dengan untuk ini itu
là của và có bao nhiêu không được một
"""
_COMMON = frozenset(_ENGLISH_WORDS.split()) & frozenset(_OTHER_WORDS.split())
_ENGLISH = frozenset(_ENGLISH_WORDS.split()) - _COMMON
_OTHERS = frozenset(_OTHER_WORDS.split()) - _COMMON


def language_of(text: str) -> Language:
    """The language of a text; empty if its words do not tell."""
    letters = sum(map(str.isalpha, text))
    if not letters:
        return ""
    if len(_HAN.findall(text)) > 0.3 * letters and not _KANA.search(text):
        return "Chinese"
    if len(_LATIN.findall(text)) < 0.5 * letters:
        return "other"
    words = _WORD.findall(text.casefold())
    english = sum(word in _ENGLISH for word in words)
    other = sum(word in _OTHERS for word in words)
    if english != other:
        return "English" if english > other else "other"
    return "" if text.isascii() else "other"


def elsewhere(text: str) -> str:
    """A language other than the text's: English, or Chinese for an English text."""
    return "English" if language_of(text) in ("Chinese", "other") else "Chinese"


def is_in(text: str, language: str) -> bool:
    """Whether a text is in a language, or may be: only English and Chinese are told apart."""
    found = language_of(text)
    return not found or language not in ("English", "Chinese") or found == language
