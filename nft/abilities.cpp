// What this kernel's nf_tables can do: asked of the kernel itself, never of its version.
#include <linux/netfilter/nf_tables.h>

#include <cerrno>
#include <chrono>
#include <string>

#include "nft/element_message.h"
#include "nft/kernel_abi.h"
#include "nft/transaction.h"

namespace namewall::nft {
namespace {

using namespace std::chrono_literals;

constexpr SetId kProbedSet = SetId::kLearned4;

Element probe_element(Nanoseconds timeout) {
  return {.set = kProbedSet, .key = encode(EndpointKey{1, Address::v4({192, 0, 2, 1}), 6, 443}), .timeout = timeout};
}

// A transaction that the kernel takes back: its last message names a table that nobody has.
class Attempt {
 public:
  explicit Attempt(std::string name) : name_(std::move(name)) {}
  Batch batch;
  Result<CommitResult> run(NftSocket& socket) {
    last_ = batch.delete_table(name_ + "-none");
    auto result = socket.commit(batch);
    if (!result) return result;
    if (const auto* whole = result->find(batch.first_sequence())) return fail_errno(whole->error, "try nf_tables");
    if (result->is_lost || result->find(last_) == nullptr) {
      return fail(ErrorKind::kSystem, "a transaction that should fail did not");
    }
    return result;
  }

 private:
  std::string name_;
  std::uint32_t last_ = 0;
};

Result<bool> renews(NftSocket& socket, const std::string& name) {
  const auto element = probe_element(1h), renewed = probe_element(2h);
  Batch make;
  make.add_table(TableKind::kPlain, name);
  make.add_set(shape_of(kProbedSet), name);
  make.add_elements({&element, 1}, name);
  auto made = socket.commit(make);
  if (!made) return tl::unexpected(made.error());
  if (!made->is_committed()) return fail(ErrorKind::kSystem, "make a table to try renewing in: " + made->text());

  Batch renew;
  renew.renew_elements({&renewed, 1}, UpdateWay::kUpdate, name);
  auto result = socket.commit(renew);
  Nanoseconds left{0};
  auto asked = socket.ask(get_elements_request({&element, 1}, name), [&](const nlmsghdr& message) {
    each_element(message, kProbedSet, [&](const Element& found) { left = found.expires.value_or(Nanoseconds{0}); });
  });
  Batch remove;
  remove.delete_table(name);
  auto removed = socket.commit(remove);
  if (!result) return tl::unexpected(result.error());
  if (!asked) return tl::unexpected(asked.error());
  if (!removed) return tl::unexpected(removed.error());
  return result->is_committed() && left > 90min;
}

}  // namespace

Result<NftAbilities> probe_abilities(NftSocket& socket) {
  const std::string name = "namewall-probe-" + std::to_string(socket.port());
  NftAbilities abilities;

  Attempt owned(name);
  const auto owned_table = owned.batch.add_table(TableKind::kOwned, name);
  auto result = owned.run(socket);
  if (!result) return tl::unexpected(result.error());
  if (result->find(owned_table) == nullptr) abilities.table = TableKind::kOwned;

  Attempt destroy(name);
  destroy.batch.add_table(TableKind::kPlain, name);
  destroy.batch.add_set(shape_of(kProbedSet), name);
  const auto element = probe_element(1h);
  const auto destroyed = destroy.batch.destroy_elements({&element, 1}, name);
  result = destroy.run(socket);
  if (!result) return tl::unexpected(result.error());
  abilities.has_destroy = result->find(destroyed) == nullptr;

  const auto update = renews(socket, name);
  if (!update) return tl::unexpected(update.error());
  abilities.update = *update ? UpdateWay::kUpdate : UpdateWay::kReplace;
  return abilities;
}

}  // namespace namewall::nft
