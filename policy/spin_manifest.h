// What of a Spin manifest (spin.toml, versions 1 and 2) is about the network: the components with their lists, and the
// variables that the lists may use. Everything else in it is Spin's business and not read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/loaded.h"
#include "policy/spin_template.h"

namespace namewall {

struct SpinManifestEntry {
  std::string text;  // of allowed_outbound_hosts, or what Spin makes of an older key
  Position position;
  std::string made_from = {};  // "`example.com` of allowed_http_hosts", "a manifest of version 1 ..."; "": as written
  bool is_implied = false;     // a database of a manifest of version 1 that does not say which
};

struct SpinComponent {
  std::string id;
  Position position;
  std::vector<SpinManifestEntry> entries;  // in Spin's order
};

struct SpinManifest {
  std::string application;
  std::vector<SpinComponent> components;  // those inside of triggers, too, by the ids that Spin gives them
  std::vector<std::string> variables;     // every one that is declared, sorted
  SpinVariables defaults;                 // of those that have one

  std::vector<std::string> component_ids() const;
};

Loaded<SpinManifest> read_spin_manifest(std::string_view text, std::string_view file_name);

// The id that Spin gives a component of version 1: "My_API" becomes "my-api".
std::string spin_component_id(std::string_view written);

}  // namespace namewall
