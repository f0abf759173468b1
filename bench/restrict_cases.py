"""The cases of POST /v1/restrict: what a call costs at each depth, and what each level costs a connection."""

import json
import statistics
from collections.abc import Iterator
from pathlib import Path

from arena import Arena, find_cgroup2_mount
from cases import MILLION, SOCKET_OPERATIONS, Bench, Plan, close_all
from measure import Comparison, Operation, Peer, Sample, interleave
from private_daemon import PrivateDaemon

UID = 64399
DEEPEST = 10
LEVELS = (1, 2, 4, 7, DEEPEST)  # of the connections
CHAINS = 30
BACKENDS = ("bpf", "nft")
CONNECTS = "tcp_connect_accept_close"
# One line: the nanoseconds of GET /v1/self and of the restriction. Kept alive, it keeps its cgroup.
ASKER = """
import http.client, json, socket, sys, time
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
def ask(*request):
    begin = time.monotonic_ns()
    connection = Connection("x")
    connection.request(*request)
    answer = connection.getresponse()
    text = answer.read()
    return time.monotonic_ns() - begin, answer.status, json.loads(text)
print("ready", flush=True)
for line in sys.stdin:
    bare, _, _ = ask("GET", "/v1/self")
    took, status, view = ask("POST", "/v1/restrict", line.encode())
    print(f"{bare} {took} {view['cgroup']}" if status == 200 else f"error {status} {view}", flush=True)
"""


class RestrictBench:
    def __init__(self, arena: Arena, plan: Plan, bench: Bench) -> None:
        self.arena = arena
        self.plan = plan
        self.bench = bench

    def all(self) -> Iterator[dict]:
        for backend in BACKENDS:
            calls = [f"restrict_call/{backend}/{level}" for level in range(1, DEEPEST + 1)]
            connects = [f"restrict_connect/{backend}/{name}" for name in ("control", *LEVELS)]
            if not any(self.plan.wants(case) for case in (*calls, *connects)):
                continue
            daemon = PrivateDaemon(self.arena, self.plan.binaries, f"restrict-{backend}")
            try:
                daemon.set_host(f'backend = "{backend}"\n[restrict]\nper_user = 10000\nper_workload = 10000\n'
                                "total = 10000\nper_second = 1000\n")
                daemon.start()
                if any(self.plan.wants(case) for case in calls):
                    yield from self._calls(daemon, backend)
                if any(self.plan.wants(case) for case in connects):
                    yield from self._connects(daemon, backend)
            finally:
                daemon.close()

    def _asker(self, daemon: PrivateDaemon, cgroup: Path) -> Peer:
        inside = ["sh", "-ec", 'echo 0 >"$0/cgroup.procs"; exec "$@"', str(cgroup), "chrt", "-f", "1", "setpriv",
                  f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--", "/usr/bin/python3", "-c", ASKER]
        return Peer(self.arena, self.arena.inside(self.arena.client, *inside, str(daemon.socket)))

    def _calls(self, daemon: PrivateDaemon, backend: str) -> Iterator[dict]:
        """Each chain is a process that restricts itself ten times; the first one has the layers loaded."""
        cgroup = daemon.root / "calls"
        cgroup.mkdir()
        times: dict[int, list[tuple[int, int]]] = {level: [] for level in range(1, DEEPEST + 1)}
        for chain in range(1 + (CHAINS // 3 if self.plan.quick else CHAINS)):
            asker = self._asker(daemon, cgroup)
            for level in range(1, DEEPEST + 1):
                bare, took, _ = asker.ask(json.dumps({"allow": ["bench.example", "12.0.0.0/8:443"]})).split(" ", 2)
                if chain > 0:
                    times[level].append((int(took), int(bare)))
            asker.close()
        for level, pairs in times.items():
            if not self.plan.wants(case := f"restrict_call/{backend}/{level}"):
                continue
            comparison = Comparison()
            comparison.add_run([Sample(took) for took, _ in pairs], [Sample(bare) for _, bare in pairs])
            longest = statistics.quantiles([took for took, _ in pairs], n=100)[98]
            yield comparison.entry(case, "GET /v1/self of the same process", "ns") | {"p99": longest}

    def _connects(self, daemon: PrivateDaemon, backend: str) -> Iterator[dict]:
        cgroups = {name: daemon.root / f"connects-{name}" for name in ("none", "control")}
        for cgroup in cgroups.values():
            cgroup.mkdir()
        askers = []
        for level in LEVELS:
            outer = daemon.root / f"connects-{level}"
            outer.mkdir()
            askers.append(self._asker(daemon, outer))
            for _ in range(level):
                *_, path = askers[-1].ask(json.dumps({"allow": ["*://*:*"]})).split(" ", 2)
            cgroups[str(level)] = Path(str(find_cgroup2_mount()) + path)
        comparisons = {name: Comparison() for name in cgroups if name != "none"}
        operation = Operation(f"{CONNECTS} hot", SOCKET_OPERATIONS[CONNECTS])
        for _ in range(self.plan.runs):
            workers = {name: self.bench.worker(cgroup, MILLION) for name, cgroup in cgroups.items()}
            samples = interleave(workers, operation, self.plan.rounds)
            for name, comparison in comparisons.items():
                comparison.add_run(samples[name], samples["none"])
            close_all(workers)
        for asker in askers:
            asker.close()
        for name, comparison in comparisons.items():
            if self.plan.wants(case := f"restrict_connect/{backend}/{name}"):
                yield comparison.entry(case, "none", "ns/operation")
