"""A client of the end-to-end tests: narrows itself by libnamewall.so, as a program in another language would.
    restrict_self.py LIBRARY SOCKET FLAGS ADDRESS PORT [ENDPOINT...]
Connects a socket first; prints one JSON object: the outcome, whether that socket still works, and what a new one gets."""

import ctypes
import json
import os
import socket
import sys


class Request(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("allow", ctypes.POINTER(ctypes.c_char_p)),
        ("allow_count", ctypes.c_size_t),
        ("label", ctypes.c_char_p),
        ("socket_path", ctypes.c_char_p),
        ("timeout_ms", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 7),
    ]


class Outcome(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("kept_sockets", ctypes.c_int32),
        ("system_error", ctypes.c_int32),
        ("cgroup_id", ctypes.c_uint64),
        ("depth", ctypes.c_uint32),
        ("without_effect_count", ctypes.c_uint32),
        ("ways_out", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 7),
        ("workload", ctypes.c_char * 256),
        ("state", ctypes.c_char * 32),
        ("code", ctypes.c_char * 48),
        ("sentence", ctypes.c_char * 1024),
        ("why", ctypes.c_char * 1024),
        ("without_effect", ctypes.c_char * 4096),
    ]


def connect(address, port):
    try:
        return socket.create_connection((address, port), timeout=5), "reached"
    except OSError as error:
        return None, type(error).__name__


def main(library, path, flags, address, port, *allow):
    before, first = connect(address, int(port))
    request = Request(ctypes.sizeof(Request), int(flags))
    request.allow = (ctypes.c_char_p * (len(allow) + 1))(*(one.encode() for one in allow))
    request.allow_count = len(allow)
    request.label, request.socket_path = b"ctypes", path.encode()
    outcome = Outcome(ctypes.sizeof(Outcome))
    result = ctypes.CDLL(library).namewall_restrict_self(ctypes.byref(request), ctypes.byref(outcome))
    told = {"result": result, "first": first, "again": connect(address, int(port))[1]}
    for name, _ in Outcome._fields_:
        value = getattr(outcome, name)
        told[name] = value.decode() if isinstance(value, bytes) else value if isinstance(value, int) else None
    try:
        told["old"] = before.send(b"x") if before else 0
    except OSError as error:
        told["old"] = str(error)
    with open("/proc/self/cgroup") as lines:
        told["cgroup"] = next(line.strip()[3:] for line in lines if line.startswith("0::"))
    told["descriptors"] = len(os.listdir("/proc/self/fd"))
    print(json.dumps(told))


main(*sys.argv[1:])
