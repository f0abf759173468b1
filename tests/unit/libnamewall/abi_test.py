"""abi_test.py CC CXX SOURCE_DIRECTORY BUILD_DIRECTORY: what programs built against libnamewall rely on: the names it
exports, the layout of its structures and its numbers, its header in C11 and C++, and its pkg-config file, both ways."""

import os
import re
import subprocess
import sys
import tempfile

EXPORTED = ["namewall_available", "namewall_restrict_child", "namewall_restrict_self"]
# Of ABI 0 on a machine of 64 bits: members keep their places for as long as the soname is the same.
LAYOUT = {
    "request": 72, "request.size": 0, "request.flags": 4, "request.allow": 8, "request.allow_count": 16,
    "request.label": 24, "request.socket_path": 32, "request.timeout_ms": 40, "request.reserved": 44,
    "outcome": 6544, "outcome.size": 0, "outcome.flags": 4, "outcome.kept_sockets": 8, "outcome.system_error": 12,
    "outcome.cgroup_id": 16, "outcome.depth": 24, "outcome.without_effect_count": 28, "outcome.ways_out": 32,
    "outcome.reserved": 36, "outcome.workload": 64, "outcome.state": 320, "outcome.code": 352, "outcome.sentence": 400,
    "outcome.why": 1424, "outcome.without_effect": 2448,
}
NUMBERS = {
    "OK": 0, "NO_DAEMON": -1, "NOT_PERMITTED": -2, "BAD_REQUEST": -3, "DELEGATED": -4, "THREADED": -5, "FROZEN": -6,
    "LIMIT": -7, "NO_PROCESS": -8, "TIMEOUT": -9, "BAD_ANSWER": -10, "UNSUPPORTED": -11, "MANY_THREADS": -12,
    "DESCRIPTORS": -13, "REFUSED": -14, "SYSTEM": -15, "COOPERATIVE": 1, "IS_COOPERATIVE": 1, "GAVE_UP_WRITING": 2,
    "TRUNCATED": 4,
}
failures = []


def expect(condition, what):
    if not condition:
        failures.append(what)


def output_of(*argv, **options):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, **options)
    expect(done.returncode == 0, f"{' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def check_symbols(prefix):
    shared, static = f"{prefix}/lib/libnamewall.so", f"{prefix}/lib/libnamewall.a"
    symbols = [line.split()[-1] for line in output_of("nm", "-D", "--defined-only", shared).splitlines()]
    expect(sorted(name for name in symbols if name != "NAMEWALL_0") == sorted(f"{name}@@NAMEWALL_0" for name in EXPORTED),
           f"it exports {symbols}")
    dynamic = output_of("readelf", "-d", shared)
    expect(re.findall(r"soname: \[(.*)\]", dynamic) == ["libnamewall.so.0"], dynamic)
    needed = re.findall(r"Shared library: \[(.*)\]", dynamic)
    expect(set(needed) <= {"libjansson.so.4", "libc.so.6"}, f"it needs {needed}")
    found = re.findall(r"(?m)^\w* [A-TV-Z] (\w+)$", output_of("nm", "-g", "--defined-only", static))
    expect(set(EXPORTED) <= set(found) and all(name.startswith("namewall_") for name in found), f"static: {found}")


def program():
    lines = ["#include <namewall.h>", "#include <stddef.h>", "#include <stdio.h>", "int main(void) {"]
    for key in LAYOUT:
        structure, _, member = key.partition(".")
        place = f"offsetof(struct namewall_{structure}, {member})" if member else f"sizeof(struct namewall_{structure})"
        lines.append(f'  printf("{key} %d\\n", (int){place});')
    lines += [f'  printf("{key} %d\\n", (int)NAMEWALL_{key});' for key in NUMBERS]
    lines += [
        "  struct namewall_request request = NAMEWALL_REQUEST_INIT;",
        "  struct namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;",
        '  request.socket_path = "/nonexistent/control.sock";',
        '  printf("self %d\\n", namewall_restrict_self(&request, &outcome));',
        '  printf("child %d\\n", namewall_restrict_child(-1, &request, &outcome));',
        '  printf("available %d\\n", namewall_available("/nonexistent/control.sock"));',
        "  return 0;", "}", "",
    ]
    return "\n".join(lines)


def check_program(argv, environment):
    found = {key: int(value) for key, value in (line.split() for line in output_of(*argv, env=environment).splitlines())}
    wanted = {**LAYOUT, **NUMBERS, "self": -1, "child": -3, "available": -1}
    expect(found == wanted, f"{argv}: {set(found.items()) ^ set(wanted.items())}")


def main():
    cc, cxx, source, build = sys.argv[1:5]
    with tempfile.TemporaryDirectory(prefix="namewall-abi-") as scratch:
        prefix = os.path.join(scratch, "elsewhere")
        output_of("cmake", "--install", build, "--component", "libnamewall", "--prefix", prefix)
        check_symbols(prefix)
        text = program()
        for name in ("program.c", "program.cpp"):
            with open(os.path.join(scratch, name), "w") as file:
                file.write(text)
        environment = {**os.environ, "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}
        strict = ["-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror"]
        shared = output_of("pkg-config", "--cflags", "--libs", "namewall", env=environment).split()
        static = output_of("pkg-config", "--static", "--cflags", "--libs", "namewall", env=environment).split()
        expect("-ljansson" in static and "-ljansson" not in shared, f"{static} {shared}")
        for name, compiler, language, flags, run_environment in (
            ("shared", cc, "-std=c11", shared, {"LD_LIBRARY_PATH": f"{prefix}/lib"}),
            ("static", cc, "-std=c11", ["-static", *static], {}),
            ("cxx11", cxx, "-std=c++11", shared, {"LD_LIBRARY_PATH": f"{prefix}/lib"}),
            ("cxx20", cxx, "-std=c++20", ["-static", *static], {}),
        ):
            file = os.path.join(scratch, "program.cpp" if compiler == cxx else "program.c")
            path = os.path.join(scratch, name)
            output_of(compiler, language, *strict, "-o", path, file, *flags)
            if os.path.exists(path):
                check_program([path], run_environment)
        example = os.path.join(prefix, "share/doc/namewall/examples/plugin_host.c")
        output_of(cc, "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", os.path.join(scratch, "host"), example, *shared)
        expect(os.path.exists(os.path.join(source, "docs/man/libnamewall.3")), "there is no libnamewall(3)")
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
