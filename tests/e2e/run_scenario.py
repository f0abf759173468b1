"""run_scenario.py GROUP SCENARIO --namewall PATH --namewalld PATH --clients DIRECTORY [--backend bpf|nft]: runs
scenarios/GROUP.py's scenario_SCENARIO.
Exit code 0: as it should be; 1: not so, with transcripts; 2: not of this backend; 77: skipped, with the reason. NAMEWALL_REQUIRE_KERNEL=1 turns
what this kernel cannot show into 1."""

import argparse
import importlib
import os
import sys
import traceback

sys.dont_write_bytecode = True
from backends import BACKENDS, why_not  # noqa: E402
from scenario import Failure, MissingProgram, Skip, requirements_of_this_machine  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("group")
    parser.add_argument("scenario")
    parser.add_argument("--namewall", required=True)
    parser.add_argument("--namewalld", required=True)
    parser.add_argument("--clients", required=True)
    parser.add_argument("--backend", choices=BACKENDS, default="bpf")
    arguments = parser.parse_args()
    os.environ["NAMEWALL_E2E_BACKEND"] = arguments.backend
    if reason := why_not(arguments.group, arguments.scenario):
        print(f"not of {arguments.backend}: {reason}")
        return 2
    os.environ["NAMEWALL_E2E_BINARY"] = os.path.abspath(arguments.namewall)
    os.environ["NAMEWALL_E2E_NAMEWALLD"] = os.path.abspath(arguments.namewalld)
    os.environ["NAMEWALL_E2E_CLIENTS"] = os.path.abspath(arguments.clients)
    try:
        requirements_of_this_machine()
        getattr(importlib.import_module(f"scenarios.{arguments.group}"), f"scenario_{arguments.scenario}")()
    except Skip as skip:
        print(f"skipped: {skip}")
        is_failure = os.environ.get("NAMEWALL_REQUIRE_KERNEL") == "1" and not isinstance(skip, MissingProgram)
        return 1 if is_failure else 77
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
