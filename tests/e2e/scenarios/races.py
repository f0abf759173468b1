"""The kernel knows before the application does: lookups of fresh names, each followed at once by a connect to the fresh
address, must all succeed, however many, and whether or not namewall lives."""

import os
import signal
import time

from internet.processes import Server
from internet.records import Record
from scenario import Scene, expect

RESOLVER = "203.0.113.53"
LOOKUPS = 100_000
PROCESSES = 4


class FreshScene(Scene):
    """A resolver that has an address for every name, and servers behind all of them."""

    def __init__(self, ttl, policy, allow="*.fresh.example:7002"):
        super().__init__([Record("shop.example", "A", "203.0.113.10")], recursive=False)
        self._ttl, self._policy, self._allow = ttl, policy, allow

    def _build(self):
        super()._build()
        self.route_to_servers("45.0.0.0/8")
        server = os.path.join(os.environ["NAMEWALL_E2E_CLIENTS"], "fresh_server")
        self.own(Server(self.world.command([server, RESOLVER, str(self._ttl)]), self.path("fresh.log")))
        self.write_etc(f"nameserver {RESOLVER}\n")
        self.policy = self.write(
            "fresh.toml", f'name = "fresh"\nallow = ["{self._allow}"]\n[dns]\n{self._policy}\n'
        )

    def start_clients(self, count, per_second=0, kinds=""):
        """kinds: "udp" to send each address a datagram, too."""
        client = self.path("clients/fresh_client")
        script = " & ".join(f"{client} {number} {count} {per_second} {kinds}" for number in range(PROCESSES)) + " & wait"
        return self.start_namewall(["--policy", self.policy], ["sh", "-c", script])


def expect_no_failure(run, count):
    expect(len(run.steps) == PROCESSES, "not every client ended", run)
    for step in run.steps:
        expect(
            step["ok"] and step["count"] == count,
            f"{step['lookups_failed']} lookups and {step['connects_failed']} "
            f"connects of {step['count']} failed ({step['error']})",
            run,
        )
    print(
        f"{count * PROCESSES} lookups and connects in {max(step['ms'] for step in run.steps) / 1000:.1f} s, 0 failed"
    )


# As many as the machine can, instead of what one workload may ask for by default.
BOUNDS = "bounds = { in_flight = 65536, per_second = 1000000, fresh_per_second = 1000000, connections = 4096 }"
SHORT_LIVES = f'min_ttl = "1s"\ngrace = "0s"\nmax_addresses = 65536\n{BOUNDS}'


def scenario_hundred_thousand_fresh_names_and_connects():
    with FreshScene(1, SHORT_LIVES) as scene:
        run = scene.start_clients(LOOKUPS // PROCESSES).finish(280)
        expect_no_failure(run, LOOKUPS // PROCESSES)


def scenario_hundred_thousand_with_namewall_killed_halfway():
    with FreshScene(1, SHORT_LIVES) as scene:
        out = scene.write("out", "")
        os.chmod(out, 0o666)
        client, count = scene.path("clients/fresh_client"), LOOKUPS // PROCESSES // 2
        halves = [
            f"({client} {n} {count} 0; touch {scene.path('half')}/{n}; {client} {n + PROCESSES} {count} 0)"
            for n in range(PROCESSES)
        ]
        os.chmod(scene.path("half", make=True), 0o777)
        started = scene.start_namewall(
            ["--policy", scene.policy], ["sh", "-c", f"exec >{out}; {' & '.join(halves)} & wait; echo finished"]
        )
        while not os.listdir(scene.path("half")):
            expect(started.process.poll() is None, "namewall ended early")
            time.sleep(0.01)
        os.kill(started.process.pid, signal.SIGKILL)
        started.process.wait()
        deadline = time.monotonic() + 280
        while "finished" not in open(out).read():
            expect(time.monotonic() < deadline, f"the clients did not end: {open(out).read()}")
            time.sleep(0.2)
        text = open(out).read()
        expect(text.count('"ok":true') == 2 * PROCESSES, f"without namewall: {text}")


def scenario_twenty_times_as_many_addresses_as_may_live_at_once():
    """1,024 may live at once; 20,480 do so one after the other."""
    with FreshScene(1, f'min_ttl = "1s"\ngrace = "0s"\nmax_addresses = 1024\n{BOUNDS}') as scene:
        run = scene.start_clients(20 * 1024 // PROCESSES, per_second=150).finish(280)
        expect_no_failure(run, 20 * 1024 // PROCESSES)
