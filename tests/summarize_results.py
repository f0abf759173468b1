"""summarize_results.py DIRECTORY: reads ctest's JUnit files and the lists failed_builds and passed_builds there, prints
what failed and what was skipped and why, then the closing line. Exit code 1 when anything failed."""

import glob
import os
import sys
import xml.etree.ElementTree

SHOWN_LINES = 40


def read_lines(path):
    if not os.path.exists(path):
        return []
    with open(path) as lines:
        return lines.read().split()


def main(directory):
    failed = [(name, "see above") for name in read_lines(os.path.join(directory, "failed_builds"))]
    passed = len(read_lines(os.path.join(directory, "passed_builds")))
    skipped = []
    for path in sorted(glob.glob(os.path.join(directory, "*.xml"))):
        preset = os.path.basename(path).removesuffix(".xml").split("-", 1)[1]
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            name = f"{preset}: {case.get('name')}"
            output = (case.findtext("system-out") or "").strip()
            status = case.get("status")
            if case.find("failure") is not None or status == "fail":
                failed.append((name, output))
            elif case.find("skipped") is not None or status in ("notrun", "disabled"):
                skipped.append((name, output))
            else:
                passed += 1
    for name, output in failed:
        print(f"\nFAILED {name}")
        for line in output.splitlines()[-SHOWN_LINES:]:
            print(f"  {line}")
    for name, output in skipped:
        print(f"skipped {name}: {(output.splitlines() or ['no reason given'])[-1]}")
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
