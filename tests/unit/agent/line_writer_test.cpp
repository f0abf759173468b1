#include "agent/line_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace namewall::agent {
namespace {

// A terminal whose screen is a string. Output processing is off: what is written is what is seen.
class Terminal {
 public:
  Terminal() {
    openpty(&screen_, &tty_, nullptr, nullptr, nullptr);
    fcntl(screen_, F_SETFL, O_NONBLOCK);
    termios settings{};
    tcgetattr(tty_, &settings);
    settings.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    tcsetattr(tty_, TCSANOW, &settings);
  }
  ~Terminal() {
    close(screen_);
    close(tty_);
  }
  int fd() const { return tty_; }
  void set_flags(tcflag_t off, tcflag_t on) {
    termios settings{};
    tcgetattr(tty_, &settings);
    settings.c_lflag = (settings.c_lflag & ~off) | on;
    tcsetattr(tty_, TCSANOW, &settings);
  }
  void enter_raw_mode() { set_flags(ICANON | ECHO, 0); }
  void leave_raw_mode() { set_flags(0, ICANON | ECHO); }
  void resize(unsigned short columns) {
    const winsize size{24, columns, 0, 0};
    ioctl(tty_, TIOCSWINSZ, &size);
  }
  std::string seen() {
    std::string out;
    char buffer[4096];
    for (ssize_t n; (n = read(screen_, buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<std::size_t>(n));
    return out;
  }

 private:
  int screen_ = -1;
  int tty_ = -1;
};

TEST(LineWriter, LinesWaitWhileTheTerminalIsInRawModeAndKeepTheirOrder) {
  Terminal terminal;
  LineWriter writer(terminal.fd(), true);
  writer.write("one");
  EXPECT_EQ(terminal.seen(), "one\n");
  terminal.enter_raw_mode();
  writer.write("two");
  writer.write("three");
  writer.flush();
  EXPECT_EQ(terminal.seen(), "");
  EXPECT_TRUE(writer.waits());
  terminal.leave_raw_mode();
  writer.write("four");
  EXPECT_EQ(terminal.seen(), "two\nthree\nfour\n");
  EXPECT_FALSE(writer.waits());
}

TEST(LineWriter, LinesAppearOnceRawModeEndsWithoutANewLine) {
  Terminal terminal;
  LineWriter writer(terminal.fd(), true);
  terminal.enter_raw_mode();
  writer.write("one");
  terminal.leave_raw_mode();
  writer.flush();
  EXPECT_EQ(terminal.seen(), "one\n");
}

TEST(LineWriter, AtTheEndNothingWaitsAnyLonger) {
  Terminal terminal;
  LineWriter writer(terminal.fd(), true);
  terminal.enter_raw_mode();
  writer.write("one");
  writer.finish();
  EXPECT_EQ(terminal.seen(), "one\n");
}

TEST(LineWriter, APasswordPromptIsNotAFullScreen) {
  Terminal terminal;
  terminal.set_flags(ECHO, 0);
  EXPECT_FALSE(is_full_screen(terminal.fd()));
  terminal.enter_raw_mode();
  EXPECT_TRUE(is_full_screen(terminal.fd()));
}

TEST(LineWriter, WithoutHoldNothingWaits) {
  Terminal terminal;
  LineWriter writer(terminal.fd(), false);
  terminal.enter_raw_mode();
  writer.write("one");
  EXPECT_EQ(terminal.seen(), "one\n");
}

TEST(LineWriter, WaitingLinesAreBoundedAndTheRestCounted) {
  Terminal terminal;
  LineWriter writer(terminal.fd(), true);
  terminal.enter_raw_mode();
  for (std::size_t i = 0; i < LineWriter::kMaxHeld + 3; ++i) writer.write("");
  writer.finish();
  EXPECT_EQ(terminal.seen(), std::string(LineWriter::kMaxHeld, '\n') + "namewall: 3 more lines did not wait\n");
}

TEST(LineWriter, ColourNeedsATerminalAndNobodyAgainstIt) {
  Terminal terminal;
  const LineWriter writer(terminal.fd(), true);
  EXPECT_TRUE(writer.wants_colour(nullptr, "xterm"));
  EXPECT_TRUE(writer.wants_colour("", "xterm"));
  EXPECT_FALSE(writer.wants_colour("1", "xterm"));
  EXPECT_FALSE(writer.wants_colour(nullptr, "dumb"));
  EXPECT_FALSE(writer.wants_colour(nullptr, nullptr));
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  EXPECT_FALSE(LineWriter(ends[1], true).wants_colour(nullptr, "xterm"));
  EXPECT_FALSE(is_full_screen(ends[1]));
  close(ends[0]);
  close(ends[1]);
}

TEST(LineWriter, ColumnsAreTheTerminals) {
  Terminal terminal;
  terminal.resize(132);
  EXPECT_EQ(LineWriter(terminal.fd(), true).columns(), 132u);
  EXPECT_EQ(LineWriter(-1, true).columns(), 0u);
}

TEST(LineWriter, AReaderThatIsGoneIsNoSignal) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  close(ends[0]);
  LineWriter writer(ends[1], true);
  writer.write("one");
  SUCCEED();
  close(ends[1]);
}

}  // namespace
}  // namespace namewall::agent
