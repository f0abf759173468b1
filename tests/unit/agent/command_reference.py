"""command_reference.py NAMEWALL SOURCE_DIRECTORY [NAMEWALLD]: completions and man pages name every subcommand, long
option, exit code and policy key, and no option that there is not; all of them are well-formed."""

import json
import os
import re
import subprocess
import sys

PAGES = ("namewall.1", "namewall-restrict.1", "libnamewall.3", "namewalld.8", "namewall.toml.5")
COMPLETIONS = {"bash": "namewall.bash", "zsh": "_namewall", "fish": "namewall.fish"}
failures = []


def expect(condition, what):
    if not condition:
        failures.append(what)


def help_of(program, path):
    done = subprocess.run([program, *path, "--help"], capture_output=True, text=True, timeout=30)
    expect(done.returncode == 0, f"{path} --help ends with {done.returncode}")
    return done.stdout


def read_commands(namewall, path=()):
    """{path: long options}"""
    text = help_of(namewall, path)
    commands = {path: set(re.findall(r"(?m)^\s*(?:-\w,)?(--[a-z-]+)", text))}
    listed = re.search(r"(?s)Subcommands:\n(.*?)(?:\n\n|$)", text)
    for names in re.findall(r"(?m)^  ([a-z][a-z0-9]*(?:, [a-z][a-z0-9]*)*)(?:  |$)", listed.group(1) if listed else ""):
        for name in names.split(", "):
            commands.update(read_commands(namewall, (*path, name)))
    return commands


def mentions(kind, text, option):
    if kind == "fish":
        return re.search(rf"-l {option[2:]}(?![a-z-])", text)
    return re.search(rf"(?<![a-z-]){option}(?![a-z-])", text)


def check_completions(directory, commands):
    options = {option for found in commands.values() for option in found}
    for kind, name in COMPLETIONS.items():
        path = os.path.join(directory, name)
        with open(path) as file:
            text = file.read()
        for option in options:
            expect(mentions(kind, text, option), f"{name} does not complete {option}")
        for command in commands:
            if command:
                expect(re.search(rf"(?<![\w-]){command[-1]}(?![\w-])", text), f"{name} does not complete {command[-1]}")
        offered = re.findall(r"-l ([a-z-]+)", text) if kind == "fish" else re.findall(r"(?<![\w-])--([a-z-]+)", text)
        ours = {option[2:] for option in options}
        theirs = {"names", "type", "plain", "no-legend", "fields"}  # of the programs that a completion runs
        expect(set(offered) <= ours | theirs, f"{name} completes what is no option: {set(offered) - ours - theirs}")
        check = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}[kind]
        done = subprocess.run([*check, path], capture_output=True, text=True, timeout=30)
        expect(done.returncode == 0, f"{name}: {done.stderr}")


def check_bash_completion(directory, commands):
    """Each option of each subcommand is offered where it is accepted, and no other."""
    script = (
        f"source {os.path.join(directory, 'namewall.bash')}; COMP_WORDS=(namewall \"$@\" --); "
        'COMP_CWORD=$(($# + 1)); _namewall; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    for path, options in commands.items():
        done = subprocess.run(["bash", "-c", script, "bash", *path], capture_output=True, text=True, timeout=30)
        if path not in (("unit",), ("import",)):  # whose own word is an action
            expect(set(done.stdout.split()) - {""} - {w for w in done.stdout.split() if not w.startswith("-")} == options,
                   f"bash completes {path} with {sorted(done.stdout.split())}, not {sorted(options)}")


def mdoc_options(text):
    return {f"-{option}" for option in re.findall(r"Fl (-[a-z-]+)", text)}


def check_manual(directory, commands, namewalld):
    texts = {}
    for page in PAGES:
        path = os.path.join(directory, page)
        done = subprocess.run(["groff", "-mdoc", "-ww", "-Tutf8", "-z", path], capture_output=True, text=True, timeout=60)
        expect(done.returncode == 0 and not done.stderr, f"{page}: {done.stderr}")
        with open(path) as file:
            texts[page] = file.read()
    options = {option for found in commands.values() for option in found}
    expect(mdoc_options(texts["namewall.1"]) == options,
           f"namewall(1) and --help differ in {sorted(mdoc_options(texts['namewall.1']) ^ options)}")
    for command in commands:
        if command:
            words = r"(?:Cm(?: \w+)* |Cm [\w ,|]*)" + command[-1]
            expect(re.search(words + r"\b", texts["namewall.1"]), f"namewall(1) does not tell of {' '.join(command)}")
    expect(mdoc_options(texts["namewall-restrict.1"]) == commands[("restrict",)] - {"--help"},
           f"namewall-restrict(1) has {sorted(mdoc_options(texts['namewall-restrict.1']))}")
    if namewalld:
        daemon_options = set(re.findall(r"(?m)^\s*(?:-\w,)?(--[a-z-]+)", help_of(namewalld, ())))
        expect(mdoc_options(texts["namewalld.8"]) == daemon_options,
               f"namewalld(8) and --help differ in {sorted(mdoc_options(texts['namewalld.8']) ^ daemon_options)}")
    return texts


def check_exit_codes(source, texts):
    with open(os.path.join(source, "agent/command.h")) as file:
        codes = re.findall(r"kExit\w+ = (\d+);", file.read())
    expect(len(codes) >= 14, "agent/command.h has no exit codes to compare with")
    section = texts["namewall.1"].split(".Sh EXIT STATUS")[1]
    expect(set(re.findall(r"(?m)^\.It (\d+)$", section)) == set(codes), "namewall(1) has other exit codes than command.h")


def keys_of_schema(node):
    keys = set()
    if isinstance(node, dict):
        for key, value in node.get("properties", {}).items():
            keys |= {key} | keys_of_schema(value)
        for value in node.get("$defs", {}).values():
            keys |= keys_of_schema(value)
    return keys


def check_keys(source, texts):
    with open(os.path.join(source, "docs/policy.schema.json")) as file:
        keys = keys_of_schema(json.load(file))
    with open(os.path.join(source, "docs/policy.md")) as file:
        host = re.search(r"(?s)## The host's own file\n(.*?)\n## ", file.read())
    for row in re.findall(r"(?m)^\| `([\w.]+)` \|", host.group(1) if host else ""):
        keys |= set(row.split("."))
    expect({"name", "allow", "grace"} <= keys, "docs/policy.schema.json has no keys to compare with")
    told = set(re.findall(r"\w+", " ".join(re.findall(r"(?m)^(?:\.It Ic|\.Ss The table) (.*)$", texts["namewall.toml.5"]))))
    expect(keys <= told, f"namewall.toml(5) does not tell of {sorted(keys - told)}")


def main():
    namewall, source = sys.argv[1:3]
    commands = read_commands(namewall)
    expect(len(commands) > 15, f"--help lists {len(commands)} commands only")
    completions = os.path.join(source, "deploy/completions")
    check_completions(completions, commands)
    check_bash_completion(completions, commands)
    texts = check_manual(os.path.join(source, "docs/man"), commands, sys.argv[3] if len(sys.argv) > 3 else None)
    check_exit_codes(source, texts)
    check_keys(source, texts)
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
