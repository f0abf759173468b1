"""The same policy and the same steps held in the two ways there are: `namewall run`, and a workload of namewalld."""

from scenario import expect


def expect_outcomes(found, steps, where):
    """steps: (text, whether it works), in their order."""
    expect(len(found) == len(steps), f"{where}: {len(found)} of {len(steps)} steps were done: {found}")
    for step, (text, ok) in zip(found, steps):
        expect(step["ok"] == ok, f"{where}: `{text}` should {'work' if ok else 'be refused'}: {step}\nof {found}")


def expect_both_ways(host, policy, steps, before=lambda: None, client="python", settings=""):
    """host: a Host without a daemon yet. policy: without name and cgroup. before(): called ahead of each way. settings: of
    host.toml."""
    text = " ".join(step for step, _ in steps)
    before()
    options = ["--policy", host.write("run.toml", 'name = "run"\n' + policy)]
    options += ["--host", host.write("host.toml", settings)] if settings else []
    run = host.namewall(options, host.client_argv(client, text))
    expect_outcomes(run.steps, steps, f"namewall run ({run.err})")
    before()
    cgroup = host.new_cgroup("held")
    host.policy("held", f'cgroup = "{cgroup}"\n' + policy)
    host.settings(settings)
    host.start_daemon()
    expect_outcomes(host.steps(cgroup, text, client), steps, "namewalld")
    return cgroup
