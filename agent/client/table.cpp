#include "agent/client/table.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace namewall::agent {
namespace {

constexpr std::size_t kGap = 2;

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0u) == 0x80u; }

// The bytes of the first `count` code points.
std::size_t bytes_of_first(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  while (at < text.size() && count > 0) {
    ++at;
    while (at < text.size() && is_continuation(text[at])) ++at;
    --count;
  }
  return at;
}

std::string pad(std::string cell, std::size_t width, bool align_right) {
  const std::size_t missing = width - std::min(width, display_width(cell));
  return align_right ? std::string(missing, ' ') + cell : cell + std::string(missing, ' ');
}

}  // namespace

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

std::string elide(std::string_view text, std::size_t width) {
  const std::size_t have = display_width(text);
  if (have <= width) return std::string(text);
  if (width == 0) return {};
  const std::size_t head = width / 2;
  const std::size_t tail = width - 1 - head;
  const std::size_t tail_begin = bytes_of_first(text, have - tail);
  return std::string(text.substr(0, bytes_of_first(text, head))) + "…" + std::string(text.substr(tail_begin));
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::add(std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::vector<std::size_t> Table::fit(std::size_t width) const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(display_width(column.title));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  if (width == 0) return widths;
  const auto total = [&widths] {
    std::size_t sum = 0;
    for (const std::size_t each : widths) sum += each == 0 ? 0 : each + kGap;
    return sum == 0 ? 0 : sum - kGap;
  };
  std::vector<unsigned> priorities;
  for (const Column& column : columns_) priorities.push_back(column.priority);
  std::sort(priorities.rbegin(), priorities.rend());
  priorities.erase(std::unique(priorities.begin(), priorities.end()), priorities.end());

  const auto shrink = [&](unsigned priority) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::size_t now = total();
      if (columns_[i].priority != priority || now <= width || widths[i] == 0) continue;
      const std::size_t floor = std::min(widths[i], std::max(columns_[i].min_width, std::size_t{1}));
      widths[i] = std::max(floor, widths[i] - std::min(widths[i], now - width));
    }
  };
  for (const unsigned priority : priorities) shrink(priority);
  for (const unsigned priority : priorities) {
    for (std::size_t i = widths.size(); i-- > 0;) {
      if (priority != 0 && columns_[i].priority == priority && total() > width) widths[i] = 0;
    }
  }
  return widths;
}

std::string Table::to_string(std::size_t width) const {
  const std::vector<std::size_t> widths = fit(width);
  std::string out;
  const auto append = [&](const auto& cell_of) {
    std::string line;
    bool is_first = true;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (widths[i] == 0) continue;
      if (!is_first) line.append(kGap, ' ');
      is_first = false;
      line += pad(elide(cell_of(i), widths[i]), widths[i], columns_[i].align_right);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    if (width != 0) line = elide(line, width);
    out += line + "\n";
  };
  append([this](std::size_t i) { return columns_[i].title; });
  for (const auto& row : rows_) append([&row](std::size_t i) { return row[i]; });
  return out;
}

}  // namespace namewall::agent
