"""What the kernel path passes on as it came: signed answers, EDNS sizes, spellings, negative answers, long chains."""

from internet.dns_wire import NOERROR, NXDOMAIN, Answer, question
from scenario import expect, expect_step
from signed_scene import ALIASES, CHAIN_RESOLVER, PORT, RESOLVER, ZONE, SignedScene


MESSAGES = {
    "signed": question(f"www.{ZONE}", do=True, cd=True),
    "six": question(f"www.{ZONE}", "AAAA", do=True),
    "spelling": question("wWw2.SiGnEd.eXaMpLe", do=True),
    "no EDNS": question(f"www.{ZONE}", edns=None),
    "small": question(f"many.{ZONE}", edns=512),
    "large": question(f"many.{ZONE}", edns=4096),
    "nodata": question(f"www.{ZONE}", "TXT", do=True),
    "nxdomain": question(f"none.{ZONE}", do=True),
    "svcb": question(f"svc.{ZONE}", "HTTPS", do=True),
    "text": question(f"plain.{ZONE}", "TXT"),
}
CHAIN = question("alias1.chain.example", edns=4096)


def expect_passed_on(dns, ways, resolver=RESOLVER):
    """Answers are the same, byte for byte, with and without namewall; but one that is cut is cut by whoever sends it."""
    with SignedScene(dns) as scene:
        for way in ways:
            is_udp = way in ("udp", "connected")
            messages = {name: message for name, message in MESSAGES.items() if not (is_udp and name == "small")}
            same, chains = scene.expect_same((resolver, way, *messages.values()), (CHAIN_RESOLVER, way, CHAIN))
            answers, chain = dict(zip(messages, same, strict=True)), chains[0]
            for name, answer in answers.items():
                expect(answer.rcode == (NXDOMAIN if name == "nxdomain" else NOERROR), f"{way} {name}: {answer.rcode}")
                expect(not answer.is_truncated, f"{way} {name} is truncated")
            expect(answers["signed"].of("RRSIG"), f"{way}: DO brought no signature")
            expect(answers["spelling"].name == "wWw2.SiGnEd.eXaMpLe", f"{way}: {answers['spelling'].name}")
            expect(len(answers["large"].of("A")) == 100, f"{way}: {len(answers['large'].of('A'))} of 100 addresses")
            expect(len(chain.of("CNAME")) == ALIASES and chain.of("A"), f"{way}: the chain is short")
            for negative in ("nodata", "nxdomain"):
                expect(answers[negative].of("SOA", "authority"), f"{way}: no SOA with {negative}")
                expect(answers[negative].of("NSEC", "authority"), f"{way}: no NSEC with {negative}")
            if is_udp:
                cut = Answer(scene.through((resolver, way, MESSAGES["small"]))[0][0])
                expect(cut.is_truncated and len(cut.message) <= 512, f"{way}: a client of 512 bytes got {cut.message}")


def expect_taught(dns):
    """A chain of 16 aliases opens its address, one of 17 does not."""
    with SignedScene(dns) as scene:
        steps = f"reach alias1.chain.example {PORT} lookup over1.chain.example connect 203.0.113.64 {PORT}"
        run = scene.namewall(["--policy", scene.policy], scene.client_argv("glibc", steps), etc="etc-chain")
        expect_step(run, 0, ok=True)
        expect_step(run, 2, ok=False, error="ECONNREFUSED")


def scenario_answers_pass_byte_for_byte():
    expect_passed_on("", ("udp", "connected"))


def scenario_chain_of_sixteen_aliases_is_followed():
    expect_taught("")
