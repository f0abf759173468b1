"""The cases of the host daemon: what many workloads cost it, what a call costs among them, how soon a refusal is seen,
and what one workload's flood does to another's lookups."""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from arena import SERVER_ADDRESS, Arena, Failure
from cases import HOSTILE_CPU, MILLION, Bench, Plan
from measure import Comparison, Peer, Sample
from private_daemon import Connection, PrivateDaemon

START_WORKLOADS, START_RULES = 1000, 50
IDLE_SECONDS, SETTLING_SECONDS = 20, 10
SPARE_DESCRIPTORS = 500
FLOOD_ROUNDS = 5
FLOOD_LOOKUPS = 4000
REFUSED = """
import socket, sys, time
for line in sys.stdin:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        before = time.monotonic_ns()
        outcome = client.connect_ex(("12.0.0.1", int(line)))
    print(before if outcome else 0, flush=True)
"""


def p99(values: list[int]) -> float:
    return statistics.quantiles(values, n=100)[98]


def policy_text(rules: list[str], resolvers: list[str], max_addresses: int = 64) -> str:
    return (f"allow = {json.dumps(rules)}\n[dns]\nmax_addresses = {max_addresses}\n"
            f"resolvers = {json.dumps(resolvers)}\nbounds = {{ fresh_per_second = 1000000 }}\n")


class DaemonBench:
    def __init__(self, arena: Arena, plan: Plan, bench: Bench) -> None:
        self.arena = arena
        self.plan = plan
        self.bench = bench
        self.calls = 300 if plan.quick else 500
        # The daemon keeps two descriptors for each workload; its cases are named by the number that there was.
        most = (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE_DESCRIPTORS) // 2 - self.calls
        self.many = 1000 if plan.quick else min(10_000, most // 1000 * 1000)

    def all(self) -> Iterator[dict]:
        # Calls and answers sleep: the lowest real-time priority, as the daemon itself.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        yield from self.start()
        yield from self.among_many()
        yield from self.event_latency()
        yield from self.flood()

    # -- start --

    def start(self) -> Iterator[dict]:
        if not self.plan.wants(case := f"daemon_start/{START_WORKLOADS}x{START_RULES}"):
            return
        comparison, sizes = Comparison(), []
        with self._daemon("start") as daemon, self._daemon("empty") as empty:
            for number in range(START_WORKLOADS):
                rules = [f"host{rule}.w{number}.example:443" for rule in range(START_RULES)]
                cgroup = daemon.new_cgroup(f"w{number}")
                daemon.set_policy(f"w{number}", f'cgroup = "{cgroup}"\n' + policy_text(rules, [SERVER_ADDRESS]))
            for _ in range(self.plan.runs):
                comparison.add_run([Sample(daemon.start())], [Sample(empty.start())])
                held = json.loads(daemon.connection().demand("GET", "/v1/status"))["workloads_by_state"]
                if held != {"enforcing": START_WORKLOADS}:
                    raise Failure(f"namewalld holds {held}")
                sizes.append(daemon.resident_bytes())
                for one in (daemon, empty):
                    one.stop()
                    one.lift()
        yield comparison.entry(case, "without workloads") | {"resident_mib": round(max(sizes) / 2**20, 1)}

    # -- idle, calls --

    def among_many(self) -> Iterator[dict]:
        idle, put = f"daemon_idle/{self.many}", [f"daemon_put_{kind}/{self.many}" for kind in ("new", "again")]
        if not any(self.plan.wants(case) for case in (idle, *put)):
            return
        with self._daemon("many") as many, self._daemon("few") as few:
            for daemon, count in ((many, self.many), (few, 10)):
                for number in range(count):
                    daemon.new_cgroup(f"w{number}")
                daemon.set_policy("idle", f'cgroup = "{daemon.path_of(daemon.root)}/w*"\n'
                                  + policy_text(["bench.example:443"], [SERVER_ADDRESS]))
                daemon.start()
            if self.plan.wants(idle):
                with self._daemon("empty") as empty:
                    empty.start()
                    yield self._idle(idle, many, empty)
            if any(self.plan.wants(case) for case in put):
                yield from self._puts(many, few)

    def _idle(self, case: str, many: PrivateDaemon, empty: PrivateDaemon) -> dict:
        time.sleep(SETTLING_SECONDS)
        before, begin = [daemon.cpu_nanoseconds() for daemon in (many, empty)], time.monotonic()
        time.sleep(IDLE_SECONDS)
        seconds = time.monotonic() - begin
        used = [max(1.0, (daemon.cpu_nanoseconds() - start) / seconds)
                for daemon, start in zip((many, empty), before, strict=True)]
        comparison = Comparison()
        comparison.add_run([Sample(used[0])], [Sample(used[1])])
        entry = comparison.entry(case, "without workloads", "ns of CPU a second")
        return entry | {"resident_mib": round(many.resident_bytes() / 2**20, 1)}

    def _puts(self, many: PrivateDaemon, few: PrivateDaemon) -> Iterator[dict]:
        """Each call to the one among many, then to the one among ten."""
        daemons = {"many": (many, many.connection()), "few": (few, few.connection())}
        for kind, port in (("new", 443), ("again", 444)):
            times: dict[str, list[int]] = {name: [] for name in daemons}
            for number in range(self.calls):
                for name, (daemon, connection) in daemons.items():
                    cgroup = (daemon.new_cgroup(f"call{number}") if kind == "new"
                              else daemon.path_of(daemon.root / f"call{number}"))
                    text = policy_text([f"host{number}.example:{port}"], [SERVER_ADDRESS])
                    body = {"cgroup": cgroup, "policy_text": text}
                    times[name].append(timed(lambda: connection.demand("PUT", f"/v1/workloads/call{number}", body)))
                time.sleep(0.002)  # room for what is made ahead
            comparison = Comparison()
            comparison.add_run([Sample(p99(times["many"]))], [Sample(p99(times["few"]))])
            entry = comparison.entry(f"daemon_put_{kind}/{self.many}", "among 10 workloads", "ns, 99th percentile")
            yield entry | {"median": statistics.median(times["many"]), "median_baseline": statistics.median(times["few"]),
                           "calls": self.calls}

    # -- events --

    def event_latency(self) -> Iterator[dict]:
        if not self.plan.wants("event_latency"):
            return
        with self._daemon("events") as daemon:
            daemon.start()
            connection = daemon.connection()
            cgroup = self._put(daemon, connection, "refused", [SERVER_ADDRESS])
            inside = self.arena.inside(self.arena.client, sys.executable, "-u", "-c", REFUSED)
            enter = ["sh", "-ec", f'echo 0 > "{cgroup}/cgroup.procs"; exec "$@"', "sh", *inside]
            latencies, requests = [], []
            client = Client(self.arena, enter)
            with daemon.events() as stream:
                for number in range(self.calls):
                    requests.append(timed(lambda: connection.demand("GET", "/v1/self")))
                    refused = client.connect(1 + number)
                    seen = 0
                    while not seen:
                        event = json.loads(stream.readline() or "null")
                        if event is None:
                            raise Failure("the events stream ended")
                        seen = time.monotonic_ns() if event["kind"] == "refused" else 0
                    latencies.append(seen - refused)
                    time.sleep(0.11)  # below the rate at which a workload's events are limited
            client.close()
            comparison = Comparison()
            comparison.add_run([Sample(p99(latencies))], [Sample(p99(requests))])
            entry = comparison.entry("event_latency", "one request to the daemon", "ns, 99th percentile")
            yield entry | {"median": statistics.median(latencies)}

    # -- flood --

    def flood(self) -> Iterator[dict]:
        if not self.plan.wants("daemon_flood"):
            return
        with self._daemon("flood") as daemon:
            daemon.start(real_time=False)
            connection = daemon.connection()
            cgroups = {}
            for name in ("neighbour", "hostile"):
                path = daemon.root / name
                resolvers = [SERVER_ADDRESS, self.bench.crafted_of(path)]
                cgroups[name] = self._put(daemon, connection, name, resolvers)
            neighbour = self.bench.worker(cgroups["neighbour"], 100, real_time=True)
            hostile = self.bench.worker(cgroups["hostile"], MILLION, HOSTILE_CPU)
            before = daemon.resident_bytes()
            comparison = Comparison()
            with daemon.events() as stream:
                reader = os.fork()
                if reader == 0:
                    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
                    while stream.readline():
                        pass
                    os._exit(0)
                for _ in range(FLOOD_ROUNDS):
                    quiet = self._lookups(neighbour)
                    hostile.send("hostile")
                    time.sleep(0.1)
                    beside = self._lookups(neighbour)
                    hostile.ask("stop")
                    comparison.add_run([Sample(p99(beside))], [Sample(p99(quiet))])
                os.kill(reader, 9)
                os.waitpid(reader, 0)
            after = daemon.resident_bytes()
            shown = json.loads(connection.demand("GET", "/v1/workloads/hostile"))
            entry = comparison.entry("daemon_flood", "quiet", "ns, 99th percentile")
            yield entry | {"resident_mib_before": round(before / 2**20, 1), "resident_mib": round(after / 2**20, 1),
                           "refusals": shown.get("refusals", shown.get("workload", {}).get("refusals"))}
            neighbour.close()
            hostile.close()

    @staticmethod
    def _lookups(neighbour: Peer) -> list[int]:
        return [int(word) for word in neighbour.ask(f"each crafted:1 hot {FLOOD_LOOKUPS}").split()]

    # -- daemons --

    def _daemon(self, name: str) -> "OpenDaemon":
        return OpenDaemon(self.arena, self.plan.binaries, name)

    @staticmethod
    def _put(daemon: PrivateDaemon, connection: Connection, name: str, resolvers: list[str]) -> Path:
        cgroup = daemon.new_cgroup(name)
        rules = ["*://bench.example:*", "*://**.bench.example:*"]
        connection.demand("PUT", f"/v1/workloads/{name}",
                          {"cgroup": cgroup, "policy_text": policy_text(rules, resolvers, 1024)})
        return daemon.root / name


class OpenDaemon:
    """A PrivateDaemon for a `with` block."""

    def __init__(self, arena: Arena, binaries: Path, name: str) -> None:
        self.daemon = PrivateDaemon(arena, binaries, name)

    def __enter__(self) -> PrivateDaemon:
        return self.daemon

    def __exit__(self, *_: object) -> None:
        self.daemon.close()


class Client:
    """A process that connects where it is refused, and tells when it did."""

    def __init__(self, arena: Arena, command: list[str]) -> None:
        self.arena = arena
        self.process = arena.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def connect(self, port: int) -> int:
        self.process.stdin.write(f"{port}\n")
        self.process.stdin.flush()
        told = int(self.process.stdout.readline() or 0)
        if told == 0:
            raise Failure("a connect that must fail succeeded")
        return told

    def close(self) -> None:
        self.process.stdin.close()
        self.arena.stop(self.process)


def timed(action: Callable[[], object]) -> int:
    begin = time.monotonic_ns()
    action()
    return time.monotonic_ns() - begin
