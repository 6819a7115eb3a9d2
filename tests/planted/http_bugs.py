"""Bugs of servers that answer the OpenAI API."""

from tests.planted.bug import Bug

HTTP_BUGS = (
    Bug(
        name="/v1/responses ignores the settings of a request",
        seen_in="omlx 3056",
        file="server/response_requests.py",
        old="for name in (*SamplingFields.model_fields, *_SAME) if name in given",
        new="for name in ('model', *_SAME) if name in given",
        test="tests/server/test_responses.py::test_every_setting_of_chat_means_the_same_here",
    ),
    Bug(
        name="n is ignored",
        seen_in="ollama 13111",
        file="server/model_names.py",
        old='"samples": samples,',
        new='"samples": 1,',
        test="tests/server/test_chat.py::test_the_official_client_reads_every_field",
    ),
    Bug(
        name="log-probabilities are dropped from streams",
        seen_in="omlx 1549, vmlx 127",
        file="server/chat.py",
        old='logprobs = {"content": entries, "refusal": None} if entries else None',
        new="logprobs = None",
        test="tests/server/test_chat.py::test_a_stream_tells_what_the_whole_answer_tells",
    ),
    Bug(
        name="an echoed prompt has no log-probabilities, so tasks score at chance",
        seen_in="llama.cpp 27174, lm-eval 4158",
        file="server/completion_requests.py",
        old="prompt_logprobs=fields.logprobs if fields.echo else None,",
        new="prompt_logprobs=None,",
        test=(
            "tests/server/test_completions.py::test_echoed_log_probabilities_equal_teacher_forcing"
        ),
    ),
    Bug(
        name="the end of one choice closes the stream of all",
        seen_in="servers that stream n > 1 by one finish reason",
        file="server/chat.py",
        old="        yield from others\n",
        new="",
        test="tests/server/test_chat.py::test_a_stream_tells_what_the_whole_answer_tells",
    ),
    Bug(
        name="a strategy within a strategy names any file",
        seen_in="allow lists that check the outer name alone",
        file="server/allowed_names.py",
        old="            self.check(value, _NESTED[name])",
        new="            pass",
        test="tests/server/test_model_names.py::test_no_name_leaves_the_allow_list",
    ),
    Bug(
        name="a page of another site reaches the server through a name of its own",
        seen_in="servers on loopback without a check of the Host header (DNS rebinding)",
        file="server/guard.py",
        old="            _check_host(self.settings.host, headers)",
        new="            pass",
        test="tests/server/test_guard.py::test_other_hosts_are_refused",
    ),
    Bug(
        name="small parts of a stream wait for an acknowledgement",
        seen_in="asyncio, on listening sockets without a protocol",
        file="server/listening.py",
        old="socket.SOCK_STREAM, socket.IPPROTO_TCP)",
        new="socket.SOCK_STREAM)",
        test="tests/server/test_limits.py::test_small_parts_of_a_stream_leave_at_once",
    ),
)
