"""The whole: a client namespace and a world namespace on one link, DNS, and servers behind every public address.

    client 198.51.100.2, 2001:db8:100::2  ----  198.51.100.1, 2001:db8:100::1 world
    resolver 198.51.100.53, 2001:db8:100::53; every address of 203.0.113.0/24 and 2001:db8:203::/48 is a server
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from . import namespaces
from .certificates import make_certificates
from .cgroups import Cgroup
from .leftovers import remove_leftovers
from .name_servers import Dnsmasq, RecursiveResolver
from .namespaces import LINK, PREFIX, Namespace
from .origin_server import OriginServers
from .processes import die_with_parent

CLIENT = ("198.51.100.2", "2001:db8:100::2")
GATEWAY = ("198.51.100.1", "2001:db8:100::1")
RESOLVER = ("198.51.100.53", "2001:db8:100::53")
SERVERS = ("203.0.113.0/24", "2001:db8:203::/48")

_ETC_SCRIPT = """
for file in resolv.conf nsswitch.conf hosts; do
  [ ! -e /etc/$file ] || mount --bind "$0/$file" /etc/$file
done
exec "$@"
"""


class Internet:
    """Use it in a `with`. While it lives SIGINT, SIGTERM and SIGHUP become SystemExit: it is always taken down."""

    def __init__(self, records, recursive=False):
        """recursive: unbound in front of nsd; otherwise one dnsmasq answers from the records."""
        self._records = list(records)
        self._recursive = recursive
        self._open = []  # what close() must end, in the order in which it was made
        self._started = []  # processes of start()

    def __enter__(self):
        atexit.register(self.close)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _: sys.exit(128 + received))
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # taking down is not interrupted
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
        self._started.clear()
        while self._open:
            self._open.pop().close()
        atexit.unregister(self.close)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    def own(self, closable):
        """close() will end it, last made first."""
        self._open.append(closable)
        return closable

    def _build(self):
        remove_leftovers()
        self.directory = self.own(_Directory()).path
        self.cgroup = self.own(Cgroup(f"{PREFIX}-{os.getpid()}"))
        self.client = self.own(Namespace("client"))
        self.world = self.own(Namespace("world"))
        namespaces.join(self.client, self.world)
        self._address()
        names = {record.name for record in self._records}
        self.authority, certificate, key = make_certificates(self.path("tls", make=True), names)
        os.chmod(self.path("tls"), 0o711)  # the client reads ca.pem in it
        self.files = self.path("files", make=True)
        with open(os.path.join(self.files, "index.html"), "w") as page:
            page.write("it works\n")
        self.origins = self.own(OriginServers(self.world, self.files, certificate, key))
        make = RecursiveResolver if self._recursive else Dnsmasq
        self.resolver = self.own(make(self.world, list(RESOLVER), self.path("dns", make=True), records=self._records))
        self.write_etc()

    def _address(self):
        for namespace, own, other in ((self.client, CLIENT, GATEWAY), (self.world, GATEWAY, CLIENT)):
            namespace.ip("address", "add", own[0] + "/24", "dev", LINK)
            namespace.ip("address", "add", own[1] + "/64", "dev", LINK, "nodad")
        self.world.ip("address", "add", RESOLVER[0] + "/24", "dev", LINK)
        self.world.ip("address", "add", RESOLVER[1] + "/64", "dev", LINK, "nodad")
        self.client.ip("route", "add", "default", "via", GATEWAY[0])
        self.client.ip("-6", "route", "add", "default", "via", GATEWAY[1])
        for prefix in SERVERS:
            self.route_to_servers(prefix)

    def route_to_servers(self, prefix):
        """Every address of `prefix` is a server, too."""
        self.world.ip("-6" if ":" in prefix else "-4", "route", "add", "local", prefix, "dev", "lo")

    def path(self, name, make=False):
        """A path in the directory that goes with this internet; readable by everyone."""
        path = os.path.join(self.directory, name)
        if make:
            os.makedirs(path, exist_ok=True)
        return path

    def write_etc(self, resolv_conf=f"nameserver {RESOLVER[0]}\n", name="etc"):
        """What the client sees as /etc/resolv.conf; its nsswitch.conf and hosts are plain."""
        directory = self.path(name, make=True)
        contents = {
            "resolv.conf": resolv_conf,
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
            "hosts": "127.0.0.1 localhost\n::1 localhost\n",
        }
        for file, text in contents.items():
            with open(os.path.join(directory, file), "w") as out:
                out.write(text)
        return directory

    def client_command(self, argv, etc="etc"):
        """argv as run in the client's namespace and cgroup with the client's /etc, in a private mount namespace."""
        inside = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _ETC_SCRIPT, self.path(etc), *argv]
        return self.cgroup.command(self.client.command(inside))

    def start(self, argv, etc="etc", **options):
        """A process in the client's namespace, with pipes for its output; close() ends it."""
        options = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "cwd": self.directory,
            **options,
        }
        process = subprocess.Popen(self.client_command(argv, etc), preexec_fn=die_with_parent, **options)
        self._started.append(process)
        return process

    def run(self, argv, timeout=60, etc="etc", **options):
        """Runs it to its end: a CompletedProcess."""
        process = self.start(argv, etc, **options)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)


class _Directory:
    def __init__(self):
        self.path = tempfile.mkdtemp(prefix=f"{PREFIX}-{os.getpid()}-")
        os.chmod(self.path, 0o755)

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)
