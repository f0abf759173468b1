// bench_worker: one process in one cgroup that makes the measured calls on command. bench/run starts it inside the
// client's network namespace and reads one line for each line it writes; "error ..." says what went wrong.
//
//   slice CASE hot|cold COUNT    -> wall_ns cpu_ns preempted(0|1)
//   each CASE hot|cold COUNT     -> the wall time of every call, ns; at most 4,096 calls
//   hostile                      -> when the next line comes: refused_connects refused_questions delivered withheld
//
// CASE: an operation of socket_calls.h, or server:NAME, crafted:ADDRESSES[+cname], fresh:ADDRESSES.
#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "bench/addresses.h"
#include "bench/worker/hostile.h"
#include "bench/worker/lookups.h"
#include "bench/worker/placement.h"
#include "bench/worker/slice.h"
#include "bench/worker/socket_calls.h"

namespace namewall::bench {
namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr std::uint32_t kWarmUpShare = 8;      // a slice is preceded by an eighth of its operations, not timed
constexpr std::uint32_t kLargestBatch = 4096;  // connections that wait in the backlog between two drains
constexpr std::uint32_t kFreshTtl = 1;
constexpr std::uint32_t kFreshPerProcess = 104'729;  // apart, but not by a power of two: addresses wrap at 2^24

struct Arguments {
  int cpu = 0;
  std::string cgroup;
  std::string server_netns;
  std::string server;   // address of the real DNS server
  std::string crafted;  // address of this worker's crafted one
  std::uint32_t grants = kMaxGrants;
  std::uint16_t port = 0;  // of the listener and the sink; 0: the kernel chooses
  bool real_time = false;
};

Result<sockaddr_in> dns_address(const std::string& text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kDnsPort);
  if (inet_pton(AF_INET, text.c_str(), &address.sin_addr) != 1)
    return fail(ErrorKind::kInvalid, text + " is not an IPv4 address");
  return address;
}

class Worker {
 public:
  static Result<Worker> start(const Arguments& arguments) {
    auto server = dns_address(arguments.server);
    auto crafted = dns_address(arguments.crafted);
    if (!server || !crafted) return tl::unexpected<Error>(server ? crafted.error() : server.error());
    if (auto pinned = pin_to_cpu(arguments.cpu); !pinned) return tl::unexpected<Error>(pinned.error());
    if (arguments.real_time) {
      if (auto taken = take_real_time_priority(); !taken) return tl::unexpected<Error>(taken.error());
    }
    std::uint16_t listener_port = arguments.port;
    std::uint16_t sink_port = arguments.port;
    auto listener = listen_on_any(listener_port);
    auto sink = open_sink(sink_port);
    if (!listener || !sink) return tl::unexpected<Error>(listener ? sink.error() : listener.error());
    Descriptor responder;
    auto made = within_network_namespace(arguments.server_netns, [&]() -> Result<void> {
      auto opened = open_responder(*crafted);
      if (!opened) return tl::unexpected<Error>(opened.error());
      responder = std::move(*opened);
      return {};
    });
    if (!made) return tl::unexpected<Error>(made.error());
    if (auto joined = join_cgroup(arguments.cgroup); !joined) return tl::unexpected<Error>(joined.error());
    return Worker(std::move(*listener), std::move(*sink), std::move(responder), listener_port, sink_port,
                  arguments.grants, *server, *crafted);
  }

  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string command, name, temperature;
    std::uint32_t count = 0;
    words >> command;
    if (command == "hostile") return hostile();
    if (!(words >> name >> temperature >> count) || count == 0) return "error: not a command: " + line;
    auto call = find(name, temperature == "cold");
    if (!call) return "error: " + call.error().message();
    if (command == "slice") return slice(*call, count);
    if (command == "each") return each(*call, count);
    return "error: not a command: " + line;
  }

 private:
  using Call = SocketCalls::Call;

  Worker(Descriptor listener, Descriptor sink, Descriptor responder, std::uint16_t listener_port,
         std::uint16_t sink_port, std::uint32_t grants, const sockaddr_in& server, const sockaddr_in& crafted)
      : listener_(std::move(listener)),
        sink_(std::move(sink)),
        responder_(std::move(responder)),
        sockets_(std::make_unique<SocketCalls>(listener_.get(), listener_port, sink_port, grants)),
        lookups_(std::make_unique<Lookups>(server, responder_.get(), crafted)) {}

  Result<Call> find(const std::string& name, bool cold) {
    const std::size_t colon = name.find(':');
    if (colon == std::string::npos) return sockets_->find(name, cold);
    const std::string kind = name.substr(0, colon);
    const std::string rest = name.substr(colon + 1);
    if (kind == "server") return Call([this, rest](std::uint32_t) { return lookups_->ask_server(rest); });
    AnswerShape shape;
    shape.addresses = static_cast<std::uint16_t>(std::strtoul(rest.c_str(), nullptr, 10));
    shape.with_cnames = rest.find("+cname") != std::string::npos;
    if (kind == "crafted")
      return Call([this, shape](std::uint32_t) { return lookups_->ask_crafted("known.bench.example", shape, 0); });
    if (kind != "fresh") return fail(ErrorKind::kInvalid, "no operation is called " + name);
    shape.ttl = kFreshTtl;
    return Call([this, shape](std::uint32_t) {
      const std::uint32_t number = ++fresh_;
      return lookups_->ask_crafted("f" + std::to_string(process_) + "-" + std::to_string(number) + ".bench.example",
                                   shape, (process_ * kFreshPerProcess + number) * shape.addresses);
    });
  }

  std::string slice(const Call& call, std::uint32_t count) {
    auto warmed = time_slice(count / kWarmUpShare + 1, call);
    if (!warmed) return "error: " + warmed.error().message();
    auto timed = time_slice(count, call);
    if (!timed) return "error: " + timed.error().message();
    if (auto drained = sockets_->drain(); !drained) return "error: " + drained.error().message();
    std::ostringstream line;
    line << timed->wall_ns << ' ' << timed->cpu_ns << ' ' << timed->preempted;
    return line.str();
  }

  std::string each(const Call& call, std::uint32_t count) {
    auto timed = time_each(std::min(count, kLargestBatch), call);
    if (!timed) return "error: " + timed.error().message();
    if (auto drained = sockets_->drain(); !drained) return "error: " + drained.error().message();
    std::ostringstream line;
    for (const std::uint64_t elapsed : *timed) line << elapsed << ' ';
    return line.str();
  }

  std::string hostile() {
    auto tally = be_hostile(*lookups_, STDIN_FILENO);
    std::string stop;
    std::getline(std::cin, stop);
    if (!tally) return "error: " + tally.error().message();
    std::ostringstream line;
    line << tally->refused_connects << ' ' << tally->refused_questions << ' ' << tally->delivered_answers << ' '
         << tally->withheld_answers;
    return line.str();
  }

  Descriptor listener_, sink_, responder_;
  std::unique_ptr<SocketCalls> sockets_;
  std::unique_ptr<Lookups> lookups_;
  std::uint32_t process_ = static_cast<std::uint32_t>(getpid());  // tells its fresh names from an earlier worker's
  std::uint32_t fresh_ = 0;
};

Result<Arguments> parse_arguments(int count, char** words) {
  Arguments arguments;
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < count; i += 2) given[words[i]] = words[i + 1];
  arguments.cpu = std::atoi(given["--cpu"].c_str());
  arguments.cgroup = given["--cgroup"];
  arguments.server_netns = given["--server-netns"];
  arguments.server = given["--server"];
  arguments.crafted = given["--crafted"];
  arguments.port = static_cast<std::uint16_t>(std::atoi(given["--port"].c_str()));
  arguments.real_time = given["--real-time"] == "yes";
  if (!given["--grants"].empty())
    arguments.grants = static_cast<std::uint32_t>(std::strtoul(given["--grants"].c_str(), nullptr, 10));
  if (arguments.cgroup.empty() || arguments.server_netns.empty())
    return fail(ErrorKind::kInvalid, "--cgroup and --server-netns are needed");
  return arguments;
}

int run(int count, char** words) {
  auto arguments = parse_arguments(count, words);
  if (!arguments) {
    std::cout << "error: " << arguments.error().message() << std::endl;
    return 1;
  }
  auto worker = Worker::start(*arguments);
  if (!worker) {
    std::cout << "error: " << worker.error().message() << std::endl;
    return 1;
  }
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) std::cout << worker->answer(line) << std::endl;
  return 0;
}

}  // namespace
}  // namespace namewall::bench

int main(int count, char** words) { return namewall::bench::run(count, words); }
