"""What the discussions asked for from which this project grew, each as one scenario: sockets that reach certain names only (the
lookup is the proof that name and address belong together), capabilities derived from wider ones, disallowed hosts beside
allowed ones. docs/design.md has the table of all of them, with those that are in other groups."""

import socket

from both_ways import expect_both_ways, expect_outcomes
from daemon import Host
from internet.changing_dns import ChangingDns
from internet.records import Record
from scenario import expect
from scenarios.daemon_calls import put
from scenarios.retain import RESOLVER, UNTIL_NEXT_ANSWER, asks

PORT = 7001
REGION = "s3.eu-west-1.amazonaws.com"
MINE, OTHERS, NEIGHBOUR = f"mybucket.{REGION}", f"otherbucket.{REGION}", f"neighbour.{REGION}"
BUCKETS = [
    Record(MINE, "A", "203.0.113.30"),
    Record(MINE, "A", "203.0.113.31"),
    Record(OTHERS, "A", "203.0.113.32"),
    Record(NEIGHBOUR, "A", "203.0.113.31"),
    Record(REGION, "A", "203.0.113.33"),
]


def scenario_s3_bucket():
    """One bucket's name is allowed, by https. Neither another bucket, nor the endpoint with the bucket in the path, nor any
    address of the region that the bucket's name did not give."""
    with Host(BUCKETS) as host:
        steps = [
            ("connect 203.0.113.30 443", False),
            (f"fetch https://{MINE}/index.html", True),
            ("connect 203.0.113.30 443", True),
            ("connect 203.0.113.31 443", True),
            ("connect 203.0.113.30 80", False),
            (f"lookup {OTHERS}", False),
            (f"fetch https://{OTHERS}/index.html", False),
            (f"fetch https://{REGION}/mybucket/index.html", False),
            ("connect 203.0.113.32 443", False),
            ("connect 203.0.113.33 443", False),
            ("connect 203.0.113.34 443", False),
        ]
        expect_both_ways(host, f'allow = [ "{MINE}" ]\n', steps)
        asked = host.resolver.questions()
        expect(MINE in asked, f"{asked}")
        expect(OTHERS not in asked and REGION not in asked, f"a bucket that is not allowed was asked for: {asked}")


def scenario_buckets_that_share_an_address_cannot_be_told_apart():
    """The limit of addresses as identity. The other bucket's name is refused, and the address that both have is open: whoever
    knows it reaches what answers there under either name."""
    with Host(BUCKETS) as host:
        steps = [
            (f"lookup {MINE}", True),
            (f"lookup {NEIGHBOUR}", False),
            ("connect 203.0.113.31 443", True),
        ]
        expect_both_ways(host, f'allow = [ "{MINE}" ]\n', steps)


def port_22_opens_by_lookup(rule):
    records = [Record("example.com", "A", "203.0.113.22"), Record("example.net", "A", "203.0.113.23")]
    with Host(records) as host:
        for address in ("203.0.113.22", "203.0.113.23"):
            host.own(host.world.listen(socket.SOCK_STREAM, address, 22))
        steps = [
            ("connect 203.0.113.22 22", False),
            ("lookup example.com", True),
            ("connect 203.0.113.22 22", True),
            ("connect 203.0.113.22 80", False),
            ("connect 203.0.113.22 443", False),
            ("send 203.0.113.22 7001", False),
            ("lookup example.net", False),
            ("connect 203.0.113.23 22", False),
        ]
        expect_both_ways(host, f'allow = [ "{rule}" ]\n', steps)


def scenario_example_com_port_22_by_lookup():
    """The rule names example.com and port 22. Only its lookup opens an address, and only that port."""
    port_22_opens_by_lookup("tcp://example.com:22")


def scenario_example_com_port_22_by_the_schemes_port():
    port_22_opens_by_lookup("ssh://example.com")


def scenario_derived_narrower_capability():
    """A parent with two names starts children with one name each, and one that asks for more than the parent has."""
    records = [
        Record(f"{name}.example", "A", f"203.0.113.{last}") for name, last in (("one", 11), ("two", 12), ("three", 13))
    ]
    one, two, three = (f"{name}.example:{PORT}" for name in ("one", "two", "three"))
    reach = {rule: f"reach {rule.replace(':', ' ')}" for rule in (one, two, three)}
    with Host(records) as host:
        parent = host.new_cgroup("parent")
        host.policy("parent", f'cgroup = "{parent}"\nallow = [ "{one}", "{two}" ]\n')
        host.start_daemon()
        first, second, greedy = (host.new_cgroup(f"parent/{name}") for name in ("first", "second", "greedy"))
        put(host, "first", first, one).ok()
        put(host, "second", second, two).ok()
        put(host, "greedy", greedy, two, three, "*://203.0.113.0/24:*").ok()

        def expect_reach(cgroup, *steps):
            text = " ".join(step for step, _ in steps)
            expect_outcomes(host.steps(cgroup, text), steps, f"{cgroup}\n{host.log_text()}")

        expect_reach(parent, (reach[one], True), (reach[two], True), (reach[three], False))
        # What the parent has looked up opens nothing for a child that has not.
        expect_reach(first, (f"connect 203.0.113.11 {PORT}", False))
        expect_reach(first, (reach[one], True), (reach[two], False), (f"connect 203.0.113.12 {PORT}", False))
        expect_reach(second, (reach[one], False), (reach[two], True), (f"connect 203.0.113.11 {PORT}", False))
        expect_reach(greedy, (reach[two], True), (reach[three], False), ("connect 203.0.113.13 7000", False))
        # A grandchild, and the parent as before.
        put(host, "grandchild", host.new_cgroup("parent/first/grandchild"), two).ok()
        expect_reach(f"{first}/grandchild", (reach[one], False), (reach[two], False))
        expect_reach(parent, (reach[one], True), (reach[two], True))
        expect("three.example" not in host.resolver.questions(), "a name that the parent does not allow was asked for")


def scenario_disallowed_hosts_against_allowed_hosts():
    """What the operator disallows beats what a workload's policy allows, by name, by network and by port, and no policy that
    comes by a call can lift it."""
    records = [
        Record("api.example", "A", "203.0.113.40"),
        Record("tracker.example", "A", "203.0.113.41"),
        Record("inside.example", "A", "203.0.113.70"),
    ]
    allow = f'"**.example:{PORT}", "*://203.0.113.0/24:*"'
    settings = 'deny = [ "tracker.example", "*://203.0.113.64/26:*", "*://203.0.113.40:7000" ]\n'
    steps = [
        (f"reach api.example {PORT}", True),
        ("connect 203.0.113.40 7000", False),
        ("lookup tracker.example", False),
        ("lookup inside.example", True),
        (f"connect 203.0.113.70 {PORT}", False),
        ("connect 203.0.113.71 80", False),
        ("connect 203.0.113.42 80", True),
    ]
    with Host(records) as host:
        cgroup = expect_both_ways(host, f"allow = [ {allow} ]\n", steps, settings=settings)
        told = host.send("POST", "/v1/explain", {"workload": "held", "target": f"tcp://203.0.113.70:{PORT}"}).ok()
        expect(told["reason"] == "host_deny" and told["walk"][-1].startswith("host deny:"), f"{told}")
        host.send("POST", "/v1/teardown", {"workload": "held", "reason": "test"}).ok()
        put(host, "by-call", cgroup, f"tracker.example:{PORT}", f"tcp://203.0.113.70:{PORT}").ok()
        host.expect_reach(cgroup, f"203.0.113.70 {PORT}", ok=False)
        expect(not host.steps(cgroup, "lookup tracker.example")[0]["ok"], "a call has lifted the host's deny")
        expect("tracker.example" not in host.resolver.questions(), "a disallowed name was asked for")


def scenario_until_resolved_again():
    """An allowed name's addresses stay allowed until the workload resolves the name again: a bucket that moves."""
    old, new = "203.0.113.30", "203.0.113.31"
    with Host(BUCKETS) as host:
        dns = host.own(ChangingDns(host.world, RESOLVER))
        host.write_etc(f"nameserver {RESOLVER}\n")
        steps = [
            (asks(MINE), True),
            ("sleep 2200", True),
            (f"connect {old} 443", True),
            (asks(MINE), True),
            (f"connect {new} 443", True),
            (f"connect {old} 443", False),
        ]
        policy = f'allow = [ "{MINE}" ]\n[dns]\n{UNTIL_NEXT_ANSWER}'
        expect_both_ways(host, policy, steps, before=lambda: dns.say({(MINE, "A"): [[old], [new]]}))
