#include "agent/report_text.h"

#include <netinet/in.h>

#include <chrono>

#include "policy/escape.h"
#include "policy/permit.h"

namespace namewall::agent {
namespace {

constexpr std::string_view kPrefix = "namewall: ";
constexpr std::size_t kReasonWidth = 19;  // the usual sentence and room: permits line up

std::string counted(std::uint64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string address_and_port(const Address& address, Port port) {
  const std::string text = address.to_string();
  return (address.is_v4() ? text : "[" + text + "]") + ":" + std::to_string(port.number);
}

std::string process_of(const Event& event) {
  if (event.pid == 0) return "-";
  return escape_for_display(event.command) + "(" + std::to_string(event.pid) + ")";
}

std::string reason_of(const Event& event) {
  std::string sentence(sentence_of(event.reason));
  if (event.reason == NW_REASON_EXPIRED && event.expired_for_ns > 0) {
    sentence += ", by " + std::to_string((event.expired_for_ns + 999'999'999) / 1'000'000'000) + " s";
  }
  return sentence;
}

// What a shell would take apart is put into quotes; an endpoint has no quote and no space in it.
std::string shell_word(const std::string& endpoint) {
  return endpoint.find_first_of("?*[]&;|<>$`\\\"!~#(){}") == std::string::npos ? endpoint : "'" + endpoint + "'";
}

std::string permit_of(const Event& event, const TextStyle& style) {
  const auto endpoint = endpoint_that_permits(event);
  if (!endpoint) return {};
  if (style.policy_source.empty()) return "--allow " + shell_word(*endpoint);
  return escape_for_display(style.policy_source) + ": add \"" + *endpoint + "\"";
}

std::string_view outcome_of(const Event& event) {
  if (event.reason == NW_REASON_ANSWER_TRUNCATED) return "delivered";
  const bool withheld = event.hook == Hook::kAnswer;
  if (event.audit) return withheld ? "would withhold" : "would refuse";
  return withheld ? "withheld" : "refused";
}

std::string coloured(std::string_view text, const TextStyle& style, bool audit) {
  if (!style.colour) return std::string(text);
  return (audit ? "\x1b[33m" : "\x1b[31m") + std::string(text) + "\x1b[0m";
}

std::string reached_text(const std::vector<ReachedName>& reached) {
  constexpr std::size_t kShown = 3;
  if (reached.empty()) return "reached no name";
  std::string out = "reached " + counted(reached.size(), "name") + " (";
  for (std::size_t i = 0; i < reached.size() && i < kShown; ++i) {
    const ReachedName& name = reached[i];
    if (i != 0) out += "; ";
    out += escape_for_display(name.name);
    const auto& ranges = name.ports.ranges();
    if (ranges.size() == 1 && ranges[0].protocol == Protocol::kTcp && ranges[0].first == ranges[0].last) {
      out += ":" + std::to_string(ranges[0].first.number);
    }
    out += ", " + counted(name.connects, "connect");
  }
  if (reached.size() > kShown) out += "; " + std::to_string(reached.size() - kShown) + " more";
  return out + ")";
}

}  // namespace

std::string_view word_of(Hook hook) {
  switch (hook) {
    case Hook::kConnect:
      return "connect";
    case Hook::kSend:
      return "send";
    case Hook::kQuestion:
      return "lookup";
    case Hook::kAnswer:
      return "answer";
    case Hook::kPacket:
      return "packet";
    case Hook::kSocket:
      return "socket";
    case Hook::kBind:
      return "bind";
    case Hook::kInbound:
      return "inbound";
  }
  return "unknown";
}

std::string protocol_name(std::uint8_t ip_protocol) {
  switch (ip_protocol) {
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return "icmp";
    default:
      return std::to_string(ip_protocol);
  }
}

std::string target_of(const Event& event) {
  const std::string name = escape_for_display(event.name);
  if (event.hook == Hook::kSocket) return "protocol " + protocol_name(event.ip_protocol);
  if (event.hook == Hook::kQuestion || event.hook == Hook::kAnswer) {
    return !name.empty() ? name : "question to " + address_and_port(event.address, event.port);
  }
  const std::string protocol = protocol_name(event.ip_protocol);
  if (protocol == "icmp")
    return name.empty() ? event.address.to_string() + "/icmp" : name + "/icmp (" + event.address.to_string() + ")";
  if (name.empty()) return address_and_port(event.address, event.port) + "/" + protocol;
  return name + ":" + std::to_string(event.port.number) + "/" + protocol + " (" + event.address.to_string() + ")";
}

std::string start_line(const RunStart& start) {
  std::string out = std::string(kPrefix) + (start.image.mode == Mode::kAudit ? "auditing " : "enforcing ");
  out += escape_for_display(start.workload) + " as uid " + std::to_string(start.uid) + ": ";
  out += counted(start.policy.allow.size() + start.policy.deny.size(), "rule") +
         (start.image.learn == Learn::kProxy ? ", dns by proxy, " : ", dns in kernel, ");
  out += start.image.resolvers.size() == 1 ? "resolver " : "resolvers ";
  if (start.image.resolvers.empty()) out += "none";
  for (std::size_t i = 0; i < start.image.resolvers.size(); ++i) {
    const ResolverAddress& resolver = start.image.resolvers[i];
    if (i != 0) out += " ";
    out += resolver.port == Port{53} ? resolver.address.to_string() : address_and_port(resolver.address, resolver.port);
  }
  switch (start.image.loopback) {
    case Loopback::kNone:
      return out + ", loopback none";
    case Loopback::kOwn:
      return out + ", loopback own";
    case Loopback::kAny:
      break;
  }
  return out + ", loopback any";
}

std::string refusal_line(const Event& event, const TextStyle& style) {
  const std::string_view outcome = outcome_of(event);
  std::string out = "  " + target_of(event) + "  " + std::string(word_of(event.hook)) + "  " + process_of(event) + "  ";
  std::string reason = reason_of(event);
  const std::string permit = permit_of(event, style);
  const std::string head = std::string(kPrefix) + coloured(outcome, style, event.audit);
  if (permit.empty()) return head + out + reason;
  const std::size_t padding = reason.size() < kReasonWidth ? kReasonWidth - reason.size() : 0;
  const std::size_t length = kPrefix.size() + outcome.size() + out.size() + reason.size() + padding + 2 + permit.size();
  if (style.columns != 0 && length > style.columns) return head + out + reason + "\n            " + permit;
  return head + out + reason + std::string(padding + 2, ' ') + permit;
}

std::vector<std::string> repeat_lines(const RefusalTally& tally) {
  std::vector<std::string> out;
  if (tally.targets() < 2) return out;  // the summary's count says it
  std::size_t hidden = 0;
  for (const Refusal& entry : tally.entries()) {
    if (entry.quic || entry.count < 2) continue;
    if (out.size() == kMaxRepeatLines) {
      ++hidden;
      continue;
    }
    out.push_back(std::string(kPrefix) + "x" + std::to_string(entry.count) + "  " + target_of(entry.first) + "  " +
                  std::string(word_of(entry.first.hook)) + "  " + reason_of(entry.first));
  }
  if (hidden != 0)
    out.push_back(std::string(kPrefix) + "... and " + std::to_string(hidden) + " more targets, repeatedly");
  return out;
}

std::string summary_line(const RunSummary& summary, const RefusalTally& tally) {
  std::string out = std::string(kPrefix) + "done, exit " + std::to_string(summary.exit_code) + ". ";
  out += reached_text(summary.reached) + ", " + (summary.audit ? "would refuse " : "refused ");
  if (tally.targets() == 0) {
    out += "nothing";
  } else {
    out += std::to_string(tally.targets());
    if (tally.total() > tally.targets()) out += " (x" + std::to_string(tally.total()) + ")";
  }
  if (tally.quic_total() != 0) out += ", quic x" + std::to_string(tally.quic_total());
  out += ".";
  if (!summary.saved_to.empty()) out += " Saved: " + escape_for_display(summary.saved_to);
  if (!summary.save_hint.empty()) out += " Keep: --save " + escape_for_display(summary.save_hint);
  return out;
}

std::string losses_line(const EventLosses& losses) {
  if (!losses.any()) return {};
  std::string out;
  const auto add = [&out](std::uint64_t count, std::string_view what) {
    if (count == 0) return;
    out += (out.empty() ? "" : ", ") + std::to_string(count) + " " + std::string(what);
  };
  add(losses.by_rate, "left out by the event rate");
  add(losses.by_ring, "lost in a full ring");
  add(losses.by_tally, "beyond the list of targets");
  add(losses.by_sink, "not written to --events, which was full or slow");
  return std::string(kPrefix) + "events: " + out + ". Counters are complete.";
}

}  // namespace namewall::agent
