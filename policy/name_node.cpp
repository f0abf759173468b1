#include "policy/name_node.h"

#include <algorithm>
#include <tuple>

namespace namewall {

const NameNode* find_name_node(const PolicyImage& image, std::string_view name, bool is_below) {
  const auto place = [](const NameNode& node) { return std::tuple<std::string_view, bool>(node.name, node.is_below); };
  const std::tuple wanted(name, is_below);
  const auto at = std::lower_bound(image.names.begin(), image.names.end(), wanted,
                                   [&](const NameNode& node, const auto& key) { return place(node) < key; });
  return at != image.names.end() && place(*at) == wanted ? &*at : nullptr;
}

}  // namespace namewall
