"""Attempts to reach sockets, pipes with names, and terminals."""

# mypy: ignore-errors
import fcntl
import os
import socket


def connect_to_a_port(bait):
    socket.create_connection(("127.0.0.1", bait["port"]), 2).close()


def send_a_packet(bait):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", bait["packets"]))


def connect_to_a_socket_by_its_path(bait):
    socket.socket(socket.AF_UNIX).connect(bait["socket"])


def connect_to_a_socket_by_its_name(bait):
    socket.socket(socket.AF_UNIX).connect("\0" + bait["name"])


def send_from_a_socket_of_a_pair(bait):
    """Pairs need no path, but their ends may send to other sockets."""
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"x", bait["letters"])


def write_to_a_named_pipe(bait):
    place = os.open(bait["pipe"], os.O_WRONLY | os.O_NONBLOCK)
    os.write(place, b"x")


def ask_the_kernel_for_networks(bait):
    one = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    one.bind((0, 0))
    return True


def see_all_packets(bait):
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 768)


def listen_to_a_port(bait):
    one = socket.socket()
    one.bind(("0.0.0.0", 0))
    one.listen(1)
    return True


def write_to_a_terminal(bait):
    with open(bait["terminal"], "w") as file:
        file.write("x")


def type_into_a_terminal(bait):
    place = os.open(bait["terminal"], os.O_RDWR | os.O_NOCTTY)
    for letter in "exit\n":
        fcntl.ioctl(place, 0x5412, letter.encode())
    return True


def type_into_its_own_output(bait):
    for place in range(3):
        try:
            fcntl.ioctl(place, 0x5412, b"x")
        except OSError as error:
            if error.errno != 1:
                return True  # another reason than a refusal
    return False


def open_its_own_terminal(bait):
    return os.open("/dev/tty", os.O_RDWR)


def take_a_new_terminal(bait):
    return os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)


EFFECTS = {
    "connect_to_a_port": lambda bait: "port" in bait["heard"],
    "send_a_packet": lambda bait: "packets" in bait["heard"],
    "connect_to_a_socket_by_its_path": lambda bait: "socket" in bait["heard"],
    "connect_to_a_socket_by_its_name": lambda bait: "name" in bait["heard"],
    "send_from_a_socket_of_a_pair": lambda bait: "letters" in bait["heard"],
    "write_to_a_named_pipe": lambda bait: "pipe" in bait["heard"],
    "write_to_a_terminal": lambda bait: "terminal" in bait["heard"],
}
ROOT_ALONE = {"see_all_packets"}
HARMFUL: set = set()
UNKNOWN = {
    "see_all_packets": "containers may refuse it to all",
    "type_into_a_terminal": "kernels may forbid it to all",
    "open_its_own_terminal": "tests have none",
    "ask_the_kernel_for_networks": "containers may refuse it to all",
}
WALLS = {
    "ask_the_kernel_for_networks": "kernel",
    "see_all_packets": "kernel",
    "listen_to_a_port": "kernel",
    "type_into_its_own_output": "kernel",
    "write_to_a_terminal": "terminal",
    "type_into_a_terminal": "terminal",
    "open_its_own_terminal": "terminal",
    "take_a_new_terminal": "terminal",
}
"""What another wall than that of the group keeps out."""
