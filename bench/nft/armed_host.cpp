#include "bench/nft/armed_host.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "bench/addresses.h"
#include "bench/worker/placement.h"
#include "bench/worker/slice.h"
#include "policy/policy_loader.h"

namespace namewall::bench {
namespace {

constexpr const char* kName = "bench.example";
constexpr std::uint32_t kLessonSize = 1000;

Result<std::shared_ptr<const PolicyImage>> build_image() {
  Loaded<Policy> loaded = load_policy_arguments({std::string("tcp://") + kName + ":443"}, {});
  if (!loaded.ok()) return fail(ErrorKind::kInvalid, loaded.diagnostics[0].to_string());
  Policy& policy = loaded.value;
  policy.backend = Backend::kNft;
  policy.dns.resolvers_from_system = false;
  policy.dns.search_from_system = false;
  policy.dns.max_addresses = 2 * kMaxGrants;
  policy.dns.learn = Learn::kProxy;
  auto image = compile_policy(policy, HostPolicy{}, ResolvConf{});
  if (!image) return tl::unexpected<Error>(std::move(image.error()));
  return std::make_shared<const PolicyImage>(*std::move(image));
}

BootTime boot_now() { return {Nanoseconds(static_cast<std::int64_t>(read_clock(CLOCK_BOOTTIME)))}; }

std::uint64_t own_netns() {
  std::uint64_t cookie = 0;
  socklen_t length = sizeof(cookie);
  const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  getsockopt(any.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length);
  return cookie;
}

}  // namespace

Result<ArmedHost> ArmedHost::open(const std::string& parent) {
  auto image = build_image();
  if (!image) return tl::unexpected<Error>(std::move(image.error()));
  nft::HostOptions options;
  options.own_netns = own_netns();
  auto host = nft::HostEnforcer::open(options);
  if (!host) return tl::unexpected<Error>(std::move(host.error()));
  return ArmedHost(std::move(*host), parent, std::move(*image));
}

Result<std::uint64_t> ArmedHost::arm_one() {
  const std::string name = "/w" + std::to_string(ids_.size());
  const std::string path = parent_ + name;
  if (mkdir(path.c_str(), 0755) != 0) return fail_errno(errno, "make " + path);
  const Descriptor cgroup(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ArmRequest request;
  request.cgroup_fd = cgroup.get();
  request.cgroup = name;
  request.image = image_;
  const std::uint64_t start = read_clock(CLOCK_MONOTONIC);
  auto armed = std::move(host_.arm({request}).front());
  const std::uint64_t elapsed = read_clock(CLOCK_MONOTONIC) - start;
  if (!armed) return tl::unexpected<Error>(std::move(armed.error()));
  ids_.push_back(armed->cgroup_id);
  return elapsed;
}

Result<std::vector<std::uint64_t>> ArmedHost::arm_up_to(std::uint32_t workloads, std::uint32_t timed) {
  std::vector<std::uint64_t> times;
  while (times.size() < timed) {
    const bool is_timed = ids_.size() >= workloads;
    auto elapsed = arm_one();
    if (!elapsed) return tl::unexpected<Error>(std::move(elapsed.error()));
    if (is_timed) times.push_back(*elapsed);
  }
  return times;
}

Result<void> ArmedHost::teach(std::uint32_t first, std::uint32_t count) {
  const DomainName name = DomainName::from_normal(kName);
  Lesson lesson{name, decide_name(*image_, name), 0, {}, 0};
  const BootTime now = boot_now();
  for (std::uint32_t i = 0; i < count; ++i) {
    Grant grant{lesson.name, Address::v4(granted_address(first + i)), now + std::chrono::hours(1), 0, NW_REASON_NONE};
    grant.ports = lesson.decision.allow & kAllPorts;
    lesson.grants.push_back(grant);
  }
  const Reason reason = host_.teach(ids_.front(), lesson, now);
  if (reason != NW_REASON_NONE) return fail(ErrorKind::kInvalid, "not taught: " + std::string(code_of(reason)));
  return {};
}

Result<std::vector<std::uint64_t>> ArmedHost::teach_up_to(std::uint32_t grants, std::uint32_t timed) {
  while (grants_ < grants) {
    const std::uint32_t count = std::min(kLessonSize, grants - grants_);
    if (auto taught = teach(grants_, count); !taught) return tl::unexpected<Error>(std::move(taught.error()));
    grants_ += count;
  }
  std::vector<std::uint64_t> times;
  for (std::uint32_t i = 0; i < timed; ++i, ++grants_) {
    const std::uint64_t start = read_clock(CLOCK_MONOTONIC);
    if (auto taught = teach(grants_, 1); !taught) return tl::unexpected<Error>(std::move(taught.error()));
    times.push_back(read_clock(CLOCK_MONOTONIC) - start);
  }
  return times;
}

}  // namespace namewall::bench
