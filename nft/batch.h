// One nftables transaction as bytes: NFNL_MSG_BATCH_BEGIN, messages, NFNL_MSG_BATCH_END. Pure: the same calls give the
// same bytes. All or nothing in the kernel. Rules are built with libnftnl, the rest by message_writer.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nft/element.h"

struct nftnl_rule;  // with its table, chain and family

namespace namewall::nft {

// Owned and persistent: nobody else can change it while its owner lives, and it outlives its owner. Once the owner's
// socket is closed it enforces as before, but everybody may change it, `nft flush ruleset` too, until it is adopted:
// add_table() by its new owner.
enum class TableKind { kOwned, kPlain };

// Of sets whose elements may exist already, or may be gone: what is sent depends on the kernel.
enum class UpdateWay {
  kUpdate,   // 6.12: NEWSETELEM with TIMEOUT and EXPIRATION
  kReplace,  // before: add + delete + add, works whether it is present, expired or absent
};

class Batch {
 public:
  // Messages are numbered from `first_sequence` on, BATCH_BEGIN first; the numbers name them in errors. An error that
  // names BATCH_BEGIN is one of the transaction as a whole.
  explicit Batch(std::uint32_t first_sequence = 1);
  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) noexcept;
  ~Batch();

  // Each returns the number of its (first) message.
  std::uint32_t add_table(TableKind kind, std::string_view name = kTableName);
  std::uint32_t delete_table(std::string_view name = kTableName);
  std::uint32_t add_set(const SetShape& shape, std::string_view table = kTableName);
  std::uint32_t add_base_chain(std::string_view name, std::string_view type, std::uint32_t hook, std::int32_t priority,
                               std::string_view table = kTableName);
  std::uint32_t add_chain(std::string_view name, std::string_view table = kTableName);
  std::uint32_t delete_chain(std::string_view name, std::string_view table = kTableName);  // empty, nobody jumps there
  std::uint32_t flush_chain(std::string_view name, std::string_view table = kTableName);
  std::uint32_t add_rule(const nftnl_rule& rule);  // appended
  // Of any sets, in this order. Elements of one set are in one message as long as they fit
  // (NFTA_SET_ELEM_LIST_ELEMENTS has a length of 16 bits). An element that exists already is no error: it stays as it
  // is, but for its timeout (6.12). Another's data, or an interval that overlaps: EBUSY, EEXIST.
  std::uint32_t add_elements(std::span<const Element> elements, std::string_view table = kTableName);
  // Renews or adds: from now on it has its timeout again. kReplace writes its comment, too; kUpdate only a new one's.
  // The same element twice in one call: kReplace fails (ENOENT).
  std::uint32_t renew_elements(std::span<const Element> elements, UpdateWay way, std::string_view table = kTableName);
  // Absent ones: ENOENT, and the whole transaction fails. `destroy`: they are no error (6.3).
  std::uint32_t delete_elements(std::span<const Element> elements, std::string_view table = kTableName);
  std::uint32_t destroy_elements(std::span<const Element> elements, std::string_view table = kTableName);
  std::uint32_t flush_set(SetId set, std::string_view table = kTableName);

  bool empty() const;
  std::uint32_t first_sequence() const;
  std::uint32_t next_sequence() const;
  // With the closing message; nothing can be added any more.
  std::span<const std::uint8_t> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace namewall::nft
