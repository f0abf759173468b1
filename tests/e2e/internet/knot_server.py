"""knotd, authoritative for one zone that it signs itself, over UDP and TCP."""

import os

from .name_servers import question_is_answered
from .processes import Server


class KnotServer:
    def __init__(self, namespace, addresses, directory, zone, text):
        """text: the zone's records, in the words of a zone file, below its apex."""
        with open(os.path.join(directory, "signed.zone"), "w") as file:
            file.write(f"$ORIGIN {zone}.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\n{text}\n")
        config = os.path.join(directory, "knot.conf")
        with open(config, "w") as file:
            file.write(
                f"""
server:
  listen: [ {', '.join(f'{address}@53' for address in addresses)} ]
  rundir: {directory}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  tcp-idle-timeout: 5
  udp-max-payload: 4096
control:
  listen: {directory}/knot.sock
database:
  storage: {directory}
log:
  - target: stderr
    any: info
policy:
  - id: own
    algorithm: ecdsap256sha256
    single-type-signing: on
    ksk-lifetime: 0
zone:
  - domain: {zone}
    storage: {directory}
    file: signed.zone
    zonefile-sync: -1
    journal-content: none
    dnssec-signing: on
    dnssec-policy: own
"""
            )
        self._server = Server(namespace.command(["knotd", "-c", config]), os.path.join(directory, "knot.log"))
        self._server.wait_until(lambda: "successfully signed" in self._server.log())
        self._server.wait_until(lambda: question_is_answered(namespace, addresses[0], 53))

    def close(self):
        self._server.close()


class ValidatingResolver:
    """unbound that validates the one zone of a KnotServer by its DNSKEY."""

    def __init__(self, namespace, address, directory, zone, authority, dnskey):
        """dnskey: the zone's, as a line of a zone file."""
        config = os.path.join(directory, "unbound-validating.conf")
        with open(config, "w") as file:
            file.write(
                f"""
server:
  interface: {address}
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: ""
  use-syslog: no
  module-config: "validator iterator"
  trust-anchor: "{dnskey}"
  num-threads: 1
remote-control:
  control-enable: no
stub-zone:
  name: "{zone}"
  stub-addr: {authority}
"""
            )
        self._server = Server(
            namespace.command(["unbound", "-d", "-c", config]), os.path.join(directory, "unbound-validating.log")
        )
        self._server.wait_until(lambda: question_is_answered(namespace, address, 53, zone))

    def close(self):
        self._server.close()
