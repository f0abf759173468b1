"""What docs/operate.md says of containers and sandboxes, with the programs that Debian packages."""

import json
import os
import shutil
import subprocess

from backends import children_wait
from daemon import Host
from internet.cgroups import cgroup2_mount
from internet.records import Record
from scenario import expect, require_program

PORT = 7001
RECORDS = [Record("shop.example", "A", "203.0.113.10"), Record("bank.example", "A", "203.0.113.20")]
# A private view in which cgroup v2 alone is mounted, as podman wants it; on a unified machine it is so anyway.
ONLY_CGROUP2 = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; "
STEPS = f"connect 203.0.113.10 {PORT} reach shop.example {PORT} reach bank.example {PORT} connect 203.0.113.99 7000"
OUTCOMES = [False, True, False, False]  # unknown yet; allowed; not allowed; no rule names it


def allow(*entries):
    return "allow = [ " + ", ".join(f'"{entry}"' for entry in entries) + " ]\n"


def steps_of(output):
    return [json.loads(line) for line in output.splitlines() if line.startswith('{"step')]


def outcomes(steps):
    return [step["ok"] for step in steps]


def root_file_system(host):
    """Of a container: one static client and its /etc."""
    root = host.path("rootfs", make=True)
    for directory in ("bin", "etc", "proc", "sys", "dev", "tmp", "run"):
        os.makedirs(os.path.join(root, directory), exist_ok=True)
    shutil.copy(host.path("clients/client_musl"), os.path.join(root, "bin/client"))
    for name in os.listdir(host.path("etc")):
        shutil.copy(os.path.join(host.path("etc"), name), os.path.join(root, "etc"))
    return root


def run_as_client(host, argv):
    """argv in the client's namespaces, outside of every workload: the steps of clients that it ran."""
    done = subprocess.run(
        host.client.command(host.with_etc(argv)), capture_output=True, text=True, timeout=60, env=host.environment
    )
    expect('{"step' in done.stdout, f"{argv} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return steps_of(done.stdout)


def scenario_podman_starts_containers_below_a_template():
    require_program("podman")
    require_program("runc")
    with Host(RECORDS) as host:
        parent = host.new_cgroup("ci")
        host.policy("ci", f'cgroup = "{parent}/*"\n' + allow(f"shop.example:{PORT}"))
        host.start_daemon()
        store = host.path("podman", make=True)
        podman = [
            *("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "none"),
            *("--root", f"{store}/root", "--runroot", f"{store}/run", "--tmpdir", f"{store}/tmp"),
            *("run", "--rm", "--network", "host", "--cgroups", "enabled", f"--cgroup-parent={parent}"),
            # What this test's machine may not let containers have more of, whatever podman's defaults are.
            *("--cgroupns", "host", "--pids-limit=-1", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"),
            *("--rootfs", root_file_system(host), "/bin/client", *STEPS.split()),
        ]
        argv = ["unshare", "-m", "sh", "-ec", ONLY_CGROUP2 + 'exec "$@"', "sh", *podman]
        for killed in (False, True):
            if killed:
                host.kill_daemon()
            found = outcomes(run_as_client(host, argv))
            expected = [False] * 4 if killed and children_wait() else OUTCOMES
            expect(found == expected, f"{'without' if killed else 'with'} the daemon: {found}")
        host.start_daemon()


# dockerd with a directory of its own; ends with the script.
DOCKER = """
mount -t tmpfs none /run
export DOCKER_HOST="unix://$1/sock"
dockerd --ip6tables=false --storage-driver=vfs --host="$DOCKER_HOST" \\
  --data-root="$1/data" --exec-root="$1/exec" --pidfile="$1/pid" --exec-opt=native.cgroupdriver=cgroupfs \\
  --default-ulimit=nofile=1024:1024 --default-ulimit=nproc=1024:1024 >"$1/log" 2>&1 &
tries=100
until docker version >/dev/null 2>&1; do
  tries=$((tries - 1))
  [ "$tries" != 0 ] || { tail -n 5 "$1/log" >&2; exit 1; }
  sleep 0.2
done
tar -C "$2" -c . | docker import - client >/dev/null
parent=$3
shift 3
docker network create own >/dev/null
for network in host own; do
  docker run --rm --network=$network --cgroupns=host --cgroup-parent="$parent" client /bin/client "$@" || true
done
kill %1 2>/dev/null || kill $!
wait
"""


def scenario_docker_starts_containers_below_a_template():
    require_program("dockerd")
    with Host(RECORDS) as host:
        parent = host.new_cgroup("ci")
        # In a network of its own a container asks 127.0.0.11, where dockerd answers for the host's resolvers.
        resolvers = '[dns]\nresolvers = [ "system", "127.0.0.11" ]\n'
        host.policy("ci", f'cgroup = "{parent}/*"\n' + allow(f"shop.example:{PORT}") + resolvers)
        host.start_daemon()
        arguments = [host.path("docker", make=True), root_file_system(host), parent, *STEPS.split()]
        # A pid namespace of its own: whatever dockerd started ends with it.
        argv = ["unshare", "-m", "-p", "-f", "--mount-proc", "sh", "-ec", ONLY_CGROUP2 + DOCKER, "sh", *arguments]
        found = outcomes(run_as_client(host, argv))
        expect(found == OUTCOMES * 2, f"{found}")


def scenario_bwrap_in_an_armed_cgroup():
    require_program("bwrap")
    with Host(RECORDS) as host:
        cgroup = host.new_cgroup("sandbox")
        policy = host.write("sandbox.toml", 'name = "sandbox"\n' + allow(f"shop.example:{PORT}"))
        arm = [host.binary, "arm", "--cgroup", cgroup, "--policy", policy, "--socket", host.path("no.sock")]
        arm += ["--pin-directory", host.pins, "--user", "64321:64321"]
        arm = host.client.command(host.with_etc(arm))  # the resolvers of this /etc are those that it names
        done = subprocess.run(arm, capture_output=True, text=True, timeout=20)
        expect(done.returncode == 0, f"{done}")
        bwrap = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-pid", "--die-with-parent"]
        process = host.start_in(cgroup, [*bwrap, *host.client_argv("musl", STEPS)])
        out, err = process.communicate(timeout=30)
        expect(outcomes(steps_of(out)) == OUTCOMES, f"{out}{err}")


# What a sandbox manager does: a cgroup, the call, and only then a first process, which starts inside.
MANAGER = """
import http.client, json, os, socket, sys

class Daemon(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])

def call(method, name, body):
    daemon = Daemon("namewall")
    daemon.request(method, "/v1/workloads/" + name, json.dumps(body))
    answer = daemon.getresponse()
    text = answer.read().decode()
    if answer.status >= 300:
        sys.exit(f"{method} {name}: {answer.status} {text}")

mount, parent, *command = sys.argv[2:]
cgroup = parent + "/job-1"
os.mkdir(mount + cgroup)

def hold(name):
    call("PUT", "job-1", {"cgroup": cgroup, "policy": name, "reason": "a job", "labels": {"job": name}})

def run():
    if (child := os.fork()) == 0:
        with open(mount + cgroup + "/cgroup.procs", "w") as procs:
            procs.write("0")
        os.execv(command[0], command)
    os.waitpid(child, 0)

hold("warm")    # nothing is allowed until somebody claims it
run()
hold("shop")    # claimed: swapped as a whole
run()
call("DELETE", "job-1", {"reason": "the job is done"})
os.rmdir(mount + cgroup)
"""


def scenario_a_sandbox_manager_uses_the_api():
    with Host(RECORDS) as host:
        parent = host.new_cgroup("sandboxes")
        host.policy("warm", "")
        host.policy("shop", allow(f"shop.example:{PORT}"))
        host.start_daemon()
        manager = ["/usr/bin/python3", "-c", MANAGER, host.socket, cgroup2_mount(), parent]
        found = outcomes(run_as_client(host, [*manager, *host.client_argv("glibc", STEPS)]))
        expect(found == [False] * 4 + OUTCOMES, f"{found}")
        expect("job-1" not in host.workloads(), f"{host.workloads()}")
