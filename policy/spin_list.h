// A component's whole list, with templates filled in: what Spin lets the component reach.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.h"
#include "policy/spin_entry.h"
#include "policy/spin_networks.h"
#include "policy/spin_template.h"

namespace namewall {

// One entry of the list: filled in and read, or left out, as Spin leaves out what a variable made empty.
struct SpinListEntry {
  std::string text;                 // with its variables put in
  bool is_template = false;         // it had some
  std::optional<SpinEntry> parsed;  // none: left out
};

// Errors: kNotFound, a variable without a value: its name; kInvalid: what is wrong with the entry.
Result<SpinListEntry> read_spin_list_entry(std::string_view text, const SpinVariables& variables);

// "*.spin.internal" as one literal host per component, anything else as it is.
std::vector<SpinEntry> spell_out_chaining(const SpinEntry& entry, std::span<const std::string> components);

class SpinList {
 public:
  // `components`: the ids that "*.spin.internal" stands for; none: it stays a wildcard. One bad entry is the whole
  // list's error.
  static Result<SpinList> read(std::span<const std::string> texts, const SpinVariables& variables,
                               const std::optional<std::vector<std::string>>& components);

  // `default_scheme` is put before a target that is no URL with a host. A target that cannot be read is denied.
  bool allows(std::string_view target, std::string_view default_scheme) const;
  bool allows_self() const;
  const std::vector<SpinEntry>& entries() const { return entries_; }

  // What keeps an application from starting with only these components: nullopt, or a sentence about the first entry
  // that leads to another one. Templates are left alone.
  static std::optional<std::string> find_lost_chaining(std::span<const std::string> texts,
                                                       std::span<const std::string> started);

 private:
  std::vector<SpinEntry> entries_;
};

// What a component does with a socket of its own.
struct SpinSocketUse {
  bool is_tcp = true;
  enum class Operation { kConnect, kBind, kListen, kAccept, kSend, kReceive } operation = Operation::kConnect;
  std::string target;  // "192.0.2.1:80", "[2001:db8::1]:80": the peer's, of kBind its own
};

enum class SpinSocketVerdict { kAllowed, kNotInList, kBlocked };

// TCP may only connect. UDP is checked for every address, that which it binds to as well.
SpinSocketVerdict judge_spin_socket(const SpinList& list, const SpinNetworks& blocked, const SpinSocketUse& use);

}  // namespace namewall
