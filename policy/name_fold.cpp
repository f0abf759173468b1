#include "policy/name_fold.h"

#include <algorithm>
#include <iterator>

#include "policy/label_glob.h"

namespace namewall {
namespace {

constexpr std::size_t kMaxGlobs = 65536;

std::string name_rule(const Rule& rule) { return rule.origin.to_string() + ": `" + rule.endpoint.text + "`"; }

// "a.b.c" -> "b.c", ..., "c", "": the proper suffixes, longest first. None of the root.
std::vector<std::string> proper_suffixes(const std::string& name) {
  std::vector<std::string> suffixes;
  if (name.empty()) return suffixes;
  for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    suffixes.push_back(name.substr(dot + 1));
  }
  suffixes.emplace_back();
  return suffixes;
}

// Whether the glob can match a name that lies under `suffix`, at any depth. The labels are compared from the right.
bool can_match_under(const NamePattern& pattern, const std::string& suffix) {
  std::vector<std::string_view> wanted = split_labels(pattern.text());
  const std::vector<std::string_view> found = split_labels(suffix);
  if (pattern.is_any_depth()) {
    wanted.erase(wanted.begin());
  } else if (wanted.size() <= found.size()) {
    return false;
  }
  const std::size_t compared = std::min(wanted.size(), found.size());
  return std::equal(wanted.rbegin(), wanted.rbegin() + static_cast<std::ptrdiff_t>(compared), found.rbegin(),
                    label_glob_matches);
}

}  // namespace

void NameFold::add_pattern(const NamePattern& pattern, const NameMasks& masks, const Rule& rule) {
  if (pattern.is_exact()) {
    Own& node = own(pattern.text());
    node.is_exact = true;
    node.exact |= masks;
    return;
  }
  Own& node = own(pattern.literal_suffix());
  node.is_below = true;
  if (pattern.is_plain_wildcard()) {
    node.below[0] |= masks;
    if (pattern.is_any_depth()) node.below[1] |= masks;
    return;
  }
  const auto [known, is_new] = glob_by_text_.emplace(pattern.text(), globs_.size());
  if (is_new) {
    globs_.push_back({{pattern, {}}, &rule});
    node.globs.push_back(known->second);
  }
  globs_[known->second].glob.masks |= masks;
}

void NameFold::add_every_name(const NameMasks& masks) {
  Own& root = own("");
  root.is_below = true;
  root.below[0] |= masks;
  root.below[1] |= masks;
}

const NameFold::Own* NameFold::find(const std::string& name) const {
  const auto found = own_.find(name);
  return found == own_.end() ? nullptr : &found->second;
}

NameNode NameFold::fold_exact(const std::string& name, const Own& own) const {
  NameNode node{.name = name, .is_below = false, .masks = {own.exact, {}}, .globs = {}};
  const DomainName whole = DomainName::from_normal(name);
  bool is_parent = true;
  for (const std::string& suffix : proper_suffixes(name)) {
    if (const Own* ancestor = find(suffix)) {
      node.masks[0] |= ancestor->below[is_parent ? 0 : 1];
      for (const std::size_t index : ancestor->globs) {
        const Glob& glob = globs_[index].glob;
        if (glob.pattern.matches(whole)) node.masks[0] |= glob.masks;
      }
    }
    is_parent = false;
  }
  return node;
}

NameNode NameFold::fold_below(const std::string& name, const Own& own) const {
  NameNode node{.name = name, .is_below = true, .masks = own.below, .globs = {}};
  std::vector<std::size_t> globs = own.globs;
  for (const std::string& suffix : proper_suffixes(name)) {
    const Own* ancestor = find(suffix);
    if (ancestor == nullptr) continue;
    for (NameMasks& masks : node.masks) masks |= ancestor->below[1];
    std::copy_if(ancestor->globs.begin(), ancestor->globs.end(), std::back_inserter(globs),
                 [&](std::size_t index) { return can_match_under(globs_[index].glob.pattern, name); });
  }
  std::sort(globs.begin(), globs.end());
  for (const std::size_t index : globs) node.globs.push_back(static_cast<std::uint16_t>(index));
  return node;
}

Result<void> NameFold::fold_into(PolicyImage& image) const {
  if (globs_.size() > kMaxGlobs) {
    return fail(ErrorKind::kLimit, name_rule(*globs_[kMaxGlobs].rule) +
                                       " is one too many: a policy has at most 65536 patterns with inner wildcards");
  }
  image.globs.clear();
  for (const OwnGlob& glob : globs_) image.globs.push_back(glob.glob);
  std::vector<const std::pair<const std::string, Own>*> sorted;
  for (const auto& entry : own_) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  image.names.clear();
  image.names.reserve(sorted.size());
  for (const auto* entry : sorted) {
    const auto& [name, own] = *entry;
    if (own.is_exact) image.names.push_back(fold_exact(name, own));
    if (own.is_below) image.names.push_back(fold_below(name, own));
  }
  return {};
}

std::string NameFold::describe_crowd(const PolicyImage& image) const {
  const auto crowded = std::find_if(image.names.begin(), image.names.end(),
                                    [](const NameNode& node) { return node.globs.size() > kMaxGlobsPerNode; });
  if (crowded == image.names.end()) return "";
  const std::string place = crowded->name.empty() ? "the root" : "`" + crowded->name + "`";
  return "the kernel matches at most 16 patterns with inner wildcards under " + place + ", and " +
         name_rule(*globs_[crowded->globs[kMaxGlobsPerNode]].rule) + " is one more";
}

}  // namespace namewall
