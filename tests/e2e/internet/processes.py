"""Servers as child processes: started, waited for, ended by their own pid, and never outliving this process."""

import ctypes
import os
import signal
import subprocess
import time

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """A running server; `log_path` holds all it printed."""

    def __init__(self, argv, log_path):
        self.argv = argv
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent
            )

    def wait_until(self, is_ready, seconds=10):
        deadline = time.monotonic() + seconds
        while not is_ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.argv} ended with {self.process.returncode}: {self.log()[-400:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.argv} is not ready after {seconds} s: {self.log()[-400:]}")
            time.sleep(0.01)

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def close(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
