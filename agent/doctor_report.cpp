#include "agent/doctor_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "policy/escape.h"

namespace namewall::agent {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kColumns = 80;
constexpr std::size_t kStateWidth = 9;
constexpr std::size_t kIdWidth = 23;

std::string_view word_of(DoctorCheck::State state) {
  switch (state) {
    case DoctorCheck::State::kHolds:
      return "holds";
    case DoctorCheck::State::kMissing:
      return "MISSING";
    case DoctorCheck::State::kOptional:
      break;
  }
  return "optional";
}

std::string_view word_of(WayAround::State state) {
  switch (state) {
    case WayAround::State::kClosed:
      return "closed";
    case WayAround::State::kOpen:
      return "OPEN";
    case WayAround::State::kAbsent:
      break;
  }
  return "absent";
}

std::string lower(std::string_view word) {
  std::string out(word);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.resize(width, ' ');
  return text;
}

// `head`, then the words of `text` in what is left of 80 columns, every further line indented as far as the first.
std::string wrapped(const std::string& head, std::string_view text) {
  std::string out = head;
  const std::size_t indent = head.size();
  std::size_t column = indent;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    if (column > indent && column + 1 + space > kColumns) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      out += ' ';
      ++column;
    }
    out += text.substr(0, space);
    column += space;
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out + "\n";
}

std::string row(std::string_view state, const std::string& id, std::string_view sentence) {
  return wrapped("  " + padded(std::string(state), kStateWidth) + padded(id, kIdWidth) + " ", sentence);
}

std::string verdict_line(const DoctorReport& report) {
  std::string ids;
  for (const DoctorCheck& check : report.checks) {
    if (check.state == DoctorCheck::State::kMissing) ids += (ids.empty() ? "" : ", ") + check.id;
  }
  if (ids.empty()) return "ready: `namewall run` has all that it needs\n";
  return wrapped("NOT READY: ", "`namewall run` needs what is missing here: " + ids);
}

}  // namespace

bool DoctorReport::is_ready() const {
  return std::none_of(checks.begin(), checks.end(),
                      [](const DoctorCheck& check) { return check.state == DoctorCheck::State::kMissing; });
}

std::string to_table(const DoctorReport& report) {
  std::string out;
  std::string group;
  for (const DoctorCheck& check : report.checks) {
    if (check.group != group) out += check.group + "\n";
    group = check.group;
    out += row(word_of(check.state), check.id, check.sentence);
  }
  out += "ways around\n";
  for (const WayAround& way : report.ways_around) out += row(word_of(way.state), way.id, way.sentence);
  out += "programs of others on the path\n";
  if (report.foreign_programs.empty()) out += "  none\n";
  for (const ForeignProgram& program : report.foreign_programs) {
    const std::string name = program.name.empty() ? "(name unknown)" : escape_for_display(program.name);
    out +=
        row(program.is_ours ? "namewall" : "foreign", program.hook, name + ", program " + std::to_string(program.id));
  }
  return out + verdict_line(report);
}

std::string to_json(const DoctorReport& report) {
  Json checks = Json::array();
  for (const DoctorCheck& check : report.checks) {
    checks.push_back({{"group", check.group},
                      {"id", check.id},
                      {"state", lower(word_of(check.state))},
                      {"sentence", escape_for_display(check.sentence)}});
  }
  Json ways = Json::array();
  for (const WayAround& way : report.ways_around) {
    ways.push_back(
        {{"id", way.id}, {"state", lower(word_of(way.state))}, {"sentence", escape_for_display(way.sentence)}});
  }
  Json programs = Json::array();
  for (const ForeignProgram& program : report.foreign_programs) {
    programs.push_back({{"hook", program.hook},
                        {"id", program.id},
                        {"name", program.name.empty() ? Json(nullptr) : Json(escape_for_display(program.name))},
                        {"ours", program.is_ours}});
  }
  return Json{{"ready", report.is_ready()},
              {"checks", std::move(checks)},
              {"ways_around", std::move(ways)},
              {"programs_on_path", std::move(programs)}}
      .dump();
}

}  // namespace namewall::agent
