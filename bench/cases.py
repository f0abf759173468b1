"""The cases of the benchmark. Each yields results: {case, figure, unit, baseline, ratio, ...}."""

import os
import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from arena import CRAFTED_PREFIX, SERVER_ADDRESS, Arena, Failure
from measure import Comparison, Operation, Peer, Sample, interleave

WORKER_CPU = 1
HOSTILE_CPU = 0
MILLION = 1_000_000
GRANTS = {"ours_100": 100, "ours_10k": 10_000, "ours_1m": MILLION}

# "control" is the baseline a second time: how far its ratio is from 1 is the noise of this run.
BARE = ("none", "control", "empty")

SOCKET_OPERATIONS = {
    "udp_connect": 2000,
    "tcp_connect_close": 150,
    "tcp_connect_accept_close": 80,
    "udp_send": 800,
    "udp_sendto": 800,
}
DNS_OPERATIONS = {
    "dns_1a": Operation("server:a1.bench.example hot", 40, waits=True),
    "dns_8a": Operation("server:a8.bench.example hot", 40, waits=True),
    "dns_32a_cname": Operation("server:a32.bench.example hot", 40, waits=True),
    "dns_1a_path": Operation("crafted:1 hot", 200),
    "dns_8a_path": Operation("crafted:8 hot", 200),
    "dns_32a_cname_path": Operation("crafted:32+cname hot", 150),
    "dns_1a_fresh_path": Operation("fresh:1 hot", 200),
    "dns_8a_fresh_path": Operation("fresh:8 hot", 150),
}
MAX_FRESH_ADDRESSES = 500_000  # above what the fresh cases learn within the second that their answers live

NEIGHBOUR_ROUNDS = 7
NEIGHBOUR_TURNS = 5  # of one round: quiet and disturbed alternate within it too
HOSTILE_HEAD_START = 0.05  # seconds


@dataclass
class Plan:
    runs: int
    rounds: int
    wanted: re.Pattern
    binaries: Path
    quick: bool = False
    soak: bool = False

    def wants(self, case: str) -> bool:
        return self.wanted.search(case) is not None


class Bench:
    def __init__(self, arena: Arena, plan: Plan) -> None:
        self.arena = arena
        self.plan = plan
        self.crafted: dict[Path, str] = {}  # the crafted DNS server of each cgroup's workers
        self.host = self._start_host()

    def all(self) -> Iterator[dict]:
        yield from self.socket_calls()
        yield from self.lookups()
        yield from self.arming()
        yield from self.neighbour()

    # -- socket calls --

    def socket_calls(self) -> Iterator[dict]:
        wanted = [(name, temperature) for name in SOCKET_OPERATIONS for temperature in ("hot", "cold")
                  if any(self.plan.wants(f"{name}/{variant}/{temperature}") for variant in (*BARE, *GRANTS))]
        if not wanted:
            return
        cgroups = self._bare_cgroups("calls")
        for variant, grants in GRANTS.items():
            cgroups[variant] = self._armed_cgroup(f"calls-{variant}", grants, grants)
        comparisons: dict[tuple[str, str, str], Comparison] = {}
        for _ in range(self.plan.runs):
            workers = {variant: self.worker(cgroup, GRANTS.get(variant, MILLION))
                       for variant, cgroup in cgroups.items()}
            for name, temperature in wanted:
                operation = Operation(f"{name} {temperature}", SOCKET_OPERATIONS[name])
                self._compare(comparisons, (name, temperature), workers, operation)
            close_all(workers)
        for (name, temperature, variant), comparison in comparisons.items():
            if self.plan.wants(case := f"{name}/{variant}/{temperature}"):
                yield comparison.entry(case, "none", "ns/operation")

    # -- lookups --

    def lookups(self) -> Iterator[dict]:
        wanted = [name for name in DNS_OPERATIONS
                  if any(self.plan.wants(f"{name}/{variant}") for variant in (*BARE, "ours"))]
        if not wanted:
            return
        cgroups = self._bare_cgroups("dns")
        cgroups["ours"] = self._armed_cgroup("dns-ours", MAX_FRESH_ADDRESSES, 0)
        comparisons: dict[tuple[str, str, str], Comparison] = {}
        for _ in range(self.plan.runs):
            for waits in (True, False):
                workers = {variant: self.worker(cgroup, MILLION, real_time=waits)
                           for variant, cgroup in cgroups.items()}
                for name in wanted:
                    if DNS_OPERATIONS[name].waits == waits:
                        self._compare(comparisons, (name, ""), workers, DNS_OPERATIONS[name])
                close_all(workers)
        for (name, _, variant), comparison in comparisons.items():
            if self.plan.wants(case := f"{name}/{variant}"):
                yield comparison.entry(case, "none", "ns/transaction")

    def _compare(self, comparisons: dict[tuple[str, str, str], Comparison], case: tuple[str, str],
                 workers: dict[str, Peer], operation: Operation) -> None:
        samples = interleave(workers, operation, self.plan.rounds)
        for variant in workers:
            if variant != "none":
                comparison = comparisons.setdefault((*case, variant), Comparison())
                comparison.add_run(samples[variant], samples["none"])

    # -- what an operator does --

    def arming(self) -> Iterator[dict]:
        host = self._start_host("chrt", "-f", "1")  # what it does sleeps, so wall time counts
        if self.plan.wants("arm/ours"):
            host.ask("enforcer arming 1")
            cgroup = self.arena.new_cgroup("arming")
            yield self._alternate("arm/ours", "attach the empty programs",
                                  lambda: int(host.ask(f"arm-again arming {cgroup}")),
                                  lambda: int(host.ask(f"empty-again {cgroup}")), times=20)
        if self.plan.wants("load/ours"):
            yield self._alternate("load/ours", "load the empty programs",
                                  lambda: int(host.ask("load")), lambda: int(host.ask("load-empty")), times=3)
        if self.plan.wants("replace_10k_rules/ours"):
            replaced = self.arena.new_cgroup("replaced")
            host.ask("enforcer replaced 1")
            host.ask(f"arm replaced {replaced} 1024 0 {SERVER_ADDRESS}")
            yield self._alternate("replace_10k_rules/ours", "replace by 10 rules",
                                  lambda: int(host.ask(f"replace {replaced} 10000")),
                                  lambda: int(host.ask(f"replace {replaced} 10")), times=5)
        host.close()
        if self.plan.wants("run_true/ours"):
            namewall = str(self.plan.binaries / "agent" / "namewall")
            confined = [namewall, "run", "--quiet", "--allow", "bench.example", "--", "/bin/true"]
            yield self._alternate("run_true/ours", "/bin/true alone", lambda: time_command(confined),
                                  lambda: time_command(["/bin/true"]), times=10)

    def _alternate(self, case: str, baseline_name: str, ours, baseline, times: int) -> dict:
        comparison = Comparison()
        for _ in range(self.plan.runs):
            pairs = [(Sample(ours()), Sample(baseline())) for _ in range(times)]
            comparison.add_run([one for one, _ in pairs], [other for _, other in pairs])
        return comparison.entry(case, baseline_name)

    # -- neighbours --

    def neighbour(self) -> Iterator[dict]:
        operations = {"neighbour_connect": "tcp_connect_close hot", "neighbour_lookup": "crafted:1 hot"}
        wanted = [name for name in operations if self.plan.wants(f"{name}/beside_hostile")]
        if not wanted:
            return
        self.host.ask("enforcer neighbours 2")
        neighbour = self.worker(self._armed_cgroup("neighbour", 1024, 100, "neighbours"), 100, real_time=True)
        hostile_cgroup = self._armed_cgroup("hostile", 1024, 0, "neighbours")
        hostile = self.worker(hostile_cgroup, MILLION, HOSTILE_CPU)
        # The same load without programs: what the shared machine alone does to the neighbour.
        unarmed = self.worker(self.arena.new_cgroup("unarmed"), MILLION, HOSTILE_CPU)
        phases = [("quiet", None), ("beside_hostile", hostile), ("beside_unarmed_hostile", unarmed)]
        p99: dict[tuple[str, str], list[float]] = {}
        for _ in range(NEIGHBOUR_ROUNDS):
            elapsed: dict[tuple[str, str], list[int]] = {}
            for turn in range(NEIGHBOUR_TURNS):
                first = turn % len(phases)
                for phase, disturber in phases[first:] + phases[:first]:
                    times = self._time_beside(disturber, neighbour, [operations[name] for name in wanted])
                    for name, calls in zip(wanted, times, strict=True):
                        elapsed.setdefault((name, phase), []).extend(calls)
            for key, calls in elapsed.items():
                p99.setdefault(key, []).append(statistics.quantiles(calls, n=100)[98])
        reasons = self.host.ask(f"counters {hostile_cgroup}")
        for name in wanted:
            for phase in ("beside_hostile", "beside_unarmed_hostile"):
                comparison = Comparison()
                for beside, quiet in zip(p99[name, phase], p99[name, "quiet"], strict=True):
                    comparison.add_run([Sample(beside)], [Sample(quiet)])
                entry = comparison.entry(f"{name}/{phase}", "quiet", "ns, 99th percentile")
                yield entry | ({"hostile_counters": reasons} if phase == "beside_hostile" else {})
        close_all({"neighbour": neighbour, "hostile": hostile, "unarmed": unarmed})

    @staticmethod
    def _time_beside(disturber: Peer | None, neighbour: Peer, operations: list[str]) -> list[list[int]]:
        """The time of every call of each operation, while the disturber, if any, does its worst."""
        if disturber:
            disturber.send("hostile")
            time.sleep(HOSTILE_HEAD_START)
        times = [[int(word) for word in neighbour.ask(f"each {operation} 4000").split()] for operation in operations]
        if disturber:
            disturber.ask("stop")
        return times

    # -- variants --

    def _start_host(self, *launcher: str) -> Peer:
        host = str(self.plan.binaries / "bench" / "bench_host")
        return Peer(self.arena, self.arena.inside(self.arena.client, *launcher, host))

    def _bare_cgroups(self, prefix: str) -> dict[str, Path]:
        cgroups = {variant: self.arena.new_cgroup(f"{prefix}-{variant}") for variant in BARE}
        self.host.ask(f"empty {cgroups['empty']}")
        return cgroups

    def _armed_cgroup(self, name: str, max_addresses: int, grants: int, enforcer: str = "") -> Path:
        """Armed before its first process, by an enforcer of its own unless one is named."""
        cgroup = self.arena.new_cgroup(name)
        if not enforcer:
            enforcer = name
            self.host.ask(f"enforcer {enforcer} 1")
        self.host.ask(f"arm {enforcer} {cgroup} {max_addresses} {grants} {SERVER_ADDRESS} {self.crafted_of(cgroup)}")
        return cgroup

    def crafted_of(self, cgroup: Path) -> str:
        return self.crafted.setdefault(cgroup, f"{CRAFTED_PREFIX}.{1 + len(self.crafted)}")

    def worker(self, cgroup: Path, grants: int, cpu: int = WORKER_CPU, real_time: bool = False) -> Peer:
        command = [str(self.plan.binaries / "bench" / "bench_worker"), "--cpu", str(cpu), "--cgroup", str(cgroup),
                   "--server-netns", self.arena.netns_path(self.arena.server), "--server", SERVER_ADDRESS,
                   "--crafted", self.crafted_of(cgroup), "--grants", str(grants),
                   "--real-time", "yes" if real_time else "no"]
        return Peer(self.arena, self.arena.inside(self.arena.client, *command))


def close_all(workers: dict[str, Peer]) -> None:
    for worker in workers.values():
        worker.close()


def time_command(command: list[str]) -> int:
    lowest_real_time = (os.SCHED_FIFO, os.sched_param(1))
    start = time.monotonic_ns()
    child = os.posix_spawn(command[0], command, os.environ, scheduler=lowest_real_time)
    _, status = os.waitpid(child, 0)
    elapsed = time.monotonic_ns() - start
    if status != 0:
        raise Failure(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return elapsed
