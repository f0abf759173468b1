"""What the fake daemon tells: one of each view of agent/host/host_view.h."""

STATUS = {
    "version": "0.1.0",
    "pid": 812,
    "started_at": "2026-01-31T11:00:00.000Z",
    "state": "enforcing",
    "workloads": 2,
    "workloads_by_state": {"enforcing": 1, "judging": 1},
    "policies": [
        {
            "file": "/etc/namewall/policies.d/builder.toml",
            "policy": "builder",
            "state": "in force",
            "age_s": 3605,
            "workloads": 2,
        }
    ],
    "oldest_proof_s": 12.3,
    "reloads": 3,
    "reload_failures": 0,
    "unarmed_ms_last": 0.4,
    "unarmed_ms_max": 1.2,
    "events": 17,
    "generation": 41,
}
EVIL = "evil\x1b[31m\nname"
BUILDER = {
    "name": "builder:job-17",
    "cgroup": "/ci.slice/job-17",
    "cgroup_id": 4711,
    "state": "enforcing",
    "policy": "builder",
    "origin": "file",
    "file": "/etc/namewall/policies.d/builder.toml",
    "mode": "enforce",
    "policy_sha256": "0011223344556677",
    "generation": 7,
    "workload_id": 3,
    "rules": 2,
    "grants": 1,
    "max_addresses": 1024,
    "refusals": 6,
    "lookups": 40,
    "last_refusal": "github.com:443",
    "armed_at": "2026-01-31T11:00:00.000Z",
    "unarmed_ms": 0,
    "proved_ago_s": 12,
    "proof": "passed",
}
PARTIAL = {**BUILDER, "name": "box", "state": "partial", "why": ["it reaches /run/docker.sock"], "policy": "box"}
DETAIL = {
    "workload": BUILDER,
    "policy_text": 'name = "builder"\n',
    "rules": [
        {"rule": "https://registry.npmjs.org", "action": "allow", "origin": "builder.toml:4:12"},
        {
            "rule": "https://a.example",
            "action": "allow",
            "origin": "builder.toml:5:12",
            "dead": True,
            "decided_by": "deny *://a.example:*",
        },
    ],
    "resolvers": [{"address": "10.0.0.2:53", "source": "/etc/resolv.conf"}],
    "grants": [
        {
            "name": "registry.npmjs.org",
            "address": "104.16.0.35",
            "ports": "tcp:443",
            "state": "live",
            "seconds_left": 275,
            "connects": 38,
            "shared_with": ["cdn.example"],
        },
        {"name": EVIL, "address": "203.0.113.9", "ports": "tcp:443", "state": "expired", "seconds_left": -30},
    ],
    "counters": {"lookups": 40, "nothing": 0},
    "refusals_by_reason": {"name_not_allowed": 6},
    "unattributed_flows": ["tcp 10.0.0.5:4711 -> 203.0.113.9:443"],
}
REFUSAL = {
    "sequence": 9,
    "time": "2026-01-31T12:00:01.123Z",
    "kind": "refused",
    "workload": "builder:job-17",
    "policy": "builder",
    "hook": "lookup",
    "reason": "name_not_allowed",
    "sentence": "no rule names it",
    "name": "github.com",
    "pid": 4188,
    "command": EVIL,
    "permit": "https://github.com",
    "left_out": 2,
}
NOTICE = {"sequence": 10, "time": "2026-01-31T12:00:02.000Z", "kind": "notice", "reason": "reload", "sentence": "reloaded"}
EXPLANATION = {
    "workload": "builder:job-17",
    "target": "tcp github.com:443",
    "allowed": False,
    "reason": "name_not_allowed",
    "walk": ["host deny: nothing", "allow rules: no rule names it"],
    "permit": "https://github.com",
}
NAME = "/v1/workloads/builder%3Ajob-17"
