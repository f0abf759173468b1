"""deploy/systemd/namewalld.service, where no systemd runs: what it grants is enough, and nothing in it is wrong."""

import os
import shutil
import subprocess

from backends import children_wait
from daemon import Host
from internet.records import Record
from scenario import expect, require_program

PORT = 7001
RECORDS = [Record("shop.example", "A", "203.0.113.10")]
DEPLOY = os.path.join(os.path.dirname(__file__), "..", "..", "..", "deploy")
UNIT = os.path.join(DEPLOY, "systemd", "namewalld.service")
# seccomp cannot look into openat2's arguments, so systemd refuses the call altogether (systemd.exec(5)).
REFUSED_BY = {"RestrictSUIDSGID": {"openat2"}, "RestrictNamespaces": {"clone3", "unshare", "setns"}}


def settings(key):
    """The words of every `key=` line."""
    with open(UNIT) as unit:
        lines = [line.strip().split("=", 1) for line in unit if line.startswith(f"{key}=")]
    return [word for _, value in lines for word in value.split()]


def calls_of(group):
    """The names in a group of systemd.exec(5), with those of the groups in it."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
    names = set()
    for word in (line.strip() for line in done.stdout.splitlines()[1:]):
        if word.startswith("@"):
            names |= calls_of(word)
        elif word and not word.startswith("#"):
            names.add(word)
    return names


def permitted_calls():
    permitted = set()
    for word in settings("SystemCallFilter"):
        permitted |= calls_of(word) if word.startswith("@") else {word}
    for key, refused in REFUSED_BY.items():
        if settings(key) not in ([], ["no"]):
            permitted -= refused
    return permitted


class ConfinedHost(Host):
    """Its daemon is started by these words."""

    def __init__(self, prefix):
        super().__init__(RECORDS)
        self._prefix = prefix

    def daemon_argv(self, *more):
        return [*self._prefix(self), *super().daemon_argv(*more)]


def do_everything_once(host):
    """A template, a workload whose process has an older socket, proofs, an upgrade, a reload, a teardown."""
    parent, occupied = host.new_cgroup("jobs"), host.new_cgroup("occupied")
    host.policy("jobs", f'cgroup = "{parent}/*"\nallow = [ "shop.example:{PORT}" ]\n')
    host.start_daemon()
    child = host.new_child("jobs/one")
    host.expect_reach(child, f"shop.example {PORT}", ok=True)
    host.expect_reach(child, "203.0.113.99 7000", ok=False)
    holder = "import socket; s = socket.socket(); print('ready', flush=True); input()"
    process = host.start_in(occupied, ["/usr/bin/python3", "-c", holder])
    expect(process.stdout.readline() == "ready\n", "the older socket was not opened")
    body = {"cgroup": occupied, "policy_text": f'allow = [ "shop.example:{PORT}" ]\n', "allow_partial": True}
    host.send("PUT", "/v1/workloads/occupied", body).ok()
    # nft refuses what is no armed child of a template: the children are proved, each by itself.
    for name in ("jobs/one" if children_wait() else "jobs", "occupied"):
        proved(host, name)
    host.kill_daemon()
    host.start_daemon()
    host.expect_reach(child, "203.0.113.99 7000", ok=False)
    expect(host.send("POST", "/v1/reload").ok()["ok"], "the reload failed")
    host.send("POST", "/v1/teardown", {"reason": "all done"}).ok()


def proved(host, end):
    def is_so():
        found = [view for view in host.workloads().values() if view["cgroup"].endswith("/" + end)]
        return found and found[0]["proof"] != "" and found[0]

    view = host.wait_until(is_so, f"{end} is proved", 10)
    expect(view["proof"] == "passed", f"{view}")


def scenario_the_capabilities_of_the_unit_are_enough():
    capabilities = [word.removeprefix("CAP_").lower() for word in settings("CapabilityBoundingSet")]
    bounded = "-all," + ",".join(f"+{name}" for name in capabilities)
    with ConfinedHost(lambda _: ["setpriv", "--no-new-privs", "--bounding-set", bounded]) as host:
        do_everything_once(host)
        expect("helper" not in host.log_text(), host.log_text())


def scenario_the_system_calls_of_the_unit_are_enough():
    require_program("strace")
    require_program("systemd-analyze")
    permitted = permitted_calls()
    expect("read" in permitted and "mount" not in permitted, f"{sorted(permitted)}")
    # Traced is what the filter would refuse, and one call that is surely made; the rest runs at full speed. "?": not
    # every architecture has each. -D: the daemon stays the child of who started strace.
    traced = "trace=!" + ",".join(f"?{name}" for name in sorted(permitted - {"capset"}))
    strace = ["strace", "-D", "-f", "--seccomp-bpf", "-qqq", "-e", "signal=none", "-e", traced, "-A", "-o"]
    with ConfinedHost(lambda host: [*strace, host.path("calls")]) as host:
        do_everything_once(host)
        expect(host.stop_daemon() == 0, host.log_text())
        with open(host.path("calls")) as lines:
            # "<... capset resumed>": the end of a call whose beginning is a line of its own.
            calls = {line.split()[1].split("(")[0] for line in lines if line.split()[1] != "<..."}
        expect("capset" in calls, f"nothing was traced: {calls}")
        expect(calls == {"capset"}, f"the unit's filter would refuse {sorted(calls - {'capset'})}")


def scenario_systemd_finds_no_fault_in_units_and_drop_ins():
    require_program("systemd-analyze")
    with Host(RECORDS) as host:
        root = host.path("root", make=True)
        units = os.path.join(root, "usr/lib/systemd/system")
        shutil.copytree("/usr/lib/systemd/system", units, symlinks=True)
        for name in ("namewalld.service", "namewall.slice"):
            shutil.copy(os.path.join(DEPLOY, "systemd", name), units)
        for program in ("usr/sbin/namewalld", "usr/bin/namewall", "usr/bin/app", "bin/sh", "bin/kill"):
            path = os.path.join(root, program)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w"):
                os.chmod(path, 0o755)
        os.symlink("usr/lib", os.path.join(root, "lib"))
        with open(os.path.join(units, "app.service"), "w") as unit:
            unit.write("[Service]\nExecStartPre=/usr/bin/app prepare\nExecStart=/usr/bin/app\n")
        os.makedirs(os.path.join(root, "etc/namewall"))
        with open(os.path.join(root, "etc/namewall/100% $HOME.toml"), "w") as policy:
            policy.write('name = "app"\nallow = [ "shop.example" ]\n')
        enable = [host.binary, "unit", "enable", "app", "--policy", "/etc/namewall/100% $HOME.toml", "--root", root]
        done = subprocess.run(enable, capture_output=True, text=True, timeout=20)
        expect(done.returncode == 0, f"{done}")
        for unit in ("namewalld.service", "namewall.slice", "app.service"):
            argv = ["systemd-analyze", "verify", f"--root={root}", "--man=no", unit]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
            expect(done.returncode == 0 and done.stdout + done.stderr == "", f"{unit}: {done}")
