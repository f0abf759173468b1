// One end of the pair between the daemon and its helper: whole messages with descriptors, nothing else.
#pragma once

#include <span>
#include <vector>

#include "agent/host/helper_protocol.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

template <typename Message>
struct Received {
  Message message{};
  std::vector<FileDescriptor> descriptors;
};

enum class ReceiveOutcome { kMessage, kNothingWaits, kClosed, kMalformed };  // kMalformed: of the wrong size

// Never blocks.
ReceiveOutcome receive_request(int channel, Received<HelperRequest>& request);
ReceiveOutcome receive_answer(int channel, Received<HelperAnswer>& answer);

// Never blocks: kLimit when the other side does not read.
Result<void> send_request(int channel, const HelperRequest& request, std::span<const int> descriptors);
// Blocks while the other side does not read.
Result<void> send_answer(int channel, const HelperAnswer& answer, std::span<const int> descriptors);

}  // namespace namewall::agent
