"""The order that everything rests on, where the proxy learns: lookups of fresh names, over UDP and over TCP, each followed
at once by a TCP connect and a datagram to the fresh address, must all succeed. NAMEWALL_SOAK=1: a hundred thousand of
each, else fewer."""

import os

from scenarios.races import BOUNDS, PROCESSES, RESOLVER, FreshScene, expect_no_failure

LOOKUPS = 100_000 if os.environ.get("NAMEWALL_SOAK") == "1" else 12_000
PROXY = f'learn = "proxy"\nmin_ttl = "1s"\ngrace = "0s"\nmax_addresses = 65536\n{BOUNDS}'


def _look_up_and_connect(options):
    with FreshScene(1, PROXY, "*://*.fresh.example:7002") as scene:
        scene.write_etc(f"nameserver {RESOLVER}\n{options}")
        run = scene.start_clients(LOOKUPS // PROCESSES, kinds="udp").finish(280)
        expect_no_failure(run, LOOKUPS // PROCESSES)


def scenario_fresh_names_over_udp():
    _look_up_and_connect("")


def scenario_fresh_names_over_tcp():
    _look_up_and_connect("options use-vc\n")
