"""A workload under load, for as long as its standard input is open: looks NAME up and connects to it at PORT (must
work), connects to REFUSED (must be refused), over and over. At the end one JSON line: how often, and what went wrong.
Arguments: NAME PORT REFUSED-ADDRESS REFUSED-PORT"""

import errno
import json
import select
import socket
import struct
import sys
import time

name, port, refused_address, refused_port = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
# A reset at the end: ports that wait in TIME_WAIT for a minute would make each connect slower than the one before.
NO_WAIT = struct.pack("ii", 1, 0)
counts = {"lookups": 0, "allowed": 0, "refused": 0}
wrong = []


def connect(address, number):
    with socket.socket() as opened:
        opened.settimeout(5)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_WAIT)
        opened.connect((address, number))


def fail(what, error):
    if len(wrong) < 20:
        wrong.append(f"{time.time():.3f} {what}: {error!r}")


print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    try:
        addresses = {found[4][0] for found in socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)}
        counts["lookups"] += 1
        for address in addresses:
            connect(address, port)
            counts["allowed"] += 1
    except OSError as error:
        fail(f"{name}:{port} should work", error)
    try:
        connect(refused_address, refused_port)
        fail(f"{refused_address}:{refused_port} should be refused", "it worked")
    except OSError as error:
        if error.errno != errno.ECONNREFUSED:
            fail(f"{refused_address}:{refused_port} should be refused", error)
        counts["refused"] += 1
print(json.dumps({"counts": counts, "wrong": wrong}), flush=True)
