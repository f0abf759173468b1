"""Which names a policy opens, for every client: patterns, spelling, CNAME chains, both families, many addresses."""

import itertools

from internet.crafted_dns import CraftedDns
from internet.records import Record
from scenario import CLIENTS, Scene, expect, expect_refusal, expect_step

PORT = 7001
RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("shop.example", "AAAA", "2001:db8:203::10"),
    Record("api.shop.example", "A", "203.0.113.11"),
    Record("api.shop.example", "AAAA", "2001:db8:203::11"),
    Record("a.b.shop.example", "A", "203.0.113.12"),
    Record("a.b.shop.example", "AAAA", "2001:db8:203::12"),
    Record("img.s3.eu.cloud.example", "A", "203.0.113.13"),
    Record("img.s3.eu.cloud.example", "AAAA", "2001:db8:203::13"),
    Record("img.s4.eu.cloud.example", "A", "203.0.113.14"),
    Record("xn--bcher-kva.example", "A", "203.0.113.15"),
    Record("old.example", "A", "203.0.113.16"),
    Record("new.example", "AAAA", "2001:db8:203::17"),
    Record("www.chain.example", "CNAME", "edge.cdn.example"),
    Record("edge.cdn.example", "CNAME", "pop.cdn.example"),
    Record("pop.cdn.example", "A", "203.0.113.18"),
    Record("pop.cdn.example", "AAAA", "2001:db8:203::18"),
    Record("other.example", "A", "203.0.113.20"),
    Record("other.example", "AAAA", "2001:db8:203::20"),
    *(Record("many.example", "A", f"203.0.113.{100 + i}") for i in range(32)),
]


def each_client(allow, reached, refused):
    """Every client, in a run of its own, reaches the one list and cannot look up the other."""
    with Scene(RECORDS) as scene:
        for client in CLIENTS:
            steps = " ".join([f"reach {name} {PORT}" for name in reached] + [f"lookup {name}" for name in refused])
            run = scene.allowing(allow, client, steps)
            expect(run.exit_code == 0, f"{client} did not finish", run)
            for index in range(len(reached)):
                expect_step(run, index, ok=True)
            for index, name in enumerate(refused, len(reached)):
                expect_step(run, index, ok=False)
                expect_refusal(run, "name_not_allowed", hook="lookup", name=name)
        for name in refused:
            expect(not scene.asked(name), f"{name} reached the resolver: {scene.resolver.questions()}")


def scenario_exact_name_opens_itself_only():
    each_client([f"shop.example:{PORT}"], ["shop.example"], ["other.example", "api.shop.example", "example"])


def scenario_star_opens_one_label():
    each_client([f"*.shop.example:{PORT}"], ["api.shop.example"], ["shop.example", "a.b.shop.example"])


def scenario_double_star_opens_every_depth():
    each_client(
        [f"**.shop.example:{PORT}"], ["api.shop.example", "a.b.shop.example"], ["shop.example", "other.example"]
    )


def scenario_inner_star_opens_one_label_in_the_middle():
    each_client([f"*.s3.*.cloud.example:{PORT}"], ["img.s3.eu.cloud.example"], ["img.s4.eu.cloud.example"])


def scenario_spelling_does_not_matter():
    with Scene(RECORDS) as scene:
        for client in CLIENTS:
            run = scene.allowing(
                [f"SHOP.Example.:{PORT}"], client, f"reach shop.EXAMPLE {PORT} reach ShOp.example. {PORT}"
            )
            expect_step(run, 0, ok=True)
            expect_step(run, 1, ok=True)


def scenario_unicode_names_are_their_ascii_form():
    with Scene(RECORDS) as scene:
        for client in CLIENTS:
            run = scene.allowing([f"Bücher.example:{PORT}"], client, f"reach xn--bcher-kva.example {PORT}")
            expect_step(run, 0, ok=True)
        run = scene.allowing([f"xn--bcher-kva.example:{PORT}"], "python", f"reach bücher.example {PORT}")
        expect_step(run, 0, ok=True)


def scenario_names_of_one_family():
    each_client([f"old.example:{PORT}", f"new.example:{PORT}"], ["old.example", "new.example"], ["other.example"])


def scenario_cname_chain_counts_for_the_name_that_was_asked():
    each_client([f"www.chain.example:{PORT}"], ["www.chain.example"], ["edge.cdn.example", "pop.cdn.example"])


def scenario_cname_chain_in_any_order():
    def respond(question, send):
        number = int(question.name[1])
        chain = [
            (question.name, "CNAME", "edge.cdn.example"),
            ("edge.cdn.example", "CNAME", "pop.cdn.example"),
            ("pop.cdn.example", "A", f"203.0.113.{50 + number}"),
        ]
        send(question.answer(list(itertools.permutations(chain))[number]))

    with Scene(RECORDS) as scene:
        scene.own(CraftedDns(scene.world, "203.0.113.53", respond))
        etc = scene.write_etc("nameserver 203.0.113.53\n", "etc-crafted")
        steps = [
            f"ask 203.0.113.53 53 p{i}.perm.example A connected connect 203.0.113.{50 + i} {PORT}" for i in range(6)
        ]
        run = scene.allowing([f"*.perm.example:{PORT}"], "python", " ".join(steps), etc=etc)
        for index in range(12):
            expect_step(run, index, ok=True)


def scenario_thirty_two_addresses_with_edns():
    with Scene(RECORDS) as scene:
        etc = scene.write_etc("nameserver 198.51.100.53\noptions edns0\n", "etc-edns")
        for client in ("glibc", "python"):
            run = scene.allowing([f"many.example:{PORT}"], client, f"reach many.example {PORT}", etc=etc)
            expect_step(run, 0, ok=True)
            expect(len(run.steps[0]["addresses"]) == 32, f"{client} got {len(run.steps[0]['addresses'])} of 32", run)
        script = (
            f"for a in $(dig +short many.example); do {scene.path('clients/client_glibc')} connect $a {PORT}; done"
        )
        run = scene.namewall(["--allow", f"many.example:{PORT}"], ["sh", "-c", script])
        expect(len(run.steps) == 32 and all(step["ok"] for step in run.steps), "dig's addresses are open", run)


def scenario_truncated_answer_teaches_nothing_and_the_whole_one_over_tcp_does():
    """Without EDNS 32 addresses do not fit: musl 1.2.3 takes what came, glibc and c-ares go on over TCP."""
    with Scene(RECORDS) as scene:
        for client in ("musl", "glibc", "cares"):
            run = scene.allowing(
                [f"many.example:{PORT}"], client, f"lookup many.example connect 203.0.113.100 {PORT}"
            )
            expect_refusal(run, "answer_truncated", hook="answer")
            if client == "musl":
                expect_step(run, 1, ok=False, error="ECONNREFUSED")
            else:
                expect_step(run, 0, ok=True, quicker_ms=500)
                expect_step(run, 1, ok=True)


def scenario_deny_subtracts_from_a_pattern():
    with Scene(RECORDS) as scene:
        for client in CLIENTS:
            run = scene.allowing(
                [f"**.shop.example:{PORT}"],
                client,
                f"reach a.b.shop.example {PORT} lookup api.shop.example",
                deny=["api.shop.example"],
            )
            expect_step(run, 0, ok=True)
            expect_step(run, 1, ok=False)
        expect(not scene.asked("api.shop.example"), "a denied name was asked upstream")
