"""Where the resolver may be: loopback, another host, IPv6, behind Docker's translation; and search lists."""

import os
import re

from backends import refused
from internet.name_servers import Dnsmasq
from internet.namespaces import run as run_command
from internet.records import Record
from scenario import CLIENTS, LIBC_CLIENTS, Scene, expect, expect_refusal, expect_step, require_program

PORT = 7001
RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("shop.example", "AAAA", "2001:db8:203::10"),
    Record("tracker.example", "A", "203.0.113.40"),
]
SHOP = [f"shop.example:{PORT}"]
SEARCH = "search ns.svc.cluster.example svc.cluster.example cluster.example corp.example\noptions ndots:5\n"


def works_and_refuses(scene, etc, clients=CLIENTS):
    for client in clients:
        run = scene.allowing(SHOP, client, f"reach shop.example {PORT} lookup tracker.example", etc=etc)
        expect_step(run, 0, ok=True)
        expect(len(run.steps[0]["addresses"]) == 2, f"{client} must get both families", run)
        expect_step(run, 1, ok=False, quicker_ms=500)
        expect_refusal(run, "name_not_allowed", name="tracker.example")
    expect(not scene.asked("tracker.example"), "a refused question arrived")


def scenario_on_another_host():
    with Scene(RECORDS) as scene:
        works_and_refuses(scene, "etc")


def scenario_over_ipv6():
    with Scene(RECORDS) as scene:
        scene.write_etc("nameserver 2001:db8:100::53\n", "etc-v6")
        works_and_refuses(scene, "etc-v6")


def scenario_on_loopback_like_systemd_resolved():
    with Scene(RECORDS) as scene:
        stub = scene.own(Dnsmasq(scene.client, ["127.0.0.53"], scene.path("dns"), upstream="198.51.100.53"))
        scene.write_etc("nameserver 127.0.0.53\n", "etc-stub")
        works_and_refuses(scene, "etc-stub")
        expect("tracker.example" not in stub.questions(), "a refused question reached the stub")


def _translate_like_docker(scene):
    """127.0.0.11:53 becomes 127.0.0.11:40053 on the way out and back, in the client's namespace."""
    require_program("iptables")
    for chain, match, target in (
        (
            "OUTPUT",
            ["-d", "127.0.0.11", "-p", "udp", "--dport", "53"],
            ["DNAT", "--to-destination", "127.0.0.11:40053"],
        ),
        ("POSTROUTING", ["-s", "127.0.0.11", "-p", "udp", "--sport", "40053"], ["SNAT", "--to-source", ":53"]),
    ):
        run_command(*scene.client.command(["iptables", "-t", "nat", "-A", chain, *match, "-j", *target]))
    stub = scene.own(Dnsmasq(scene.client, ["127.0.0.11"], scene.path("dns"), upstream="198.51.100.53", port=40053))
    scene.write_etc("nameserver 127.0.0.11\n", "etc-docker")
    return stub


def scenario_behind_dockers_translation():
    with Scene(RECORDS) as scene:
        stub = _translate_like_docker(scene)
        works_and_refuses(scene, "etc-docker")
        expect("tracker.example" not in stub.questions(), "a refused question reached the stub")


def scenario_behind_dockers_translation_connected_and_sendto():
    with Scene(RECORDS) as scene:
        _translate_like_docker(scene)
        for how in ("connected", "sendto"):
            run = scene.allowing(
                SHOP,
                "python",
                f"ask 127.0.0.11 53 shop.example A {how} connect 203.0.113.10 {PORT} "
                f"ask 127.0.0.11 53 tracker.example A {how}",
                etc="etc-docker",
            )
            expect_step(run, 0, ok=True)
            expect_step(run, 1, ok=True)
            expect_step(run, 2, ok=False)
        run = scene.allowing(SHOP, "python", "ask 127.0.0.11 40053 tracker.example A sendto", etc="etc-docker")
        expect_step(run, 0, ok=False, error=refused("udp", on_loopback=True))


def scenario_connected_and_sendto():
    with Scene(RECORDS) as scene:
        for resolver in ("198.51.100.53", "2001:db8:100::53"):
            scene.write_etc(f"nameserver {resolver}\n", "etc-one")
            for how in ("connected", "sendto"):
                run = scene.allowing(
                    SHOP,
                    "python",
                    f"ask {resolver} 53 shop.example A {how} connect 203.0.113.10 {PORT} "
                    f"ask {resolver} 53 tracker.example TXT {how}",
                    etc="etc-one",
                )
                expect_step(run, 0, ok=True)
                expect_step(run, 1, ok=True)
                expect_step(run, 2, ok=False)


def scenario_search_list_with_ndots_five():
    """The search suffixes come first, are asked, do not exist, and the absolute name is reached."""
    with Scene(RECORDS) as scene:
        scene.write_etc(f"nameserver 198.51.100.53\n{SEARCH}", "etc-search")
        for client in LIBC_CLIENTS:
            run = scene.allowing(SHOP, client, f"reach shop.example {PORT}", etc="etc-search")
            expect_step(run, 0, ok=True)
        run = scene.allowing(SHOP, "cares", f"reach shop.example {PORT}", etc="etc-search")
        expect_step(run, 0, ok=True)
        asked = scene.resolver.questions()
        expect(
            any(re.fullmatch(r"shop\.example\.ns\.svc\.cluster\.example", name) for name in asked),
            f"the search list was not walked: {asked}",
        )
        run = scene.allowing(SHOP, "glibc", "lookup tracker.example", etc="etc-search")
        expect_step(run, 0, ok=False, quicker_ms=500)
        expect(
            not any(name.startswith("tracker.") for name in scene.resolver.questions()),
            f"a suffixed form of a refused name was asked: {scene.resolver.questions()}",
        )


def scenario_suffixed_form_of_an_allowed_name_teaches_nothing():
    """Somebody in the search domain answers for the suffixed form: its address stays closed."""
    records = [*RECORDS, Record("shop.example.corp.example", "A", "203.0.113.66")]
    with Scene(records) as scene:
        scene.write_etc("nameserver 198.51.100.53\nsearch corp.example\noptions ndots:5\n", "etc-search")
        run = scene.allowing(SHOP, "glibc", f"lookup shop.example connect 203.0.113.66 {PORT}", etc="etc-search")
        expect(run.steps[0]["addresses"] == ["203.0.113.66"], "the suffixed form should have answered", run)
        expect_step(run, 1, ok=False, error="ECONNREFUSED")
        expect(not scene.origins.reached(), "the address of a suffixed form was reached", run)


class _SocketLoadBalancer:
    """service_rewrite.bpf.c on the cgroup that all of the scene's commands are below."""

    def __init__(self, scene):
        self._pins = scene.path("bpf", make=True)
        run_command("mount", "-t", "bpf", "bpf", self._pins)
        try:
            program = os.path.join(os.environ["NAMEWALL_E2E_CLIENTS"], "service_rewrite.bpf.o")
            run_command("bpftool", "prog", "loadall", program, os.path.join(self._pins, "programs"))
            for hook in ("connect4", "sendmsg4", "recvmsg4"):
                pin = os.path.join(self._pins, "programs", f"service_{hook}")
                run_command("bpftool", "cgroup", "attach", scene.cgroup.path, hook, "pinned", pin, "multi")
        finally:
            run_command("umount", self._pins)  # the cgroup keeps them, and ends them


def scenario_ancestor_that_rewrites_destinations():
    """The policy's names are the service's; what the load balancer makes of them is not looked at."""
    records = [*RECORDS, Record("service.example", "A", "203.0.113.200")]
    with Scene(records) as scene:
        _SocketLoadBalancer(scene)
        scene.write_etc("nameserver 203.0.113.253\n", "etc-service")
        for client in CLIENTS:
            before = len(scene.origins.reached())
            run = scene.allowing(
                [f"service.example:{PORT}"],
                client,
                f"reach service.example {PORT} connect 203.0.113.210 {PORT} lookup tracker.example",
                etc="etc-service",
            )
            expect_step(run, 0, ok=True)
            expect_step(run, 1, ok=False, error="ECONNREFUSED")
            expect_step(run, 2, ok=False)
            expect(
                scene.origins.reached()[before:] == [("tcp", "203.0.113.210", PORT)],
                f"the backend was not reached once: {scene.origins.reached()[before:]}",
                run,
            )
        for how in ("connected", "sendto"):
            run = scene.allowing(
                [f"service.example:{PORT}"],
                "python",
                f"ask 203.0.113.253 53 service.example A {how} connect 203.0.113.200 {PORT} "
                f"ask 203.0.113.253 53 tracker.example A {how}",
                etc="etc-service",
            )
            expect_step(run, 0, ok=True)
            expect_step(run, 1, ok=True)
            expect_step(run, 2, ok=False)
        expect(not scene.asked("tracker.example"), "a refused question arrived")


def scenario_resolver_named_in_the_policy():
    """The policy trusts another resolver than resolv.conf's."""
    with Scene(RECORDS) as scene:
        scene.write_etc("nameserver 203.0.113.250\n", "etc-other")
        policy = scene.write(
            "named.toml", f'name = "named"\nallow = ["shop.example:{PORT}"]\n[dns]\nresolvers = ["198.51.100.53"]\n'
        )
        steps = (
            f"ask 198.51.100.53 53 shop.example A sendto connect 203.0.113.10 {PORT} "
            "ask 203.0.113.250 53 shop.example A sendto"
        )
        run = scene.namewall(["--policy", policy], scene.client_argv("python", steps), etc="etc-other")
        expect_step(run, 0, ok=True)
        expect_step(run, 1, ok=True)
        expect_step(run, 2, ok=False, error=refused("udp"))
