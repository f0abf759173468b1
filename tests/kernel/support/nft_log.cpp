#include "tests/kernel/support/nft_log.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace namewall::kernel_tests {
namespace {

void send_config(int socket, std::uint16_t group, std::uint16_t attribute, const void* data, std::size_t size) {
  std::array<char, 256> buffer{};
  auto* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
  message->nlmsg_flags = NLM_F_REQUEST;
  auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  family->res_id = htons(group);
  mnl_attr_put(message, attribute, size, data);
  if (send(socket, message, message->nlmsg_len, 0) < 0) ADD_FAILURE() << std::strerror(errno);
}

}  // namespace

NftLog::NftLog(std::uint16_t group) : socket_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)) {
  const nfulnl_msg_config_cmd bind{NFULNL_CFG_CMD_BIND};
  send_config(socket_.get(), group, NFULA_CFG_CMD, &bind, sizeof(bind));
  const nfulnl_msg_config_mode mode{htonl(256), NFULNL_COPY_PACKET, 0};
  send_config(socket_.get(), group, NFULA_CFG_MODE, &mode, sizeof(mode));
  const std::uint32_t at_once = htonl(1);
  send_config(socket_.get(), group, NFULA_CFG_QTHRESH, &at_once, sizeof(at_once));
}

std::vector<LogEntry> NftLog::take() {
  std::vector<LogEntry> entries;
  std::vector<char> buffer(65536);
  for (pollfd waiting{socket_.get(), POLLIN, 0}; poll(&waiting, 1, 50) == 1;) {
    auto length = static_cast<int>(recv(socket_.get(), buffer.data(), buffer.size(), 0));
    if (length < 0) break;
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, length);
         message = mnl_nlmsg_next(message, &length)) {
      if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET)) continue;
      LogEntry entry;
      mnl_attr_parse(
          message, sizeof(nfgenmsg),
          [](const nlattr* attribute, void* data) {
            auto& one = *static_cast<LogEntry*>(data);
            if (mnl_attr_get_type(attribute) == NFULA_PREFIX) one.prefix = mnl_attr_get_str(attribute);
            if (mnl_attr_get_type(attribute) == NFULA_MARK) one.mark = ntohl(mnl_attr_get_u32(attribute));
            return MNL_CB_OK;
          },
          &entry);
      entries.push_back(entry);
    }
  }
  return entries;
}

}  // namespace namewall::kernel_tests
