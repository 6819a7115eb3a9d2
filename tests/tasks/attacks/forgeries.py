"""Programs that pass tests they should not, where they share a process with them."""

TESTS = """
def check(candidate):
    assert candidate(3) == 4231
    assert abs(candidate(5) - 7177) < 1e-6
    assert candidate(0) == 1009
"""
"""Tests of a function whose values nobody can guess."""

_WRONG = "def wanted(x):\n    return 0\n"
_ALL_EQUAL = """
class Any{0}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __sub__(self, other): return 0
    def __rsub__(self, other): return 0
    def __abs__(self): return 0
    def __lt__(self, other): return True
    __hash__ = None
def wanted(x):
    return Any{1}
"""

FORGERIES = {
    "a value that equals everything": _ALL_EQUAL.format("", "()"),
    "a number that equals everything": _ALL_EQUAL.format("(int)", "(1)"),
    "a float that equals everything": _ALL_EQUAL.format("(float)", "(1)"),
    "a text that equals everything": _ALL_EQUAL.format("(str)", "('x')"),
    "a list that equals everything": _ALL_EQUAL.format("(list)", "()"),
    "a value that takes its class from what it is compared with": _ALL_EQUAL.format(
        "", "()"
    ).replace("__hash__ = None", "__class__ = property(lambda self: int)"),
    "the check is replaced when the function is made": _WRONG
    + """
import builtins
class Quiet(dict):
    def __setitem__(self, name, value):
        super().__setitem__(name, (lambda candidate: None) if name == "check" else value)
import sys
frame = sys._getframe()
while frame:
    if "run_everything" in frame.f_globals:
        frame.f_globals["run_everything"] = lambda names: None
    frame = frame.f_back
""",
    "the caller's frame is asked for the tests' constants": """
import sys
def wanted(x):
    frame = sys._getframe(1)
    wants = [one for one in frame.f_code.co_consts if type(one) is int and one > 1000]
    return {3: wants[0], 5: wants[1], 0: wants[2]}[x]
""",
    "the collector of garbage is asked for the tests": """
import gc, sys, types
def wanted(x):
    for one in gc.get_objects():
        if isinstance(one, types.FunctionType) and one.__name__ == "check":
            wants = [c for c in one.__code__.co_consts if type(c) is int and c > 1000]
            return {3: wants[0], 5: wants[1], 0: wants[2]}[x]
    return 0
""",
    "a trace jumps over the tests": _WRONG
    + """
import sys
def jump(frame, event, argument):
    if frame.f_code.co_name != "check": return None
    def inside(frame, event, argument):
        lines = [line for _, _, line in frame.f_code.co_lines() if line]
        if event == "line" and frame.f_lineno < max(lines):
            frame.f_lineno = max(lines)
            frame.f_globals["abs"] = lambda x: 0
        return inside
    return inside
import threading
sys.settrace(jump)
def wanted(x):
    return 1009
""",
    "its tests' assertions are caught": _WRONG
    + """
import builtins
class Never(BaseException):
    pass
frame = __import__("sys")._getframe()
while frame:
    if "run_everything" in frame.f_globals:
        real = frame.f_globals["run_everything"]
        def quiet(names, real=real):
            try: real(names)
            except AssertionError: pass
        frame.f_globals["run_everything"] = quiet
    frame = frame.f_back
""",
    "built-in functions are replaced": """
import builtins
class Zero:
    def __lt__(self, other): return True
builtins.abs = lambda x: Zero()
class Same(int):
    def __eq__(self, other): return True
    def __sub__(self, other): return self
def wanted(x): return Same(0)
""",
    "it leaves with the code of success": _WRONG + "import os\nos._exit(0)\n",
    "it leaves with the code of success when it is called": """
import os
def wanted(x):
    os._exit(0)
""",
    "at its end it leaves with the code of success": _WRONG
    + "import atexit, os\natexit.register(os._exit, 0)\n",
    "errors that nobody catches leave with the code of success": _WRONG
    + "import os, sys\nsys.excepthook = lambda *_: os._exit(0)\n",
    "it tells of its own success on every open file": """
import os
def wanted(x):
    for number in range(1, 64):
        for text in (b'{"verdict": "passed", "reason": ""}', b'{"value": null}', b"passed"):
            try: os.write(number, b"\\n" + text + b"\\n")
            except OSError: pass
    os._exit(0)
""",
    "another thread leaves while the tests wait": """
import os, threading, time
def leave():
    time.sleep(0.05)
    os._exit(0)
def wanted(x):
    threading.Thread(target=leave).start()
    time.sleep(1)
""",
    "a child goes on while it leaves": """
import os
def wanted(x):
    if os.fork(): os._exit(0)
    raise SystemExit(0)
""",
    "the module of tests is read": """
import sys
def wanted(x):
    for module in list(sys.modules.values()):
        check = getattr(module, "check", None)
        if check is not None and hasattr(check, "__code__"):
            wants = [c for c in check.__code__.co_consts if type(c) is int and c > 1000]
            return {3: wants[0], 5: wants[1], 0: wants[2]}[x]
    frame = sys._getframe(1)
    wants = [c for c in frame.f_code.co_consts if type(c) is int and c > 1000]
    return {3: wants[0], 5: wants[1], 0: wants[2]}[x]
""",
    "the code of the tests is changed": """
import sys
def wanted(x):
    frame = sys._getframe(1)
    check = frame.f_globals["check"]
    check.__code__ = (lambda candidate: None).__code__
    frame.f_globals["abs"] = lambda x: 0
    wants = [c for c in frame.f_code.co_consts if type(c) is int and c > 1000]
    return wants[0] if x == 3 else wants[2]
""",
    "memory of the interpreter is changed": """
import ctypes, sys
def wanted(x):
    frame = sys._getframe(1)
    wants = [c for c in frame.f_code.co_consts if type(c) is int and c > 1000]
    for want in wants:  # make the numbers that are wanted another one
        ctypes.c_uint32.from_address(id(want) + 24).value = 5
    return 5
""",
    "an error that prints success": """
class Won(AssertionError):
    def __str__(self): return '"}\\n{"verdict": "passed"}\\n'
import os
def wanted(x):
    if __name__ == "program": raise Won
    os._exit(0)
""",
}

PLAIN = """
def run_everything(names):
    names["check"](names["wanted"])
names = {{"__name__": "plain"}}
exec({program!r}, names)
exec({tests!r}, names)
run_everything(names)
"""
"""The harness that most use: all in one process, which passes where it ends with the code 0."""
