"""main_job.py NAMEWALL: shows namewall's main job on an internet of its own (tests/e2e/internet), and checks every
line of what it shows. Exit code 0 only if all of it is so."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "e2e"))
from internet import Internet  # noqa: E402
from internet.records import Record  # noqa: E402

RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("shop.example", "AAAA", "2001:db8:203::10"),
    Record("short.example", "A", "203.0.113.30", ttl=1),
    Record("tracker.example", "A", "203.0.113.40"),
]
POLICY = """\
name  = "quickstart"
allow = ["shop.example", "short.example"]

[dns]
min_ttl = "1s"      # short enough to watch an address expire; the default is 5s,
grace   = "0s"      # and 90s of grace after it
"""

# What the sandboxed command does, curl by curl: title, arguments, the exit code when namewall does its job.
CURL_OK, CURL_NO_NAME, CURL_NO_CONNECTION = 0, 6, 7
STEPS = [
    ("an allowed name, IPv4", "-4 https://shop.example/", CURL_OK),
    ("an allowed name, IPv6", "-6 https://shop.example/", CURL_OK),
    ("an unlisted name", "https://tracker.example/", CURL_NO_NAME),
    ("an address never looked up", "-k https://203.0.113.66/", CURL_NO_CONNECTION),
    ("the same, IPv6", "-k https://[2001:db8:203::66]/", CURL_NO_CONNECTION),
    ("a name that lives for 1 s", "https://short.example/", CURL_OK),
    ("its address, 3 s later", "--resolve short.example:443:203.0.113.30 https://short.example/", CURL_NO_CONNECTION),
]
LATER = 6  # the step before which the job waits
WORD = {CURL_OK: "works", CURL_NO_NAME: "no such name", CURL_NO_CONNECTION: "refused"}


def job_script():
    lines = []
    for number, (_, arguments, _) in enumerate(STEPS):
        if number == LATER:
            lines.append("sleep 3")
        lines.append(
            f"curl -gsS -m 10 -o /dev/null -w 'STEP {number} %{{exitcode}} %{{time_total}}\\n' {arguments} 2>/dev/null"
        )
    return "\n".join(lines) + "\n"


class Checks:
    def __init__(self):
        self.failed = 0

    def show(self, is_so, text):
        print(f"  {'ok    ' if is_so else 'FAILED'}  {text}")
        self.failed += not is_so
        return is_so


def read_summary(events_path):
    """The last line of `run --events FILE`."""
    summary = {}
    if os.path.exists(events_path):
        with open(events_path) as lines:
            for line in lines:
                summary = json.loads(line).get("summary", summary)
    return summary


def show_steps(checks, out):
    results = {}
    for line in out.splitlines():
        if line.startswith("STEP "):
            number, code, seconds = line.split()[1:]
            results[int(number)] = (int(code), float(seconds) * 1000)
    for number, (title, arguments, expected) in enumerate(STEPS):
        code, milliseconds = results.get(number, (None, 0.0))
        word = WORD.get(code, f"curl ended with {code}")
        checks.show(code == expected, f"{title:28} {word:13} {milliseconds:7.1f} ms   curl {arguments}")


def show_refusals(checks, summary, resolver, origins):
    refused = {
        (item["hook"], item["reason"], item["name"] or item["address"]): item for item in summary.get("refused", [])
    }
    wanted = [
        ("lookup", "name_not_allowed", "tracker.example"),
        ("connect", "not_looked_up", "203.0.113.66"),
        ("connect", "not_looked_up", "2001:db8:203::66"),
        ("connect", "expired", "short.example"),
    ]
    for key in wanted:
        item = refused.pop(key, None)
        permit = f"   permit: {item['permit']}" if item and item["permit"] else ""
        checks.show(item is not None, f"{key[0]:8} {key[2]:18} {key[1]}{permit}")
    checks.show(not refused, "nothing else was refused" + (f": {sorted(refused)}" if refused else ""))
    checks.show(
        "tracker.example" not in resolver.questions(), "the resolver never saw the question for tracker.example"
    )
    reached = {address for _, address, _ in origins.reached()}
    checks.show(
        not reached & {"203.0.113.40", "203.0.113.66", "2001:db8:203::66"}, "no packet reached a refused address"
    )


def show_grants(checks, summary):
    grants = {grant["address"]: grant for grant in summary.get("grants", [])}
    print(f"          {'NAME':15} {'ADDRESS':18} {'PORTS':9} TIME LEFT")
    for address, name, is_live in (
        ("203.0.113.10", "shop.example", True),
        ("2001:db8:203::10", "shop.example", True),
        ("203.0.113.30", "short.example", False),
    ):
        grant = grants.get(address, {})
        left = grant.get("left_ms")
        is_so = (
            grant.get("name") == name
            and grant.get("ports") == "tcp/443"
            and left is not None
            and (left > 0) == is_live
        )
        shown = "unknown" if left is None else f"{left / 1000:.0f} s" if left > 0 else "expired"
        checks.show(is_so, f"{grant.get('name', 'no grant'):15} {address:18} {grant.get('ports', ''):9} {shown}")


def main(namewall):
    checks = Checks()
    with Internet(RECORDS) as internet:
        for name, text in (("quickstart.toml", POLICY), ("job.sh", job_script())):
            with open(internet.path(name), "w") as out:
                out.write(text)
        user = [] if os.environ.get("SUDO_UID") else ["--user", "nobody"]
        argv = [
            os.path.abspath(namewall),
            "run",
            "--policy",
            internet.path("quickstart.toml"),
            *user,
            "--events",
            internet.path("events.jsonl"),
            "--",
            "sh",
            internet.path("job.sh"),
        ]
        print("the policy:\n" + "".join(f"    {line}\n" for line in POLICY.splitlines()))
        print("a job of seven curls under it, on an internet of two network namespaces:")
        done = internet.run(argv, env={**os.environ, "CURL_CA_BUNDLE": internet.authority})
        summary = read_summary(internet.path("events.jsonl"))
        show_steps(checks, done.stdout)
        print("\nwhat namewall said meanwhile:\n" + "".join(f"    {line}\n" for line in done.stderr.splitlines()))
        print("what it refused, and why:")
        show_refusals(checks, summary, internet.resolver, internet.origins)
        print("\nwhat it had granted when the job ended:")
        show_grants(checks, summary)
    if checks.failed:
        print(f"\n{checks.failed} of the lines above are not as they should be", file=sys.stderr)
        return 1
    print(
        "\nAll of it is so. Now with a command of your own:\n"
        f"    sudo {namewall} run --allow registry.npmjs.org -- npm view left-pad"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
