#include "agent/refusal_words.h"

#include "policy/refusal_text.h"

namespace namewall::agent {
namespace {

std::string text_for(const Event& event, const PolicyImage* image) {
  const std::string sentence(sentence_of(event.reason));
  if (image == nullptr) return sentence;
  const auto name = DomainName::parse(event.name);
  if (event.reason == NW_REASON_NAME_NOT_ALLOWED && name && !decide_name(*image, *name).may_ask()) {
    return refusal_text(*image, *name);
  }
  return image->name.empty() ? sentence : image->name + ": " + sentence;
}

}  // namespace

RefusalWords words_for(const Event& event, const PolicyImage* image) {
  RefusalWords words{image == nullptr ? RefuseWith::kNxdomain : image->refuse_with,
                     "namewall: " + text_for(event, image)};
  if (event.reason == NW_REASON_FRESH_NAMES) words.refuse_with = RefuseWith::kRefused;
  return words;
}

}  // namespace namewall::agent
