"""What `namewall run` tells: lines, events, the summary, the saved policy; and that what it proposes helps."""

import json
import os
import subprocess

from backends import counts_hits
from internet.records import Record
from scenario import CLIENTS, Scene, expect, expect_refusal, expect_step

PORT = 7001
RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("shop.example", "AAAA", "2001:db8:203::10"),
    Record("tracker.example", "A", "203.0.113.40"),
    Record("tracker.example", "AAAA", "2001:db8:203::40"),
]
ALLOW = ["--allow", f"shop.example:{PORT}"]


def summary_of(run):
    lines = [line for line in run.err.splitlines() if line.startswith("{")]
    expect(len(lines) == 1, "there is not one JSON object on stderr", run)
    return json.loads(lines[0])


def scenario_refused_target_is_one_line_with_the_argument_that_permits_it():
    with Scene(RECORDS) as scene:
        for client in CLIENTS:
            run = scene.allowing([f"shop.example:{PORT}"], client, " ".join(["lookup tracker.example"] * 5))
            lines = [line for line in run.err.splitlines() if "refused  tracker.example" in line]
            expect(len(lines) == 1 and "--allow https://tracker.example" in lines[0], f"{len(lines)} lines", run)


def scenario_proposed_argument_helps():
    with Scene(RECORDS) as scene:
        fetch = ["curl", "-sS", "-m", "10", "https://tracker.example/"]
        run = scene.namewall(ALLOW, fetch)
        expect(run.exit_code == 6, "curl must be refused", run)
        permit = expect_refusal(run, "name_not_allowed", name="tracker.example")["permit"]
        run = scene.namewall([*ALLOW, "--allow", permit], fetch)
        expect(run.exit_code == 0 and run.out == "it works\n", f"{permit} does not permit it", run)
        run = scene.allowing([f"shop.example:{PORT}"], "glibc", "connect 203.0.113.99 7000")
        permit = expect_refusal(run, "not_looked_up", address="203.0.113.99")["permit"]
        run = scene.namewall([*ALLOW, "--allow", permit], scene.client_argv("glibc", "connect 203.0.113.99 7000"))
        expect_step(run, 0, ok=True)


def scenario_summary_tells_what_was_reached_refused_and_granted():
    with Scene(RECORDS) as scene:
        steps = f"reach shop.example {PORT} lookup tracker.example"
        run = scene.namewall([*ALLOW, "--json"], scene.client_argv("glibc", steps))
        summary = summary_of(run)
        expect(summary["exit_code"] == 0 and summary["mode"] == "enforce", f"{summary}", run)
        reached = ["shop.example"] if counts_hits() else []
        expect([item["name"] for item in summary["reached"]] == reached, f"reached: {summary['reached']}", run)
        expect(
            [item["name"] for item in summary["refused"]] == ["tracker.example"],
            f"refused: {summary['refused']}",
            run,
        )
        grants = {grant["address"]: grant for grant in summary["grants"]}
        expect(set(grants) == {"203.0.113.10", "2001:db8:203::10"}, f"grants: {grants}", run)
        for grant in grants.values():
            expect(grant["name"] == "shop.example" and grant["ports"] == f"tcp/{PORT}", f"{grant}", run)
            expect(0 < grant["left_ms"] <= (300 + 90) * 1000, f"{grant}", run)


def scenario_summary_is_a_line_for_people_otherwise():
    with Scene(RECORDS) as scene:
        run = scene.namewall(ALLOW, scene.client_argv("glibc", f"reach shop.example {PORT} lookup tracker.example"))
        reached = "reached 1 name" if counts_hits() else "reached no name"
        expect(reached in run.err and "refused 1" in run.err, "no summary", run)


def scenario_quiet_is_quiet():
    with Scene(RECORDS) as scene:
        run = scene.namewall(["--quiet", *ALLOW], scene.client_argv("glibc", "lookup tracker.example"))
        expect(run.err == "", "--quiet printed", run)
        expect_refusal(run, "name_not_allowed", name="tracker.example")


def scenario_events_go_to_a_descriptor():
    with Scene(RECORDS) as scene:
        read_end, write_end = os.pipe()
        command = scene.client_argv("glibc", "lookup tracker.example")
        argv = scene.namewall_argv(["--events", f"fd:{write_end}", *ALLOW], command)
        done = scene.run(argv, env=scene.environment, pass_fds=(write_end,))
        os.close(write_end)
        with os.fdopen(read_end) as events:
            lines = [json.loads(line) for line in events]
        expect(any(line.get("name") == "tracker.example" for line in lines), f"{lines} {done.stderr}")


def scenario_saved_policy_is_the_policy_in_force_and_loads():
    with Scene(RECORDS) as scene:
        saved = scene.path("saved.toml")
        scene.namewall(["--save", saved, *ALLOW], scene.client_argv("glibc", "lookup tracker.example"))
        with open(saved) as text:
            policy = text.read()
        expect("# " in policy and "https://tracker.example" in policy, f"the refusal is not in it: {policy}")
        checked = subprocess.run([scene.binary, "check", saved], capture_output=True, text=True)
        expect(checked.returncode == 0, f"check says: {checked.stdout}{checked.stderr}\n{policy}")
        run = scene.namewall(
            ["--policy", saved], scene.client_argv("glibc", f"reach shop.example {PORT} lookup tracker.example")
        )
        expect_step(run, 0, ok=True)
        expect_step(run, 1, ok=False)


def scenario_proxy_in_the_environment_is_one_warning():
    with Scene(RECORDS) as scene:
        scene.environment["HTTPS_PROXY"] = "http://proxy.example:3128"
        run = scene.namewall(ALLOW, ["true"])
        told = [line for line in run.err.splitlines() if "proxy" in line.lower() and "dns by proxy" not in line]
        expect(len(told) == 1, "not one warning", run)


def scenario_names_chosen_by_an_attacker_cannot_reach_the_terminal():
    with Scene(RECORDS) as scene:
        script = (
            "import socket\n"
            "question = b'\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\x08\\x1b[31mred\\x07example\\0\\0\\1\\0\\1'\n"
            "try: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(question, ('198.51.100.53', 53))\n"
            "except OSError as error: print(error)\n"
        )
        run = scene.namewall(ALLOW, ["/usr/bin/python3", "-c", script])
        with open(run.argv[run.argv.index("--events") + 1], "rb") as raw:
            events = raw.read()
        expect(b"\x1b" not in events and "\x1b" not in run.err, "an escape sequence came through", run)
        expect(run.refusals(), "the question was not refused", run)


def scenario_explain_walks_to_the_verdict():
    with Scene(RECORDS) as scene:
        policy = scene.write("shop.toml", f'name = "shop"\nallow = ["shop.example:{PORT}"]\n')
        for target, code in ((f"shop.example:{PORT}", 0), ("tracker.example", 3), ("203.0.113.9:443", 3)):
            done = subprocess.run(
                [scene.binary, "explain", "--policy", policy, target], capture_output=True, text=True
            )
            expect(done.returncode == code, f"explain {target}: {done.returncode} {done.stdout}{done.stderr}")
            done = subprocess.run(
                [scene.binary, "explain", "--json", "--policy", policy, target], capture_output=True, text=True
            )
            expect(isinstance(json.loads(done.stdout), dict), f"explain --json {target}: {done.stdout}{done.stderr}")
