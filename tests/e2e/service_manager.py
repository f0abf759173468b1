"""What a service manager is to a daemon: listens to sd_notify(3), keeps descriptors and hands them over at the start."""

import os
import socket
import sys

# Descriptor argv[1] becomes the first that is handed over; exec keeps the pid that LISTEN_PID has to name.
_HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES=sys.argv[2])
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

    def hand_over(self, name):
        """Arguments for Host.start_daemon()."""
        descriptor = self.held[name]
        wrapper = [sys.executable, "-c", _HAND_OVER, str(descriptor), name]
        return {"wrapper": wrapper, "descriptors": (descriptor,)}
