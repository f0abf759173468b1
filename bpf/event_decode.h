// A kernel event as a value.
#pragma once

#include <cstddef>
#include <optional>

#include "policy/event.h"

namespace namewall::bpf {

// nullopt: not an event of this version.
std::optional<Event> decode_event(const void* data, std::size_t size);

}  // namespace namewall::bpf
