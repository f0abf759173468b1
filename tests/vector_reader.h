// Files of recorded facts ("vectors"), each kind with its own reader. A further kind is one more reader in
// kVectorReaders (conformance.cpp).
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "policy/result.h"

namespace namewall {

struct VectorOutcome {
  std::size_t passed = 0;
  std::vector<std::string> failures;  // one line each: the entry, what was expected, what came
  std::vector<std::string> notes;     // one line each: what is neither expected nor a failure, and why

  void record(bool matches_expectation, const std::string& failure) {
    if (matches_expectation) {
      ++passed;
    } else {
      failures.push_back(failure);
    }
  }
};

struct VectorReader {
  bool (*recognises)(const nlohmann::json& file);
  // Error (kInvalid): an entry that cannot be read, or that asks for what nobody here knows.
  Result<VectorOutcome> (*run)(const nlohmann::json& file);
};

}  // namespace namewall
