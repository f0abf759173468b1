"""What the made-up internet's DNS says, as records, and the same for each server's configuration."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Record:
    name: str  # absolute, without the trailing dot
    kind: str  # "A", "AAAA" or "CNAME"
    value: str
    ttl: int = 300


def zone_text(records):
    """One zone for the root: everything that is not listed does not exist."""
    lines = [
        "$ORIGIN .",
        ". 60 IN SOA ns.internet.example. root.internet.example. 1 3600 600 86400 5",
        ". 60 IN NS ns.internet.example.",
        "ns.internet.example. 60 IN A 127.0.0.1",
    ]
    for record in records:
        value = record.value + "." if record.kind == "CNAME" else record.value
        lines.append(f"{record.name}. {record.ttl} IN {record.kind} {value}")
    return "\n".join(lines) + "\n"


def dnsmasq_options(records):
    """Everything that is not listed is NXDOMAIN."""
    options = ["--local=//", "--address=/#/"]
    for record in records:
        kind = "--cname" if record.kind == "CNAME" else "--host-record"
        options.append(f"{kind}={record.name},{record.value},{record.ttl}")
    return options
