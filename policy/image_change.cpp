#include "policy/image_change.h"

#include <algorithm>
#include <map>
#include <set>

#include "policy/duration.h"

namespace namewall {
namespace {

struct Access {
  PortSet ports;
  PortSet private_ports;
  bool may_ask = false;
};

Access access_of(const PolicyImage& image, const NameMasks& masks) {
  const PortMask allow = masks.allow & ~masks.deny;
  return {image.ports_of(allow & kAllPorts), image.ports_of(masks.allow_private & allow & kAllPorts), allow != 0};
}

class Changes {
 public:
  void compare_ports(const std::string& subject, const std::string& prefix, const PortSet& older,
                     const PortSet& newer) {
    add_ports(AccessChange::Kind::kCloses, subject, prefix, older.minus(newer));
    add_ports(AccessChange::Kind::kOpens, subject, prefix, newer.minus(older));
  }

  void compare_access(const std::string& subject, const Access& older, const Access& newer) {
    const bool asks_alone = older.ports.empty() && newer.ports.empty();
    if (asks_alone && older.may_ask != newer.may_ask) {
      add(newer.may_ask ? AccessChange::Kind::kOpens : AccessChange::Kind::kCloses, subject, "ask");
    }
    compare_ports(subject, "", older.ports, newer.ports);
    compare_ports(subject, "private ", older.private_ports, newer.private_ports);
  }

  // What is denied to other rules as well: less denied opens, more denied closes.
  void compare_denies(const std::string& subject, const PolicyImage& older, const NameMasks& before,
                      const PolicyImage& newer, const NameMasks& after) {
    compare_ports(subject, "undenied ", newer.ports_of(after.deny & kAllPorts),
                  older.ports_of(before.deny & kAllPorts));
  }

  void compare_value(const std::string& older, const std::string& newer) {
    if (older == newer) return;
    add(AccessChange::Kind::kCloses, older, "");
    add(AccessChange::Kind::kOpens, newer, "");
  }

  void add(AccessChange::Kind kind, const std::string& subject, const std::string& what) {
    found_.push_back({kind, subject, what});
  }

  std::vector<AccessChange> take() { return std::move(found_); }

 private:
  void add_ports(AccessChange::Kind kind, const std::string& subject, const std::string& prefix, const PortSet& ports) {
    if (!ports.empty()) add(kind, subject, prefix + ports.to_string());
  }

  std::vector<AccessChange> found_;
};

// Which names under a place: those one label below it, or the deeper ones.
enum class Reach { kOneLabel, kDeeper };

std::string describe_place(const std::string& name, Reach reach) {
  if (name.empty()) return reach == Reach::kOneLabel ? "every name of one label" : "every name of more labels";
  return (reach == Reach::kOneLabel ? "*." : "**.") + name;
}

using NodeIndex = std::map<std::pair<std::string, bool>, const NameNode*>;

NodeIndex index_nodes(const PolicyImage& image) {
  NodeIndex index;
  for (const NameNode& node : image.names) index.emplace(std::pair(node.name, node.is_below), &node);
  return index;
}

// What the nodes say of the names one label, or deeper, under `name`: its own below node, else the nearest above it.
// Globs are left out.
struct BelowMatch {
  NameMasks masks;
  bool has_globs = false;
};

BelowMatch match_below(const NodeIndex& index, const std::string& name, Reach reach) {
  if (const auto own = index.find({name, true}); own != index.end()) {
    return {own->second->masks[reach == Reach::kOneLabel ? 0 : 1], !own->second->globs.empty()};
  }
  std::string suffix = name;
  while (!suffix.empty()) {
    const std::size_t dot = suffix.find('.');
    suffix = dot == std::string::npos ? std::string() : suffix.substr(dot + 1);
    const auto above = index.find({suffix, true});
    if (above != index.end()) return {above->second->masks[1], !above->second->globs.empty()};
  }
  return {};
}

Access access_of_name(const PolicyImage& image, const std::string& name) {
  const NameDecision decision = decide_name(image, DomainName::from_normal(name));
  return {image.ports_of(decision.allow & kAllPorts), image.ports_of(decision.allow_private), decision.may_ask()};
}

void compare_names(const PolicyImage& older, const PolicyImage& newer, Changes& changes) {
  const NodeIndex old_nodes = index_nodes(older), new_nodes = index_nodes(newer);
  std::set<std::pair<std::string, bool>> places;
  for (const NodeIndex* index : {&old_nodes, &new_nodes}) {
    for (const auto& [place, node] : *index) places.insert(place);
  }
  for (const auto& [name, is_below] : places) {
    if (!is_below) {
      changes.compare_access(name, access_of_name(older, name), access_of_name(newer, name));
      continue;
    }
    for (const Reach reach : {Reach::kOneLabel, Reach::kDeeper}) {
      const BelowMatch before = match_below(old_nodes, name, reach), after = match_below(new_nodes, name, reach);
      const std::string place = describe_place(name, reach);
      changes.compare_access(place, access_of(older, before.masks), access_of(newer, after.masks));
      if (before.has_globs || after.has_globs) changes.compare_denies(place, older, before.masks, newer, after.masks);
    }
  }
}

void compare_globs(const PolicyImage& older, const PolicyImage& newer, Changes& changes) {
  struct Pair {
    NameMasks older, newer;
  };
  std::map<std::string, Pair> patterns;
  for (const Glob& glob : older.globs) patterns[glob.pattern.text()].older = glob.masks;
  for (const Glob& glob : newer.globs) patterns[glob.pattern.text()].newer = glob.masks;
  for (const auto& [pattern, masks] : patterns) {
    changes.compare_access(pattern, access_of(older, masks.older), access_of(newer, masks.newer));
    changes.compare_denies(pattern, older, masks.older, newer, masks.newer);
  }
}

void compare_addresses(const PolicyImage& older, const PolicyImage& newer, Changes& changes) {
  std::set<Prefix> prefixes;
  for (const PolicyImage* image : {&older, &newer}) {
    for (const AddressNode& node : image->addresses) prefixes.insert(node.prefix);
  }
  for (const Prefix& prefix : prefixes) {
    const AddressDecision before = decide_prefix(older, prefix), after = decide_prefix(newer, prefix);
    const PortSet denied_before = older.ports_of(before.deny | before.host_deny);
    const PortSet denied_after = newer.ports_of(after.deny | after.host_deny);
    changes.compare_ports(prefix.to_string(), "", older.ports_of(before.allow).minus(denied_before),
                          newer.ports_of(after.allow).minus(denied_after));
    // A deny cuts what names would open as well.
    changes.compare_ports(prefix.to_string(), "undenied ", denied_after, denied_before);
  }
}

std::string describe_loopback(Loopback loopback) {
  switch (loopback) {
    case Loopback::kNone:
      return "loopback none";
    case Loopback::kOwn:
      return "loopback own";
    case Loopback::kAny:
      break;
  }
  return "loopback any";
}

void compare_resolvers(const PolicyImage& older, const PolicyImage& newer, Changes& changes) {
  const auto list_missing = [&](const PolicyImage& from, const PolicyImage& in, AccessChange::Kind kind) {
    for (const ResolverAddress& resolver : from.resolvers) {
      if (std::find(in.resolvers.begin(), in.resolvers.end(), resolver) != in.resolvers.end()) continue;
      changes.add(kind, "resolver " + resolver.address.to_string(), "udp/" + std::to_string(resolver.port.number));
    }
  };
  list_missing(older, newer, AccessChange::Kind::kCloses);
  list_missing(newer, older, AccessChange::Kind::kOpens);
}

void compare_lookups(const PolicyImage& older, const PolicyImage& newer, Changes& changes) {
  const auto compare = [&](const auto& describe) { changes.compare_value(describe(older), describe(newer)); };
  compare([](const PolicyImage& image) { return image.learn == Learn::kProxy ? "learn proxy" : "learn kernel"; });
  compare([](const PolicyImage& image) { return image.hints == Hints::kStrip ? "hints strip" : "hints teach"; });
  compare([](const PolicyImage& image) { return image.ech == Ech::kStrip ? "ech strip" : "ech keep"; });
  const auto compare_bound = [&](const std::string& name, std::uint32_t DnsBounds::*bound) {
    compare([&](const PolicyImage& image) { return name + " " + std::to_string(image.bounds.*bound); });
  };
  compare_bound("in_flight", &DnsBounds::in_flight);
  compare_bound("per_second", &DnsBounds::per_second);
  compare_bound("fresh_per_second", &DnsBounds::fresh_per_second);
  compare_bound("connections", &DnsBounds::connections);
  compare([](const PolicyImage& image) { return "idle " + format_duration(image.bounds.idle); });
}

}  // namespace

std::vector<AccessChange> changes_between(const PolicyImage& older, const PolicyImage& newer) {
  Changes changes;
  compare_names(older, newer, changes);
  compare_globs(older, newer, changes);
  compare_addresses(older, newer, changes);
  changes.compare_ports("listen", "", older.ports_of(older.listen), newer.ports_of(newer.listen));
  changes.compare_value(describe_loopback(older.loopback), describe_loopback(newer.loopback));
  changes.compare_value(older.mode == Mode::kAudit ? "mode audit" : "mode enforce",
                        newer.mode == Mode::kAudit ? "mode audit" : "mode enforce");
  compare_resolvers(older, newer, changes);
  compare_lookups(older, newer, changes);
  return changes.take();
}

std::string to_string(const AccessChange& change) {
  const std::string verb = change.kind == AccessChange::Kind::kOpens ? "opens " : "closes ";
  return verb + change.subject + (change.what.empty() ? "" : " " + change.what);
}

}  // namespace namewall
