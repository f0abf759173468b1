"""A client of the end-to-end tests: runs commands, and prints one JSON line for each with how long it took.
    time_commands.py serial|together TIMES FILE, in which is [[LABEL, WORD...], ...] as JSON
serial: each TIMES in a row, the quickest counts; together: all at once, each once."""

import json
import subprocess
import sys
import threading
import time


def run(label, command):
    start = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return {
        "step": "command",
        "target": label,
        "ok": done.returncode == 0,
        "error": "",
        "ms": (time.monotonic() - start) * 1e3,
        "out": done.stdout + done.stderr,
    }


def tell(line):
    print(json.dumps(line), flush=True)


def main(how, times, path):
    with open(path) as file:
        commands = [(label, command) for label, *command in json.load(file)]
    if how == "serial":
        for label, command in commands:
            tell(min((run(label, command) for _ in range(int(times))), key=lambda line: line["ms"]))
        return
    threads = [threading.Thread(target=lambda one=one: tell(run(*one))) for one in commands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


main(*sys.argv[1:])
