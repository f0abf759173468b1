"""Many workloads on one host: how long they take to be armed, what they cost, what a call costs among them. The numbers
of CI; NAMEWALL_SOAK=1 gives the full ones."""

import http.client
import json
import os
import socket
import sys
import threading
import time

from daemon import Host
from internet.records import Record
from scenario import expect

RECORDS = [Record("shop.example", "A", "203.0.113.10")]
IS_SOAK = os.environ.get("NAMEWALL_SOAK") == "1"


def rules(number, count=50):
    return "allow = [ " + ", ".join(f'"host{index}.w{number}.example:443"' for index in range(count)) + " ]\n"


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scenario_many_workloads_start_soon_and_stay_small():
    count = 1000 if IS_SOAK else 200
    with Host(RECORDS) as host:
        for number in range(count):
            host.policy(f"w{number}", f'cgroup = "{host.new_cgroup(f"w{number}")}"\n' + rules(number))
        begin = time.monotonic()
        host.start_daemon(wait=False)
        host.wait_until(host.is_serving, "it serves", 60)
        took = time.monotonic() - begin
        status = host.get("/v1/status")
        expect(status["workloads_by_state"] == {"enforcing": count}, f"{status['workloads_by_state']} {status['why']}")
        size = resident_mib(host.daemon.pid)
        used = cpu_seconds(host.daemon.pid)
        time.sleep(5)
        idle = (cpu_seconds(host.daemon.pid) - used) / 5
        print(f"{count} workloads of 50 rules: serving after {took:.2f} s, {size:.0f} MiB, idle {idle:.2%} of a core")
        expect(size < 64, f"{size:.0f} MiB")


def scenario_a_call_among_many_is_quick():
    count = 1000 if IS_SOAK else 100
    with Host(RECORDS) as host:
        host.start_daemon()
        times = []
        for number in range(count):
            cgroup = host.new_cgroup(f"w{number}")
            body = {"cgroup": cgroup, "policy_text": rules(number)}
            begin = time.monotonic()
            host.send("PUT", f"/v1/workloads/w{number}", body).ok()
            times.append((time.monotonic() - begin) * 1e3)
        first, last = sorted(times[: count // 2]), sorted(times[count // 2 :])
        middle = [half[len(half) // 2] for half in (first, last)]
        p99 = [half[len(half) * 99 // 100] for half in (first, last)]
        print(f"PUT, first and second half of {count}: median {middle[0]:.2f} and {middle[1]:.2f} ms, "
              f"p99 {p99[0]:.2f} and {p99[1]:.2f} ms")
        expect(middle[1] < 3 * middle[0] + 1, f"a call costs more among many: {middle}")


REFUSED_CONNECTS = """
import socket, sys, time
def refused(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        begin = time.monotonic_ns()
        try:
            client.connect(("198.51.100.7", port))
            client.send(b"x")  # where only what is sent is seen
        except OSError:
            return begin
        return 0
if sys.argv[1] == "flood":
    count, end = 0, time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        for port in range(1, 1001):
            count += refused(port) != 0
    print(count, flush=True)
else:
    for line in sys.stdin:
        print(refused(int(line)), flush=True)
"""


class EventsReader(threading.Thread):
    """Follows the stream; `seen`: when the refusal of each port came."""

    def __init__(self, host):
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("namewall")
        self._connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.sock.connect(host.socket)
        self._connection.request("GET", "/v1/events?follow=1")
        self._stream = self._connection.getresponse()
        self.seen, self.lines = {}, 0
        self.start()

    def run(self):
        for line in self._stream:
            self.lines += 1
            event = json.loads(line)
            if event["kind"] == "refused":
                self.seen.setdefault(event["port"], time.monotonic_ns())


def refusing(host, cgroup, *arguments):
    return host.start_in(cgroup, [sys.executable, "-c", REFUSED_CONNECTS, *arguments])


def scenario_a_refusal_is_seen_in_the_stream_soon():
    count = 1000 if IS_SOAK else 60
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("w")
        host.policy("w", f'cgroup = "{cgroup}"\n' + rules(1))
        host.start_daemon()
        reader = EventsReader(host)
        client = refusing(host, cgroup, "one")
        took = []
        for port in range(1, 1 + count):
            client.stdin.write(f"{port}\n")
            client.stdin.flush()
            begin = int(client.stdout.readline())
            expect(begin > 0, "the connect was not refused")
            took.append((host.wait_until(lambda port=port: reader.seen.get(port), f"the refusal of port {port}") - begin) / 1e6)
            time.sleep(0.02)
        took.sort()
        print(f"from a refusal to its line: median {took[count // 2]:.2f} ms, p99 {took[count * 99 // 100]:.2f} ms")
        expect(took[count // 2] < 50, f"median {took[count // 2]:.1f} ms")


def scenario_a_flood_of_refusals_costs_no_memory_and_stops_no_neighbour():
    seconds = 60 if IS_SOAK else 4
    with Host(RECORDS) as host:
        noisy, neighbour = host.new_cgroup("noisy"), host.new_cgroup("neighbour")
        host.policy("noisy", f'cgroup = "{noisy}"\n' + rules(1))
        host.policy("neighbour", f'cgroup = "{neighbour}"\nallow = ["shop.example:443"]\n')
        host.start_daemon()
        reader = EventsReader(host)
        refusing(host, noisy, "flood", "1").communicate(timeout=20)
        before = resident_mib(host.daemon.pid)
        flood = refusing(host, noisy, "flood", str(seconds))
        while flood.poll() is None:
            looked_up = host.steps(neighbour, "lookup shop.example")[0]
            expect(looked_up["ok"], f"beside the flood: {looked_up}")
        count = int(flood.stdout.read())
        grown = resident_mib(host.daemon.pid) - before
        print(f"{count / seconds:.0f} refusals a second, {reader.lines} lines read, daemon {before:.0f} MiB and {grown:+.1f}")
        expect(count > 1000 * seconds, f"only {count} refusals: no flood")
        expect(grown < 8, f"the daemon grew by {grown:.1f} MiB")
