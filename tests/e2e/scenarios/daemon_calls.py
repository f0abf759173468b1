"""Workloads by call: PUT, PATCH, DELETE, teardown, and what a confined program may ask."""

import json
import os
import sys
import time

from daemon import Host
from internet.records import Record
from scenario import expect

PORT = 7001
RECORDS = [Record("shop.example", "A", "203.0.113.10"), Record("bank.example", "A", "203.0.113.20")]
ASK = """
import http.client, json, socket, sys
class C(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
c = C("x")
try:
    c.request(sys.argv[2], sys.argv[3], body=sys.argv[4] if len(sys.argv) > 4 else None)
except BrokenPipeError:  # refused by its headers alone: the answer is there before the body
    pass
r = c.getresponse()
print(json.dumps([r.status, json.loads(r.read())]))
"""


def policy_text(*allow):
    return "allow = [ " + ", ".join(f'"{entry}"' for entry in allow) + " ]\n"


def put(host, name, cgroup, *allow, **more):
    body = {"cgroup": cgroup, "policy_text": policy_text(*allow), "reason": "a test", **more}
    return host.send("PUT", f"/v1/workloads/{name}", body)


def ask_inside(host, cgroup, method, target, body=None):
    """A request of root inside the workload: (status, body)."""
    argv = [sys.executable, "-c", ASK, host.socket, method, target, *([json.dumps(body)] if body is not None else [])]
    out, err = host.start_in(cgroup, argv).communicate(timeout=20)
    expect(out.strip() != "", f"no answer: {err}")
    return json.loads(out)


def scenario_put_holds_patch_changes_delete_lifts():
    with Host(RECORDS) as host:
        host.start_daemon()
        cgroup = host.new_cgroup("sandbox")
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=True)
        change = put(host, "agent-1", cgroup, f"shop.example:{PORT}", labels={"team": "a"}).ok()
        expect(change["generation"] >= 1 and change["cgroup"] == cgroup, f"{change}")
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        expect(host.workloads()["agent-1"]["labels"] == {"team": "a"}, "labels are told")

        again = put(host, "agent-1", cgroup, f"bank.example:{PORT}").ok()
        expect(again["generation"] > change["generation"], f"{again}")
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=True)
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=False)

        rules = {"add_allow": [f"shop.example:{PORT}"], "remove_allow": [f"bank.example:{PORT}"], "reason": "more"}
        patched = host.send("PATCH", "/v1/workloads/agent-1", rules).ok()
        expect(patched["generation"] > again["generation"], f"{patched}")
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=False)

        lifted = host.send("DELETE", "/v1/workloads/agent-1", {"reason": "done"}).ok()["lifted"]
        expect(len(lifted) == 1 and "agent-1" in lifted[0], f"{lifted}")
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=True)
        with open(host.path("daemon/log/changes.jsonl")) as record:
            lines = [json.loads(line) for line in record]
        expect([line["reason"] for line in lines if line.get("workload") == "agent-1"][0] == "a test", f"{lines}")


def scenario_a_warm_sandbox_is_claimed_under_a_new_name():
    with Host(RECORDS) as host:
        parent = host.new_cgroup("pool")
        host.policy("pool", f'cgroup = "{parent}/*"\n' + policy_text(f"shop.example:{PORT}"))
        host.start_daemon()
        cgroup = host.new_cgroup("pool/warm-1")
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        put(host, "agent-7", cgroup, f"bank.example:{PORT}").ok()
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=True)
        host.expect_reach(cgroup, f"203.0.113.10 {PORT}", ok=False)
        host.kill_daemon()
        host.start_daemon()
        expect(host.workloads()["agent-7"]["origin"] == "api", f"{host.workloads()}")


def scenario_errors_of_calls_are_sentences_of_their_kind():
    with Host(RECORDS) as host:
        host.start_daemon()
        cgroup = host.new_cgroup("a")
        other = host.new_cgroup("b")
        put(host, "one", cgroup, f"shop.example:{PORT}").ok()
        put(host, "one", other, f"shop.example:{PORT}").error(409)
        put(host, "two", cgroup, f"shop.example:{PORT}").error(409)
        put(host, "two", host.root.path("nowhere"), f"shop.example:{PORT}").error(404)
        put(host, "two", other, "tcp://shop.example").error(422)
        host.send("PUT", "/v1/workloads/two", {"cgroup": other, "policy": "nobody"}).error(404)
        host.send("PATCH", "/v1/workloads/two", {"add_allow": ["a.example"]}).error(404)
        host.expect_reach(other, "203.0.113.99 7000", ok=True)  # nothing of it was armed


def scenario_a_workload_by_call_ends_with_its_cgroup():
    with Host(RECORDS) as host:
        host.start_daemon()
        cgroup = host.new_cgroup("short")
        put(host, "short", cgroup, f"shop.example:{PORT}").ok()
        os.rmdir(host.root.directory("short"))
        host.wait_until(lambda: host.workloads() == {}, "it is forgotten")


def scenario_after_its_time_a_workload_is_refused_everything():
    with Host(RECORDS) as host:
        host.start_daemon()
        cgroup = host.new_cgroup("timed")
        put(host, "timed", cgroup, f"shop.example:{PORT}", "203.0.113.99:7000", ttl="2s").ok()
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=True)
        host.wait_until(lambda: host.events(workload="timed", reason="time_over"), "its end is told", 5)
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        host.kill_daemon()
        host.start_daemon()
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        expect("its time is over: everything is refused" in host.workloads()["timed"]["why"], f"{host.workloads()}")


def scenario_a_confined_program_learns_why_and_changes_nothing():
    with Host(RECORDS) as host:
        host.start_daemon()
        cgroup = host.new_cgroup("inside")
        put(host, "inside", cgroup, f"shop.example:{PORT}").ok()
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        status, own = ask_inside(host, cgroup, "GET", "/v1/self")
        expect(status == 200 and own["confined"] and own["workload"] == "inside", f"{own}")
        expect("shop.example" in own["policy_text"], f"{own}")
        refusal = own["refusals"][-1]
        expect(refusal["reason"] == "not_looked_up" and refusal["retry"] is False, f"{refusal}")
        status, why = ask_inside(host, cgroup, "POST", "/v1/explain", {})
        expect(status == 200 and why["permit"] == "tcp://203.0.113.99:7000", f"{status} {why}")
        status, _ = ask_inside(host, cgroup, "PATCH", "/v1/workloads/inside", {"add_allow": ["203.0.113.99:7000"]})
        expect(status == 403, f"root inside the workload changed it: {status}")
        status, _ = ask_inside(host, cgroup, "POST", "/v1/teardown", {"workload": "inside", "reason": "out"})
        expect(status == 403, f"root inside the workload lifted it: {status}")
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)


def scenario_teardown_lifts_and_says_what():
    with Host(RECORDS) as host:
        host.policy("file", f'cgroup = "{host.new_cgroup("f")}"\n' + policy_text(f"shop.example:{PORT}"))
        host.start_daemon()
        put(host, "call", host.new_cgroup("c"), f"shop.example:{PORT}").ok()
        view = host.send("POST", "/v1/teardown", {"workload": "file", "reason": "maintenance"}).ok()
        expect(len(view["lifted"]) == 1, f"{view}")
        host.expect_reach(host.root.path("f"), "203.0.113.99 7000", ok=True)
        time.sleep(0.3)
        host.expect_reach(host.root.path("f"), "203.0.113.99 7000", ok=True)  # and nothing arms it again by itself
        view = host.send("POST", "/v1/teardown", {"reason": "all"}).ok()
        expect(len(view["lifted"]) == 1 and "call" in view["lifted"][0], f"{view}")
        put(host, "call", host.root.path("f"), f"shop.example:{PORT}").ok()  # a call may hold what a file no longer does
        host.expect_reach(host.root.path("f"), "203.0.113.99 7000", ok=False)


def scenario_a_refusal_is_an_event_within_50_ms():
    with Host(RECORDS) as host:
        host.start_daemon()
        cgroup = host.new_cgroup("quick")
        put(host, "quick", cgroup, f"shop.example:{PORT}").ok()
        late = []
        for port in range(7100, 7120):
            step = host.steps(cgroup, f"connect 203.0.113.99 {port}")[0]
            done = time.time()
            expect(not step["ok"], f"{step}")
            found = host.wait_until(
                lambda: [event for event in host.refusals("quick") if event["port"] == port], "the event is there", 2
            )
            expect(found[0]["permit"] == f"tcp://203.0.113.99:{port}", f"{found}")
            late.append(time.time() - done)
        print(f"slowest of {len(late)}: {max(late) * 1e3:.1f} ms, asked one after the other")
        expect(sorted(late)[len(late) * 9 // 10] < 0.05, f"events came late: {late}")


def scenario_a_service_arms_itself_and_is_not_partial_for_that():
    with Host(RECORDS) as host:
        host.start_daemon()
        cgroup = host.new_cgroup("app.service")
        policy = host.write("app.toml", 'name = "app"\n' + policy_text(f"shop.example:{PORT}"))
        arm = [host.binary, "arm", "--self", "--policy", policy, "--socket", host.socket]
        # As ExecStartPre=+ runs it: with every capability, in the cgroup that it arms.
        process = host.start_in(cgroup, arm)
        out, err = process.communicate(timeout=20)
        expect(process.returncode == 0, f"{process.returncode} {out} {err}")
        # Judged again within seconds where the process ended while its sockets were looked for.
        host.wait_until(lambda: host.workloads()["app"]["state"] == "enforcing", "it is judged")
        expect(host.workloads()["app"]["cgroup"] == cgroup, f'{host.workloads()["app"]}')
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        # Whoever stays with these rights is told of.
        other = host.new_cgroup("other.service")
        argv = [host.binary, "arm", "--cgroup", other, "--policy", policy, "--socket", host.socket, "--name", "other"]
        process = host.start_in(other, ["sh", "-c", '"$@"; exit $?', "sh", *argv])
        out, err = process.communicate(timeout=20)
        expect(process.returncode == 7 and "allow_partial" in err, f"{process.returncode} {out} {err}")
