"""Many workloads on one host: how long they take to be armed, what they cost, what a call costs among them. The numbers
of CI; NAMEWALL_SOAK=1 gives the full ones."""

import os
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
