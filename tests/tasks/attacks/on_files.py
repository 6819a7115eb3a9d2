"""Attempts on files of the host. Each gets the paths of baits, and is true where it succeeds."""

# ruff: noqa: F821
# mypy: ignore-errors
import ctypes
import os
import stat


def append_to_a_file(bait):
    with open(bait["file"], "a") as file:
        file.write(bait["mark"])


def make_a_file(bait):
    with open(bait["folder"] + "/made", "w") as file:
        file.write(bait["mark"])


def remove_a_file(bait):
    os.remove(bait["removable"])


def rename_a_file(bait):
    os.rename(bait["renamable"], bait["folder"] + "/renamed")


def open_a_file_to_all(bait):
    os.chmod(bait["closed"], 0o777)


def truncate_a_file(bait):
    os.truncate(bait["long"], 0)


def change_a_file_s_times(bait):
    os.utime(bait["dated"], (1, 1))


def write_through_a_symbolic_link(bait):
    os.symlink(bait["linked"], "link-to-it")
    with open("link-to-it", "a") as file:
        file.write(bait["mark"])


def write_through_a_hard_link(bait):
    os.link(bait["hard"], bait["folder"] + "/hard-link")
    with open(bait["folder"] + "/hard-link", "a") as file:
        file.write(bait["mark"])


def write_through_a_link_that_changes(bait):
    """A folder of its own, and a link to the host's, change places again and again."""
    os.mkdir("mine")
    os.symlink(bait["folder"], "theirs")
    for _ in range(200):
        os.rename("mine", "kept")
        os.rename("theirs", "mine")
        try:
            with open("mine/raced", "w") as file:
                file.write(bait["mark"])
        except OSError:
            pass
        os.rename("mine", "theirs")
        os.rename("kept", "mine")


def write_by_a_path_that_climbs(bait):
    with open("../" * 40 + bait["climbed"].lstrip("/"), "a") as file:
        file.write(bait["mark"])


def read_a_secret(bait):
    return bait["begin"] in read(bait["secret"])


def read_a_secret_by_the_root_of_process_1(bait):
    return bait["begin"] in read("/proc/1/root" + bait["secret"])


def read_a_secret_by_the_root_of_the_starter(bait):
    return bait["begin"] in read(f"/proc/{bait['starter']}/root" + bait["secret"])


def read_a_secret_by_the_folder_of_the_starter(bait):
    return bait["begin"] in read(f"/proc/{bait['starter']}/cwd" + "/.." * 40 + bait["secret"])


def read_a_secret_by_its_own_root(bait):
    return bait["begin"] in read("/proc/self/root" + bait["secret"])


def read_a_key_in_the_home_folder(bait):
    return bait["begin"] in read(bait["home"] + "/.ssh/id_ed25519")


def read_a_token_in_the_home_folder(bait):
    return bait["begin"] in read(bait["home"] + "/.cache/huggingface/token")


def read_keys_in_the_environment(bait):
    return bait["begin"] in " ".join(os.environ.values())


def read_keys_in_the_environments_of_processes(bait):
    found = ""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            found += read(f"/proc/{name}/environ")
        except OSError:
            continue
    return bait["begin"] in found


def read_keys_in_the_c_library_s_environment(bait):
    pointer = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    return any(bait["begin"].encode() in one for one in iter(iter(pointer).__next__, None))


def read_the_names_of_users(bait):
    return "root:" in read("/etc/passwd")


def list_the_temporary_folder(bait):
    return os.path.basename(bait["folder"]) in os.listdir(os.path.dirname(bait["folder"]))


def list_the_root_s_homes(bait):
    return any(os.path.isdir(path) and os.listdir(path) for path in ("/home", "/var", "/opt"))


def use_files_that_were_left_open(bait):
    """Read or change whatever file was open when it started."""
    for number in range(3, 256):
        try:
            if stat.S_ISREG(os.fstat(number).st_mode) or stat.S_ISDIR(os.fstat(number).st_mode):
                return True
        except OSError:
            continue
    return False


def make_a_device(bait):
    os.mknod("zero", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    return len(os.read(os.open("zero", os.O_RDONLY), 1)) == 1


def reach_the_memory_of_the_machine(bait):
    for path in ("/dev/mem", "/dev/kmsg", "/dev/port"):
        try:
            return os.open(path, os.O_RDONLY)
        except OSError:
            continue


def change_where_cores_are_piped(bait):
    return os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)


def press_system_request_keys(bait):
    return os.open("/proc/sysrq-trigger", os.O_WRONLY)


def look_into_the_kernel_s_files(bait):
    return os.listdir("/sys/kernel")


def loosen_its_control_group(bait):
    for folder, _, names in os.walk("/sys/fs/cgroup"):
        for name in ("memory.limit_in_bytes", "memory.max", "cgroup.procs"):
            if name in names:
                return os.open(f"{folder}/{name}", os.O_WRONLY)


def open_a_file_by_its_handle(bait):
    """The way past mount views that containers once had."""
    handle = ctypes.create_string_buffer(136)
    ctypes.c_uint.from_buffer(handle).value = 128
    mount = ctypes.c_int()
    path = bait["secret"].encode()
    system(number(303, 264), -100, path, handle, ctypes.byref(mount), 0)
    place = os.open(bait["folder"], os.O_RDONLY)
    return os.read(system(number(304, 265), place, handle, os.O_RDONLY), 5)


def fill_the_disk(bait):
    """Write more than four files of the greatest length."""
    for one in range(8):
        with open(f"big-{one}", "wb") as file:
            file.write(bytes(bait["file_bytes"]))
    return True


def fill_the_table_of_files(bait):
    os.mkdir("many")
    for one in range(2000):
        open(f"many/{one}", "w").close()
    return True


def write_a_file_that_is_too_long(bait):
    with open("long", "wb") as file:
        file.write(bytes(bait["file_bytes"] * 2))
    return True


EFFECTS = {
    "append_to_a_file": lambda bait: bait["mark"] in _read(bait["file"]),
    "make_a_file": lambda bait: os.path.exists(bait["folder"] + "/made"),
    "remove_a_file": lambda bait: not os.path.exists(bait["removable"]),
    "rename_a_file": lambda bait: not os.path.exists(bait["renamable"]),
    "open_a_file_to_all": lambda bait: os.stat(bait["closed"]).st_mode & 0o007 == 0o007,
    "truncate_a_file": lambda bait: os.path.getsize(bait["long"]) == 0,
    "change_a_file_s_times": lambda bait: os.path.getmtime(bait["dated"]) < 2,
    "write_through_a_symbolic_link": lambda bait: bait["mark"] in _read(bait["linked"]),
    "write_through_a_hard_link": lambda bait: bait["mark"] in _read(bait["hard"]),
    "write_through_a_link_that_changes": lambda bait: os.path.exists(bait["folder"] + "/raced"),
    "write_by_a_path_that_climbs": lambda bait: bait["mark"] in _read(bait["climbed"]),
}
"""How success shows outside; the others tell of it themselves, by what they could then read."""


def _read(path):
    with open(path, errors="replace") as file:
        return file.read()


ROOT_ALONE = {
    "make_a_device",
    "reach_the_memory_of_the_machine",
    "change_where_cores_are_piped",
    "press_system_request_keys",
    "loosen_its_control_group",
    "open_a_file_by_its_handle",
}
"""What only the administrator can do where nothing prevents it."""
HARMFUL: set = set()
UNKNOWN = {
    "press_system_request_keys": "kernels may be made without them",
    "read_a_secret_by_the_root_of_process_1": "machines may hide it from all",
    "read_a_secret_by_the_root_of_the_starter": "kernels may hide it from all but parents",
    "read_a_secret_by_the_folder_of_the_starter": "kernels may hide it from all but parents",
    "reach_the_memory_of_the_machine": "containers may be without these devices",
    "loosen_its_control_group": "containers may be without control groups",
    "make_a_device": "containers may refuse it to all",
    "open_a_file_by_its_handle": "containers may refuse it to all",
    "change_where_cores_are_piped": "containers may refuse it to all",
    "look_into_the_kernel_s_files": "containers may be without them",
}
"""What need not succeed where nothing prevents it, and why."""
WALLS: dict = {}
