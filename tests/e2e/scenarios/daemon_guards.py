"""Guards, nested workloads, and what lies outside what the kernel can hold."""

import os
import sys

from daemon import Host
from internet.records import Record
from scenario import expect

PORT = 7001
RECORDS = [Record("shop.example", "A", "203.0.113.10"), Record("bank.example", "A", "203.0.113.20")]
OPEN_PACKETS = "import socket, time; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0); print('open', flush=True); time.sleep(60)"


def policy_for(cgroup, *allow, more=""):
    rules = ", ".join(f'"{entry}"' for entry in allow)
    return f'cgroup = "{cgroup}"\n{more}allow = [ {rules} ]\n'


def scenario_a_guard_outlives_the_daemon_and_goes_when_nobody_writes_it_any_more():
    refuse = 'unarmed_children = "refuse"\n'
    with Host(RECORDS) as host:
        host.new_cgroup("ci")
        jobs = host.root.path("ci/job-*")
        host.policy("jobs", policy_for(jobs, f"shop.example:{PORT}", more=refuse))
        host.start_daemon()
        host.expect_reach(host.new_cgroup("ci/stranger"), "203.0.113.99 7000", ok=False)
        job = host.new_cgroup("ci/job-1")
        host.wait_until(lambda: len(host.workloads()) == 1, "the job is armed")
        host.expect_reach(job, f"shop.example {PORT}", ok=True)
        host.kill_daemon()
        host.expect_reach(host.new_cgroup("ci/late"), "203.0.113.99 7000", ok=False)
        host.start_daemon()
        host.expect_reach(host.new_cgroup("ci/later"), "203.0.113.99 7000", ok=False)
        host.expect_reach(job, f"shop.example {PORT}", ok=True)
        host.kill_daemon()
        host.policy("jobs", policy_for(jobs, f"shop.example:{PORT}"))
        host.start_daemon()
        host.expect_reach(host.root.path("ci/stranger"), "203.0.113.99 7000", ok=True)
        host.expect_reach(job, "203.0.113.99 7000", ok=False)


def scenario_nested_workloads_allow_what_all_of_them_allow():
    with Host(RECORDS) as host:
        outer = host.new_cgroup("team")
        inner = host.new_cgroup("team/agent")
        host.policy("outer", policy_for(outer, f"shop.example:{PORT}"))
        host.policy("inner", policy_for(inner, f"shop.example:{PORT}", f"bank.example:{PORT}"))
        host.start_daemon()
        expect(set(host.workloads()) == {"outer", "inner"}, f"{host.workloads()}")
        host.expect_reach(inner, f"shop.example {PORT}", ok=True)
        host.expect_reach(inner, f"bank.example {PORT}", ok=False)
        host.kill_daemon()
        host.start_daemon()
        host.expect_reach(inner, f"bank.example {PORT}", ok=False)
        host.send("POST", "/v1/teardown", {"workload": "outer", "reason": "test"}).ok()
        host.expect_reach(inner, f"bank.example {PORT}", ok=True)
        host.expect_reach(inner, "203.0.113.99 7000", ok=False)


def scenario_a_workload_that_can_be_held_only_partially_needs_allow_partial():
    with Host(RECORDS) as host:
        host.start_daemon()
        cgroup = host.new_cgroup("sniffer")
        sniffer = host.start_in(cgroup, [sys.executable, "-c", OPEN_PACKETS])
        expect(sniffer.stdout.readline().strip() == "open", "no packet socket")
        body = {"cgroup": cgroup, "policy_text": f'allow = [ "shop.example:{PORT}" ]\n'}
        refused = host.send("PUT", "/v1/workloads/sniffer", body).error(409)
        sentence = str(refused)
        expect("allow_partial" in sentence and "packet" in sentence.lower(), sentence)
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=True)  # nothing was armed
        change = host.send("PUT", "/v1/workloads/sniffer", {**body, "allow_partial": True}).ok()
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        workload = host.wait_until(
            lambda: (found := host.workloads()["sniffer"])["state"] == "partial" and found, "it is partial", 5
        )
        expect(workload["why"] != [], f"{change} {workload}")
        os.kill(sniffer.pid, 9)
