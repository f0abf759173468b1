"""`arm`, `teardown` and `unit`: what is asked of the daemon, and what is written for systemd."""

import os
import subprocess
import tempfile

from fake_daemon import FakeDaemon, expect_run, namewall
from internet.cgroups import cgroup2_mount
from scenario import expect


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
