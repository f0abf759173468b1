#include "agent/host/flood_gate.h"

namespace namewall::agent {

bool FloodGate::admit(const std::string& workload, const std::string& reason, BootTime now, std::uint64_t weight) {
  Source source{workload, reason};
  if (!windows_.contains(source) && windows_.size() >= limits_.max_sources) source = {};
  const auto [found, is_new] = windows_.try_emplace(source, Window{now, 0, 0});
  Window& window = found->second;
  if (!is_new && now - window.begin >= limits_.window) {
    if (window.left_out > 0) due_.push_back({source.first, source.second, window.left_out, now - window.begin});
    window = {now, 0, 0};
  }
  if (window.lines < limits_.lines) {
    ++window.lines;
    return true;
  }
  window.left_out += weight;
  return false;
}

std::vector<FloodGate::Summary> FloodGate::take_summaries(BootTime now) {
  for (auto window = windows_.begin(); window != windows_.end();) {
    if (now - window->second.begin < limits_.window) {
      ++window;
      continue;
    }
    const auto& [source, state] = *window;
    if (state.left_out > 0) due_.push_back({source.first, source.second, state.left_out, now - state.begin});
    window = windows_.erase(window);
  }
  return std::exchange(due_, {});
}

std::vector<FloodGate::Summary> FloodGate::finish(BootTime now) {
  for (const auto& [source, state] : windows_) {
    if (state.left_out > 0) due_.push_back({source.first, source.second, state.left_out, now - state.begin});
  }
  windows_.clear();
  return std::exchange(due_, {});
}

std::string text_of(const FloodGate::Summary& summary) {
  std::string digits = std::to_string(summary.left_out);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(summary.window).count();
  return digits + " more in " + std::to_string(seconds) + " s";
}

}  // namespace namewall::agent
