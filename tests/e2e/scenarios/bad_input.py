"""Mistakes and missing things: positions, one clear sentence, the right exit code, nothing changed, nothing started."""

import re
import subprocess

from backends import needed_capabilities, run_options
from internet.records import Record
from scenario import Scene, expect, require_program

RECORDS = [Record("shop.example", "A", "203.0.113.10")]
ALLOW = ["--allow", "shop.example"]

# One mistake per marked line.
TEN_MISTAKES = """name = "ten"
alow = ["shop.example"]
mode = "enforced"
allow = [
  "https://shop.example/path",
  "tcp://shop.example",
  "*",
  "shop.example:0",
  "010.0.0.1:80",
]
deny = ["localhost"]
loopback = "mine"
[dns]
min_ttl = "5 parsecs"
"""
LINES_WITH_MISTAKES = [2, 3, 5, 6, 7, 8, 9, 11, 12, 14]


def scenario_ten_mistakes_are_ten_errors_with_positions():
    with Scene(RECORDS, recursive=False) as scene:
        policy = scene.write("ten.toml", TEN_MISTAKES)
        marker = scene.path("started")
        run = scene.namewall(["--policy", policy], ["touch", marker])
        expect(run.exit_code == 125, "run must end with 125", run)
        positions = [int(line) for line in re.findall(r"ten\.toml:(\d+):\d+: error", run.err)]
        expect(
            positions == LINES_WITH_MISTAKES, f"errors in lines {positions}, mistakes in {LINES_WITH_MISTAKES}", run
        )
        expect(not scene.cgroup.children(), "a cgroup was made", run)
        checked = subprocess.run([scene.binary, "check", policy], capture_output=True, text=True)
        expect(checked.returncode == 1, f"check must end with 1, not {checked.returncode}: {checked.stderr}")
        positions = [int(line) for line in re.findall(r"ten\.toml:(\d+):\d+: error", checked.stdout + checked.stderr)]
        expect(
            positions == LINES_WITH_MISTAKES, f"check: errors in lines {positions}, mistakes in {LINES_WITH_MISTAKES}"
        )


def scenario_wrong_arguments_end_with_125():
    with Scene(RECORDS, recursive=False) as scene:
        for options in (
            ["--allow", "https://shop.example/path"],
            ["--allow"],
            ["--no-such-option", *ALLOW],
            ["--policy", "/no/such/file", *ALLOW],
            ["--user", "no-such-user", *ALLOW],
            ["--events", "/no/such/directory/file", *ALLOW],
        ):
            run = scene.namewall(options, ["touch", scene.path("started")])
            expect(run.exit_code == 125 and run.err.strip(), f"{options} must end with 125 and a sentence", run)
            expect(not scene.cgroup.children(), "a cgroup was made", run)


def one_sentence(scene, prefix):
    """namewall under `prefix` ends with 125 and one line, and changes nothing."""
    argv = [*prefix, scene.binary, "run", *run_options(), *ALLOW, "--", "true"]
    run = scene.run(argv, env=scene.environment)
    expect(run.returncode == 125, f"{prefix}: {run.returncode} instead of 125: {run.stderr}")
    expect(len(run.stderr.strip().splitlines()) == 1, f"{prefix}: not one sentence: {run.stderr}")
    expect(not scene.cgroup.children(), f"{prefix}: a cgroup was made")
    return run.stderr


def scenario_without_root():
    with Scene(RECORDS, recursive=False) as scene:
        said = one_sentence(scene, ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"])
        expect("root" in said or "CAP_" in said, f"it does not say that root is missing: {said}")


def scenario_without_a_capability():
    require_program("setpriv")
    with Scene(RECORDS, recursive=False) as scene:
        # with BPF CAP_SYS_ADMIN stands for each of them
        for capability in needed_capabilities():
            said = one_sentence(
                scene, ["setpriv", "--bounding-set", f"-{capability}", "--inh-caps", f"-{capability}"]
            )
            expect(re.search("CAP_|capabilit|permi", said, re.IGNORECASE), f"it does not say what is missing: {said}")


def scenario_without_cgroup2():
    with Scene(RECORDS, recursive=False) as scene:
        hide = (
            'while read -r _ at kind _; do [ "$kind" != cgroup2 ] || umount -l "$at"; done </proc/self/mounts; '
            'exec "$@"'
        )
        said = one_sentence(scene, ["unshare", "--mount", "--propagation", "private", "sh", "-c", hide, "sh"])
        expect("cgroup" in said, f"it does not say that cgroup2 is missing: {said}")
