"""The DNS proxy between real servers and clients: what it passes on as it came, over every transport; what it changes
because the policy says so; and that the kernel path takes it for TCP and for answers that UDP cuts."""

from backends import ways_to_learn
from internet.dns_wire import (
    NOERROR,
    NXDOMAIN,
    SVCB_ALPN,
    SVCB_ECH,
    SVCB_IPV4HINT,
    SVCB_IPV6HINT,
    Answer,
    question,
    svcb_keys,
)
from internet.knot_server import ValidatingResolver
from scenario import expect, expect_step
from scenarios.dns_protocol import CHAIN, MESSAGES, expect_passed_on, expect_taught
from signed_scene import CHAIN_RESOLVER, PORT, RESOLVER, RESOLVER6, TEXT_LENGTH, TEXTS, ZONE, SignedScene

PROXY = 'learn = "proxy"\n'
UNCACHED = f"{PROXY}cache = false\n"


def scenario_answers_pass_byte_for_byte():
    expect_passed_on(UNCACHED, ("udp", "connected", "tcp"))


def scenario_answers_of_an_ipv6_resolver_pass_byte_for_byte():
    expect_passed_on(UNCACHED, ("udp", "connected", "tcp"), RESOLVER6)


def scenario_answers_over_tcp_pass_byte_for_byte_under_a_kernel_policy():
    expect_passed_on("", ("tcp",))


def scenario_chain_of_sixteen_aliases_is_followed():
    expect_taught(PROXY)


def scenario_questions_on_one_connection_are_all_answered():
    """In any order; each as it is answered alone."""
    listed = {name: message for name, message in MESSAGES.items() if name not in ("small", "large")}
    numbered = [number.to_bytes(2) + message[2:] for number, message in enumerate(listed.values(), 1)]
    for dns in ways_to_learn("", UNCACHED):
        with SignedScene(dns) as scene:
            alone = {message[:2]: message for message in scene.direct((RESOLVER, "tcp", *numbered))[0]}
            together = scene.through((RESOLVER, "pipeline", *numbered))[0]
            expect({message[:2]: message for message in together} == alone, f"{dns}: {together}\ninstead of {alone}")
            expect(len(together) == len(numbered), f"{dns}: {len(together)} answers to {len(numbered)} questions")


def scenario_questions_by_one_socket_are_all_answered():
    """As other resolvers, and programs that ask for many names, use one."""
    ask = question(f"www.{ZONE}")
    numbered = [number.to_bytes(2) + ask[2:] for number in range(1, 101)]
    with SignedScene(UNCACHED) as scene:
        answers = scene.through((RESOLVER, "burst", *numbered))[0]
        expect({message[:2] for message in answers} == {message[:2] for message in numbered}, "some are missing")


def scenario_answer_of_sixty_four_kibibytes_passes():
    for dns in ways_to_learn("", UNCACHED):
        with SignedScene(dns) as scene:
            answer = scene.expect_same((RESOLVER, "tcp", question(f"huge.{ZONE}", "TXT")))[0][0]
            expect(len(answer.message) > TEXTS * TEXT_LENGTH, f"only {len(answer.message)} bytes")
            expect(len(answer.of("TXT")) == TEXTS, f"only {len(answer.of('TXT'))} records")
            cut = Answer(scene.through((RESOLVER, "udp", question(f"huge.{ZONE}", "TXT")))[0][0])
            expect(cut.is_truncated and len(cut.message) <= 1232, f"over UDP came {len(cut.message)} bytes")


def scenario_what_is_learned_over_tcp_opens_and_so_does_the_retry_after_a_cut_answer():
    for dns in ways_to_learn("", PROXY):
        with SignedScene(dns) as scene:
            scene.write_etc(f"nameserver {RESOLVER}\noptions use-vc\n", "etc-tcp")
            for etc, name, addresses in (("etc-tcp", "www", 2), ("etc", "many", 100)):
                steps = f"reach {name}.{ZONE} {PORT}"
                run = scene.namewall(["--policy", scene.policy], scene.client_argv("glibc", steps), etc=etc)
                expect_step(run, 0, ok=True)
                expect(len(run.steps[0]["addresses"]) == addresses, f"not all of {name}", run)
            script = f"dig +tcp +short @{RESOLVER} www2.{ZONE} && {scene.path('clients/client_glibc')} connect"
            script += f" 203.0.113.61 {PORT}"
            run = scene.namewall(["--policy", scene.policy], ["sh", "-c", script])
            expect(run.out.startswith("203.0.113.61\n"), "dig +tcp got no answer", run)
            expect_step(run, 0, ok=True)


def _https(dns, hints_open):
    """The HTTPS record as a workload sees it, and whether its hints may be connected to: (keys, is authenticated)."""
    ask = question(f"svc.{ZONE}", "HTTPS", do=True)
    with SignedScene(dns) as scene:
        answer = Answer(scene.through((RESOLVER, "udp", ask))[0][0])
        script = f"dig +short @{RESOLVER} svc.{ZONE} HTTPS && {scene.path('clients/client_glibc')}"
        script += f" connect 203.0.113.70 {PORT} connect 2001:db8:203::70 {PORT}"
        run = scene.namewall(["--policy", scene.policy], ["sh", "-c", script])
        for index in (0, 1):
            expect_step(run, index, ok=hints_open, error="" if hints_open else "ECONNREFUSED")
        return svcb_keys(answer.of("HTTPS")[0].data)


def scenario_address_hints_teach_or_are_stripped_and_so_are_ech_keys():
    every = {SVCB_ALPN, SVCB_IPV4HINT, SVCB_ECH, SVCB_IPV6HINT}
    expect(set(_https(PROXY, True)) == every, "something is missing")
    expect(set(_https(f'{PROXY}hints = "strip"\n', False)) == {SVCB_ALPN, SVCB_ECH}, "hints are not stripped")
    expect(set(_https(f'{PROXY}ech = "strip"\n', True)) == every - {SVCB_ECH}, "ECH is not stripped")


def scenario_time_to_live_is_cut_to_the_allowance():
    with SignedScene(f'{PROXY}max_ttl = "60s"\n') as scene:
        for way in ("udp", "tcp"):
            for name in ("long", "www"):
                answer = Answer(scene.through((RESOLVER, way, question(f"{name}.{ZONE}", do=True)))[0][0])
                expect(answer.of("A") and {r.ttl for r in answer.records if r.section == "answer"} <= {59, 60},
                       f"{way} {name}: {answer.records}")  # fmt: skip


def scenario_cached_answer_ages_and_is_else_the_same():
    with SignedScene(PROXY) as scene:
        ask = question(f"www.{ZONE}", do=True)
        first, *others = [Answer(message) for message in scene.through((RESOLVER, "udp", *[ask] * 20))[0]]
        for answer in others:
            expect([(r.owner, r.kind, r.data) for r in answer.records]
                   == [(r.owner, r.kind, r.data) for r in first.records], "a cached answer differs")  # fmt: skip
            expect(all(3598 <= r.ttl <= 3600 for r in answer.of("A")), f"{answer.of('A')}")


def scenario_validated_answers_stay_validated():
    resolver = "203.0.113.55"
    with SignedScene(UNCACHED) as scene:
        key = scene.run(["dig", "+noall", "+answer", "+nocookie", f"@{RESOLVER}", ZONE, "DNSKEY"]).stdout.strip()
        scene.own(ValidatingResolver(scene.world, resolver, scene.path("knot"), ZONE, RESOLVER, key))
        text = open(scene.policy).read().replace(f'"{CHAIN_RESOLVER}"', f'"{resolver}"')
        scene.policy = scene.write("validating.toml", text)
        for way in ("udp", "tcp"):
            for name, rcode in (("www", NOERROR), ("none", NXDOMAIN)):
                answer = Answer(scene.through((resolver, way, question(f"{name}.{ZONE}", do=True)))[0][0])
                expect(answer.rcode == rcode, f"{way} {name}: {answer.rcode}")
                expect(answer.is_authenticated, f"{way} {name}: AD is lost")
                section = "answer" if rcode == NOERROR else "authority"
                expect(answer.of("RRSIG", section), f"{way} {name}: no signature")


def scenario_dnsmasq_is_asked_through_the_proxy():
    with SignedScene(UNCACHED) as scene:
        for way in ("udp", "tcp"):
            scene.expect_same((CHAIN_RESOLVER, way, CHAIN, question("none.chain.example"), question("alias17.chain.example", "TXT")))
