// dns_load: asks a resolver as a workload does, and prints what came of it as one JSON object.
//
//   --server ADDRESS --names fresh:SUFFIX|fixed:COUNT:SUFFIX --seconds S
//   [--port 53] [--cgroup DIRECTORY] [--cpu N] [--real-time yes]
//   [--rate PER_SECOND] [--window 100]      at that rate, or as many at a time as the window holds
//   [--count N]                             at most so many questions
//   [--start NANOSECONDS]                   of CLOCK_MONOTONIC: not before, so that several begin in step
//   [--each yes]                            prints every latency, too
//   [--over kept|socket|tcp]                one UDP socket, a UDP socket or a TCP connection for each question
//
// The cgroup is joined before any socket is made. A failure is whatever is not NOERROR with an address.
#include <sys/prctl.h>

#include <cstdlib>
#include <ctime>
#include <iostream>
#include <map>

#include "bench/dns_load/fresh_sockets.h"
#include "bench/dns_load/kept_socket.h"
#include "bench/dns_load/server_address.h"
#include "bench/worker/placement.h"

namespace namewall::bench {
namespace {

constexpr std::uint32_t kLargestWindow = 60'000;  // apart by 16-bit ids
const std::map<std::string, std::string> kDefaults = {
    {"--server", ""},      {"--names", ""},  {"--seconds", ""}, {"--port", "53"},    {"--cgroup", ""},
    {"--cpu", "-1"},       {"--rate", "0"},  {"--count", "0"},  {"--window", "100"}, {"--over", "kept"},
    {"--real-time", "no"}, {"--each", "no"}, {"--start", "0"}};

Result<std::map<std::string, std::string>> parse_arguments(int count, char** words) {
  std::map<std::string, std::string> given = kDefaults;
  for (int i = 1; i < count; i += 2) {
    if (!kDefaults.contains(words[i]) || i + 1 == count)
      return fail(ErrorKind::kInvalid, std::string("not an option with a value: ") + words[i]);
    given[words[i]] = words[i + 1];
  }
  return given;
}

Result<void> take_place(std::map<std::string, std::string>& given) {
  if (const int cpu = std::atoi(given["--cpu"].c_str()); cpu >= 0) {
    if (auto pinned = pin_to_cpu(cpu); !pinned) return pinned;
  }
  if (given["--real-time"] == "yes") {
    if (auto taken = take_real_time_priority(); !taken) return taken;
  }
  prctl(PR_SET_TIMERSLACK, 1);
  return given["--cgroup"].empty() ? Result<void>{} : join_cgroup(given["--cgroup"]);
}

Result<std::string> load(int count, char** words) {
  auto given = parse_arguments(count, words);
  if (!given) return tl::unexpected<Error>(given.error());
  auto server = parse_server((*given)["--server"], static_cast<std::uint16_t>(std::atoi((*given)["--port"].c_str())));
  auto names = Names::parse((*given)["--names"]);
  if (!server || !names) return tl::unexpected<Error>(server ? names.error() : server.error());
  Pace pace;
  pace.per_second = std::atof((*given)["--rate"].c_str());
  pace.window = static_cast<std::uint32_t>(std::atoi((*given)["--window"].c_str()));
  pace.most = std::strtoull((*given)["--count"].c_str(), nullptr, 10);
  pace.end = static_cast<std::uint64_t>(std::atof((*given)["--seconds"].c_str()) * kSecond);
  const std::string& over = (*given)["--over"];
  if (pace.window == 0 || pace.window > kLargestWindow || pace.end == 0 ||
      (over != "kept" && over != "socket" && over != "tcp"))
    return fail(ErrorKind::kInvalid, "--window, --seconds or --over is not as it can be");
  if (auto placed = take_place(*given); !placed) return tl::unexpected<Error>(placed.error());
  if (const std::uint64_t start = std::strtoull((*given)["--start"].c_str(), nullptr, 10); start > 0) {
    const timespec moment{static_cast<time_t>(start / kSecond), static_cast<long>(start % kSecond)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, nullptr);
  }
  Tally tally;
  auto elapsed = over == "kept"
                     ? ask_over_kept_socket(*server, pace, *names, tally)
                     : ask_over_fresh_sockets(*server, over == "tcp" ? SOCK_STREAM : SOCK_DGRAM, pace, *names, tally);
  if (!elapsed) return tl::unexpected<Error>(elapsed.error());
  return tally.json(*elapsed, (*given)["--each"] == "yes");
}

}  // namespace
}  // namespace namewall::bench

int main(int count, char** words) {
  const auto figures = namewall::bench::load(count, words);
  if (!figures) {
    std::cerr << "dns_load: " << figures.error().message() << '\n';
    return 1;
  }
  std::cout << *figures << '\n';
  return 0;
}
