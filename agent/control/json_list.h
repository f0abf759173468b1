// A long list of views as a body: made into text piece by piece, so that neither the whole text nor its making holds up
// anything else.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/control/json_text.h"
#include "agent/control/reply.h"
#include "agent/host/host_json.h"

namespace namewall::agent {

template <typename View>
class JsonList : public BodySource {
 public:
  // `ticket` is held until the list is gone.
  JsonList(std::vector<View> views, std::shared_ptr<void> ticket)
      : views_(std::move(views)), ticket_(std::move(ticket)) {}

  State next(std::string& piece) override {
    if (ended_) return State::kEnd;
    if (at_ == views_.size()) {
      piece += at_ == 0 ? "[]\n" : "]\n";
      ended_ = true;
      return State::kMore;
    }
    piece += at_ == 0 ? "[" : ",\n";
    piece += json_text(views_[at_]);
    ++at_;
    return State::kMore;
  }

 private:
  std::vector<View> views_;
  std::shared_ptr<void> ticket_;
  std::size_t at_ = 0;
  bool ended_ = false;
};

}  // namespace namewall::agent
