"""DNS messages as bytes: questions with every flag a test wants, and what answers say."""

import dataclasses
import struct

from .crafted_dns import encode_name

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "TXT": 16, "AAAA": 28, "OPT": 41, "RRSIG": 46, "NSEC": 47, "SVCB": 64,
         "HTTPS": 65}  # fmt: skip
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
_RD, _AD, _CD, _DO = 0x0100, 0x0020, 0x0010, 0x8000


def question(name, kind="A", id=0x4E57, edns=1232, do=False, cd=False):
    """edns: the size of the OPT record; None: no such record."""
    flags = _RD | (_CD if cd else 0)
    message = struct.pack("!6H", id, flags, 1, 0, 0, 0 if edns is None else 1)
    message += encode_name(name) + struct.pack("!2H", TYPES[kind], 1)
    if edns is not None:
        message += b"\0" + struct.pack("!2HIH", TYPES["OPT"], edns, _DO if do else 0, 0)
    return message


@dataclasses.dataclass(frozen=True)
class WireRecord:
    section: str  # "answer", "authority" or "additional"
    owner: str
    kind: int
    kind_class: int
    ttl: int
    data: bytes


class Answer:
    def __init__(self, message):
        self.message = message
        self.id, flags, questions, *counts = struct.unpack_from("!6H", message)
        self.rcode = flags & 15
        self.is_truncated = bool(flags & 0x0200)
        self.is_authenticated = bool(flags & _AD)
        at = 12
        self.name = None  # of the question, as it is spelled
        for _ in range(questions):
            self.name, at = _read_name(message, at)
            at += 4
        self.records = []
        for section, count in zip(("answer", "authority", "additional"), counts, strict=True):
            for _ in range(count):
                owner, at = _read_name(message, at)
                kind, kind_class, ttl, length = struct.unpack_from("!2HIH", message, at)
                at += 10
                self.records.append(WireRecord(section, owner, kind, kind_class, ttl, message[at : at + length]))
                at += length

    def of(self, kind, section="answer"):
        return [record for record in self.records if record.kind == TYPES[kind] and record.section == section]


def _read_name(message, at):
    """The name at `at`, and what comes behind it."""
    labels, end = [], None
    while message[at]:
        if message[at] >= 0xC0:
            end = at + 2 if end is None else end
            at = struct.unpack_from("!H", message, at)[0] & 0x3FFF
            continue
        labels.append(message[at + 1 : at + 1 + message[at]].decode("latin-1"))
        at += 1 + message[at]
    return ".".join(labels), at + 1 if end is None else end


def svcb_keys(data):
    """The keys of an HTTPS or SVCB record's data: number -> value."""
    _, at = _read_name(data, 2)
    keys = {}
    while at < len(data):
        key, length = struct.unpack_from("!2H", data, at)
        keys[key] = data[at + 4 : at + 4 + length]
        at += 4 + length
    return keys


SVCB_ALPN, SVCB_IPV4HINT, SVCB_ECH, SVCB_IPV6HINT = 1, 4, 5, 6
