"""DNS proxies and forwarders in front of the arena's nsd, each as its package gives it, on loopback of the client's
namespace; and none at all."""

import contextlib
import ctypes
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from arena import SERVER_ADDRESS, Arena, Failure, run

FIRST_PORT = 5301
NFT_SET = ("inet", "nwbench", "seen")
CACHED_NAMES = 20_000
IN_FLIGHT = 4096  # more than any load of the benchmark has


class Direct:
    """The upstream itself: what everything else is compared with."""

    name = "direct"
    cgroup: Path | None = None
    address, port = SERVER_ADDRESS, 53

    def processes(self) -> list[int]:
        return []

    def close(self) -> None:
        pass


class Forwarder:
    """One process on 127.0.0.1. It leads its own process group and is ended by its pid."""

    cgroup: Path | None = None
    address = "127.0.0.1"

    def __init__(self, arena: Arena, name: str, port: int, command: list[str]) -> None:
        self.arena = arena
        self.name = name
        self.port = port
        self.log = arena.files / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = arena.start(arena.inside(arena.client, "chrt", "-f", "1", *command),
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"{name} does not answer: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def processes(self) -> list[int]:
        return [self.process.pid]

    def close(self) -> None:
        self.arena.stop(self.process)

    def _answers(self) -> bool:
        question = struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + b"\2a1\5bench\7example\0" + struct.pack("!2H", 1, 1)
        with within(self.arena, self.arena.client):
            asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with asking, contextlib.suppress(OSError):
            asking.settimeout(0.2)
            asking.connect((self.address, self.port))
            asking.send(question)
            return len(asking.recv(512)) > len(question)
        return False


@contextlib.contextmanager
def within(arena: Arena, namespace: str):
    """The calling thread is in that network namespace for the duration."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as home, open(arena.netns_path(namespace), "rb") as there:
        if libc.setns(there.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
            raise Failure(f"setns to {namespace}")
        try:
            yield
        finally:
            libc.setns(home.fileno(), 0x40000000)


def dnsmasq(port: int, cache: bool, *more: str) -> list[str]:
    return ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
            "--pid-file=", "--bind-interfaces", "--listen-address=127.0.0.1", f"--port={port}",
            f"--server={SERVER_ADDRESS}", f"--dns-forward-max={IN_FLIGHT}", "--edns-packet-max=4096",
            f"--cache-size={10_000 if cache else 0}", *more]


def dnsmasq_nftset(arena: Arena, port: int) -> list[str]:
    family, table, name = NFT_SET
    nft = arena.inside(arena.client, "nft")
    run(*nft, "add", "table", family, table)
    run(*nft, "add", "set", family, table, name, "{ type ipv4_addr; }")
    return dnsmasq(port, False, f"--nftset=/bench.example/4#{'#'.join(NFT_SET)}")


def dnsdist(arena: Arena, port: int, cache: bool) -> list[str]:
    config = arena.files / f"dnsdist-{port}.lua"
    packet_cache = f'getPool(""):setCache(newPacketCache({CACHED_NAMES}))' if cache else ""
    config.write_text(f"""setLocal("127.0.0.1:{port}")
newServer({{address="{SERVER_ADDRESS}", maxInFlight={IN_FLIGHT}}}):setUp()
setSecurityPollSuffix("")
{packet_cache}
""")
    return ["dnsdist", "--supervised", "--disable-syslog", "-C", str(config)]


def unbound(arena: Arena, port: int, cache: bool) -> list[str]:
    directory = arena.files / f"unbound-{port}"
    directory.mkdir()
    (directory / "unbound.conf").write_text(f"""server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  num-threads: 1
  outgoing-range: {IN_FLIGHT}
  num-queries-per-thread: {IN_FLIGHT}
  so-rcvbuf: 4m
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: {SERVER_ADDRESS}
  forward-no-cache: {'no' if cache else 'yes'}
""")
    return ["unbound", "-d", "-c", str(directory / "unbound.conf")]


# In the order of the table.
FORWARDERS: dict[str, Callable[[Arena, int], list[str]]] = {
    "dnsmasq": lambda arena, port: dnsmasq(port, False),
    "dnsmasq_cached": lambda arena, port: dnsmasq(port, True),
    "dnsmasq_nftset": dnsmasq_nftset,
    "dnsdist": lambda arena, port: dnsdist(arena, port, False),
    "dnsdist_cached": lambda arena, port: dnsdist(arena, port, True),
    "unbound": lambda arena, port: unbound(arena, port, False),
    "unbound_cached": lambda arena, port: unbound(arena, port, True),
}


def start_forwarder(arena: Arena, name: str) -> Forwarder:
    port = FIRST_PORT + list(FORWARDERS).index(name)
    return Forwarder(arena, name, port, FORWARDERS[name](arena, port))
