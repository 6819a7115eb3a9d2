"""Bugs of the page and of the log of served runs."""

from tests.planted.bug import Bug

PAGE_BUGS = (
    Bug(
        name="a run is read by its id alone",
        seen_in="servers with several keys, reads across tenants",
        file="storage/run_log.py",
        old='"SELECT content FROM runs WHERE id = ? AND tenant = ?"',
        new='"SELECT content FROM runs WHERE id = ? AND ? IS NOT NULL"',
        test="tests/server/test_run_log.py::test_a_tenant_sees_its_own_runs_alone",
    ),
    Bug(
        name="the newest runs leave a full log",
        seen_in="bounded logs, order of deletion",
        file="storage/run_log.py",
        old="(ORDER BY number DESC) AS held",
        new="(ORDER BY number) AS held",
        test="tests/server/test_run_log.py::test_the_oldest_runs_leave_once_the_limit_is_reached",
    ),
    Bug(
        name="tokens that share a character repeat it",
        seen_in="byte-level tokenizers, spans of characters",
        file="server/page_data.py",
        old="yield prompt.text[max(start, reached) : stop]",
        new="yield prompt.text[start:stop]",
        test="tests/server/page/test_page_data.py::test_tokens_that_share_a_character_show_it_once",
    ),
    Bug(
        name="an embedded text ends its script element",
        seen_in="pages with embedded JSON",
        file="reports/document.py",
        old='for sign in "<>&":',
        new='for sign in "&":',
        test="tests/server/page/test_page_files.py::test_an_export_is_one_file_that_loads_nothing",
    ),
    Bug(
        name="the page may run inline scripts",
        seen_in="policies relaxed for a widget",
        file="server/page_files.py",
        old="\"default-src 'self'; base-uri",
        new="\"default-src 'self' 'unsafe-inline'; base-uri",
        test=(
            "tests/server/page/test_page_files.py::"
            "test_files_are_served_with_a_strict_policy_and_nothing_else_is"
        ),
    ),
    Bug(
        name="throughput counts a candidate's whole text at each step",
        seen_in="counters of cumulative lengths",
        file="server/served_runs.py",
        old='return max(0, int(grown["tokens"]) - before)',
        new='return int(grown["tokens"])',
        test="tests/server/test_served_runs.py::test_throughput_counts_each_token_of_a_search_once",
    ),
)
