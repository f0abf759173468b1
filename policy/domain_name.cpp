#include "policy/domain_name.h"

#include <algorithm>

#include "policy/escape.h"
#include "policy/idna.h"

namespace namewall {
namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::string fold_ascii_case(std::string_view text) {
  std::string folded(text);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return folded;
}

std::vector<std::string_view> split_labels(std::string_view text) {
  std::vector<std::string_view> labels;
  for (std::size_t begin = 0; !text.empty() && begin <= text.size();) {
    const std::size_t end = std::min(text.find('.', begin), text.size());
    labels.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return labels;
}

Result<DomainName> DomainName::parse(std::string_view text) {
  const auto refuse = [text](const std::string& why) {
    return fail(ErrorKind::kInvalid, quote_for_display(text) + ": " + why);
  };
  if (text.empty()) return fail(ErrorKind::kInvalid, "a name is empty");

  std::string normal = fold_ascii_case(text);
  if (!is_ascii(text)) {
    auto ascii = idna_to_ascii(text);
    if (!ascii) return refuse("not a name that IDNA can convert: " + ascii.error().what);
    normal = fold_ascii_case(*ascii);
  }
  if (!normal.empty() && normal.back() == '.') normal.pop_back();
  if (normal.empty()) return refuse("the root is not a name that can be looked up");
  if (normal.size() > kMaxNameLength) {
    return refuse("a name has at most " + std::to_string(kMaxNameLength) + " characters, this one has " +
                  std::to_string(normal.size()));
  }

  DomainName name(std::move(normal));
  for (const std::string_view label : name.labels()) {
    if (label.empty()) return refuse("two dots in a row, or a dot at the beginning, leave a label empty");
    if (label.size() > kMaxLabelLength)
      return refuse("the label " + quote_for_display(label) + " has more than 63 characters");
    const auto wrong = std::find_if_not(label.begin(), label.end(), is_name_character);
    if (wrong != label.end()) {
      return refuse("a name has only letters, digits, '-', '_' and dots, found " + quote_for_display({&*wrong, 1}));
    }
  }
  return name;
}

std::size_t DomainName::label_count() const {
  return text_.empty() ? 0 : static_cast<std::size_t>(std::count(text_.begin(), text_.end(), '.')) + 1;
}

}  // namespace namewall
