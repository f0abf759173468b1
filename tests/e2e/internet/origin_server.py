"""The servers behind the names: HTTP, HTTPS, TCP echo and UDP echo on every address of a namespace, with a log of who
reached what. They are threads of this process with sockets of that namespace."""

import contextlib
import functools
import http.server
import socket
import ssl
import threading
import time

ECHO_PORTS = (7000, 7001)


class _FileHandler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "made-up"

    def log_message(self, *_):
        pass


class OriginServers:
    """Serves the files of `directory` on 80 and 443, echoes on ECHO_PORTS (TCP and UDP)."""

    def __init__(self, namespace, directory, certificate, key):
        self._reached = []
        self._lock = threading.Lock()
        self._closing = False
        self._sockets = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self._directory = directory
        serve = {80: self._serve_http, 443: self._serve_https, **{port: self._serve_echo for port in ECHO_PORTS}}
        for wildcard in ("0.0.0.0", "::"):
            for port, handler in serve.items():
                self._start(self._accept, namespace.listen(socket.SOCK_STREAM, wildcard, port), handler)
            for port in ECHO_PORTS:
                self._start(self._echo_datagrams, namespace.listen(socket.SOCK_DGRAM, wildcard, port))

    def reached(self):
        """(protocol, address, port) of every connection and datagram that arrived."""
        with self._lock:
            return list(self._reached)

    def close(self):
        self._closing = True
        for opened in self._sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()

    def _start(self, target, opened, *arguments):
        self._sockets.append(opened)
        threading.Thread(target=target, args=(opened, *arguments), daemon=True).start()

    def _note(self, protocol, address, port):
        with self._lock:
            self._reached.append((protocol, address, port))

    def _accept(self, listener, handler):
        while not self._closing:
            try:
                connection, _ = listener.accept()
                address, port = connection.getsockname()[:2]
            except OSError:
                time.sleep(0.01)
                continue
            self._note("tcp", address, port)
            threading.Thread(target=self._serve, args=(handler, connection), daemon=True).start()

    def _serve(self, handler, connection):
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            connection.settimeout(20)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                handler(connection)

    def _serve_http(self, connection):
        functools.partial(_FileHandler, directory=self._directory)(connection, connection.getpeername(), self)

    def _serve_https(self, connection):
        with self._tls.wrap_socket(connection, server_side=True) as secured:
            self._serve_http(secured)

    def _serve_echo(self, connection):
        while data := connection.recv(4096):
            connection.sendall(data)

    def _echo_datagrams(self, opened):
        # The answer must come from the address that was asked: IP_PKTINFO tells it, and sets it.
        is_v6 = opened.family == socket.AF_INET6
        level, option = (socket.IPPROTO_IPV6, 49) if is_v6 else (socket.IPPROTO_IP, 8)  # IPV6_RECVPKTINFO, IP_PKTINFO
        opened.setsockopt(level, option, 1)
        if is_v6:
            opened.setsockopt(level, 78, 1)  # IPV6_FREEBIND: the addresses are routed to us, not assigned
        port = opened.getsockname()[1]
        while not self._closing:
            try:
                data, ancillary, _, peer = opened.recvmsg(4096, 256)
                if not ancillary:
                    continue  # woken by close()
                info = ancillary[0][2]
                address = info[:16] if is_v6 else info[8:12]
                self._note("udp", socket.inet_ntop(opened.family, address), port)
                source = info[:16] + bytes(4) if is_v6 else bytes(4) + address + bytes(4)
                opened.sendmsg([data], [(level, 50 if is_v6 else 8, source)], 0, peer)
            except OSError:
                time.sleep(0.01)
