"""How soon each client gives a refused name up: glibc (its own client, getent, curl, Python), musl, one with Go's manners,
c-ares, dig, busybox; with and without a search list and ndots:5; for each answer that a policy can give."""

import json
import os
import time

from internet.records import Record
from scenario import Scene, expect

PORT = 7001
RECORDS = [Record("shop.example", "A", "203.0.113.10"), Record("shop.example", "AAAA", "2001:db8:203::10")]
REFUSED = "tracker.example"
# What an operator waits for at most; a machine that does other things is given more tries, not more time.
AT_ONCE_MS = 20
TIMES, TRIES = 2, 5
SERVER = "nameserver 198.51.100.53\n"
RESOLV_CONF = {
    "plain": SERVER,
    "search": f"{SERVER}search ns.svc.cluster.example svc.cluster.example cluster.example corp.example\n"
    "options ndots:5\n",
}
# musl goes on waiting after REFUSED, for as long as when nothing comes.
WAITS = {("musl", "refused")}


def commands(scene, name):
    """Each client's command that looks `name` up."""
    tools = scene.path("clients")
    return {
        "glibc": [f"{tools}/client_glibc", "lookup", name],
        "musl": [f"{tools}/client_musl", "lookup", name],
        "go": [f"{tools}/client_go", "lookup", name],
        "cares": [f"{tools}/client_cares", "lookup", name],
        "python": ["/usr/bin/python3", f"{tools}/probe.py", "lookup", name],
        "getent": ["getent", "ahosts", name],
        "curl": ["curl", "-sS", f"http://{name}:1/"],
        "dig": ["dig", "+search", name],
        "nslookup": ["busybox", "nslookup", name],
    }


def start_timed(scene, how, listed, options, etc):
    """time_commands.py under `namewall run`; listed: label -> command."""
    path = scene.write(f"commands-{how}.json", json.dumps([[label, *command] for label, command in listed.items()]))
    program = ["/usr/bin/python3", scene.path("clients/time_commands.py"), how, str(TIMES), path]
    return scene.start_namewall(options, program, etc)


def own_step(step):
    """What the client says itself of the lookup, or None."""
    own = [json.loads(line) for line in step["out"].splitlines() if line.startswith('{"step')]
    return own[0] if own else None


def milliseconds(step):
    """What the lookup took: as the client says itself, else the whole command."""
    return (own_step(step) or step)["ms"]


def policy(scene, refuse_with, learn):
    text = f'name = "clients"\nallow = ["shop.example:{PORT}"]\n[dns]\nrefuse_with = "{refuse_with}"\nlearn = "{learn}"\n'
    return scene.write(f"{refuse_with}-{learn}.toml", text)


def give_up_at_once(learn, refuse_with):
    """Of commands that are timed as a whole, what the same one takes for an answered name is not their wait. Returns
    what the clients that say it were told: (kind of resolv.conf, client) -> the resolver's word."""
    with Scene(RECORDS) as scene:
        for kind, text in RESOLV_CONF.items():
            scene.write_etc(text, f"etc-{kind}")
        options = ["--policy", policy(scene, refuse_with, learn)]
        late, figures, told = {kind: set(commands(scene, "")) for kind in RESOLV_CONF}, {}, {}
        for client, waiting in WAITS:
            if refuse_with == waiting:
                for clients in late.values():
                    clients.remove(client)
        for _ in range(TRIES):
            for kind in [kind for kind, clients in late.items() if clients]:
                listed = {}
                for client in sorted(late[kind]):
                    listed |= {f"{client} answered": commands(scene, "shop.example.")[client]}
                    listed |= {client: commands(scene, REFUSED)[client]}
                run = start_timed(scene, "serial", listed, options, f"etc-{kind}").finish(60)
                steps = {step["target"]: step for step in run.steps if step["step"] == "command"}
                for client in sorted(late[kind]):
                    own = own_step(steps[client])
                    usual = 0 if own else milliseconds(steps[f"{client} answered"])
                    told[kind, client] = own["error"] if own else ""
                    wait = max(0, milliseconds(steps[client]) - usual)
                    figures[kind, client] = min(wait, figures.get((kind, client), wait))
                    if wait <= AT_ONCE_MS:
                        late[kind].remove(client)
                    answered = "203.0.113.10" in steps[f"{client} answered"]["out"]
                    expect(answered or client == "curl", f"{client} does not find what is allowed", run)
                    found = "203.0.113" in steps[client]["out"] or '"ok":true' in steps[client]["out"]
                    expect(not found, f"{client} found an address: {steps[client]['out']}", run)
        for (kind, client), wait in sorted(figures.items()):
            print(f"{learn} {refuse_with} {kind} {client}: {wait:.1f} ms {told[kind, client]}")
        expect(not any(late.values()), f"later than {AT_ONCE_MS} ms: {late}: {figures}", run)
        expect(not scene.asked(REFUSED), f"a refused question arrived: {scene.resolver.questions()}")
        return told


def scenario_clients_give_up_at_once_on_nxdomain():
    give_up_at_once("kernel", "nxdomain")


def scenario_clients_give_up_at_once_on_refused():
    give_up_at_once("kernel", "refused")


def scenario_clients_give_up_at_once_on_nodata():
    give_up_at_once("kernel", "nodata")


def wait_until_they_give_up(learn, refuse_with, resolv_conf, is_alive, most):
    """All clients at once, so that it takes no longer than the slowest; returns how long each took, ms."""
    with Scene(RECORDS) as scene:
        scene.write_etc(resolv_conf, "etc-waiting")
        options = ["--policy", policy(scene, refuse_with, learn)]
        out = scene.write("out", "")
        os.chmod(out, 0o666)
        path = scene.write(
            "commands.json",
            json.dumps([[label, *command] for label, command in commands(scene, REFUSED).items()]),
        )
        program = f"/usr/bin/python3 {scene.path('clients/time_commands.py')} together 1 {path}"
        os.chmod(scene.path("gate", make=True), 0o777)
        ready, go = scene.path("gate/ready"), scene.path("gate/go")
        script = f"exec >{out} 2>&1; >{ready}; until [ -e {go} ]; do sleep 0.01; done; {program}; echo finished"
        started = scene.start_namewall(options, ["sh", "-c", script], "etc-waiting")
        wait_for(lambda: os.path.exists(ready), 10, "the command did not start")
        if not is_alive:
            started.process.kill()
            started.process.wait()
        with open(go, "w"):
            pass
        wait_for(lambda: "finished" in open(out).read(), most, f"somebody still waits: {open(out).read()}")
        steps = [json.loads(line) for line in open(out).read().splitlines() if line.startswith('{"step')]
        return {step["target"]: milliseconds(step) for step in steps}


def wait_for(is_so, seconds, what):
    deadline = time.monotonic() + seconds
    while not is_so():
        expect(time.monotonic() < deadline, what)
        time.sleep(0.01)


def say(figures, what):
    for client, wait in sorted(figures.items()):
        print(f"{what} {client}: {wait / 1000:.1f} s")


def scenario_without_an_agent_only_musl_and_dig_wait():
    """Nobody answers then, but the refused send is an error by itself, and only these two do not look at it. One second,
    once, is what resolv.conf says here; NAMEWALL_SOAK=1: its defaults, the figures of docs/dns_clients.md."""
    if os.environ.get("NAMEWALL_SOAK") == "1":
        for kind, text in RESOLV_CONF.items():
            say(wait_until_they_give_up("kernel", "nxdomain", text, False, 400), f"no agent, {kind},")
        return
    told = f"{SERVER}options timeout:1 attempts:1\n"
    figures = wait_until_they_give_up("kernel", "nxdomain", told, False, 40)
    say(figures, "no agent, timeout:1 attempts:1,")
    for client, wait in figures.items():
        if client in ("musl", "dig"):
            expect(900 < wait < 3000, f"{client} waited {wait:.0f} ms")
        else:
            expect(wait < 900, f"{client} waited {wait:.0f} ms")


def scenario_musl_waits_after_refused():
    """The reason why nxdomain is the default."""
    figures = wait_until_they_give_up("kernel", "refused", f"{SERVER}options timeout:1 attempts:1\n", True, 40)
    expect(900 < figures["musl"] < 3000, f"musl waited {figures['musl']:.0f} ms")
    expect(figures["glibc"] < 500, f"glibc waited {figures['glibc']:.0f} ms")
