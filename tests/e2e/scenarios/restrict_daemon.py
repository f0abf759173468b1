"""POST /v1/restrict: processes that give up reach, and those that would gain some by it."""

import contextlib
import json
import os
import signal
import subprocess
import time

from backends import backend
from daemon import Host
from internet.cgroups import cgroup2_mount
from internet.records import Record
from scenario import expect

PORT = 7001
UID = 64399
ELSEWHERE = "203.0.113.99 7000"
RECORDS = [Record("shop.example", "A", "203.0.113.10"), Record("bank.example", "A", "203.0.113.20")]


class Process:
    """clients/restrict.py as a user in a cgroup."""

    def __init__(self, host, cgroup, uid=UID, wrapper=()):
        self.host, self.uid = host, uid
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"] if uid else []
        argv = [*wrapper, *user, "/usr/bin/python3", "-B", host.path("clients/restrict.py"), host.socket, cgroup2_mount()]
        self.process = host.start_in(cgroup, argv)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        expect(line != "", f"{command}: {self.process.stderr.read() if self.process.poll() is not None else 'no answer'}")
        return json.loads(line)

    def ask(self, *allow, **more):
        return self.tell("restrict " + json.dumps({"allow": allow, **more}))

    def restrict(self, *allow, **more):
        answer = self.ask(*allow, **more)
        expect(answer["status"] == 200, f"{answer}\n{self.host.log_text()}")
        return answer["body"]

    def refused(self, status, code, *allow, **more):
        before = self.tell("cgroup")
        answer = self.ask(*allow, **more)
        expect(answer["status"] == status and answer["body"]["error"]["code"] == code, f"{status} {code}: {answer}")
        expect(self.tell("cgroup") == before, "it is where it was")
        return answer["body"]["error"]["sentence"]

    def reaches(self, target, ok, verb=None):
        verb = verb or ("connect" if target[0].isdigit() else "reach")
        step = self.tell(f"{verb} {target}")
        expect(step["ok"] == ok, f"{target} should {'work' if ok else 'be refused'}: {step}\n{self.host.log_text()}")

    @property
    def pid(self):
        return self.process.pid

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)


def restricted(host):
    """Directories of the cgroups that were made, wherever they are in this scenario's tree."""
    found = []
    for directory, names, _ in os.walk(host.root.directory()):
        found += [f"{directory}/{name}" for name in names if name.startswith("namewall-restrict-")]
    return found


def expect_cleaned(host, seconds=5):
    host.wait_until(lambda: restricted(host) == [], f"nothing is left: {restricted(host)}", seconds)
    host.wait_until(lambda: not [w for w in host.workloads().values() if w["origin"] == "restrict"], "all forgotten")


@contextlib.contextmanager
def scene(settings=""):
    with Host(RECORDS) as host:
        host.settings(settings)
        host.start_daemon()
        yield host


def scenario_a_user_narrows_itself_and_what_it_starts():
    with scene() as host:
        cgroup = host.new_cgroup("job")
        process = Process(host, cgroup)
        process.reaches(ELSEWHERE, ok=True)
        view = process.restrict(f"shop.example:{PORT}", label="plugin-7")
        expect(view["state"] == "enforcing" and view["depth"] == 1 and not view["cooperative"], f"{view}")
        expect(view["without_effect"] == [] and view["cgroup"].startswith(cgroup + "/namewall-restrict-"), f"{view}")
        expect(process.tell("cgroup") == view["cgroup"], "it is inside when it is answered")
        process.reaches(f"shop.example {PORT}", ok=True)
        process.reaches(ELSEWHERE, ok=False)
        process.reaches(f"bank.example {PORT}", ok=False)
        process.tell("spawn")
        expect(not process.tell(f"tell 0 connect {ELSEWHERE}")["ok"], "a child of it is inside, too")
        host.expect_reach(cgroup, ELSEWHERE, ok=True)  # its neighbours are not

        listed = host.workloads()[view["workload"]]
        expect(listed["origin"] == "restrict" and listed["labels"] == {"label": "plugin-7"}, f"{listed}")
        expect(listed["cgroup_id"] == view["cgroup_id"], f"{listed}")
        status = os.stat(cgroup2_mount() + view["cgroup"])
        expect((status.st_uid, status.st_mode & 0o777) == (0, 0o755), f"{status}")
        written = process.tell(f"write {cgroup2_mount()}{cgroup}/cgroup.procs 0")
        expect(not written["ok"], "it cannot go back")
        process.end()
        expect_cleaned(host)


def scenario_an_empty_list_reaches_nothing():
    with scene() as host:
        process = Process(host, host.new_cgroup("job"))
        process.restrict()
        process.reaches(ELSEWHERE, ok=False)
        process.reaches(f"shop.example {PORT}", ok=False)
        answer = process.tell('restrict {"label": "what was forgotten does not mean nothing"}')
        expect(answer["status"] == 400, f"{answer}")
        for body in ('{"allow": ["nowhere..example"]}', '{"allow": [], "policy": "x"}', '{"allow": [], "child": 0}'):
            expect(process.tell("restrict " + body)["status"] == 400, body)


def scenario_derived_narrower_capability():
    with scene() as host:
        cgroup = host.new_cgroup("host")
        host.send("PUT", "/v1/workloads/host", {"cgroup": cgroup, "reason": "a test", "policy_text":
                  f'allow = [ "shop.example:{PORT}", "bank.example:{PORT}" ]\n'}).ok()
        process = Process(host, cgroup)
        child = process.tell("spawn")
        view = process.restrict(f"shop.example:{PORT}", child=child)
        expect(view["without_effect"] == [] and process.tell("tell 0 cgroup") == view["cgroup"], f"{view}")
        expect(process.tell("cgroup") == cgroup, "the parent stays where it is")
        expect(process.tell(f"tell 0 reach shop.example {PORT}")["ok"], "the one name it was given")
        expect(not process.tell(f"tell 0 reach bank.example {PORT}")["ok"], "the other is its parent's alone")
        expect(not process.tell(f"tell 0 connect 203.0.113.20 {PORT}")["ok"], "also by address")
        process.reaches(f"bank.example {PORT}", ok=True)
        process.reaches(f"shop.example {PORT}", ok=True)
        expect(not process.tell(f"tell 0 connect 203.0.113.20 {PORT}")["ok"], "what its parent learned opens nothing")


def scenario_nesting_never_widens():
    with scene() as host:
        cgroup = host.new_cgroup("job")
        host.send("PUT", "/v1/workloads/job", {"cgroup": cgroup, "reason": "a test",
                  "policy_text": f'allow = [ "shop.example:{PORT}" ]\n'}).ok()
        process = Process(host, cgroup)
        view = process.restrict("*://*:*", f"bank.example:{PORT}", f"shop.example:{PORT}", ELSEWHERE.replace(" ", ":"))
        told = "\n".join(view["without_effect"])
        expect(f"tcp://bank.example:{PORT}: without effect, workload job" in told, told)
        expect("tcp://203.0.113.99:7000: without effect" in told and "tcp://shop.example" not in told, told)
        for _ in range(2):
            process.reaches(ELSEWHERE, ok=False)
            process.reaches(f"bank.example {PORT}", ok=False)
            process.reaches(f"203.0.113.20 {PORT}", ok=False)
            process.reaches(f"shop.example {PORT}", ok=True)
            process.restrict("*://*:*")
        expect(process.tell("cgroup").count("namewall-restrict-") == 3, "deeper, and no wider")


def scenario_ten_levels_reach_what_all_of_them_permit():
    with scene() as host:
        process = Process(host, host.new_cgroup("deep"))
        for level in range(1, 11):
            # Each permits one address less; the names stay until the last but one.
            addresses = [f"203.0.113.99:{7000 + number}" for number in range(level, 11)]
            names = [f"shop.example:{PORT}", *([f"bank.example:{PORT}"] if level < 9 else [])]
            view = process.restrict("203.0.113.99:7000" if level < 6 else "198.51.100.1:1", *addresses, *names)
            expect(view["depth"] == level and view["cgroup"].count("namewall-restrict-") == level, f"{view}")
            process.reaches(ELSEWHERE, ok=level < 6)
            process.reaches(f"bank.example {PORT}", ok=level < 9)
            process.reaches(f"shop.example {PORT}", ok=True)
        expect("restrictions in one another: 10" in process.refused(429, "limit", f"shop.example:{PORT}"), "ten are all")
        process.reaches(f"shop.example {PORT}", ok=True)
        process.reaches("203.0.113.20 7001", ok=False)
        process.end()
        expect_cleaned(host)


def scenario_who_could_leave_is_told_so():
    with scene() as host:
        cgroup = host.new_cgroup("delegated")
        directory = cgroup2_mount() + cgroup
        for name in ("", "/cgroup.procs", "/cgroup.subtree_control"):
            os.chown(directory + name, UID, UID)
        process = Process(host, cgroup)
        process.refused(409, "delegated", f"shop.example:{PORT}")
        process.reaches(ELSEWHERE, ok=True)
        expect(restricted(host) == [], "nothing was made")

        # Asked for all the same: it says that it rests on the process's word, and the way out is there.
        view = process.restrict(f"shop.example:{PORT}", cooperative=True)
        expect(view["state"] == "partial" and view["cooperative"] and "its own word" in view["why"][0], f"{view}")
        expect(host.get("/v1/status")["state"] == "enforcing", "whatever anybody may ask for raises no alarm")
        process.reaches(ELSEWHERE, ok=False)
        expect(process.tell(f"write {directory}/cgroup.procs 0")["ok"], "this is why it is refused otherwise")

        # A cgroup below one that it may write: the same; root is its own owner everywhere.
        inner = host.new_cgroup("delegated/inner")
        Process(host, inner).refused(409, "delegated")
        Process(host, host.new_cgroup("roots"), uid=0).refused(409, "delegated")


def scenario_writing_cgroup_files_does_not_lead_out():
    with scene() as host:
        # The directory is the user's own, so that it may make siblings; its cgroup.procs is not.
        cgroup = host.new_cgroup("owned")
        directory = cgroup2_mount() + cgroup
        os.chown(directory, UID, UID)
        process = Process(host, cgroup)
        view = process.restrict(f"shop.example:{PORT}")
        expect(process.tell(f"mkdir {directory}/fresh")["ok"], "a sibling of its own")
        inside = cgroup2_mount() + view["cgroup"]
        for path in (f"{directory}/cgroup.procs", f"{directory}/fresh/cgroup.procs", f"{directory}/fresh/cgroup.threads",
                     f"{inside}/../cgroup.procs", f"{cgroup2_mount()}/cgroup.procs"):
            expect(not process.tell(f"write {path} 0")["ok"], f"{path} is no way out")
        for name, text in (("cgroup.type", "threaded"), ("cgroup.kill", "1"), ("cgroup.freeze", "1")):
            expect(not process.tell(f"write {inside}/{name} {text}")["ok"], f"{name} is not the user's")
        expect(not process.tell(f"mkdir {inside}/below")["ok"], "nothing is made below it")
        expect(process.tell("cgroup") == view["cgroup"], "it is inside")
        process.reaches(ELSEWHERE, ok=False)


def scenario_another_process_is_not_held_by_its_number():
    with scene() as host:
        cgroup = host.new_cgroup("job")
        process = Process(host, cgroup)
        other_user, same_user = Process(host, cgroup, uid=UID + 1), Process(host, cgroup)
        child = process.tell("spawn")
        grandchild = process.tell("tell 0 spawn")
        for pid in (1, os.getpid(), other_user.pid, same_user.pid, grandchild, process.pid):
            process.refused(403, "not_permitted", child=pid)
        # A child that is elsewhere, one that has ended, one that was waited for.
        with open(cgroup2_mount() + host.new_cgroup("elsewhere") + "/cgroup.procs", "w") as procs:
            procs.write(str(child))
        process.refused(403, "not_permitted", child=child)
        process.tell("spawn")
        second = process.tell("spawn")
        os.kill(second, signal.SIGKILL)
        host.wait_until(lambda: " Z " in open(f"/proc/{second}/stat").read(), "it has ended")
        process.refused(404, "not_found", child=second)
        process.tell("end 2")
        process.refused(403, "not_permitted", child=second)
        for target in (other_user, same_user, process):
            expect(target.tell("cgroup") == cgroup, "nobody was moved")
            target.reaches(ELSEWHERE, ok=True)
        expect(restricted(host) == [], f"{restricted(host)}")


def scenario_a_number_that_is_used_again_is_not_the_child():
    with scene() as host:
        process = Process(host, host.new_cgroup("job"))
        child = process.tell("spawn")
        process.tell("end 0")
        stranger = None
        for _ in range(20):
            with open("/proc/sys/kernel/ns_last_pid", "w") as last:
                last.write(str(child - 1))
            stranger = subprocess.Popen(["sleep", "30"])
            if stranger.pid == child:
                break
            stranger.kill()
            stranger.wait()
        try:
            if stranger.pid != child:
                return  # somebody else was quicker, each time
            process.refused(403, "not_permitted", child=child)
            with open(f"/proc/{child}/cgroup") as text:
                expect("namewall-restrict" not in text.read(), "the stranger is where it was")
        finally:
            stranger.kill()
            stranger.wait()


def scenario_numbers_are_those_of_the_callers_own_pid_namespace():
    with scene() as host:
        wrapper = ["unshare", "--pid", "--fork", "--mount-proc"]
        process = Process(host, host.new_cgroup("job"), wrapper=wrapper)
        child = process.tell("spawn")
        expect(child < 100, "it has few processes")
        view = process.restrict(f"shop.example:{PORT}", child=child)
        expect(process.tell("tell 0 cgroup") == view["cgroup"], f"{view}")
        expect(not process.tell(f"tell 0 connect {ELSEWHERE}")["ok"], "it is held")
        process.reaches(ELSEWHERE, ok=True)
        process.refused(403, "not_permitted", child=os.getpid())


def scenario_a_fork_meanwhile_leaves_nobody_between():
    with scene("[restrict]\nper_second = 1000\n") as host:
        process = Process(host, host.new_cgroup("job"))
        body = json.dumps({"allow": [f"shop.example:{PORT}"]})
        told = process.tell(f"race fork 8 {body}")
        for outcome in told["outcomes"]:
            expect(outcome["together"], f"all threads are in one cgroup: {outcome}")
            expect(outcome["status"] != 200 or outcome["is"] == outcome["asked"], f"inside when answered: {outcome}")
        expect([outcome["status"] for outcome in told["outcomes"]].count(200) == 8, f"{told}")
        process.reaches(ELSEWHERE, ok=False)
        process.end()
        expect_cleaned(host)


def scenario_an_exec_meanwhile_is_inside_or_was_refused():
    with scene("[restrict]\nper_second = 1000\n") as host:
        cgroup = host.new_cgroup("job")
        body = json.dumps({"allow": [f"shop.example:{PORT}"]})
        inside = 0
        for _ in range(10):
            process = Process(host, cgroup)
            process.process.stdin.write(f"exec {body}\n")
            process.process.stdin.flush()
            where = process.process.stdout.readline().strip()[3:]
            process.process.wait(timeout=10)
            expect(where == cgroup or where.startswith(cgroup + "/namewall-restrict-"), where)
            inside += where != cgroup
        expect_cleaned(host)
        host.expect_reach(cgroup, ELSEWHERE, ok=True)


def scenario_a_flood_stays_within_its_bounds():
    settings = "[restrict]\nper_user = 20\nper_workload = 30\ntotal = 40\nper_second = 1000\n"
    with scene(settings) as host:
        cgroup = host.new_cgroup("flood")
        neighbour = Process(host, host.new_cgroup("neighbour"), uid=UID + 1)
        host.send("PUT", "/v1/workloads/held", {"cgroup": cgroup, "reason": "a test",
                  "policy_text": f'allow = [ "shop.example:{PORT}" ]\n'}).ok()
        first, second = Process(host, cgroup), Process(host, cgroup, uid=UID + 2)
        forked = first.tell("fork 25")
        for pid in forked:
            while first.ask(child=pid)["status"] == 500:  # the helper had no time: the machine does other things, too
                pass
        made = restricted(host)
        expect(len(made) == 20, f"as many as a user may have: {len(made)}")
        expect("of this user: 20" in first.refused(429, "limit"), "and it is said")
        others = second.tell("fork 15")
        for pid in others:
            while second.ask(child=pid)["status"] == 500:
                pass
        expect(len(restricted(host)) == 30, f"as many as there may be below a workload: {len(restricted(host))}")
        neighbour.restrict(f"shop.example:{PORT}")
        neighbour.reaches(f"shop.example {PORT}", ok=True)
        neighbour.reaches(ELSEWHERE, ok=False)
        expect(host.get("/v1/status")["state"] == "enforcing", f"{host.get('/v1/status')}")
        for pid in forked + others:
            os.kill(pid, signal.SIGKILL)
        first.end()
        second.end()
        neighbour.end()
        expect_cleaned(host, 10)


def scenario_calls_are_counted_whatever_becomes_of_them():
    with scene("[restrict]\nper_second = 2\n") as host:
        process = Process(host, host.new_cgroup("job"))
        answers = process.tell("flood 30 " + json.dumps({"allow": [], "child": 1}))
        expect(answers.count(403) < 20 and answers.count(429) > 5, f"{answers}")
        other = Process(host, host.new_cgroup("other"), uid=UID + 1)
        other.restrict(f"shop.example:{PORT}")
        time.sleep(1)
        process.restrict(f"shop.example:{PORT}")


def scenario_threaded_and_frozen_cgroups_are_told():
    with scene() as host:
        cgroup = host.new_cgroup("threads")
        process = Process(host, cgroup)
        child = host.new_cgroup("threads/child")
        with open(cgroup2_mount() + child + "/cgroup.type", "w") as kind:
            kind.write("threaded")
        process.refused(409, "threaded")
        os.rmdir(cgroup2_mount() + child)

        frozen = host.new_cgroup("frozen")
        asked = Process(host, frozen)
        asked.tell("cgroup")
        # It asks, and is frozen before it is answered: as another process of its would see it.
        with open(cgroup2_mount() + frozen + "/cgroup.freeze", "w") as freeze:
            asked.process.stdin.write('restrict {"allow": []}\n')
            asked.process.stdin.flush()
            freeze.write("1")
        time.sleep(0.2)
        with open(cgroup2_mount() + frozen + "/cgroup.freeze", "w") as freeze:
            freeze.write("0")
        answer = json.loads(asked.process.stdout.readline())
        is_told = answer["status"] == 409 and answer["body"]["error"]["code"] == "frozen"
        expect(is_told or answer["status"] == 200, f"{answer}")
        expect((asked.tell("cgroup") != frozen) == (answer["status"] == 200), f"{answer}")


def scenario_a_killed_daemon_leaves_it_held_and_the_next_one_cleans():
    with scene() as host:
        cgroup = host.new_cgroup("job")
        stays, goes = Process(host, cgroup), Process(host, cgroup)
        view = stays.restrict(f"shop.example:{PORT}", label="kept")
        goes.restrict(f"bank.example:{PORT}")
        stays.reaches(f"shop.example {PORT}", ok=True)
        host.kill_daemon()
        stays.reaches(ELSEWHERE, ok=False)
        goes.end()
        # What a daemon that died between two steps leaves: a cgroup that nobody is in.
        left = f"{cgroup2_mount()}{cgroup}/namewall-restrict-1"
        os.mkdir(left)
        host.start_daemon()
        host.wait_until(lambda: len(restricted(host)) == 1, f"{restricted(host)}", 20)
        kept = host.workloads()[view["workload"]]
        expect(kept["origin"] == "restrict" and kept["labels"] == {"label": "kept"}, f"{kept}")
        stays.reaches(ELSEWHERE, ok=False)
        stays.reaches(f"shop.example {PORT}", ok=True)
        again = stays.restrict(f"shop.example:{PORT}")
        expect(again["depth"] == 2, f"{again}")
        stays.end()
        expect_cleaned(host)


def scenario_a_state_file_that_is_lost_is_not_needed_to_clean():
    with scene() as host:
        process = Process(host, host.new_cgroup("job"))
        process.restrict(f"shop.example:{PORT}")
        host.kill_daemon()
        os.unlink(host.path("daemon/state/state.json"))
        host.start_daemon()
        process.reaches(ELSEWHERE, ok=False)
        process.end()
        host.wait_until(lambda: restricted(host) == [], "gone")
        host.wait_until(lambda: not host.workloads(), f"{host.workloads()}")


def scenario_it_can_be_switched_off():
    with scene("[restrict]\nenabled = false\n") as host:
        process = Process(host, host.new_cgroup("job"))
        expect("enabled = false" in process.refused(501, "unsupported", f"shop.example:{PORT}"), "it is said")


def scenario_the_children_of_a_template_narrow_themselves():
    with scene() as host:
        parent = host.new_cgroup("pool")
        host.policy("pool", f'cgroup = "{parent}/*"\nallow = [ "shop.example:{PORT}", "bank.example:{PORT}" ]\n')
        host.send("POST", "/v1/reload", {}).ok()
        process = Process(host, host.new_child("pool/one"))
        process.reaches(f"bank.example {PORT}", ok=True)
        view = process.restrict(f"shop.example:{PORT}", ELSEWHERE.replace(" ", ":"))
        expect(len(view["without_effect"]) == 1, f"{view}")
        process.reaches(f"shop.example {PORT}", ok=True)
        process.reaches(f"bank.example {PORT}", ok=False)
        process.reaches(ELSEWHERE, ok=False)
        Process(host, parent).refused(409, "conflict", "*://*:*")


def scenario_from_the_call_to_the_answer_in_20_ms():
    with scene("[restrict]\nper_second = 1000\n") as host:
        cgroup = host.new_cgroup("job")
        Process(host, cgroup).restrict(f"shop.example:{PORT}")
        times = []
        while len(times) < 100 and sum(time < 20 for time in times) < 5:  # the machine may do other things, too
            process = Process(host, cgroup)
            process.tell("cgroup")
            times.append(process.ask(f"shop.example:{PORT}")["ms"])
            process.end()
        print(f"{backend()}: {len(times)} calls, quickest {min(times):.1f} ms")
        expect(sum(time < 20 for time in times) >= 5, f"{times}")
