#include "tests/kernel/support/host_test.h"

#include <sys/stat.h>

#include <filesystem>

#include "tests/kernel/support/bpf_mount.h"

namespace namewall::kernel_tests {

void HostTest::SetUp() {
  NetworkTest::SetUp();
  directory_ = private_bpf_mount() + "/namewall-test-" + std::to_string(getpid());
}

void HostTest::TearDown() {
  close();
  const auto lifted = bpf::HostEnforcer::teardown_all(options());
  EXPECT_TRUE(lifted) << lifted.error().message();
}

bpf::HostOptions HostTest::options() const {
  bpf::HostOptions options;
  options.directory = directory_;
  options.max_workloads = 64;
  options.max_names = 65536;
  options.event_ring_bytes = 1u << 20;
  options.spare_tables = 4;
  return options;
}

void HostTest::open() {
  close();
  auto opened = bpf::HostEnforcer::open(options());
  ASSERT_TRUE(opened) << opened.error().message();
  host_.emplace(std::move(*opened));
}

void HostTest::close() { host_.reset(); }

std::shared_ptr<const PolicyImage> HostTest::image_of(const std::vector<std::string>& allow) const {
  return std::make_shared<const PolicyImage>(compile(make_policy(allow)));
}

ArmRequest HostTest::request(const ThrowawayCgroup& cgroup, const std::vector<std::string>& allow) const {
  ArmRequest request;
  request.cgroup_fd = cgroup.fd();
  request.image = image_of(allow);
  request.options.trusted_netns = {bpf::netns_cookie().value_or(0)};
  return request;
}

ArmedCgroup HostTest::arm(const ThrowawayCgroup& cgroup, const std::vector<std::string>& allow) {
  const auto armed = host_->arm({request(cgroup, allow)}).front();
  if (!armed) {
    ADD_FAILURE() << armed.error().message();
    return {};
  }
  return *armed;
}

std::uint64_t HostTest::id_of(const ThrowawayCgroup& cgroup) {
  struct stat at {};
  if (fstat(cgroup.fd(), &at) != 0) ADD_FAILURE() << "fstat of the cgroup failed";
  return at.st_ino;
}

int HostTest::tcp_in(const ThrowawayCgroup& cgroup, const std::string& address, std::uint16_t port) const {
  return in_cgroup(cgroup, [&] { return tcp_connect(ip(address), port); });
}

LookupOutcome HostTest::look_up_in(const ThrowawayCgroup& cgroup, const std::string& name) const {
  return in_cgroup(cgroup, [&] { return look_up(resolver(), name); });
}

std::vector<std::string> HostTest::damage() {
  std::vector<std::string> found;
  for (const auto& damage : host_->verify(1000))
    found.push_back((damage.repaired ? "" : "NOT REPAIRED: ") + damage.what);
  return found;
}

std::size_t HostTest::count_pins() const {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) ++count;
  return count;
}

}  // namespace namewall::kernel_tests
