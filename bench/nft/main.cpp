// bench_nft: the nft backend's own work, on command, in this process's network namespace. bench/run reads one line for
// each line it writes; "error ..." says what went wrong.
//
//   table CGROUP WORKLOADS GRANTS    the whole table, this cgroup being one of its workloads; it stays until the
//   process
//                                    or the namespace ends
//   elements TEXT-NETNS CGROUP       a table with learned elements of this cgroup, and one for libnftables in the other
//                                    namespace
//   fill N                           both get N elements -> bytes of slab that it took
//   change add|renew|remove COUNT ROUNDS
//                                    -> for each round "own:preempted text:preempted", ns of one transaction; text: "-"
//                                    where bench_nft was built without libnftables
//   host PARENT                      the backend itself; workloads are cgroups made below
//   arm WORKLOADS TIMED              arms until there are so many -> ns of each of TIMED more
//   teach GRANTS TIMED               the first workload has so many -> ns of each of TIMED lessons more, of one address
#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <string>

#include "bench/nft/armed_host.h"
#include "bench/nft/element_changes.h"
#include "bench/nft/whole_table.h"
#include "bench/worker/placement.h"

namespace namewall::bench {
namespace {

constexpr int kCpu = 1;

class NftBench {
 public:
  Result<std::string> answer(std::istringstream& words) {
    std::string command;
    words >> command;
    if (command == "table") return make_table(words);
    if (command == "host") return open_host(words);
    if (command == "arm" || command == "teach") return time_host(command, words);
    if (command == "elements") return open_elements(words);
    if (command == "fill") return fill(words);
    if (command == "change") return change(words);
    return fail(ErrorKind::kInvalid, "not a command: " + command);
  }

 private:
  Result<std::string> make_table(std::istringstream& words) {
    std::string path;
    std::uint32_t workloads = 0, grants = 0;
    words >> path >> workloads >> grants;
    auto cgroup = find_cgroup(path);
    if (!cgroup) return tl::unexpected<Error>(std::move(cgroup.error()));
    auto socket = nft::NftSocket::open();
    if (!socket) return tl::unexpected<Error>(std::move(socket.error()));
    table_owner_.emplace(std::move(*socket));
    auto made = make_whole_table(*table_owner_, *cgroup, workloads, grants);
    if (!made) return tl::unexpected<Error>(std::move(made.error()));
    return "made";
  }

  Result<std::string> open_host(std::istringstream& words) {
    std::string parent;
    words >> parent;
    auto opened = ArmedHost::open(parent);
    if (!opened) return tl::unexpected<Error>(std::move(opened.error()));
    host_.emplace(std::move(*opened));
    return "opened";
  }

  Result<std::string> time_host(const std::string& command, std::istringstream& words) {
    std::uint32_t count = 0, timed = 0;
    words >> count >> timed;
    if (!host_) return fail_early();
    auto times = command == "arm" ? host_->arm_up_to(count, timed) : host_->teach_up_to(count, timed);
    if (!times) return tl::unexpected<Error>(std::move(times.error()));
    std::ostringstream line;
    for (const std::uint64_t elapsed : *times) line << elapsed << ' ';
    return line.str() + ".";
  }

  Result<std::string> open_elements(std::istringstream& words) {
    std::string netns, cgroup;
    words >> netns >> cgroup;
    auto opened = ElementChanges::open(netns, cgroup);
    if (!opened) return tl::unexpected<Error>(std::move(opened.error()));
    elements_.emplace(std::move(*opened));
    return "opened";
  }

  Result<std::string> fill(std::istringstream& words) {
    std::uint32_t count = 0;
    words >> count;
    if (!elements_) return fail_early();
    auto bytes = elements_->fill(count);
    if (!bytes) return tl::unexpected<Error>(std::move(bytes.error()));
    return std::to_string(*bytes);
  }

  Result<std::string> change(std::istringstream& words) {
    static const std::map<std::string, Change> kChanges = {
        {"add", Change::kAdd}, {"renew", Change::kRenew}, {"remove", Change::kRemove}};
    std::string what;
    std::uint32_t count = 0, rounds = 0;
    words >> what >> count >> rounds;
    const auto found = kChanges.find(what);
    if (!elements_ || found == kChanges.end() || count == 0) return fail_early();
    std::ostringstream line;
    for (std::uint32_t i = 0; i < rounds; ++i) {
      auto round = elements_->change(found->second, count);
      if (!round) return tl::unexpected<Error>(std::move(round.error()));
      line << round->own.nanoseconds << ':' << round->own.preempted << ' ';
      if (round->text)
        line << round->text->nanoseconds << ':' << round->text->preempted << ' ';
      else
        line << "- ";
    }
    return line.str();
  }

  static Result<std::string> fail_early() { return namewall::fail(ErrorKind::kInvalid, "not now, or not so"); }

  std::optional<ArmedHost> host_;
  std::optional<nft::NftSocket> table_owner_;
  std::optional<ElementChanges> elements_;
};

}  // namespace
}  // namespace namewall::bench

int main() {
  if (auto pinned = namewall::bench::pin_to_cpu(namewall::bench::kCpu); !pinned) {
    std::cout << "error: " << pinned.error().message() << std::endl;
    return 1;
  }
  namewall::bench::NftBench bench;
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    const auto answer = bench.answer(words);
    std::cout << (answer ? *answer : "error: " + answer.error().message()) << std::endl;
  }
  return 0;
}
