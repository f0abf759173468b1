"""The cases of the nft backend: what its rules cost a packet at each size beside no rules, conntrack alone and BPF, and
what its changes cost beside libnftables."""

import re
from collections.abc import Iterator
from pathlib import Path

from arena import SERVER_ADDRESS, Arena, run
from cases import WORKER_CPU, Bench, Plan, close_all
from measure import Comparison, Operation, Peer, Sample, interleave

PORT = 443
# Name of the variant: (workloads, grants of all of them).
SIZES = {"nft_1": (1, 100), "nft_1000": (1000, 100_000), "nft_10000": (10_000, 1_000_000)}
BPF = {"bpf_100": 100, "bpf_1m": 1_000_000}
OPERATIONS = {
    "nft_connect_close": Operation("tcp_connect_accept_close hot", 60),
    "nft_udp_send": Operation("udp_send hot", 600),
    "nft_ping_pong": Operation("tcp_ping_pong hot", 150),
}
CONNTRACK = "table inet tracked { chain output { type filter hook output priority 0; ct state established accept; }; }"
ELEMENTS = (1000, 100_000, 1_000_000)
WORKLOADS = (10, 1000, 10_000)
FEW, TIMED = 9, 100  # workloads armed, lessons taught and timed for one figure
ROUNDS_OF_BATCH = {1: 200, 10: 60, 1000: 12}


class NftBench:
    def __init__(self, arena: Arena, plan: Plan, bench: Bench) -> None:
        self.arena = arena
        self.plan = plan
        self.bench = bench

    def all(self) -> Iterator[dict]:
        yield from self.packets()
        yield from self.changes()
        yield from self.host()

    def _start(self, namespace: str) -> Peer:
        program = str(self.plan.binaries / "bench" / "bench_nft")
        return Peer(self.arena, self.arena.inside(namespace, program))

    # -- packets --

    def packets(self) -> Iterator[dict]:
        """Each variant in a namespace of its own: rules are of a namespace."""
        variants = ("none", "control", "conntrack", *SIZES, *BPF)
        wanted = [name for name in OPERATIONS
                  if any(self.plan.wants(f"{name}/{variant}") for variant in (*variants, "growth"))]
        if not wanted:
            return
        namespaces = {variant: self.arena.new_loopback_namespace(variant) for variant in variants}
        cgroups = {variant: self.arena.new_cgroup(f"packets-{variant}") for variant in variants}
        run(*self.arena.inside(namespaces["conntrack"], "nft", CONNTRACK))
        tables = {variant: self._start(namespaces[variant]) for variant in SIZES}
        for variant, (workloads, grants) in SIZES.items():
            tables[variant].ask(f"table {cgroups[variant]} {workloads} {grants}")
        for variant, grants in BPF.items():
            self.bench.host.ask(f"enforcer {variant} 1")
            self.bench.host.ask(f"arm {variant} {cgroups[variant]} {grants} {grants} {SERVER_ADDRESS}")
        comparisons: dict[tuple[str, str], Comparison] = {}
        for _ in range(self.plan.runs):
            workers = {variant: self._worker(namespaces[variant], cgroup) for variant, cgroup in cgroups.items()}
            for name in wanted:
                samples = interleave(workers, OPERATIONS[name], self.plan.rounds)
                for variant in variants[1:]:
                    comparison = comparisons.setdefault((name, variant), Comparison())
                    comparison.add_run(samples[variant], samples["none"])
                growth = comparisons.setdefault((name, "growth"), Comparison())
                growth.add_run(samples["nft_10000"], samples["nft_1"])
            close_all(workers)
        close_all(tables)
        for (name, variant), comparison in comparisons.items():
            if self.plan.wants(case := f"{name}/{variant}"):
                yield comparison.entry(case, "nft_1" if variant == "growth" else "none", "ns/operation")

    def _worker(self, namespace: str, cgroup: Path) -> Peer:
        command = self.arena.inside(
            namespace, str(self.plan.binaries / "bench" / "bench_worker"), "--cpu", str(WORKER_CPU),
            "--cgroup", str(cgroup), "--server-netns", self.arena.netns_path(self.arena.server),
            "--server", SERVER_ADDRESS, "--crafted", self.bench.crafted_of(cgroup), "--grants", "100",
            "--port", str(PORT))
        return Peer(self.arena, command)

    # -- changes of elements --

    def changes(self) -> Iterator[dict]:
        cases = [(size, what, batch) for size in ELEMENTS for what in ("add", "renew", "remove")
                 for batch in ROUNDS_OF_BATCH if self.plan.wants(f"nft_{what}/{batch}/{size}")]
        memory = f"nft_memory/{ELEMENTS[-1]}"
        if not cases and not self.plan.wants(memory):
            return
        own, text = (self.arena.new_loopback_namespace(name) for name in ("changes", "text"))
        host = self._start(own)
        host.ask(f"elements {self.arena.netns_path(text)} {self.arena.new_cgroup('changes')}")
        filled, used = 0, 0
        for size in ELEMENTS:
            if any(case[0] == size for case in cases) or self.plan.wants(memory):
                used += int(host.ask(f"fill {size}"))
                filled = size
            for _, what, batch in (case for case in cases if case[0] == size):
                yield self._time_changes(host, what, batch, size)
        if self.plan.wants(memory):
            comparison = Comparison()
            grants = max(BPF.values())
            comparison.add_run([Sample(used / filled / 2)], [Sample(self._bpf_bytes(grants) / grants)])
            yield comparison.entry(memory, "the same in BPF maps", "bytes a grant")
        host.close()

    def _time_changes(self, host: Peer, what: str, batch: int, size: int) -> dict:
        comparison = Comparison()
        rounds = ROUNDS_OF_BATCH[batch] // (3 if self.plan.quick else 1)
        for _ in range(self.plan.runs):
            words = host.ask(f"change {what} {batch} {rounds}").split()
            own = [sample(word, batch) for word in words[::2]]
            comparison.add_run(own, own if "-" in words else [sample(word, batch) for word in words[1::2]])
        return comparison.entry(f"nft_{what}/{batch}/{size}", "libnftables", "ns/element")

    # -- the backend as the daemon has it --

    def host(self) -> Iterator[dict]:
        """Beside the same with few: what grows with their number."""
        arming = [count for count in WORKLOADS if self.plan.wants(f"nft_arm/{count}")]
        teaching = [count for count in ELEMENTS if self.plan.wants(f"nft_teach/{count}")]
        if not arming and not teaching:
            return
        host = self._start(self.arena.new_loopback_namespace("host"))
        parent = self.arena.new_cgroup("host")
        host.ask(f"host {parent}")
        try:
            few = self._times(host, f"arm 1 {FEW}")
            for count in arming:
                yield beside(f"nft_arm/{count}", self._times(host, f"arm {count} {FEW}"), few, "with few")
            few = self._times(host, f"teach 100 {TIMED}")
            for count in teaching:
                yield beside(f"nft_teach/{count}", self._times(host, f"teach {count} {TIMED}"), few, "with 100")
        finally:
            host.close()
            for child in parent.iterdir():
                if child.is_dir():
                    self.arena.remove_cgroup(child)

    @staticmethod
    def _times(host: Peer, line: str) -> list[Sample]:
        return [Sample(int(word)) for word in host.ask(line).split()[:-1]]

    def _bpf_bytes(self, grants: int) -> int:
        """What the maps of a workload with that many grants take more than those of one with few."""
        taken = []
        for name, most in (("few", 1024), ("many", grants)):
            host = Peer(self.arena, self.arena.inside(self.arena.client, str(self.plan.binaries / "bench" / "bench_host")))
            host.ask(f"enforcer {name} 1")
            host.ask(f"arm {name} {self.arena.new_cgroup(f'memory-{name}')} {most} 0 {SERVER_ADDRESS}")
            taken.append(locked_bytes(host.process.pid))
            host.close()
        return taken[1] - taken[0]


def beside(case: str, many: list[Sample], few: list[Sample], baseline_name: str) -> dict:
    comparison = Comparison()
    comparison.add_run(many, few)
    return comparison.entry(case, baseline_name)


def sample(word: str, batch: int) -> Sample:
    nanoseconds, preempted = word.split(":")
    return Sample(int(nanoseconds) / batch, preempted == "1")


def locked_bytes(process: int) -> int:
    """Of all BPF maps that the process holds open."""
    return sum(int(match[1]) for info in Path(f"/proc/{process}/fdinfo").iterdir()
               for match in re.finditer(r"^memlock:\s+(\d+)", info.read_text(), re.MULTILINE)
               if "map_type" in info.read_text())
