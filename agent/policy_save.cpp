#include "agent/policy_save.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <set>
#include <utility>

#include "agent/report_text.h"
#include "policy/escape.h"
#include "policy/permit.h"
#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

std::string temporary_name(const std::string& name) {
  std::uint64_t random = 0;
  if (getrandom(&random, sizeof random, 0) != sizeof random) random = static_cast<std::uint64_t>(getpid());
  return "." + name + ".namewall-" + std::to_string(random);
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// What the loader takes for a name, made of a file name.
std::string policy_name_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  std::string_view stem = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (const std::size_t dot = stem.rfind('.'); dot != std::string_view::npos && dot != 0) stem = stem.substr(0, dot);
  std::string out;
  for (char c : stem) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool is_alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (is_alphanumeric || (!out.empty() && (c == '-' || c == '_'))) out += c;
  }
  out.resize(std::min<std::size_t>(out.size(), 63));
  return out.empty() ? "saved" : out;
}

}  // namespace

std::string saved_policy_text(Policy policy, const RefusalTally& tally, std::string_view path) {
  if (policy.name.empty()) policy.name = policy_name_of(path);
  std::string out = to_canonical_toml(policy);
  std::string comments;
  std::set<std::string> seen;
  for (const Refusal& refusal : tally.entries()) {
    if (refusal.quic) continue;
    const auto permit = endpoint_that_permits(refusal.first);
    if (!permit || !seen.insert(*permit).second) continue;
    comments += "#   \"" + *permit + "\",  # x" + std::to_string(refusal.count) + " " +
                std::string(word_of(refusal.first.hook)) + ": " + std::string(sentence_of(refusal.first.reason)) + "\n";
  }
  if (!comments.empty()) out += "\n# Refused in this run. To permit one, move it into `allow`.\n" + comments;
  return out;
}

Result<PolicySave> PolicySave::open(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (name.empty() || name == "." || name == "..") {
    return fail(ErrorKind::kInvalid, "--save " + escape_for_display(path) + ": not a file name");
  }
  FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "--save " + escape_for_display(path) + ": cannot open its directory");
  PolicySave save(std::move(fd), std::move(name), path);
  auto existing = save.exists_empty();
  if (!existing) return tl::unexpected(existing.error());
  return save;
}

Result<bool> PolicySave::exists_empty() const {
  struct stat status {};
  if (fstatat(directory_.get(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return false;
    return fail_errno(errno, "--save " + escape_for_display(path_));
  }
  if (S_ISREG(status.st_mode) && status.st_size == 0) return true;
  return fail(ErrorKind::kConflict, "--save " + escape_for_display(path_) +
                                        ": exists already and is not empty; namewall does not overwrite it");
}

Result<void> PolicySave::write(const std::string& text) const {
  const auto existing = exists_empty();
  if (!existing) return tl::unexpected(existing.error());
  const std::string temporary = temporary_name(name_);
  const FileDescriptor fd(
      openat(directory_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd) return fail_errno(errno, "--save " + escape_for_display(path_) + ": cannot write into its directory");
  int error = 0;
  if (!write_all(fd.get(), text) || fsync(fd.get()) != 0) {
    error = errno;
  } else if (renameat2(directory_.get(), temporary.c_str(), directory_.get(), name_.c_str(),
                       *existing ? 0 : RENAME_NOREPLACE) != 0) {
    error = errno;
  }
  if (error == 0) return {};
  unlinkat(directory_.get(), temporary.c_str(), 0);
  return fail_errno(error, "--save " + escape_for_display(path_) + ": cannot write it");
}

}  // namespace namewall::agent
