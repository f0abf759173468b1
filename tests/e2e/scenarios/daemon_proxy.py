"""namewalld's DNS proxy: who gets it, where it listens, what follows a change of policy."""

import subprocess
import threading
import time

from daemon import Host
from internet.crafted_dns import CraftedDns
from internet.name_servers import Dnsmasq
from internet.namespaces import Namespace
from internet.records import Record
from scenario import expect

PORT = 7001
V4, V6 = "198.51.100.53", "2001:db8:100::53"
RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("shop.example", "AAAA", "2001:db8:203::10"),
    Record("bank.example", "A", "203.0.113.20"),
    *(Record("large.example", "A", f"203.0.113.{number}") for number in range(100, 160)),
]


def policy_text(cgroup, *names, dns=""):
    allow = ", ".join(f'"{name}:{PORT}"' for name in names)
    return f'cgroup = "{cgroup}"\nallow = [ {allow} ]\n[dns]\n{dns}\n'


PROXY = 'learn = "proxy"'


def dig(host, cgroup, *words, namespace=None):
    """Its output and how long it took, in seconds."""
    begin = time.monotonic()
    argv = ["dig", "+tries=1", "+time=3", *words]
    if namespace is not None:
        argv = namespace.command(argv)
    process = host.start_in(cgroup, argv)
    out, err = process.communicate(timeout=20)
    return out + err, time.monotonic() - begin


def counts_of(host, workload):
    return host.get(f"/v1/workloads/{workload}")["proxy"]


def expect_dig(host, cgroup, *words, says, quicker=None):
    out, took = dig(host, cgroup, *words)
    expect(all(part in out for part in says), f"dig {words} says no {says}:\n{out}\n--- namewalld\n{host.log_text()}")
    expect(quicker is None or took < quicker, f"dig {words} took {took:.2f} s:\n{out}")
    return out


def scenario_lookups_by_the_proxy_teach_and_refuse():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        resolvers = f'{PROXY}\nresolvers = [ "system", "[{V6}]:53" ]'
        host.policy("builder", policy_text(cgroup, "shop.example", dns=resolvers))
        host.start_daemon()
        for client in ("glibc", "musl", "cares", "python"):
            step = host.expect_reach(cgroup, f"shop.example {PORT}", ok=True, client=client)
            expect(len(step["addresses"]) == 2, f"{client} must get both families: {step}")
            step = host.steps(cgroup, "lookup bank.example", client)[0]
            expect(not step["ok"] and step["ms"] < 300, f"{client} is not refused at once: {step}")
        for words in ((f"@{V4}",), (f"@{V6}",), (f"@{V4}", "+tcp"), (f"@{V6}", "+tcp")):
            out = expect_dig(host, cgroup, *words, "shop.example", says=["NOERROR", "203.0.113.10"])
            expect(f"SERVER: {words[0][1:]}#53" in out, f"the answer is not from the resolver that was asked:\n{out}")
            says = ["NXDOMAIN", "EDE: 15", "builder"]
            expect_dig(host, cgroup, *words, "bank.example", says=says, quicker=1)
        expect("bank.example" not in host.resolver.questions(), "a refused question left the host")
        view = host.get("/v1/workloads/builder")
        expect(view["workload"]["dns"] == "proxy" and view["workload"]["dns_why"], f"{view['workload']}")
        expect(view["proxy"]["refused"] >= 8 and view["proxy"]["taught"] > 0, f"{view['proxy']}")
        served = host.get("/v1/status")["proxy_namespaces"]
        expect([place["own"] for place in served] == [True], f"{served}")
        expect(set(served[0]["resolvers"]) == {f"{V4}:53", f"[{V6}]:53"}, f"{served}")
        refused = [event["name"] for event in host.refusals("builder")]
        expect("bank.example" in refused, f"no event: {refused}")


def scenario_tcp_and_truncated_answers_teach_under_the_kernel_path():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_text(cgroup, "shop.example", "large.example"))
        host.start_daemon()
        expect(host.workloads()["builder"]["dns"] == "kernel", f"{host.workloads()['builder']}")
        expect_dig(host, cgroup, f"@{V4}", "+tcp", "shop.example", says=["NOERROR", "203.0.113.10"])
        host.expect_reach(cgroup, f"203.0.113.10 {PORT}", ok=True)
        expect_dig(host, cgroup, f"@{V4}", "+tcp", "bank.example", says=["NXDOMAIN", "EDE: 15"], quicker=1)
        host.expect_reach(cgroup, f"203.0.113.20 {PORT}", ok=False)
        out = expect_dig(host, cgroup, f"@{V4}", "+noedns", "large.example", says=["203.0.113.100"])
        expect("retrying in TCP mode" in out, f"nothing was truncated:\n{out}")
        host.expect_reach(cgroup, f"203.0.113.159 {PORT}", ok=True)
        counts = counts_of(host, "builder")
        expect(counts["questions"] == 3, f"UDP went by the proxy, too: {counts}")
        host.expect_reach(cgroup, f"shop.example {PORT}", ok=True)


def others_of(host):
    return [place for place in host.get("/v1/status")["proxy_namespaces"] if not place["own"]]


def scenario_another_network_namespace_has_a_proxy_while_it_is_used():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_text(cgroup, "shop.example", dns=PROXY))
        host.start_daemon()
        island = host.own(Namespace("island"))  # without a route: only the proxy knows the way
        expect(others_of(host) == [], "somebody is there already")
        stays = host.start_in(cgroup, island.command(["sleep", "100"]))
        time.sleep(0.2)
        out, took = dig(host, cgroup, f"@{V4}", "shop.example", namespace=island)
        expect("NOERROR" not in out and took < 1, f"the first lookup has a proxy, or hangs {took:.2f} s: {out}")
        events = [event for event in host.refusals("builder") if event["reason"] == "no_proxy_in_netns"]
        expect(events and events[0]["pid"] > 0, f"{host.refusals('builder')}")
        host.wait_until(lambda: others_of(host), "the proxy comes", 1)
        for words in ((), ("+tcp",)):
            out, _ = dig(host, cgroup, f"@{V4}", *words, "shop.example", namespace=island)
            expect("203.0.113.10" in out, f"{out}\n--- namewalld\n{host.log_text()}")
        time.sleep(1.2)
        expect(len(others_of(host)) == 1, "it is gone although a process is there")
        stays.kill()
        stays.wait()
        begin = time.monotonic()
        host.wait_until(lambda: others_of(host) == [], "the proxy goes", 3)
        took = time.monotonic() - begin
        expect(took < 1, f"the sockets closed {took:.2f} s after the last process")
        print(f"closed {took * 1000:.0f} ms after the last process")


def scenario_a_namespace_without_loopback_stays_so():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_text(cgroup, "shop.example", dns=PROXY))
        host.start_daemon()
        island = host.own(Namespace("island"))
        island.ip("link", "set", "lo", "down")
        for _ in range(2):
            out, took = dig(host, cgroup, f"@{V4}", "shop.example", namespace=island)
            expect("NOERROR" not in out and took < 1, f"{took:.2f} s: {out}")
            time.sleep(0.1)
        expect(others_of(host) == [], "a proxy without loopback")
        # nftables' proxy comes with the table, to processes that stay.
        stays = host.start_in(cgroup, island.command(["sleep", "100"]))
        host.wait_until(lambda: any("loopback" in one for one in host.get("/v1/status")["warnings"]), "it is told", 5)
        expect(others_of(host) == [], "a proxy without loopback")
        stays.kill()
        stays.wait()
        links = subprocess.run(island.command(["ip", "link", "show", "lo"]), capture_output=True, text=True).stdout
        expect("UP" not in links, f"loopback was brought up: {links}")


def scenario_a_nested_workload_has_one_path_and_both_judge():
    with Host(RECORDS) as host:
        outer = host.new_cgroup("outer")
        inner = host.new_cgroup("outer/inner")
        host.policy("outer", policy_text(outer, "shop.example", dns=PROXY))
        host.policy("inner", policy_text(inner, "shop.example", "bank.example"))
        host.start_daemon()
        expect(host.workloads()["inner"]["dns"] == "proxy", f"{host.workloads()['inner']}")
        host.expect_reach(inner, f"shop.example {PORT}", ok=True)
        host.expect_reach(outer, f"shop.example {PORT}", ok=True)
        host.expect_reach(inner, f"bank.example {PORT}", ok=False)
        expect("bank.example" not in host.resolver.questions(), "the outer one does not allow it")
        expect(counts_of(host, "inner")["questions"] > 0, "not by the proxy")


def scenario_a_templates_children_have_the_proxy_from_their_first_question():
    with Host(RECORDS) as host:
        parent = host.new_cgroup("jobs")
        host.policy("job", policy_text(f"{parent}/*", "shop.example", dns=PROXY))
        host.start_daemon()
        for number in range(3):
            child = host.new_child(f"jobs/{number}")
            host.expect_reach(child, f"shop.example {PORT}", ok=True)
            expect_dig(host, child, f"@{V4}", "+tcp", "bank.example", says=["NXDOMAIN", "EDE: 15"])
        # What one child learned opens nothing for another.
        last = host.new_child("jobs/last")
        host.expect_reach(last, f"203.0.113.10 {PORT}", ok=False)


def scenario_a_policy_may_change_its_way_under_load():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_text(cgroup, "shop.example", "bank.example"))
        host.start_daemon()
        wrong, ends, done = [], threading.Event(), []

        def keep_looking_up():
            while not ends.is_set():
                steps = " ".join([f"reach shop.example {PORT}"] * 20)
                for step in host.steps(cgroup, steps):
                    done.append(step)
                    if not step["ok"]:
                        wrong.append(step)

        load = threading.Thread(target=keep_looking_up)
        load.start()
        try:
            for number in range(12):
                text = policy_text(cgroup, "shop.example", *(["bank.example"] * (number % 3 == 0)))
                host.policy("builder", text + (PROXY if number % 2 == 0 else ""))
                view = host.send("POST", "/v1/reload").ok()
                expect(view["ok"], f"{view}")
                wanted = "proxy" if number % 2 == 0 else "kernel"
                expect(host.workloads()["builder"]["dns"] == wanted, f"{host.workloads()['builder']}")
                time.sleep(0.15)
        finally:
            ends.set()
            load.join()
        # What waits while its policy is replaced is answered SERVFAIL at worst; a connect after an answer never fails.
        refused = [step for step in wrong if step["error"] == "ECONNREFUSED"]
        expect(refused == [], f"{refused[:5]}\n--- namewalld\n{host.log_text()}")
        expect(len(wrong) <= 12 and len(done) > 100, f"{len(wrong)} of {len(done)}: {wrong[:5]}")
        print(f"{len(done)} lookups and connects over 12 changes, {len(wrong)} answered SERVFAIL")


def scenario_the_agent_keeps_names_fresh_that_nobody_looks_up():
    with Host(RECORDS) as host:
        address = ["203.0.113.31"]

        def respond(question, send):
            send(question.answer([(question.name, "A", address[0], 1)] if question.is_for("A") else []))

        host.own(CraftedDns(host.world, V4, respond, port=5301))
        cgroup = host.new_cgroup("build")
        dns = f'resolvers = [ "{V4}:5301" ]\nsearch = []\nresolve = "agent"\nmin_ttl = "1s"\ngrace = "1s"'
        host.policy("builder", policy_text(cgroup, "baked-in.example", dns=dns))
        host.start_daemon()

        def is_open(target):
            return host.steps(cgroup, f"connect {target} {PORT}")[0]["ok"]

        host.wait_until(lambda: is_open("203.0.113.31"), "the name's address is open without a lookup", 5)
        expect(not is_open("203.0.113.32"), "too much is open")
        address[0] = "203.0.113.32"
        host.wait_until(lambda: is_open("203.0.113.32"), "the new address is open", 8)
        host.wait_until(lambda: not is_open("203.0.113.31"), "the old address is no longer open", 8)


def scenario_idle_workloads_cost_the_proxy_nothing():
    with Host(RECORDS) as host:
        for number in range(20):
            host.policy(f"w{number}", policy_text(host.new_cgroup(f"w{number}"), "shop.example", dns=PROXY))
        host.start_daemon()
        time.sleep(1)

        def cpu_seconds():
            with open(f"/proc/{host.daemon.pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / 100

        before = cpu_seconds()
        time.sleep(3)
        used = cpu_seconds() - before
        expect(used <= 0.09, f"{used:.2f} s of CPU in 3 idle seconds")


def scenario_the_live_proof_knows_the_proxys_refusal():
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_text(cgroup, "shop.example", dns=PROXY))
        host.start_daemon()
        proof = host.send("POST", "/v1/workloads/builder/test").ok()
        expect(proof["passed"], f"{proof}\n--- namewalld\n{host.log_text()}")
        expect(any("refused name" in step and "refused in" in step for step in proof["steps"]), f"{proof}")
        expect(not any("namewall.invalid" in name for name in host.resolver.questions()), "the probe's name got out")
        expect(host.refusals("builder") == [], "nobody has to hear of a proof")


def scenario_a_resolver_is_asked_in_the_namespace_where_it_lives():
    with Host(RECORDS) as host:
        island = host.own(Namespace("island"))
        records = [Record("shop.example", "A", "203.0.113.77")]
        inside = host.own(Dnsmasq(island, ["127.0.0.54"], host.path("dns"), records))
        cgroup = host.new_cgroup("build")
        host.policy("builder", policy_text(cgroup, "shop.example", dns=f'{PROXY}\nresolvers = [ "127.0.0.54" ]'))
        host.start_daemon()
        host.start_in(cgroup, island.command(["sleep", "100"]))
        time.sleep(0.2)
        dig(host, cgroup, "@127.0.0.54", "shop.example", namespace=island)
        host.wait_until(lambda: others_of(host), "the proxy comes", 2)
        time.sleep(0.1)
        for words in ((), ("+tcp",)):
            out, _ = dig(host, cgroup, *words, "@127.0.0.54", "shop.example", namespace=island)
            expect("203.0.113.77" in out, f"{out}\n--- namewalld\n{host.log_text()}")
            out, _ = dig(host, cgroup, *words, "@127.0.0.54", "bank.example", namespace=island)
            expect("EDE: 15" in out, f"{out}")
        expect("shop.example" in inside.questions() and "bank.example" not in inside.questions(), "not asked there")
