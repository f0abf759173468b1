#include "agent/doctor_trial.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <optional>
#include <set>

#include "agent/doctor_child.h"
#include "bpf/enforcer.h"
#include "policy/dns_message.h"
#include "policy/file_descriptor.h"
#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

using State = DoctorCheck::State;
using Bytes = std::vector<std::uint8_t>;

constexpr const char* kAllowedName = "allowed.namewall.invalid";
constexpr const char* kRefusedName = "refused.namewall.invalid";
constexpr std::uint16_t kAllowedPort = 9;                             // discard
constexpr std::array<std::uint8_t, 4> kTaught = {45, 32, 1, 1};       // any public address: nothing is sent to it
constexpr std::array<std::uint8_t, 4> kNeverTaught = {192, 0, 2, 1};  // TEST-NET-1, RFC 5737
constexpr std::array<std::uint8_t, 4> kLoopback = {127, 0, 0, 1};

sockaddr_in socket_address(const std::array<std::uint8_t, 4>& address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  std::memcpy(&out.sin_addr, address.data(), address.size());
  return out;
}

int connect_to(int fd, const std::array<std::uint8_t, 4>& address, std::uint16_t port) {
  const sockaddr_in to = socket_address(address, port);
  return connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

// A socket on 127.0.0.1 and the port that it got.
struct LocalSocket {
  FileDescriptor fd;
  std::uint16_t port = 0;
};

std::optional<LocalSocket> open_local(int type) {
  LocalSocket out{FileDescriptor(socket(AF_INET, type | SOCK_CLOEXEC, 0)), 0};
  sockaddr_in address = socket_address(kLoopback, 0);
  socklen_t length = sizeof address;
  if (bind(out.fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) return std::nullopt;
  if (type == SOCK_STREAM && listen(out.fd.get(), 1) != 0) return std::nullopt;
  if (getsockname(out.fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) return std::nullopt;
  out.port = ntohs(address.sin_port);
  return out;
}

// ---- in the workload: each returns "" or what went otherwise ----

std::string otherwise(int result) { return result == 0 ? "it was allowed" : std::strerror(errno); }

std::string expect_refused(int result) { return result != 0 && errno == ECONNREFUSED ? "" : otherwise(result); }

std::string try_refused_connect() {
  const FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto start = std::chrono::steady_clock::now();
  const std::string problem = expect_refused(connect_to(fd.get(), kNeverTaught, 443));
  const auto took = std::chrono::steady_clock::now() - start;
  if (!problem.empty()) return problem;
  return took < std::chrono::milliseconds(100) ? "" : "the refusal took longer than a tenth of a second";
}

std::string try_refused_datagram() {
  const FileDescriptor fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in to = socket_address(kNeverTaught, 443);
  const ssize_t sent = sendto(fd.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  return expect_refused(sent < 0 ? -1 : 0);
}

std::string try_raw_socket() {
  const FileDescriptor fd(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
  return fd ? "it was made" : "";
}

std::string try_own_loopback() {
  const auto listener = open_local(SOCK_STREAM);
  if (!listener) return std::string("cannot listen: ") + std::strerror(errno);
  const FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect_to(fd.get(), kLoopback, listener->port) == 0 ? "" : std::strerror(errno);
}

std::string try_foreign_loopback(std::uint16_t port) {
  const FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return expect_refused(connect_to(fd.get(), kLoopback, port));
}

Bytes question_for(const char* name) { return build_question({0x4e57, DomainName::from_normal(name), kTypeA, 1}); }

std::string try_refused_lookup(std::uint16_t resolver) {
  const FileDescriptor fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const Bytes question = question_for(kRefusedName);
  if (connect_to(fd.get(), kLoopback, resolver) != 0) return std::strerror(errno);
  return send(fd.get(), question.data(), question.size(), 0) < 0 ? "" : "the question was sent";
}

std::string try_taught_address() {
  const FileDescriptor fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (connect_to(fd.get(), kTaught, kAllowedPort) == 0 || errno == ENETUNREACH) return "";  // judged; there is no route
  return std::strerror(errno);
}

std::string try_lookup(std::uint16_t resolver) {
  if (try_taught_address().empty()) return "the address was allowed before its lookup";
  const FileDescriptor fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const Bytes question = question_for(kAllowedName);
  if (connect_to(fd.get(), kLoopback, resolver) != 0) return std::strerror(errno);
  if (send(fd.get(), question.data(), question.size(), 0) < 0) return std::strerror(errno);
  pollfd ready{fd.get(), POLLIN, 0};
  if (poll(&ready, 1, 2000) != 1) return "no answer came through";
  std::array<std::uint8_t, 512> answer{};
  if (recv(fd.get(), answer.data(), answer.size(), 0) < 0) return std::strerror(errno);
  const std::string refused = try_taught_address();
  return refused.empty() ? "" : "the answer taught nothing: " + refused;
}

struct Trial {
  const char* id;
  const char* holds;
  std::function<std::string()> run;
};

std::vector<Trial> trials_with(std::uint16_t resolver, std::uint16_t foreign_listener) {
  return {
      {"refused_connect", "ECONNREFUSED at once", try_refused_connect},
      {"refused_datagram", "ECONNREFUSED at once", try_refused_datagram},
      {"raw_socket", "refused, to uid 0 with CAP_NET_RAW too", try_raw_socket},
      {"loopback_own", "the workload reaches its own listener", try_own_loopback},
      {"loopback_foreign", "a listener of others is refused", [=] { return try_foreign_loopback(foreign_listener); }},
      {"refused_lookup", "the send fails, the resolver sees nothing", [=] { return try_refused_lookup(resolver); }},
      {"lookup", "its answer opens the address, only then", [=] { return try_lookup(resolver); }},
  };
}

// ---- outside ----

// Answers one question that waits, if any, with kTaught; returns the name that was asked.
std::optional<std::string> serve_question(const LocalSocket& resolver) {
  pollfd ready{resolver.fd.get(), POLLIN, 0};
  if (poll(&ready, 1, 10) != 1) return std::nullopt;
  Bytes message(512);
  sockaddr_in client{};
  socklen_t length = sizeof client;
  const ssize_t size = recvfrom(resolver.fd.get(), message.data(), message.size(), MSG_DONTWAIT,
                                reinterpret_cast<sockaddr*>(&client), &length);
  if (size < 0) return std::nullopt;
  message.resize(static_cast<std::size_t>(size));
  const auto question = parse_question(message);
  if (!question) return "not a question";
  message[2] |= 0x80;  // QR
  message[3] = 0x80;   // RA, NOERROR
  message[7] = 1;      // ANCOUNT
  const Bytes record = {0xc0, 12, 0, kTypeA, 0, 1, 0, 0, 0, 60, 0, 4, kTaught[0], kTaught[1], kTaught[2], kTaught[3]};
  message.insert(message.end(), record.begin(), record.end());
  (void)sendto(resolver.fd.get(), message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&client),
               length);
  return question->name.text();
}

Result<PolicyImage> compile_trial_policy(std::uint16_t resolver) {
  auto loaded = load_policy_arguments({std::string("udp://") + kAllowedName + ":" + std::to_string(kAllowedPort)}, {});
  if (!loaded.ok()) return fail(ErrorKind::kInvalid, "the doctor's own policy does not load");
  loaded.value.dns.resolvers_from_system = false;
  loaded.value.dns.resolvers = {{Address::v4(kLoopback), Port{resolver}}};
  loaded.value.dns.search_from_system = false;
  return compile_policy(loaded.value, HostPolicy{}, ResolvConf{});
}

DoctorCheck missing(const char* id, const std::string& sentence) { return {"trial", id, State::kMissing, sentence}; }

// What the child said, a line for each trial: "id" or "id problem".
std::vector<DoctorCheck> read_outcomes(const std::vector<Trial>& trials, const Result<std::string>& told) {
  std::vector<DoctorCheck> out;
  for (const Trial& trial : trials) {
    if (!told) {
      out.push_back(missing(trial.id, told.error().message()));
      continue;
    }
    const std::string line = "\n" + *told + "\n";
    const std::size_t at = line.find(std::string("\n") + trial.id + "\t");
    if (at == std::string::npos) {
      out.push_back(missing(trial.id, "not tried"));
      continue;
    }
    const std::size_t from = line.find('\t', at) + 1;
    const std::string problem = line.substr(from, line.find('\n', from) - from);
    out.push_back(problem.empty() ? DoctorCheck{"trial", trial.id, State::kHolds, trial.holds}
                                  : missing(trial.id, problem));
  }
  return out;
}

DoctorCheck check_events(bpf::Enforcer& enforcer) {
  std::set<Reason> reasons;
  const auto consumed = enforcer.consume_events(1000, [&](const Event& event) { reasons.insert(event.reason); });
  if (!consumed) return missing("events", consumed.error().message());
  if (!reasons.contains(NW_REASON_NOT_LOOKED_UP) || !reasons.contains(NW_REASON_NAME_NOT_ALLOWED)) {
    return missing("events", "the refusals above were not all reported");
  }
  return {"trial", "events", State::kHolds, "every kind of refusal above was reported"};
}

}  // namespace

std::vector<DoctorCheck> try_policy(const RunCgroup& cgroup) {
  const auto resolver = open_local(SOCK_DGRAM);
  const auto foreign = open_local(SOCK_STREAM);
  if (!resolver || !foreign) return {missing("loopback", "cannot bind to 127.0.0.1: is lo up?")};
  const auto image = compile_trial_policy(resolver->port);
  if (!image) return {missing("policy", image.error().message())};
  const auto netns = bpf::netns_cookie();
  if (!netns) return {missing("netns_cookie", netns.error().message())};
  auto enforcer = bpf::Enforcer::load({});
  if (!enforcer) return {missing("load", enforcer.error().message())};
  bpf::ArmOptions options;
  options.trusted_netns = {*netns};
  const auto workload = enforcer->arm(cgroup.fd(), *image, options);
  if (!workload) return {missing("arm", workload.error().message())};

  const std::vector<Trial> trials = trials_with(resolver->port, foreign->port);
  std::set<std::string> asked;
  const auto told = ask_child_in_cgroup(
      cgroup.fd(),
      [&] {
        std::string out;
        for (const Trial& trial : trials) out += (out.empty() ? "" : "\n") + std::string(trial.id) + "\t" + trial.run();
        return out;
      },
      [&] {
        if (auto name = serve_question(*resolver)) asked.insert(std::move(*name));
      });
  std::vector<DoctorCheck> out = {{"trial", "arm", State::kHolds, "the policy is in force"}};
  for (DoctorCheck& check : read_outcomes(trials, told)) out.push_back(std::move(check));
  if (asked.contains(kRefusedName))
    out.push_back(missing("refused_lookup", "the resolver has seen the refused question"));
  out.push_back(check_events(*enforcer));
  if (const auto disarmed = enforcer->disarm(cgroup.fd(), *workload); !disarmed) {
    out.push_back(missing("disarm", disarmed.error().message()));
  }
  return out;
}

}  // namespace namewall::agent
