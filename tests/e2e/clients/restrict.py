"""A process that gives up reach, told what to do line by line; a JSON answer for each line. Arguments: the control socket.

    restrict JSON      POST /v1/restrict             connect ADDRESS PORT    reach NAME PORT
    cgroup             of this process               write PATH TEXT         mkdir PATH
    spawn              a child that is told, too     tell INDEX COMMAND      of that child
    end INDEX          kill the child, wait for it   fork N                  N children that wait for their end
    race KIND N JSON   N restrictions while other threads fork or exec       alike N JSON   answers, as fast as they come
    members            of the process's cgroup"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time


class Connection(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("namewall", timeout=20)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(SOCKET)


def restrict(text):
    connection = Connection()
    try:
        begin = time.monotonic()
        connection.request("POST", "/v1/restrict", body=text)
        response = connection.getresponse()
        body = json.loads(response.read())
        return {"status": response.status, "body": body, "ms": (time.monotonic() - begin) * 1000}
    finally:
        connection.close()


def attempt(action):
    try:
        action()
    except OSError as error:
        return {"ok": False, "error": error.strerror or str(error)}
    return {"ok": True, "error": ""}


def connect(address, port):
    def action():
        with socket.create_connection((address, int(port)), timeout=3):
            pass

    return attempt(action)


def own_cgroup():
    with open("/proc/self/cgroup") as text:
        return [line[3:].strip() for line in text if line.startswith("0::")][0]


def write(path, text):
    def action():
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    return attempt(action)


def members():
    with open(MOUNT + own_cgroup() + "/cgroup.procs") as text:
        return sorted(int(line) for line in text)


def fork(count):
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            signal.pause()
            os._exit(0)
        pids.append(pid)
    return pids


def race(kind, count, body):
    """The outcomes, and where everything that is left of this process is."""
    stop = threading.Event()
    forked = []

    def disturb():
        while not stop.is_set():
            if kind == "fork":
                pid = os.fork()
                if pid == 0:
                    os._exit(0)
                os.waitpid(pid, 0)

    threads = [threading.Thread(target=disturb) for _ in range(3)]
    for thread in threads:
        thread.start()
    outcomes = []
    for _ in range(count):
        answer = restrict(body)
        outcomes.append({"status": answer["status"], "asked": answer["body"].get("cgroup"), "is": own_cgroup()})
        tasks = [open(f"/proc/self/task/{task}/cgroup").read() for task in os.listdir("/proc/self/task")]
        outcomes[-1]["together"] = len(set(tasks)) == 1
    stop.set()
    for thread in threads:
        thread.join()
    return {"outcomes": outcomes, "forked": forked}


def race_exec(body):
    """A thread asks while the first one execs: what is left of the process tells where it is."""

    def ask():
        try:
            restrict(body)
        except OSError:
            pass

    threading.Thread(target=ask, daemon=True).start()
    os.execv("/bin/sh", ["sh", "-c", "sleep 0.5; grep ^0:: /proc/self/cgroup"])


class Child:
    def __init__(self):
        argv = [sys.executable, "-B", __file__, SOCKET, MOUNT]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def answer(words, children):
    verb, rest = words[0], words[1] if len(words) > 1 else ""
    if verb == "restrict":
        return restrict(rest)
    if verb == "connect":
        return connect(*rest.split())
    if verb == "reach":
        name, port = rest.split()
        return attempt(lambda: socket.create_connection((name, int(port)), timeout=3).close())
    if verb == "cgroup":
        return own_cgroup()
    if verb == "members":
        return members()
    if verb == "write":
        return write(*rest.split(" ", 1))
    if verb == "mkdir":
        return attempt(lambda: os.mkdir(rest))
    if verb == "spawn":
        children.append(Child())
        return children[-1].process.pid
    if verb == "tell":
        index, command = rest.split(" ", 1)
        return children[int(index)].tell(command)
    if verb == "end":
        children[int(rest)].process.kill()
        return children[int(rest)].process.wait()
    if verb == "fork":
        return fork(int(rest))
    if verb == "race":
        kind, count, body = rest.split(" ", 2)
        return race(kind, int(count), body)
    if verb == "exec":
        return race_exec(rest)
    if verb == "flood":
        count, body = rest.split(" ", 1)
        return [restrict(body)["status"] for _ in range(int(count))]
    return f"what is {verb}?"


if __name__ == "__main__":
    SOCKET, MOUNT = sys.argv[1:3]
    CHILDREN = []
    for line in sys.stdin:
        print(json.dumps(answer(line.rstrip("\n").split(" ", 1), CHILDREN)), flush=True)
