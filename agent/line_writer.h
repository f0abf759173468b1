// Lines for people, on a stream that CMD may be drawing a full-screen program on.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace namewall::agent {

// Somebody has put the terminal into raw mode (neither line editing nor echo): an editor, a pager, a shell at its
// prompt. False for what is no terminal.
bool is_full_screen(int fd);

class LineWriter {
 public:
  static constexpr std::size_t kMaxHeld = 2048;  // lines; further ones are counted

  // `fd` is not owned. `hold`: while the terminal is in raw mode lines wait.
  LineWriter(int fd, bool hold) : fd_(fd), hold_(hold) {}

  void write(std::string line);  // without the line end; in order
  void flush();                  // what waits, unless it still has to
  void finish();                 // what waits, at the end: nobody draws any more
  bool waits() const { return !held_.empty(); }

  bool wants_colour(const char* no_color, const char* term) const;  // a terminal, and nobody asked for none
  unsigned columns() const;                                         // 0: not a terminal

 private:
  void put(std::string line);

  int fd_;
  bool hold_;
  std::vector<std::string> held_;
  std::size_t dropped_ = 0;
};

}  // namespace namewall::agent
