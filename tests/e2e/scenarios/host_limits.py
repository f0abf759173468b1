"""host.toml against every policy: denied endpoints, blocked networks, and the limits on listening, low loopback ports and
UDP. Nothing inside a workload lifts them."""

import contextlib
import json
import socket
import subprocess
import sys
import time

from backends import backend, refused
from daemon import Host
from internet.name_servers import Dnsmasq
from internet.namespaces import LINK
from internet.records import Record
from internet.topology import CLIENT
from scenario import expect
from scenarios.daemon_calls import ask_inside

PORT = 7001
RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("shop.example", "A", "203.0.113.11"),
    Record("shop.example", "AAAA", "2001:db8:203::10"),
    Record("bank.example", "A", "203.0.113.20"),
    Record("public.example", "A", "8.8.4.10"),
    Record("intranet.example", "A", "10.20.0.10"),
]
SERVER = """
import errno, json, socket, sys, threading

def tcp(port):
    opened = socket.socket()
    try:
        opened.bind(("0.0.0.0", port))
    except OSError as error:
        return errno.errorcode[error.errno], opened
    opened.listen()
    threading.Thread(target=accept, args=(opened,), daemon=True).start()
    return "", opened

def accept(opened):
    while True:
        opened.accept()
        print("accepted", flush=True)

def receive(opened):
    while True:
        opened.recvfrom(64)
        print("datagram", flush=True)

error, listed = tcp(8080)
_, chosen = tcp(0)
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("0.0.0.0", 8080))
threading.Thread(target=receive, args=(datagrams,), daemon=True).start()
print(json.dumps({"error": error, "chosen": chosen.getsockname()[1]}), flush=True)
sys.stdin.read()
"""


def policy_text(cgroup, allow, more=""):
    rules = ", ".join(f'"{entry}"' for entry in allow)
    return f'cgroup = "{cgroup}"\nallow = [ {rules} ]\n{more}'


def reload(host, settings):
    host.settings(settings)
    host.send("POST", "/v1/reload").ok()


def expect_refusal(host, workload, reason, rule):
    found = [event for event in host.refusals(workload) if event["reason"] == reason]
    found = [event for event in found if rule in event.get("rule", "")]
    expect(found, f"no {reason} by {rule}: {host.refusals(workload)}")
    for event in found:
        expect("host policy denies" in event["sentence"] and not event["permit"], f"no allow would help: {event}")


def explain(host, workload, *target):
    """What `namewall explain` says of the policy file and host.toml."""
    files = [host.path(f"daemon/config/{name}") for name in (f"policies.d/{workload}.toml", "host.toml")]
    argv = [host.binary, "explain", "--policy", files[0], "--host", files[1], *target]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20)


def expect_explained(host, workload, target, rule):
    done = explain(host, workload, target)
    marked = [line for line in done.stdout.splitlines() if "<- refused here" in line]
    expect(done.returncode == 3 and len(marked) == 1, f"{target}: {done}")
    expect("host deny" in marked[0] and rule in marked[0], f"{target}: {done.stdout}")
    expect(" permit " not in done.stdout, f"nothing in the policy would permit it: {done.stdout}")


def scenario_disallowed_hosts_beat_allowed_ones():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.settings(f'deny = [\n"bank.example",\n"203.0.113.11",\n"udp://*:{PORT}",\n]\n')
        allow = [f"*://shop.example:{PORT}", f"*://bank.example:{PORT}", f"*://203.0.113.0/24:{PORT}"]
        host.policy("builder", policy_text(cgroup, allow))
        host.start_daemon()
        host.expect_reach(cgroup, f"203.0.113.10 {PORT}", ok=True)
        for target in (f"bank.example {PORT}", f"203.0.113.11 {PORT}", f"2001:db8:203::20 {PORT}"):
            host.expect_reach(cgroup, target, ok=False)
        step = host.steps(cgroup, f"send 203.0.113.10 {PORT}", "python")[0]
        expect(not step["ok"] and step["error"] == refused("udp"), f"{step}")
        expect("bank.example" not in host.resolver.questions(), "a denied name was asked")
        line = host_line(host, "bank.example")
        expect_refusal(host, "builder", "name_not_allowed", f"host.toml:{line}:")
        expect_refusal(host, "builder", "host_deny", f"host.toml:{line + 1}:")
        expect_refusal(host, "builder", "host_deny", f"host.toml:{line + 2}:")
        expect_explained(host, "builder", f"203.0.113.11:{PORT}", f"host.toml:{line + 1}:")
        expect_explained(host, "builder", f"udp://203.0.113.10:{PORT}", f"host.toml:{line + 2}:")


def host_line(host, text):
    """The line of host.toml that has the text."""
    with open(host.path("daemon/config/host.toml")) as lines:
        return next(number for number, line in enumerate(lines, 1) if text in line)


@contextlib.contextmanager
def server_in(host, cgroup):
    """SERVER in the workload: what it printed first, and how to end it and have the rest."""
    process = host.start_in(cgroup, [sys.executable, "-c", SERVER])
    first = json.loads(process.stdout.readline())

    def finish():
        process.stdin.close()
        return process.stdout.read().split()

    yield first, finish
    process.kill()


def connects(namespace, address, port):
    with namespace.entered():
        opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    with opened:
        opened.settimeout(1)
        return opened.connect_ex((address, port)) == 0


def send_datagram(namespace, address, port):
    with namespace.entered():
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with opened:
        opened.sendto(b"knock", (address, port))


def knock(host, cgroup, first):
    """Connections and datagrams from the world, from the host itself and from the workload: who of the TCP ones got in."""
    answered = []
    for port in {8080, first["chosen"]} if not first["error"] else {first["chosen"]}:
        answered += [f"world {port}"] * connects(host.world, CLIENT[0], port)
        answered += [f"host {port}"] * connects(host.client, "127.0.0.1", port)
        answered += [f"itself {port}"] * host.steps(cgroup, f"connect 127.0.0.1 {port}")[0]["ok"]
    send_datagram(host.world, CLIENT[0], 8080)
    send_datagram(host.client, "127.0.0.1", 8080)
    host.steps(cgroup, "send 127.0.0.1 8080", "python")
    time.sleep(0.3)  # a datagram that was let in is told by now
    return answered


def scenario_listen_is_refused():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.settings('[limits]\nlisten = "deny"\n')
        listens = 'listen = ["tcp:8080", "udp:8080"]\n'
        host.policy("builder", policy_text(cgroup, [f"*://shop.example:{PORT}"], listens))
        host.start_daemon()
        with server_in(host, cgroup) as (first, finish):
            expect(first["error"] == ("EACCES" if backend() == "bpf" else ""), f"bind(8080): {first}")
            answered = knock(host, cgroup, first)
            got = finish()
            expect(answered == [] and got == [], f"{answered}, and the server says {got}")
        for event in (one for one in host.refusals("builder") if one["reason"].startswith("inbound")):
            expect("limits.listen" in event["rule"], f"{event}")
        # Clients bind to ports that the kernel chooses, and datagrams of the resolver come in.
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)
        expect(host.steps(cgroup, f"send 203.0.113.10 {PORT}", "python")[0]["ok"], "UDP is not listening")

        reload(host, '[limits]\nlisten = [ "builder" ]\n')
        with server_in(host, cgroup) as (first, finish):
            answered = knock(host, cgroup, first)
            got = finish()
            expect(first["error"] == "", f"{first}")
            expect({"world 8080", "itself 8080", f"itself {first['chosen']}"} <= set(answered), f"{answered}")
            expect("datagram" in got and "accepted" in got, f"{got}")


def scenario_loopback_any_lets_nobody_in_where_listen_is_denied():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.settings('[limits]\nlisten = "deny"\n')
        host.policy("builder", policy_text(cgroup, [f"shop.example:{PORT}"], 'loopback = "any"\n'))
        host.own(host.client.listen(socket.SOCK_STREAM, "127.0.0.1", 8090))
        host.start_daemon()
        host.expect_reach(cgroup, "127.0.0.1 8090", ok=True)
        with server_in(host, cgroup) as (first, finish):
            inside = host.steps(cgroup, f"connect 127.0.0.1 {first['chosen']}")[0]
            outside = connects(host.client, "127.0.0.1", first["chosen"])
            got = finish()
            expect(not inside["ok"] and not outside and got == [], f"{inside} {outside} {got}")


def scenario_loopback_low_port_is_refused():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.settings('[limits]\nloopback_low_ports = "deny"\n')
        rules = ["*://127.0.0.0/8:1-9000", "*://[::1]:1-9000"]
        host.policy("builder", policy_text(cgroup, rules))
        for address in ("127.0.0.1", "::1"):
            for port in (80, 1023, 1024, 8090):
                host.own(host.client.listen(socket.SOCK_STREAM, address, port))
        host.own(host.client.listen(socket.SOCK_DGRAM, "127.0.0.1", 123))
        host.start_daemon()
        for address in ("127.0.0.1", "::1", "127.0.0.2"):
            for port in (80, 1023):
                step = host.expect_reach(cgroup, f"{address} {port}", ok=False)
                expect(step["error"] == "ECONNREFUSED", f"{step}")
        host.expect_reach(cgroup, "localhost 80", ok=False)
        step = host.steps(cgroup, "send 127.0.0.1 123", "python")[0]
        expect(not step["ok"] and step["error"] == refused("udp"), f"{step}")
        for address in ("127.0.0.1", "::1"):
            for port in (1024, 8090):
                host.expect_reach(cgroup, f"{address} {port}", ok=True)
        host.expect_reach(cgroup, "localhost 8090", ok=True)
        step = host.steps(cgroup, "listen_and_connect", "python")[0]
        expect(step["ok"], f"the own sockets talk to each other on high ports: {step}")
        expect_refusal(host, "builder", "host_deny", "limits.loopback_low_ports")
        expect_explained(host, "builder", "tcp://127.0.0.1:80", "host.toml:")

        reload(host, '[limits]\nloopback_low_ports = [ "builder" ]\n')
        for address in ("127.0.0.1", "::1"):
            host.expect_reach(cgroup, f"{address} 80", ok=True)


def scenario_udp_is_off_and_lifted():
    with Host(RECORDS) as host:
        cgroup, other = host.new_cgroup("build"), host.new_cgroup("other")
        host.settings('[limits]\nudp = "deny"\n')
        for name, where in (("builder", cgroup), ("tool", other)):
            host.policy(name, policy_text(where, [f"*://shop.example:{PORT}", f"*://203.0.113.99:{PORT}"]))
        host.start_daemon()

        def expect_udp(where, ok):
            for target in ("203.0.113.10", "203.0.113.99"):
                step = host.steps(where, f"send {target} {PORT}", "python")[0]
                expect(step["ok"] == ok and (ok or step["error"] == refused("udp")), f"{where}: {step}")

        def expect_lookups(where):
            for client in ("glibc", "musl", "cares", "python"):
                host.expect_reach(where, f"shop.example {PORT}", ok=True, client=client)

        expect_lookups(cgroup)
        expect(host.refusals("builder") == [], f"what sorts addresses is no refusal: {host.refusals('builder')}")
        expect_udp(cgroup, ok=False)
        expect_refusal(host, "builder", "host_deny", "limits.udp")
        expect_explained(host, "builder", f"udp://203.0.113.99:{PORT}", "limits.udp")
        connected = [event for event in host.refusals("builder") if event.get("port") == 53]
        expect(connected == [], f"lookups were refused: {connected}")

        reload(host, '[limits]\nudp = [ "builder" ]\n')
        expect_lookups(cgroup)
        expect_udp(cgroup, ok=True)
        expect_udp(other, ok=False)
        expect_lookups(other)
        reload(host, '[limits]\nudp = "policy"\n')
        host.expect_reach(other, f"shop.example {PORT}", ok=True)
        expect_udp(other, ok=True)
        reload(host, '[limits]\nudp = "deny"\n')
        expect_udp(cgroup, ok=False)
        expect_lookups(cgroup)


def scenario_block_private_networks():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        for prefix in ("10.20.0.0/16", "8.8.4.0/24"):
            host.route_to_servers(prefix)
        host.world.ip("address", "add", "10.20.0.53/32", "dev", LINK)
        resolver = host.own(Dnsmasq(host.world, ["10.20.0.53"], host.path("dns2", make=True), records=RECORDS))
        host.write_etc("nameserver 10.20.0.53\n")
        rules = [f"intranet.example:{PORT}?private", f"public.example:{PORT}", f"shop.example:{PORT}"]
        rules += [f"tcp://10.20.0.0/16:{PORT}", f"tcp://8.8.4.0/24:{PORT}", "tcp://127.0.0.1:8090"]
        host.policy("builder", policy_text(cgroup, rules))
        host.own(host.client.listen(socket.SOCK_STREAM, "127.0.0.1", 8090))
        host.start_daemon()
        host.expect_reach(cgroup, f"intranet.example {PORT}", ok=True)
        host.expect_reach(cgroup, "127.0.0.1 8090", ok=True)

        reload(host, 'block_networks = [ "private" ]\n')
        for target in (f"intranet.example {PORT}", f"10.20.0.10 {PORT}", f"shop.example {PORT}", "127.0.0.1 8090"):
            host.expect_reach(cgroup, target, ok=False)
        for target in (f"public.example {PORT}", f"8.8.4.20 {PORT}"):
            host.expect_reach(cgroup, target, ok=True)
        expect("public.example" in resolver.questions(), "the resolver in a private network was not asked")
        step = host.steps(cgroup, "listen_and_connect", "python")[0]
        expect(step["ok"], f"the own loopback is no network: {step}")
        expect_refusal(host, "builder", "host_deny", "block_networks: private")
        expect_refusal(host, "builder", "loopback", "block_networks: private")
        expect_explained(host, "builder", f"10.20.0.10:{PORT}", "block_networks: private")
        expect_explained(host, "builder", "127.0.0.1:8090", "block_networks: private")

        reload(host, 'block_networks = [ "8.8.4.0/24" ]\n')
        host.expect_reach(cgroup, f"8.8.4.20 {PORT}", ok=False)
        host.expect_reach(cgroup, f"public.example {PORT}", ok=False)
        host.expect_reach(cgroup, f"10.20.0.10 {PORT}", ok=True)


def scenario_root_in_a_workload_lifts_no_limit():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("tenant")
        host.settings('deny = [ "203.0.113.20" ]\n[limits]\nudp = [ "exempted" ]\n')
        rules = policy_text("", [f"*://shop.example:{PORT}", f"*://203.0.113.0/24:{PORT}"]).split("\n", 1)[1]
        host.start_daemon()
        # A policy's text cannot choose the exempted name, whoever brought it to the call.
        body = {"cgroup": cgroup, "policy_text": 'name = "exempted"\n' + rules, "reason": "a test"}
        host.send("PUT", "/v1/workloads/tenant", body).ok()

        def expect_held():
            host.expect_reach(cgroup, f"203.0.113.10 {PORT}", ok=True)
            host.expect_reach(cgroup, f"203.0.113.20 {PORT}", ok=False)
            expect(not host.steps(cgroup, f"send 203.0.113.10 {PORT}", "python")[0]["ok"], "UDP is denied")

        expect_held()
        more = {"add_allow": [f"udp://203.0.113.10:{PORT}"], "reason": "freedom"}
        for method, target, asked in (
            ("PATCH", "/v1/workloads/tenant", more),
            ("PUT", "/v1/workloads/exempted", {**body, "reason": "freedom"}),
            ("DELETE", "/v1/workloads/tenant", {"reason": "freedom"}),
            ("POST", "/v1/reload", None),
        ):
            status, answer = ask_inside(host, cgroup, method, target, asked)
            expect(status == 403, f"{method} {target} from inside: {status} {answer}")
        # Who may call from outside changes the policy, not the host's limits.
        host.send("PATCH", "/v1/workloads/tenant", more).ok()
        expect_held()
        host.kill_daemon()
        expect_held()
        host.start_daemon()
        expect_held()
        # By the workload's own name it is exempt.
        host.send("PUT", "/v1/workloads/exempted", {**body, "cgroup": host.new_cgroup("lifted")}).ok()
        step = host.steps(host.root.path("lifted"), f"send 203.0.113.10 {PORT}", "python")[0]
        expect(step["ok"], f"{step}")
        host.expect_reach(host.root.path("lifted"), f"203.0.113.20 {PORT}", ok=False)


def scenario_a_name_that_is_no_policys_is_told():
    with Host(RECORDS) as host:
        host.settings('profile = "spin"\n[limits]\nudp = [ "bulider" ]\n')
        host.policy("builder", policy_text(host.new_cgroup("build"), [f"shop.example:{PORT}"]))
        host.start_daemon()
        warnings = host.get("/v1/status")["warnings"]
        expect(any("`bulider`" in warning and "host.toml:" in warning for warning in warnings), f"{warnings}")


def scenario_limits_written_while_no_daemon_runs_hold_from_its_start():
    with Host(RECORDS) as host:
        cgroups = {name: host.new_cgroup(name) for name in ("file", "call")}
        rules = [f"*://shop.example:{PORT}", f"*://203.0.113.0/24:{PORT}"]
        host.policy("file", policy_text(cgroups["file"], rules))
        host.start_daemon()
        text = policy_text("", rules).split("\n", 1)[1]
        body = {"cgroup": cgroups["call"], "policy_text": text, "reason": "a test"}
        host.send("PUT", "/v1/workloads/call", body).ok()

        def expect_udp(ok):
            for name, cgroup in cgroups.items():
                step = host.steps(cgroup, f"send 203.0.113.99 {PORT}", "python")[0]
                expect(step["ok"] == ok, f"{name}: {step}\n--- namewalld\n{host.log_text()}")
                host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)

        expect_udp(ok=True)
        for settings, ok in (('[limits]\nudp = "deny"\n', False), ('[limits]\nudp = [ "file", "call" ]\n', True)):
            host.kill_daemon()
            host.settings(settings)
            host.start_daemon()
            expect_udp(ok)
