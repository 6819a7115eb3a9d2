"""Attacks that each take a whole sandbox: on its time, its memory, its output and its end."""

ENDLESS = {
    "it ignores requests to end": """
import signal
for one in range(1, 65):
    try: signal.signal(one, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
""",
    "it stops itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass",
    "it stops its parent": """
import os, signal
os.kill(os.getppid(), signal.SIGSTOP)
while True: pass
""",
    "it stops all it can": """
import os, signal
os.kill(-1, signal.SIGSTOP)
while True: pass
""",
    "children use processor time in turn": """
import os
while True:
    child = os.fork()
    if child == 0:
        for _ in range(10 ** 7): pass
        os._exit(0)
    os.waitpid(child, 0)
""",
    "it sleeps behind a blocked signal": """
import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
time.sleep(600)
""",
}
"""Programs that have to be ended."""

SURVIVING = """
import ctypes, os, time
def call_it():
    ctypes.CDLL(None).prctl(15, b"{name}", 0, 0, 0)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        call_it()
        for place in range(3): os.close(place)
        time.sleep(60)
    os._exit(0)
os.wait()
time.sleep(0.2)
"""
"""Leaves a process of that name behind, which nobody waits for."""

KILLS_ALL = "import os, signal\nos.kill(-1, signal.SIGKILL)\n"

MEMORY_OF_CHILDREN = """
import os, signal, time
reads, writes = os.pipe()
children = []
for _ in range(4):
    children.append(os.fork())
    if children[-1] == 0:
        held = bytearray({each})
        for place in range(0, {each}, 4096): held[place] = 1
        os.write(writes, b"x")
        time.sleep({seconds})
        os._exit(0)
told = b""
os.set_blocking(reads, False)
end = time.monotonic() + {seconds}
while len(told) < 4 and time.monotonic() < end and os.waitpid(-1, os.WNOHANG)[0] == 0:
    try: told += os.read(reads, 4)
    except BlockingIOError: time.sleep(0.01)
time.sleep(0.3)
print("held by", len(told))
for child in children: os.kill(child, signal.SIGKILL)
assert len(told) == 4
"""
"""Four children that each hold less than a program may, and together more."""

MUCH_OUTPUT = "for _ in range(64): print('x' * (1 << 20))\n"
