"""Where nftables enforces, no BPF takes part: no program, no map, no pin, not one call that would make them."""

import contextlib
import json
import os
import re
import subprocess

from backends import backend
from daemon import Host
from internet.cgroups import cgroup2_mount
from internet.records import Record
from scenario import expect, require_program

PORT = 7001
RECORDS = [Record("shop.example", "A", "203.0.113.10")]
STRACE = ["strace", "-f", "--seccomp-bpf", "-qqq", "-e", "signal=none", "-e", "trace=bpf,capset"]
MAKING = {"BPF_PROG_LOAD", "BPF_MAP_CREATE", "BPF_PROG_ATTACH", "BPF_LINK_CREATE", "BPF_OBJ_PIN", "BPF_BTF_LOAD"}


def bpf_descriptors(pid):
    """Of the process and its children: what they hold open of BPF."""
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        pids = [str(pid), *children.read().split()]
    links = []
    for one in pids:
        for entry in os.scandir(f"/proc/{one}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                links.append(os.readlink(entry.path))
    return [link for link in links if "bpf" in link]


def attached(cgroup):
    done = subprocess.run(["bpftool", "-j", "cgroup", "show", cgroup], capture_output=True, text=True, timeout=20)
    return json.loads(done.stdout.strip() or "[]")


def made(path):
    """The commands of bpf(2) that made something, in a file of strace."""
    with open(path) as lines:
        text = lines.read()
    expect("capset(" in text, f"nothing was traced: {text[:200]}")
    return MAKING & set(re.findall(r"bpf\((\w+)", text))


def scenario_a_host_has_bpf_only_where_bpf_enforces():
    require_program("strace")
    is_bpf = backend() == "bpf"
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", f'cgroup = "{cgroup}"\nallow = [ "shop.example:{PORT}" ]\n')
        host.start_daemon(wrapper=[*STRACE, "-D", "-o", host.path("calls")])
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        expect(host.send("POST", "/v1/workloads/builder/test").ok()["passed"], "the live proof does not pass")
        expect(bool(bpf_descriptors(host.daemon.pid)) == is_bpf, f"{bpf_descriptors(host.daemon.pid)}")
        programs = attached(cgroup2_mount() + cgroup)
        expect(bool(programs) == is_bpf, f"attached to {cgroup}: {programs}")
        expect(os.path.isdir(host.pins) == is_bpf, f"pins: {host.pins}")
        host.stop_daemon()
        calls = made(host.path("calls"))
        expect(("BPF_PROG_LOAD" in calls) == is_bpf and (is_bpf or not calls), f"bpf(2) was called for {calls}")


def scenario_a_run_has_bpf_only_where_bpf_enforces():
    require_program("strace")
    with Host(RECORDS) as host:
        argv = host.namewall_argv(
            ["--allow", f"shop.example:{PORT}"], host.client_argv("glibc", f"reach shop.example {PORT}")
        )
        done = host.run([*STRACE, "-o", host.path("calls"), *argv], env=host.environment)
        expect(done.returncode == 0 and '"ok":true' in done.stdout, f"{done}")
        calls = made(host.path("calls"))
        expect(calls == set() if backend() == "nft" else "BPF_PROG_LOAD" in calls, f"bpf(2) was called for {calls}")
