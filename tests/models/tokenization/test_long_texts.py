"""Long texts are tokenized without the interpreter's lock, apart from short ones."""

from __future__ import annotations

import threading

from tests.tiny_model import tiny_tokenizer


def counted_while(work):
    """How often another thread counted while `work` ran."""
    count, ends = [0], threading.Event()

    def tick():
        while not ends.is_set():
            count[0] += 1

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        before = count[0]
        work()
        return count[0] - before
    finally:
        ends.set()
        thread.join()


def test_other_threads_run_while_a_long_text_is_tokenized():
    tokenizer, text = tiny_tokenizer(20), "some words. " * 30_000
    tokenizer.encode(text)
    whole = counted_while(lambda: tokenizer.encode(text))
    inner = counted_while(lambda: tokenizer._inner.encode(text))  # it holds the interpreter
    assert whole > 4 * inner


def test_a_short_text_does_not_wait_for_a_long_one():
    tokenizer, text = tiny_tokenizer(20), "some words. " * 30_000
    with tokenizer._long_lock:  # as while a long text is tokenized
        thread = threading.Thread(target=tokenizer.encode, args=(text,), daemon=True)
        thread.start()
        assert tokenizer.encode("some words. ") == tokenizer.encode("some words. ")
        assert thread.is_alive()
    thread.join()


def test_a_long_text_has_the_tokens_of_its_parts():
    tokenizer = tiny_tokenizer(20)
    part = "some <s> words\n"
    tokens, spans = tokenizer.encode_with_spans(part * 5000, [(0, len(part))])
    first = tokenizer.encode_with_spans(part, [(0, len(part))])[0]
    rest = tokenizer.encode_with_spans(part)[0]
    assert first != rest
    assert tokens == [*first, *rest * 4999]
    assert spans[-1][1] == 5000 * len(part)
