"""The same clients as in dns_clients.py where the proxy answers, and what they are told by it."""

from scenario import expect
from scenarios.dns_clients import SERVER, give_up_at_once, say, wait_until_they_give_up

# A name that does not exist, in each resolver's words.
NO_SUCH_NAME = {"glibc": "EAI_NONAME", "python": "EAI_NONAME", "musl": "EAI_NONAME", "go": "no such host", "cares": "ARES 4"}


def scenario_clients_give_up_at_once_on_nxdomain():
    for (kind, client), word in give_up_at_once("proxy", "nxdomain").items():
        expect(word == NO_SUCH_NAME.get(client, word), f"{kind} {client} was told {word}")


def scenario_clients_give_up_at_once_on_refused():
    give_up_at_once("proxy", "refused")


def scenario_clients_give_up_at_once_on_nodata():
    give_up_at_once("proxy", "nodata")


def scenario_without_an_agent_clients_fail():
    """Its sockets are gone, so a connected client is told by the kernel at once."""
    figures = wait_until_they_give_up("proxy", "nxdomain", f"{SERVER}options timeout:1 attempts:1\n", False, 40)
    say(figures, "no agent, timeout:1 attempts:1,")
    for client in ("glibc", "go", "cares", "python", "getent", "curl", "nslookup"):
        expect(figures[client] < 900, f"{client} waited {figures[client]:.0f} ms")
