"""Network namespaces with names of this process's own, the link between two of them, and sockets opened inside."""

import contextlib
import ctypes
import os
import socket
import subprocess

PREFIX = "nwe2e"
LINK = "wan0"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def run(*argv):
    """Runs a set-up command; its complaint becomes the exception's text."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _set_netns(fd):
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"setns: {os.strerror(error)}")


class Namespace:
    """A named network namespace with loopback up; it ends with close()."""

    def __init__(self, role):
        self.name = f"{PREFIX}-{os.getpid()}-{role}"
        self.path = f"/run/netns/{self.name}"
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)

    def ip(self, *arguments):
        run("ip", "-n", self.name, *arguments)

    def route_nowhere(self):
        """Packets leave, and nobody has them: enough for those that are redirected on their way."""
        self.ip("route", "add", "default", "dev", "lo", "src", "127.0.0.1")

    def sysctl(self, key, value):
        run(*self.command(["sh", "-c", 'echo "$1" >"/proc/sys/$0"', key.replace(".", "/"), value]))

    def command(self, argv):
        """argv as run inside this namespace; exec'd all the way, so the pid stays that of the caller's child."""
        return ["nsenter", f"--net={self.path}", *argv]

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is inside for the duration: sockets opened there stay there."""
        with open("/proc/thread-self/ns/net") as home, open(self.path) as there:
            _set_netns(there.fileno())
            try:
                yield
            finally:
                _set_netns(home.fileno())

    def listen(self, kind, address, port):
        """A bound socket (listening, if a stream) of this namespace."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.entered():
            opened = socket.socket(family, kind)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
        if kind == socket.SOCK_STREAM:
            opened.listen(1024)
        return opened


def join(left, right):
    """A veth pair: each end, named LINK, in one namespace."""
    run(
        "ip",
        "link",
        "add",
        "name",
        LINK,
        "netns",
        left.name,
        "type",
        "veth",
        "peer",
        "name",
        LINK,
        "netns",
        right.name,
    )
    for namespace in (left, right):
        namespace.ip("link", "set", LINK, "up")
