"""What a service manager is to a daemon: listens to sd_notify(3), keeps descriptors and hands them over at the start."""

import os
import socket
import sys
import threading

# Descriptors argv[1] (comma between two) become those that are handed over, from 3 on; exec keeps the pid that
# LISTEN_PID has to name.
_HAND_OVER = """
import fcntl, os, sys
given = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 1000) for number in sys.argv[1].split(",")]
for place, descriptor in enumerate(given):
    os.dup2(descriptor, 3 + place)
    os.close(descriptor)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(given)), LISTEN_FDNAMES=sys.argv[2])
os.execvp(sys.argv[3], sys.argv[3:])
"""


class ServiceManager:
    def __init__(self, path, watchdog_seconds):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        os.chmod(path, 0o666)
        self.environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(int(watchdog_seconds * 1e6))}
        self.held = {}  # name: descriptor

    def close(self):
        self._socket.close()
        for descriptor in self.held.values():
            os.close(descriptor)

    def receive(self, seconds):
        """One message as a dictionary; None: nothing came."""
        self._socket.settimeout(seconds)
        try:
            text, descriptors, _, _ = socket.recv_fds(self._socket, 65536, 8)
        except TimeoutError:
            return None
        message = dict(line.split("=", 1) for line in text.decode().splitlines())
        name = message.get("FDNAME")
        if "FDSTOREREMOVE" in message and name in self.held:
            os.close(self.held.pop(name))
        for descriptor in descriptors:
            if "FDSTORE" in message and name not in self.held:
                self.held[name] = descriptor
            else:
                os.close(descriptor)
        return message

    def receive_all(self):
        """What has come so far."""
        while self.receive(0.05) is not None:
            pass

    def hand_over(self, *names):
        """Arguments for Host.start_daemon(); no name: all that is held."""
        names = names or tuple(self.held)
        descriptors = tuple(self.held[name] for name in names)
        wrapper = [sys.executable, "-c", _HAND_OVER, ",".join(map(str, descriptors)), ":".join(names)]
        return {"wrapper": wrapper, "descriptors": descriptors}


class ListeningManager(ServiceManager):
    """Takes what it is told all the time, as a service manager does."""

    def __init__(self, path):
        super().__init__(path, watchdog_seconds=20)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._receive)
        self._thread.start()

    def _receive(self):
        while not self._ends.is_set():
            self.receive(0.05)

    def close(self):
        self._ends.set()
        self._thread.join()
        super().close()

    def start(self, host, **options):
        held = self.hand_over() if self.held else {}
        return host.start_daemon(environment=self.environment, **held, **options)
