// The lines that `namewall run` shows. Pure; every string that an attacker chose comes out escaped. Without the line
// end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/refusal_tally.h"
#include "agent/report.h"
#include "agent/run_summary.h"
#include "policy/event.h"

namespace namewall::agent {

struct TextStyle {
  bool colour = false;
  unsigned columns = 0;            // of the terminal: a longer refusal puts its permit on a line of its own; 0: never
  std::string policy_source = {};  // "" when rules came from --allow
};

// "namewall: enforcing run-4121 as uid 1000: 1 rule, dns in kernel, resolver 127.0.0.53, loopback own"
std::string start_line(const RunStart& start);

// "namewall: refused  github.com  lookup  npm(4188)  no rule names it     --allow https://github.com"
std::string refusal_line(const Event& event, const TextStyle& style);

// For refusals that happened more than once, where the summary's one count does not tell it: at most `kMaxRepeatLines`.
inline constexpr std::size_t kMaxRepeatLines = 20;
std::vector<std::string> repeat_lines(const RefusalTally& tally);

// "namewall: done, exit 1. reached 1 name (registry.npmjs.org:443, 38 connects), refused 1 (x6). Keep: --save
// builder.toml"
std::string summary_line(const RunSummary& summary, const RefusalTally& tally);

// One line about events that were left out or lost; "" when none was.
std::string losses_line(const EventLosses& losses);

// "github.com", "github.com:22/tcp (140.82.121.4)", "192.0.2.7:443/tcp", "[2001:db8::1]:53/udp"
std::string target_of(const Event& event);
// "connect", "send", "lookup", "answer", "packet", "socket", "bind", "inbound": also in --events.
std::string_view word_of(Hook hook);
// "tcp", "udp", "icmp", else the number
std::string protocol_name(std::uint8_t ip_protocol);

}  // namespace namewall::agent
