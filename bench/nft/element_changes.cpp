#include "bench/nft/element_changes.h"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>

#include "bench/worker/placement.h"
#include "bench/worker/slice.h"

namespace namewall::bench {
namespace {

constexpr std::uint32_t kFillBatch = 10'000;
constexpr std::string_view kCgroupFolder = "/sys/fs/cgroup/";

std::int64_t slab_bytes() {
  std::ifstream lines("/proc/meminfo");
  for (std::string key, unit; lines >> key;) {
    std::int64_t kib = 0;
    lines >> kib;
    std::getline(lines, unit);
    if (key == "Slab:") return kib * 1024;
  }
  return 0;
}

Result<void> commit(nft::NftSocket& socket, nft::Batch& batch) {
  auto done = socket.commit(batch);
  if (!done) return tl::unexpected<Error>(std::move(done.error()));
  if (!done->is_committed())
    return fail_errno(done->errors.empty() ? ENOBUFS : done->errors.front().error, "commit a transaction");
  return {};
}

Result<void> make_table(nft::NftSocket& socket) {
  nft::Batch batch;
  batch.add_table(nft::TableKind::kPlain);
  batch.add_set(nft::shape_of(nft::SetId::kLearned4));
  return commit(socket, batch);
}

template <typename Step>
Result<Timed> timed(Step&& step) {
  auto slice = time_slice(1, [&](std::uint32_t) { return step(); });
  if (!slice) return tl::unexpected<Error>(std::move(slice.error()));
  return Timed{slice->wall_ns, slice->preempted};
}

}  // namespace

Result<ElementChanges> ElementChanges::open(const std::string& text_netns, const std::string& cgroup) {
  std::optional<Result<nft::NftSocket>> beside;
  std::optional<Result<TextCommands>> text;
  auto own = nft::NftSocket::open();
  if (!own) return tl::unexpected<Error>(std::move(own.error()));
  auto entered = within_network_namespace(text_netns, [&]() -> Result<void> {
    beside.emplace(nft::NftSocket::open());
    text.emplace(TextCommands::open());
    return {};
  });
  if (!entered) return tl::unexpected<Error>(std::move(entered.error()));
  if (!*beside) return tl::unexpected<Error>(std::move(beside->error()));
  if (!*text && text->error().kind != ErrorKind::kUnsupported) return tl::unexpected<Error>(std::move(text->error()));
  auto abilities = nft::probe_abilities(*own);
  if (!abilities) return tl::unexpected<Error>(std::move(abilities.error()));

  struct stat status {};
  if (stat(cgroup.c_str(), &status) != 0) return fail_errno(errno, "look at " + cgroup);
  ElementChanges changes(std::move(*own), std::move(**beside), abilities->update);
  if (*text) changes.text_.emplace(std::move(**text));
  changes.text_cgroup_ = cgroup.substr(cgroup.starts_with(kCgroupFolder) ? kCgroupFolder.size() : 0);
  changes.cgroup_id_ = status.st_ino;
  if (auto made = make_table(changes.own_); !made) return tl::unexpected<Error>(std::move(made.error()));
  if (auto made = make_table(changes.beside_); !made) return tl::unexpected<Error>(std::move(made.error()));
  return changes;
}

Result<void> ElementChanges::add(nft::NftSocket& socket, std::uint32_t first, std::uint32_t count) {
  nft::Batch batch;
  batch.add_elements(learned_elements(cgroup_id_, first, count));
  return commit(socket, batch);
}

Result<void> ElementChanges::remove(nft::NftSocket& socket, std::uint32_t first, std::uint32_t count) {
  nft::Batch batch;
  batch.delete_elements(learned_elements(cgroup_id_, first, count));
  return commit(socket, batch);
}

Result<std::int64_t> ElementChanges::fill(std::uint32_t elements) {
  const std::int64_t before = slab_bytes();
  for (; filled_ < elements; filled_ += std::min(kFillBatch, elements - filled_)) {
    const std::uint32_t count = std::min(kFillBatch, elements - filled_);
    for (nft::NftSocket* socket : {&own_, &beside_}) {
      if (auto added = add(*socket, filled_, count); !added) return tl::unexpected<Error>(std::move(added.error()));
    }
  }
  return slab_bytes() - before;
}

Result<Timed> ElementChanges::time_own(Change change, std::uint32_t first, std::uint32_t count) {
  const auto elements = learned_elements(cgroup_id_, first, count, round_);
  return timed([&]() -> Result<void> {
    nft::Batch batch;
    if (change == Change::kAdd) batch.add_elements(elements);
    if (change == Change::kRenew) batch.renew_elements(elements, way_);
    if (change == Change::kRemove) batch.delete_elements(elements);
    return commit(own_, batch);
  });
}

Result<Timed> ElementChanges::time_text(Change change, std::uint32_t first, std::uint32_t count) {
  const std::string command = change_text(change, text_cgroup_, first, count, round_);
  return timed([&] { return text_->run(command); });
}

Result<ElementChanges::Round> ElementChanges::change(Change change, std::uint32_t count) {
  ++round_;
  const std::uint32_t existing = filled_ < count ? 0 : (round_ * 7919u * count) % (filled_ - count + 1);
  const std::uint32_t first = change == Change::kRenew ? existing : filled_;
  Round round;
  if (change == Change::kRemove) {
    if (auto added = add(own_, first, count); !added) return tl::unexpected<Error>(std::move(added.error()));
    if (text_) {
      if (auto added = add(beside_, first, count); !added) return tl::unexpected<Error>(std::move(added.error()));
    }
  }
  auto own = time_own(change, first, count);
  if (!own) return tl::unexpected<Error>(std::move(own.error()));
  round.own = *own;
  if (text_) {
    auto text = time_text(change, first, count);
    if (!text) return tl::unexpected<Error>(std::move(text.error()));
    round.text = *text;
  }
  if (change == Change::kAdd) {
    if (auto removed = remove(own_, first, count); !removed) return tl::unexpected<Error>(std::move(removed.error()));
    if (text_) {
      if (auto removed = remove(beside_, first, count); !removed)
        return tl::unexpected<Error>(std::move(removed.error()));
    }
  }
  return round;
}

}  // namespace namewall::bench
