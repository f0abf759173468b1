"""namewalld's DNS proxy when namewalld dies: nothing opens, nothing is lost that somebody holds."""

import random
import time

from backends import learns_in_kernel
from daemon import Host
from internet.namespaces import Namespace
from scenario import expect
from scenarios.daemon_life import ANY_RATE, end_load, start_load
from scenarios.daemon_proxy import PORT, PROXY, RECORDS, V4, dig, expect_dig, others_of, policy_text
from service_manager import ListeningManager


def start(host, *names):
    """A manager, and a workload by the proxy ("asks") and one by the kernel, where it can ("learns")."""
    asks, learns = host.new_cgroup("asks"), host.new_cgroup("learns")
    host.policy("asks", policy_text(asks, "shop.example", *names, dns=f"{PROXY}\n{ANY_RATE}"))
    host.policy("learns", policy_text(learns, "shop.example"))
    return host.own(ListeningManager(host.path("notify.sock"))), asks, learns


def scenario_no_answer_leaves_without_its_grants_over_kills():
    with Host(RECORDS) as host:
        manager, asks, learns = start(host)
        manager.start(host)
        expect(len(host.workloads()) == 2, f"{host.workloads()}")
        host.wait_until(lambda: len(manager.held) == 3, "the sockets are held")
        load = start_load(host, [asks, asks, learns])
        generator = random.Random(7)
        for kill in range(6):
            time.sleep(generator.uniform(0.05, 0.3))
            host.kill_daemon()
            time.sleep(0.05)
            # Now and then the next one dies while it starts.
            manager.start(host, wait=kill % 3 != 2)
        host.wait_until(host.is_serving, "the last daemon serves", 15)
        time.sleep(0.3)
        total = end_load(load)
        expect(len(manager.held) == 3, f"{sorted(manager.held)}")
        print(f"6 kills, 0 wrong of {total}")


def scenario_questions_wait_in_held_sockets():
    with Host(RECORDS) as host:
        manager, asks, learns = start(host, "bank.example")
        manager.start(host)
        expect_dig(host, asks, f"@{V4}", "shop.example", says=["203.0.113.10"])
        held = sorted(name for name in manager.held if name != "control")
        expect([name.split(".", 2)[2] for name in held] == [f"{V4}-53.tcp", f"{V4}-53.udp"], f"{held}")
        host.kill_daemon()
        waits = [
            host.start_in(asks, ["dig", "+tries=1", "+time=10", *words, f"@{V4}", "bank.example"])
            for words in ((), ("+tcp",))
        ]
        if learns_in_kernel():
            host.expect_reach(learns, f"shop.example {PORT}", ok=True)  # the kernel learns without a daemon
        time.sleep(0.7)
        expect(all(process.poll() is None for process in waits), "a question did not wait")
        manager.start(host)
        for process in waits:
            out, err = process.communicate(timeout=15)
            expect("203.0.113.20" in out, f"{out}{err}\n--- namewalld\n{host.log_text()}")
        host.expect_reach(asks, f"203.0.113.20 {PORT}", ok=True)
        # A clean restart is no different.
        host.stop_daemon()
        waiting = host.start_in(asks, ["dig", "+tries=1", "+time=10", f"@{V4}", "shop.example"])
        time.sleep(0.2)
        manager.start(host)
        out, _ = waiting.communicate(timeout=15)
        expect("203.0.113.10" in out, f"{out}\n--- namewalld\n{host.log_text()}")


def scenario_without_a_holder_a_lookup_fails_once_and_at_once():
    with Host(RECORDS) as host:
        _, asks, learns = start(host)
        host.start_daemon()
        expect_dig(host, asks, f"@{V4}", "shop.example", says=["203.0.113.10"])
        for end in (host.kill_daemon, host.stop_daemon):
            end()
            for words in ((), ("+tcp",)):
                out, took = dig(host, asks, *words, f"@{V4}", "shop.example")
                expect("NOERROR" not in out and took < 1, f"{words}: {took:.2f} s, {out}")
            step = host.steps(asks, "lookup shop.example")[0]
            expect(not step["ok"] and step["ms"] < 500, f"glibc waits for nobody: {step}")
            host.expect_reach(learns, f"shop.example {PORT}", ok=learns_in_kernel())
            host.start_daemon()
            host.expect_reach(asks, f"shop.example {PORT}", ok=True)


def scenario_another_namespaces_sockets_outlive_the_daemon():
    with Host(RECORDS) as host:
        manager, asks, _ = start(host, "bank.example")
        manager.start(host)
        island = host.own(Namespace("island"))
        island.route_nowhere()
        stays = host.start_in(asks, island.command(["sleep", "100"]))
        time.sleep(0.2)
        dig(host, asks, f"@{V4}", "shop.example", namespace=island)
        host.wait_until(lambda: others_of(host), "the proxy comes", 2)
        host.wait_until(lambda: len(manager.held) == 7, "all is held")
        host.kill_daemon()
        waiting = host.start_in(asks, island.command(["dig", "+tries=1", "+time=10", f"@{V4}", "bank.example"]))
        time.sleep(0.3)
        manager.start(host)
        out, _ = waiting.communicate(timeout=15)
        expect("203.0.113.20" in out, f"{out}\n--- namewalld\n{host.log_text()}")
        time.sleep(1.2)
        expect([place["pid"] for place in others_of(host)] == [stays.pid], f"{others_of(host)}, not {stays.pid}")
        # One that ended while nobody looked.
        host.kill_daemon()
        stays.kill()
        stays.wait()
        manager.start(host)
        host.wait_until(lambda: others_of(host) == [], "its sockets close", 2)
        host.wait_until(lambda: len(manager.held) == 3, f"they are released: {sorted(manager.held)}", 2)
