"""`namewall sets`: what the kernel itself holds, beside what the daemon knows; the same columns for both backends."""

import json
import os
import subprocess
import time

from backends import backend
from daemon import Host
from internet.records import Record
from scenario import expect

PORT = 7001
RECORDS = [Record("shop.example", "A", "203.0.113.10"), Record("cdn.example", "A", "203.0.113.10")]
TABLE = ("inet", "namewall")


class SetsHost(Host):
    def __init__(self):
        super().__init__(RECORDS)

    def _build(self):
        super()._build()
        self.cgroup = self.new_cgroup("build")
        self.policy("builder", f'cgroup = "{self.cgroup}"\nallow = [ "shop.example:{PORT}", "*.example:{PORT}" ]\n')
        self.start_daemon()
        self.expect_reach(self.cgroup, f"shop.example {PORT}", ok=True)
        self.expect_reach(self.cgroup, f"cdn.example {PORT}", ok=True)

    def sets(self, *words):
        """`namewall sets` in the daemon's network namespace."""
        argv = [self.binary, "sets", "--socket", self.socket, *words]
        if "--repair" not in words:
            argv += ["--pin-directory", self.pins]
        wide = {**os.environ, "COLUMNS": "200"}
        return subprocess.run(self.client.command(argv), capture_output=True, text=True, timeout=60, env=wide)

    def document(self, *words, code=0):
        done = self.sets("--json", *words)
        expect(done.returncode == code, f"{done}")
        return json.loads(done.stdout)


def scenario_every_element_has_its_names_rule_and_times():
    with SetsHost() as host:
        document = host.document()
        expect(document["model"] and document["unknown"] == 0 and document["missing"] == 0, f"{document}")
        workload = next(one for one in document["workloads"] if one["name"] == "builder")
        expect(workload["backend"] == backend() and workload["in_kernel"] and workload["in_model"], f"{workload}")
        expect(len(document["elements"]) == 1, f"{document['elements']}")
        element = document["elements"][0]
        expect((element["address"], element["protocol"], element["ports"]) == ("203.0.113.10", "tcp", str(PORT)), f"{element}")
        names = {name["name"]: name for name in element["names"]}
        expect(set(names) == {"shop.example", "cdn.example"}, f"{names}")
        expect(f"{PORT}" in names["shop.example"]["rule"], f"{names}")
        expect(element["seconds_left"] > 0, f"{element}")
        if backend() == "nft":
            expect(all(0 <= name["learned_ago_s"] < 60 for name in names.values()), f"{names}")
        else:
            expect(sum(name["hits"] for name in names.values()) >= 2, f"{names}")
        table = host.sets("builder").stdout
        expect("203.0.113.10" in table and f"tcp/{PORT}" in table and "LEARNED" in table, table)
        expect(host.sets("nobody").returncode == 6, "a workload that there is not")


def scenario_without_a_daemon_the_kernel_is_told_alone():
    with SetsHost() as host:
        host.kill_daemon()
        document = host.document(host.cgroup)
        expect(not document["model"], f"{document}")
        expect([one["address"] for one in document["elements"]] == ["203.0.113.10"], f"{document}")
        expect(document["elements"][0]["names"][0]["name"] in ("shop.example", "cdn.example"), f"{document}")
        expect("nothing is compared" in " ".join(host.sets().stdout.split()), host.sets().stdout)
        repair = host.sets("--repair")
        expect(repair.returncode == 4 and "start namewalld" in repair.stderr, f"{repair}")


def scenario_what_others_change_is_marked_and_repaired():
    with SetsHost() as host:
        done = host.nft("flush", "set", *TABLE, "learned4")
        if done.returncode != 0:
            print(f"not let by the kernel: {done.stderr}")
            expect(host.document()["elements"][0]["drift"] == "", "nothing differs")
            repair = host.sets("--repair")
            expect(repair.returncode == 0 and "Nothing differed" in repair.stdout, f"{repair}")
            return
        # Whoever looks before the daemon does sees it; its own watch repairs within seconds.
        document = json.loads(host.sets("--json").stdout)
        print(f"marked: {document['unknown']} unknown, {document['missing']} missing, {document['changed']}")
        host.sets("--repair")
        deadline = time.monotonic() + 5
        while host.document()["missing"] != 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        expect([one["drift"] for one in host.document()["elements"]] == [""], "repaired")
