"""`namewall restrict` against a daemon that says what it is told to: what is asked, what the command finds, what is said."""

import os
import socket
import subprocess
import sys
import tempfile

from fake_daemon import FakeDaemon, error, expect_run, namewall
from internet.cgroups import cgroup2_mount
from scenario import expect

RESTRICT = ("POST", "/v1/restrict")
NARROWED = {
    "workload": "web:r1",
    "cgroup": "/web/r1",
    "cgroup_id": 4711,
    "state": "enforcing",
    "why": [],
    "without_effect": [],
    "cooperative": False,
    "depth": 1,
}
# Ways to the cgroup that argv[1] names that no shell command takes: a child made in it, without opening anything for
# writing; its cgroup.procs through mounts that are nowhere attached.
CLONE_INTO_CGROUP = """
import ctypes, os, struct, sys
CLONE3, INTO_CGROUP = 435, 1 << 33
directory = os.open(sys.argv[1], os.O_PATH)
arguments = struct.pack("=11Q", INTO_CGROUP, 0, 0, 0, 17, 0, 0, 0, 0, 0, directory)
libc = ctypes.CDLL(None, use_errno=True)
pid = libc.syscall(CLONE3, ctypes.c_char_p(arguments), ctypes.c_size_t(len(arguments)))
if pid == 0:
    os._exit(0)
print("into_cgroup", "done" if pid > 0 else os.strerror(ctypes.get_errno()))
if pid > 0:
    os.waitpid(pid, 0)

def write_below(kind, directory, path):
    if directory < 0:
        print(kind, "not mounted:", os.strerror(ctypes.get_errno()))
        return
    try:
        os.write(os.open(path, os.O_WRONLY, dir_fd=directory), b"0")
        print(kind, "done")
    except OSError as error:
        print(kind, error.strerror)

OPEN_TREE, FSOPEN, FSCONFIG, FSMOUNT, AT_FDCWD, CREATE = 428, 430, 431, 432, -100, 6
write_below("open_tree", libc.syscall(OPEN_TREE, AT_FDCWD, sys.argv[1].encode(), 1), "cgroup.procs")
context = libc.syscall(FSOPEN, b"cgroup2", 0)
libc.syscall(FSCONFIG, context, CREATE, None, None, 0)
write_below("detached", libc.syscall(FSMOUNT, context, 0, 0), sys.argv[2] + "/cgroup.procs")
"""


def restricted(answer=None, **more):
    return FakeDaemon({RESTRICT: answer or (200, {**NARROWED, **more})})


def scenario_the_command_runs_narrowed_and_its_exit_code_is_its_own():
    with restricted() as daemon:
        done = namewall(daemon, "restrict", "--allow", "https://a.example", "--allow", "b.example:8080", "--label", "p-7",
                        "--", "sh", "-c", "echo out; echo err >&2; exit 42")
        expect((done.returncode, done.stdout, done.stderr) == (42, "out\n", "err\n"), f"{done}")
        asked = {"allow": ["https://a.example", "b.example:8080"], "cooperative": False, "label": "p-7"}
        expect(daemon.requests == [(*RESTRICT, asked)], f"{daemon.requests}")
        done = namewall(daemon, "restrict", "--allow-nothing", "--", "true")
        expect((done.returncode, done.stderr) == (0, ""), f"{done}")
        expect(daemon.requests[-1] == (*RESTRICT, {"allow": [], "cooperative": False}), f"{daemon.requests}")
        done = namewall(daemon, "restrict", "--allow-nothing", "--", "sh", "-c", "kill -9 $$")
        expect(done.returncode == -9, f"{done}")


def scenario_descriptors_above_2_are_closed_and_internet_sockets_among_the_rest_are_told():
    with restricted() as daemon, socket.socket() as inet, socket.socket(socket.AF_UNIX) as other:
        argv = [os.environ["NAMEWALL_E2E_BINARY"], "restrict", "--allow-nothing", "--socket", daemon.socket, "--"]
        script = "import os\nfor fd in range(256):\n  try: os.fstat(fd); print(fd)\n  except OSError: pass"
        options = {"capture_output": True, "text": True, "timeout": 30, "pass_fds": [inet.fileno(), other.fileno()]}
        done = subprocess.run([*argv, sys.executable, "-c", script], stdin=subprocess.DEVNULL, **options)
        expect((done.stdout.split(), done.stderr) == (["0", "1", "2"], ""), f"{done}")
        done = subprocess.run([*argv, "true"], stdin=inet, **options)
        expect(done.returncode == 0 and "1 internet socket(s), which keep their old reach" in done.stderr, f"{done}")
        done = subprocess.run([*argv, "true"], stdin=other, **options)
        expect(done.returncode == 0 and done.stderr == "", f"{done}")


def scenario_what_has_no_effect_is_told_unless_quiet():
    sentences = ["https://b.example: the parent does not allow it", "x\x1b[31m"]
    with restricted(without_effect=sentences, state="judging", why=["sockets may be older"]) as daemon:
        arguments = ["--allow", "https://b.example", "--", "echo", "ran"]
        done = namewall(daemon, "restrict", *arguments)
        expect(done.returncode == 0 and done.stdout == "ran\n", f"{done}")
        for line in (
            "namewall: https://b.example: the parent does not allow it",
            "namewall: x?[31m",
            "namewall: judging: sockets may be older",
        ):
            expect(line in done.stderr.splitlines(), f"it does not say {line}: {done}")
        done = namewall(daemon, "restrict", "--quiet", *arguments)
        expect((done.returncode, done.stderr) == (0, ""), f"{done}")


def scenario_what_is_not_narrowed_does_not_run():
    ran = ["--allow-nothing", "--", "echo", "ran"]

    def refused(daemon, *said, options=()):
        done = namewall(daemon, "restrict", *options, *ran)
        expect("ran" not in done.stdout, f"it ran: {done}")
        expect_run(done, 125, *said)

    refused("/no/such/control.sock", "/no/such/control.sock", "namewalld does not run", "namewall run")
    for code, status, advice in (
        ("delegated", 409, "--cooperative"),
        ("threaded", 409, ""),
        ("frozen", 409, ""),
        ("limit", 507, ""),
        ("system", 500, ""),
        ("policy_invalid", 422, ""),
    ):
        with restricted(error(status, code, f"this is {code}", 7)) as daemon:
            refused(daemon, f"this is {code}", advice)
    for nonsense in ("", "{}", "[1]", '{"workload": "w"}'):
        with restricted((200, nonsense)) as daemon:
            refused(daemon, "not known")
    with FakeDaemon() as daemon:
        refused(daemon, "no such thing")
        refused(daemon, "too old", options=["--cooperative"])


def scenario_wrong_arguments_and_missing_commands_have_the_codes_of_env():
    with restricted() as daemon, tempfile.NamedTemporaryFile() as file:
        for arguments in (
            ["--allow-nothing"],
            ["--allow-nothing", "--"],
            ["--", "true"],
            ["--allow", "a.example", "--allow-nothing", "--", "true"],
            ["--allow-nothing", "true"],
            ["--allow-nothing", "--no-such-option", "--", "true"],
        ):
            expect_run(namewall(daemon, "restrict", *arguments), 125)
        expect(daemon.requests == [], f"{daemon.requests}")
        expect_run(namewall(daemon, "restrict", "--allow-nothing", "--", "no-such-program"), 127, "no-such-program")
        expect_run(namewall(daemon, "restrict", "--allow-nothing", "--", file.name), 126, file.name)


def scenario_cooperative_takes_every_way_to_another_cgroup_away():
    """As root, whom only Landlock, seccomp and no_new_privs hold here: the daemon is a fake, and moves nobody."""
    own = cgroup2_mount()
    with open("/proc/self/cgroup") as lines:
        own += next(line.strip()[3:] for line in lines if line.startswith("0::"))
    outside = os.path.join(own, f"namewall-test-{os.getpid()}")
    os.mkdir(outside)
    probe = f"""
ways() {{
  (echo 0 >"$1/cgroup.procs") 2>/dev/null && echo "write done"
  (cd "$1" && echo 0 >cgroup.procs) 2>/dev/null && echo "write from inside done"
  (echo 0 >"/proc/self/root/$1/cgroup.procs") 2>/dev/null && echo "write by proc done"
  mkdir "$1/new" 2>/dev/null && echo "mkdir done"
  mkdir -p "$2/mnt" && mount -t cgroup2 none "$2/mnt" 2>/dev/null && echo "mount done"
  unshare --user --map-root-user --mount mount -t cgroup2 none "$2/mnt" 2>/dev/null && echo "userns mount done"
  mount --bind "$1" "$2/mnt" 2>/dev/null && echo "bind done"
  (echo 0 >"$1/cgroup.threads") 2>/dev/null && echo "threads done"
  "$3" -c '{CLONE_INTO_CGROUP}' "$1" "$4"
  echo kept >"$2/a" && mkdir "$2/d" && mv "$2/a" "$2/d/b" && cat "$2/d/b"
  grep NoNewPrivs /proc/self/status
}}
ways "$@"
"""
    try:
        with FakeDaemon({RESTRICT: (200, {**NARROWED, "cooperative": True})}) as daemon:
            with tempfile.TemporaryDirectory() as scratch:
                inner = outside.removeprefix(cgroup2_mount() + "/")
                command = ["sh", "-c", probe, "sh", outside, scratch, sys.executable, inner]
                done = namewall(daemon, "restrict", "--cooperative", "--allow-nothing", "--", *command)
                lines = done.stdout.split("\n")
                ended = [line for line in lines if line.endswith("done")]
                expect(not ended, f"ways are left: {ended}\n{done}")
                expect("into_cgroup Function not implemented" in lines, f"{done}")
                expect("kept" in lines and "NoNewPrivs:\t1" in lines, f"what it may still do: {done}")
                expect(daemon.requests[-1][2]["cooperative"] is True, f"{daemon.requests}")
                # The same without it, so that the ways are ways.
                done = namewall(daemon, "restrict", "--allow-nothing", "--", "sh", "-c", probe.replace("mount", ": "), "sh",
                                outside, tempfile.mkdtemp(dir=scratch), sys.executable, inner)
                for way in ("into_cgroup done", "write done", "mkdir done", "open_tree done", "detached done"):
                    expect(way in done.stdout, f"not even otherwise: {way} {done}")
                with open(os.path.join(outside, "cgroup.procs"), "w") as held:
                    argv = [os.environ["NAMEWALL_E2E_BINARY"], "restrict", "--cooperative", "--allow-nothing"]
                    argv += ["--socket", daemon.socket, "--", "echo", "ran"]
                    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=held, text=True)
                expect(done.returncode == 125 and "standard input" in done.stderr and done.stdout == "", f"{done}")
    finally:
        for directory in (os.path.join(outside, "new"), outside):
            if os.path.isdir(directory):
                os.rmdir(directory)
