#include "agent/import_kubernetes.h"

#include <algorithm>
#include <map>
#include <optional>

#include "agent/import_document.h"
#include "agent/kubernetes_rules.h"

namespace namewall::agent {

namespace {

constexpr std::int64_t kMaxPriority = 1'000'000;

// Where an object of ordered rules stands among others: the lower is asked first.
struct Place {
  bool is_baseline = false;
  std::int64_t priority = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

class KubernetesImport {
 public:
  KubernetesImport(ImportDocument& document, const ObjectImportOptions& options)
      : document_(document), options_(options) {}

  void import(const ImportObject& object) {
    const bool is_plain = object.kind == "NetworkPolicy";
    const bool is_ordered = object.kind == "ClusterNetworkPolicy" || object.kind == "AdminNetworkPolicy" ||
                            object.kind == "BaselineAdminNetworkPolicy";
    if (!is_plain && !is_ordered) {
      return refuse_kind(document_, object,
                         "NetworkPolicy, ClusterNetworkPolicy, AdminNetworkPolicy or BaselineAdminNetworkPolicy");
    }
    document_.read_fields(object.root,
                          {{"apiVersion", {}}, {"kind", {}}, {"metadata", {}}, {"status", {}}, {"spec", {}}});
    const auto spec = field_of(object.root, "spec");
    if (!spec) return document_.refuse(object.root, "it has no `spec`");
    read_subject(*spec, is_plain ? "podSelector" : "subject", object.name_space);
    if (is_plain) {
      has_plain_ = true;
      import_network_policy(document_, *spec);
    } else {
      read_ordered(*spec, object.kind == "BaselineAdminNetworkPolicy");
    }
    if (has_plain_ && !ordered_.empty()) {
      document_.refuse(object.root, "a NetworkPolicy and ordered rules in one import: take one of them with --name");
    }
  }

  void finish(const ImportNode& root) {
    if (ordered_.empty()) return;
    std::vector<OrderedRule> rules;
    for (auto& [place, some] : ordered_) rules.insert(rules.end(), some.begin(), some.end());
    const auto accepts = [](const OrderedRule& rule) { return rule.accepts; };
    if (std::none_of(rules.begin(), rules.end(), accepts) && document_.policy().ok()) {
      document_.refuse(root,
                       "no rule accepts anything; namewall closes what no rule accepts, and Kubernetes leaves it to "
                       "other policies");
    }
    import_ordered_rules(document_, rules, options_.permits_private);
    if (!ends_in_denial(rules)) {
      document_.note(root,
                     "what no rule matches is left to other policies there, and open at last; here it is refused");
    }
    const auto has_name = [](const OrderedRule& rule) {
      return std::any_of(rule.peers.begin(), rule.peers.end(),
                         [](const OrderedRule::Peer& peer) { return std::holds_alternative<NamePattern>(peer.host); });
    };
    if (!options_.permits_private && std::any_of(rules.begin(), rules.end(), has_name)) {
      document_.note(root, "names whose addresses are private open nothing; `--private` has them opened (?private)");
    }
  }

 private:
  // Which pods a policy holds is not about reach, and `cgroup` says it here: but all must be of the same pods.
  void read_subject(const ImportNode& spec, std::string_view key, const std::string& name_space) {
    const auto subject = field_of(spec, key);
    const ConfigNode none;
    const ConfigNode& value = subject ? *subject->value : none;
    if (subject_ && (!is_same_value(*subject_, value) || subject_name_space_ != name_space)) {
      return document_.refuse(subject ? *subject : spec,
                              "it selects other pods than the policy before it: import one of them with --name");
    }
    const bool is_first = !subject_;
    subject_ = value;
    subject_name_space_ = name_space;
    const std::string labels = describe_selector(value);
    if (is_first && !labels.empty()) {
      document_.note(*subject,
                     "it selects pods by " + labels + "; here `cgroup`, or `namewall run`, says whom it holds");
    }
  }

  void read_ordered(const ImportNode& spec, bool is_baseline) {
    Place place{is_baseline, 0};
    std::vector<OrderedRule> rules;
    document_.read_fields(
        spec,
        {{"subject", {}},
         {"tier",
          [&](const ImportNode& node) {
            const std::string tier = document_.read_text(node).value_or("");
            place.is_baseline = tier == "Baseline";
            if (tier != "Admin" && tier != "Baseline") document_.refuse(node, "accepted: Admin or Baseline");
          }},
         {"priority",
          [&](const ImportNode& node) { place.priority = document_.read_integer(node, 0, kMaxPriority).value_or(0); }},
         {"ingress", [&](const ImportNode& node) { refuse_ingress(document_, node); }},
         {"egress", [&](const ImportNode& node) { rules = read_ordered_egress(document_, node); }}});
    if (!field_of(spec, "ingress")) note_open_ingress(document_, spec);
    if (!ordered_.try_emplace(place, std::move(rules)).second) {
      document_.refuse(spec, "another policy has the same priority: which of them decides is not defined");
    }
  }

  ImportDocument& document_;
  const ObjectImportOptions& options_;
  std::optional<ConfigNode> subject_;
  std::string subject_name_space_;
  std::map<Place, std::vector<OrderedRule>> ordered_;
  bool has_plain_ = false;
};

}  // namespace

ImportedPolicy import_kubernetes(const ImportInput& input, const ObjectImportOptions& options) {
  return import_objects(input, options.name, [&](ImportDocument& document, const std::vector<ImportObject>& objects) {
    KubernetesImport import(document, options);
    for (const ImportObject& object : objects) import.import(object);
    import.finish(objects.front().root);
  });
}

void add_import_kubernetes(CLI::App& import, int& exit_code) {
  add_object_import(import, "k8s", "The egress of ClusterNetworkPolicy, AdminNetworkPolicy and NetworkPolicy",
                    import_kubernetes, exit_code);
}

}  // namespace namewall::agent
