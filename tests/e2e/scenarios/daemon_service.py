"""namewalld and the service manager: readiness, watchdog, reloads, descriptors that outlive it."""

import os
import signal
import threading
import time

from daemon import Host, ask
from internet.records import Record
from scenario import expect
from service_manager import ServiceManager

PORT = 7001
RECORDS = [Record("shop.example", "A", "203.0.113.10")]


def start_managed(host, watchdog_seconds=4):
    cgroup = host.new_cgroup("build")
    host.policy("builder", f'cgroup = "{cgroup}"\nallow = [ "shop.example:{PORT}" ]\n')
    manager = host.own(ServiceManager(host.path("notify.sock"), watchdog_seconds))
    host.start_daemon(environment=manager.environment)
    return manager


def message_with(manager, key, seconds=5):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        message = manager.receive(deadline - time.monotonic())
        if message is not None and key in message:
            return message
    expect(False, f"no message with {key} within {seconds} s")


def wait_for_held(manager, name):
    while message_with(manager, "FDSTORE")["FDNAME"] != name:
        pass


def scenario_the_service_manager_is_told_of_each_step():
    with Host(RECORDS) as host:
        manager = start_managed(host)
        ready = message_with(manager, "READY")
        expect(ready["STATUS"].startswith("adopted 0 workloads") and "armed 1 more" in ready["STATUS"], f"{ready}")
        expect(host.workloads()["builder"]["state"] == "enforcing", "ready before it was armed")
        os.kill(host.daemon.pid, signal.SIGHUP)
        reloading = message_with(manager, "RELOADING")
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        expect(0 <= now_us - int(reloading["MONOTONIC_USEC"]) < 5_000_000, f"{reloading} at {now_us}")
        expect(message_with(manager, "READY")["STATUS"] == "reloaded", "the reload does not end")
        host.policy("broken", "alow = []\n")
        os.kill(host.daemon.pid, signal.SIGHUP)
        host.wait_until(lambda: "broken.toml" in message_with(manager, "READY")["STATUS"], "the error is told")
        os.kill(host.daemon.pid, signal.SIGTERM)
        expect("1 workloads stay held" in message_with(manager, "STOPPING")["STATUS"], "nothing is said at the end")


def scenario_a_service_manager_that_does_not_listen_ends_nothing():
    with Host(RECORDS) as host:
        host.policy("builder", f'cgroup = "{host.new_cgroup("build")}"\nallow = [ "shop.example:{PORT}" ]\n')
        host.start_daemon(environment={"NOTIFY_SOCKET": host.path("nobody.sock")})
        host.wait_until(lambda: "service manager" in host.log_text(), "it is told that nobody listens")
        time.sleep(0.2)
        expect(host.daemon.poll() is None, f"the daemon has ended\n{host.log_text()}")
        expect(host.workloads()["builder"]["state"] == "enforcing", "it serves")


def scenario_the_watchdog_is_fed_by_the_loop_alone():
    with Host(RECORDS) as host:
        manager = start_managed(host, watchdog_seconds=4)
        message_with(manager, "WATCHDOG")
        begin = time.monotonic()
        message_with(manager, "WATCHDOG")
        expect(time.monotonic() - begin < 3, "fed later than a manager of 4 s patience would like")
        os.kill(host.daemon.pid, signal.SIGSTOP)
        try:
            while manager.receive(0.1) is not None:
                pass
            expect(manager.receive(2) is None, "a stopped daemon feeds the watchdog")
        finally:
            os.kill(host.daemon.pid, signal.SIGCONT)
        message_with(manager, "WATCHDOG")


def scenario_no_connect_to_the_control_socket_is_refused_during_an_upgrade():
    with Host(RECORDS) as host:
        manager = start_managed(host)
        wait_for_held(manager, "control")
        answers, problems, ends = [], [], threading.Event()

        def keep_asking():
            while not ends.is_set():
                try:
                    answers.append(ask(host.socket, "GET", "/v1/status").ok()["pid"])
                except ConnectionResetError:
                    pass  # accepted by the one that was killed
                except Exception as problem:
                    problems.append(repr(problem))

        asking = threading.Thread(target=keep_asking)
        asking.start()
        try:
            host.wait_until(lambda: host.daemon.pid in answers, "the first daemon answers")
            for end in (host.stop_daemon, host.kill_daemon):
                end()
                time.sleep(0.2)
                host.start_daemon(environment=manager.environment, **manager.hand_over("control"))
                host.wait_until(lambda: host.daemon.pid in answers, "the new daemon answers")
        finally:
            ends.set()
            asking.join()
        refused = [problem for problem in problems if "Refused" in problem or "NotFound" in problem]
        expect(refused == [], f"{refused}")
        expect(len(set(answers)) == 3, f"{len(set(answers))} daemons answered; {problems[:3]}")
        print(f"3 daemons answered {len(answers)} requests; 0 connects refused")


def scenario_a_held_socket_whose_file_is_gone_is_replaced():
    with Host(RECORDS) as host:
        manager = start_managed(host)
        wait_for_held(manager, "control")
        host.kill_daemon()
        os.unlink(host.socket)
        host.start_daemon(environment=manager.environment, **manager.hand_over("control"))
        message_with(manager, "FDSTOREREMOVE")
        wait_for_held(manager, "control")
        host.kill_daemon()
        host.start_daemon(environment=manager.environment, **manager.hand_over("control"))
        # Over the new socket. nft does not keep whether older sockets have been judged: it looks again after each start.
        host.wait_until(lambda: host.workloads()["builder"]["state"] == "enforcing", "it is judged and served")
