// A table for people, never wider than asked. Pure. Cells come escaped (policy/escape.h), or are UTF-8 of namewall's
// own; a code point counts as one column.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace namewall::agent {

std::size_t display_width(std::string_view text);
// At most `width` columns: the middle gives way to "…", so that both ends tell what it was.
std::string elide(std::string_view text, std::size_t width);
// The same with the begin.
std::string elide_begin(std::string_view text, std::size_t width);

struct Column {
  std::string title;
  bool align_right = false;  // amounts: never narrower than they are
  // Room is taken from the columns of the highest number first, down to `min_width`; then those are left out, the
  // highest number first. Columns of priority 0 always stay.
  unsigned priority = 0;
  std::size_t min_width = 4;
  bool is_path = false;  // elided at its begin: the end tells which file it is
};

class Table {
 public:
  explicit Table(std::vector<Column> columns);
  void add(std::vector<std::string> cells);  // as many as columns
  bool is_empty() const { return rows_.empty(); }

  // Lines with their ends, the titles first, two spaces between columns, no space at the end of a line. `width` 0: as
  // wide as it is.
  std::string to_string(std::size_t width) const;

 private:
  std::vector<std::size_t> fit(std::size_t width) const;  // 0: left out

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace namewall::agent
