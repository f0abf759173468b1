"""The cases of the DNS proxy: it, other proxies and forwarders and none, in front of the same nsd in interleaved rounds;
and what a workload that asks for endless fresh names does to others' lookups."""

import contextlib
import itertools
import json
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from arena import KNOWN_NAMES, WORKLOAD_NAMES, WORKLOADS, Arena, Failure, cpu_nanoseconds
from cases import HOSTILE_CPU, WORKER_CPU, Plan
from forwarders import FORWARDERS, Direct, Forwarder, start_forwarder
from guarded import Guarded
from measure import Comparison, Sample

# Whoever is measured has WORKER_CPU to itself while it is asked as much as it can answer; nsd and the load have the
# other. At a fixed rate the client is on WORKER_CPU too, as a workload and its host's proxy are one machine; nsd is
# elsewhere.
LOAD_CPU = 0
WINDOW = 128
MOST_LOST = 0.01  # of the questions of one load; each is counted
FLAT_OUT_SECONDS = 0.4
RATE, RATE_SECONDS = 2000, 0.5
KNOWN = f"fixed:{KNOWN_NAMES}:many.bench.example"
METRICS = {  # what an entry's figure is, and with what it is compared where the variant has no target of its own
    "dns_query": ("ns a query, flat out", "direct"),
    "dns_cpu": ("ns of CPU a query, flat out", "dnsdist"),
    "dns_p50": (f"ns, median at {RATE}/s", "direct"),
    "dns_p99": (f"ns, 99th percentile at {RATE}/s", "direct"),
}
OURS = {"namewall": False, "namewall_cached": True}  # whether the proxy has its cache
TARGETS = {  # case -> the variant that its limit is a ratio to
    "dns_query/namewall": "dnsmasq_nftset",
    "dns_query/namewall_cached": "dnsmasq_cached",
}

NEIGHBOUR_RATE = 400  # each of them
NEIGHBOUR_ROUNDS, NEIGHBOUR_TURNS, TURN_SECONDS = 7, 8, 0.25
STARTING = 60_000_000  # ns: until five processes are there
HOSTILE_RATE = 1000
SOAK_MINUTES = 10


@dataclass
class Load:
    """One run of dns_load, from the cgroup of `front`'s workload if it has one."""

    arena: Arena
    binaries: Path
    lost: dict[str, int] = field(default_factory=dict)  # by the front's name: questions without an answer

    def start(self, front, names: str, seconds: float, cpu: int, *more: str, cgroup: Path | None = None):
        cgroup = cgroup or front.cgroup
        command = [str(self.binaries / "bench" / "dns_load"), "--server", front.address, "--port", str(front.port),
                   "--names", names, "--seconds", str(seconds), "--cpu", str(cpu), "--real-time", "yes", *more]
        command += ["--cgroup", str(cgroup)] if cgroup else []
        return self.arena.start(self.arena.inside(self.arena.client, *command), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def finish(self, process) -> dict:
        out, err = process.communicate(timeout=900)
        self.arena.stop(process)
        if process.returncode != 0:
            raise Failure(err.strip())
        return json.loads(out)

    def ask(self, front, names: str, seconds: float, cpu: int, *more: str) -> dict:
        figures = self.finish(self.start(front, names, seconds, cpu, *more))
        self.lost[front.name] = self.lost.get(front.name, 0) + figures["failed"]
        if figures["failed"] > MOST_LOST * figures["asked"] or not figures["answered"]:
            raise Failure(f"{front.name}: {figures['failed']} of {figures['asked']} failed: {figures['reasons']}")
        return figures


class DnsBench:
    def __init__(self, arena: Arena, plan: Plan) -> None:
        self.arena = arena
        self.plan = plan
        self.load = Load(arena, plan.binaries)
        self.variants = ("direct", *OURS, *FORWARDERS)

    def all(self) -> Iterator[dict]:
        yield from self.compared()
        yield from self.neighbours()
        if self.plan.soak and self.plan.wants("dns_soak"):
            yield self._soak()

    @contextlib.contextmanager
    def _front(self, name: str, workloads: int = 1) -> Iterator[Direct | Guarded | Forwarder]:
        if name in OURS:
            front = Guarded(self.arena, self.plan.binaries, name, OURS[name], workloads)
        else:
            front = Direct() if name == "direct" else start_forwarder(self.arena, name)
        try:
            for process in front.processes():
                for task in os.listdir(f"/proc/{process}/task"):
                    os.sched_setaffinity(int(task), {WORKER_CPU})
            yield front
        finally:
            front.close()

    # -- side by side --

    def compared(self) -> Iterator[dict]:
        baselines = {(metric, variant): TARGETS.get(f"{metric}/{variant}", usual)
                     for metric, (_, usual) in METRICS.items() for variant in self.variants}
        wanted = [pair for pair in baselines if self.plan.wants("/".join(pair)) and pair[1] != "direct"]
        if not wanted:
            return
        needed = {variant for _, variant in wanted} | {baselines[pair] for pair in wanted}
        comparisons = {pair: Comparison() for pair in wanted}
        with contextlib.ExitStack() as stack:
            fronts = [stack.enter_context(self._front(name)) for name in self.variants if name in needed]
            for front in fronts:  # what can be cached is
                self.load.ask(front, f"{KNOWN}", 3.0, LOAD_CPU, "--count", str(4 * KNOWN_NAMES), "--window", str(WINDOW))
            for _ in range(self.plan.runs):
                samples = self._rounds(fronts, max(1, self.plan.rounds // 40))
                for (metric, variant), comparison in comparisons.items():
                    comparison.add_run(samples[metric, variant], samples[metric, baselines[metric, variant]])
        for (metric, variant), comparison in comparisons.items():
            entry = comparison.entry(f"{metric}/{variant}", baselines[metric, variant], METRICS[metric][0])
            yield entry | {"lost": self.load.lost[variant]}

    def _rounds(self, fronts: list, rounds: int) -> dict[tuple[str, str], list[Sample]]:
        samples: dict[tuple[str, str], list[Sample]] = {}
        for turn in range(rounds):
            first = turn % len(fronts)
            for front in fronts[first:] + fronts[:first]:
                for metric, nanoseconds in self._measure(front).items():
                    samples.setdefault((metric, front.name), []).append(Sample(nanoseconds))
        return samples

    def _measure(self, front) -> dict[str, float]:
        # Without a proxy the load takes its CPU: nsd keeps the other.
        cpu = LOAD_CPU if front.processes() else WORKER_CPU
        before = cpu_nanoseconds(front.processes())
        flat_out = self.load.ask(front, KNOWN, FLAT_OUT_SECONDS, cpu, "--window", str(WINDOW))
        used = cpu_nanoseconds(front.processes()) - before
        steady = self.load.ask(front, KNOWN, RATE_SECONDS, WORKER_CPU, "--rate", str(RATE), "--over", "socket")
        return {"dns_query": 1e9 / flat_out["per_second"], "dns_cpu": used / flat_out["asked"],
                "dns_p50": steady["p50_us"] * 1000, "dns_p99": steady["p99_us"] * 1000}

    # -- neighbours --

    def neighbours(self) -> Iterator[dict]:
        """Beside namewall's proxy, the same load directly and through dnsmasq: what the machine does by itself."""
        for name in ("namewall", "direct", "dnsmasq"):
            if not self.plan.wants(f"dns_neighbour/{name}"):
                continue
            with self._front(name, WORKLOADS + 1) as front:
                *cgroups, hostile = front.cgroups if name in OURS else [None] * (WORKLOADS + 1)
                before = front.resident_bytes() if name in OURS else 0
                entry = self._neighbours(front, cgroups, hostile)
                if name in OURS:
                    entry |= {"resident_mib_before": mebibytes(before), "resident_mib": mebibytes(front.resident_bytes())}
                yield entry

    def _soak(self) -> dict:
        """Ten minutes of it: what the daemon holds at the end, beside what it held after the first of them."""
        with self._front("namewall", WORKLOADS + 1) as front:
            *cgroups, hostile_cgroup = front.cgroups
            held, failures, slowest = [], 0, []
            for _ in range(SOAK_MINUTES):
                hostile = self._start_hostile(front, 60, hostile_cgroup)
                latencies: list[int] = []
                for _ in range(6):
                    for figures in self._ask_as_neighbours(front, cgroups, 9.5):
                        latencies += figures["latencies_ns"]
                        failures += figures["failed"]
                self.load.finish(hostile)
                held.append(front.resident_bytes())
                slowest.append(p99(latencies))
            comparison = Comparison()
            comparison.add_run([Sample(held[-1])], [Sample(held[0])])
            return comparison.entry("dns_soak/namewall", "after a minute", "bytes resident") | {
                "resident_mib": [mebibytes(one) for one in held], "failures": failures, "p99_ns": slowest}

    def _neighbours(self, front, cgroups: list[Path | None], hostile_cgroup: Path | None) -> dict:
        """Quiet and disturbed turns alternate; what a pause of the machine does to one of them is left out by the median
        over the pairs of a round."""
        comparison = Comparison()
        medians: dict[bool, list[float]] = {False: [], True: []}
        failures = asked = 0
        told: dict = {}
        self._ask_as_neighbours(front, cgroups)
        for _ in range(NEIGHBOUR_ROUNDS):
            turns: dict[bool, list[float]] = {False: [], True: []}
            for is_beside in itertools.islice(itertools.cycle((False, True)), 2 * NEIGHBOUR_TURNS):
                hostile = self._start_hostile(front, TURN_SECONDS + 0.3, hostile_cgroup) if is_beside else None
                latencies: list[int] = []
                for figures in self._ask_as_neighbours(front, cgroups):
                    latencies += figures["latencies_ns"]
                    failures += figures["failed"]
                    asked += figures["asked"]
                if hostile:
                    told = self.load.finish(hostile)
                turns[is_beside].append(p99(latencies))
                medians[is_beside].append(statistics.median(latencies))
            comparison.add_run([Sample(one) for one in turns[True]], [Sample(one) for one in turns[False]])
        entry = comparison.entry(f"dns_neighbour/{front.name}", "quiet", "ns, 99th percentile")
        return entry | {"median": statistics.median(medians[True]), "median_baseline": statistics.median(medians[False]),
                        "asked": asked, "failures": failures,
                        "hostile": {key: told[key] for key in ("asked", "answered", "reasons")}}

    def _start_hostile(self, front, seconds: float, cgroup: Path | None):
        hostile = self.load.start(front, "fresh:fresh.bench.example", seconds, HOSTILE_CPU, "--rate",
                                  str(HOSTILE_RATE), cgroup=cgroup)
        time.sleep(0.1)
        return hostile

    def _ask_as_neighbours(self, front, cgroups: list[Path | None], seconds: float = TURN_SECONDS) -> list[dict]:
        """They begin together, spread over the time from one question to the next."""
        begin, apart = time.monotonic_ns() + STARTING, 10**9 // NEIGHBOUR_RATE // len(cgroups)
        asking = [self.load.start(front, f"fixed:{WORKLOAD_NAMES}:w{number}.bench.example", seconds, WORKER_CPU,
                                  "--rate", str(NEIGHBOUR_RATE), "--over", "socket", "--each", "yes", "--start", str(begin + number * apart),
                                  cgroup=cgroup)
                  for number, cgroup in enumerate(cgroups)]
        return [self.load.finish(process) for process in asking]


def p99(values: list[int]) -> float:
    return statistics.quantiles(values, n=100)[98]


def mebibytes(count: int) -> float:
    return round(count / 2**20, 1)
