// libnftables, the baseline: commands as nft(8) reads them, in the network namespace in which it was opened. Only here:
// the product has no libnftables.
#pragma once

#include <memory>
#include <string>

#include "policy/result.h"

namespace namewall::bench {

class TextCommands {
 public:
  static Result<TextCommands> open();  // kUnsupported: built without libnftables
  TextCommands(TextCommands&&) noexcept;
  TextCommands& operator=(TextCommands&&) noexcept;
  ~TextCommands();

  Result<void> run(const std::string& command);

 private:
  struct State;
  explicit TextCommands(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::bench
