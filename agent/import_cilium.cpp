#include "agent/import_cilium.h"

#include <optional>

#include "agent/cilium_rules.h"
#include "agent/import_document.h"
#include "agent/yaml_tree.h"

namespace namewall::agent {
namespace {

bool is_cilium_policy(std::string_view kind) {
  return kind == "CiliumNetworkPolicy" || kind == "CiliumClusterwideNetworkPolicy";
}

class CiliumImport {
 public:
  CiliumImport(ImportDocument& document, const ObjectImportOptions& options) : document_(document), options_(options) {}

  void import(const ImportObject& object) {
    name_space_ = object.name_space;
    document_.read_fields(object.root, {{"apiVersion", {}},
                                        {"kind", {}},
                                        {"metadata", {}},
                                        {"status", {}},
                                        {"spec", [&](const ImportNode& node) { import_spec(node); }},
                                        {"specs", [&](const ImportNode& node) {
                                           for (const ImportNode& spec : document_.read_list(node)) import_spec(spec);
                                         }}});
    if (!field_of(object.root, "spec") && !field_of(object.root, "specs")) {
      document_.refuse(object.root, "it has neither `spec` nor `specs`");
    }
  }

  void finish(const ImportNode& root) {
    ImportedPolicy& policy = document_.policy();
    if (dns_.has_names && !dns_.has_dns_rules) {
      document_.note(root, "no rule has `rules.dns`: Cilium would learn no address of these names; namewall does");
    }
    if (dns_.has_names && !options_.permits_private) {
      document_.note(root, "names whose addresses are private open nothing; `--private` has them opened (?private)");
    }
    if (!dns_.asks_cluster) policy.resolvers = dns_.servers;
    if (dns_.asks_cluster && !dns_.servers.empty()) {
      policy.resolvers = dns_.servers;
      policy.resolvers.insert(policy.resolvers.begin(), "system");
    }
  }

 private:
  void import_spec(const ImportNode& spec) {
    document_.read_fields(
        spec, {{"description", {}},
               {"labels", {}},
               {"log", {}},
               {"endpointSelector", [&](const ImportNode& node) { read_selector(node); }},
               {"nodeSelector",
                [&](const ImportNode& node) {
                  document_.refuse(node, "it holds whole nodes; namewall holds cgroups: their policies, or host.toml");
                }},
               {"enableDefaultDeny", [&](const ImportNode& node) { read_default(node); }},
               {"ingress", [&](const ImportNode& node) { read_ingress(node); }},
               {"ingressDeny", [&](const ImportNode& node) { read_ingress(node); }},
               {"egress", [&](const ImportNode& node) { read_rules(node, EndpointUse::kAllow); }},
               {"egressDeny", [&](const ImportNode& node) { read_rules(node, EndpointUse::kDeny); }}});
    const auto egress = field_of(spec, "egress");
    const auto deny = field_of(spec, "egressDeny");
    const bool is_held = (egress && !egress->value->items.empty()) || (deny && !deny->value->items.empty());
    if (!is_held) {
      document_.refuse(spec,
                       "it has no rule of egress, which leaves every destination open; namewall closes what no "
                       "rule names");
    }
    if (!field_of(spec, "ingress") && !field_of(spec, "ingressDeny")) {
      document_.note(spec, "it leaves connections from outside open; namewall lets in what `listen` names, so nothing");
    }
  }

  // Which pods a policy holds is not about reach, and `cgroup` says it here: but all must be of the same pods.
  void read_selector(const ImportNode& node) {
    if (selector_ && (!is_same_value(*selector_, *node.value) || selector_name_space_ != name_space_)) {
      document_.refuse(node, "it selects other pods than the policy before it: import one of them with --name");
      return;
    }
    const bool is_first = selector_ == nullptr;
    selector_ = node.value;
    selector_name_space_ = name_space_;
    const std::string labels = describe_selector(*node.value);
    if (is_first && !labels.empty()) {
      document_.note(node, "it selects pods by " + labels + "; here `cgroup`, or `namewall run`, says whom it holds");
    }
  }

  void read_default(const ImportNode& node) {
    document_.read_fields(node, {{"egress",
                                  [&](const ImportNode& value) {
                                    if (!document_.read_boolean(value).value_or(true)) {
                                      document_.refuse(value, "namewall always closes what no rule names");
                                    }
                                  }},
                                 {"ingress", [&](const ImportNode& value) { (void)document_.read_boolean(value); }}});
  }

  void read_ingress(const ImportNode& node) {
    for (const ImportNode& rule : document_.read_list(node)) {
      if (rule.value->kind == ConfigNode::Kind::kTable && rule.value->entries.empty()) continue;  // nothing comes in
      document_.refuse(rule, "who may connect from outside is not part of a policy: `listen` opens ports to everybody");
    }
  }

  void read_rules(const ImportNode& list, EndpointUse use) {
    for (const ImportNode& rule : document_.read_list(list)) {
      import_cilium_rule(document_, rule, use, options_.permits_private, dns_);
    }
  }

  ImportDocument& document_;
  const ObjectImportOptions& options_;
  CiliumDns dns_;
  const ConfigNode* selector_ = nullptr;
  std::string name_space_, selector_name_space_;
};

}  // namespace

ImportedPolicy import_cilium(const ImportInput& input, const ObjectImportOptions& options) {
  return import_objects(input, options.name, [&](ImportDocument& document, const std::vector<ImportObject>& objects) {
    CiliumImport import(document, options);
    std::size_t imported = 0;
    for (const ImportObject& object : objects) {
      if (is_cilium_policy(object.kind)) {
        import.import(object);
        ++imported;
      } else {
        refuse_kind(document, object, "CiliumNetworkPolicy or CiliumClusterwideNetworkPolicy");
      }
    }
    if (imported > 0) import.finish(objects.front().root);
  });
}

void add_import_cilium(CLI::App& import, int& exit_code) {
  add_object_import(import, "cilium", "The egress of CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy",
                    import_cilium, exit_code);
}

}  // namespace namewall::agent
