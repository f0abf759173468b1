"""Those who would be rid of the daemon's hold: processes inside workloads, users of the host, a full disk."""

import json
import os
import subprocess
import time

from backends import learns_for_lost_policies, nesting_bound
from daemon import Host
from internet.records import Record
from scenario import expect
from scenarios.daemon_calls import ask_inside, policy_text, put

PORT = 7001
DEEPEST = 16  # workloads nested in one another
RECORDS = [Record("shop.example", "A", "203.0.113.10"), Record("bank.example", "A", "203.0.113.20")]


def watched(cgroup, *allow):
    """A policy of a glob that is no template: its cgroups are armed as they appear."""
    return f'cgroup = "{cgroup}/*/app*"\n' + policy_text(*allow)


def nest(host, depth):
    """Cgroups in one another, all but the innermost armed by call; the innermost's path."""
    path = ""
    for level in range(1, depth + 1):
        path += f"/c{level}" if path else f"c{level}"
        cgroup = host.new_cgroup(path)
        if level < depth:
            put(host, f"n{level}", cgroup, f"shop.example:{PORT}").ok()
    return cgroup


def scenario_root_in_what_could_not_be_armed_is_inside_the_workload_around_it():
    with Host(RECORDS) as host:
        host.settings(nesting_bound(DEEPEST))
        host.start_daemon()
        cgroup = nest(host, DEEPEST + 1)
        host.policy("innermost", f'cgroup = "{cgroup}"\n' + policy_text(f"shop.example:{PORT}"))
        host.wait_until(lambda: host.workloads().get("innermost", {}).get("state") == "failed", "it is one too many")
        for method, target, body in (
            ("GET", "/v1/status", None),
            ("POST", "/v1/teardown", {"workload": "n1", "reason": "freedom"}),
            ("DELETE", f"/v1/workloads/n{DEEPEST}", {"reason": "freedom"}),
        ):
            status, answer = ask_inside(host, cgroup, method, target, body)
            expect(status == 403, f"{method} {target} from inside: {status} {answer}")
        status, own = ask_inside(host, cgroup, "GET", "/v1/self")
        expect(status == 200 and own["confined"] and own["workload"] == f"n{DEEPEST}", f"{own}")
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)

        # When there is room for it, nobody has to ask for it again.
        host.send("DELETE", "/v1/workloads/n1", {"reason": "room"}).ok()
        host.wait_until(lambda: host.workloads()["innermost"]["state"] == "enforcing", "it is tried again", 15)


def scenario_a_cgroup_with_the_name_of_a_probe_is_armed():
    with Host(RECORDS) as host:
        parent = host.new_cgroup("users")
        host.policy("users", f'cgroup = "{parent}/*-4711"\n' + policy_text(f"shop.example:{PORT}"))
        host.start_daemon()
        cgroup = host.new_cgroup("users/namewall-probe-4711")
        host.wait_until(lambda: cgroup in [w["cgroup"] for w in host.workloads().values()], "it is a workload")
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)


def scenario_a_probe_that_stays_inside_a_workload_is_armed_too():
    with Host(RECORDS) as host:
        outer = host.new_cgroup("outer")
        host.policy("outer", f'cgroup = "{outer}"\n' + policy_text(f"shop.example:{PORT}", f"bank.example:{PORT}"))
        host.policy("inner", f'cgroup = "{outer}/*-{os.getpid()}"\n' + policy_text(f"shop.example:{PORT}"))
        host.start_daemon()
        cgroup = host.new_cgroup(f"outer/namewall-probe-{os.getpid()}")  # the next proof sweeps those of the dead
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        host.wait_until(lambda: cgroup in [w["cgroup"] for w in host.workloads().values()], "it is a workload", 25)
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=False)
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)


def scenario_policies_that_others_may_write_are_not_read():
    with Host(RECORDS) as host:
        cgroups = {name: host.new_cgroup(name) for name in ("foreign", "grouped", "good")}
        files = {
            name: host.policy(name, f'cgroup = "{cgroup}"\n' + policy_text(f"shop.example:{PORT}"))
            for name, cgroup in cgroups.items()
        }
        os.chown(files["foreign"], 64399, 0)
        os.chown(files["grouped"], 0, 64399)
        os.chmod(files["grouped"], 0o664)
        host.start_daemon()
        states = {policy["file"]: policy for policy in host.get("/v1/status")["policies"]}
        expect("belongs to uid 64399" in states["foreign.toml"]["error"], f"{states}")
        expect("may be written by others" in states["grouped.toml"]["error"], f"{states}")
        expect(list(host.workloads()) == ["good"], f"{host.workloads()}")

        # What is in force stays so when its file is given away, or the whole folder is opened.
        os.chown(files["good"], 64399, 0)
        with open(files["good"], "a") as out:
            out.write("# anything\n")
        answer = host.send("POST", "/v1/reload", {}).body
        expect(not answer["ok"] and "good.toml" in " ".join(answer["errors"]), f"{answer}")
        os.chown(files["good"], 0, 0)
        os.chmod(host.path("daemon/config/policies.d"), 0o777)
        answer = host.send("POST", "/v1/reload", {}).body
        expect(not answer["ok"] and "may be written by others" in " ".join(answer["errors"]), f"{answer}")
        host.expect_reach(cgroups["good"], "203.0.113.99 7000", ok=False)


def scenario_an_older_policy_of_the_state_file_opens_nothing():
    with Host(RECORDS) as host:
        state = host.path("daemon/state")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", state], check=True)
        try:
            host.start_daemon()
            cgroup = host.new_cgroup("sandbox")
            put(host, "agent", cgroup, f"shop.example:{PORT}", "203.0.113.99:7000", labels={"team": "a"}).ok()
            host.expect_reach(cgroup, "203.0.113.99 7000", ok=True)
            host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
            with open(f"{state}/filler", "wb", buffering=0) as filler:
                try:
                    while True:
                        filler.write(bytes(4096))
                except OSError:
                    pass  # full
            # Longer than the rest of the state file's last page.
            narrow = [f"bank.example:{PORT}", *(f"host-{number}.bank.example:443" for number in range(400))]
            put(host, "agent", cgroup, *narrow).ok()
            host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
            host.expect_reach(cgroup, f"bank.example {PORT}", ok=True)
            host.kill_daemon()
            os.unlink(f"{state}/filler")
            host.start_daemon()
            host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
            host.expect_reach(cgroup, f"shop.example {PORT}", ok=False)
            host.expect_reach(cgroup, f"203.0.113.10 {PORT}", ok=False)
            host.expect_reach(cgroup, f"203.0.113.20 {PORT}", ok=True)
            host.expect_reach(cgroup, f"bank.example {PORT}", ok=learns_for_lost_policies())
            warning = "agent: the kernel holds it to a newer policy"
            host.wait_until(lambda: warning in " ".join(host.get("/v1/status")["warnings"]), "it is said")
            put(host, "agent", cgroup, f"shop.example:{PORT}").ok()
            host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        finally:
            host.kill_daemon()
            subprocess.run(["umount", state], check=True)


def scenario_a_link_among_the_pins_is_not_followed_by_root():
    with Host(RECORDS) as host:
        victim = host.path("victim", make=True)
        os.chmod(victim, 0o755)
        os.mkdir(host.pins, 0o700)
        os.chown(host.pins, 64321, 64321)
        os.symlink(victim, f"{host.pins}/v1")
        try:
            code = host.start_daemon(wait=False).wait(timeout=20)
            expect(code != 0 and "is a symbolic link" in host.log_text(), f"{code} {host.log_text()}")
            status = os.stat(victim)
            expect((status.st_mode & 0o777, status.st_uid) == (0o755, 0), f"{status}")
        finally:
            os.unlink(f"{host.pins}/v1")


def scenario_cgroups_that_come_and_go_leave_nothing_behind():
    with Host(RECORDS) as host:
        parent = host.new_cgroup("users")
        host.policy("users", watched(parent, f"shop.example:{PORT}"))
        host.start_daemon()
        user = host.new_cgroup("users/u")
        for number in range(400):
            host.new_cgroup(f"users/u/app-{number}")
            os.rmdir(host.root.directory(f"users/u/app-{number}"))
        host.wait_until(lambda: host.workloads() == {}, "all are forgotten")
        status = host.get("/v1/status")
        expect(status["state"] == "enforcing" and not status["why"], f"{json.dumps(status)}")
        cgroup = host.new_cgroup("users/u/app")
        host.wait_until(lambda: len(host.workloads()) == 1, f"the next one below {user} is armed")
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)


def scenario_lifting_a_template_leaves_nobody_who_only_seems_held():
    with Host(RECORDS) as host:
        parent = host.new_cgroup("pool")
        host.policy("pool", f'cgroup = "{parent}/*"\n' + policy_text(f"shop.example:{PORT}"))
        host.start_daemon()
        cgroups = {name: host.new_cgroup(f"pool/{name}") for name in ("claimed", "met")}
        for cgroup in cgroups.values():
            host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        put(host, "agent", cgroups["claimed"], f"bank.example:{PORT}").ok()
        expect(len(host.workloads()) == 3, f"{host.workloads()}")
        lift = {"workload": "pool", "reason": "a test"}
        answer = host.send("POST", "/v1/teardown", lift)
        answer.error(409)
        expect("agent" in answer.text, f"{answer.text}")
        host.expect_reach(cgroups["claimed"], f"shop.example {PORT}", ok=False)

        host.send("DELETE", "/v1/workloads/agent", {"reason": "first"}).ok()
        host.send("POST", "/v1/teardown", lift).ok()
        host.expect_reach(cgroups["met"], "203.0.113.99 7000", ok=True)
        expect(host.workloads() == {}, f"what nothing holds is not listed: {host.workloads()}")


def scenario_the_record_tells_who_changed_what_and_what_ended_by_itself():
    with Host(RECORDS) as host:
        host.start_daemon()
        cgroup = host.new_cgroup("timed")
        put(host, "timed", cgroup, f"shop.example:{PORT}", ttl="1s").ok()
        host.wait_until(lambda: host.events(workload="timed"), "its time is over")
        time.sleep(0.1)
        with open(host.path("daemon/log/changes.jsonl")) as record:
            lines = [json.loads(line) for line in record]
        expect([line["action"] for line in lines] == ["arm", "end"], f"{lines}")
        peer = lines[0]["peer"]
        expect(peer["pid"] == os.getpid() and "python" in peer["executable"], f"{peer}")
        expect(lines[1]["old_sha256"] == lines[0]["new_sha256"] and lines[1]["reason"], f"{lines}")
