// Where a command prints: how wide, and whether in colour.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace namewall::agent {

inline constexpr std::size_t kDefaultWidth = 80;

struct Screen {
  std::size_t width = kDefaultWidth;
  bool colour = false;
  bool is_terminal = false;
};

// The terminal's width; COLUMNS where `fd` is none; else kDefaultWidth. Colour only on a terminal, and never where
// NO_COLOR is set.
Screen find_screen(int fd);
std::size_t terminal_lines(int fd);  // 0: not a terminal

enum class Tone { kPlain, kGood, kWarning, kBad, kFaint };
std::string paint(const Screen& screen, Tone tone, std::string_view text);

// Words that go on in further lines, indented by `hanging`, each at most `width` columns wide and without an end; a
// word that is longer is broken.
std::vector<std::string> wrap(std::string_view text, std::size_t width, std::size_t hanging);

}  // namespace namewall::agent
