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

void append_padded(std::string_view cell, std::size_t missing, bool align_right, std::string& line) {
  if (align_right) line.append(missing, ' ');
  line += cell;
  if (!align_right) line.append(missing, ' ');
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

std::string elide_begin(std::string_view text, std::size_t width) {
  const std::size_t have = display_width(text);
  if (have <= width) return std::string(text);
  if (width == 0) return {};
  return "…" + std::string(text.substr(bytes_of_first(text, have - (width - 1))));
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::add(std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::vector<std::size_t> Table::fit(std::size_t width) const {
  std::vector<std::size_t> natural;
  for (const Column& column : columns_) natural.push_back(display_width(column.title));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) natural[i] = std::max(natural[i], display_width(row[i]));
  }
  if (width == 0) return natural;
  std::vector<std::size_t> by_priority;  // columns, those that give way first
  for (std::size_t i = columns_.size(); i-- > 0;) by_priority.push_back(i);
  std::stable_sort(by_priority.begin(), by_priority.end(),
                   [this](std::size_t a, std::size_t b) { return columns_[a].priority > columns_[b].priority; });

  for (std::size_t left_out = 0;; ++left_out) {
    std::vector<std::size_t> widths = natural;
    std::size_t total = 0;
    for (std::size_t i = 0; i < left_out; ++i) widths[by_priority[i]] = 0;
    for (const std::size_t each : widths) total += each == 0 ? 0 : each + (total == 0 ? 0 : kGap);
    for (std::size_t i = left_out; i < by_priority.size() && total > width; ++i) {
      const Column& column = columns_[by_priority[i]];
      std::size_t& each = widths[by_priority[i]];
      const std::size_t room = column.align_right ? 0 : each - std::min(each, column.min_width);
      const std::size_t taken = std::min(room, total - width);
      each -= taken;
      total -= taken;
    }
    if (total <= width || left_out == by_priority.size() || columns_[by_priority[left_out]].priority == 0)
      return widths;
  }
}

std::string Table::to_string(std::size_t width) const {
  const std::vector<std::size_t> widths = fit(width);
  std::string out, line;
  const auto append = [&](const auto& cell_of) {
    line.clear();
    bool is_first = true;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (widths[i] == 0) continue;
      if (!is_first) line.append(kGap, ' ');
      is_first = false;
      const std::string& cell = cell_of(i);
      const std::size_t have = display_width(cell);
      if (have <= widths[i]) {
        append_padded(cell, widths[i] - have, columns_[i].align_right, line);
      } else {
        line += columns_[i].is_path ? elide_begin(cell, widths[i]) : elide(cell, widths[i]);
      }
    }
    line.erase(line.find_last_not_of(' ') + 1);
    if (width != 0 && line.size() > width) line = elide(line, width);
    out += line;
    out += '\n';
  };
  append([this](std::size_t i) -> const std::string& { return columns_[i].title; });
  for (const auto& row : rows_) append([&row](std::size_t i) -> const std::string& { return row[i]; });
  return out;
}

}  // namespace namewall::agent
