#include "agent/text_file.h"

#include <fcntl.h>

#include <array>
#include <cerrno>

#include "policy/file_descriptor.h"

namespace namewall::agent {

Result<std::string> read_text_file(const std::string& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return fail_errno(errno, "cannot open " + path);
  std::string text;
  std::array<char, 65536> block;
  for (;;) {
    const ssize_t count = ::read(fd.get(), block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot read " + path);
    if (count == 0) return text;
    text.append(block.data(), static_cast<std::size_t>(count));
    if (text.size() > kMaxTextFile) return fail(ErrorKind::kLimit, path + " is larger than 64 MiB");
  }
}

}  // namespace namewall::agent
