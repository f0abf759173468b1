#include "agent/client/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "agent/client/table.h"
#include "agent/line_writer.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMinWidth = 20;
constexpr std::size_t kMaxWidth = 1000;

std::size_t width_of_environment() {
  const char* columns = std::getenv("COLUMNS");
  if (columns == nullptr) return kDefaultWidth;
  std::size_t width = 0;
  const char* const end = columns + std::strlen(columns);
  const auto [at, error] = std::from_chars(columns, end, width);
  return error == std::errc() && at == end && width > 0 ? width : kDefaultWidth;
}

const char* code_of(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      break;
    case Tone::kGood:
      return "32";
    case Tone::kWarning:
      return "33";
    case Tone::kBad:
      return "1;31";
    case Tone::kFaint:
      return "2";
  }
  return nullptr;
}

}  // namespace

Screen find_screen(int fd) {
  const LineWriter writer(fd, false);
  Screen screen;
  screen.is_terminal = ::isatty(fd) == 1;
  screen.colour = writer.wants_colour(std::getenv("NO_COLOR"), std::getenv("TERM"));
  const unsigned columns = writer.columns();
  screen.width = std::clamp(columns != 0 ? columns : width_of_environment(), kMinWidth, kMaxWidth);
  return screen;
}

std::size_t terminal_lines(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

std::string paint(const Screen& screen, Tone tone, std::string_view text) {
  const char* const code = code_of(tone);
  if (!screen.colour || code == nullptr) return std::string(text);
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

std::vector<std::string> wrap(std::string_view text, std::size_t width, std::size_t hanging) {
  width = std::max(width, hanging + 1);
  std::vector<std::string> lines;
  std::string line(std::min(text.find_first_not_of(' '), text.size()), ' ');
  std::size_t used = line.size();
  bool is_empty = true;  // the line has no word yet
  const auto end_line = [&] {
    lines.push_back(line);
    line.assign(hanging, ' ');
    used = hanging;
    is_empty = true;
  };
  while (!text.empty()) {
    const std::size_t begin = std::min(text.find_first_not_of(' '), text.size());
    text.remove_prefix(begin);
    std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    if (word.empty()) break;
    const std::size_t gap = is_empty ? 0 : std::max<std::size_t>(begin, 1);
    std::size_t length = display_width(word);
    if (!is_empty && used + gap + length > width) {
      end_line();
    } else {
      line.append(gap, ' ');
      used += gap;
    }
    while (used + length > width) {
      std::size_t bytes = 0;
      for (std::size_t room = width - used; room > 0; --room) {
        do {
          ++bytes;
        } while (bytes < word.size() && (static_cast<unsigned char>(word[bytes]) & 0xC0u) == 0x80u);
      }
      line += word.substr(0, bytes);
      word.remove_prefix(bytes);
      length = display_width(word);
      end_line();
    }
    line += word;
    used += length;
    is_empty = is_empty && word.empty();
  }
  if (!is_empty || lines.empty()) lines.push_back(line);
  return lines;
}

}  // namespace namewall::agent
