#include "agent/host/open_backends.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "bpf/cgroup_search.h"
#include "bpf/host_enforcer.h"
#include "nft/host_enforcer.h"
#include "nft/listing.h"

namespace namewall::agent {
namespace {

template <typename Enforcer, typename Options>
Result<std::unique_ptr<HostBackend>> open_one(const Options& options) {
  auto opened = Enforcer::open(options);
  if (!opened) return tl::unexpected(opened.error());
  return std::make_unique<Enforcer>(std::move(*opened));
}

// Asks the kernel what its BPF programs can do: only where they are wanted.
bpf::HostOptions bpf_options(const BackendOptions& options) {
  bpf::HostOptions host;
  host.directory = options.pin_directory;
  host.owner_uid = options.owner_uid;
  host.owner_gid = options.owner_gid;
  host.max_workloads = options.max_workloads;
  host.spare_tables = options.spare_tables;
  host.keeps_spare_layer = options.keeps_spare_layer;
  return host;
}

nft::HostOptions nft_options(const BackendOptions& options) {
  nft::HostOptions host;
  host.own_netns = options.own_netns;
  host.max_workloads = options.max_workloads;
  return host;
}

Result<FileDescriptor> open_armed_cgroup(std::uint64_t cgroup_id, const std::string& known_path) {
  const auto mount = bpf::find_cgroup_mount();
  if (!mount) return tl::unexpected(mount.error());
  std::string path = known_path;
  if (path.empty()) {
    bpf::walk_cgroups(*mount, [&](const std::string& found, std::uint64_t id) {
      if (id == cgroup_id) path = found;
    });
  }
  if (path.empty()) return fail(ErrorKind::kNotFound, "the cgroup is gone");
  return bpf::open_cgroup(*mount, path, cgroup_id);
}

}  // namespace

std::unique_ptr<HostBackends> make_backends(const BackendOptions& options) {
  HostBackends::Openers openers;
  openers.bpf = [options] { return open_one<bpf::HostEnforcer>(bpf_options(options)); };
  openers.nft = [options] { return open_one<nft::HostEnforcer>(nft_options(options)); };
  openers.cgroup = open_armed_cgroup;
  return std::make_unique<HostBackends>(std::move(openers));
}

Result<std::vector<std::string>> teardown_backends(const BackendOptions& options) {
  std::vector<std::string> lifted;
  if (has_left_table()) {
    auto of_table = nft::HostEnforcer::teardown_all(nft_options(options));
    if (!of_table) return of_table;
    lifted = std::move(*of_table);
  }
  // Without pins there may be programs all the same, but not on a host that has done with the table alone.
  if (!lifted.empty() && !has_left_pins(options.pin_directory)) return lifted;
  auto of_pins = bpf::HostEnforcer::teardown_all(bpf_options(options));
  if (!of_pins) return of_pins;
  lifted.insert(lifted.end(), of_pins->begin(), of_pins->end());
  return lifted;
}

bool has_left_pins(const std::string& pin_directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(pin_directory, error)) {
    if (entry.path().filename().string().starts_with("v")) return true;
  }
  return false;
}

bool has_left_table() {
  auto socket = nft::NftSocket::open();
  if (!socket) return false;
  const auto table = nft::read_table(*socket);
  return table && *table;
}

}  // namespace namewall::agent
