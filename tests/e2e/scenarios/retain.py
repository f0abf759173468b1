"""retain = "until-next-answer": an address is allowed until the same workload has the next answer to the same question; then
only what that answer has counts. Each way of it under `namewall run` and under namewalld."""

import os
import time

from both_ways import expect_both_ways, expect_outcomes
from daemon import Host
from internet.changing_dns import ChangingDns
from internet.records import Record
from scenario import expect

PORT = 7001
RESOLVER = "203.0.113.53"
SHOP, BANK = "shop.example", "bank.example"
OLD, NEW, BOTH = "203.0.113.10", "203.0.113.11", "203.0.113.12"
OLD6 = "2001:db8:203::10"
UNTIL_NEXT_ANSWER = 'retain = "until-next-answer"\nmin_ttl = "1s"\ngrace = "0s"\ncache = false\n'
BY_TTL = 'learn = "proxy"\nmin_ttl = "1s"\ngrace = "0s"\ncache = false\n'


class Retaining(Host):
    """A host whose resolver says something else each time."""

    def __init__(self):
        super().__init__([Record(SHOP, "A", OLD)])

    def _build(self):
        super()._build()
        self.dns = self.own(ChangingDns(self.world, RESOLVER))
        self.write_etc(f"nameserver {RESOLVER}\n")

    def policy_text(self, dns=UNTIL_NEXT_ANSWER, names=(SHOP, BANK)):
        allow = ", ".join(f'"{name}:{PORT}"' for name in names)
        return f"allow = [ {allow} ]\n[dns]\n{dns}"

    def hold(self, name="keeps", dns=UNTIL_NEXT_ANSWER):
        """A cgroup under that policy once a daemon runs; its path."""
        cgroup = self.new_cgroup(name)
        self.policy(name, f'cgroup = "{cgroup}"\n' + self.policy_text(dns))
        return cgroup


def asks(name, kind="A"):
    """One question alone; getaddrinfo asks for both families."""
    return f"ask {RESOLVER} 53 {name} {kind} connected"


def connects(address):
    return f"connect {address} {PORT}"


def in_both(answers, steps, dns=UNTIL_NEXT_ANSWER):
    """The steps in both ways of being held, each beginning with the first answers."""
    with Retaining() as host:
        expect_both_ways(host, host.policy_text(dns), steps, before=lambda: host.dns.say(answers))


def scenario_resolves_again_ends_the_old_address():
    in_both(
        {(SHOP, "A"): [[OLD], [NEW]]},
        [
            (asks(SHOP), True),
            (connects(OLD), True),
            (connects(NEW), False),
            (asks(SHOP), True),
            (connects(OLD), False),
            (connects(NEW), True),
        ],
    )


def scenario_address_in_both_answers_stays():
    in_both(
        {(SHOP, "A"): [[OLD, BOTH], [BOTH, NEW]]},
        [
            (asks(SHOP), True),
            (connects(BOTH), True),
            (asks(SHOP), True),
            (connects(BOTH), True),
            (connects(NEW), True),
            (connects(OLD), False),
        ],
    )


def scenario_an_address_that_another_name_has_stays_for_that_name():
    in_both(
        {(SHOP, "A"): [[BOTH], [NEW]], (BANK, "A"): [[BOTH], [OLD]]},
        [
            (asks(SHOP), True),
            (asks(BANK), True),
            (asks(SHOP), True),
            (connects(BOTH), True),
            (asks(BANK), True),
            (connects(BOTH), False),
        ],
    )


def scenario_a_name_without_addresses_ends_them():
    """NOERROR without a record, and NXDOMAIN; an answer that says nothing about the name (SERVFAIL) ends nothing."""
    in_both(
        {(SHOP, "A"): [[OLD], "SERVFAIL", []], (BANK, "A"): [[NEW], "NXDOMAIN"]},
        [
            (asks(SHOP), True),
            (asks(SHOP), False),
            (connects(OLD), True),
            (asks(SHOP), True),
            (connects(OLD), False),
            (asks(BANK), True),
            (connects(NEW), True),
            (asks(BANK), False),
            (connects(NEW), False),
        ],
    )


def scenario_an_a_answer_does_not_end_aaaa():
    in_both(
        {(SHOP, "A"): [[OLD], []], (SHOP, "AAAA"): [[OLD6], []]},
        [
            (asks(SHOP), True),
            (asks(SHOP, "AAAA"), True),
            (asks(SHOP), True),
            (connects(OLD), False),
            (connects(OLD6), True),
            (asks(SHOP, "AAAA"), True),
            (connects(OLD6), False),
        ],
    )


def scenario_no_time_to_live_ends_it():
    """The records live for a second; with retain = "ttl" that is the end."""
    steps = [(asks(SHOP), True), ("sleep 2200", True)]
    in_both({(SHOP, "A"): [[OLD]]}, [*steps, (connects(OLD), True)])
    in_both({(SHOP, "A"): [[OLD]]}, [*steps, (connects(OLD), False)], dns=BY_TTL)


def scenario_as_many_other_addresses_as_may_be_held_take_their_place():
    """The bound counts what the answer leaves, not what it ends."""
    first, second = ([f"203.0.113.{start + i}" for i in range(16)] for start in (100, 150))
    turns = [(asks(SHOP), True), (connects(second[15]), False), (asks(SHOP), True), (connects(second[0]), True)]
    turns += [(connects(second[15]), True), (connects(first[0]), False), (connects(first[15]), False)]
    turns += [(asks(SHOP), True), (connects(first[7]), True), (connects(second[7]), False)]
    in_both({(SHOP, "A"): [first, second, first]}, turns, dns=UNTIL_NEXT_ANSWER + "max_addresses = 16\n")


STAYS_CONNECTED = f"""
import socket
def ask(): return [found[4][0] for found in socket.getaddrinfo("{SHOP}", {PORT}, socket.AF_INET, socket.SOCK_STREAM)]
before = ask()
held = socket.create_connection((before[0], {PORT}))
after = ask()
held.sendall(b"still")
print(before, after, held.recv(9).decode())
try:
    socket.create_connection((before[0], {PORT}), 3)
    print("reached again")
except ConnectionRefusedError:
    print("refused")
"""


def scenario_an_established_connection_survives_the_end_of_its_address():
    expected = f"['{OLD}'] ['{NEW}'] still\nrefused\n"
    argv = ["/usr/bin/python3", "-c", STAYS_CONNECTED]
    with Retaining() as host:
        host.dns.say({(SHOP, "A"): [[OLD], [NEW]]})
        policy = host.write("run.toml", 'name = "run"\n' + host.policy_text())
        run = host.namewall(["--policy", policy], argv)
        expect(run.out == expected, "namewall run: not what should be", run)
        host.dns.say({(SHOP, "A"): [[OLD], [NEW]]})
        cgroup = host.hold()
        host.start_daemon()
        out, err = host.start_in(cgroup, argv).communicate(timeout=20)
        expect(out == expected, f"namewalld: {out}{err}\n{host.log_text()}")


def scenario_another_workloads_lookup_ends_nothing():
    with Retaining() as host:
        one, other = host.hold("one"), host.hold("other")
        host.start_daemon()
        host.dns.say({(SHOP, "A"): [[OLD], [NEW]]})
        expect_outcomes(host.steps(one, asks(SHOP), "python"), [(asks(SHOP), True)], "one")
        expect_outcomes(host.steps(other, asks(SHOP), "python"), [(asks(SHOP), True)], "other")
        host.expect_reach(other, f"{NEW} {PORT}", ok=True)
        host.expect_reach(other, f"{OLD} {PORT}", ok=False)
        host.expect_reach(one, f"{OLD} {PORT}", ok=True)
        host.expect_reach(one, f"{NEW} {PORT}", ok=False)


def scenario_another_runs_lookup_ends_nothing():
    with Retaining() as host:
        host.dns.say({(SHOP, "A"): [[OLD], [NEW]]})
        policy = host.write("run.toml", 'name = "run"\n' + host.policy_text())
        steps = f"{asks(SHOP)} {connects(OLD)} sleep 2500 {connects(OLD)} {connects(NEW)}"
        first = host.start_namewall(["--policy", policy], host.client_argv("python", steps))
        host.wait_until(host.origins.reached, "the first run has its address", 15)
        second = host.namewall(["--policy", policy], host.client_argv("python", f"{asks(SHOP)} {connects(NEW)}"))
        expect_outcomes(second.steps, [(asks(SHOP), True), (connects(NEW), True)], f"the second run ({second.err})")
        run = first.finish()
        wanted = [(asks(SHOP), True), (connects(OLD), True), ("sleep", True), (connects(OLD), True), (connects(NEW), False)]
        expect_outcomes(run.steps, wanted, f"the first run ({run.err})")


def kept_over(end):
    """What was learned outlives `end` of a daemon, and ends with the first answer that the next daemon sees."""
    with Retaining() as host:
        cgroup = host.hold()
        host.start_daemon()
        host.dns.say({(SHOP, "A"): [[OLD, BOTH], [BOTH, NEW]]})
        expect_outcomes(host.steps(cgroup, asks(SHOP), "python"), [(asks(SHOP), True)], "before")
        end(host)
        time.sleep(1.2)  # longer than the record lives
        host.expect_reach(cgroup, f"{OLD} {PORT}", ok=True)
        host.expect_reach(cgroup, f"{NEW} {PORT}", ok=False)
        host.start_daemon()
        host.expect_reach(cgroup, f"{OLD} {PORT}", ok=True)
        expect_outcomes(host.steps(cgroup, asks(SHOP), "python"), [(asks(SHOP), True)], "after")
        for address, ok in ((OLD, False), (BOTH, True), (NEW, True)):
            host.expect_reach(cgroup, f"{address} {PORT}", ok=ok)


def scenario_a_restart_of_the_daemon_keeps_it():
    kept_over(lambda host: host.stop_daemon())


def scenario_kill_9_of_the_daemon_keeps_it():
    kept_over(lambda host: host.kill_daemon())


def scenario_kill_9_of_a_run_keeps_it():
    with Retaining() as host:
        host.dns.say({(SHOP, "A"): [[OLD], [NEW]]})
        policy = host.write("run.toml", 'name = "run"\n' + host.policy_text())
        out, go = host.write("out", ""), host.path("go")
        os.chmod(out, 0o666)
        argv = " ".join(host.client_argv("python", f"{asks(SHOP)} {connects(OLD)}"))
        after = " ".join(host.client_argv("python", f"sleep 1200 {connects(OLD)} {connects(NEW)}"))
        script = f"exec >{out}; {argv}; while [ ! -e {go} ]; do sleep 0.05; done; {after}; echo finished"
        started = host.start_namewall(["--policy", policy], ["sh", "-c", script])
        host.wait_until(host.origins.reached, "the command has its address", 15)
        started.process.kill()
        started.process.wait()
        host.write("go", "")
        host.wait_until(lambda: "finished" in open(out).read(), "the command has finished", 15)
        outcomes = ['"ok": true' in line for line in open(out) if line.startswith("{")]
        expect(outcomes == [True, True, True, True, False], f"{open(out).read()}")


def scenario_a_policy_that_goes_back_to_times_ends_it():
    """What was kept without an end ends as if it had been looked up at the change, with a time to live of nothing; what is
    looked up again has the answer's. In a cgroup, and in a template's child."""
    times = 'learn = "proxy"\nmin_ttl = "9s"\ngrace = "1s"\ncache = false\n'
    with Retaining() as host:
        alone, jobs = host.hold("alone"), host.new_cgroup("jobs")
        host.policy("job", f'cgroup = "{jobs}/*"\n' + host.policy_text())
        host.start_daemon()
        child = host.new_child("jobs/one")
        for cgroup in (alone, child):
            host.dns.say({(SHOP, "A"): [[OLD, BOTH]], (BANK, "A"): [[NEW]]})
            found = host.steps(cgroup, f"{asks(SHOP)} {asks(BANK)}", "python")
            expect_outcomes(found, [(asks(SHOP), True), (asks(BANK), True)], cgroup)
        time.sleep(1.2)
        host.policy("alone", f'cgroup = "{alone}"\n' + host.policy_text(times))
        host.policy("job", f'cgroup = "{jobs}/*"\n' + host.policy_text(times))
        expect(host.send("POST", "/v1/reload").ok()["ok"], "the reload failed")
        changed = time.monotonic()
        host.dns.say({(SHOP, "A"): [[BOTH]]})
        for cgroup in (alone, child):
            for address in (OLD, NEW, BOTH):
                host.expect_reach(cgroup, f"{address} {PORT}", ok=True)
        time.sleep(max(0, changed + 4 - time.monotonic()))
        again = time.monotonic()
        for cgroup in (alone, child):
            expect_outcomes(host.steps(cgroup, asks(SHOP), "python"), [(asks(SHOP), True)], cgroup)
        time.sleep(max(0, changed + 10.4 - time.monotonic()))
        for cgroup in (alone, child):
            steps = [(connects(OLD), False), (connects(NEW), False)]
            steps += [(connects(BOTH), True)] if time.monotonic() < again + 8 else []
            text = " ".join(step for step, _ in steps)
            expect_outcomes(host.steps(cgroup, text, "python"), steps, f"{cgroup}\n{host.log_text()}")
        time.sleep(max(0, again + 11.5 - time.monotonic()))
        for cgroup in (alone, child):
            host.expect_reach(cgroup, f"{BOTH} {PORT}", ok=False)
