#include "tests/kernel/support/sniffer.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>

#include <algorithm>
#include <cstring>

#include "tests/kernel/support/client.h"

namespace namewall::kernel_tests {

Sniffer::Sniffer(const Network& network) {
  network.in_far([this] {
    socket_ = OwnedFd(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int buffer = 8 << 20;
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
    sockaddr_ll device{};
    device.sll_family = AF_PACKET;
    device.sll_protocol = htons(ETH_P_ALL);
    device.sll_ifindex = static_cast<int>(if_nametoindex(kFarDevice));
    if (bind(socket_.get(), reinterpret_cast<sockaddr*>(&device), sizeof(device)) != 0) {
      ADD_FAILURE() << "sniffer: " << std::strerror(errno);
    }
  });
}

std::vector<Bytes> Sniffer::take() {
  std::vector<Bytes> packets;
  for (;;) {
    auto packet = receive(socket_.get(), milliseconds(30));
    if (!packet) return packets;
    packets.push_back(std::move(*packet));
  }
}

Address destination_of(const Bytes& packet) {
  if (packet.size() >= 20 && packet[0] >> 4 == 4) return Address::v4({packet[16], packet[17], packet[18], packet[19]});
  std::array<std::uint8_t, 16> bytes{};
  if (packet.size() >= 40 && packet[0] >> 4 == 6) std::copy_n(packet.begin() + 24, 16, bytes.begin());
  return Address::v6(bytes);
}

bool contains_text(const Bytes& packet, const std::string& text) {
  return std::search(packet.begin(), packet.end(), text.begin(), text.end()) != packet.end();
}

}  // namespace namewall::kernel_tests
