#include "bench/worker/hostile.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>

namespace namewall::bench {
namespace {

constexpr std::uint32_t kConnectsPerTurn = 64;
constexpr std::uint32_t kQuestionsPerTurn = 16;
constexpr std::uint16_t kAddressesPerAnswer = 200;
constexpr std::uint32_t kNeverGranted = 0x0c000001;  // 12.0.0.1: outside the routed 11.0.0.0/8 too

Result<void> connect_where_refused(std::uint32_t offset, HostileTally& tally) {
  const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (client.get() < 0) return fail_errno(errno, "make a TCP socket");
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(443);
  to.sin_addr.s_addr = htonl(kNeverGranted + (offset & 0xffff));
  if (connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0)
    return fail(ErrorKind::kConflict, "a connect that must fail succeeded");
  ++tally.refused_connects;
  return {};
}

}  // namespace

Result<HostileTally> be_hostile(Lookups& lookups, int stop_fd) {
  HostileTally tally;
  const AnswerShape shape{kAddressesPerAnswer, false, 3600};
  pollfd stop{stop_fd, POLLIN, 0};
  for (std::uint32_t turn = 0; poll(&stop, 1, 0) == 0; ++turn) {
    for (std::uint32_t i = 0; i < kConnectsPerTurn; ++i) {
      if (Result<void> tried = connect_where_refused(turn * kConnectsPerTurn + i, tally); !tried)
        return tl::unexpected<Error>(std::move(tried.error()));
    }
    for (std::uint32_t i = 0; i < kQuestionsPerTurn; ++i) {
      const std::uint32_t number = turn * kQuestionsPerTurn + i;
      const std::string label = "n" + std::to_string(number);
      if (!lookups.ask_crafted(label + ".unlisted.example", shape, 0)) ++tally.refused_questions;
      const bool delivered =
          lookups.ask_crafted(label + ".fresh.bench.example", shape, number * kAddressesPerAnswer).has_value();
      ++(delivered ? tally.delivered_answers : tally.withheld_answers);
    }
  }
  return tally;
}

}  // namespace namewall::bench
