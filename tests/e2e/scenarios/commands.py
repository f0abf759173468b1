"""The commands that ask the daemon, each against a fake one: what is asked, what is shown, and the exit code."""

import json
import os
import select
import socket
import subprocess
import tempfile

from daemon_views import BUILDER, DETAIL, EXPLANATION, NAME, NOTICE, PARTIAL, REFUSAL, STATUS
from fake_daemon import FakeDaemon, error, expect_run, namewall
from scenario import expect


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
            "30 s ago",
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
