"""Attempts on other processes, and on what processes of a machine share."""

# ruff: noqa: F821
# mypy: ignore-errors
import ctypes
import fcntl
import os
import resource
import signal
import struct
import time


def kill_a_process(bait):
    os.kill(bait["victims"][0], signal.SIGKILL)


def stop_a_process(bait):
    os.kill(bait["victims"][1], signal.SIGSTOP)


def signal_by_a_process_handle(bait):
    system(424, system(434, bait["victims"][2], 0), 9, 0, 0)


def signal_by_owning_a_pipe(bait):
    """The kernel sends a signal to whoever is named as the owner of a pipe."""
    reads, writes = os.pipe()
    fcntl.fcntl(reads, fcntl.F_SETOWN, bait["victims"][3])
    fcntl.fcntl(reads, 10, signal.SIGKILL)
    fcntl.fcntl(reads, fcntl.F_SETFL, os.O_ASYNC)
    os.write(writes, b"x")
    time.sleep(0.05)


def signal_a_whole_group(bait):
    os.killpg(bait["victims"][4], signal.SIGKILL)


def attach_to_a_process(bait):
    system(number(101, 117), 16, bait["victims"][5], 0, 0)
    return True


def read_the_memory_of_a_process(bait):
    place = os.open(f"/proc/{bait['victims'][5]}/mem", os.O_RDONLY)
    start = int(read(f"/proc/{bait['victims'][5]}/maps").split("-")[0], 16)
    return len(os.pread(place, 4, start)) == 4


def copy_the_memory_of_a_process(bait):
    address = ctypes.create_string_buffer(8)
    local = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(address), 8))
    remote = ctypes.create_string_buffer(struct.pack("=QQ", 4096, 8))
    try:
        system(number(310, 270), bait["victims"][5], local, 1, remote, 1, 0)
    except OSError as error:
        return error.errno == 14  # it was allowed to look, and nothing is there
    return True


def take_a_file_of_a_process(bait):
    return system(438, system(434, bait["victims"][5], 0), 0, 0) >= 0


def limit_a_process(bait):
    resource.prlimit(bait["victims"][5], resource.RLIMIT_NOFILE, (7, 7))
    return True


def slow_a_process_down(bait):
    os.setpriority(os.PRIO_PROCESS, bait["victims"][5], 19)
    return True


def slow_all_processes_of_the_user_down(bait):
    """By user and not by process, which namespaces of processes do not cover alike.

    To the speed that is usual, since all other processes of the user are real ones.
    """
    return system(number(251, 30), 3, os.getuid(), 2 << 13 | 4) == 0


def move_a_process_to_a_processor(bait):
    os.sched_setaffinity(bait["victims"][5], {0})
    return True


def see_that_a_process_runs(bait):
    os.kill(bait["victims"][5], 0)
    return True


def compare_itself_with_a_process(bait):
    return system(number(312, 272), os.getpid(), bait["victims"][5], 1, 0, 0) >= 0


def read_shared_memory(bait):
    """A segment that the host made, by its key."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    place = libc.shmat(libc.shmget(bait["key"], 0, 0), None, 0)
    return ctypes.string_at(place, 5) == bait["begin"].encode()[:5]


def send_to_a_message_queue(bait):
    libc = ctypes.CDLL(None, use_errno=True)
    message = ctypes.create_string_buffer(struct.pack("=q8s", 1, b"taken"))
    return libc.msgsnd(libc.msgget(bait["key"], 0), message, 8, 0o4000) == 0


def open_named_shared_memory(bait):
    return bait["begin"] in read("/dev/shm/" + bait["name"])


def open_a_named_message_queue(bait):
    return system(number(240, 180), bait["name"].encode(), os.O_WRONLY | os.O_CREAT, 0o600, 0) >= 0


def read_the_user_s_keys(bait):
    return system(number(250, 219), 0, -4, 1) > 0


EFFECTS = {
    "kill_a_process": lambda bait: not _runs(bait["victims"][0]),
    "stop_a_process": lambda bait: not _runs(bait["victims"][1]),
    "signal_by_a_process_handle": lambda bait: not _runs(bait["victims"][2]),
    "signal_by_owning_a_pipe": lambda bait: not _runs(bait["victims"][3]),
    "signal_a_whole_group": lambda bait: not _runs(bait["victims"][4]),
}


def _runs(process):
    """Whether a process neither ended nor was stopped."""
    with open(f"/proc/{process}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] not in "ZTtX"


ROOT_ALONE = set()
HARMFUL = {"slow_all_processes_of_the_user_down"}
"""What is not made where nothing prevents it, since it reaches beyond the baits."""
UNKNOWN = {
    "read_the_user_s_keys": "kernels may be made without keys",
    "open_a_named_message_queue": "kernels may be made without named queues",
    "send_to_a_message_queue": "containers may be without queues",
    "take_a_file_of_a_process": "kernels may forbid it to all",
    "compare_itself_with_a_process": "kernels may be made without it",
}
WALLS = dict.fromkeys(
    (
        *("slow_all_processes_of_the_user_down", "read_shared_memory", "send_to_a_message_queue"),
        *("open_a_named_message_queue", "read_the_user_s_keys"),
    ),
    "kernel",
)
"""What another wall than that of the group keeps out."""
