"""`namewall arm` and `teardown` where no daemon answers: straight in the kernel, with pins of their own."""

import json
import os
import socket
import subprocess
import tempfile
import time

from internet.cgroups import cgroup2_mount
from scenario import expect

OWNER = "64321:64321"
# What connect() gives: an errno, "silent" or "connected".
CONNECT = (
    "import socket, sys\n"
    "s = socket.socket(); s.settimeout(1)\n"
    "try: s.connect((sys.argv[1], int(sys.argv[2])))\n"
    "except OSError as error: print(error.errno or 'silent')\n"
    "else: print('connected')\n"
)


class Host:
    """A cgroup and a pin directory of the test's own, both removed at the end."""

    def __enter__(self):
        unique = f"namewall-commands-{os.getpid()}"
        self.path = f"/{unique}"
        self.cgroup = os.path.join(cgroup2_mount(), unique)
        self.pins = f"/sys/fs/bpf/{unique}"
        self._directory = tempfile.TemporaryDirectory(prefix=unique)
        self.directory = self._directory.name
        os.mkdir(self.cgroup)
        return self

    def __exit__(self, *_):
        self.namewall("teardown", "--all", "--reason", "the test ends")
        for name in [*os.listdir(self.cgroup)]:
            if os.path.isdir(os.path.join(self.cgroup, name)):
                os.rmdir(os.path.join(self.cgroup, name))
        os.rmdir(self.cgroup)
        self._directory.cleanup()

    def policy(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w") as out:
            out.write(text)
        return path

    def namewall(self, *arguments, inside=False):
        pins = ["--pin-directory", self.pins, "--user", OWNER]
        argv = [os.environ["NAMEWALL_E2E_BINARY"], arguments[0], "--socket", "/no/such.sock", *pins, *arguments[1:]]
        enter = (lambda: open(f"{self.cgroup}/cgroup.procs", "w").write("0")) if inside else None
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, preexec_fn=enter)

    def connect(self, address="127.0.0.1", port=9):
        """What a process in the cgroup gets: an errno, "silent" or "connected"."""
        argv = ["/usr/bin/python3", "-c", CONNECT, address, str(port)]
        enter = lambda: open(f"{self.cgroup}/cgroup.procs", "w").write("0")  # noqa: E731
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, preexec_fn=enter, check=True)
        return done.stdout.strip()


class Listener:
    """Of the host, on its loopback."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        return self

    def __exit__(self, *_):
        self.socket.close()


def expect_done(done, exit_code, *said):
    transcript = f"exit {done.returncode}\n--- stdout\n{done.stdout}--- stderr\n{done.stderr}"
    expect(done.returncode == exit_code, f"not {exit_code}: {transcript}")
    for what in said:
        expect(what in done.stdout + done.stderr, f"it does not say {what!r}: {transcript}")


def scenario_arm_enforces_when_it_returns_and_teardown_says_what_it_lifts():
    with Host() as host, Listener() as listener:
        expect(host.connect("127.0.0.1", listener.port) == "connected", "the listener does not answer before")
        narrow = host.policy("narrow.toml", 'name = "narrow"\nallow = ["192.0.2.1"]\nloopback = "none"\n')
        wide = host.policy("wide.toml", f'name = "wide"\nallow = ["127.0.0.1:{listener.port}"]\n')
        arm = ["arm", "--cgroup", host.path, "--policy"]
        expect_done(host.namewall(*arm, narrow), 0, "narrow  enforcing", host.path)
        refused = host.connect("127.0.0.1", listener.port)
        expect(refused == "111", f"an address that no rule names: {refused}")
        stat = os.stat(host.pins)
        expect((stat.st_uid, stat.st_mode & 0o777) == (64321, 0o700), f"the pins' owner and mode: {stat}")
        expect_done(host.namewall(*arm, wide, "--json"), 0, '"workload":"wide"')
        expect(host.connect("127.0.0.1", listener.port) == "connected", "the new policy is not in force")
        expect_done(host.namewall(*arm, narrow), 0)
        expect(host.connect("127.0.0.1", listener.port) == "111", "the policy before is in force")
        expect_done(host.namewall("teardown", "--cgroup", host.cgroup, "--reason", "test"), 0, host.path)
        expect(host.connect("127.0.0.1", listener.port) == "connected", "the cgroup is still held")
        expect_done(host.namewall("teardown", "--cgroup", host.cgroup, "--reason", "test"), 6, "not armed")
        expect_done(host.namewall(*arm, narrow), 0)
        expect_done(host.namewall("teardown", "narrow", "--reason", "test"), 4, "--all")
        expect(host.connect("127.0.0.1", listener.port) == "111", "a refused teardown lifted something")
        expect_done(host.namewall("teardown", "--all", "--reason", "test"), 0, "No longer held")
        expect(host.connect("127.0.0.1", listener.port) == "connected", "the cgroup is still held")
        expect(not os.path.exists(host.pins), "pins are left")


def scenario_a_service_arms_itself_before_its_first_process():
    with Host() as host, Listener() as listener:
        policy = host.policy("narrow.toml", 'name = "narrow"\nallow = ["192.0.2.1"]\nloopback = "none"\n')
        done = host.namewall("arm", "--self", "--policy", policy, inside=True)
        expect_done(done, 0, os.path.basename(host.path) + "  enforcing")
        expect(host.connect("127.0.0.1", listener.port) == "111", "the service is not held")
        again = host.namewall("arm", "--self", "--policy", policy, inside=True)
        expect_done(again, 0, os.path.basename(host.path) + "  enforcing")
        other = host.policy("other.toml", 'name = "narrow"\nallow = ["192.0.2.2"]\nloopback = "none"\n')
        expect_done(host.namewall("arm", "--self", "--policy", other, inside=True), 0, "judging")


def scenario_a_cgroup_with_processes_is_strict_and_says_so():
    with Host() as host:
        policy = host.policy("narrow.toml", 'name = "narrow"\nallow = ["192.0.2.1"]\n')
        enter = lambda: open(f"{host.cgroup}/cgroup.procs", "w").write("0")  # noqa: E731
        sleeper = subprocess.Popen(["sleep", "60"], preexec_fn=enter)
        try:
            done = host.namewall("arm", "--pid", str(sleeper.pid), "--policy", policy)
            expect_done(done, 0, "narrow  judging", "older")
        finally:
            sleeper.kill()
            sleeper.wait()


def scenario_services_that_arm_themselves_side_by_side_wait_for_each_other():
    with Host() as host:
        policy = host.policy("narrow.toml", 'name = "narrow"\nallow = ["192.0.2.1"]\n')
        count = 8
        for i in range(count):
            os.mkdir(f"{host.cgroup}/job-{i}")
        argv = [os.environ["NAMEWALL_E2E_BINARY"], "arm", "--socket", "/no/such.sock", "--json", "--policy", policy]
        argv += ["--pin-directory", host.pins, "--user", OWNER]
        begin = time.monotonic()
        started = [
            subprocess.Popen([*argv, "--cgroup", f"{host.path}/job-{i}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for i in range(count)
        ]
        for arming in started:
            out, err = arming.communicate(timeout=60)
            expect(arming.returncode == 0, f"exit {arming.returncode}: {err.decode()}")
            expect(json.loads(out)["state"] == "enforcing", out.decode())
        print(f"{count} services armed side by side in {time.monotonic() - begin:.1f} s")


def scenario_what_cannot_be_armed_is_one_sentence_and_a_code():
    with Host() as host:
        policy = host.policy("narrow.toml", 'name = "narrow"\nallow = ["192.0.2.1"]\n')
        binary = os.environ["NAMEWALL_E2E_BINARY"]
        arm = [binary, "arm", "--socket", "/no/such.sock", "--cgroup", host.path, "--policy", policy]

        def run(*arguments, prefix=()):
            return subprocess.run([*prefix, *arm, *arguments], capture_output=True, text=True, timeout=60)

        os.mkdir(host.pins)
        try:
            for done, exit_code in (
                (run("--pin-directory", host.pins, "--user", "no-such-user"), 6),
                (run("--pin-directory", host.pins, "--user", OWNER), 7),  # root's directory
            ):
                expect_done(done, exit_code)
                expect(len(done.stderr.splitlines()) == 1, done.stderr)
        finally:
            os.rmdir(host.pins)
