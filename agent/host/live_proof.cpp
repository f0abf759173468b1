#include "agent/host/live_proof.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "policy/verdict.h"

namespace namewall::agent {
namespace {

using Obstacle = ProofOutcome::Obstacle;
using Outcome = ProofStep::Outcome;

constexpr char kAuditMode[] = "the policy is in audit mode, where everything passes";

// splitmix64: spreads one nonce over several choices.
std::uint64_t next(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

Address documentation_address_v4(std::uint64_t choice) {
  const auto host = static_cast<std::uint8_t>(1 + (choice >> 8) % 254);
  switch (choice % 3) {
    case 0:
      return Address::v4({192, 0, 2, host});
    case 1:
      return Address::v4({198, 51, 100, host});
    default:
      return Address::v4({203, 0, 113, host});
  }
}

Address documentation_address_v6(std::uint64_t choice) {
  std::array<std::uint8_t, 16> bytes = {0x20, 0x01, 0x0d, 0xb8};
  std::memcpy(&bytes[8], &choice, sizeof choice);
  return Address::v6(bytes);
}

// What a name can open: its grants may cover any address.
PortMask ports_of_names(const PolicyImage& image) {
  PortMask ports = 0;
  for (const NameNode& node : image.names) {
    for (const NameMasks& masks : node.masks) ports |= masks.allow | masks.allow_private;
  }
  for (const Glob& glob : image.globs) ports |= glob.masks.allow | glob.masks.allow_private;
  return ports & kAllPorts;
}

// A TCP port whose class is not in `taken`.
std::optional<Port> find_port_outside(const PolicyImage& image, PortMask taken, std::uint64_t choice) {
  const PortKey first = port_key(Protocol::kTcp, Port{1});
  const PortKey last = port_key(Protocol::kTcp, Port{65535});
  std::vector<std::pair<PortKey, PortKey>> free;  // ends included
  for (std::size_t i = 0; i < image.ports.size(); ++i) {
    if ((taken >> image.ports[i].port_class & 1) != 0) continue;
    const PortKey from = std::max(image.ports[i].start, first);
    const PortKey to = std::min(i + 1 < image.ports.size() ? image.ports[i + 1].start - 1 : last, last);
    if (from <= to) free.emplace_back(from, to);
  }
  if (free.empty()) return std::nullopt;
  const auto& [from, to] = free[choice % free.size()];
  return Port{static_cast<std::uint16_t>(from + (choice >> 16) % (to - from + 1))};
}

void plan_address(const PolicyImage& image, std::uint64_t& state, ProofPlan& plan) {
  constexpr int kTries = 32, kOfIpv4 = 24;  // IPv4 first: hosts without IPv6 cannot try the other
  const PortMask by_name = ports_of_names(image);
  for (const PortMask avoided : {by_name, PortMask{0}}) {
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const Address address =
          attempt < kOfIpv4 ? documentation_address_v4(next(state)) : documentation_address_v6(next(state));
      const auto port = find_port_outside(image, avoided | decide_address(image, address).allow, next(state));
      if (!port) continue;
      plan.refused_address = address;
      plan.refused_port = *port;
      return;
    }
  }
  plan.no_refused_address = "the policy allows every address and port";
}

void plan_name(const PolicyImage& image, std::uint64_t& state, ProofPlan& plan) {
  if (image.resolvers.empty()) {
    plan.no_refused_name = "the policy trusts no resolver";
    return;
  }
  constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string name = "probe-";
  for (std::uint64_t bits = next(state), i = 0; i < 12; ++i, bits >>= 5) name += kLetters[bits & 31];
  name += ".namewall.invalid";
  if (decide_name(image, DomainName::from_normal(name)).may_ask()) {
    plan.no_refused_name = "the policy allows every name";
    return;
  }
  plan.resolver = image.resolvers.front();
  plan.refused_name = std::move(name);
}

std::string milliseconds(std::chrono::nanoseconds time) {
  const long long tenths = (time.count() + 50'000) / 100'000;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " ms";
}

std::string describe_refusal(const ProofStep& step, const std::string& why_not) {
  switch (step.outcome) {
    case Outcome::kAsExpected:
      return "refused in " + milliseconds(step.took);
    case Outcome::kOtherwise:
      if (step.error_number == 0) return "NOT refused";
      return std::string("not refused as it should be: ") + std::strerror(step.error_number) + " after " +
             milliseconds(step.took);
    case Outcome::kNotTried:
      break;
  }
  return "not tried: " + (why_not.empty() ? std::strerror(step.error_number) : why_not);
}

std::string describe_loopback(const ProofStep& step, const std::string& why_not) {
  switch (step.outcome) {
    case Outcome::kAsExpected:
      return "allowed in " + milliseconds(step.took);
    case Outcome::kOtherwise:
      return std::string("NOT allowed: ") + std::strerror(step.error_number);
    case Outcome::kNotTried:
      break;
  }
  return "not tried: " + (why_not.empty() ? std::strerror(step.error_number) : why_not);
}

std::string describe_obstacle(const ProofOutcome& outcome) {
  switch (outcome.obstacle) {
    case Obstacle::kNone:
      return "nothing could be tried";
    case Obstacle::kFrozen:
      return "the workload is frozen (cgroup.freeze)";
    case Obstacle::kNoRoomForCgroup:
      return "the cgroup takes no child (cgroup.max.descendants or cgroup.max.depth) and no process of its own";
    case Obstacle::kNoRoomForProcess:
      return "the workload is at its pids.max";
    case Obstacle::kNoPlace:
      return "neither a child of the cgroup nor the cgroup itself takes a process";
    case Obstacle::kGone:
      return "the cgroup is gone";
    case Obstacle::kKilled:
      return "the probe was killed";
    case Obstacle::kTimeout:
      return "the probe did not end in time";
    case Obstacle::kOther:
      break;
  }
  return std::string("the probe could not be started: ") + std::strerror(outcome.error_number);
}

}  // namespace

ProofPlan plan_proof(const PolicyImage& image, std::uint64_t nonce) {
  ProofPlan plan;
  std::uint64_t state = nonce;
  plan.refuses_packets = image.backend == Backend::kNft;
  if (image.mode == Mode::kAudit) {
    plan.no_refused_address = plan.no_refused_name = kAuditMode;
  } else {
    plan_address(image, state, plan);
    plan_name(image, state, plan);
  }
  plan.loopback = image.loopback != Loopback::kNone;
  if (!plan.loopback) plan.no_loopback = "the policy allows no loopback";
  return plan;
}

bool is_of_proof(const ProofPlan& plan, const Event& event) {
  if (event.hook == Hook::kQuestion) return !plan.refused_name.empty() && event.name == plan.refused_name;
  return event.hook == Hook::kConnect && plan.refused_address && event.address == *plan.refused_address &&
         event.port == plan.refused_port;
}

bool was_run(const ProofOutcome& outcome) {
  return outcome.obstacle == Obstacle::kNone &&
         (outcome.address.outcome != Outcome::kNotTried || outcome.name.outcome != Outcome::kNotTried);
}

ProofView describe_proof(const std::string& workload, const ProofPlan& plan, const ProofOutcome& outcome) {
  ProofView view;
  view.workload = workload;
  if (!was_run(outcome)) {
    const bool planned_nothing = !plan.refused_address && !plan.resolver;
    view.steps = {"not run: " + (planned_nothing ? plan.no_refused_address : describe_obstacle(outcome))};
    return view;
  }
  const std::string address =
      plan.refused_address ? " " + Destination{Protocol::kTcp, *plan.refused_address, plan.refused_port}.to_string()
                           : "";
  view.steps.push_back("refused address" + address + ": " + describe_refusal(outcome.address, plan.no_refused_address));
  view.steps.push_back("refused name" + (plan.resolver ? " " + plan.refused_name : "") + ": " +
                       describe_refusal(outcome.name, plan.no_refused_name));
  view.steps.push_back("allowed loopback: " + describe_loopback(outcome.loopback, plan.no_loopback));
  view.passed = true;
  for (const ProofStep* step : {&outcome.address, &outcome.name, &outcome.loopback}) {
    if (step->outcome == Outcome::kOtherwise) view.passed = false;
  }
  return view;
}

}  // namespace namewall::agent
