"""A DNS server whose names have other addresses each time they are asked for."""

import threading

from .crafted_dns import KINDS, CraftedDns

_RCODES = {"SERVFAIL": 2, "NXDOMAIN": 3}


class ChangingDns(CraftedDns):
    """say({(NAME, KIND): [ANSWER, ...]}): the answers to that question, one after another; the last stays. ANSWER: a list
    of addresses, or an RCODE's name. What is not said has no addresses. A record lives for `ttl` seconds."""

    def __init__(self, namespace, address, port=53, ttl=1):
        self._answers = {}
        self._ttl = ttl
        self._said = threading.Lock()
        super().__init__(namespace, address, self._answer, port)

    def say(self, answers):
        with self._said:
            self._answers = {question: list(one) for question, one in answers.items()}

    def _answer(self, question, send):
        kind = next((name for name, number in KINDS.items() if number == question.kind), "")
        with self._said:
            left = self._answers.get((question.name.lower(), kind), [[]])
            answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, str):
            send(question.answer(flags=0x8180 | _RCODES[answer]))
        else:
            send(question.answer([(question.name, kind, address, self._ttl) for address in answer]))
