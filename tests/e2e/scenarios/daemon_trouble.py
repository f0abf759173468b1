"""What the daemon says and does when something that it relies on is missing."""

import os
import signal
import subprocess
import time
import urllib.request

from backends import needed_capabilities
from daemon import Host
from internet.records import Record
from scenario import expect

PORT = 7001
RECORDS = [Record("shop.example", "A", "203.0.113.10")]


def policy_for(cgroup):
    return f'cgroup = "{cgroup}"\nallow = [ "shop.example:{PORT}" ]\n'


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(child) for child in children.read().split()]


def scenario_without_its_helper_enforcement_and_calls_go_on():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_for(cgroup))
        host.start_daemon()
        (helper,) = children_of(host.daemon.pid)
        os.kill(helper, signal.SIGKILL)
        status = host.wait_until(
            lambda: (found := host.get("/v1/status"))["warnings"] and found, "status warns of the helper"
        )
        expect("helper" in status["warnings"][0] and "restart" in status["warnings"][0], f"{status}")
        expect(host.events(reason="helper_ended") != [], "no event tells of it")
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        other = host.new_cgroup("other")
        body = {"cgroup": other, "policy_text": f'allow = [ "shop.example:{PORT}" ]\n'}
        host.send("PUT", "/v1/workloads/other", body).ok()
        host.expect_reach(other, "203.0.113.99 7000", ok=False)
        host.kill_daemon()
        host.start_daemon()
        expect(host.get("/v1/status")["warnings"] == [], f"{host.get('/v1/status')['warnings']}")


def scenario_a_helper_that_hangs_delays_a_call_by_a_fifth_of_a_second_at_most():
    with Host(RECORDS) as host:
        host.start_daemon()
        (helper,) = children_of(host.daemon.pid)
        cgroup = host.new_cgroup("other")
        sleeper = host.start_in(cgroup, ["sleep", "60"])
        host.wait_until(lambda: host.root.is_populated("other"), "a process is in it")
        body = {"cgroup": cgroup, "policy_text": f'allow = [ "shop.example:{PORT}" ]\n'}
        os.kill(helper, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            refused = host.send("PUT", "/v1/workloads/other", body).error(409)
            took = time.monotonic() - begin
            expect("try again" in refused["sentence"], f"{refused}")
            host.send("PUT", "/v1/workloads/other", {**body, "allow_partial": True}).ok()
            host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        finally:
            os.kill(helper, signal.SIGCONT)
        sleeper.kill()
        print(f"answered after {took * 1e3:.0f} ms")
        expect(took < 1, f"{took:.2f} s")


def scenario_a_start_without_the_rights_says_so():
    with Host(RECORDS) as host:
        without = f"--bounding-set=-{needed_capabilities()[0]}"
        for drop in (["--reuid=64321", "--clear-groups"], [without, "--inh-caps=-all"]):
            argv = host.client.command(["setpriv", *drop, *host.daemon_argv()])
            done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
            expect(done.returncode == 5, f"{drop}: exit code {done.returncode}: {done.stderr}")
            expect(done.stderr.count("\n") == 1 and done.stderr.startswith("namewalld: "), f"{drop}: {done.stderr}")
            print(done.stderr.strip())


def scenario_the_log_has_what_its_level_says():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_for(cgroup))
        for level, is_told in (("info", True), ("error", False)):
            host.settings(f'[log]\nlevel = "{level}"\n')
            host.start_daemon()
            host.stop_daemon()
            expect(("stopped" in host.log_text()) == is_told, f"{level}: {host.log_text()}")


def scenario_metrics_are_told_to_a_loopback_listener_where_one_is_wanted():
    with Host(RECORDS) as host:
        host.policy("builder", policy_for(host.new_cgroup("build")))
        host.settings('[metrics]\nlisten = "127.0.0.1:9469"\n')
        host.start_daemon()

        def read_metrics():
            with host.client.entered():
                with urllib.request.urlopen("http://127.0.0.1:9469/metrics", timeout=5) as answer:
                    return answer.read().decode()

        text = read_metrics()
        expect('namewall_policy_info{' in text and "builder" in text, text[:500])
        host.settings("")
        host.send("POST", "/v1/reload").ok()
        try:
            read_metrics()
        except OSError:
            return
        expect(False, "the listener outlives its setting")
