#!/usr/bin/python3
"""design_citations.py SOURCE_DIRECTORY: every test that docs/design.md cites exists, and every promise cites one.

A citation is a code span: `e2e:GROUP.SCENARIO` (tests/e2e/scenarios), `test:SUITE.NAME` (GoogleTest), `replay:NAME`
(tests/replay), `ctest:NAME` (add_test, and conformance.NAME of tests/vectors). A promise is a table row that begins with its number: `| P7 |`."""

import pathlib
import re
import sys

CITATION = re.compile(r"`(e2e|test|replay|ctest):([^`]+)`")
PROMISE = re.compile(r"^\| (P\d+) \|")
SCENARIO = re.compile(r"^def scenario_(\w+)\(\)", re.M)
GOOGLE_TEST = re.compile(r"^TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.M)
ADD_TEST = re.compile(r"add_test\(\s*NAME\s+(\w+)")


def tests_of(source):
    def texts(pattern):
        return [(path, path.read_text()) for path in (source / "tests").rglob(pattern)]

    return {
        "e2e": {f"{path.stem}.{name}" for path, text in texts("scenarios/*.py") for name in SCENARIO.findall(text)},
        "test": {f"{suite}.{name}" for _, text in texts("*_test.cpp") for suite, name in GOOGLE_TEST.findall(text)},
        "replay": {str(path.relative_to(source / "tests/replay").with_suffix("")) for path, _ in texts("*.replay")},
        "ctest": {name for _, text in texts("CMakeLists.txt") for name in ADD_TEST.findall(text)}
        | {f"conformance.{path.stem}" for path, _ in texts("vectors/*.json")},
    }


def mistakes_of(text, known):
    """[(line number, what is wrong)]"""
    mistakes, promises = [], []
    for number, line in enumerate(text.splitlines(), 1):
        cited = CITATION.findall(line)
        mistakes += [(number, f"there is no {kind} test {name}") for kind, name in cited if name not in known[kind]]
        if promise := PROMISE.match(line):
            promises.append(promise[1])
            if not cited:
                mistakes.append((number, f"promise {promise[1]} has no test"))
    if promises != [f"P{number}" for number in range(1, len(promises) + 1)] or not promises:
        mistakes.append((0, f"the promises are not numbered in order: {promises}"))
    return mistakes


def check_the_check():
    known = {"e2e": {"a.b"}, "test": {"A.B"}, "replay": {"r"}, "ctest": {"c"}}
    good = "| P1 | x | `e2e:a.b` |\n| P2 | y | `test:A.B`, `replay:r`, `ctest:c` |\n"
    bad = ["| P1 | x | `e2e:a.c` |\n", "| P1 | x | |\n", "`replay:a`\n" + good, "| P2 | x | `e2e:a.b` |\n", ""]
    if mistakes_of(good, known) or not all(mistakes_of(text, known) for text in bad):
        sys.exit("design_citations: the rules judge wrongly")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    check_the_check()
    source = pathlib.Path(sys.argv[1])
    known = tests_of(source)
    if any(not names for names in known.values()):
        sys.exit(f"design_citations: no tests of some kind: { {kind: len(names) for kind, names in known.items()} }")
    text = (source / "docs/design.md").read_text()
    mistakes = mistakes_of(text, known)
    for number, what in mistakes:
        print(f"docs/design.md:{number}: {what}")
    print(f"{len(CITATION.findall(text))} citations, {len(mistakes)} mistakes")
    sys.exit(1 if mistakes else 0)


if __name__ == "__main__":
    main()
