"""What one workload learns opens nothing for another; a nested one has the intersection."""

import os
import time

from internet.records import Record
from scenario import Scene, StartedRun, expect, expect_step

PORT = 7001
RECORDS = [
    Record(f"{name}.example", "A", f"203.0.113.{last}") for name, last in (("one", 11), ("two", 12), ("three", 13))
]


def scenario_lookup_of_one_workload_opens_nothing_for_another():
    with Scene(RECORDS) as scene:
        allow = ["--allow", f"one.example:{PORT}"]
        first = scene.start_namewall(
            allow, scene.client_argv("glibc", f"reach one.example {PORT} sleep 3000 " f"connect 203.0.113.11 {PORT}")
        )
        while not scene.origins.reached():
            expect(first.process.poll() is None, "the first workload ended early")
            time.sleep(0.05)
        second = scene.namewall(
            allow, scene.client_argv("glibc", f"connect 203.0.113.11 {PORT} reach one.example {PORT}")
        )
        expect_step(second, 0, ok=False, error="ECONNREFUSED")
        expect_step(second, 1, ok=True)
        run = first.finish()
        expect_step(run, 0, ok=True)
        expect_step(run, 1, ok=True)


def scenario_nested_workload_has_the_intersection():
    with Scene(RECORDS) as scene:
        outer = scene.start_namewall(
            ["--allow", f"one.example:{PORT}", "--allow", f"two.example:{PORT}"], ["sleep", "60"]
        )
        deadline = time.monotonic() + 10
        while not any(pid for pid in scene.cgroup.pids() if _command_of(pid) == "sleep"):
            expect(time.monotonic() < deadline, f"CMD did not start: {outer.process.poll()}")
            time.sleep(0.02)
        inside = next(os.path.join(scene.cgroup.path, child) for child in scene.cgroup.children())
        steps = f"reach one.example {PORT} reach two.example {PORT} reach three.example {PORT}"
        argv = scene.namewall_argv(
            ["--allow", f"two.example:{PORT}", "--allow", f"three.example:{PORT}"],
            scene.client_argv("glibc", steps),
            scene.path("inner.jsonl"),
        )
        # The inner namewall is started from within the outer workload's cgroup, by root.
        entered = ["sh", "-ec", 'echo 0 >"$0/cgroup.procs"; exec "$@"', inside, *argv]
        process = scene.start(entered, env=scene.environment)
        run = StartedRun(argv, process, scene.path("inner.jsonl")).finish()
        expect_step(run, 0, ok=False)
        expect_step(run, 1, ok=True)
        expect_step(run, 2, ok=False)
        expect(not scene.asked("one.example") and not scene.asked("three.example"), "a refused question arrived", run)


def _command_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as comm:
            return comm.read().strip()
    except OSError:
        return ""
