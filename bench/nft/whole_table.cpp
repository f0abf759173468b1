#include "bench/nft/whole_table.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "bench/nft/learned_elements.h"
#include "nft/ruleset.h"

namespace namewall::bench {
namespace {

constexpr std::uint64_t kFirstMadeUp = std::uint64_t{1} << 40;  // above every cgroup id of this boot
constexpr std::uint32_t kAlsoByUdp = 100;
constexpr std::uint32_t kBatch = 10'000;

nft::Element enforced(std::uint64_t cgroup_id, std::uint32_t number) {
  nft::Element element;
  element.set = nft::SetId::kEnforced;
  element.key = nft::encode_cgroup(cgroup_id);
  element.comment = nft::to_comment(nft::WorkloadTag{number, 1, 1, false, "/bench/" + std::to_string(number)});
  return element;
}

nft::Element token(std::uint64_t cgroup_id, std::uint32_t number) {
  nft::Element element;
  element.set = nft::SetId::kTokens;
  element.key = nft::encode_cgroup(cgroup_id);
  element.data = nft::encode_mark(number << nft::kTokenShift);
  return element;
}

Result<void> commit(nft::NftSocket& socket, nft::Batch& batch) {
  auto done = socket.commit(batch);
  if (!done) return tl::unexpected<Error>(std::move(done.error()));
  if (!done->is_committed()) return fail(ErrorKind::kInvalid, "the table is not made: " + done->text());
  return {};
}

}  // namespace

Result<CgroupPlace> find_cgroup(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return fail_errno(errno, "look at " + path);
  std::ifstream mounts("/proc/self/mounts");
  for (std::string device, target, kind, rest; mounts >> device >> target >> kind; std::getline(mounts, rest)) {
    if (kind != "cgroup2" || !path.starts_with(target + "/")) continue;
    const auto slashes = std::count(path.begin() + static_cast<std::ptrdiff_t>(target.size()), path.end(), '/');
    return CgroupPlace{status.st_ino, static_cast<std::uint32_t>(slashes)};
  }
  return fail(ErrorKind::kNotFound, path + " is no cgroup");
}

Result<void> make_whole_table(nft::NftSocket& socket, const CgroupPlace& cgroup, std::uint32_t workloads,
                              std::uint32_t grants) {
  auto abilities = nft::probe_abilities(socket);
  if (!abilities) return tl::unexpected<Error>(std::move(abilities.error()));
  nft::RulesetPlan plan;
  plan.depths = {cgroup.depth};
  nft::Batch table;
  nft::add_whole_table(table, abilities->table, plan);
  if (auto made = commit(socket, table); !made) return made;

  std::vector<nft::Element> waiting;
  const auto send = [&]() -> Result<void> {
    nft::Batch batch;
    batch.add_elements(waiting);
    waiting.clear();
    return commit(socket, batch);
  };
  const std::uint32_t share = grants / workloads;
  for (std::uint32_t number = 0; number < workloads; ++number) {
    const std::uint64_t id = number == 0 ? cgroup.id : kFirstMadeUp + number;
    waiting.push_back(token(id, number + 1));
    for (nft::Element& element : learned_elements(id, number * share, share)) waiting.push_back(std::move(element));
    for (std::uint32_t i = 0; number == 0 && i < kAlsoByUdp; ++i)
      waiting.push_back(learned_element(id, i, 0, Protocol::kUdp));
    waiting.push_back(enforced(id, number + 1));
    if (waiting.size() < kBatch) continue;
    if (auto sent = send(); !sent) return sent;
  }
  return waiting.empty() ? Result<void>() : send();
}

}  // namespace namewall::bench
