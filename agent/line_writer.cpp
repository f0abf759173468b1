#include "agent/line_writer.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <string_view>

#include "agent/signal_free_write.h"

namespace namewall::agent {

bool is_full_screen(int fd) {
  termios settings{};
  return tcgetattr(fd, &settings) == 0 && (settings.c_lflag & (ICANON | ECHO)) == 0;
}

void LineWriter::put(std::string line) {
  line += '\n';
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t written = write_without_signals(fd_, rest);
    if (written <= 0) break;  // nobody reads stderr any more: there is nowhere left to say so
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

void LineWriter::write(std::string line) {
  flush();
  if (held_.empty() && !(hold_ && is_full_screen(fd_))) {
    put(std::move(line));
  } else if (held_.size() < kMaxHeld) {
    held_.push_back(std::move(line));
  } else {
    ++dropped_;
  }
}

void LineWriter::flush() {
  if (!held_.empty() && !is_full_screen(fd_)) finish();
}

void LineWriter::finish() {
  for (std::string& line : held_) put(std::move(line));
  held_.clear();
  if (dropped_ != 0) put("namewall: " + std::to_string(dropped_) + " more lines did not wait");
  dropped_ = 0;
}

bool LineWriter::wants_colour(const char* no_color, const char* term) const {
  if (no_color != nullptr && *no_color != '\0') return false;  // no-color.org
  return isatty(fd_) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

unsigned LineWriter::columns() const {
  winsize size{};
  return ioctl(fd_, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace namewall::agent
