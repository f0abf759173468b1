"""A client of the end-to-end tests in plain Python: does the steps of its arguments, prints one JSON line for each.
The steps of client.c, and
  fetch URL                              an HTTPS GET; $SSL_CERT_FILE is the authority
  send ADDRESS PORT                      one UDP datagram, waits for its echo
  ask RESOLVER PORT NAME TYPE connected|sendto   one DNS question by hand: the answer's addresses
  listen_and_connect                     a listener on 127.0.0.1, connected to by itself
"""

import errno
import json
import random
import socket
import struct
import sys
import time
import urllib.request


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def step_connect(address, port):
    with socket.socket(family_of(address), socket.SOCK_STREAM) as opened:
        opened.settimeout(3)
        opened.connect((address, int(port)))


def step_lookup(name):
    return sorted({found[4][0] for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)})


def step_reach(name, port):
    addresses = step_lookup(name)
    for address in addresses:
        step_connect(address, port)
    return addresses


def step_fetch(url):
    with urllib.request.urlopen(url, timeout=5) as page:
        return [page.read().decode()]


def step_send(address, port):
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as opened:
        opened.settimeout(1)
        opened.sendto(b"echo", (address, int(port)))
        opened.recvfrom(64)


def skip_name(message, at):
    while message[at]:
        if message[at] >= 0xC0:
            return at + 2
        at += 1 + message[at]
    return at + 1


def read_addresses(message):
    _, flags, questions, answers, _, _ = struct.unpack_from("!6H", message)
    if flags & 15:
        raise OSError(0, f"RCODE{flags & 15}")
    at = 12
    for _ in range(questions):
        at = skip_name(message, at) + 4
    addresses = []
    for _ in range(answers):
        at = skip_name(message, at)
        kind, _, _, length = struct.unpack_from("!2HIH", message, at)
        at += 10
        if kind in (1, 28):
            addresses.append(
                socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, message[at : at + length])
            )
        at += length
    return addresses


def step_ask(resolver, port, name, kind, how):
    question = struct.pack("!6H", random.getrandbits(16), 0x0100, 1, 0, 0, 0)
    question += b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"
    question += struct.pack("!2H", {"A": 1, "AAAA": 28, "TXT": 16}[kind], 1)
    with socket.socket(family_of(resolver), socket.SOCK_DGRAM) as opened:
        opened.settimeout(2)
        if how == "connected":
            opened.connect((resolver, int(port)))
            opened.send(question)
            answer = opened.recv(4096)
        else:
            opened.sendto(question, (resolver, int(port)))
            answer, _ = opened.recvfrom(4096)
    return read_addresses(answer)


def step_listen_and_connect():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        step_connect(*listener.getsockname())


def step_sleep(milliseconds):
    time.sleep(int(milliseconds) / 1000)


STEPS = {
    "lookup": (step_lookup, 1),
    "reach": (step_reach, 2),
    "connect": (step_connect, 2),
    "fetch": (step_fetch, 1),
    "send": (step_send, 2),
    "ask": (step_ask, 5),
    "sleep": (step_sleep, 1),
    "listen_and_connect": (step_listen_and_connect, 0),
}


def reason_of(error):
    error = getattr(error, "reason", error)  # urllib wraps what it met
    if isinstance(error, socket.gaierror):
        return {socket.EAI_NONAME: "EAI_NONAME", socket.EAI_AGAIN: "EAI_AGAIN"}.get(error.errno, f"EAI {error.errno}")
    if isinstance(error, TimeoutError):
        return "ETIMEDOUT"
    return errno.errorcode.get(getattr(error, "errno", None) or 0) or str(getattr(error, "strerror", error))


def main(words):
    while words:
        function, count = STEPS[words[0]]
        arguments, step = words[1 : 1 + count], words[0]
        words = words[1 + count :]
        start = time.monotonic()
        line = {"step": step, "target": arguments[0] if arguments else "", "ok": True, "error": "", "addresses": []}
        try:
            line["addresses"] = function(*arguments) or []
        except OSError as error:
            line.update(ok=False, error=reason_of(error))
        line["ms"] = (time.monotonic() - start) * 1e3
        print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
