"""Policies from files: from the folder to the refused connect, and what happens when the files change."""

import os
import signal
import sys
import time
from datetime import datetime

from backends import children_wait
from daemon import Host
from internet.records import Record
from scenario import expect

PORT = 7001
HOLD_OPEN = """
import socket, sys
held = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print("open", flush=True)
held.settimeout(20)
try:
    print("end" if held.recv(1) == b"" else "data", flush=True)
except TimeoutError:
    print("still open", flush=True)
except OSError as error:
    print("cut", flush=True)
"""
RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("bank.example", "A", "203.0.113.20"),
    Record("tracker.example", "A", "203.0.113.40"),
]


def policy_for(cgroup, *allow):
    rules = ", ".join(f'"{entry}"' for entry in allow)
    return f'cgroup = "{cgroup}"\nallow = [ {rules} ]\n'


def reloaded(host, before):
    host.wait_until(lambda: host.get("/v1/status")["reloads"] > before, "the folder is read again")


def reloads(host):
    return host.get("/v1/status")["reloads"]


def scenario_a_file_in_the_folder_holds_its_cgroup():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_for(cgroup, f"shop.example:{PORT}"))
        host.start_daemon()
        workload = host.workloads()["builder"]
        expect(workload["state"] == "enforcing" and workload["origin"] == "file", f"{workload}")
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        step = host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        expect(step["error"] == "ECONNREFUSED", f"{step}")
        host.expect_reach(cgroup, f"tracker.example {PORT}", ok=False)
        reasons = {event["reason"] for event in host.refusals("builder")}
        expect({"not_looked_up", "name_not_allowed"} <= reasons, f"events tell {reasons}")


def scenario_a_cgroup_that_appears_is_armed():
    with Host(RECORDS) as host:
        host.policy("late", policy_for(host.root.path("late"), f"shop.example:{PORT}"))
        host.start_daemon()
        expect(host.workloads() == {}, "nothing is there yet")
        begin = time.time()
        cgroup = host.new_cgroup("late")
        host.wait_until(lambda: "late" in host.workloads(), "the new cgroup is armed", 2)
        workload = host.workloads()["late"]
        expect(0 <= workload["unarmed_ms"] < 500, f"unarmed for {workload['unarmed_ms']} ms")
        at_most = (datetime.fromisoformat(workload["armed_at"]).timestamp() - begin) * 1e3 + 2
        expect(workload["unarmed_ms"] <= at_most, f"{workload['unarmed_ms']} ms of at most {at_most} ms")
        status = host.get("/v1/status")
        expect(status["unarmed_ms_max"] == workload["unarmed_ms"], f"{status}")
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        os.rmdir(host.root.directory("late"))
        host.wait_until(lambda: host.workloads() == {}, "the removed cgroup is let go", 2)
        print(f"unarmed for {workload['unarmed_ms']:.2f} ms, with the mkdir at most {at_most:.2f} ms")


def scenario_a_changed_file_swaps_the_policy_and_keeps_grants():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_for(cgroup, f"shop.example:{PORT}"))
        host.start_daemon()
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        generation = host.workloads()["builder"]["generation"]
        before = reloads(host)
        host.policy("builder", policy_for(cgroup, f"shop.example:{PORT}", f"bank.example:{PORT}"))
        reloaded(host, before)
        expect(host.workloads()["builder"]["generation"] > generation, "the generation did not grow")
        host.expect_reach(cgroup, f"203.0.113.10 {PORT}", ok=True)  # learned before, no lookup since
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=True)
        before = reloads(host)
        host.policy("builder", policy_for(cgroup, f"bank.example:{PORT}"))
        reloaded(host, before)
        host.expect_reach(cgroup, f"203.0.113.10 {PORT}", ok=False)
        host.expect_reach(cgroup, f"203.0.113.20 {PORT}", ok=True)


def scenario_a_broken_file_keeps_its_old_policy_and_is_told_by_position():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_for(cgroup, f"shop.example:{PORT}"))
        host.start_daemon()
        before = reloads(host)
        host.policy("builder", policy_for(cgroup, "tcp://shop.example"))
        reloaded(host, before)
        file = host.get("/v1/status")["policies"][0]
        expect(file["state"] == "kept" and file["error"].startswith("builder.toml:3:"), f"{file}")
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        before = reloads(host)
        os.unlink(host.path("daemon/config/policies.d/builder.toml"))
        reloaded(host, before)
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)  # a file that goes lifts nothing


def scenario_a_file_that_is_removed_lifts_nothing():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        path = host.policy("builder", policy_for(cgroup, f"shop.example:{PORT}"))
        host.start_daemon()
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        os.unlink(path)
        host.send("POST", "/v1/reload").ok()
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        host.send("POST", "/v1/teardown", {"workload": "builder", "reason": "no longer needed"}).ok()
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=True)


def scenario_a_config_map_swap_is_one_change():
    """Kubernetes mounts: files are links through `..data`, which is swapped by a rename."""
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("pod")
        folder = host.path("daemon/config/policies.d")

        def version(number, *allow):
            os.makedirs(f"{folder}/..{number}")
            with open(f"{folder}/..{number}/pod.toml", "w") as out:
                out.write('name = "pod"\n' + policy_for(cgroup, *allow))
            os.symlink(f"..{number}", f"{folder}/..data_tmp")
            os.rename(f"{folder}/..data_tmp", f"{folder}/..data")

        version(1, f"shop.example:{PORT}")
        os.symlink("..data/pod.toml", f"{folder}/pod.toml")
        host.start_daemon()
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        before = reloads(host)
        version(2, f"bank.example:{PORT}")
        reloaded(host, before)
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=True)
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=False)


def scenario_reload_says_what_changed():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_for(cgroup, f"shop.example:{PORT}"))
        host.start_daemon()
        view = host.send("POST", "/v1/reload").ok()
        expect(view["ok"] and view["unchanged"] == 1 and view["replaced"] == 0, f"{view}")
        before = reloads(host)
        os.kill(host.daemon.pid, signal.SIGHUP)
        reloaded(host, before)


def scenario_children_of_a_template_are_held_from_their_first_instruction():
    with Host(RECORDS) as host:
        parent = host.new_cgroup("ci")
        host.policy("jobs", policy_for(parent + "/*", f"shop.example:{PORT}"))
        host.start_daemon()
        expect(host.workloads()["jobs"]["state"] == "enforcing", f"{host.workloads()}")
        first = host.new_child("ci/job-1")
        host.expect_reach(first, f"shop.example {PORT}", ok=True)
        host.wait_until(lambda: "jobs:job-1" in host.workloads(), "the child has a name")
        expect(host.workloads()["jobs:job-1"]["unarmed_ms"] == 0, "a template's child is never unheld")
        host.kill_daemon()
        second = host.new_cgroup("ci/job-2")
        host.expect_reach(second, "203.0.113.99 7000", ok=False)
        host.expect_reach(second, f"203.0.113.10 {PORT}", ok=False)  # what its sibling learned opens nothing here
        host.expect_reach(second, f"shop.example {PORT}", ok=not children_wait())


def scenario_a_cgroup_becomes_a_template_by_a_teardown_and_a_reload():
    with Host(RECORDS) as host:
        parent = host.new_cgroup("ci")
        child = host.new_cgroup("ci/job-1")
        host.policy("jobs", policy_for(parent, f"shop.example:{PORT}"))
        host.start_daemon()
        for restarts in (False, True):
            pattern, other = (parent, parent + "/*") if restarts else (parent + "/*", parent)
            host.policy("jobs", policy_for(pattern, f"shop.example:{PORT}"))
            if restarts:
                host.kill_daemon()
                host.start_daemon()
            view = host.send("POST", "/v1/reload").ok()
            sentence = "; ".join(view["errors"])
            expect(f"names {pattern} now" in sentence and f"named {other}:" in sentence, f"{view}")
            host.expect_reach(child, "203.0.113.99 7000", ok=False)
            # The change of the file may be noticed only now: then the new form holds before anybody asks for a reload.
            lifted = host.send("POST", "/v1/teardown", {"workload": "jobs", "reason": "swap"}).ok()
            expect(len(lifted["lifted"]) == 1, f"{lifted}")
            view = host.send("POST", "/v1/reload").ok()
            expect(view["ok"], f"{view}")
            host.expect_reach(child, "203.0.113.99 7000", ok=False)
            host.expect_reach(child, f"shop.example {PORT}", ok=True)


def scenario_a_neighbour_that_no_policy_names_is_left_alone():
    with Host(RECORDS) as host:
        host.policy("builder", policy_for(host.new_cgroup("build"), f"shop.example:{PORT}"))
        neighbour = host.new_cgroup("neighbour")
        host.start_daemon()
        host.expect_reach(neighbour, "203.0.113.99 7000", ok=True)
        host.kill_daemon()
        os.rmdir(host.root.directory("neighbour"))
        host.expect_reach(host.new_cgroup("neighbour"), "203.0.113.99 7000", ok=True)


def hold_open(host, cgroup, target):
    """A process in the cgroup with an open connection; its second line says how that ended."""
    process = host.start_in(cgroup, [sys.executable, "-c", HOLD_OPEN, target, str(PORT)])
    expect(process.stdout.readline().strip() == "open", "the connection was refused")
    return process


def scenario_connections_that_a_narrower_policy_does_not_allow_are_cut():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_for(cgroup, f"shop.example:{PORT}", f"bank.example:{PORT}"))
        host.start_daemon()
        stays, goes = hold_open(host, cgroup, "shop.example"), hold_open(host, cgroup, "bank.example")
        before = reloads(host)
        host.policy("builder", policy_for(cgroup, f"shop.example:{PORT}"))
        reloaded(host, before)
        expect(goes.stdout.readline().strip() == "cut", "the connection lives on")
        host.wait_until(lambda: host.workloads()["builder"]["state"] == "enforcing", "all flows are judged")
        expect(host.events(workload="builder", reason="flow_ended") != [], "nobody tells of it")
        expect(stays.poll() is None, "an allowed connection was cut")


def scenario_connections_older_than_the_arming_are_judged():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("old")
        host.start_daemon()
        old = hold_open(host, cgroup, "203.0.113.20")
        before = reloads(host)
        host.policy("old", policy_for(cgroup, f"203.0.113.10:{PORT}") + "cut_unattributed = true\n")
        reloaded(host, before)
        expect(old.stdout.readline().strip() == "cut", "the old connection lives on")
        host.wait_until(lambda: host.workloads()["old"]["state"] == "enforcing", "all flows are judged")


def scenario_a_workload_is_proved_and_its_proof_is_nobodys_event():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_for(cgroup, f"shop.example:{PORT}"))
        host.start_daemon()
        host.wait_until(lambda: host.workloads()["builder"]["proof"] == "passed", "the proof passes", 5)
        proof = host.send("POST", "/v1/workloads/builder/test").ok()
        expect(proof["passed"] and len(proof["steps"]) == 3, f"{proof}")
        expect(host.refusals("builder") == [], f"{host.refusals('builder')}")
        print("; ".join(proof["steps"]))
