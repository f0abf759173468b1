"""A DNS server that says what a test wants, honest or not: a thread of this process on a namespace's socket."""

import contextlib
import dataclasses
import ipaddress
import socket
import struct
import threading

KINDS = {"A": 1, "CNAME": 5, "TXT": 16, "AAAA": 28}


def encode_name(name):
    labels = [label for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def encode_record(owner, kind, value, ttl=300):
    if kind == "CNAME":
        data = encode_name(value)
    else:
        data = ipaddress.ip_address(value).packed
    return encode_name(owner) + struct.pack("!2HIH", KINDS[kind], 1, ttl, len(data)) + data


@dataclasses.dataclass(frozen=True)
class Question:
    id: int
    name: str  # as spelled on the wire, without the trailing dot
    kind: int
    section: bytes  # the question as it was sent, to be repeated

    def answer(self, records=(), id=None, about=None, flags=0x8180):
        """A response of these (owner, kind, value[, ttl]) records. id, about (another name): for answers that lie."""
        section = self.section if about is None else encode_name(about) + struct.pack("!2H", self.kind, 1)
        header = struct.pack("!6H", self.id if id is None else id, flags, 1, len(records), 0, 0)
        return header + section + b"".join(encode_record(*record) for record in records)

    def is_for(self, kind):
        return self.kind == KINDS[kind]


def parse_question(message):
    number, _, _, _, _, _ = struct.unpack_from("!6H", message)
    at, labels = 12, []
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode("latin-1"))
        at += 1 + message[at]
    kind, _ = struct.unpack_from("!2H", message, at + 1)
    return Question(number, ".".join(labels), kind, message[12 : at + 5])


class CraftedDns:
    """respond(question, send) is called for each; send(message) answers from the address that was asked, and
    send(message, through) from another socket."""

    def __init__(self, namespace, address, respond, port=53):
        self._respond = respond
        self.questions = []
        self.socket = namespace.listen(socket.SOCK_DGRAM, address, port)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                message, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            if not message:
                return  # woken by close()
            question = parse_question(message)
            self.questions.append(question.name)

            def send(answer, through=None, to=peer):
                with contextlib.suppress(OSError):
                    (through or self.socket).sendto(answer, to)

            self._respond(question, send)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=2)
        self.socket.close()
