"""Groups of endpoints, tests inside policies, and conflicts that are found before anything is enforced."""

import json
import os
import subprocess
import tempfile

from daemon import Host
from internet.records import Record
from scenario import Scene, expect

PORT = 7001
RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("bank.example", "A", "203.0.113.20"),
]


def check(*argv, groups="/nowhere"):
    """`namewall check` as it ends."""
    return subprocess.run(
        [os.environ["NAMEWALL_E2E_BINARY"], "check", *argv],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "NAMEWALL_GROUPS": groups},
    )


class Files:
    """A folder for one test, with groups in its folder `groups`."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="namewall-test-")

    def __enter__(self):
        self.groups = os.path.join(self._folder.name, "groups")
        os.mkdir(self.groups)
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def write(self, name, text):
        path = os.path.join(self._folder.name, name)
        with open(path, "w") as out:
            out.write(text)
        return path

    def group(self, name, *endpoints):
        listed = ", ".join(f'"{endpoint}"' for endpoint in endpoints)
        return self.write(f"groups/{name}.toml", f'name = "{name}"\nversion = 3\nallow = [{listed}]\n')


def scenario_a_run_may_reach_what_a_group_lists():
    with Files() as files, Scene(RECORDS) as scene:
        files.group("shops", f"shop.example:{PORT}")
        scene.environment["NAMEWALL_GROUPS"] = files.groups
        run = scene.allowing(["@shops"], "glibc", f"reach shop.example {PORT} reach bank.example {PORT}")
        expect([step["ok"] for step in run.steps] == [True, False], "the group's name alone", run)


def scenario_a_group_of_the_host_that_opens_more_is_told():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.settings(f'[groups]\nmine = ["shop.example:{PORT}"]\n')
        host.policy("builder", f'cgroup = "{cgroup}"\nallow = ["@mine"]\n')
        host.start_daemon()
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=False)
        before = host.get("/v1/status")["reloads"]
        host.settings(f'[groups]\nmine = ["shop.example:{PORT}", "bank.example:{PORT}"]\n')
        host.wait_until(lambda: host.get("/v1/status")["reloads"] > before, "host.toml is read again")
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=True)
        told = f"group @mine opens `tcp://bank.example:{PORT}`"
        notices = [event["sentence"] for event in host.events() if event["reason"] == "group_change"]
        expect(notices == [told], f"{notices}")
        warnings = host.get("/v1/status")["warnings"]
        expect(f"builder.toml: warning: {told}" in warnings, f"{warnings}")
        expect(told in host.log_text(), host.log_text())


def scenario_a_shipped_group_that_opens_more_while_no_daemon_runs_is_told_at_the_start():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.group("shops", 3, f"shop.example:{PORT}")
        host.policy("builder", f'cgroup = "{cgroup}"\nallow = ["@shops"]\n')
        host.start_daemon()
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        expect(host.stop_daemon() == 0, "it ends")
        host.group("shops", 4, f"shop.example:{PORT}", f"bank.example:{PORT}")
        host.start_daemon()
        told = f"group @shops 3 -> 4 opens `tcp://bank.example:{PORT}`"
        expect(told in host.log_text(), host.log_text())
        expect(any(told in warning for warning in host.get("/v1/status")["warnings"]), "status tells it")
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=True)


def scenario_a_workload_by_call_may_name_groups():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("job")
        host.group("shops", 3, f"shop.example:{PORT}")
        host.start_daemon()
        body = {"cgroup": cgroup, "policy_text": 'allow = ["@shops"]\n'}
        host.send("PUT", "/v1/workloads/job", body).ok()
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=False)
        body["policy_text"] = 'allow = ["@shop"]\n'
        error = host.send("PUT", "/v1/workloads/job", body).error(422)
        expect("did you mean `@shops`?" in json.dumps(error), f"{error}")
        body["policy_text"] += '[[expect]]\ntarget = "bank.example"\nallowed = true\n'
        body["policy_text"] = body["policy_text"].replace("@shop", "@shops")
        error = host.send("PUT", "/v1/workloads/job", body).error(422)
        expect("expected `bank.example` to be allowed" in json.dumps(error), f"{error}")


def scenario_a_file_that_fails_its_own_test_keeps_the_version_before():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        test = '[[expect]]\ntarget = "bank.example:7001"\nallowed = false\n'
        host.policy("builder", f'cgroup = "{cgroup}"\nallow = ["shop.example:{PORT}"]\n{test}')
        host.start_daemon()
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        host.policy("builder", f'cgroup = "{cgroup}"\nallow = ["**.example:{PORT}"]\n{test}')
        reload = host.send("POST", "/v1/reload").body
        expect(not reload["ok"], f"{reload}")
        expect("builder.toml:5:10: error: expected `bank.example:7001` to be refused" in reload["errors"][0], f"{reload}")
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=False)
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)


def scenario_conflicts_are_told_at_reload_and_hold_nothing_up():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", f'cgroup = "{cgroup}"\nallow = ["shop.example:{PORT}", "bank.example:{PORT}"]\n')
        host.start_daemon()
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=True)
        host.settings('deny = ["bank.example"]\n')
        reload = host.send("POST", "/v1/reload").ok()
        found = [line for line in reload["warnings"] if "cannot be satisfied: it is denied by host.toml:" in line]
        expect(len(found) == 1 and found[0].startswith("builder.toml:3:"), f"{reload}")
        expect(found[0] in host.get("/v1/status")["warnings"], "status tells it, too")
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        host.expect_reach(cgroup, f"bank.example {PORT}", ok=False)


def scenario_diff_ends_with_4_only_where_something_opens():
    with Files() as files:
        narrow = files.write("narrow.toml", 'name = "a"\nallow = ["a.example"]\n')
        wide = files.write("wide.toml", 'name = "a"\nallow = ["a.example", "tcp://b.example:22"]\n')
        done = check("--diff", narrow, wide)
        expect((done.returncode, done.stdout) == (4, "opens b.example tcp/22\n"), f"{done}")
        done = check("--diff", wide, narrow)
        expect((done.returncode, done.stdout) == (0, "closes b.example tcp/22\n"), f"{done}")
        done = check("--diff", narrow, narrow)
        expect((done.returncode, done.stdout) == (0, "no difference\n"), f"{done}")
        done = check("--json", "--diff", narrow, wide)
        expect(done.returncode == 4 and json.loads(done.stdout)["opens"][0]["subject"] == "b.example", f"{done}")
        bad = files.write("bad.toml", 'name = "a"\nalow = []\n')
        expect(check("--diff", narrow, bad).returncode == 1, "a file with an error")
        expect(check("--diff", narrow, "/no/such/file").returncode == 125, "no file")
        expect(check("--diff", narrow, wide, "--expand", narrow).returncode == 125, "a third file")
        shops, others = files.group("shops", "shop.example"), files.group("others", "@shops", "bank.example")
        done = check("--diff", shops, others, groups=files.groups)
        expect((done.returncode, done.stdout) == (4, "opens bank.example tcp/443\n"), f"{done}")


def scenario_check_tells_of_conflicts_and_expands_groups():
    with Files() as files:
        shops = files.group("shops", "shop.example")
        host = files.write("host.toml", 'deny = ["*://a.example:8080"]\n')
        policy = files.write("p.toml", 'name = "p"\nallow = ["@shops", "*://a.example:*"]\n')
        done = check("--expand", "--host", host, policy, groups=files.groups)
        expect(done.returncode == 0, f"{done}")
        expect(f"`*://a.example:*`: port 8080 is denied by {host}:1" in done.stderr, f"{done}")
        expect(f"# @shops 3, allow:\n#   tcp://shop.example:443 ({shops}:3:10)\n" in done.stdout, f"{done}")
        expect(check("--strict", "--host", host, policy, groups=files.groups).returncode == 1, "a warning is an error")
        done = check(files.write("q.toml", 'name = "q"\nallow = ["https://*.co.uk"]\n'))
        expect(done.returncode == 0 and "`co.uk` is a public suffix" in done.stderr, f"{done}")
