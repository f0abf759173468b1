"""What others on the host do to the table: it is as before within 5 s, or the kernel never let them; an event tells of
what was repaired."""

import os
import time

from daemon import Host
from internet.records import Record
from scenario import expect

PORT = 7001
RECORDS = [Record("shop.example", "A", "203.0.113.10")]
TABLE = ("inet", "namewall")


class HeldHost(Host):
    """With one workload that has looked its name up."""

    def __init__(self):
        super().__init__(RECORDS)

    def _build(self):
        super()._build()
        self.cgroup = self.new_cgroup("build")
        self.policy("builder", f'cgroup = "{self.cgroup}"\nallow = [ "shop.example:{PORT}" ]\n')
        self.start_daemon()
        self.expect_held()

    def expect_held(self):
        self.expect_reach(self.cgroup, "203.0.113.99 7000", ok=False)
        self.expect_reach(self.cgroup, f"shop.example {PORT}", ok=True)

    def is_refused(self):
        return not self.steps(self.cgroup, "connect 203.0.113.99 7000")[0]["ok"]


def shape(host):
    """What of the table is the same for as long as nobody changes it."""
    parts = (("chain", "output"), ("chain", "input"), ("set", "enforced"), ("map", "tokens"))
    return [host.nft("-s", "list", kind, *TABLE, name).stdout for kind, name in parts]


def change(host, *words, is_open=False):
    """nft WORDS, done by somebody else. is_open: the workload is, until it is repaired."""
    before = shape(host)
    expect(all(before), f"it cannot be listed: {before}")
    done = host.nft(*words)
    is_protected = done.returncode != 0 or shape(host) == before
    begin = time.monotonic()
    if is_protected or not is_open:
        expect(host.is_refused(), f"it is open after {words}, although it need not be")
    host.wait_until(host.is_refused, "it is refused again")
    took = time.monotonic() - begin
    if not is_protected:
        host.wait_until(lambda: host.events(reason="damage_repaired"), "the repair is told of")
    host.wait_until(lambda: host.steps(host.cgroup, f"connect 203.0.113.10 {PORT}")[0]["ok"], "what is granted works")
    host.expect_held()
    print(f"nft {' '.join(words)}: {'not let by the kernel' if is_protected else f'refused again after {took:.2f} s'}")


def scenario_flushed_ruleset():
    with HeldHost() as host:
        change(host, "flush", "ruleset", is_open=True)


def scenario_deleted_table():
    with HeldHost() as host:
        change(host, "delete", "table", *TABLE, is_open=True)


def scenario_flushed_sets():
    with HeldHost() as host:
        for name in ("enforced", "learned4", "tokens"):
            change(host, "flush", "set" if name != "tokens" else "map", *TABLE, name, is_open=name == "enforced")


def scenario_foreign_accept_rule_put_first():
    with HeldHost() as host:
        for chain in ("output", "input"):
            change(host, "insert", "rule", *TABLE, chain, "accept", is_open=True)
        host.nft("add", "table", "inet", "other")
        host.nft("add", "chain", "inet", "other", "first", "{ type filter hook output priority -400; policy accept; }")
        change(host, "add", "rule", "inet", "other", "first", "accept")


def scenario_what_is_deleted_while_no_daemon_lives_is_there_when_one_starts():
    with HeldHost() as host:
        for words in (("delete", "table", *TABLE), ("flush", "ruleset"), ("flush", "set", *TABLE, "enforced")):
            host.kill_daemon()
            host.expect_reach(host.cgroup, "203.0.113.99 7000", ok=False)
            host.nft(*words)
            host.start_daemon()
            host.expect_held()
            expect(host.workloads()["builder"]["state"] == "enforcing", f"{host.workloads()}")


def scenario_cgroup_removed_and_made_anew():
    with HeldHost() as host:
        os.rmdir(host.root.directory("build"))
        host.new_cgroup("build")
        host.wait_until(host.is_refused, "it is refused again")
        host.wait_until(lambda: host.workloads()["builder"]["state"] == "enforcing", "it is enforced")
        expect(not host.steps(host.cgroup, f"connect 203.0.113.10 {PORT}")[0]["ok"], "what the old one learned is open")
        host.expect_held()
