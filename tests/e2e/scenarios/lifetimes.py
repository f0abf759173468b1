"""Exit codes and signals pass through; killing namewall opens nothing and leaves at most an empty cgroup."""

import os
import signal
import time

from backends import learns_in_kernel
from internet.records import Record
from scenario import Scene, expect, expect_step

PORT = 7001
RECORDS = [Record("shop.example", "A", "203.0.113.10"), Record("tracker.example", "A", "203.0.113.40")]
ALLOW = ["--allow", f"shop.example:{PORT}"]


def _wait(what, is_so, seconds=10):
    deadline = time.monotonic() + seconds
    while not is_so():
        expect(time.monotonic() < deadline, f"after {seconds} s still not: {what}")
        time.sleep(0.02)


def scenario_exit_codes_are_those_of_env():
    with Scene(RECORDS, recursive=False) as scene:
        for command, code in (
            (["true"], 0),
            (["sh", "-c", "exit 7"], 7),
            (["sh", "-c", "kill -TERM $$"], -signal.SIGTERM),
            (["no-such-command"], 127),
            (["/etc/passwd"], 126),
            ([scene.directory], 126),
        ):
            run = scene.namewall(ALLOW, command)
            expect(run.exit_code == code, f"{command} must end with {code}", run)


def scenario_stop_on_refusal_ends_the_command_with_123():
    with Scene(RECORDS) as scene:
        start = time.monotonic()
        script = f"{' '.join(scene.client_argv('glibc', 'lookup tracker.example'))}; sleep 30; echo survived"
        run = scene.namewall(["--stop-on-refusal", *ALLOW], ["sh", "-c", script])
        expect(run.exit_code == 123, "the exit code must be 123", run)
        expect("survived" not in run.out and time.monotonic() - start < 10, "the command went on", run)
        expect(not scene.cgroup.children(), f"left behind: {scene.cgroup.children()}", run)


def scenario_nothing_stays_behind():
    with Scene(RECORDS) as scene:
        run = scene.namewall(ALLOW, scene.client_argv("glibc", f"reach shop.example {PORT}"))
        expect_step(run, 0, ok=True)
        expect(not scene.cgroup.children(), f"a cgroup stays: {scene.cgroup.children()}", run)


def scenario_background_processes_stay_confined_or_end():
    """What CMD leaves running is either gone or as confined as CMD was."""
    with Scene(RECORDS) as scene:
        out = scene.write("late.out", "")
        os.chmod(out, 0o666)
        later = " ".join(scene.client_argv("glibc", f"connect 203.0.113.40 {PORT}"))
        scene.namewall(ALLOW, ["sh", "-c", f"(sleep 1; {later}) >{out} 2>&1 & exit 0"])
        time.sleep(2)
        with open(out) as lines:
            text = lines.read()
        expect('"ok":true' not in text, f"a process that CMD left behind got out: {text}")
        expect(not scene.origins.reached(), f"reached {scene.origins.reached()}")


def scenario_signals_reach_the_command():
    with Scene(RECORDS, recursive=False) as scene:
        ready = scene.write("ready", "")
        os.chmod(ready, 0o666)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            name = signal.Signals(number).name[3:]
            script = f"trap 'exit 40' {name}; echo {name} >{ready}; while :; do sleep 0.05; done"
            started = scene.start_namewall(ALLOW, ["sh", "-c", script])
            _wait("CMD is ready", lambda: open(ready).read().strip() == name)
            os.kill(started.process.pid, number)
            run = started.finish(15)
            expect(run.exit_code == 40, f"SIG{name} did not reach the command", run)


def scenario_killed_namewall_leaves_the_command_confined():
    with Scene(RECORDS) as scene:
        out, go = scene.write("out", ""), scene.path("go")
        os.chmod(out, 0o666)
        steps = f"reach shop.example {PORT} lookup tracker.example connect 203.0.113.40 {PORT}"
        script = (
            f"exec >{out}; echo started; while [ ! -e {go} ]; do sleep 0.05; done; "
            f"{' '.join(scene.client_argv('glibc', steps))}; echo finished"
        )
        started = scene.start_namewall(ALLOW, ["sh", "-c", script])
        _wait("CMD has started", lambda: "started" in open(out).read())
        os.kill(started.process.pid, signal.SIGKILL)
        started.process.wait()
        scene.write("go", "")
        _wait("CMD has finished", lambda: "finished" in open(out).read(), 30)
        lines = [line for line in open(out).read().splitlines() if line.startswith("{")]
        expect(len(lines) == 3, f"CMD did not survive: {lines}")
        expect(
            ('"ok":true' in lines[0]) == learns_in_kernel(), f"a new lookup without namewall, who learns: {lines[0]}"
        )
        expect('"ok":false' in lines[1], f"an unlisted name was looked up without namewall: {lines[1]}")
        expect('"ECONNREFUSED"' in lines[2], f"an unlisted address was reached without namewall: {lines[2]}")
        expect(not scene.asked("tracker.example"), "a refused question arrived")
        _wait("CMD has ended", lambda: not scene.cgroup.pids())
        expect(len(scene.cgroup.children()) <= 1, f"more than one cgroup stays: {scene.cgroup.children()}")
        scene.namewall(ALLOW, ["true"])
        expect(not scene.cgroup.children(), f"the next command did not remove {scene.cgroup.children()}")


def scenario_command_runs_as_the_user_and_without_capabilities():
    with Scene(RECORDS, recursive=False) as scene:
        script = "id -u; grep -E 'Cap(Eff|Amb)|NoNewPrivs' /proc/self/status"
        run = scene.namewall(["--user", "nobody", *ALLOW], ["sh", "-c", script])
        lines = run.out.split("\n")
        expect(lines[0] == "65534", "not the user that was asked for", run)
        expect(
            "CapEff:\t0000000000000000" in lines and "CapAmb:\t0000000000000000" in lines, "capabilities stay", run
        )
        expect("NoNewPrivs:\t1" in lines, "no_new_privs is not set", run)


def scenario_root_is_warned_that_root_is_a_way_out():
    with Scene(RECORDS, recursive=False) as scene:
        run = scene.namewall(["--user", "root", *ALLOW], ["id", "-u"])
        expect(run.out.strip() == "0" and "root" in run.err, "no warning about root", run)
