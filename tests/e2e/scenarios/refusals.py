"""How a refusal feels to each client, and what is told about it: at once, with the right errno, with a reason."""

import socket

from backends import refused
from internet.records import Record
from scenario import CLIENTS, Scene, expect, expect_refusal, expect_step, require_program

PORT = 7001
RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("shop.example", "AAAA", "2001:db8:203::10"),
    Record("short.example", "A", "203.0.113.30", ttl=1),
    Record("tracker.example", "A", "203.0.113.40"),
]
AT_ONCE_MS = 500  # musl waits 5,000 and dig 15,000 when nobody answers; a busy machine is slower than a quiet one
SHOP = [f"shop.example:{PORT}"]


def scenario_unlisted_address_is_refused_within_a_millisecond():
    with Scene(RECORDS) as scene:
        for address in ("203.0.113.99", "2001:db8:203::99"):
            run = scene.allowing(SHOP, "glibc", " ".join([f"connect {address} {PORT}"] * 9))
            for index in range(9):
                expect_step(run, index, ok=False, error="ECONNREFUSED")
            expect(sorted(step["ms"] for step in run.steps)[4] < 1.0, "the median refusal takes 1 ms or more", run)
            expect_refusal(run, "not_looked_up", hook="connect", address=address, port=PORT, protocol="tcp")
        expect(not scene.origins.reached(), f"something arrived: {scene.origins.reached()}")


def scenario_unlisted_datagram_is_refused():
    with Scene(RECORDS) as scene:
        run = scene.allowing(SHOP, "python", f"send 203.0.113.99 {PORT} send 2001:db8:203::99 {PORT}")
        expect_step(run, 0, ok=False, error=refused("udp"))
        expect_step(run, 1, ok=False, error=refused("udp"))
        expect_refusal(run, "not_looked_up", hook="send", protocol="udp")
        expect(not scene.origins.reached(), f"something arrived: {scene.origins.reached()}")


def scenario_unlisted_name_is_refused_at_once_by_every_client():
    with Scene(RECORDS) as scene:
        for client in CLIENTS:
            run = scene.allowing(SHOP, client, "lookup tracker.example lookup does-not-exist.example")
            expect_step(run, 0, ok=False, quicker_ms=AT_ONCE_MS)
            expect_step(run, 1, ok=False, quicker_ms=AT_ONCE_MS)
            event = expect_refusal(run, "name_not_allowed", hook="lookup", name="tracker.example")
            expect(event["permit"] == "https://tracker.example", f"the permit is {event['permit']}", run)
        expect(
            not scene.asked("tracker.example") and not scene.asked("does-not-exist.example"),
            f"a refused question arrived: {scene.resolver.questions()}",
        )


def scenario_dig_is_told_at_once():
    require_program("dig")
    with Scene(RECORDS) as scene:
        run = scene.namewall(["--allow", SHOP[0]], ["dig", "+tries=1", "+time=5", "tracker.example"])
        expect(run.exit_code == 0 and "NXDOMAIN" in run.out, "dig got no NXDOMAIN", run)
        expect("EDE: 15" in run.out, "dig shows no Extended DNS Error", run)
        expect("no rule names tracker.example" in run.out, "the error does not say why", run)
        expect(
            "Query time" in run.out and int(run.out.split("Query time: ")[1].split()[0]) < AT_ONCE_MS,
            "not at once",
            run,
        )
        expect(not scene.asked("tracker.example"), f"a refused question arrived: {scene.resolver.questions()}")


def scenario_curl_works_and_is_refused():
    with Scene(RECORDS) as scene:
        allow = ["--allow", "https://shop.example"]
        for family in ("-4", "-6"):
            run = scene.namewall(allow, ["curl", "-sS", family, "https://shop.example/"])
            expect(run.exit_code == 0 and run.out == "it works\n", f"curl {family} https://shop.example", run)
        run = scene.namewall(allow, ["curl", "-sS", "-m", "10", "https://tracker.example/"])
        expect(run.exit_code == 6, "curl must say: could not resolve host", run)
        run = scene.namewall(
            allow,
            ["curl", "-sS", "-m", "10", "--resolve", "tracker.example:443:203.0.113.40", "https://tracker.example/"],
        )
        expect(run.exit_code == 7, "curl must say: could not connect", run)
        run = scene.namewall(allow, ["curl", "-sS", "-m", "10", "http://shop.example/"])
        expect(run.exit_code == 7, "port 80 is not in the rule", run)
        expect_refusal(run, "port", hook="connect", port=80)


def scenario_python_fetches():
    with Scene(RECORDS) as scene:
        run = scene.allowing(["shop.example"], "python", "fetch https://shop.example/ fetch https://tracker.example/")
        expect_step(run, 0, ok=True)
        expect_step(run, 1, ok=False, quicker_ms=AT_ONCE_MS)


def scenario_address_is_refused_again_after_its_time():
    with Scene(RECORDS) as scene:
        policy = scene.write(
            "short.toml",
            f"""
name = "short"
allow = ["short.example:{PORT}"]
[dns]
min_ttl = "1s"
grace = "0s"
""",
        )
        steps = f"reach short.example {PORT} sleep 2200 connect 203.0.113.30 {PORT} reach short.example {PORT}"
        run = scene.namewall(["--policy", policy], scene.client_argv("glibc", steps))
        expect_step(run, 0, ok=True)
        expect_step(run, 1, ok=False, error="ECONNREFUSED")
        expect_step(run, 2, ok=True)
        event = expect_refusal(run, "expired", hook="connect", address="203.0.113.30", name="short.example")
        expect(event["expired_for_ns"] > 0, "the event does not say for how long it has been expired", run)


def scenario_established_connection_outlives_its_grant():
    with Scene(RECORDS) as scene:
        policy = scene.write(
            "short.toml", f'name = "short"\nallow = ["short.example:{PORT}"]\n[dns]\nmin_ttl = "1s"\ngrace = "0s"\n'
        )
        script = (
            "import socket,time; s=socket.create_connection(('short.example',7001)); time.sleep(2.2); "
            "s.sendall(b'still'); print(s.recv(9).decode())"
        )
        run = scene.namewall(["--policy", policy], ["/usr/bin/python3", "-c", script])
        expect(run.exit_code == 0 and run.out.strip() == "still", "the connection was cut", run)


def scenario_audit_passes_everything_and_reports():
    with Scene(RECORDS) as scene:
        run = scene.namewall(
            ["--audit", "--allow", SHOP[0]],
            scene.client_argv("glibc", f"reach tracker.example {PORT} connect 203.0.113.99 {PORT}"),
        )
        expect_step(run, 0, ok=True)
        expect_step(run, 1, ok=True)
        event = expect_refusal(run, "name_not_allowed", name="tracker.example")
        expect(event["audit"] is True, "the event does not say that this was audit", run)


def scenario_listener_of_ones_own_is_reachable_others_are_not():
    with Scene(RECORDS) as scene:
        outsider = scene.own(scene.client.listen(socket.SOCK_STREAM, "127.0.0.1", 7009))
        expect(outsider.fileno() >= 0, "no listener")
        run = scene.allowing(SHOP, "python", "listen_and_connect connect 127.0.0.1 7009")
        expect_step(run, 0, ok=True)
        expect_step(run, 1, ok=False, error="ECONNREFUSED")
        expect_refusal(run, "loopback", address="127.0.0.1", port=7009)
