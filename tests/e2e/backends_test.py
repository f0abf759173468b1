"""backends_test.py DOCS/BACKENDS.MD: the table of backends.py is of scenarios that exist and reasons that are explained."""

import os
import re
import sys

from backends import NOT_OF, REASONS

SCENARIOS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scenarios")
OF_TESTS_ALONE = {"none", "both", "pins", "tables"}  # an operator need not know them


def known():
    found = set()
    for file in os.listdir(SCENARIOS):
        group, extension = os.path.splitext(file)
        if extension == ".py":
            with open(os.path.join(SCENARIOS, file)) as source:
                found |= {group} | {f"{group}.{name}" for name in re.findall(r"^def scenario_(\w+)", source.read(), re.M)}
    return found


def main():
    scenarios, problems = known(), []
    used = {reason for table in NOT_OF.values() for reason in table.values()}
    for table in NOT_OF.values():
        problems += [f"there is no scenario {name}" for name in table if name not in scenarios]
        problems += [f"{name} is of a group that is left out" for name in table if name.split(".")[0] in table and "." in name]
    problems += [f"no such reason: {reason}" for reason in used - set(REASONS)]
    problems += [f"a reason that nothing has: {reason}" for reason in set(REASONS) - used]
    with open(sys.argv[1]) as docs:
        text = docs.read()
    problems += [f"docs/backends.md has no `{reason}`" for reason in sorted(used - OF_TESTS_ALONE) if f"`{reason}`" not in text]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
