"""Which backend enforces in this run of a scenario, what a workload notices of it, and which scenarios each backend has
nothing to show in. `backends.py BACKEND` prints those of the others, for CMake.

What is the same on both is written once, in the scenarios; what is not goes through the functions here."""

import os
import sys

BACKENDS = ("bpf", "nft")

# Why a scenario is not of a backend. The names are those of docs/backends.md.
REASONS = {
    "none": "no backend takes part: it would show the same thing twice",
    "kernel-learning": "it is about answers that the kernel reads; nftables cannot, the proxy learns for such workloads",
    "both": "it says itself what enforces, and is once among those of BPF",
    "pins": "it is about pins of BPF objects",
    "tables": "it is about what others do to the nft table",
    "direct-arming": "a workload that nobody learns for could reach nothing: it is armed by a daemon",
    "binding": "nftables sees packets, not the bind(2) of a trusted resolver's address",
    "nested-runs": "a run within a run has two tables, and a question is redirected by one of them",
    "other-netns": "a namespace without the table refuses nothing: it gets the table when somebody is seen there",
    "rewritten": "a cgroup program of an ancestor translates before nftables sees the packet",
}

# Scenarios, or whole groups, that are not of a backend.
NOT_OF = {
    "bpf": {
        "foreign_changes": "tables",
        "sets.what_others_change_is_marked_and_repaired": "tables",
    },
    "nft": {
        "arming_commands": "none",
        "bad_input.ten_mistakes_are_ten_errors_with_positions": "none",
        "bad_input.wrong_arguments_end_with_125": "none",
        "checks.check_tells_of_conflicts_and_expands_groups": "none",
        "checks.diff_ends_with_4_only_where_something_opens": "none",
        "commands": "none",
        "daemon_attacks.a_link_among_the_pins_is_not_followed_by_root": "pins",
        "daemon_life.a_version_that_is_not_known_is_not_touched": "pins",
        "daemon_life.check_tells_every_error_and_changes_nothing": "none",
        "daemon_life.deleted_pins_are_noticed_and_put_back_within_5_s": "pins",
        "daemon_life.every_pin_may_go_at_once_and_comes_back": "pins",
        "daemon_proxy.a_policy_may_change_its_way_under_load": "kernel-learning",
        "daemon_proxy.another_network_namespace_has_a_proxy_while_it_is_used": "other-netns",
        "daemon_proxy.tcp_and_truncated_answers_teach_under_the_kernel_path": "kernel-learning",
        "direct_arming": "direct-arming",
        "dns_clients": "kernel-learning",
        "dns_protocol": "kernel-learning",
        "dns_protocol_proxy.answers_over_tcp_pass_byte_for_byte_under_a_kernel_policy": "kernel-learning",
        "forgery.workload_may_not_bind_a_trusted_resolvers_address": "binding",
        "nft": "both",
        "isolation.nested_workload_has_the_intersection": "nested-runs",
        "names.truncated_answer_teaches_nothing_and_the_whole_one_over_tcp_does": "kernel-learning",
        "races.hundred_thousand_with_namewall_killed_halfway": "kernel-learning",
        "recipes.bwrap_in_an_armed_cgroup": "direct-arming",
        "recipes.docker_starts_containers_below_a_template": "other-netns",
        "resolvers.ancestor_that_rewrites_destinations": "rewritten",
        "run_proxy.a_namespace_entered_while_it_runs_is_served_and_left": "other-netns",
        "restrict_command": "none",
        "screens": "none",
        "service_unit.systemd_finds_no_fault_in_units_and_drop_ins": "none",
    },
}


def backend():
    """Of this process: what run_scenario.py was told."""
    return os.environ.get("NAMEWALL_E2E_BACKEND", "bpf")


def why_not(group, scenario, name=None):
    """The reason for which the scenario is not of the backend; None: it is."""
    excluded = NOT_OF[name or backend()]
    reason = excluded.get(f"{group}.{scenario}", excluded.get(group))
    return None if reason is None else REASONS[reason]


def learns_in_kernel():
    """Whether lookups teach without an agent. With nft every workload learns by the proxy, whatever its policy says."""
    return backend() == "bpf"


def children_wait():
    """Whether a template's child is refused everything until a daemon has armed it."""
    return backend() == "nft"


def refused(protocol, on_loopback=False):
    """What a program is told of a refusal: BPF refuses connect(2) and sendmsg(2) by an errno, nft answers a SYN by a
    reset, and refuses a datagram where it is sent, but on loopback where it arrives: nobody is told."""
    if backend() == "bpf" or protocol == "tcp":
        return "ECONNREFUSED"
    return "ETIMEDOUT" if on_loopback else "EPERM"


def nesting_bound(depth):
    """Lines of host.toml with which `depth` workloads in one another are as many as can be held. BPF has sixteen levels
    of programs; nft nests as deep as cgroups do, and counts all workloads."""
    return "" if backend() == "bpf" else f"[daemon]\nmax_workloads = {depth}\n"


def learns_for_lost_policies():
    """Whether names are learned for a workload whose policy the daemon cannot read any more. BPF has the rules in the
    kernel; nft has there what was learned, and the names that may be learned in the daemon alone."""
    return backend() == "bpf"


def counts_hits():
    """Whether it is known which grants were used."""
    return backend() == "bpf"


def needed_capabilities():
    """Without any one of these sets nothing can be enforced."""
    return {"bpf": ("bpf,-sys_admin", "net_admin,-sys_admin", "perfmon,-sys_admin"), "nft": ("net_admin",)}[backend()]


def run_options():
    """Of `namewall run`."""
    return [] if backend() == "bpf" else ["--backend", backend()]


def host_settings():
    """Lines that host.toml begins with."""
    return "" if backend() == "bpf" else f'backend = "{backend()}"\n'


def ways_to_learn(kernel, proxy):
    """[dns] lines of a policy that learns in the kernel, and of one that learns by the proxy: those that differ here."""
    return (kernel, proxy) if learns_in_kernel() else (proxy,)


if __name__ == "__main__":
    print(";".join(sorted(NOT_OF[sys.argv[1]])))
