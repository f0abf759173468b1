"""Interleaved measurement: slices of the compared variants alternate, and a ratio is the median over pairs of slices
that were taken next to each other. So what else the machine does falls on both sides of every ratio."""

import statistics
import subprocess
from dataclasses import dataclass, field

from arena import Arena, Failure

FEWEST_PAIRS = 10


class Peer:
    """A process that answers one line to each line: bench_worker or bench_host."""

    def __init__(self, arena: Arena, command: list[str]) -> None:
        self.arena = arena
        self.process = arena.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.read()

    def send(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def read(self) -> str:
        line = self.process.stdout.readline().strip()
        if not line or line.startswith("error"):
            raise Failure(f"{self.process.args[-1]}: {line or 'ended'} (exit {self.process.poll()})")
        return line

    def ask(self, line: str) -> str:
        self.send(line)
        try:
            return self.read()
        except Failure as failure:
            raise Failure(f"`{line}`: {failure}") from None

    def close(self) -> None:
        self.process.stdin.close()
        self.arena.stop(self.process)
        self.process.stdout.close()


@dataclass
class Sample:
    nanoseconds: float  # of one operation
    disturbed: bool = False  # another process took the CPU within the slice


@dataclass
class Comparison:
    """One variant against the baseline, over some runs of many pairs."""

    figures: list[float] = field(default_factory=list)  # medians of the runs
    baselines: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)  # medians over the pairs of each run
    least: float = float("inf")
    least_baseline: float = float("inf")
    pairs: int = 0
    disturbed: int = 0

    def add_run(self, variant: list[Sample], baseline: list[Sample]) -> None:
        pairs = list(zip(variant, baseline, strict=True))
        calm = [pair for pair in pairs if not (pair[0].disturbed or pair[1].disturbed)]
        used = calm if len(calm) >= FEWEST_PAIRS else pairs
        self.pairs += len(pairs)
        self.disturbed += len(pairs) - len(calm)
        self.figures.append(statistics.median(one.nanoseconds for one, _ in used))
        self.baselines.append(statistics.median(other.nanoseconds for _, other in used))
        self.ratios.append(statistics.median(one.nanoseconds / other.nanoseconds for one, other in used))
        self.least = min(self.least, *(one.nanoseconds for one, _ in used))
        self.least_baseline = min(self.least_baseline, *(other.nanoseconds for _, other in used))

    def entry(self, case: str, baseline_name: str, unit: str = "ns") -> dict:
        """A result: figure, baseline and ratio are medians of the runs' medians."""
        return {
            "case": case,
            "figure": round(statistics.median(self.figures), 1),
            "unit": unit,
            "baseline": round(statistics.median(self.baselines), 1),
            "ratio": round(statistics.median(self.ratios), 4),
            "baseline_name": baseline_name,
            "ratio_of_runs": [round(ratio, 4) for ratio in self.ratios],
            "ratio_of_minima": round(self.least / self.least_baseline, 4),
            "pairs": self.pairs,
            "disturbed_pairs": self.disturbed,
        }


@dataclass(frozen=True)
class Operation:
    """`command`: what the worker is asked for; `count`: operations in a slice (1 to 3 ms, so that few slices are
    interrupted); `waits`: it sleeps for somebody's answer, so that only wall time means anything."""

    command: str
    count: int
    waits: bool = False


def take_slice(worker: Peer, operation: Operation) -> Sample:
    wall, cpu, preempted = worker.ask(f"slice {operation.command} {operation.count}").split()
    nanoseconds = int(wall if operation.waits else cpu) / operation.count
    return Sample(nanoseconds, preempted == "1")


def interleave(workers: dict[str, Peer], operation: Operation, rounds: int) -> dict[str, list[Sample]]:
    """`rounds` slices of each variant; every round begins with another variant."""
    names = list(workers)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for name in names:
        take_slice(workers[name], operation)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            samples[name].append(take_slice(workers[name], operation))
    return samples
