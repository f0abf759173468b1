// A YAML or JSON document that is being imported: its values with their paths, and the one place where rules and
// remarks about them go. Pure.
#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/import_command.h"
#include "agent/imported_policy.h"
#include "policy/config_tree.h"
#include "policy/endpoint.h"

namespace namewall::agent {

struct ImportNode {
  const ConfigNode* value = nullptr;
  std::string path;  // "spec.egress[0].toCIDR[1]"
};

// One object of Kubernetes: of a document of its own, or of a list.
struct ImportObject {
  ImportNode root;
  std::string kind, name, name_space;
};

class ImportDocument {
 public:
  // `use` and remarks go to `policy`, which outlives this.
  ImportDocument(std::string file, ImportedPolicy& policy) : file_(std::move(file)), policy_(policy) {}

  ImportedPolicy& policy() { return policy_; }
  void refuse(const ImportNode& node, std::string sentence);
  void refuse_at(Position position, std::string path, std::string sentence);
  void note(const ImportNode& node, std::string sentence);

  // A rule for every protocol of `ports`, which has no ICMP but echo: one endpoint or several.
  void add_rule(EndpointUse use, const ImportNode& from, const Host& host, const PortSet& ports,
                bool permits_private = false);

  // Reads each field by its reader. A field that is null is as good as absent. One that no reader has, or that is
  // there twice, is refused.
  struct Field {
    std::string_view key;
    std::function<void(const ImportNode&)> read;  // none: says nothing about reach
  };
  void read_fields(const ImportNode& table, const std::vector<Field>& fields);

  // Each refuses what is of another kind, and then gives nothing.
  std::vector<ImportNode> read_list(const ImportNode& node);
  std::optional<std::string> read_text(const ImportNode& node);
  std::optional<std::int64_t> read_integer(const ImportNode& node, std::int64_t min, std::int64_t max);
  std::optional<bool> read_boolean(const ImportNode& node);
  // "10.0.0.0/8"; bits behind the length do not count, as in Kubernetes. `is_address_accepted`: "10.0.0.1" too.
  std::optional<Prefix> read_cidr(const ImportNode& node, bool is_address_accepted);

 private:
  std::string file_;
  ImportedPolicy& policy_;
  std::set<std::string> allowed_, denied_;  // endpoints so far
};

ImportNode item_of(const ImportNode& list, std::size_t index);
// The value of `key`; nullopt where it is absent or null, or where `table` is none.
std::optional<ImportNode> field_of(const ImportNode& table, std::string_view key);

bool is_dns_alone(const PortSet& ports);                       // port 53 of TCP or UDP, and nothing else
bool is_same_value(const ConfigNode& a, const ConfigNode& b);  // positions apart
// "app=api,tier=web" of a label selector, "" of one that selects all; its expressions in words.
std::string describe_selector(const ConfigNode& selector);

// Reads the objects of a file, lists unpacked, and hands them over, if there are any: those of this `name`, or all.
// Names the policy after the first. What is wrong with the file is refused.
ImportedPolicy import_objects(const ImportInput& input, const std::string& name,
                              const std::function<void(ImportDocument&, const std::vector<ImportObject>&)>& import);
// `object` is of a kind that its importer does not read; `accepted`: those that it does.
void refuse_kind(ImportDocument& document, const ImportObject& object, std::string_view accepted);

}  // namespace namewall::agent
