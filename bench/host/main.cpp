// bench_host: loads and arms on command, and times it. bench/run starts it inside the client's network namespace and
// reads one line for each line it writes: the nanoseconds that the command took; "error ..." says what went wrong.
// What is armed stays so until the process ends or the cgroup is removed.
//
//   load                             another enforcer, and close it
//   load-empty                       another empty program set, and unload it
//   empty CGROUP                     attach the empty program set
//   empty-again CGROUP               attach it to a bare cgroup and detach it: the time of attaching
//   enforcer NAME WORKLOADS          an enforcer that arms up to WORKLOADS cgroups
//   arm ENFORCER CGROUP MAX_ADDRESSES GRANTS RESOLVER...
//   arm-again ENFORCER CGROUP        arm a bare cgroup and disarm it: the time of arming
//   replace CGROUP RULES             by a policy of RULES further rules
//   counters CGROUP                  -> code=value of every reason and counter that is not 0
#include <fcntl.h>

#include <unistd.h>
#include <cerrno>
#include <ctime>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "bench/host/armed_workload.h"
#include "bench/host/empty_programs.h"
#include "policy/reason.h"

namespace namewall::bench {
namespace {

constexpr std::uint32_t kDefaultMaxAddresses = 1024;

std::uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

class CgroupDirectory {
 public:
  explicit CgroupDirectory(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
  CgroupDirectory(const CgroupDirectory&) = delete;
  CgroupDirectory& operator=(const CgroupDirectory&) = delete;
  ~CgroupDirectory() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

// The time of `step`, or its error.
Result<std::uint64_t> timed(const std::function<Result<void>()>& step) {
  const std::uint64_t start = now_ns();
  if (Result<void> done = step(); !done) return tl::unexpected<Error>(std::move(done.error()));
  return now_ns() - start;
}

template <typename T>
Result<std::uint64_t> failed(Result<T>& result) {
  return tl::unexpected<Error>(std::move(result.error()));
}

class Host {
 public:
  Result<std::string> answer(std::istringstream& words) {
    std::string command;
    words >> command;
    if (command == "counters") return counters(words);
    auto elapsed = execute(command, words);
    if (!elapsed) return tl::unexpected<Error>(std::move(elapsed.error()));
    return std::to_string(*elapsed);
  }

 private:
  Result<std::uint64_t> execute(const std::string& command, std::istringstream& words) {
    if (command == "load") return load();
    if (command == "load-empty") return load_empty();
    if (command == "empty") return attach_empty(words, false);
    if (command == "empty-again") return attach_empty(words, true);
    if (command == "enforcer") return add_enforcer(words);
    if (command == "arm") return arm(words);
    if (command == "arm-again") return arm_again(words);
    if (command == "replace") return replace(words);
    return fail(ErrorKind::kInvalid, "not a command: " + command);
  }

  static Result<std::uint64_t> load() {
    std::optional<Result<bpf::Enforcer>> enforcer;
    return timed([&]() -> Result<void> {
      enforcer.emplace(bpf::Enforcer::load({}));
      if (!*enforcer) return tl::unexpected<Error>(enforcer->error());
      return {};
    });
  }

  static Result<std::uint64_t> load_empty() {
    std::optional<Result<EmptyPrograms>> programs;
    return timed([&]() -> Result<void> {
      programs.emplace(EmptyPrograms::load());
      if (!*programs) return tl::unexpected<Error>(programs->error());
      return {};
    });
  }

  Result<std::uint64_t> attach_empty(std::istringstream& words, bool detach_again) {
    std::string path;
    words >> path;
    if (!empty_) {
      auto loaded = EmptyPrograms::load();
      if (!loaded) return failed(loaded);
      empty_.emplace(std::move(*loaded));
    }
    const CgroupDirectory cgroup(path);
    auto elapsed = timed([&] { return empty_->attach(cgroup.fd()); });
    if (elapsed && detach_again) {
      if (auto detached = empty_->detach(cgroup.fd()); !detached) return failed(detached);
    }
    return elapsed;
  }

  Result<std::uint64_t> add_enforcer(std::istringstream& words) {
    std::string name;
    bpf::LoadOptions options;
    words >> name >> options.max_workloads;
    const std::uint64_t start = now_ns();
    auto loaded = bpf::Enforcer::load(options);
    if (!loaded) return failed(loaded);
    enforcers_[name] = std::make_shared<bpf::Enforcer>(std::move(*loaded));
    return now_ns() - start;
  }

  Result<std::shared_ptr<bpf::Enforcer>> find_enforcer(const std::string& name) const {
    const auto found = enforcers_.find(name);
    if (found == enforcers_.end()) return fail(ErrorKind::kNotFound, "no enforcer is called " + name);
    return found->second;
  }

  Result<std::uint64_t> arm(std::istringstream& words) {
    std::string name, path;
    std::uint32_t max_addresses = 0, grants = 0;
    words >> name >> path >> max_addresses >> grants;
    resolvers_.clear();
    for (std::string resolver; words >> resolver;) resolvers_.push_back(resolver);
    auto enforcer = find_enforcer(name);
    auto image = build_image(resolvers_, max_addresses, 0);
    if (!enforcer) return failed(enforcer);
    if (!image) return failed(image);
    const CgroupDirectory cgroup(path);
    const std::uint64_t start = now_ns();
    auto armed = ArmedWorkload::arm(*enforcer, cgroup.fd(), *image);
    const std::uint64_t elapsed = now_ns() - start;
    if (!armed) return failed(armed);
    if (auto granted = armed->grant(grants); !granted) return failed(granted);
    workloads_.insert_or_assign(path, std::move(*armed));
    return elapsed;
  }

  Result<std::uint64_t> arm_again(std::istringstream& words) {
    std::string name, path;
    words >> name >> path;
    auto enforcer = find_enforcer(name);
    auto image = build_image({"192.0.2.53"}, kDefaultMaxAddresses, 0);
    if (!enforcer) return failed(enforcer);
    if (!image) return failed(image);
    const CgroupDirectory cgroup(path);
    const std::uint64_t start = now_ns();
    auto armed = ArmedWorkload::arm(*enforcer, cgroup.fd(), *image);
    const std::uint64_t elapsed = now_ns() - start;
    if (!armed) return failed(armed);
    if (auto disarmed = armed->disarm(cgroup.fd()); !disarmed) return failed(disarmed);
    return elapsed;
  }

  Result<std::uint64_t> replace(std::istringstream& words) {
    std::string path;
    std::uint32_t rules = 0;
    words >> path >> rules;
    const auto found = workloads_.find(path);
    if (found == workloads_.end()) return fail(ErrorKind::kNotFound, path + " is not armed");
    auto image = build_image(resolvers_, kDefaultMaxAddresses, rules);
    if (!image) return failed(image);
    return timed([&] { return found->second.replace(*image); });
  }

  Result<std::string> counters(std::istringstream& words) const {
    std::string path;
    words >> path;
    const auto found = workloads_.find(path);
    if (found == workloads_.end()) return fail(ErrorKind::kNotFound, path + " is not armed");
    auto read = found->second.enforcer().read_counters(found->second.workload());
    if (!read) return tl::unexpected<Error>(std::move(read.error()));
    std::ostringstream line;
    for (std::size_t reason = 0; reason < read->by_reason.size() && reason < NW_REASON_COUNT; ++reason)
      if (read->by_reason[reason] != 0)
        line << code_of(static_cast<Reason>(reason)) << '=' << read->by_reason[reason] << ' ';
    for (const auto& [name, value] : read->counters)
      if (value != 0) line << name << '=' << value << ' ';
    return line.str();
  }

  std::optional<EmptyPrograms> empty_;
  std::vector<std::string> resolvers_;  // of the cgroup armed last
  std::map<std::string, std::shared_ptr<bpf::Enforcer>> enforcers_;
  std::map<std::string, ArmedWorkload> workloads_;
};

}  // namespace
}  // namespace namewall::bench

int main() {
  namewall::bench::Host host;
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    const auto answer = host.answer(words);
    std::cout << (answer ? *answer : "error: " + answer.error().message()) << std::endl;
  }
  return 0;
}
