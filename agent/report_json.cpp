#include "agent/report_json.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "agent/report_text.h"
#include "policy/escape.h"
#include "policy/permit.h"

namespace namewall::agent {
namespace {

using Json = nlohmann::ordered_json;

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(escape_for_display(text)); }

Json permit_or_null(const Event& event) {
  const auto endpoint = endpoint_that_permits(event);
  return endpoint ? Json(*endpoint) : Json(nullptr);
}

bool has_address(const Event& event) { return event.hook != Hook::kSocket; }

Json refusal_to_json(const Refusal& refusal) {
  const Event& event = refusal.first;
  return {{"hook", word_of(event.hook)},
          {"reason", refusal.quic ? "quic" : code_of(event.reason)},
          {"audit", event.audit},
          {"protocol", protocol_name(event.ip_protocol)},
          {"address", has_address(event) ? Json(event.address.to_string()) : Json(nullptr)},
          {"port", event.port.number},
          {"name", text_or_null(event.name)},
          {"count", refusal.count},
          {"permit", permit_or_null(event)}};
}

}  // namespace

std::string rfc3339_utc(Nanoseconds since_epoch) {
  const auto microseconds = std::chrono::floor<std::chrono::microseconds>(since_epoch).count();
  std::time_t seconds = microseconds / 1'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char date[64];
  const std::size_t length = std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  std::string fraction = std::to_string(microseconds % 1'000'000);
  return std::string(date, length) + "." + std::string(6 - fraction.size(), '0') + fraction + "Z";
}

std::string event_to_json(const Event& event, const std::string& workload, Nanoseconds utc_at_boot, bool quic) {
  const Json json = {
      {"time", rfc3339_utc(event.time.since_boot + utc_at_boot)},
      {"boot_ns", event.time.since_boot.count()},
      {"workload", escape_for_display(workload)},
      {"workload_id", event.workload_id},
      {"generation", event.policy_generation},
      {"hook", word_of(event.hook)},
      {"reason", quic ? "quic" : code_of(event.reason)},
      {"audit", event.audit},
      {"protocol", protocol_name(event.ip_protocol)},
      {"address", has_address(event) ? Json(event.address.to_string()) : Json(nullptr)},
      {"port", event.port.number},
      {"name", text_or_null(event.name)},
      {"question_type", event.question_type == 0 ? Json(nullptr) : Json(event.question_type)},
      {"expired_for_ns", event.expired_for_ns == 0 ? Json(nullptr) : Json(event.expired_for_ns)},
      {"process", event.pid == 0
                      ? Json(nullptr)
                      : Json{{"pid", event.pid}, {"uid", event.uid}, {"command", escape_for_display(event.command)}}},
      {"permit", permit_or_null(event)},
      {"left_out", event.left_out},
  };
  return json.dump();
}

std::string summary_to_json(const RunSummary& summary, const RefusalTally& tally) {
  Json reached = Json::array();
  for (const ReachedName& name : summary.reached) {
    reached.push_back(
        {{"name", escape_for_display(name.name)}, {"ports", name.ports.to_string()}, {"connects", name.connects}});
  }
  Json granted = Json::array();
  for (const GrantedAddress& grant : summary.granted) {
    const auto left =
        grant.left ? Json(std::chrono::floor<std::chrono::milliseconds>(*grant.left).count()) : Json(nullptr);
    granted.push_back({{"name", escape_for_display(grant.name)},
                       {"address", grant.address.to_string()},
                       {"ports", grant.ports.to_string()},
                       {"left_ms", left},
                       {"connects", grant.connects}});
  }
  Json refused = Json::array();
  for (const Refusal& refusal : tally.entries()) refused.push_back(refusal_to_json(refusal));
  const Json json = {
      {"workload", escape_for_display(summary.workload)},
      {"exit_code", summary.exit_code},
      {"mode", summary.audit ? "audit" : "enforce"},
      {"reached", std::move(reached)},
      {"grants", std::move(granted)},
      {"refused_targets", tally.targets()},
      {"refused_total", tally.total()},
      {"quic_total", tally.quic_total()},
      {"refused", std::move(refused)},
      {"events_lost",
       {{"by_rate", summary.losses.by_rate},
        {"by_ring", summary.losses.by_ring},
        {"by_tally", summary.losses.by_tally},
        {"by_sink", summary.losses.by_sink}}},
      {"saved_to", text_or_null(summary.saved_to)},
  };
  return json.dump();
}

}  // namespace namewall::agent
