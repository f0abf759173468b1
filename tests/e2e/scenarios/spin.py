"""Policies from the manifests of Spin applications: `spin = { manifest = ..., component = ... }`."""

import os
import subprocess

from daemon import Host
from internet.records import Record
from scenario import expect

PORT = 7001
RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("bank.example", "A", "203.0.113.20"),
    Record("a.b.cdn.example", "A", "203.0.113.30"),
    Record("cdn.example", "A", "203.0.113.40"),
]
MANIFEST = """spin_manifest_version = 2
[application]
name = "shop"
[variables]
bank = { default = "bank.example" }
[[trigger.http]]
route = "/api"
component = "api"
[component.api]
source = "api.wasm"
allowed_outbound_hosts = [ %s ]
[component.pages]
source = "pages.wasm"
allowed_outbound_hosts = [ %s ]
"""


def manifest(host, api, pages="", mode=0o644):
    """Written as editors do; its path."""
    path = host.path("app/spin.toml", make=False)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path + ".new", "w") as out:
        out.write(MANIFEST % (api, pages))
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)
    return path


def component(host, cgroup, path, name, more=""):
    host.policy(name, f'cgroup = "{cgroup}"\nspin = {{ manifest = "{path}", component = "{name}"{more} }}\n')


def reloads(host):
    return host.get("/v1/status")["reloads"]


def file_status(host, name):
    return next(file for file in host.get("/v1/status")["policies"] if file["file"] == name + ".toml")


def scenario_two_components_in_two_cgroups_reach_what_each_lists():
    with Host(RECORDS) as host:
        api, pages = host.new_cgroup("api"), host.new_cgroup("pages")
        path = manifest(
            host,
            f'"tcp://shop.example:{PORT}..{PORT + 1}", "tcp://{{{{ bank }}}}:{PORT}", "http://pages.spin.internal"',
            f'"tcp://*.cdn.example:{PORT}"',
        )
        component(host, api, path, "api")
        component(host, pages, path, "pages")
        host.start_daemon()
        states = {name: workload["state"] for name, workload in host.workloads().items()}
        expect(states == {"api": "enforcing", "pages": "enforcing"}, f"{states}")
        for name in ("shop.example", "bank.example"):
            host.expect_reach(api, f"{name} {PORT}", ok=True)
            host.expect_reach(pages, f"{name} {PORT}", ok=False)
        host.expect_reach(api, f"203.0.113.10 {PORT + 1}", ok=False)  # the end of a range is left out
        host.expect_reach(pages, f"a.b.cdn.example {PORT}", ok=True)
        host.expect_reach(pages, f"cdn.example {PORT}", ok=False)
        host.expect_reach(api, f"a.b.cdn.example {PORT}", ok=False)


def scenario_strict_sockets_open_by_tcp_entries_and_not_by_http():
    with Host(RECORDS) as host:
        entries = f'"http://shop.example:{PORT}", "tcp://bank.example:{PORT}"'
        path = manifest(host, entries, entries)
        api, pages = host.new_cgroup("api"), host.new_cgroup("pages")
        component(host, api, path, "api", ', sockets = "strict"')
        component(host, pages, path, "pages")
        host.start_daemon()
        host.expect_reach(api, f"shop.example {PORT}", ok=False)
        host.expect_reach(api, f"bank.example {PORT}", ok=True)
        host.expect_reach(pages, f"shop.example {PORT}", ok=True)
        host.expect_reach(pages, f"bank.example {PORT}", ok=True)


def scenario_a_manifest_that_others_may_write_is_refused():
    with Host(RECORDS) as host:
        api = host.new_cgroup("api")
        path = manifest(host, f'"tcp://shop.example:{PORT}"', mode=0o666)
        component(host, api, path, "api")
        host.start_daemon(wait=True)
        status = file_status(host, "api")
        expect(status["state"] == "broken" and "may be written by others than root" in status["error"], f"{status}")
        expect(host.workloads() == {}, f"{host.workloads()}")

        os.chmod(path, 0o644)
        host.send("POST", "/v1/reload").ok()
        expect(file_status(host, "api")["state"] == "in force", f"{file_status(host, 'api')}")
        host.expect_reach(api, f"shop.example {PORT}", ok=True)

        # A workload that could write it afterwards widens nothing: what was in force stays.
        manifest(host, f'"tcp://shop.example:{PORT}", "tcp://bank.example:{PORT}"', mode=0o666)
        host.wait_until(lambda: file_status(host, "api")["state"] == "kept", "the manifest is refused")
        host.expect_reach(api, f"bank.example {PORT}", ok=False)
        host.expect_reach(api, f"shop.example {PORT}", ok=True)

        # The same of the folder that it is in.
        manifest(host, f'"tcp://shop.example:{PORT}", "tcp://bank.example:{PORT}"')
        os.chmod(os.path.dirname(path), 0o777)
        host.send("POST", "/v1/reload")
        expect("the folder" in file_status(host, "api")["error"], f"{file_status(host, 'api')}")
        host.expect_reach(api, f"bank.example {PORT}", ok=False)


def scenario_a_reload_follows_the_manifest():
    with Host(RECORDS) as host:
        api = host.new_cgroup("api")
        path = manifest(host, f'"tcp://shop.example:{PORT}"')
        component(host, api, path, "api")
        host.start_daemon()
        host.expect_reach(api, f"shop.example {PORT}", ok=True)
        generation = host.workloads()["api"]["generation"]
        before = reloads(host)
        host.send("POST", "/v1/reload").ok()
        expect(host.workloads()["api"]["generation"] == generation, "a manifest that is as it was changes nothing")

        before = reloads(host)
        manifest(host, f'"tcp://bank.example:{PORT}"')  # nobody asks for a reload: it is watched
        host.wait_until(lambda: reloads(host) > before, "the manifest is read again")
        host.expect_reach(api, f"bank.example {PORT}", ok=True)
        host.expect_reach(api, f"shop.example {PORT}", ok=False)

        # One with a mistake keeps what was in force, and the mistake is told with its line.
        manifest(host, '"tcp://bank.example"')
        host.wait_until(lambda: file_status(host, "api")["state"] == "kept", "the mistake is seen")
        expect("spin.toml:11:" in file_status(host, "api")["error"], f"{file_status(host, 'api')}")
        host.expect_reach(api, f"bank.example {PORT}", ok=True)


def scenario_the_printed_policy_is_that_of_the_manifest():
    with Host(RECORDS) as host:
        api = host.new_cgroup("api")
        path = manifest(host, f'"tcp://shop.example:{PORT}", "http://self"')
        done = subprocess.run(
            [host.binary, "import", "spin", path, "--component", "api"], capture_output=True, text=True, timeout=20
        )
        expect(done.returncode == 0, f"{done}")
        host.policy(None, f'cgroup = "{api}"\n{done.stdout}', file="api.toml")
        host.start_daemon()
        host.expect_reach(api, f"shop.example {PORT}", ok=True)
        host.expect_reach(api, f"bank.example {PORT}", ok=False)
