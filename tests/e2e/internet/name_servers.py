"""Real DNS servers, each with a log of the questions that reached it."""

import os
import re
import socket
import struct

from .crafted_dns import encode_name
from .processes import Server
from .records import dnsmasq_options, zone_text


def question_is_answered(namespace, address, port, zone=""):
    """Whether a server answers a question for the zone's SOA; the root's where none is named."""
    with namespace.entered():
        probe = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    with probe:
        probe.settimeout(0.2)
        try:
            probe.connect((address, port))
            probe.send(struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + encode_name(zone) + struct.pack("!2H", 6, 1))
            return len(probe.recv(4096)) >= 12
        except OSError:
            return False


class Dnsmasq:
    """Answers from `records`, or forwards to `upstream`. It has no zones: enough where packages must be few."""

    def __init__(self, namespace, addresses, directory, records=(), upstream=None, port=53, options=()):
        self.question_log = os.path.join(directory, f"dnsmasq-{namespace.name}-{addresses[0]}.log")
        argv = [
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--user=root",
            "--pid-file=",
            "--bind-interfaces",
            "--except-interface=lo",
            f"--port={port}",
            "--log-queries",
            "--log-facility=-",
            "--edns-packet-max=4096",
            "--cache-size=0",
            *options,
        ]
        if any(address.startswith("127.") for address in addresses):
            argv.remove("--except-interface=lo")
        argv += [f"--listen-address={address}" for address in addresses]
        argv += [f"--server={upstream}"] if upstream else dnsmasq_options(records)
        self._server = Server(namespace.command(argv), self.question_log)
        self._server.wait_until(lambda: question_is_answered(namespace, addresses[0], port))

    def questions(self):
        """The names that were asked, in order, as they were spelled on the wire."""
        asked = re.findall(r"query\[\S+\] (\S+) from", self._server.log())
        return [name for name in asked if name not in (".", "<root>")]

    def close(self):
        self._server.close()


class RecursiveResolver:
    """unbound in front of an authoritative nsd that serves the records as its root zone."""

    AUTHORITY_PORT = 5300

    def __init__(self, namespace, addresses, directory, records):
        self.question_log = os.path.join(directory, "unbound-questions.log")
        authority_config = os.path.join(directory, "nsd.conf")
        with open(os.path.join(directory, "root.zone"), "w") as zone:
            zone.write(zone_text(records))
        with open(authority_config, "w") as config:
            config.write(
                f"""
server:
  ip-address: 127.0.0.1@{self.AUTHORITY_PORT}
  username: ""
  chroot: ""
  zonesdir: "{directory}"
  database: ""
  zonelistfile: "{directory}/nsd.zones"
  xfrdfile: "{directory}/nsd.xfrd"
  xfrdir: "{directory}"
  cookie-secret-file: ""
  pidfile: "{directory}/nsd.pid"
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "root.zone"
"""
            )
        resolver_config = os.path.join(directory, "unbound.conf")
        interfaces = "\n".join(f"  interface: {address}" for address in addresses)
        with open(resolver_config, "w") as config:
            config.write(
                f"""
server:
{interfaces}
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: "{directory}/unbound.pid"
  use-syslog: no
  logfile: "{self.question_log}"
  log-queries: yes
  verbosity: 1
  module-config: "iterator"
  do-not-query-localhost: no
  local-zone: "test." nodefault
  num-threads: 1
remote-control:
  control-enable: no
stub-zone:
  name: "."
  stub-addr: 127.0.0.1@{self.AUTHORITY_PORT}
"""
            )
        self._authority = Server(
            namespace.command(["nsd", "-d", "-c", authority_config]), os.path.join(directory, "nsd.log")
        )
        self._resolver = None
        try:
            self._authority.wait_until(lambda: question_is_answered(namespace, "127.0.0.1", self.AUTHORITY_PORT))
            self._resolver = Server(
                namespace.command(["unbound", "-d", "-c", resolver_config]), os.path.join(directory, "unbound.log")
            )
            self._resolver.wait_until(lambda: question_is_answered(namespace, addresses[0], 53))
        except BaseException:
            self.close()
            raise

    def questions(self):
        """The names that were asked, in order, as they were spelled on the wire."""
        with open(self.question_log, errors="replace") as log:
            asked = re.findall(r"info: \S+ (\S+) \S+ IN$", log.read(), re.MULTILINE)
        return [name.removesuffix(".") for name in asked if name != "."]

    def close(self):
        for server in (self._resolver, self._authority):
            if server is not None:
                server.close()
