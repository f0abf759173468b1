#include "tests/kernel/support/nft_side.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "bpf/enforcer.h"
#include "nft/listing.h"

namespace namewall::kernel_tests {

namespace {

// "/sys/fs/cgroup/unified/a/b" -> "/a/b".
std::string path_in_hierarchy(const std::string& path) {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string device, target, kind, rest; mounts >> device >> target >> kind; std::getline(mounts, rest)) {
    if (kind == "cgroup2" && path.starts_with(target + "/")) return path.substr(target.size());
  }
  return path;
}

}  // namespace

NftSide::NftSide() {
  nft::HostOptions options;
  if (const auto cookie = bpf::netns_cookie()) options.own_netns = *cookie;
  auto host = nft::HostEnforcer::open(options);
  auto reader = nft::NftSocket::open();
  if (!host || !reader) {
    ADD_FAILURE() << (host ? reader.error() : host.error()).message();
    return;
  }
  host_.emplace(std::move(*host));
  reader_.emplace(std::move(*reader));
}

std::uint64_t NftSide::id_of(const ThrowawayCgroup& cgroup) const {
  struct stat at {};
  if (fstat(cgroup.fd(), &at) != 0) ADD_FAILURE() << "fstat of the cgroup failed";
  return at.st_ino;
}

std::string NftSide::hold(const ThrowawayCgroup& cgroup, const PolicyImage& image) {
  PolicyImage held = image;
  held.backend = Backend::kNft;
  held.learn = Learn::kProxy;  // nftables reads no answers
  const auto shared = std::make_shared<const PolicyImage>(std::move(held));
  ArmRequest request;
  request.cgroup_fd = cgroup.fd();
  request.cgroup = path_in_hierarchy(cgroup.path());
  request.image = shared;
  const auto done =
      host_->find(id_of(cgroup)) ? host_->replace(id_of(cgroup), shared, false) : host_->arm({request}).front();
  if (done) return "";
  if (done.error().kind != ErrorKind::kLimit) ADD_FAILURE() << done.error().message();
  return done.error().message();
}

void NftSide::let_go(const ThrowawayCgroup& cgroup) {
  if (!host_->find(id_of(cgroup))) return;
  const auto lifted = host_->disarm(cgroup.fd(), id_of(cgroup));
  EXPECT_TRUE(lifted) << lifted.error().message();
}

std::uint64_t NftSide::refused(const ThrowawayCgroup& cgroup) {
  std::uint64_t packets = 0;
  const auto key = nft::encode_cgroup(id_of(cgroup));
  const auto listed = nft::list_elements(*reader_, nft::SetId::kRefused, [&](const nft::Element& element) {
    if (element.key == key) packets = element.packets;
  });
  EXPECT_TRUE(listed) << listed.error().message();
  return packets;
}

}  // namespace namewall::kernel_tests
