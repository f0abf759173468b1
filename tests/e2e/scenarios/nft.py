"""nftables alone: `namewall run --backend nft`, a host whose host.toml says so, and policies that change sides. No BPF
program is loaded where nothing needs one."""

import json
import re
import time

from daemon import Host
from internet.namespaces import run
from internet.records import Record
from scenario import Scene, expect, expect_refusal, expect_step, require_program

PORT = 7001
RESOLVER = "198.51.100.53"
RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("shop.example", "AAAA", "2001:db8:203::10"),
    Record("bank.example", "A", "203.0.113.20"),
]
POLICY = f'allow = [ "shop.example:{PORT}" ]\n'


def tables(scene):
    out = run(*scene.client.command(["nft", "-j", "list", "tables"]))
    return {item["table"]["name"] for item in json.loads(out)["nftables"] if "table" in item}


def loads_of(path):
    """The commands of bpf(2) by which something was loaded or attached, of strace's output."""
    with open(path) as trace:
        return re.findall(r"bpf\((BPF_PROG_LOAD|BPF_MAP_CREATE|BPF_PROG_ATTACH|BPF_LINK_CREATE|BPF_BTF_LOAD)", trace.read())


def nft_host(host, backend="nft"):
    with open(host.path("daemon/config/host.toml"), "w") as out:
        out.write(f'backend = "{backend}"\n')


def scenario_a_run_reaches_what_its_policy_names():
    require_program("nft")
    with Scene(RECORDS) as scene:
        for client in ("glibc", "musl", "cares", "python"):
            done = scene.namewall(
                ["--backend", "nft", "--allow", f"shop.example:{PORT}"],
                scene.client_argv(client, f"reach shop.example {PORT} lookup bank.example connect 203.0.113.20 {PORT}"),
            )
            expect_step(done, 0, ok=True)
            expect_step(done, 1, ok=False, quicker_ms=3000)
            expect_step(done, 2, ok=False, error="ECONNREFUSED", quicker_ms=3000)
            expect_refusal(done, "name_not_allowed", name="bank.example")
            expect_refusal(done, "not_looked_up", address="203.0.113.20")
        expect(not scene.asked("bank.example"), "a refused question left the host")
        expect(not tables(scene), f"tables are left: {tables(scene)}")


def scenario_a_run_asks_over_tcp():
    with Scene(RECORDS) as scene:
        dig = "dig +tcp +noall +answer +comments +time=2 +tries=1"
        done = scene.namewall(
            ["--backend", "nft", "--allow", f"shop.example:{PORT}"],
            ["sh", "-c", f"{dig} shop.example; {dig} bank.example"],
        )
        expect("203.0.113.10" in done.out, "the allowed name has no address", done)
        expect("NXDOMAIN" in done.out, "the refused name was not refused", done)


def scenario_a_run_loads_no_bpf_program():
    require_program("strace")
    with Scene(RECORDS) as scene:
        trace = scene.path("run.strace")
        argv = scene.namewall_argv(["--backend", "nft", "--allow", f"shop.example:{PORT}"], ["true"])
        traced = scene.start(["strace", "-f", "-e", "trace=bpf", "-o", trace, *argv], "etc")
        _, err = traced.communicate(timeout=20)
        expect(traced.returncode == 0, err)
        expect(loads_of(trace) == [], f"bpf(2) was asked for {loads_of(trace)}")


def scenario_a_host_without_bpf_enforces_and_teaches():
    require_program("strace")
    with Host(RECORDS) as host:
        nft_host(host)
        cgroup = host.new_cgroup("build")
        host.policy("builder", f'cgroup = "{cgroup}"\n{POLICY}')
        trace = host.path("daemon.strace")
        host.start_daemon(wrapper=("strace", "-D", "-f", "-e", "trace=bpf", "-o", trace))
        for client in ("glibc", "musl", "cares", "python"):
            step = host.expect_reach(cgroup, f"shop.example {PORT}", ok=True, client=client)
            expect(len(step["addresses"]) == 2, f"{client} must get both families: {step}")
            step = host.steps(cgroup, "lookup bank.example", client)[0]
            expect(not step["ok"] and step["ms"] < 3000, f"{client} is not refused at once: {step}")
        step = host.expect_reach(cgroup, f"203.0.113.20 {PORT}", ok=False)
        expect(step["error"] == "ECONNREFUSED" and step["ms"] < 3000, f"{step}")
        host.wait_until(
            lambda: any(event["reason"] == "not_looked_up" for event in host.refusals("builder")), "an event of it"
        )
        view = host.get("/v1/workloads/builder")["workload"]
        expect(view["backend"] == "nft" and view["dns"] == "proxy", f"{view}")
        host.wait_until(lambda: host.workloads()["builder"]["proof"] == "passed", "the live proof passes")
        expect(host.stop_daemon() == 0, host.log_text())
        host.expect_reach(cgroup, f"203.0.113.20 {PORT}", ok=False)
        expect(loads_of(trace) == [], f"bpf(2) was asked for {loads_of(trace)}")
        host.start_daemon()
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)


def scenario_a_policy_changes_sides_without_a_gap():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        text = f'cgroup = "{cgroup}"\n'
        host.policy("builder", text + POLICY)
        host.start_daemon()
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        for backend in ("nft", "bpf", "nft"):
            host.policy("builder", text + f'backend = "{backend}"\n' + POLICY)
            host.wait_until(
                lambda wanted=backend: host.workloads()["builder"]["backend"] == wanted, f"it is held by {backend}"
            )
            host.expect_reach(cgroup, f"203.0.113.10 {PORT}", ok=True)  # learned before
            host.expect_reach(cgroup, f"203.0.113.20 {PORT}", ok=False)
            host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)


def scenario_children_of_a_template_are_armed_one_by_one():
    with Host(RECORDS) as host:
        nft_host(host)
        parent = host.new_cgroup("ci")
        host.policy("jobs", f'cgroup = "{parent}/*"\n{POLICY}')
        host.start_daemon()
        for job in ("one", "two"):
            cgroup = host.new_cgroup(f"ci/{job}")
            host.wait_until(lambda name=f"jobs:{job}": name in host.workloads(), f"{job} is armed", 3)
            host.expect_reach(cgroup, f"203.0.113.10 {PORT}", ok=False)
            host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        expect(host.workloads()["jobs:two"]["state"] == "enforcing", f"{host.workloads()}")


def scenario_a_process_in_a_network_namespace_of_its_own_is_found_there():
    with Host(RECORDS) as host:
        nft_host(host)
        cgroup = host.new_cgroup("build")
        host.policy("builder", f'cgroup = "{cgroup}"\n{POLICY}')
        host.start_daemon()
        other = host.start_in(
            cgroup, ["unshare", "--net", "sh", "-c", "ip link set lo up; read line; exec nft list ruleset"]
        )


        def is_told():
            view = host.workloads()["builder"]
            return view["state"] == "partial" and any("network namespace" in why for why in view["why"])

        host.wait_until(is_told, "it is told of as partial")
        time.sleep(1)
        out, err = other.communicate("go\n", timeout=10)
        expect("table inet namewall" in out, f"no table there: {out} {err}\n{host.log_text()}")
        host.wait_until(lambda: not is_told(), "it has left", 6)
