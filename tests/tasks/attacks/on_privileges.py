"""Attempts to undo walls, by one that may hold the rights of its own namespaces."""

# ruff: noqa: F821
# mypy: ignore-errors
import ctypes
import os
import struct


def _write(bait, name):
    with open(bait[name], "a") as file:
        file.write(bait["mark"])


def mount_the_root_again_to_write(bait):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount(b"none", b"/", None, ctypes.c_ulong(4096 | 32), None)
    _write(bait, "file")


def set_the_root_s_attributes_to_write(bait):
    attributes = struct.pack("=QQQQ", 0, 1, 0, 0)
    for place in (b"/", b"/tmp"):
        try:
            system(442, -100, place, 0, attributes, 32)
        except OSError as error:
            if error.errno != 22:  # not a mount of its own
                raise
    _write(bait, "linked")


def unmount_what_hides_files(bait):
    libc = ctypes.CDLL(None, use_errno=True)
    folder = bait["hidden"].encode()
    return libc.umount2(folder, 2) == 0 and os.path.exists(bait["hidden"] + "/below")


def mount_a_folder_a_second_time(bait):
    os.mkdir("here")
    libc = ctypes.CDLL(None, use_errno=True)
    where = os.path.abspath("here").encode()
    if libc.mount(bait["folder"].encode(), where, None, ctypes.c_ulong(4096 | 0x4000), None):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return bait["begin"] in read("here/secret")


def mount_by_the_newer_calls(bait):
    tree = system(428, -100, bait["folder"].encode(), 1 | 0x8000)
    os.mkdir("newer")
    system(429, tree, b"", -100, os.path.abspath("newer").encode(), 4)
    return bait["begin"] in read("newer/secret")


def make_a_file_system(bait):
    return system(430, b"tmpfs", 0) >= 0


def change_the_root(bait):
    os.mkdir("jail")
    os.chroot("jail")
    for _ in range(100):
        os.chdir("..")
    os.chroot(".")
    return bait["begin"] in read(bait["secret"])


def turn_the_root(bait):
    os.mkdir("new")
    libc = ctypes.CDLL(None, use_errno=True)
    where = os.path.abspath("new").encode()
    libc.mount(b"/", where, None, ctypes.c_ulong(4096 | 0x4000), None)
    os.chdir("new")
    system(number(155, 41), b".", b".")
    return True


def enter_a_new_user_namespace(bait):
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.unshare(0x10000000) == 0


def start_a_process_in_a_new_user_namespace(bait):
    child = system(number(56, 220), 0x10000000 | 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return True


def start_a_process_by_the_newer_call(bait):
    """A filter cannot look at what this call is given."""
    settings = struct.pack("=11Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
    child = system(435, settings, len(settings))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return True


def enter_the_starter_s_namespaces(bait):
    libc = ctypes.CDLL(None, use_errno=True)
    place = os.open(f"/proc/{bait['starter']}/ns/net", os.O_RDONLY)
    return libc.setns(place, 0) == 0


def enter_a_namespace_by_a_process_handle(bait):
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.setns(system(434, bait["starter"], 0), 0x40000000) == 0


def hold_a_capability(bait):
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    ctypes.CDLL(None).capget(header, sets)
    return any(sets)


def gain_a_capability_by_the_bounding_set(bait):
    """One that programs may still be given, where they may be given any."""
    libc = ctypes.CDLL(None)
    return libc.prctl(23, 21, 0, 0, 0) == 1 and libc.prctl(39, 0, 0, 0, 0) == 0


def become_the_administrator(bait):
    os.setuid(0)
    return os.getuid() == 0 and bait["begin"] in read(bait["secret"])


def name_the_machine(bait):
    """To the name that it has."""
    name = os.uname().nodename.encode()
    return system(number(170, 161), name, len(name)) == 0


def run_a_program(bait):
    return os.posix_spawn("/bin/true", ["true"], {}) > 0


def run_a_shell(bait):
    return os.system("exit 7") >> 8 == 7


def run_a_program_from_memory(bait):
    place = system(number(319, 279), b"program", 0)
    with open("/bin/true", "rb") as file:
        os.write(place, file.read())
    return _starts([f"/proc/self/fd/{place}"])


def run_a_program_it_wrote(bait):
    with open("script", "w") as file:
        file.write("#!/bin/sh\nexit 0\n")
    os.chmod("script", 0o755)
    return _starts(["./script"])


def run_the_loader(bait):
    """The one program that a view with shared libraries alone still holds."""
    for path in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"):
        if os.path.exists(path):
            return _starts([path, "--help"])


def run_a_program_of_another_user(bait):
    """One that becomes the administrator when it is run."""
    for path in ("/usr/bin/su", "/bin/su", "/usr/bin/passwd"):
        if os.path.exists(path):
            return _starts([path, "--help"])


def _starts(command):
    child = os.fork()
    if child == 0:
        try:
            null = os.open("/dev/null", os.O_RDWR)
            os.dup2(null, 1)
            os.dup2(null, 2)
            os.execv(command[0], command)
        except OSError:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 99


def load_a_program_into_the_kernel(bait):
    """A program of one instruction."""
    instructions = ctypes.create_string_buffer(
        struct.pack("=BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0)
    )
    name = ctypes.create_string_buffer(b"GPL")
    settings = ctypes.create_string_buffer(
        struct.pack("=IIQQ", 1, 2, ctypes.addressof(instructions), ctypes.addressof(name)), 128
    )
    return system(number(321, 280), 5, settings, 128) >= 0


def watch_the_processor(bait):
    settings = ctypes.create_string_buffer(struct.pack("=IIQ", 1, 128, 0), 128)
    return system(number(298, 241), settings, 0, -1, -1, 0) >= 0


def make_a_ring_of_requests(bait):
    return system(425, 4, ctypes.create_string_buffer(120)) >= 0


def handle_its_own_page_faults(bait):
    return system(number(323, 282), 1) >= 0


def read_the_kernel_s_log(bait):
    return system(number(103, 116), 10, 0, 0) > 0


def loosen_its_filter(bait):
    """A filter of its own that lets everything through; the strictest one must hold."""
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))
    program = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", 1, ctypes.addressof(code)))
    ctypes.CDLL(None).prctl(22, 2, ctypes.c_ulong(ctypes.addressof(program)), 0, 0)
    return system(number(319, 279), b"x", 0) >= 0


def call_by_the_numbers_of_another_machine(bait):
    """memfd_create as programs with short pointers call it."""
    return system(0x40000000 + 319, b"x", 0) >= 0


EFFECTS = {
    "mount_the_root_again_to_write": lambda bait: bait["mark"] in _read(bait["file"]),
    "set_the_root_s_attributes_to_write": lambda bait: bait["mark"] in _read(bait["linked"]),
}


def _read(path):
    with open(path, errors="replace") as file:
        return file.read()


ROOT_ALONE = {
    "enter_the_starter_s_namespaces",
    "enter_a_namespace_by_a_process_handle",
    "become_the_administrator",
    "load_a_program_into_the_kernel",
    "read_the_kernel_s_log",
}
HARMFUL: set = set()
UNKNOWN = {
    "call_by_the_numbers_of_another_machine": "few kernels know these numbers",
    "watch_the_processor": "kernels may forbid it to all",
    "make_a_ring_of_requests": "kernels may forbid it to all",
    "handle_its_own_page_faults": "kernels may forbid it to all",
    "start_a_process_by_the_newer_call": "containers may refuse this call to all",
}
"""What need not succeed where nothing prevents it, and why."""
WALLS = dict.fromkeys(
    (
        *("run_a_program", "run_a_shell", "run_a_program_from_memory", "run_a_program_it_wrote"),
        *("run_the_loader", "run_a_program_of_another_user", "load_a_program_into_the_kernel"),
        *("watch_the_processor", "make_a_ring_of_requests", "handle_its_own_page_faults"),
        *("loosen_its_filter", "call_by_the_numbers_of_another_machine"),
    ),
    "kernel",
)
"""What another wall than that of the group keeps out."""
