#include "agent/event_sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

std::string drain(int fd) {
  std::string out;
  char buffer[4096];
  fcntl(fd, F_SETFL, O_NONBLOCK);
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<std::size_t>(n));
  return out;
}

std::string sentence_for(const std::string& target) {
  const auto sink = EventSink::open(target);
  return sink ? "" : sink.error().message();
}

TEST(EventSink, AppendsLinesToAFile) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("events.jsonl");
  put_into(path, "before\n");
  auto sink = EventSink::open(path);
  ASSERT_TRUE(sink.has_value());
  sink->write("{}");
  sink->write("{\"a\":1}");
  sink->finish();
  EXPECT_EQ(contents_of(path), "before\n{}\n{\"a\":1}\n");
  EXPECT_EQ(sink->lost(), 0u);
}

TEST(EventSink, RefusesDescriptorsThatItMustNotOrCannotUse) {
  EXPECT_NE(sentence_for("fd:1").find("belong to the command"), std::string::npos);
  EXPECT_NE(sentence_for("fd:x").find("a number N"), std::string::npos);
  EXPECT_NE(sentence_for("fd:").find("a number N"), std::string::npos);
  EXPECT_NE(sentence_for("fd:-4").find("a number N"), std::string::npos);
  EXPECT_NE(sentence_for("fd:987654").find("no such open descriptor"), std::string::npos);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_NE(sentence_for("fd:" + std::to_string(ends[0])).find("for reading only"), std::string::npos);
  close(ends[0]);
  close(ends[1]);
}

TEST(EventSink, AFileThatCannotBeOpenedIsOneSentence) {
  EXPECT_EQ(sentence_for("/nonexistent/x"), "cannot open the events file /nonexistent/x: No such file or directory");
}

TEST(EventSink, AFifoWithoutAReaderIsAnErrorNotAWait) {
  const TemporaryDirectory directory;
  ASSERT_EQ(mkfifo(directory.file("fifo").c_str(), 0600), 0);
  EXPECT_NE(sentence_for(directory.file("fifo")).find("nobody reads this FIFO"), std::string::npos);
}

TEST(EventSink, ADescriptorIsNotInherited) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  auto sink = EventSink::open("fd:" + std::to_string(ends[1]));
  ASSERT_TRUE(sink.has_value());
  const int flags = fcntl(ends[1], F_GETFD);  // closed, or opened anew under the same number
  EXPECT_TRUE(flags < 0 || (flags & FD_CLOEXEC) != 0);
  sink->write("{}");
  EXPECT_EQ(drain(ends[0]), "{}\n");
  close(ends[0]);
}

TEST(EventSink, ARegularFileByDescriptorIsNotInherited) {
  const TemporaryDirectory directory;
  const int fd = open(directory.file("events").c_str(), O_WRONLY | O_CREAT, 0600);
  auto sink = EventSink::open("fd:" + std::to_string(fd));
  ASSERT_TRUE(sink.has_value());
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  sink->write("{}");
  EXPECT_EQ(contents_of(directory.file("events")), "{}\n");
}

TEST(EventSink, AFullPipeLosesWholeLinesAndCountsThem) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  auto sink = EventSink::open("fd:" + std::to_string(ends[1]));
  ASSERT_TRUE(sink.has_value());
  const std::string line(1000, 'x');
  std::uint64_t written = 0;
  for (; written < 1000 && sink->lost() == 0; ++written) sink->write(line);  // returns: nothing waits for a reader
  ASSERT_EQ(sink->lost(), 1u);
  --written;
  sink->write(line);
  EXPECT_EQ(sink->lost(), 2u);
  std::string received = drain(ends[0]);
  EXPECT_EQ(received.size(), written * (line.size() + 1));
  sink->write("after");
  EXPECT_EQ(drain(ends[0]), "after\n");
  close(ends[0]);
}

TEST(EventSink, ALineThatWentOutInPartIsFinishedBeforeTheNext) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const int small = 4096;
  setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  auto sink = EventSink::open("fd:" + std::to_string(ends[1]));
  ASSERT_TRUE(sink.has_value());
  const std::string longer(100'000, 'x');  // more than the socket takes at once
  sink->write(longer);
  EXPECT_EQ(sink->lost(), 0u);
  std::string received;
  for (int i = 0; i < 1000 && received.size() < longer.size() + 1; ++i) {
    received += drain(ends[0]);
    sink->write("next");  // lost while the rest of the first line waits
  }
  EXPECT_EQ(received.substr(0, longer.size() + 1), longer + "\n");
  EXPECT_GT(sink->lost(), 0u);
  close(ends[0]);
}

TEST(EventSink, AReaderOfAPipeThatIsGoneIsALossNotASignal) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  auto sink = EventSink::open("fd:" + std::to_string(ends[1]));
  ASSERT_TRUE(sink.has_value());
  close(ends[0]);
  sink->write("{}");
  EXPECT_EQ(sink->lost(), 1u);
}

TEST(EventSink, AReaderOfASocketThatIsGoneIsALossNotASignal) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  auto sink = EventSink::open("fd:" + std::to_string(ends[1]));
  ASSERT_TRUE(sink.has_value());
  close(ends[0]);
  sink->write("{}");
  EXPECT_EQ(sink->lost(), 1u);
}

}  // namespace
}  // namespace namewall::agent
