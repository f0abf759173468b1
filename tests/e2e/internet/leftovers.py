"""What an internet leaves when its process is killed with SIGKILL: found by the dead pid in the names, and removed."""

import glob
import os
import re
import shutil
import subprocess
import tempfile

from .cgroups import own_cgroup, remove_cgroup
from .namespaces import PREFIX


def _of_dead_processes(directory):
    for path in glob.glob(os.path.join(directory, f"{PREFIX}-*")):
        match = re.match(rf"{PREFIX}-(\d+)(-|$)", os.path.basename(path))
        if match and not os.path.exists(f"/proc/{match[1]}"):
            yield path


def remove_leftovers():
    for path in _of_dead_processes(own_cgroup()):
        remove_cgroup(path)
    for path in _of_dead_processes("/run/netns"):
        subprocess.run(["ip", "netns", "del", os.path.basename(path)], capture_output=True)
    for path in _of_dead_processes(tempfile.gettempdir()):
        shutil.rmtree(path, ignore_errors=True)
