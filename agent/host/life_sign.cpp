#include "agent/host/life_sign.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>

#include "policy/escape.h"

namespace namewall::agent {

Result<LifeSign> LifeSign::open(const std::string& path) {
  LifeSign sign;
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
    sign.last_ = std::chrono::seconds(status.st_mtim.tv_sec) + Nanoseconds(status.st_mtim.tv_nsec);
  }
  sign.fd_.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!sign.fd_) return fail_errno(errno, "cannot open " + escape_for_display(path));
  return sign;
}

// A sign that is lost makes the gap that is told longer, nothing else.
void LifeSign::give() const { (void)::futimens(fd_.get(), nullptr); }

}  // namespace namewall::agent
