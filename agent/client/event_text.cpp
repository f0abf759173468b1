#include "agent/client/event_text.h"

#include "agent/client/phrase.h"
#include "agent/client/table.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

Tone tone_of_kind(const std::string& kind) {
  if (kind == "refused") return Tone::kBad;
  return kind == "notice" ? Tone::kFaint : Tone::kWarning;
}

std::string program_of(const EventView& event) {
  if (event.pid == 0) return {};
  return escape_for_display(event.command) + "(" + std::to_string(event.pid) + ")";
}

std::string indented(const std::string& text, const Screen& screen) {
  std::string out;
  for (const std::string& line : wrap("    " + text, screen.width, 6)) out += line + "\n";
  return out;
}

}  // namespace

std::string target_of(const EventView& event) {
  const bool is_v6 = event.address.find(':') != std::string::npos;
  const std::string port = event.port == 0 ? "" : ":" + std::to_string(event.port);
  const std::string address = (is_v6 && !port.empty() ? "[" + event.address + "]" : event.address) + port;
  if (event.name.empty()) return escape_for_display(address);
  if (event.address.empty()) return escape_for_display(event.name + port);
  return escape_for_display(address) + " (" + escape_for_display(event.name) + ")";
}

std::string event_text(const EventView& event, const Screen& screen) {
  std::string out;
  if (event.left_out != 0) {
    out += indented(phrase_count(event.left_out, "event of ", "events of ") + escape_for_display(event.workload) +
                        " before this one " + (event.left_out == 1 ? "was" : "were") + " left out",
                    screen);
  }
  std::string line = clock_of(escape_for_display(event.time));
  const std::size_t hanging = line.size() + 2;
  for (const std::string& part : {escape_for_display(event.workload), escape_for_display(event.kind), target_of(event),
                                  escape_for_display(event.protocol), escape_for_display(event.hook), program_of(event),
                                  escape_for_display(event.sentence.empty() ? event.reason : event.sentence)}) {
    if (!part.empty()) line += "  " + part;
  }
  bool is_first = true;
  for (std::string& each : wrap(line, screen.width, hanging)) {
    if (is_first) {
      const std::string kind = " " + escape_for_display(event.kind) + " ";
      const std::size_t at = each.find(kind, hanging);
      if (at != std::string::npos) {
        each = each.substr(0, at) + paint(screen, tone_of_kind(event.kind), kind) + each.substr(at + kind.size());
      }
      is_first = false;
    }
    out += each + "\n";
  }
  if (!event.rule.empty()) out += indented("by " + escape_for_display(event.rule), screen);
  if (!event.permit.empty()) out += indented("to permit it: allow " + quote_for_display(event.permit), screen);
  return out;
}

}  // namespace namewall::agent
