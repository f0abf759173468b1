#include "policy/refusal_text.h"

#include <algorithm>
#include <vector>

#include "policy/name_node.h"

namespace namewall {
namespace {

struct Place {
  NameMasks masks;
  std::string pattern;
};

// What the nodes on the way to the name say of it, the broadest first; each has what those before it say. Then the
// globs that match it.
std::vector<Place> places_of(const PolicyImage& image, const DomainName& name) {
  std::vector<Place> places;
  const NameNode* nearest = nullptr;  // decides; the globs are its own
  const std::string_view text = name.text();
  const auto look_below = [&](std::string_view place, bool is_parent) {
    const NameNode* node = find_name_node(image, place, true);
    if (node == nullptr) return;
    const char* stars = node->masks[0].deny != 0 && node->masks[1].deny == 0 ? "*" : "**";
    places.push_back({node->masks[is_parent ? 0 : 1], stars + std::string(place.empty() ? "" : ".") + node->name});
    nearest = node;
  };
  std::size_t dot = text.rfind('.');
  look_below("", dot == std::string_view::npos);
  while (dot != std::string_view::npos && dot != 0) {
    const std::size_t place = dot + 1;
    dot = text.rfind('.', dot - 1);
    look_below(text.substr(place), dot == std::string_view::npos);
  }
  if (const NameNode* exact = find_name_node(image, text, false)) {
    places.push_back({exact->masks[0], name.text()});
    nearest = exact;
  }
  if (nearest == nullptr) return places;
  for (const std::uint16_t index : nearest->globs) {
    const Glob& glob = image.globs[index];
    if (!glob.pattern.matches(name)) continue;
    places.push_back({glob.masks, glob.pattern.text()});
  }
  return places;
}

}  // namespace

std::string refusal_text(const PolicyImage& image, const DomainName& name) {
  const std::vector<Place> places = places_of(image, name);
  NameMasks all;
  for (const Place& place : places) all |= place.masks;
  if (all.allow == 0) return image.name + ": no rule names " + name.text();
  const auto denial = std::find_if(places.begin(), places.end(),
                                   [&](const Place& place) { return (all.allow & ~place.masks.deny) == 0; });
  const std::string which =
      denial == places.end() ? "several deny rules name " : "deny rule " + denial->pattern + " names ";
  return image.name + ": " + which + name.text();
}

}  // namespace namewall
