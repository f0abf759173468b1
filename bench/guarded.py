"""namewalld of the benchmark's own, whose workloads' DNS goes to its proxy; as a front like those of forwarders.py."""

import json
import shutil
import subprocess
import time
from pathlib import Path

from arena import SERVER_ADDRESS, Arena, Failure
from private_daemon import PrivateDaemon

# As much as the machine can, instead of what one workload may ask for by default.
BOUNDS = 'bounds = { in_flight = 65536, per_second = 1000000, fresh_per_second = 1000000, connections = 4096 }'


def policy_text(learn: str, cache: bool) -> str:
    return f"""allow = ["*://bench.example:*", "*://**.bench.example:*"]
[dns]
learn = "{learn}"
cache = {json.dumps(cache)}
max_addresses = 16384
resolvers = ["{SERVER_ADDRESS}"]
{BOUNDS}
"""


class Guarded:
    """The workloads are armed and asked for once: the proxy listens in the client's namespace."""

    address, port = SERVER_ADDRESS, 53

    def __init__(self, arena: Arena, binaries: Path, name: str, cache: bool, workloads: int = 1) -> None:
        self.arena = arena
        self.binaries = binaries
        self.name = name
        self.daemon = PrivateDaemon(arena, binaries, name)
        try:
            self.daemon.start()
            connection = self.daemon.connection()
            self.cgroups = []
            for number in range(workloads):
                cgroup = self.daemon.new_cgroup(f"w{number}")
                connection.demand("PUT", f"/v1/workloads/{name}-{number}",
                                  {"cgroup": cgroup, "policy_text": policy_text("proxy", cache)})
                self.cgroups.append(self.daemon.root / f"w{number}")
            self.cgroup = self.cgroups[0]
            deadline = time.monotonic() + 10
            while not self._answers():
                if time.monotonic() > deadline:
                    log = (self.daemon.files / "stderr").read_text()[-2000:]
                    raise Failure(f"{name} does not answer: {log}")
                time.sleep(0.05)
        except BaseException:
            self.close()
            raise

    def processes(self) -> list[int]:
        return self.daemon.processes()

    def resident_bytes(self) -> int:
        return self.daemon.resident_bytes()

    def close(self) -> None:
        self.daemon.close()
        self.arena.remove_cgroup(self.daemon.root)
        shutil.rmtree(self.daemon.files)  # another of this name may follow

    def _answers(self) -> bool:
        asked = subprocess.run(
            self.arena.inside(self.arena.client, str(self.binaries / "bench" / "dns_load"), "--server", self.address,
                              "--names", "fixed:1:many.bench.example", "--count", "1", "--seconds", "1",
                              "--cgroup", str(self.cgroup)), capture_output=True, text=True, check=False)
        return asked.returncode == 0 and json.loads(asked.stdout)["answered"] == 1
