"""The ratios that CI holds namewall to: what is promised on a quiet machine, and something for noise."""

from collections.abc import Iterable

NOISE = 0.03
GATES = {
    "udp_connect/ours_100/hot": 1.16 + NOISE,
    "udp_connect/ours_1m/hot": 1.16 + NOISE,
    "tcp_connect_close/ours_100/hot": 1.05 + NOISE,
    "tcp_connect_close/ours_1m/hot": 1.05 + NOISE,
    "udp_send/ours_100/hot": 1.06 + NOISE,
    "udp_sendto/ours_100/hot": 1.12 + NOISE,
    "dns_1a/ours": 1.05 + NOISE,
    "neighbour_connect/beside_hostile": 1.5,
    "neighbour_lookup/beside_hostile": 1.5,
}
# What is promised of the daemon whatever the baseline and the number behind the slash; figures.
MILLISECOND = 1e6
FIGURE_GATES = {
    "daemon_start": 2000 * MILLISECOND,
    "daemon_idle": 5 * MILLISECOND,
    "daemon_put_new": 5 * MILLISECOND,
    "daemon_put_again": 5 * MILLISECOND,
    "event_latency": 50 * MILLISECOND,
    "dns_cpu/namewall": 11_000,
}
GATES |= {"daemon_flood": 1.5}
# A quarter of dnsmasq with nftset, level with dnsmasq cached; 1.2 is promised of neighbours on a quiet machine.
GATES |= {
    "dns_query/namewall": 0.25 * (1 + NOISE),
    "dns_query/namewall_cached": 1 + NOISE,
    "dns_p50/namewall": 1.5 + NOISE,
    "dns_neighbour/namewall": 1.5,
    "dns_soak/namewall": 1.05,
}
# nftables alone: what its rules cost a packet, and its changes beside a text command of libnftables.
GATES |= {f"nft_connect_close/{size}": 1.06 + NOISE for size in ("nft_1", "nft_1000", "nft_10000")}
GATES |= {"nft_connect_close/growth": 1.02 + NOISE, "nft_add/1/1000000": 0.1, "nft_renew/1/1000000": 0.1}
FIGURE_GATES |= {"nft_add/1/1000000": 6000, "nft_add/1000/1000000": 1500}


def missed_gates(entries: list[dict], cases: Iterable[str]) -> list[str]:
    """One line for each of the gated `cases` that is above its limit, or has no entry; and for each entry above
    what is promised whatever the baseline, or with failures."""
    ratios = {entry["case"]: entry["ratio"] for entry in entries}
    missed = []
    for case in cases:
        if case not in ratios:
            missed.append(f"{case}: not measured")
        elif ratios[case] > GATES[case]:
            missed.append(f"{case}: {ratios[case]:.3f}, at most {GATES[case]:.2f}")
    for entry in entries:
        limit = FIGURE_GATES.get(entry["case"], FIGURE_GATES.get(entry["case"].split("/")[0]))
        if limit is not None and entry["figure"] > limit:
            missed.append(f"{entry['case']}: {entry['figure']:.0f} {entry['unit']}, at most {limit:.0f}")
        if entry["case"] in GATES and entry.get("failures", 0) > 0:
            missed.append(f"{entry['case']}: {entry['failures']} failures, none is promised")
    return missed
