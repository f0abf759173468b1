"""What depends on where a command prints: redrawing, colour, width."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time

from daemon_views import BUILDER, STATUS
from fake_daemon import FakeDaemon, expect_run, namewall
from scenario import expect


def scenario_top_is_one_table_without_a_terminal():
    workloads = {"lookups": 0}

    def answer():
        workloads["lookups"] += 100
        return [{**BUILDER, "lookups": workloads["lookups"]}, {**BUILDER, "name": "idle", "workload_id": 4}]

    with FakeDaemon({("GET", "/v1/workloads"): (200, answer)}) as daemon:
        done = expect_run(namewall(daemon, "top", "--interval", "0.2"), 0, "LOOKUPS/S", "builder:job-17", "idle")
        expect(done.stdout.index("builder:job-17") < done.stdout.index("idle"), "the busiest is not first")
        rows = json.loads(expect_run(namewall(daemon, "top", "--json", "--interval", "0.2"), 0).stdout)
        expect(rows[0]["workload"] == "builder:job-17", str(rows))
        expect(50 < rows[0]["lookups_per_s"] <= 500, f"100 in 0.2 s are about 500/s: {rows[0]}")


def scenario_top_redraws_on_a_terminal_until_q():
    with FakeDaemon({("GET", "/v1/workloads"): (200, [BUILDER])}) as daemon:
        leader, follower = pty.openpty()
        env = {"PATH": os.environ["PATH"], "TERM": "xterm", "NAMEWALL_SOCKET": daemon.socket}
        argv = [os.environ["NAMEWALL_E2E_BINARY"], "top", "--interval", "0.1"]
        for end in ("q", "signal"):
            top = subprocess.Popen(argv, stdin=follower, stdout=follower, stderr=follower, env=env)
            drawn, deadline = "", time.monotonic() + 20
            while drawn.count("WORKLOAD") < 3 and time.monotonic() < deadline:
                if select.select([leader], [], [], 0.5)[0]:
                    drawn += os.read(leader, 65536).decode()
            expect(drawn.count("WORKLOAD") >= 3, f"it does not redraw: {drawn!r}")
            if end == "q":
                os.write(leader, b"q")
            else:
                top.send_signal(signal.SIGTERM)
            expect(top.wait(timeout=10) == 0, f"top ended with {top.returncode}")
            while select.select([leader], [], [], 0.2)[0]:
                drawn += os.read(leader, 65536).decode()
            expect(drawn.endswith("\x1b[?25h\x1b[?1049l"), f"the terminal is not as before: {drawn[-40:]!r}")
        os.close(leader)
        os.close(follower)


def scenario_colour_is_for_terminals_only():
    with FakeDaemon({("GET", "/v1/status"): (200, STATUS)}) as daemon:
        for settings, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            leader, follower = pty.openpty()
            env = {"PATH": os.environ["PATH"], "TERM": "xterm", "NAMEWALL_SOCKET": daemon.socket, **settings}
            argv = [os.environ["NAMEWALL_E2E_BINARY"], "status"]
            done = subprocess.run(argv, stdin=follower, stdout=follower, env=env)
            shown = os.read(leader, 65536).decode()
            expect(done.returncode == 0 and ("\x1b[32m" in shown) == coloured, f"{settings}: {shown!r}")
            os.close(leader)
            os.close(follower)


def scenario_tables_are_as_wide_as_columns_says():
    long = {**BUILDER, "name": "builder:" + "x" * 60, "file": "/etc/namewall/policies.d/" + "y" * 60 + ".toml"}
    with FakeDaemon({("GET", "/v1/workloads"): (200, [long])}) as daemon:
        for columns in (40, 80, 200):
            lines = namewall(daemon, "list", env={"COLUMNS": str(columns)}).stdout.splitlines()
            expect(lines and all(len(line) <= columns for line in lines), f"{columns}: {lines}")
        expect(re.search("x{60}", lines[1]), "there is room, and the name is not whole")
