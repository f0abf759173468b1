"""What scenarios are written with: an internet, `namewall run` in it with a client as the command, and expectations
whose failure shows the whole transcript."""

import dataclasses
import json
import os
import shutil
import subprocess

from backends import run_options
from internet import Internet
from internet.cgroups import cgroup2_mount

CLIENTS = ("glibc", "musl", "cares", "python")
LIBC_CLIENTS = ("glibc", "musl")


class Failure(Exception):
    """Something is not as it should be."""


class Skip(Exception):
    """This machine's kernel, or who runs this, cannot show it; the text says what is missing."""


class MissingProgram(Skip):
    """It needs a program that deploy/install_packages does not bring: a skip everywhere."""


def requirements_of_this_machine():
    if os.geteuid() != 0:
        raise Skip("not root")
    if cgroup2_mount() is None:
        raise Skip("cgroup v2 is not mounted")


def require_program(name):
    if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        raise MissingProgram(f"{name} is not installed")


@dataclasses.dataclass
class Run:
    """What a finished `namewall run` left."""

    argv: list
    exit_code: int
    out: str
    err: str
    steps: list  # the client's JSON lines
    events: list  # namewall's JSON lines, refusals and others

    def refusals(self):
        return [event for event in self.events if "reason" in event]

    def transcript(self):
        return (
            f"$ {' '.join(self.argv)}\nexit code {self.exit_code}\n--- stdout\n{self.out}--- stderr\n{self.err}"
            f"--- events\n" + "\n".join(json.dumps(event) for event in self.events)
        )


def expect(condition, what, run=None):
    if not condition:
        raise Failure(what + (f"\n{run.transcript()}" if run is not None else ""))


def expect_step(run, index, ok, error=None, quicker_ms=None):
    """The outcome of one step; error: what the client must have got; quicker_ms: within that time."""
    expect(len(run.steps) > index, f"step {index} was never done", run)
    step = run.steps[index]
    expect(
        step["ok"] == ok,
        f"step {index} ({step['step']} {step['target']}) should {'work' if ok else 'be refused'}",
        run,
    )
    if error is not None:
        expect(step["error"] == error, f"step {index} ({step['target']}): {step['error']} instead of {error}", run)
    if quicker_ms is not None:
        expect(
            step["ms"] < quicker_ms,
            f"step {index} ({step['target']}): {step['ms']:.1f} ms, not under {quicker_ms}",
            run,
        )


def expect_refusal(run, reason, **fields):
    """An event with this reason whose fields are these."""
    found = [
        event
        for event in run.refusals()
        if event["reason"] == reason and all(event.get(key) == value for key, value in fields.items())
    ]
    expect(found, f"no event says {reason} {fields}", run)
    return found[0]


class Scene(Internet):
    """An internet with `namewall run` in it."""

    def __init__(self, records, recursive=True):
        super().__init__(records, recursive)
        self._runs = 0
        self.binary = os.environ["NAMEWALL_E2E_BINARY"]

    def _build(self):
        super()._build()
        # Copies that every user can execute, wherever the source tree is.
        tools = self.path("clients", make=True)
        for name in ("client_glibc", "client_musl", "client_cares", "client_go", "fresh_client"):
            shutil.copy(os.path.join(os.environ["NAMEWALL_E2E_CLIENTS"], name), tools)
        for name in ("probe.py", "restrict.py", "time_commands.py", "wire.py"):
            shutil.copy(os.path.join(os.path.dirname(__file__), "clients", name), tools)
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": self.directory,
            "LANG": "C.UTF-8",
            "SSL_CERT_FILE": self.authority,
            "CURL_CA_BUNDLE": self.authority,
            "GIT_SSL_CAINFO": self.authority,
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def client_program(self, client):
        if client == "python":
            return ["/usr/bin/python3", self.path("clients/probe.py")]
        return [self.path(f"clients/client_{client}")]

    def client_argv(self, client, steps):
        """steps: one string, as client.c takes them."""
        return self.client_program(client) + steps.split()

    def write(self, name, text):
        """A file in the internet's directory; its path."""
        with open(self.path(name), "w") as out:
            out.write(text)
        os.chmod(self.path(name), 0o644)
        return self.path(name)

    def namewall_argv(self, options, command, events_path=None):
        """options: a list; --user nobody unless it names another."""
        user = [] if "--user" in options else ["--user", "nobody"]
        events = ["--events", events_path] if events_path else []
        return [self.binary, "run", *run_options(), *user, *events, *options, "--", *command]

    def namewall(self, options, command, timeout=60, etc="etc", **process_options):
        """`namewall run` to its end."""
        started = self.start_namewall(options, command, etc, **process_options)
        return started.finish(timeout)

    def start_namewall(self, options, command, etc="etc", **process_options):
        self._runs += 1
        events_path = self.path(f"events-{self._runs}.jsonl")
        argv = self.namewall_argv(options, command, events_path)
        process = self.start(argv, etc, env={**self.environment}, **process_options)
        return StartedRun(argv, process, events_path)

    def allowing(self, allow, client, steps, timeout=60, etc="etc", deny=()):
        """The client's steps under a policy of these endpoints."""
        options = [word for entry in allow for word in ("--allow", entry)]
        options += [word for entry in deny for word in ("--deny", entry)]
        return self.namewall(options, self.client_argv(client, steps), timeout, etc)

    def asked(self, name):
        """Whether the name, in any spelling, reached the upstream resolver."""
        return name.lower() in [question.lower() for question in self.resolver.questions()]


@dataclasses.dataclass
class StartedRun:
    argv: list
    process: subprocess.Popen
    events_path: str

    def finish(self, timeout=60):
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise Failure(f"still running after {timeout} s\n{self._run(out, err).transcript()}") from None
        return self._run(out, err)

    def _run(self, out, err):
        events = []
        if os.path.exists(self.events_path):
            with open(self.events_path) as lines:
                events = [json.loads(line) for line in lines if line.strip()]
        steps = [json.loads(line) for line in out.splitlines() if line.startswith('{"step')]
        return Run(self.argv, self.process.returncode, out, err, steps, events)
