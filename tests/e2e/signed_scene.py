"""A scene whose resolver is a knotd with a signed zone that has one of everything; messages are exchanged with it
through namewall and beside it, to be compared byte by byte."""

import json

from internet.dns_wire import Answer
from internet.knot_server import KnotServer
from internet.records import Record
from scenario import Scene, expect

ZONE = "signed.example"
RESOLVER, RESOLVER6 = "203.0.113.54", "2001:db8:203::54"
PORT = 7001
ALIASES = 16
TEXTS, TEXT_LENGTH = 210, 250
# knotd ends a chain after some aliases, dnsmasq does not.
CHAIN_RESOLVER = "198.51.100.53"
CHAINS = [
    *(Record(f"alias{i}.chain.example", "CNAME", f"alias{i + 1}.chain.example") for i in range(1, ALIASES + 1)),
    Record(f"alias{ALIASES + 1}.chain.example", "A", "203.0.113.63"),
    *(Record(f"over{i}.chain.example", "CNAME", f"over{i + 1}.chain.example") for i in range(1, ALIASES + 2)),
    Record(f"over{ALIASES + 2}.chain.example", "A", "203.0.113.64"),
]
RECORDS = "\n".join(
    [
        f"ns A {RESOLVER}",
        "www A 203.0.113.60",
        "www AAAA 2001:db8:203::60",
        "WwW2 A 203.0.113.61",
        "long 86400 A 203.0.113.62",
        "plain TXT plain",
        "svc HTTPS 1 . alpn=h2 ipv4hint=203.0.113.70 ipv6hint=2001:db8:203::70 ech=AEX+DQBBzQAgACDZ",
        *(f"many A 203.0.113.{100 + i}" for i in range(100)),
        *(f'huge TXT "{i:0{TEXT_LENGTH}}"' for i in range(TEXTS)),  # as long as a message can be, nearly
    ]
)


class SignedScene(Scene):
    """dns: lines of the policy's [dns]."""

    def __init__(self, dns=""):
        super().__init__(CHAINS, recursive=False)
        self._dns = dns
        self._exchanges = 0

    def _build(self):
        super()._build()
        self.knot = self.own(KnotServer(self.world, [RESOLVER, RESOLVER6], self.path("knot", make=True), ZONE, RECORDS))
        self.write_etc(f"nameserver {RESOLVER}\n")
        self.write_etc(f"nameserver {CHAIN_RESOLVER}\noptions edns0\n", "etc-chain")  # else 512 bytes
        self.policy = self.write(
            "signed.toml",
            f'name = "signed"\nallow = ["*://**.{ZONE}:*", "*://*.chain.example:*"]\n[dns]\n'
            f'resolvers = ["{RESOLVER}", "[{RESOLVER6}]:53", "{CHAIN_RESOLVER}"]\n{self._dns}\n',
        )

    def _program(self, exchanges):
        self._exchanges += 1
        listed = [
            {"server": server, "over": over, "messages": [message.hex() for message in messages], "timeout": 3}
            for server, over, *messages in exchanges
        ]
        path = self.write(f"exchanges-{self._exchanges}.json", json.dumps(listed))
        return ["/usr/bin/python3", self.path("clients/wire.py"), path]

    @staticmethod
    def _answers(steps, exchanges, transcript):
        expect(len(steps) == len(exchanges), f"not every exchange was made: {transcript}")
        for step in steps:
            expect(step["ok"], f"an exchange failed: {step['error']}: {transcript}")
        return [[bytes.fromhex(answer) for answer in step["answers"]] for step in steps]

    def direct(self, *exchanges):
        """exchanges: (server, over, message...). For each the answers, as bytes, without namewall."""
        done = self.run(self._program(exchanges))
        steps = [json.loads(line) for line in done.stdout.splitlines()]
        return self._answers(steps, exchanges, done.stdout + done.stderr)

    def through(self, *exchanges):
        """The same for a workload."""
        run = self.namewall(["--policy", self.policy], self._program(exchanges))
        return self._answers(run.steps, exchanges, run.transcript())

    def expect_same(self, *exchanges):
        """Every byte. Returns the answers of each exchange, parsed."""
        through = self.through(*exchanges)
        for exchange, plain, held in zip(exchanges, self.direct(*exchanges), through, strict=True):
            expect(
                plain == held,
                f"{exchange[1]}: the answers differ\ndirect  {[a.hex() for a in plain]}\nthrough "
                f"{[a.hex() for a in held]}",
            )
        return [[Answer(message) for message in held] for held in through]
