"""A namewalld of the benchmark's own: its directories, pins and cgroups; asked over its socket, measured from /proc."""

import contextlib
import http.client
import json
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from arena import Arena, Failure, cpu_nanoseconds, find_cgroup2_mount

PINS = Path("/sys/fs/bpf")
USER = "64321:64321"
READY_WITHIN = 300  # seconds


class Connection(http.client.HTTPConnection):
    """Kept open from one request to the next, as a sandbox manager would."""

    def __init__(self, path: Path) -> None:
        super().__init__("namewall", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))

    def ask(self, method: str, target: str, body: dict | None = None) -> tuple[int, bytes]:
        self.request(method, target, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        answer = self.getresponse()
        return answer.status, answer.read()

    def demand(self, method: str, target: str, body: dict | None = None) -> bytes:
        status, text = self.ask(method, target, body)
        if not 200 <= status < 300:
            raise Failure(f"{method} {target}: {status} {text.decode(errors='replace')}")
        return text


class PrivateDaemon:
    def __init__(self, arena: Arena, binaries: Path, name: str) -> None:
        self.arena = arena
        self.binaries = binaries
        self.root = arena.new_cgroup(name)
        self.files = arena.files / name
        self.pins = PINS / f"{arena.prefix}-{name}"
        self.socket = self.files / "run" / "control.sock"
        self.process: subprocess.Popen | None = None
        for directory in ("config/policies.d", "state", "run", "log"):
            (self.files / directory).mkdir(parents=True)
        # The daemon's user has to reach its own directories in there.
        arena.files.chmod(0o755)

    def close(self) -> None:
        self.stop()
        self.lift()
        for cgroup in self.root.iterdir():
            if cgroup.is_dir():
                self.arena.remove_cgroup(cgroup)

    # -- what it is given --

    def new_cgroup(self, name: str) -> str:
        """Its path in the hierarchy."""
        path = self.root / name
        path.mkdir()
        return self.path_of(path)

    @staticmethod
    def path_of(cgroup: Path) -> str:
        return "/" + str(cgroup.relative_to(find_cgroup2_mount()))

    def set_policy(self, name: str, text: str) -> None:
        (self.files / "config" / "policies.d" / f"{name}.toml").write_text(f'name = "{name}"\n{text}')

    def set_host(self, text: str) -> None:
        (self.files / "config" / "host.toml").write_text(text)

    # -- its life --

    def start(self, real_time: bool = True) -> int:
        """Returns the nanoseconds until it told that it is ready. `real_time`: what else the machine does is left out."""
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify = self.files / "notify.sock"
        notify.unlink(missing_ok=True)
        told.bind(str(notify))
        notify.chmod(0o666)
        directories = [f"--{name}-directory={self.files / name}" for name in ("config", "state", "run", "log")]
        command = [str(self.binaries / "agent" / "namewalld"), *directories, f"--pin-directory={self.pins}",
                   f"--user={USER}"]
        priority = ("-f", "1") if real_time else ("-o", "0")
        with told, open(self.files / "stderr", "ab") as log:
            begin = time.monotonic_ns()
            self.process = self.arena.start(self.arena.inside(self.arena.client, "chrt", *priority, *command), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**os.environ, "NOTIFY_SOCKET": str(notify)})
            # Before, it leaves its control socket with the service manager.
            while not select.select([told], [], [], 0.1)[0] or b"READY=1" not in told.recv(4096):
                if self.process.poll() is not None or time.monotonic_ns() - begin > READY_WITHIN * 10**9:
                    raise Failure(f"namewalld does not get ready: {(self.files / 'stderr').read_text()[-2000:]}")
            return time.monotonic_ns() - begin

    def stop(self) -> None:
        if self.process is not None:
            self.arena.stop(self.process)
            self.process = None

    def lift(self) -> None:
        """Everything that it armed."""
        namewall = str(self.binaries / "agent" / "namewall")
        subprocess.run([namewall, "teardown", "--all", "--reason", "end of the benchmark", "--socket", "/nonexistent",
                        "--pin-directory", str(self.pins), "--user", USER], capture_output=True, check=False)
        shutil.rmtree(self.files / "state", ignore_errors=True)
        (self.files / "state").mkdir(exist_ok=True)
        for directory, _, files in os.walk(self.pins, topdown=False):
            for file in files:
                os.unlink(os.path.join(directory, file))
            os.rmdir(directory)

    def connection(self) -> Connection:
        return Connection(self.socket)

    @contextlib.contextmanager
    def events(self) -> Iterator[http.client.HTTPResponse]:
        """The stream of what happens from now on, read line by line."""
        connection = self.connection()
        connection.request("GET", "/v1/events?follow=1")
        try:
            yield connection.getresponse()
        finally:
            connection.close()

    # -- what it uses, with its helper --

    def processes(self) -> list[int]:
        own = self.process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return [own, *map(int, children)]

    def cpu_nanoseconds(self) -> int:
        """Of its threads, and of the children that have ended."""
        total = 0
        for process in self.processes():
            total += cpu_nanoseconds([process])
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[13]) + int(fields[14])) * 10**9 // os.sysconf("SC_CLK_TCK")
        return total

    def resident_bytes(self) -> int:
        return sum(int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
                   for process in self.processes())
