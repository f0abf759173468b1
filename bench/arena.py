"""The throw-away surroundings of the benchmarks: two network namespaces joined by a veth pair, a real DNS server in one
of them, and cgroups. Everything is named nwbench-PID, so that the next run can remove what a killed one left behind."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CLIENT_ADDRESS = "10.99.0.1"
SERVER_ADDRESS = "10.99.0.2"
CRAFTED_PREFIX = "10.99.1"  # .N: the one crafted DNS server per cgroup that asks
CRAFTED_SERVERS = 32
GRANTED_NETWORK = "11.0.0.0/8"
GRANTED_SOURCE = "192.0.2.1"

ZONE = """$ORIGIN bench.example.
$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 300
@ NS ns
ns A 11.255.0.1
a1 A 11.250.0.1
{eight}
a32 CNAME edge.a32
edge.a32 CNAME pool.a32
{many}
*.fresh A 11.250.3.1
{known}
"""
KNOWN_NAMES = 10_000  # nN.many.bench.example
WORKLOADS, WORKLOAD_NAMES = 5, 10  # nN.wM.bench.example


class Failure(Exception):
    """Something outside the benchmark that it needs did not work; the message is for people."""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def find_cgroup2_mount() -> Path:
    """The cgroup2 mount; hybrid hosts have it at /sys/fs/cgroup/unified."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] == "cgroup2":
            return Path(before.split()[4])
    raise Failure("no cgroup2 is mounted")


def own_cgroup() -> Path:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return find_cgroup2_mount() / line[3:].lstrip("/")
    raise Failure("this process is in no cgroup2 cgroup")


def cpu_nanoseconds(processes: list[int]) -> int:
    """Time on a CPU of all their threads, with the softirq work that was done in it."""
    return sum(int((task / "schedstat").read_text().split()[0])
               for process in processes for task in Path(f"/proc/{process}/task").iterdir())


class Arena:
    def __init__(self) -> None:
        self.prefix = f"nwbench-{os.getpid()}"
        self.client = f"{self.prefix}-client"
        self.server = f"{self.prefix}-server"
        self.cgroup = own_cgroup() / self.prefix
        self.files = Path(tempfile.mkdtemp(prefix=f"{self.prefix}-"))
        self.processes: list[subprocess.Popen] = []
        self.more_namespaces: list[str] = []

    def __enter__(self) -> "Arena":
        try:
            remove_leftovers()
            self.cgroup.mkdir()
            self._join_namespaces()
            self._start_dns_server()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def netns_path(self, name: str) -> str:
        return f"/run/netns/{name}"

    def inside(self, namespace: str, *command: str) -> list[str]:
        """nsenter, not `ip netns exec`: that one mounts /sys anew and hides the cgroups."""
        return ["nsenter", f"--net={self.netns_path(namespace)}", *command]

    def start(self, command: list[str], **options: object) -> subprocess.Popen:
        process = subprocess.Popen(command, **options)  # pylint: disable=consider-using-with
        self.processes.append(process)
        return process

    def new_cgroup(self, name: str) -> Path:
        path = self.cgroup / name
        path.mkdir()
        return path

    def new_loopback_namespace(self, name: str) -> str:
        """One whose only destinations are the granted ones, on loopback."""
        namespace = f"{self.prefix}-{name}"
        run("ip", "netns", "add", namespace)
        self.more_namespaces.append(namespace)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
        self._grant_destinations(namespace)
        return namespace

    def remove_cgroup(self, path: Path) -> None:
        remove_cgroup(path)

    def stop(self, process: subprocess.Popen) -> None:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = [other for other in self.processes if other is not process]

    def close(self) -> None:
        for process in list(self.processes):
            self.stop(process)
        for namespace in (self.client, self.server, *self.more_namespaces):
            if os.path.exists(self.netns_path(namespace)):
                subprocess.run(["ip", "netns", "del", namespace], check=False)
        if self.cgroup.exists():
            for child in self.cgroup.iterdir():
                if child.is_dir():
                    remove_cgroup(child)
            remove_cgroup(self.cgroup)
        shutil.rmtree(self.files, ignore_errors=True)

    def _join_namespaces(self) -> None:
        for namespace in (self.client, self.server):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        run("ip", "-n", self.client, "link", "add", "nwb-client", "type", "veth",
            "peer", "name", "nwb-server", "netns", self.server)
        run("ip", "-n", self.client, "address", "add", f"{CLIENT_ADDRESS}/16", "dev", "nwb-client")
        run("ip", "-n", self.server, "address", "add", f"{SERVER_ADDRESS}/16", "dev", "nwb-server")
        run("ip", "-n", self.client, "link", "set", "nwb-client", "up")
        run("ip", "-n", self.server, "link", "set", "nwb-server", "up")
        self._grant_destinations(self.client)
        run("ip", "-n", self.server, "route", "add", "local", f"{CRAFTED_PREFIX}.0/24", "dev", "lo")
        # Neighbours known beforehand: no packet of a measured transaction waits for ARP.
        at_client, at_server = self._mac(self.client, "nwb-client"), self._mac(self.server, "nwb-server")
        self._set_neighbour(self.server, CLIENT_ADDRESS, at_client, "nwb-server")
        for address in [SERVER_ADDRESS] + [f"{CRAFTED_PREFIX}.{last}" for last in range(1, 1 + CRAFTED_SERVERS)]:
            self._set_neighbour(self.client, address, at_server, "nwb-client")

    def _grant_destinations(self, namespace: str) -> None:
        # A source of its own: without it a packet to a local address has that very address as its source, which no packet
        # that leaves a host has, and which the programs look at twice.
        run("ip", "-n", namespace, "address", "add", f"{GRANTED_SOURCE}/32", "dev", "lo")
        run("ip", "-n", namespace, "route", "add", "local", GRANTED_NETWORK, "dev", "lo", "src", GRANTED_SOURCE)
        settings = {"net.ipv4.ip_local_port_range": "1024 65535", "net.core.somaxconn": "8192",
                    "net.ipv4.tcp_max_tw_buckets": "65536"}
        for key, value in settings.items():
            run(*self.inside(namespace, "sysctl", "-q", "-w", f"{key}={value}"))

    def _mac(self, namespace: str, device: str) -> str:
        return json.loads(run("ip", "-j", "-n", namespace, "link", "show", device))[0]["address"]

    @staticmethod
    def _set_neighbour(namespace: str, address: str, mac: str, device: str) -> None:
        run("ip", "-n", namespace, "neighbour", "replace", address, "lladdr", mac, "dev", device)

    def _start_dns_server(self) -> None:
        zone = self.files / "bench.example.zone"
        zone.write_text(ZONE.format(eight="\n".join(f"a8 A 11.250.1.{i}" for i in range(8)),
                                    many="\n".join(f"pool.a32 A 11.250.2.{i}" for i in range(32)),
                                    known="\n".join(known_records())))
        config = self.files / "nsd.conf"
        config.write_text(f"""server:
  ip-address: {SERVER_ADDRESS}
  username: ""
  chroot: ""
  zonesdir: "{self.files}"
  pidfile: ""
  database: ""
  xfrdfile: ""
  zonelistfile: "{self.files}/zone.list"
  xfrdir: "{self.files}"
  server-count: 1
  minimal-responses: yes
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: bench.example
  zonefile: {zone}
""")
        with open(self.files / "nsd.log", "w", encoding="utf-8") as log:
            self.start(self.inside(self.server, "taskset", "-c", "0", "chrt", "-f", "1", "nsd", "-d", "-c", str(config)),
                       stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while SERVER_ADDRESS not in run(*self.inside(self.server, "ss", "-lun")):
            if time.monotonic() > deadline:
                raise Failure(f"nsd does not listen: {(self.files / 'nsd.log').read_text()}")
            time.sleep(0.05)


def known_records() -> Iterator[str]:
    for i in range(KNOWN_NAMES):
        yield f"n{i}.many A 11.251.{i // 256}.{i % 256}"
    for workload in range(WORKLOADS):
        for i in range(WORKLOAD_NAMES):
            yield f"n{i}.w{workload} A 11.252.{workload}.{i}"


def remove_cgroup(path: Path) -> None:
    """With what is below it. The processes of a cgroup may take a moment to be gone from it."""
    deadline = time.monotonic() + 5
    while True:
        try:
            for child in path.iterdir():
                if child.is_dir():
                    remove_cgroup(child)
            path.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def remove_leftovers() -> None:
    """What runs that were killed left behind: those whose process is gone."""
    def is_left_over(name: str) -> bool:
        match = re.match(r"nwbench-(\d+)", name)
        return match is not None and not os.path.exists(f"/proc/{match[1]}")

    for line in run("ip", "netns", "list").splitlines():
        name = line.split()[0]
        if is_left_over(name):
            run("ip", "netns", "del", name)
    for path in own_cgroup().iterdir():
        if path.is_dir() and is_left_over(path.name):
            for child in path.iterdir():
                if child.is_dir():
                    remove_cgroup(child)
            remove_cgroup(path)
