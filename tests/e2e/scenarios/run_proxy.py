"""The DNS proxy of `namewall run`: DNS over TCP under every policy, everything under those that learn by it, and network
namespaces that the command enters while it runs."""

import time

from internet.records import Record
from scenario import CLIENTS, Scene, expect, expect_refusal, expect_step

PORT = 7001
RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("tracker.example", "A", "203.0.113.40"),
]
RESOLVER = "198.51.100.53"
DIG = "dig +noall +answer +comments +time=2 +tries=1"
POLICY = """
name = "run"
allow = ["shop.example:7001"]
[dns]
learn = "proxy"
"""


def scenario_dig_over_tcp_is_answered_and_refused():
    with Scene(RECORDS) as scene:
        begin = time.monotonic()
        run = scene.namewall(
            ["--allow", f"shop.example:{PORT}"],
            ["sh", "-c", f"{DIG} +tcp shop.example; {DIG} +tcp tracker.example"],
        )
        expect("203.0.113.10" in run.out, "the allowed name has no address", run)
        expect("NXDOMAIN" in run.out, "the refused name was not refused", run)
        expect(time.monotonic() - begin < 4, "the refusal was no answer", run)
        expect_refusal(run, "name_not_allowed", name="tracker.example")
        expect(not scene.asked("tracker.example"), "a refused question arrived")


def scenario_addresses_looked_up_over_tcp_are_reachable():
    with Scene(RECORDS) as scene:
        scene.write_etc(f"nameserver {RESOLVER}\noptions use-vc\n", "etc-tcp")
        run = scene.allowing([f"shop.example:{PORT}"], "glibc", f"reach shop.example {PORT}", etc="etc-tcp")
        expect_step(run, 0, ok=True)


def scenario_every_client_works_through_the_proxy():
    with Scene(RECORDS) as scene:
        policy = scene.write("proxy.toml", POLICY)
        for client in CLIENTS:
            run = scene.namewall(
                ["--policy", policy], scene.client_argv(client, f"reach shop.example {PORT} lookup tracker.example")
            )
            expect_step(run, 0, ok=True)
            expect_step(run, 1, ok=False, quicker_ms=500)
            expect_refusal(run, "name_not_allowed", name="tracker.example")
        expect(not scene.asked("tracker.example"), "a refused question arrived")


def scenario_a_namespace_entered_while_it_runs_is_served_and_left():
    """The system's resolver is asked from namewall's own namespace: the new one has no way to it."""
    listening = "ss -Hlun | grep -c 127.0.0.1"
    inside = f"ip link set lo up; for i in 1 2 3 4 5 6; do {DIG} +tcp shop.example && break; sleep 0.2; done; {listening}"
    with Scene(RECORDS) as scene:
        run = scene.namewall(
            ["--user", "root", "--keep", "caps", "--allow", f"shop.example:{PORT}"],
            ["sh", "-c", f"unshare -n sh -c '{inside}'; sleep 1.5; dig +short +tcp shop.example"],
        )
        expect_refusal(run, "no_proxy_in_netns")
        expect(run.out.count("203.0.113.10") == 2, "it should be answered in both namespaces", run)


def scenario_a_namespace_is_given_up_within_a_second():
    """namewall, the command's parent, keeps the namespace alive for as long as it serves it."""
    count = "ls -l /proc/$PPID/fd | grep -c net:"
    ways = "ip link set lo up; ip route add default dev lo src 127.0.0.1"
    serve = f"{ways}; for i in 1 2 3 4 5 6; do {DIG} +tcp shop.example && break; sleep 0.2; done"
    with Scene(RECORDS) as scene:
        run = scene.namewall(
            ["--user", "root", "--keep", "caps", "--allow", f"shop.example:{PORT}"],
            ["sh", "-c", f"unshare -n sh -c '{serve}'; echo then $({count}); sleep 1.1; echo later $({count})"],
        )
        expect("203.0.113.10" in run.out, "the namespace was not served", run)
        expect("then 1\n" in run.out, "it should be served still", run)
        expect("later 0\n" in run.out, "it should be given up", run)


def scenario_names_the_agent_resolves_need_no_lookup():
    with Scene(RECORDS) as scene:
        policy = scene.write(
            "agent.toml", 'name = "run"\nallow = ["tcp://shop.example:7001?resolve=agent"]\n'
        )
        run = scene.namewall(
            ["--policy", policy],
            ["python3", "-c", "import socket, time; time.sleep(1); "
             f"socket.create_connection(('203.0.113.10', {PORT}), 3); print('reached')"],
        )
        expect("reached" in run.out, "the address was not opened", run)
