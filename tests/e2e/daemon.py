"""namewalld with directories, pins and cgroups of its own, in an internet's client namespace; asked over its socket."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time

from backends import backend, children_wait, host_settings
from internet.cgroups import cgroup2_mount, remove_cgroup
from internet.processes import die_with_parent
from pinned_maps import entries_below
from scenario import Failure, Scene, expect

PREFIX = "namewall-test"
USER = "64321:64321"
PINS = "/sys/fs/bpf"


class Answer:
    """Of one request: the status and the body, read as JSON where it is JSON."""

    def __init__(self, request, status, text):
        self.request, self.status, self.text = request, status, text
        try:
            self.body = json.loads(text)
        except ValueError:
            self.body = None

    def ok(self):
        expect(200 <= self.status < 300, f"{self.request}: {self.status} {self.text}")
        return self.body

    def error(self, status):
        expect(self.status == status, f"{self.request}: {self.status} instead of {status}: {self.text}")
        return self.body["error"]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("namewall", timeout=20)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(path, method, target, body=None):
    """One request to the control socket at `path`."""
    connection = _UnixConnection(path)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, target, body=text, headers={"Content-Type": "application/json"} if text else {})
        response = connection.getresponse()
        return Answer(f"{method} {target}", response.status, response.read().decode())
    finally:
        connection.close()


class Host(Scene):
    """An internet whose client namespace has a namewalld. Cgroups are made below one that is thrown away."""

    def __init__(self, records, recursive=False):
        super().__init__(records, recursive)
        self.daemon = None
        self._daemons = 0

    def _build(self):
        super()._build()
        self.root = self.own(_WorkloadRoot())
        self.pins = os.path.join(PINS, f"{PREFIX}-{os.getpid()}")
        self.own(_Pins(self))
        for name in ("config/policies.d", "state", "run", "log", "group"):
            self.path(f"daemon/{name}", make=True)
        self.settings("")
        self.socket = self.path("daemon/run/control.sock")
        self.own(_RunningDaemon(self))

    # ---- the daemon ----

    def daemon_argv(self, *more):
        return [
            os.environ["NAMEWALL_E2E_NAMEWALLD"],
            *(f"--{name}-directory={self.path(f'daemon/{name}')}" for name in ("config", "state", "run", "log", "group")),
            f"--pin-directory={self.pins}",
            f"--user={USER}",
            *more,
        ]

    def start_daemon(self, wait=True, wrapper=(), environment=None, descriptors=()):
        """wrapper: what is put before its command, and execs it."""
        self._daemons += 1
        self.daemon_log = self.path(f"daemon-{self._daemons}.log")
        with open(self.daemon_log, "ab") as log:
            # Enters the namespaces as the clients do, but is not in a workload's cgroup.
            self.daemon = subprocess.Popen(
                [*wrapper, *self.client.command(self.with_etc(self.daemon_argv()))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
                env={**os.environ, **(environment or {})},
                pass_fds=descriptors,
            )
        if wait:
            self.wait_until(self.is_serving, "the daemon serves its socket", 15)
        return self.daemon

    def with_etc(self, argv):
        script = 'for f in resolv.conf nsswitch.conf hosts; do mount --bind "$0/$f" /etc/$f; done; exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, self.path("etc"), *argv]

    def is_serving(self):
        if self.daemon.poll() is not None:
            raise Failure(f"namewalld ended with {self.daemon.returncode}:\n{self.log_text()}")
        try:
            return ask(self.socket, "GET", "/v1/status").status == 200
        except OSError:
            return False

    def kill_daemon(self):
        """SIGKILL."""
        os.kill(self.daemon.pid, signal.SIGKILL)
        self.daemon.wait()

    def stop_daemon(self):
        os.kill(self.daemon.pid, signal.SIGTERM)
        self.daemon.wait(timeout=10)
        return self.daemon.returncode

    def log_text(self):
        with open(self.daemon_log, errors="replace") as log:
            return log.read()[-8000:]

    def kernel_entries(self):
        """Of all pinned hashes and tries, or of all sets of the table."""
        if backend() == "bpf":
            return sum(entries_below(self.pins).values())
        done = self.nft("-j", "list", "table", "inet", "namewall")
        expect(done.returncode == 0, f"{done}")
        sets = [item[kind] for item in json.loads(done.stdout)["nftables"] for kind in ("set", "map") if kind in item]
        return sum(len(one.get("elem", [])) for one in sets)

    def nft(self, *words):
        """The command, in the client's network namespace."""
        return subprocess.run(self.client.command(["nft", *words]), capture_output=True, text=True, timeout=60)

    # ---- asking it ----

    def get(self, target):
        return ask(self.socket, "GET", target).ok()

    def send(self, method, target, body=None):
        return ask(self.socket, method, target, body)

    def workloads(self):
        return {workload["name"]: workload for workload in self.get("/v1/workloads")}

    def events(self, **filters):
        """What was kept, oldest first."""
        query = "&".join(["follow=0", "since=1h", *(f"{key}={value}" for key, value in filters.items())])
        text = ask(self.socket, "GET", f"/v1/events?{query}").text
        return [json.loads(line) for line in text.splitlines() if line.strip()]

    def refusals(self, workload):
        return [event for event in self.events(workload=workload) if event["kind"] == "refused"]

    def wait_until(self, is_so, what, seconds=5):
        deadline = time.monotonic() + seconds
        while True:
            found = is_so()
            if found:
                return found
            if time.monotonic() > deadline:
                raise Failure(f"not within {seconds} s: {what}\n--- namewalld\n{self.log_text()}")
            time.sleep(0.01)

    # ---- policies and cgroups ----

    def policy(self, name, text, file=None):
        """A file of the folder, replaced as editors do: a new file takes the name."""
        path = self.path(f"daemon/config/policies.d/{file or name + '.toml'}")
        with open(path + ".new~", "w") as out:
            out.write(f'name = "{name}"\n' + text if name else text)
        os.rename(path + ".new~", path)
        return path

    def settings(self, text):
        """host.toml, replaced: this run's backend, and `text`."""
        path = self.path("daemon/config/host.toml")
        with open(path + ".new~", "w") as out:
            out.write(host_settings() + text)
        os.rename(path + ".new~", path)

    def group(self, name, version, *endpoints):
        """A shipped group, replaced."""
        path = self.path(f"daemon/group/{name}.toml")
        listed = "".join(f'  "{endpoint}",\n' for endpoint in endpoints)
        with open(path + ".new~", "w") as out:
            out.write(f'name = "{name}"\nversion = {version}\nallow = [\n{listed}]\n')
        os.rename(path + ".new~", path)

    def new_child(self, name):
        """A new cgroup below a template; its path, when the policy holds it."""
        cgroup = self.new_cgroup(name)
        if children_wait():
            self.wait_until(
                lambda: any(w["cgroup"] == cgroup and w["state"] == "enforcing" for w in self.workloads().values()),
                f"{cgroup} is armed",
            )
        return cgroup

    def new_cgroup(self, name):
        """A new cgroup; its path in the hierarchy."""
        os.mkdir(self.root.directory(name))
        return self.root.path(name)

    def command_in(self, cgroup, argv):
        """argv in the client's namespace, /etc and this cgroup; exec'd all the way."""
        directory = cgroup2_mount() + cgroup
        inside = ["sh", "-ec", 'echo 0 >"$0/cgroup.procs"; exec "$@"', directory, *argv]
        return self.client.command(self.with_etc(inside))

    def start_in(self, cgroup, argv, **options):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        options = {**pipes, "text": True, **options}
        process = subprocess.Popen(
            self.command_in(cgroup, argv), preexec_fn=die_with_parent, env={**self.environment}, **options
        )
        self._started.append(process)
        return process

    def steps(self, cgroup, steps, client="glibc", timeout=20):
        """The client's steps in this cgroup: a JSON object for each."""
        process = self.start_in(cgroup, self.client_argv(client, steps))
        out, err = process.communicate(timeout=timeout)
        found = [json.loads(line) for line in out.splitlines() if line.startswith('{"step')]
        expect(len(found) > 0, f"no step was done: {process.returncode} {out} {err}")
        return found

    def expect_reach(self, cgroup, target, ok, client="glibc"):
        """target: "NAME PORT" (looked up first) or "ADDRESS PORT"."""
        verb = "connect" if target[0].isdigit() or ":" in target.split()[0] else "reach"
        step = self.steps(cgroup, f"{verb} {target}", client)[0]
        expect(
            step["ok"] == ok,
            f"{target} from {cgroup} should {'work' if ok else 'be refused'}: {step}\n--- namewalld\n{self.log_text()}",
        )
        return step


class _WorkloadRoot:
    """A cgroup at the top of the hierarchy, for workloads of this process; gone with everything in it."""

    def __init__(self):
        self._name = f"{PREFIX}-{os.getpid()}.slice"
        os.mkdir(self.directory())

    def path(self, name=""):
        return f"/{self._name}" + (f"/{name}" if name else "")

    def directory(self, name=""):
        return cgroup2_mount() + self.path(name)

    def is_populated(self, name):
        with open(self.directory(name) + "/cgroup.events") as events:
            return "populated 1" in events.read()

    def close(self):
        remove_cgroup(self.directory())


class _Pins:
    """What is pinned and attached, lifted at the end; the cgroups are gone by then or go with it."""

    def __init__(self, host):
        self._host = host

    def close(self):
        if not os.path.isdir(self._host.pins):
            return
        argv = [self._host.binary, "teardown", "--all", "--reason", "end of the test"]
        argv += ["--socket", self._host.path("no.sock"), "--pin-directory", self._host.pins, "--user", USER]
        subprocess.run(argv, capture_output=True, timeout=60)
        for directory, _, files in os.walk(self._host.pins, topdown=False):
            for file in files:
                os.unlink(os.path.join(directory, file))
            os.rmdir(directory)


class _RunningDaemon:
    def __init__(self, host):
        self._host = host

    def close(self):
        daemon = self._host.daemon
        if daemon is not None and daemon.poll() is None:
            daemon.kill()
            daemon.wait()
