"""Policies of other systems, imported and enforced; rules in table form."""

import json
import subprocess

from internet.records import Record
from scenario import Scene, expect, expect_refusal, expect_step

PORT = 7001
RECORDS = [
    Record("shop.example", "A", "203.0.113.10"),
    Record("api.shop.example", "A", "203.0.113.11"),
    Record("a.b.shop.example", "A", "203.0.113.12"),
    Record("other.example", "A", "203.0.113.20"),
]

CILIUM = f"""
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {{name: shop}}
spec:
  endpointSelector: {{matchLabels: {{app: shop}}}}
  egress:
    - toEndpoints: [{{matchLabels: {{"k8s:k8s-app": kube-dns}}}}]
      toPorts:
        - ports: [{{port: "53", protocol: ANY}}]
          rules: {{dns: [{{matchPattern: "*"}}]}}
    - toFQDNs: [{{matchName: shop.example}}, {{matchPattern: "*.shop.example"}}]
      toPorts: [{{ports: [{{port: "{PORT}", protocol: TCP}}]}}]
    - toCIDRSet: [{{cidr: 198.51.100.0/24, except: [198.51.100.128/25]}}]
      toPorts: [{{ports: [{{port: "{PORT}", protocol: TCP}}]}}]
  egressDeny:
    - toCIDR: [198.51.100.9/32]
"""

KUBERNETES = f"""
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {{name: shop}}
spec:
  tier: Admin
  priority: 10
  subject: {{namespaces: {{}}}}
  egress:
    - action: Deny
      to: [{{networks: [198.51.100.128/25]}}]
    - action: Accept
      to: [{{networks: [198.51.100.0/24]}}, {{domainNames: ["*.shop.example"]}}]
      protocols: [{{tcp: {{destinationPort: {{number: {PORT}}}}}}}]
    - action: Deny
      to: [{{networks: [0.0.0.0/0, "::/0"]}}]
"""


def imported(scene, kind, document, *options):
    """The policy that comes out, as a file."""
    done = subprocess.run(
        [scene.binary, "import", kind, *options, scene.write(f"{kind}.yaml", document)], capture_output=True, text=True, timeout=30
    )
    expect(done.returncode == 0, f"import {kind} ends with {done.returncode}: {done.stderr}")
    return scene.write(f"{kind}.toml", done.stdout)


def steps_under(scene, policy, steps):
    run = scene.namewall(["--policy", policy], scene.client_argv("glibc", steps))
    expect(run.exit_code == 0, "the client did not finish", run)
    return run


def scenario_a_cilium_policy_opens_and_refuses_as_it_says():
    with Scene(RECORDS) as scene:
        policy = imported(scene, "cilium", CILIUM)
        run = steps_under(
            scene,
            policy,
            f"reach shop.example {PORT} reach api.shop.example {PORT} lookup a.b.shop.example lookup other.example "
            f"reach shop.example 7000 connect 198.51.100.8 {PORT} connect 198.51.100.9 {PORT} connect 198.51.100.200 {PORT}",
        )
        for index, ok in enumerate((True, True, False, False, False, None, False, False)):
            if ok is not None:
                expect_step(run, index, ok=ok)
        expect_refusal(run, "name_not_allowed", hook="lookup", name="a.b.shop.example")
        refused = {event.get("address") for event in run.refusals()}
        expect("198.51.100.8" not in refused, "the network that is left is refused", run)
        expect({"198.51.100.9", "198.51.100.200"} <= refused, "the exception or the denial is open", run)
        expect(not scene.asked("other.example"), "a name that no rule has reached the resolver")


def scenario_a_cluster_policy_of_kubernetes_opens_and_refuses_as_it_says():
    with Scene(RECORDS) as scene:
        policy = imported(scene, "k8s", KUBERNETES)
        run = steps_under(
            scene,
            policy,
            f"reach api.shop.example {PORT} reach a.b.shop.example {PORT} lookup shop.example "
            f"connect 198.51.100.8 {PORT} connect 198.51.100.200 {PORT}",
        )
        for index, ok in enumerate((True, True, False, None, False)):
            if ok is not None:
                expect_step(run, index, ok=ok)
        refused = {event.get("address") for event in run.refusals()}
        expect("198.51.100.8" not in refused and "198.51.100.200" in refused, "the earlier denial does not decide", run)


def scenario_what_cannot_be_expressed_is_named_and_gives_no_policy():
    with Scene(RECORDS) as scene:
        document = CILIUM + "    - toEndpoints: [{matchLabels: {app: db}}]\n"
        path = scene.write("refused.yaml", document)
        done = subprocess.run([scene.binary, "import", "cilium", path], capture_output=True, text=True, timeout=30)
        expect(done.returncode == 1 and done.stdout == "", f"{done.returncode} {done.stdout}")
        line = document.splitlines().index("    - toEndpoints: [{matchLabels: {app: db}}]") + 1
        expect(f"refused.yaml:{line}:" in done.stderr and "spec.egressDeny[1].toEndpoints" in done.stderr, done.stderr)
        as_json = subprocess.run([scene.binary, "import", "cilium", "--json", path], capture_output=True, text=True, timeout=30)
        answer = json.loads(as_json.stdout)
        expect(as_json.returncode == 1 and answer["policy"] is None and answer["refused"][0]["line"] == line, as_json.stdout)
        missing = subprocess.run([scene.binary, "import", "k8s", "/no/such.yaml"], capture_output=True, text=True, timeout=30)
        expect(missing.returncode == 125 and "/no/such.yaml" in missing.stderr, missing.stderr)


def scenario_a_rule_as_a_table_opens_its_service():
    policy = 'name = "t"\nallow = [{ host = "shop.example", service = "https" }, { host = "api.shop.example", port = 7001 }]\n'
    with Scene(RECORDS) as scene:
        run = steps_under(
            scene,
            scene.write("table.toml", policy),
            f"reach shop.example 443 reach shop.example {PORT} reach api.shop.example {PORT} reach api.shop.example 443",
        )
        for index, ok in enumerate((True, False, True, False)):
            expect_step(run, index, ok=ok)
