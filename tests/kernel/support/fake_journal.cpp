#include "tests/kernel/support/fake_journal.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace namewall::kernel_tests {
namespace {

constexpr const char* kDirectory = "/run/systemd/journal";
constexpr const char* kSocket = "/run/systemd/journal/socket";

bool make_own_run_directory() {
  return unshare(CLONE_NEWNS) == 0 && mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("namewall-test", "/run", "tmpfs", 0, nullptr) == 0 && mkdir("/run/systemd", 0755) == 0 &&
         mkdir(kDirectory, 0755) == 0;
}

std::string read_to_end(int fd) {
  std::string text;
  std::array<char, 65536> block;
  for (ssize_t count; (count = read(fd, block.data(), block.size())) > 0;)
    text.append(block.data(), static_cast<std::size_t>(count));
  return text;
}

// systemd's native protocol: "NAME=value\n", or "NAME\n", the value's size as 64 bits little endian, value, "\n".
std::map<std::string, std::string> parse_native(std::string_view bytes) {
  std::map<std::string, std::string> fields;
  while (!bytes.empty()) {
    const auto line_end = bytes.find('\n');
    if (line_end == std::string_view::npos) return {};
    const auto line = bytes.substr(0, line_end);
    bytes.remove_prefix(line_end + 1);
    if (const auto equals = line.find('='); equals != std::string_view::npos) {
      fields[std::string(line.substr(0, equals))] = line.substr(equals + 1);
      continue;
    }
    std::uint64_t size = 0;
    if (bytes.size() < sizeof(size)) return {};
    std::memcpy(&size, bytes.data(), sizeof(size));
    bytes.remove_prefix(sizeof(size));
    if (bytes.size() < size + 1) return {};
    fields[std::string(line)] = bytes.substr(0, size);
    bytes.remove_prefix(size + 1);
  }
  return fields;
}

}  // namespace

std::string in_own_run_directory(const std::function<std::string()>& work) {
  std::array<int, 2> ends;
  if (pipe(ends.data()) != 0) return "failed: no pipe";
  OwnedFd reader(ends[0]), writer(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    reader.reset();
    alarm(30);
    const std::string answer = make_own_run_directory() ? work() : "failed: no mount namespace";
    const bool told = write(writer.get(), answer.data(), answer.size()) == static_cast<ssize_t>(answer.size());
    _exit(told ? 0 : 1);
  }
  writer.reset();
  std::string answer = read_to_end(reader.get());
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return "failed: the child ended early, status " + std::to_string(status);
  return answer;
}

FakeJournal::FakeJournal() : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, kSocket, sizeof(address.sun_path) - 1);
  const timeval patience{5, 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      chmod(kSocket, 0666) != 0)
    socket_.reset();
}

FakeJournal::Entry FakeJournal::take() {
  std::vector<char> bytes(4u << 20);
  std::array<char, CMSG_SPACE(sizeof(int))> control;
  iovec vector{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t count = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  if (count < 0) return {};
  const cmsghdr* part = CMSG_FIRSTHDR(&message);
  if (part == nullptr || part->cmsg_type != SCM_RIGHTS)
    return {parse_native({bytes.data(), static_cast<std::size_t>(count)})};
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(part), sizeof(fd));
  const OwnedFd memory(fd);  // of an entry too large for a datagram
  lseek(memory.get(), 0, SEEK_SET);
  return {parse_native(read_to_end(memory.get()))};
}

}  // namespace namewall::kernel_tests
