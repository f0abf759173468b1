"""A client of the end-to-end tests: sends DNS messages as they are, and prints one JSON line for each exchange with the
answers' bytes.
    wire.py FILE, in which is a list of {"server": ADDRESS, "over": HOW, "messages": [HEX...], "timeout": SECONDS}
over: udp (a socket for each message), connected (likewise), burst (all messages by one socket before the first answer
is read), tcp (a connection for each), pipeline (all messages on one
connection before the first answer is read)."""

import json
import socket
import struct
import sys
import time

PORT = 53


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def ask_udp(server, message, timeout, is_connected):
    with socket.socket(family_of(server), socket.SOCK_DGRAM) as opened:
        opened.settimeout(timeout)
        if is_connected:
            opened.connect((server, PORT))
            opened.send(message)
        else:
            opened.sendto(message, (server, PORT))
        answer, source = opened.recvfrom(65535)
        if source[:2] != (server, PORT):
            raise OSError(0, f"answered by {source}")
        return answer


def ask_in_a_burst(server, messages, timeout):
    with socket.socket(family_of(server), socket.SOCK_DGRAM) as opened:
        opened.settimeout(timeout)
        opened.connect((server, PORT))
        for message in messages:
            opened.send(message)
        return [opened.recv(65535) for _ in messages]


def read_exactly(opened, length):
    read = b""
    while len(read) < length:
        more = opened.recv(length - len(read))
        if not more:
            raise OSError(0, f"the connection ended after {len(read)} of {length} bytes")
        read += more
    return read


def ask_tcp(server, messages, timeout):
    with socket.create_connection((server, PORT), timeout) as opened:
        if opened.getpeername()[:2] != (server, PORT):
            raise OSError(0, f"connected to {opened.getpeername()}")
        opened.sendall(b"".join(struct.pack("!H", len(message)) + message for message in messages))
        return [read_exactly(opened, struct.unpack("!H", read_exactly(opened, 2))[0]) for _ in messages]


def exchange(server, over, messages, timeout):
    if over == "burst":
        return ask_in_a_burst(server, messages, timeout)
    if over == "pipeline":
        return ask_tcp(server, messages, timeout)
    if over == "tcp":
        return [ask_tcp(server, [message], timeout)[0] for message in messages]
    return [ask_udp(server, message, timeout, over == "connected") for message in messages]


with open(sys.argv[1]) as file:
    listed = json.load(file)
for one in listed:
    start = time.monotonic()
    line = {"step": "exchange", "target": one["over"], "ok": False, "error": "", "answers": []}
    try:
        messages = [bytes.fromhex(message) for message in one["messages"]]
        answers = exchange(one["server"], one["over"], messages, one.get("timeout", 3))
        line.update(ok=True, answers=[answer.hex() for answer in answers])
    except OSError as error:
        line["error"] = str(error)
    line["ms"] = (time.monotonic() - start) * 1e3
    print(json.dumps(line), flush=True)
