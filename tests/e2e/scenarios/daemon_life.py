"""Life and death: what happens to the daemon changes nothing for the workloads. The numbers of CI; NAMEWALL_SOAK=1
gives the full ones."""

import glob
import json
import os
import random
import shutil
import subprocess
import time

from backends import learns_in_kernel
from daemon import Host, USER
from internet.records import Record
from scenario import expect
from service_manager import ListeningManager

PORT = 7001
RECORDS = [Record("shop.example", "A", "203.0.113.10"), Record("bank.example", "A", "203.0.113.20")]
IS_SOAK = os.environ.get("NAMEWALL_SOAK") == "1"


# A load asks as fast as it can, which is more than one workload may ask the proxy by default: 2000 a second.
ANY_RATE = "bounds = { per_second = 1000000 }"


def allow(*entries):
    return "allow = [ " + ", ".join(f'"{entry}"' for entry in entries) + " ]\n"


def start_load(host, cgroups):
    shutil.copy(os.path.join(os.path.dirname(os.path.dirname(__file__)), "clients", "load.py"), host.path("clients"))
    argv = ["/usr/bin/python3", host.path("clients/load.py"), "shop.example", str(PORT), "203.0.113.99", "7000"]
    processes = [host.start_in(cgroup, argv) for cgroup in cgroups]
    for process in processes:
        expect(process.stdout.readline().strip() == "ready", "the load did not start")
    return processes


def end_load(processes):
    """What all of them counted; nothing may have gone wrong."""
    total = {"lookups": 0, "allowed": 0, "refused": 0}
    for process in processes:
        out, err = process.communicate(timeout=60)
        expect(out.strip() != "", f"a load ended early: {process.returncode} {err}")
        report = json.loads(out)
        expect(report["wrong"] == [], f"wrong verdicts: {report['wrong']}")
        for key, count in report["counts"].items():
            expect(count > 0, f"no {key}: the load has shown nothing")
            total[key] += count
    return total


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def pins_of(host):
    return sum(len(files) for _, _, files in os.walk(host.pins))


def descriptors_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def hold_many(host, count):
    cgroups = []
    for number in range(count):
        cgroup = host.new_cgroup(f"w{number}")
        host.policy(f"w{number}", f'cgroup = "{cgroup}"\n' + allow(f"shop.example:{PORT}") + f"[dns]\n{ANY_RATE}\n")
        cgroups.append(cgroup)
    return cgroups


def starter(host):
    """start_daemon; where lookups need one, with a service manager that holds its sockets meanwhile."""
    if learns_in_kernel():
        return host.start_daemon
    manager = host.own(ListeningManager(host.path("notify.sock")))
    return lambda **options: manager.start(host, **options)


def scenario_kill_9_in_a_loop_under_load_gives_no_wrong_verdict():
    kills = 200 if IS_SOAK else 15
    with Host(RECORDS) as host:
        cgroups = hold_many(host, 20)
        start_daemon = starter(host)
        start_daemon()
        ids = {name: workload["workload_id"] for name, workload in host.workloads().items()}
        expect(len(ids) == 20, f"{len(ids)} workloads")
        load = start_load(host, cgroups)
        generator = random.Random(5)
        for kill in range(kills):
            time.sleep(generator.uniform(0, 0.1))
            host.kill_daemon()
            # Now and then the next one dies while it starts.
            start_daemon(wait=kill % 3 != 0)
            if kill % 3 == 0:
                time.sleep(generator.uniform(0, 0.3))
        host.wait_until(host.is_serving, "the last daemon serves", 15)
        total = end_load(load)
        after = {name: workload["workload_id"] for name, workload in host.workloads().items()}
        expect(after == ids, "a workload has another id than before")
        print(f"{kills} kills, 0 wrong of {total}")


def scenario_reloads_in_a_loop_under_load_give_no_wrong_verdict_and_no_growth():
    count = 10_000 if IS_SOAK else 200
    with Host(RECORDS) as host:
        cgroups = hold_many(host, 4)
        host.start_daemon()
        load = start_load(host, cgroups)

        def reload(number):
            more = "bank.example" if number % 2 else "other.example"
            for index, cgroup in enumerate(cgroups):
                text = f'cgroup = "{cgroup}"\n' + allow(f"shop.example:{PORT}", f"{more}:{PORT}")
                text += f"[dns]\n{ANY_RATE}\n"
                host.policy(f"w{index}", text)
            view = host.send("POST", "/v1/reload").ok()
            expect(view["ok"], f"{view}")

        def sizes():
            time.sleep(7)  # rules that no program reads any more go when the house is kept next, each 5 s
            pid = host.daemon.pid
            return resident_kib(pid), pins_of(host), descriptors_of(pid), host.kernel_entries()

        warm = count // 2  # memory is at its height after about 300: 24 MiB, whatever the count
        for number in range(warm):
            reload(number)
        before = sizes()
        begin = time.monotonic()
        for number in range(warm, count):
            reload(number)
        each = (time.monotonic() - begin) / (count - warm)
        after = sizes()
        total = end_load(load)
        print(f"{count} reloads, {each * 1000:.1f} ms each, 0 wrong of {total}")
        print(f"KiB, pins, descriptors, map entries {before} -> {after}")
        expect(after[0] < before[0] + 4096, f"memory grew from {before[0]} to {after[0]} KiB")
        expect(after[1] <= before[1] + 8, f"pins grew from {before[1]} to {after[1]}")
        expect(after[2] <= before[2] + 8, f"descriptors grew from {before[2]} to {after[2]}")
        expect(after[3] <= before[3] + 16, f"map entries grew from {before[3]} to {after[3]}")


def scenario_a_start_adopts_what_it_finds():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", f'cgroup = "{cgroup}"\n' + allow(f"shop.example:{PORT}"))
        host.start_daemon()
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        before = host.workloads()["builder"]
        host.kill_daemon()
        host.expect_reach(cgroup, f"203.0.113.10 {PORT}", ok=True)
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        host.start_daemon()
        after = host.workloads()["builder"]
        for key in ("workload_id", "generation", "cgroup_id", "policy_sha256"):
            expect(after[key] == before[key], f"{key}: {before[key]} became {after[key]}")
        status = host.get("/v1/status")
        expect(status["grants_adopted"] >= 1, f"{status}")
        started = host.events(reason="started")[-1]["sentence"]
        expect(started.startswith("adopted 1 workloads"), started)
        host.expect_reach(cgroup, f"203.0.113.10 {PORT}", ok=True)
        print(started)


def scenario_sigterm_ends_the_daemon_and_not_what_it_holds():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", f'cgroup = "{cgroup}"\n' + allow(f"shop.example:{PORT}"))
        host.start_daemon()
        expect(host.stop_daemon() == 0, host.log_text())
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=learns_in_kernel())


def scenario_a_workload_that_nobody_knows_stays_held():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("orphan")
        host.policy("orphan", f'cgroup = "{cgroup}"\n' + allow(f"shop.example:{PORT}"))
        host.start_daemon()
        host.kill_daemon()
        os.unlink(host.path("daemon/config/policies.d/orphan.toml"))
        os.unlink(host.path("daemon/state/state.json"))
        host.start_daemon()
        (workload,) = host.workloads().values()
        expect(workload["state"] == "adopted" and "teardown" in workload["why"][0], f"{workload}")
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        host.send("POST", "/v1/teardown", {"workload": workload["name"], "reason": "unknown"}).ok()
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=True)


def scenario_a_file_that_is_broken_or_gone_at_the_start_keeps_its_policy():
    with Host(RECORDS) as host:
        cgroups = {name: host.new_cgroup(name) for name in ("broken", "gone")}
        for name, cgroup in cgroups.items():
            host.policy(name, f'cgroup = "{cgroup}"\n' + allow(f"shop.example:{PORT}"))
        host.start_daemon()
        before = host.workloads()
        host.kill_daemon()
        host.policy("broken", f'cgroup = "{cgroups["broken"]}"\nalow = []\n')
        os.unlink(host.path("daemon/config/policies.d/gone.toml"))
        host.start_daemon()
        files = {file["policy"]: file for file in host.get("/v1/status")["policies"]}
        expect(files["broken"]["error"].startswith("broken.toml:3:1"), f"{files}")
        for name, cgroup in cgroups.items():
            expect(files[name]["state"] == "kept", f"{files}")
            workload = host.workloads()[name]
            expect(workload["state"] == "enforcing" and workload["origin"] == "file", f"{workload}")
            expect(workload["generation"] == before[name]["generation"], f"{before[name]} became {workload}")
            host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
            host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        host.send("POST", "/v1/teardown", {"workload": "gone", "reason": "test"}).ok()
        host.expect_reach(cgroups["gone"], "203.0.113.99 7000", ok=True)
        host.kill_daemon()
        host.start_daemon()
        expect(list(host.workloads()) == ["broken"], f"{host.workloads()}")


def scenario_what_a_teardown_lifted_stays_lifted_until_its_file_changes():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        text = f'cgroup = "{cgroup}"\n' + allow(f"shop.example:{PORT}")
        host.policy("builder", text)
        host.start_daemon()
        host.send("POST", "/v1/teardown", {"workload": "builder", "reason": "test"}).ok()

        def expect_lifted(when):
            expect(host.workloads() == {}, f"{when}: {host.workloads()}")
            warnings = host.get("/v1/status")["warnings"]
            expect(any(cgroup in warning and "lifted" in warning for warning in warnings), f"{when}: {warnings}")

        expect_lifted("after the teardown")
        host.send("POST", "/v1/reload").ok()
        expect_lifted("after a reload")
        host.policy("builder", "# the same policy\n" + text)
        host.send("POST", "/v1/reload").ok()
        expect_lifted("after a comment")
        host.kill_daemon()
        host.start_daemon()
        expect_lifted("after a kill")
        os.rmdir(host.root.directory("build"))
        host.new_cgroup("build")
        host.stop_daemon()
        host.start_daemon()
        expect_lifted("after its cgroup was made anew")
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=True)
        host.policy("builder", f'cgroup = "{cgroup}"\n' + allow(f"bank.example:{PORT}"))
        host.wait_until(lambda: "builder" in host.workloads(), "the changed file is armed")
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        expect(host.get("/v1/status")["warnings"] == [], f"{host.get('/v1/status')['warnings']}")


def scenario_deleted_pins_are_noticed_and_put_back_within_5_s():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", f'cgroup = "{cgroup}"\n' + allow(f"shop.example:{PORT}"))
        host.start_daemon()
        victims = [sorted(glob.glob(f"{host.pins}/v*/layer0/{part}/*"))[0] for part in ("maps", "programs-*")]
        for victim in victims:
            os.unlink(victim)
        begin = time.monotonic()
        host.wait_until(lambda: all(map(os.path.exists, victims)), f"{victims} are there again", 8)
        took = time.monotonic() - begin
        status = host.wait_until(
            lambda: (found := host.get("/v1/status"))["damage_repaired"] > 0 and found, "the repair is counted", 2
        )
        expect(status["last_damage"] != "" and host.events(reason="damage_repaired") != [], f"{status}")
        host.expect_reach(cgroup, "203.0.113.99 7000", ok=False)
        host.kill_daemon()
        host.start_daemon()
        expect(host.workloads()["builder"]["state"] == "enforcing", f"{host.workloads()}")
        print(f"noticed and repaired after {took:.2f} s: {status['last_damage']}")
        expect(took < 5, f"{took:.2f} s")


def scenario_every_pin_may_go_at_once_and_comes_back():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        parent = host.new_cgroup("ci")
        host.policy("builder", f'cgroup = "{cgroup}"\n' + allow(f"shop.example:{PORT}"))
        host.policy("jobs", f'cgroup = "{parent}/*"\n' + allow(f"shop.example:{PORT}"))
        host.start_daemon()
        job = host.new_cgroup("ci/job-1")
        host.expect_reach(job, f"shop.example {PORT}", ok=True)
        time.sleep(1)  # the spare tables are made
        victims = sorted(path for path in glob.glob(f"{host.pins}/**", recursive=True) if os.path.isfile(path))
        begin = time.monotonic()
        for victim in victims:
            os.unlink(victim)
        host.wait_until(lambda: all(map(os.path.exists, victims)), "every pin is there again", 8)
        took = time.monotonic() - begin
        host.kill_daemon()
        host.start_daemon()
        expect(all(w["state"] == "enforcing" for w in host.workloads().values()), f"{host.workloads()}")
        for held in (cgroup, job, host.new_cgroup("ci/job-2")):
            host.expect_reach(held, f"shop.example {PORT}", ok=True)
            host.expect_reach(held, "203.0.113.99 7000", ok=False)
        print(f"{len(victims)} pins, repaired after {took:.2f} s")
        expect(took < 5, f"{took:.2f} s")


def scenario_a_version_that_is_not_known_is_not_touched():
    with Host(RECORDS) as host:
        host.start_daemon()
        host.stop_daemon()
        uid, gid = (int(part) for part in USER.split(":"))
        os.mkdir(f"{host.pins}/v999", 0o700)
        os.chown(f"{host.pins}/v999", uid, gid)
        host.start_daemon(wait=False)
        host.daemon.wait(timeout=10)
        expect(host.daemon.returncode == 7, f"exit code {host.daemon.returncode}: {host.log_text()}")
        expect("v999" in host.log_text() or "version" in host.log_text(), host.log_text())
        expect(os.path.isdir(f"{host.pins}/v999"), "it was removed")


def scenario_a_second_daemon_is_refused():
    with Host(RECORDS) as host:
        first = host.start_daemon()
        second = subprocess.run(host.client.command(host.daemon_argv()), capture_output=True, text=True, timeout=20)
        expect(second.returncode == 7 and second.stderr.count("\n") == 1, f"{second}")
        expect(first.poll() is None and host.is_serving(), "the first one is gone")


def scenario_check_tells_every_error_and_changes_nothing():
    with Host(RECORDS) as host:
        host.policy("good", f'cgroup = "{host.root.path("x")}"\n' + allow(f"shop.example:{PORT}"))
        done = subprocess.run(host.daemon_argv("--check"), capture_output=True, text=True, timeout=20)
        expect(done.returncode == 0 and done.stderr == "", f"{done}")
        host.policy("bad", f'cgroup = "{host.root.path("y")}"\nalow = []\n')
        done = subprocess.run(host.daemon_argv("--check"), capture_output=True, text=True, timeout=20)
        expect(done.returncode == 1 and "bad.toml:3:1" in done.stderr, f"{done}")
        expect(not os.path.exists(host.pins), "it made pins")
        done = subprocess.run(host.daemon_argv("--no-such-option"), capture_output=True, text=True, timeout=20)
        expect(done.returncode == 125 and done.stderr.count("\n") == 1, f"{done}")
