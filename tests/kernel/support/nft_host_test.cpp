#include "tests/kernel/support/nft_host_test.h"

#include <poll.h>
#include <sys/stat.h>

#include <stdexcept>

#include "tests/kernel/support/lesson_builder.h"

namespace namewall::kernel_tests {

void NftHostTest::open() {
  close();
  auto opened = nft::HostEnforcer::open(options_);
  if (!opened) throw std::runtime_error(opened.error().message());  // nothing can follow
  host_.emplace(std::move(*opened));
}

void NftHostTest::become_old_kernel() {
  options_.abilities = nft::NftAbilities{nft::TableKind::kPlain, nft::UpdateWay::kReplace, false};
}

std::shared_ptr<const PolicyImage> NftHostTest::image_with(const Policy& policy) {
  return std::make_shared<const PolicyImage>(compile(policy));
}

std::shared_ptr<const PolicyImage> NftHostTest::image_of(const std::vector<std::string>& allow) {
  return image_with(make_policy(allow));
}

ArmRequest NftHostTest::request(const ThrowawayCgroup& cgroup, std::shared_ptr<const PolicyImage> image) const {
  ArmRequest request;
  request.cgroup_fd = cgroup.fd();
  request.image = std::move(image);
  return request;
}

ArmedCgroup NftHostTest::arm(const ThrowawayCgroup& cgroup, std::shared_ptr<const PolicyImage> image) {
  const auto armed = host_->arm({request(cgroup, std::move(image))}).front();
  if (!armed) {
    ADD_FAILURE() << armed.error().message();
    return {};
  }
  return *armed;
}

Reason NftHostTest::teach(const ThrowawayCgroup& cgroup, const PolicyImage& image, const std::string& name,
                          const std::vector<std::string>& addresses, Nanoseconds left) {
  const BootTime now = boot_now();
  return host_->teach(id_of(cgroup), make_lesson(image, name, addresses, now + left), now);
}

std::uint64_t NftHostTest::id_of(const ThrowawayCgroup& cgroup) {
  struct stat at {};
  if (fstat(cgroup.fd(), &at) != 0) ADD_FAILURE() << "fstat of the cgroup failed";
  return at.st_ino;
}

std::vector<std::string> NftHostTest::damage() {
  std::vector<std::string> found;
  for (const Damage& damage : host_->verify(1000))
    found.push_back((damage.repaired ? "" : "NOT REPAIRED: ") + damage.what);
  return found;
}

std::vector<Event> NftHostTest::events() {
  std::vector<Event> all;
  for (const int fd : host_->event_fds()) {
    pollfd ready{fd, POLLIN, 0};
    while (poll(&ready, 1, all.empty() ? 1000 : 50) > 0) {
      const auto count = host_->consume_events(1000, [&](const Event& event) { all.push_back(event); });
      EXPECT_TRUE(count) << count.error().message();
      if (!count) break;
    }
  }
  return all;
}

}  // namespace namewall::kernel_tests
