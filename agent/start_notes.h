// What `namewall run` says at the start of a command beside its policy: what differs from what its user may expect.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "agent/keep_options.h"

namespace namewall::agent {

struct StartFacts {
  std::string program;  // CMD as given, path or name
  KeepSet keep;
  bool as_root = false;
  bool answers_refusals = true;        // quick answers to refused questions can be sent from here
  std::string proxy_variable;          // that sends the command's traffic through a proxy; "": none
  std::size_t closed_descriptors = 0;  // inherited ones that the command did not get
};

// A sentence each, without "namewall: " before it.
std::vector<std::string> build_start_notes(const StartFacts& facts);

}  // namespace namewall::agent
