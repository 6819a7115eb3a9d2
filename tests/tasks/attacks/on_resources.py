"""Attempts to use more of the machine than a program may."""

# ruff: noqa: F821
# mypy: ignore-errors
import ctypes
import fcntl
import mmap
import os
import resource
import signal
import threading
import time


def start_many_processes(bait):
    children = []
    try:
        for _ in range(100):
            child = os.fork()
            if child == 0:
                time.sleep(9)
                os._exit(0)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
    return True


def start_many_threads(bait):
    end = threading.Event()
    threads = [threading.Thread(target=end.wait, daemon=True) for _ in range(100)]
    try:
        for one in threads:
            one.start()
    finally:
        end.set()
    return True


def lift_limits(bait):
    for kind in (resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_NPROC):
        resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return True


def open_many_files(bait):
    return len([os.dup(0) for _ in range(300)]) == 300


def hold_memory_in_one_process(bait):
    return len(bytearray(2 * bait["memory_bytes"])) > 0


def hold_memory_in_a_file_of_memory(bait):
    """Written but never mapped, so that no limit on address space sees it."""
    places = [system(number(319, 279), b"memory", 0) for _ in range(8)]
    for place in places:
        for _ in range(32):
            os.write(place, bytes(1 << 20))
    return True


def hold_memory_in_segments(bait):
    libc = ctypes.CDLL(None, use_errno=True)
    segment = libc.shmget(0, 1 << 20, 0o1600)
    libc.shmctl(segment, 0, None)
    return segment >= 0


def hold_memory_in_pipes(bait):
    for _ in range(4):
        _, writes = os.pipe()
        fcntl.fcntl(writes, 1031, 1 << 20)
    return True


def hold_the_machine_s_memory_in_place(bait):
    place = mmap.mmap(-1, 16 << 20)
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.addressof(ctypes.c_char.from_buffer(place))
    return libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(16 << 20)) == 0


def run_before_all_others(bait):
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    return True


def raise_its_priority(bait):
    os.setpriority(os.PRIO_PROCESS, 0, -5)
    return True


def leave_a_core(bait):
    """A file as long as the memory of a process, wherever the kernel puts it."""
    return resource.getrlimit(resource.RLIMIT_CORE)[1] != 0


EFFECTS = {}
ROOT_ALONE = {"run_before_all_others", "raise_its_priority", "hold_the_machine_s_memory_in_place"}
HARMFUL: set = set()
UNKNOWN = {
    "run_before_all_others": "control groups may forbid it to all",
    "raise_its_priority": "containers may refuse it to all",
    "hold_the_machine_s_memory_in_place": "containers may refuse it to all",
    "lift_limits": "whoever starts the tests may be limited already",
    "leave_a_core": "whoever starts the tests may be limited already",
    "hold_memory_in_segments": "containers may be without segments",
}
WALLS = {
    "start_many_processes": "privileges",
    "start_many_threads": "privileges",
    "hold_memory_in_a_file_of_memory": "kernel",
    "hold_memory_in_segments": "kernel",
    "hold_memory_in_pipes": "kernel",
    "run_before_all_others": "privileges",
    "raise_its_priority": "privileges",
    "hold_the_machine_s_memory_in_place": "privileges",
}
"""What another wall than that of the group keeps out."""
