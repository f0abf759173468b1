"""Programs that people run under `namewall run`, against servers of the made-up internet."""

import os
import subprocess
import zipfile

from internet.processes import Server
from internet.records import Record
from scenario import Scene, expect, expect_refusal, require_program

RECORDS = [
    Record("git.example", "A", "203.0.113.21"),
    Record("git.example", "AAAA", "2001:db8:203::21"),
    Record("pypi.example", "A", "203.0.113.22"),
    Record("tracker.example", "A", "203.0.113.40"),
    Record("registry.example", "A", "203.0.113.23"),
]


def _home(scene):
    """A directory that the command's user may write."""
    home = scene.path("home", make=True)
    os.chmod(home, 0o777)
    scene.environment["HOME"] = home
    return home


def _set_up(*argv, **options):
    done = subprocess.run(argv, capture_output=True, text=True, **options)
    expect(done.returncode == 0, f"{argv}: {done.stderr}")


def scenario_git_clones_over_https():
    require_program("git")
    with Scene(RECORDS) as scene:
        home = _home(scene)
        source, served = scene.path("source", make=True), os.path.join(scene.files, "repo.git")
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        _set_up("git", "init", "-q", source, env=environment)
        _set_up(
            "git",
            "-C",
            source,
            "-c",
            "user.name=n",
            "-c",
            "user.email=e@example",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "first",
            env=environment,
        )
        _set_up("git", "clone", "-q", "--bare", source, served, env=environment)
        _set_up("git", "-C", served, "update-server-info", env=environment)
        run = scene.namewall(
            ["--allow", "git.example"], ["git", "clone", "-q", "https://git.example/repo.git", f"{home}/clone"]
        )
        expect(run.exit_code == 0 and os.path.exists(f"{home}/clone/.git/HEAD"), "git clone failed", run)
        run = scene.namewall(
            ["--allow", "git.example"],
            ["git", "clone", "-q", "https://tracker.example/repo.git", f"{home}/no"],
            timeout=10,
        )
        expect(run.exit_code == 128, "git must report the refusal", run)
        expect_refusal(run, "name_not_allowed", name="tracker.example")


def scenario_ssh_logs_in():
    require_program("ssh")
    require_program("dropbear")
    with Scene(RECORDS) as scene:
        _home(scene)
        for name in ("host", "user"):
            _set_up("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", scene.path(name))
        _set_up("dropbearconvert", "openssh", "dropbear", scene.path("host"), scene.path("host.dropbear"))
        # The server's user is root of this machine, with a home of the test's own: the key is good for one forced
        # command, at an address that only the test's namespaces have, while the test lasts.
        server_home = scene.path("server-home", make=True)
        keys = os.path.join(server_home, ".ssh")
        for directory in (server_home, keys):
            os.makedirs(directory, exist_ok=True)
            os.chmod(directory, 0o700)
        with open(scene.path("user.pub")) as public, open(os.path.join(keys, "authorized_keys"), "w") as authorized:
            authorized.write(public.read())
        os.chown(scene.path("user"), 65534, 65534)
        server = scene.own(
            Server(
                scene.world.command(
                    [
                        "unshare",
                        "--mount",
                        "--propagation",
                        "private",
                        "sh",
                        "-ec",
                        'mount --bind "$0" /root; exec "$@"',
                        server_home,
                        "dropbear",
                        "-F",
                        "-E",
                        "-s",
                        "-r",
                        scene.path("host.dropbear"),
                        "-p",
                        "203.0.113.21:22",
                        "-P",
                        "",
                        "-c",
                        "echo logged in",
                    ]
                ),
                scene.path("dropbear.log"),
            )
        )
        server.wait_until(
            lambda: subprocess.run(
                scene.world.command(
                    ["/usr/bin/python3", "-c", "import socket; socket.create_connection(('203.0.113.21', 22), 1)"]
                ),
                capture_output=True,
            ).returncode
            == 0
        )
        login = [
            "ssh",
            "-4",
            "-F",
            "/dev/null",
            "-i",
            scene.path("user"),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "BatchMode=yes",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "IdentitiesOnly=yes",
        ]
        run = scene.namewall(["--allow", "ssh://git.example"], [*login, "root@git.example", "anything"])
        expect(run.exit_code == 0 and "logged in" in run.out, f"ssh failed; server: {server.log()[-800:]}", run)
        run = scene.namewall(
            ["--allow", "ssh://git.example"], [*login, "root@tracker.example", "anything"], timeout=10
        )
        expect(run.exit_code == 255, "ssh must report the refusal", run)
        expect_refusal(run, "name_not_allowed", name="tracker.example")


def scenario_bwrap_sandboxes_within():
    require_program("bwrap")
    with Scene(RECORDS) as scene:
        sandbox = [
            "bwrap",
            "--unshare-user",
            "--unshare-pid",
            "--ro-bind",
            "/",
            "/",
            "--dev",
            "/dev",
            "--proc",
            "/proc",
        ]
        run = scene.namewall(["--allow", "git.example"], [*sandbox, "curl", "-sS", "https://git.example/"])
        expect(run.exit_code == 0 and run.out == "it works\n", "curl in bwrap failed", run)
        run = scene.namewall(
            ["--allow", "git.example"], [*sandbox, "curl", "-sS", "-m", "10", "https://tracker.example/"]
        )
        expect(run.exit_code == 6, "bwrap is no way out", run)
        expect_refusal(run, "name_not_allowed", name="tracker.example")


def scenario_pip_downloads():
    require_program("pip3")
    with Scene(RECORDS) as scene:
        home = _home(scene)
        _write_wheel(os.path.join(scene.files, "simple", "thing"))
        pip = [
            "/usr/bin/python3",
            "-m",
            "pip",
            "--disable-pip-version-check",
            "download",
            "-q",
            "--no-cache-dir",
            "--retries",
            "0",
            "--cert",
            scene.authority,
            "-d",
            f"{home}/wheels",
            "--index-url",
        ]
        run = scene.namewall(["--allow", "pypi.example"], [*pip, "https://pypi.example/simple", "thing"])
        expect(run.exit_code == 0 and os.path.exists(f"{home}/wheels/thing-1-py3-none-any.whl"), "pip failed", run)
        run = scene.namewall(["--allow", "pypi.example"], [*pip, "https://tracker.example/simple", "thing"])
        expect(run.exit_code != 0, "pip must report the refusal", run)
        expect_refusal(run, "name_not_allowed", name="tracker.example")


def _write_wheel(directory):
    os.makedirs(directory)
    with zipfile.ZipFile(os.path.join(directory, "thing-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("thing.py", "")
        wheel.writestr("thing-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1\n")
        wheel.writestr(
            "thing-1.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("thing-1.dist-info/RECORD", "")
    with open(os.path.join(directory, "index.html"), "w") as index:
        index.write('<a href="thing-1-py3-none-any.whl">thing-1-py3-none-any.whl</a>\n')


def scenario_java_connects():
    require_program("java")
    require_program("javac")
    with Scene(RECORDS) as scene:
        home = _home(scene)
        program = os.path.join(home, "Reach.java")
        with open(program, "w") as source:
            source.write(
                """
public class Reach {
  public static void main(String[] names) throws Exception {
    for (String name : names) {
      try (java.net.Socket socket = new java.net.Socket(name, 7001)) {
        System.out.println(name + " reached");
      } catch (java.io.IOException error) {
        System.out.println(name + " " + error.getClass().getSimpleName());
      }
    }
  }
}
"""
            )
        run = scene.namewall(["--allow", "git.example:7001"], ["java", program, "git.example", "tracker.example"])
        expect(
            run.out.split("\n")[:2] == ["git.example reached", "tracker.example UnknownHostException"], "java", run
        )


def scenario_npm_reads_a_registry():
    require_program("npm")
    with Scene(RECORDS) as scene:
        home = _home(scene)
        with open(os.path.join(scene.files, "thing"), "w") as packument:
            packument.write(
                '{"name":"thing","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"thing","version":"1.0.0",'
                '"dist":{"tarball":"https://registry.example/thing.tgz","shasum":"00"}}}}'
            )
        npm = [
            "npm",
            "view",
            "--fetch-retries=0",
            "--no-update-notifier",
            f"--cafile={scene.authority}",
            f"--cache={home}",
            "--registry",
        ]
        run = scene.namewall(["--allow", "registry.example"], [*npm, "https://registry.example/", "thing", "version"])
        expect(run.exit_code == 0 and "1.0.0" in run.out, "npm failed", run)
        run = scene.namewall(["--allow", "registry.example"], [*npm, "https://tracker.example/", "thing", "version"])
        expect(run.exit_code != 0, "npm must report the refusal", run)
        expect_refusal(run, "name_not_allowed", name="tracker.example")
