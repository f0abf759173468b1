#include "nft/leftover_tables.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <array>
#include <cstring>

#include "nft/listing.h"

namespace namewall::nft {
namespace {

std::string name_of(const nlmsghdr& message) {
  std::string name;
  const auto take = [](const nlattr* attribute, void* data) {
    if (mnl_attr_get_type(attribute) == NFTA_TABLE_NAME && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0) {
      *static_cast<std::string*>(data) = mnl_attr_get_str(attribute);
    }
    return MNL_CB_OK;
  };
  mnl_attr_parse(&message, sizeof(nfgenmsg), take, &name);
  return name;
}

Result<std::vector<std::string>> list_tables(NftSocket& socket, std::string_view prefix) {
  alignas(nlmsghdr) std::array<std::uint8_t, 64> request{};
  nlmsghdr* header = mnl_nlmsg_put_header(request.data());
  header->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  family->nfgen_family = NFPROTO_INET;
  family->version = NFNETLINK_V0;
  std::vector<std::string> names;
  const auto dumped = socket.dump({request.data(), header->nlmsg_len}, [&](const nlmsghdr& message) {
    if (message.nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE)) return;
    std::string name = name_of(message);
    if (name.starts_with(prefix)) names.push_back(std::move(name));
  });
  if (!dumped) return tl::unexpected(dumped.error());
  return names;
}

}  // namespace

Result<std::vector<std::string>> remove_leftover_tables(
    std::string_view prefix, const std::function<bool(std::uint64_t cgroup_id, const std::string& path)>& is_gone) {
  auto socket = NftSocket::open();
  if (!socket) return tl::unexpected(socket.error());
  const auto names = list_tables(*socket, prefix);
  if (!names) return tl::unexpected(names.error());
  std::vector<std::string> removed;
  for (const std::string& name : *names) {
    bool is_left = true;
    const auto listed = list_elements(
        *socket, SetId::kEnforced,
        [&](const Element& element) {
          std::uint64_t id = 0;
          if (element.key.size() == sizeof id) std::memcpy(&id, element.key.data(), sizeof id);
          const auto tag = parse_workload_tag(element.comment);
          is_left = is_left && is_gone(id, tag ? tag->cgroup : "");
        },
        name);
    if (!listed || !is_left) continue;
    Batch batch;
    batch.delete_table(name);
    if (const auto done = socket->commit(batch); done && done->is_committed()) removed.push_back(name);
  }
  return removed;
}

}  // namespace namewall::nft
