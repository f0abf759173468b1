"""The commands that ask the daemon, each against a fake one: what is asked, what is shown, and the exit code."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import tempfile
import time

from fake_daemon import FakeDaemon, error
from internet.cgroups import cgroup2_mount
from scenario import expect

STATUS = {
    "version": "0.1.0",
    "pid": 812,
    "started_at": "2026-01-31T11:00:00.000Z",
    "state": "enforcing",
    "workloads": 2,
    "workloads_by_state": {"enforcing": 1, "judging": 1},
    "policies": [
        {
            "file": "/etc/namewall/policies.d/builder.toml",
            "policy": "builder",
            "state": "in force",
            "age_s": 3605,
            "workloads": 2,
        }
    ],
    "oldest_proof_s": 12.3,
    "reloads": 3,
    "reload_failures": 0,
    "unarmed_ms_last": 0.4,
    "unarmed_ms_max": 1.2,
    "events": 17,
    "generation": 41,
}
EVIL = "evil\x1b[31m\nname"
BUILDER = {
    "name": "builder:job-17",
    "cgroup": "/ci.slice/job-17",
    "cgroup_id": 4711,
    "state": "enforcing",
    "policy": "builder",
    "origin": "file",
    "file": "/etc/namewall/policies.d/builder.toml",
    "mode": "enforce",
    "policy_sha256": "0011223344556677",
    "generation": 7,
    "workload_id": 3,
    "rules": 2,
    "grants": 1,
    "max_addresses": 1024,
    "refusals": 6,
    "lookups": 40,
    "last_refusal": "github.com:443",
    "armed_at": "2026-01-31T11:00:00.000Z",
    "unarmed_ms": 0,
    "proved_ago_s": 12,
    "proof": "passed",
}
PARTIAL = {**BUILDER, "name": "box", "state": "partial", "why": ["it reaches /run/docker.sock"], "policy": "box"}
DETAIL = {
    "workload": BUILDER,
    "policy_text": 'name = "builder"\n',
    "rules": [
        {"rule": "https://registry.npmjs.org", "action": "allow", "origin": "builder.toml:4:12"},
        {
            "rule": "https://a.example",
            "action": "allow",
            "origin": "builder.toml:5:12",
            "dead": True,
            "decided_by": "deny *://a.example:*",
        },
    ],
    "resolvers": [{"address": "10.0.0.2:53", "source": "/etc/resolv.conf"}],
    "grants": [
        {
            "name": "registry.npmjs.org",
            "address": "104.16.0.35",
            "ports": "tcp:443",
            "state": "live",
            "seconds_left": 275,
            "connects": 38,
            "shared_with": ["cdn.example"],
        },
        {"name": EVIL, "address": "203.0.113.9", "ports": "tcp:443", "state": "expired", "seconds_left": -30},
    ],
    "counters": {"lookups": 40, "nothing": 0},
    "refusals_by_reason": {"name_not_allowed": 6},
    "unattributed_flows": ["tcp 10.0.0.5:4711 -> 203.0.113.9:443"],
}
REFUSAL = {
    "sequence": 9,
    "time": "2026-01-31T12:00:01.123Z",
    "kind": "refused",
    "workload": "builder:job-17",
    "policy": "builder",
    "hook": "question",
    "reason": "name_not_allowed",
    "sentence": "no rule names it",
    "name": "github.com",
    "pid": 4188,
    "command": EVIL,
    "permit": "https://github.com",
    "left_out": 2,
}
NOTICE = {"sequence": 10, "time": "2026-01-31T12:00:02.000Z", "kind": "notice", "reason": "reload", "sentence": "reloaded"}
EXPLANATION = {
    "workload": "builder:job-17",
    "target": "tcp github.com:443",
    "allowed": False,
    "reason": "name_not_allowed",
    "walk": ["host deny: nothing", "allow rules: no rule names it"],
    "permit": "https://github.com",
}
NAME = "/v1/workloads/builder%3Ajob-17"


def namewall(daemon, *arguments, env=None, timeout=30, stdin=subprocess.DEVNULL):
    socket_path = daemon if isinstance(daemon, str) else daemon.socket
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NAMEWALL_SOCKET": socket_path, **(env or {})}
    argv = [os.environ["NAMEWALL_E2E_BINARY"], *arguments]
    return subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=timeout, stdin=stdin)


def expect_run(done, exit_code, *said):
    transcript = f"{' '.join(done.args[1:])}: exit {done.returncode}\n--- stdout\n{done.stdout}--- stderr\n{done.stderr}"
    expect(done.returncode == exit_code, f"exit code {done.returncode} instead of {exit_code}\n{transcript}")
    for what in said:
        expect(what in done.stdout + done.stderr, f"it does not say {what!r}\n{transcript}")
    wide = [line for line in done.stdout.splitlines() if len(line) > 80 and not line.startswith(("{", "["))]
    expect(not wide, f"wider than 80 columns: {wide}\n{transcript}")
    expect("\x1b" not in done.stdout, f"an escape reaches what is no terminal\n{transcript}")
    if exit_code not in (0, 3, 10):
        expect(len(done.stderr.splitlines()) == 1, f"not one sentence\n{transcript}")
        expect(done.stderr.startswith("namewall: "), f"it does not say who speaks\n{transcript}")
    return done


def scenario_without_a_daemon_each_command_says_so_and_ends_with_4():
    for arguments in (
        ["status"],
        ["list"],
        ["show", "builder"],
        ["events"],
        ["events", "-f"],
        ["explain", "github.com", "--workload", "builder"],
        ["why"],
        ["reload"],
        ["top", "--once"],
        ["test", "builder"],
        ["doctor", "builder"],
        ["teardown", "builder", "--reason", "test"],
    ):
        expect_run(namewall("/no/such/control.sock", *arguments), 4, "/no/such/control.sock")


def scenario_a_proxy_in_the_environment_is_not_asked():
    with FakeDaemon({("GET", "/v1/status"): (200, STATUS)}) as daemon:
        env = {"http_proxy": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}
        expect_run(namewall(daemon, "status", env=env), 0, "enforcing")


def scenario_status_is_10_unless_all_is_enforced():
    with FakeDaemon({("GET", "/v1/status"): (200, STATUS)}) as daemon:
        done = expect_run(namewall(daemon, "status"), 0, "12 s ago", "builder", "in force", "0.4 ms", "1 judging")
        expect(done.stdout.startswith("enforcing\n"), done.stdout)
        as_json = expect_run(namewall(daemon, "status", "--json"), 0)
        expect(json.loads(as_json.stdout) == STATUS, "the JSON is not the daemon's")
        partial = {**STATUS, "state": "partial", "why": ["box: it reaches /run/docker.sock"]}
        daemon.answers["GET", "/v1/status"] = (200, partial)
        expect_run(namewall(daemon, "status"), 10, "docker.sock")
        daemon.answers["GET", "/v1/status"] = (
            200,
            {
                **STATUS,
                "policies": [{"file": "/x/a.toml", "policy": "a", "state": "broken", "error": "a.toml:3:1: error: no"}],
            },
        )
        expect_run(namewall(daemon, "status"), 10, "a.toml:3:1")
        daemon.answers["GET", "/v1/status"] = (200, {**STATUS, "workloads_by_state": {"failed": 1}})
        expect_run(namewall(daemon, "status", "--json"), 10)


def scenario_list_tells_states_origins_and_dead_rules():
    answers = {("GET", "/v1/workloads"): (200, [BUILDER, {**BUILDER, "name": "builder:job-18"}]), ("GET", NAME): (200, DETAIL)}
    with FakeDaemon(answers) as daemon:
        expect_run(namewall(daemon, "list"), 0, "builder:job-17", "enforcing", "1/1024", "builder.toml")
        names = expect_run(namewall(daemon, "list", "--names"), 0)
        expect(names.stdout == "builder:job-17\nbuilder:job-18\n", names.stdout)
        daemon.requests.clear()
        expect_run(namewall(daemon, "list", "--rules"), 0, "builder.toml:4:12", "dead", "builder:job-18")
        expect(len(daemon.requests) == 2, f"one policy is asked for once: {daemon.requests}")
        rules = json.loads(expect_run(namewall(daemon, "list", "--rules", "--json"), 0).stdout)
        expect(rules == [DETAIL], "the JSON is not the daemon's")
        daemon.answers["GET", "/v1/workloads"] = (200, [])
        expect_run(namewall(daemon, "list"), 0, "No workload")


def scenario_show_tells_grants_and_escapes_what_a_workload_chose():
    with FakeDaemon({("GET", NAME): (200, DETAIL)}) as daemon:
        done = expect_run(
            namewall(daemon, "show", "builder:job-17"),
            0,
            "10.0.0.2:53",
            "/etc/resolv.conf",
            "registry.npmjs.org",
            "4 min",
            "cdn.example",
            "name_not_allowed",
            "over 30 s ago",
            "10.0.0.5:4711",
            "\\x1b",
        )
        expect("nothing" not in done.stdout, f"a counter of 0 is shown: {done.stdout}")
        policy = expect_run(namewall(daemon, "show", "builder:job-17", "--policy"), 0)
        expect(policy.stdout == DETAIL["policy_text"], policy.stdout)
        expect_run(namewall(daemon, "show", "other"), 6, "there is no such thing")
        expect(daemon.requests[-1][1] == "/v1/workloads/other", daemon.requests)
        namewall(daemon, "show", "a/../b c")
        expect(daemon.requests[-1][1] == "/v1/workloads/a%2F..%2Fb%20c", daemon.requests)


def scenario_events_are_filtered_by_the_daemon_and_followed():
    wanted = "/v1/events?workload=builder%3Ajob-17&reason=name_not_allowed&since=10m"
    answers = {
        ("GET", "/v1/events"): (200, [REFUSAL, NOTICE]),
        ("GET", wanted): (200, [REFUSAL]),
        ("GET", "/v1/events?follow=1"): (200, [REFUSAL]),
    }
    with FakeDaemon(answers) as daemon:
        expect_run(
            namewall(daemon, "events"), 0, "12:00:01", "github.com", "no rule names it", "https://github.com", "2 events"
        )
        filtered = ["--workload", "builder:job-17", "--reason", "name_not_allowed", "--since", "10m", "--json"]
        done = expect_run(namewall(daemon, "events", *filtered), 0)
        expect(json.loads(done.stdout) == REFUSAL, done.stdout)
        done = namewall(daemon, "events", "-f")
        expect(done.returncode == 4 and "github.com" in done.stdout and "ended" in done.stderr, str(done))
        daemon.answers["GET", "/v1/events"] = (200, "no JSON\n")
        expect_run(namewall(daemon, "events"), 125, "version")


def scenario_a_followed_event_is_shown_at_once():
    with tempfile.TemporaryDirectory(prefix="namewall-commands-") as directory:
        path = os.path.join(directory, "control.sock")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen(1)
            argv = [os.environ["NAMEWALL_E2E_BINARY"], "events", "-f", "--socket", path]
            reader = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
            try:
                connection, _ = server.accept()
                connection.recv(65536)
                line = json.dumps(REFUSAL).encode() + b"\n"
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
                connection.sendall(head + b"%x\r\n%s\r\n" % (len(line), line))
                ready, _, _ = select.select([reader.stdout], [], [], 10)
                expect(ready and "builder:job-17" in reader.stdout.readline() + reader.stdout.readline(), "no event")
            finally:
                reader.terminate()
                reader.communicate()
                connection.close()


def scenario_explain_and_why_walk_the_live_verdict():
    not_confined = (200, {"confined": False})
    answers = {
        ("POST", "/v1/explain"): (200, EXPLANATION),
        ("GET", "/v1/self"): not_confined,
        ("GET", "/v1/events"): (200, [{**REFUSAL, "name": "older.example"}, REFUSAL, NOTICE]),
        ("GET", "/v1/events?workload=builder%3Ajob-17"): (200, [REFUSAL]),
        ("GET", "/v1/events?workload=quiet"): (200, []),
        ("GET", NAME): (200, DETAIL),
        ("GET", "/v1/workloads/quiet"): (200, DETAIL),
    }
    with FakeDaemon(answers) as daemon:
        expect_run(namewall(daemon, "explain", "github.com", "--workload", "builder:job-17"), 3, "refused", "allow rules")
        asked = {"workload": "builder:job-17", "target": "github.com"}
        expect(daemon.requests[-1] == ("POST", "/v1/explain", asked), daemon.requests)
        expect_run(namewall(daemon, "why", "builder:job-17", "github.com"), 3, "no rule names it")
        expect(daemon.requests[-1] == ("POST", "/v1/explain", asked), daemon.requests)
        done = expect_run(namewall(daemon, "why"), 3, "github.com", "allow rules")
        expect("older.example" not in done.stdout, "not the newest refusal")
        expect(daemon.requests[-1][2] == {"workload": "builder:job-17"}, daemon.requests)
        expect_run(namewall(daemon, "why", "builder:job-17"), 3, "github.com")
        expect_run(namewall(daemon, "why", "quiet"), 0, "Nothing")
        expect_run(namewall(daemon, "why", "github.com"), 6)
        as_json = expect_run(namewall(daemon, "why", "--json"), 3)
        expect(json.loads(as_json.stdout) == EXPLANATION, as_json.stdout)
        daemon.answers["POST", "/v1/explain"] = (200, {**EXPLANATION, "allowed": True})
        expect_run(namewall(daemon, "explain", "github.com", "--workload", "builder:job-17"), 0, "allowed")


def scenario_why_inside_a_workload_is_about_its_own_refusals():
    own = {"confined": True, "workload": "builder:job-17", "refusals": [REFUSAL]}
    answers = {("POST", "/v1/explain"): (200, EXPLANATION), ("GET", "/v1/self"): (200, own)}
    with FakeDaemon(answers) as daemon:
        expect_run(namewall(daemon, "why"), 3, "github.com")
        expect(daemon.requests[-1][2] is None or "workload" not in daemon.requests[-1][2], daemon.requests)
        expect_run(namewall(daemon, "why", "github.com"), 3)
        expect(daemon.requests[-1][2] == {"target": "github.com"}, daemon.requests)
        expect(all(request[1] in ("/v1/self", "/v1/explain") for request in daemon.requests), daemon.requests)
        daemon.answers["GET", "/v1/self"] = (200, {**own, "refusals": []})
        expect_run(namewall(daemon, "why"), 0, "Nothing")


def scenario_reload_and_test_tell_failure_by_their_exit_codes():
    answers = {
        ("POST", "/v1/reload"): (200, {"ok": True, "armed": 1, "replaced": 2, "unchanged": 3}),
        ("POST", NAME + "/test"): (200, {"workload": "builder:job-17", "passed": True, "steps": ["a refused address"]}),
    }
    with FakeDaemon(answers) as daemon:
        expect_run(namewall(daemon, "reload"), 0, "1 armed", "2 replaced", "3 unchanged")
        expect_run(namewall(daemon, "test", "builder:job-17"), 0, "proved", "a refused address")
        daemon.answers["POST", "/v1/reload"] = (200, {"ok": False, "errors": ["a.toml:1:1: error: no"]})
        daemon.answers["POST", NAME + "/test"] = (200, {"workload": "builder:job-17", "passed": False, "steps": []})
        done = namewall(daemon, "reload")
        expect(done.returncode == 1 and "a.toml:1:1" in done.stdout, str(done))
        expect_run(namewall(daemon, "test", "builder:job-17"), 10, "not proved")


def scenario_doctor_names_what_acts_for_a_workload_from_outside():
    answers = {("GET", "/v1/workloads/box"): (200, {**DETAIL, "workload": PARTIAL}), ("GET", NAME): (200, DETAIL)}
    with FakeDaemon(answers) as daemon:
        expect_run(namewall(daemon, "doctor", "box"), 10, "partial", "docker.sock")
        expect_run(namewall(daemon, "doctor", "builder:job-17"), 0, "Nothing")


def scenario_errors_of_the_daemon_keep_their_sentence_and_exit_code():
    with FakeDaemon() as daemon:
        for status, code, exit_code in (
            (403, "not_permitted", 5),
            (404, "not_found", 6),
            (409, "conflict", 7),
            (429, "limit", 8),
            (501, "unsupported", 9),
            (500, "system", 125),
            (422, "policy_invalid", 1),
        ):
            daemon.answers["GET", "/v1/workloads"] = error(status, code, f"this is {code}", exit_code)
            expect_run(namewall(daemon, "list"), exit_code, f"namewall: this is {code}\n")
        daemon.answers["GET", "/v1/workloads"] = (409, "nothing to read")
        expect_run(namewall(daemon, "list"), 7, "409")
        daemon.answers["GET", "/v1/workloads"] = (200, {"no": "list"})
        expect_run(namewall(daemon, "list"), 125, "version")


def scenario_a_socket_that_is_closed_to_the_user_ends_with_5():
    with FakeDaemon({("GET", "/v1/status"): (200, STATUS)}) as daemon:
        os.chmod(daemon.socket, 0o600)
        os.chmod(os.path.dirname(daemon.socket), 0o755)
        with tempfile.TemporaryDirectory(prefix="namewall-commands-") as directory:
            binary = os.path.join(directory, "namewall")
            os.chmod(directory, 0o755)
            with open(os.environ["NAMEWALL_E2E_BINARY"], "rb") as source, open(binary, "wb") as copy:
                copy.write(source.read())
            os.chmod(binary, 0o755)
            argv = ["setpriv", "--reuid", "64322", "--regid", "64322", "--clear-groups", binary, "status"]
            done = subprocess.run([*argv, "--socket", daemon.socket], capture_output=True, text=True)
            expect(done.returncode == 5 and len(done.stderr.splitlines()) == 1, str(done))


def scenario_arm_and_teardown_ask_the_daemon():
    parent = os.path.join(cgroup2_mount(), f"namewall-commands-{os.getpid()}")
    os.mkdir(parent)
    try:
        path = "/" + os.path.basename(parent)
        with tempfile.TemporaryDirectory(prefix="namewall-commands-") as directory:
            policy = os.path.join(directory, "shop.toml")
            text = 'name = "shop"\nallow = ["shop.example"]\n'
            with open(policy, "w") as out:
                out.write(text)
            armed = {"workload": "shop", "cgroup": path, "cgroup_id": 5, "generation": 9, "state": "enforcing"}
            with FakeDaemon({("PUT", "/v1/workloads/shop"): (200, armed)}) as daemon:
                asked = {"cgroup": path, "policy_text": text, "allow_partial": False}
                for place in (path, parent, parent + "/"):
                    done = namewall(daemon, "arm", "--cgroup", place, "--policy", policy)
                    expect_run(done, 0, "shop", path, "generation", "9", "enforcing")
                    expect(daemon.requests[-1] == ("PUT", "/v1/workloads/shop", asked), daemon.requests)
                sleeper = subprocess.Popen(
                    ["sleep", "60"], preexec_fn=lambda: open(f"{parent}/cgroup.procs", "w").write("0")
                )
                try:
                    expect_run(namewall(daemon, "arm", "--pid", str(sleeper.pid), "--policy", policy), 0)
                    expect(daemon.requests[-1][2]["cgroup"] == path, daemon.requests)
                finally:
                    sleeper.kill()
                    sleeper.wait()
                expect_run(namewall(daemon, "arm", "--cgroup", path, "--policy", policy, "--name", "x"), 6)
                expect_run(namewall(daemon, "arm", "--cgroup", "/no/such", "--policy", policy), 6, "/no/such")
                expect_run(namewall(daemon, "arm", "--cgroup", "/", "--policy", policy), 1, "root")
                expect_run(namewall(daemon, "arm", "--policy", policy), 125)
                expect_run(namewall(daemon, "arm", "--self", "--cgroup", path, "--policy", policy), 125)
                with open(policy, "w") as out:
                    out.write('name = "shop"\nallow = ["*"]\n')
                expect_run(namewall(daemon, "arm", "--cgroup", path, "--policy", policy), 1, "shop.toml:2:")
    finally:
        os.rmdir(parent)

    lifted = {"workload": "shop", "lifted": ["shop (/ci.slice/shop)"]}
    with FakeDaemon({("POST", "/v1/teardown"): (200, lifted)}) as daemon:
        expect_run(namewall(daemon, "teardown", "shop", "--reason", "a test"), 0, "/ci.slice/shop")
        expect(daemon.requests[-1][2] == {"workload": "shop", "reason": "a test"}, daemon.requests)
        expect_run(namewall(daemon, "disarm", "--all", "--reason", "a test"), 0)
        expect(daemon.requests[-1][2] == {"reason": "a test"}, daemon.requests)
        asked = len(daemon.requests)
        expect_run(namewall(daemon, "teardown", "--reason", "a test"), 125)
        expect_run(namewall(daemon, "teardown", "shop"), 125)
        expect(len(daemon.requests) == asked, "an incomplete teardown reached the daemon")


def scenario_a_unit_gets_a_drop_in_that_arms_it():
    with tempfile.TemporaryDirectory(prefix="namewall-commands-") as root:
        os.makedirs(f"{root}/etc/namewall")
        policy = '/etc/namewall/50% "worker" $x.toml'
        with open(root + policy, "w") as out:
            out.write('name = "worker"\nallow = ["shop.example"]\n')
        unit = ["--root", root]
        none = "/no/such/control.sock"
        expect_run(namewall(none, "unit", "enable", "worker@", "--policy", policy, *unit), 0, "worker@.service")
        path = f"{root}/etc/systemd/system/worker@.service.d/50-namewall.conf"
        with open(path) as text:
            lines = text.read().splitlines()
        command = r'ExecStartPre=+/usr/bin/namewall arm --self --policy "/etc/namewall/50%% \"worker\" $$x.toml"'
        expect(lines[lines.index("[Service]") :][-1] == command, "\n".join(lines))
        expect_run(namewall(none, "unit", "list", *unit), 0, "worker@.service", "50%")
        expect_run(namewall(none, "unit", "disable", "worker@.service", *unit), 0)
        expect(not os.path.exists(os.path.dirname(path)), "the drop-in's directory stays")
        expect_run(namewall(none, "unit", "disable", "worker@.service", *unit), 6)
        expect_run(namewall(none, "unit", "list", *unit), 0, "No unit")
        for name in ("../../etc", "a/b", "", "x.socket", ".service"):
            expect_run(namewall(none, "unit", "enable", name, "--policy", policy, *unit), 1)
        expect_run(namewall(none, "unit", "enable", "w", "--policy", "relative.toml", *unit), 1, "absolute")
        expect_run(namewall(none, "unit", "enable", "w", "--policy", "/no/such.toml", *unit), 6)
        expect(not os.path.exists(f"{root}/etc/systemd/system/w.service.d"), "a refused enable leaves something")
        expect_run(namewall(none, "unit", "enable", "foo bar", "--policy", policy, *unit), 0, "foo\\\\x20bar.service")


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
