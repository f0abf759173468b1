"""A daemon that says what it is told to: HTTP over a unix socket, fixed answers, every request kept. And a command run
against it."""

import http.server
import json
import os
import socketserver
import subprocess
import tempfile
import threading

from scenario import expect


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


class FakeDaemon:
    """`answers`: (method, path with query) -> (status, body as JSON value, list of JSON lines, or text)."""

    def __init__(self, answers=None):
        self.answers = dict(answers or {})
        self.requests = []  # (method, target, body as JSON value or None)
        self._directory = tempfile.TemporaryDirectory(prefix="namewall-commands-")
        self.socket = os.path.join(self._directory.name, "control.sock")
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                fake.requests.append((self.command, self.path, json.loads(body) if body else None))
                missing = (404, {"error": {"code": "not_found", "sentence": "there is no such thing", "exit_code": 6}})
                status, answer = fake.answers.get((self.command, self.path), missing)
                if callable(answer):
                    answer = answer()
                if isinstance(answer, list) and self.path.startswith("/v1/events"):
                    answer = "".join(json.dumps(line) + "\n" for line in answer)
                text = answer if isinstance(answer, str) else json.dumps(answer)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                if text:  # a client that wants no more may be gone already
                    self.wfile.write(text.encode())

            do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _answer

            def do_OPTIONS(self):
                allow = [method for method, path in fake.answers if path == self.path]
                self.send_response(204 if allow else 404)
                self.send_header("Allow", ", ".join([*allow, "OPTIONS"]))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def address_string(self):
                return "unix"

            def log_message(self, *_):
                pass

        self._server = _Server(self.socket, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._directory.cleanup()


def error(status, code, sentence, exit_code):
    return status, {"error": {"code": code, "sentence": sentence, "exit_code": exit_code}}


def namewall(daemon, *arguments, env=None, timeout=30, stdin=subprocess.DEVNULL):
    socket_path = daemon if isinstance(daemon, str) else daemon.socket
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NAMEWALL_SOCKET": socket_path, **(env or {})}
    argv = [os.environ["NAMEWALL_E2E_BINARY"], *arguments]
    return subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=timeout, stdin=stdin)


def expect_run(done, exit_code, *said):
    transcript = f"{' '.join(done.args[1:])}: exit {done.returncode}\n--- stdout\n{done.stdout}--- stderr\n{done.stderr}"
    expect(done.returncode == exit_code, f"exit code {done.returncode} instead of {exit_code}\n{transcript}")
    for what in said:
        expect(what in done.stdout + done.stderr, f"it does not say {what!r}\n{transcript}")
    wide = [line for line in done.stdout.splitlines() if len(line) > 80 and not line.startswith(("{", "["))]
    expect(not wide, f"wider than 80 columns: {wide}\n{transcript}")
    expect("\x1b" not in done.stdout, f"an escape reaches what is no terminal\n{transcript}")
    if exit_code not in (0, 3, 10):
        expect(len(done.stderr.splitlines()) == 1, f"not one sentence\n{transcript}")
        expect(done.stderr.startswith("namewall: "), f"it does not say who speaks\n{transcript}")
    return done
