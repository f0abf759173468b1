"""A cgroup of one's own: commands are started in it, and close() ends whatever still runs below it."""

import os
import time


def cgroup2_mount():
    """Where cgroup v2 is mounted; it may be a hybrid's /sys/fs/cgroup/unified. None: nowhere."""
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            _, target, kind, *_ = line.split()
            if kind == "cgroup2":
                return target
    return None


def own_cgroup():
    """The directory of this process's cgroup."""
    mount = cgroup2_mount()
    if mount is None:
        raise RuntimeError("cgroup v2 is not mounted")
    with open("/proc/self/cgroup") as own:
        inside = next(line.split("::", 1)[1].strip() for line in own if line.startswith("0::"))
    return os.path.join(mount, inside.lstrip("/"))


def remove_cgroup(path):
    """Kills what runs in it and below, and removes it."""
    if not os.path.isdir(path):
        return
    with open(os.path.join(path, "cgroup.kill"), "w") as kill:
        kill.write("1")
    for directory, _, _ in os.walk(path, topdown=False):
        for _ in range(300):  # a killed process leaves its cgroup a moment later
            try:
                os.rmdir(directory)
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.01)


class Cgroup:
    """A child of this process's cgroup."""

    def __init__(self, name):
        self.path = os.path.join(own_cgroup(), name)
        os.mkdir(self.path)

    def command(self, argv):
        """argv as started inside; the pid stays that of the caller's child."""
        return ["sh", "-ec", 'echo 0 >"$0/cgroup.procs"; exec "$@"', self.path, *argv]

    def children(self):
        return sorted(entry.name for entry in os.scandir(self.path) if entry.is_dir())

    def pids(self):
        """Of the processes in it and below."""
        found = []
        for directory, _, _ in os.walk(self.path):
            with open(os.path.join(directory, "cgroup.procs")) as procs:
                found += [int(pid) for pid in procs.read().split()]
        return found

    def close(self):
        remove_cgroup(self.path)
