#include "bpf/event_decode.h"

#include <algorithm>
#include <cstring>

#include "bpf/abi.h"
#include "bpf/rule_entries.h"

namespace namewall::bpf {

std::optional<Event> decode_event(const void* data, std::size_t size) {
  nw_event raw;
  if (size < sizeof(raw)) return std::nullopt;
  std::memcpy(&raw, data, sizeof(raw));
  if (raw.reason >= NW_REASON_COUNT || raw.hook > NW_HOOK_INBOUND) return std::nullopt;
  Event event;
  event.time = BootTime{Nanoseconds(raw.time)};
  event.workload_id = raw.workload_id;
  event.cgroup_id = raw.cgroup_id;
  event.policy_generation = raw.generation;
  event.hook = static_cast<Hook>(raw.hook);
  event.reason = static_cast<Reason>(raw.reason);
  event.audit = raw.audit != 0;
  event.ip_protocol = raw.ip_protocol;
  event.address = to_address(raw.address);
  event.port = Port{raw.port};
  event.name = name_of(raw.window, raw.name_length);
  event.question_type = raw.question_type;
  event.pid = raw.pid;
  event.uid = raw.uid;
  const auto* command = reinterpret_cast<const char*>(raw.command);
  event.command.assign(command, strnlen(command, sizeof(raw.command)));
  event.left_out = raw.left_out;
  event.expired_for_ns = raw.expired_for;
  event.netns_cookie = raw.netns_cookie;
  event.packet.assign(raw.packet, raw.packet + std::min<std::size_t>(raw.packet_length, sizeof(raw.packet)));
  return event;
}

static_assert(static_cast<int>(Hook::kInbound) == NW_HOOK_INBOUND &&
                  static_cast<int>(Hook::kQuestion) == NW_HOOK_QUESTION,
              "Hook and nw_hook name the same hooks");

}  // namespace namewall::bpf
