"""Answers that lie teach nothing. The servers behind every forged address exist: only the refusal keeps them away."""

import socket

from backends import learns_in_kernel, refused
from internet.crafted_dns import CraftedDns
from internet.origin_server import OriginServers
from internet.records import Record
from scenario import Scene, expect, expect_refusal, expect_step

PORT = 7001
LIAR = "203.0.113.53"  # the trusted resolver of these scenarios
GOOD, EVIL = "203.0.113.10", "203.0.113.66"
ASK = f"ask {LIAR} 53 shop.example A"
NEVER = ["127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.169.254", "198.51.100.2", "224.0.0.1", "255.255.255.255"]
NEVER_V6 = [
    "::1",
    "::",
    "fe80::1",
    "2001:db8:100::2",
    "ff02::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::1",
    "2001:0:7f00:1::",
]
PRIVATE = ["10.77.0.5", "172.16.9.9", "192.168.77.7", "100.64.7.7"]


class LiarScene(Scene):
    """The client trusts one crafted server; respond(question, send) is its mind."""

    def __init__(self, respond):
        super().__init__([Record("shop.example", "A", GOOD)], recursive=False)
        self._respond = respond

    def _build(self):
        super()._build()
        self.liar = self.own(CraftedDns(self.world, LIAR, self._respond))
        self.write_etc(f"nameserver {LIAR}\n")

    def ask_then_connect(self, how, addresses, allow=f"shop.example:{PORT}", ask=ASK, port=PORT):
        steps = [f"{ask} {how}", *(f"connect {address} {port}" for address in addresses)]
        return self.allowing([allow], "python", " ".join(steps))


def only_good(scene, how="sendto"):
    """After one question the good address is open and the evil one is not."""
    run = scene.ask_then_connect(how, [GOOD, EVIL])
    expect_step(run, 0, ok=True)
    expect_step(run, 1, ok=True)
    expect_step(run, 2, ok=False, error="ECONNREFUSED")
    expect(("tcp", EVIL, PORT) not in scene.origins.reached(), "the forged address was reached", run)
    return run


def scenario_wrong_id():
    def respond(question, send):
        send(question.answer([("shop.example", "A", EVIL)], id=question.id ^ 1))
        send(question.answer([("shop.example", "A", GOOD)]))

    with LiarScene(respond) as scene:
        run = only_good(scene)
        expect(run.steps[0]["addresses"] == [GOOD], "the answer with another id was delivered", run)


def scenario_wrong_question():
    def respond(question, send):
        send(question.answer([("other.example", "A", EVIL)], about="other.example"))
        send(question.answer([("shop.example", "A", GOOD)]))

    with LiarScene(respond) as scene:
        only_good(scene)


def scenario_wrong_source():
    def respond(question, send):
        send(question.answer([("shop.example", "A", EVIL)]), through=scene.impostor)
        send(question.answer([("shop.example", "A", EVIL)]), through=scene.other_port)
        send(question.answer([("shop.example", "A", GOOD)]))

    with LiarScene(respond) as scene:
        scene.impostor = scene.own(scene.world.listen(socket.SOCK_DGRAM, "203.0.113.54", 53))
        scene.other_port = scene.own(scene.world.listen(socket.SOCK_DGRAM, LIAR, 5353))
        for how in ("sendto", "connected"):
            run = only_good(scene, how)
            expect(run.steps[0]["addresses"] == [GOOD], "an answer from elsewhere was delivered", run)


def scenario_unsolicited_and_repeated():
    """A second answer to a question that has been answered, and one to nothing."""

    def respond(question, send):
        send(question.answer([("shop.example", "A", GOOD)]))
        send(question.answer([("shop.example", "A", EVIL)]))
        send(question.answer([("shop.example", "A", EVIL)], id=question.id ^ 0x55))

    script = f"""
import socket, sys, time
sys.path.insert(0, {{clients!r}}); import probe
kept = []
socket.socket.__exit__ = lambda self, *_: kept.append(self)
probe.main({ASK.split() + ["sendto"]!r})
time.sleep(0.2)
probe.main("connect {GOOD} {PORT} connect {EVIL} {PORT}".split())
"""
    with LiarScene(respond) as scene:
        run = scene.namewall(
            ["--allow", f"shop.example:{PORT}"],
            ["/usr/bin/python3", "-c", script.format(clients=scene.path("clients"))],
        )
        expect_step(run, 0, ok=True)
        expect_step(run, 1, ok=True)
        expect_step(run, 2, ok=False, error="ECONNREFUSED")
        if learns_in_kernel():  # else nobody sees it but the proxy's resolver
            expect_refusal(run, "answer_unsolicited")


def scenario_from_another_local_process():
    """A neighbour on the same host that sees the question sends the answer first."""

    def respond(question, send):
        send(question.answer([("shop.example", "A", EVIL)]), through=scene.neighbour)
        send(question.answer([("shop.example", "A", GOOD)]))

    with LiarScene(respond) as scene:
        scene.neighbour = scene.own(scene.client.listen(socket.SOCK_DGRAM, "198.51.100.2", 5399))
        run = only_good(scene)
        expect(run.steps[0]["addresses"] == [GOOD], "the neighbour's answer was delivered", run)


def scenario_from_a_resolver_that_the_workload_chose():
    """Port 53 elsewhere is closed; where an address rule opens it, its answers teach nothing."""

    def respond(question, send):
        send(question.answer([("shop.example", "A", EVIL)]))

    with LiarScene(lambda question, send: send(question.answer([("shop.example", "A", GOOD)]))) as scene:
        scene.own(CraftedDns(scene.world, "203.0.113.99", respond))
        ask = "ask 203.0.113.99 53 shop.example A"
        for how in ("sendto", "connected"):
            run = scene.ask_then_connect(how, [EVIL], ask=ask)
            expect_step(run, 0, ok=False, error=refused("udp"))
            run = scene.namewall(
                ["--allow", f"shop.example:{PORT}", "--allow", "udp://203.0.113.99:53"],
                scene.client_argv("python", f"{ask} {how} connect {EVIL} {PORT}"),
            )
            expect(
                run.steps[0]["ok"] and run.steps[0]["addresses"] == [EVIL],
                "an ordinary endpoint on port 53 works",
                run,
            )
            expect_step(run, 1, ok=False, error="ECONNREFUSED")


def scenario_from_a_resolver_that_the_workload_runs():
    script = f"""
import socket, struct, sys, threading
sys.path.insert(0, {{clients!r}}); import probe
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 5353))
def serve():
    while True:
        question, peer = server.recvfrom(512)
        answer = question[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + question[12:]
        server.sendto(answer + b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\1\\0\\0\\4" + socket.inet_aton("{EVIL}"), peer)
threading.Thread(target=serve, daemon=True).start()
probe.main("ask 127.0.0.1 5353 shop.example A sendto connect {EVIL} {PORT}".split())
"""
    with LiarScene(lambda question, send: None) as scene:
        run = scene.namewall(
            ["--allow", f"shop.example:{PORT}"],
            ["/usr/bin/python3", "-c", script.format(clients=scene.path("clients"))],
        )
        expect(run.steps and run.steps[0]["addresses"] == [EVIL], "loopback between own sockets works", run)
        expect_step(run, 1, ok=False, error="ECONNREFUSED")


def scenario_workload_may_not_bind_a_trusted_resolvers_address():
    with Scene([Record("shop.example", "A", GOOD)], recursive=False) as scene:
        scene.write_etc("nameserver 127.0.0.53\n")
        scene.client.sysctl("net.ipv4.ip_unprivileged_port_start", "0")
        for address in ("127.0.0.53", "0.0.0.0"):
            script = (
                "import socket; opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                f"opened.bind(('{address}', 53)); print('bound')"
            )
            run = scene.namewall(["--allow", "shop.example"], ["/usr/bin/python3", "-c", script])
            expect(run.exit_code != 0 and "bound" not in run.out, f"bound {address}:53", run)
            expect_refusal(run, "bind_resolver")


def scenario_addresses_of_names_off_the_chain():
    def respond(question, send):
        send(
            question.answer(
                [
                    ("other.example", "A", EVIL),
                    ("shop.example", "CNAME", "pop.example"),
                    ("shop.example.pop.example", "A", EVIL),
                    ("pop.example", "A", GOOD),
                    ("example", "A", EVIL),
                ]
            )
        )

    with LiarScene(respond) as scene:
        only_good(scene)


def scenario_chain_that_goes_in_circles_ends():
    def respond(question, send):
        send(
            question.answer(
                [
                    ("shop.example", "CNAME", "a.example"),
                    ("a.example", "CNAME", "b.example"),
                    ("b.example", "CNAME", "a.example"),
                    ("c.example", "A", EVIL),
                ]
            )
        )

    with LiarScene(respond) as scene:
        run = scene.ask_then_connect("sendto", [EVIL])
        expect_step(run, 1, ok=False, error="ECONNREFUSED")


def _all_of(addresses):
    def respond(question, send):
        kind = "AAAA" if question.is_for("AAAA") else "A"
        is_kind = [address for address in addresses if (":" in address) == (kind == "AAAA")]
        send(question.answer([("shop.example", kind, address) for address in is_kind]))

    return respond


def _make_reachable(scene):
    """Something answers at the special addresses, so that a hole would be seen."""
    for prefix in ("169.254.169.254/32", "10.77.0.0/24", "172.16.9.0/24", "192.168.77.0/24", "100.64.7.0/24"):
        scene.route_to_servers(prefix)
    scene.local_origins = scene.own(
        OriginServers(scene.client, scene.files, scene.path("tls/server.pem"), scene.path("tls/server.key"))
    )


def scenario_special_use_addresses():
    with LiarScene(_all_of(NEVER + PRIVATE + NEVER_V6)) as scene:
        _make_reachable(scene)
        for kind, addresses in (("A", NEVER + PRIVATE), ("AAAA", NEVER_V6)):
            run = scene.ask_then_connect("sendto", addresses, ask=f"ask {LIAR} 53 shop.example {kind}")
            expect_step(run, 0, ok=True)
            for index in range(1, len(addresses) + 1):
                expect_step(run, index, ok=False)
        expect(not scene.origins.reached() and not scene.local_origins.reached(), "a special address was reached")
        run = scene.ask_then_connect("sendto", ["169.254.169.254", "10.77.0.5"])
        expect_refusal(run, "special_answer", address="169.254.169.254")
        event = expect_refusal(run, "private_answer", address="10.77.0.5")
        expect("?private" in (event["permit"] or ""), "the refusal does not print the fix", run)


def scenario_private_rule_opens_private_addresses_only():
    """An allowed private name, rebound to loopback, the metadata service and the host itself."""
    with LiarScene(_all_of(NEVER + PRIVATE + NEVER_V6)) as scene:
        _make_reachable(scene)
        allow = f"tcp://shop.example:{PORT}?private"
        run = scene.ask_then_connect("sendto", PRIVATE, allow=allow)
        for index in range(len(PRIVATE) + 1):
            expect_step(run, index, ok=True)
        run = scene.ask_then_connect("sendto", NEVER, allow=allow)
        for index in range(1, len(NEVER) + 1):
            expect_step(run, index, ok=False)
        run = scene.ask_then_connect("sendto", NEVER_V6, allow=allow, ask=f"ask {LIAR} 53 shop.example AAAA")
        for index in range(1, len(NEVER_V6) + 1):
            expect_step(run, index, ok=False)
        reached = {address for _, address, _ in scene.origins.reached()}
        expect(reached == set(PRIVATE), f"reached {reached}")
        expect(not scene.local_origins.reached(), f"reached {scene.local_origins.reached()}")


def scenario_error_answers_and_other_codes_teach_nothing():
    """NXDOMAIN, SERVFAIL, a query instead of a response, a truncated answer: all with the evil address in them."""
    flags = {"a": 0x8183, "b": 0x8182, "c": 0x0100, "d": 0x8380}

    def respond(question, send):
        send(question.answer([(question.name, "A", EVIL)], flags=flags[question.name[0]]))

    with LiarScene(respond) as scene:
        for letter in flags:
            steps = f"ask {LIAR} 53 {letter}.example A sendto connect {EVIL} {PORT}"
            run = scene.allowing([f"*.example:{PORT}"], "python", steps, timeout=20)
            expect_step(run, 1, ok=False, error="ECONNREFUSED")
