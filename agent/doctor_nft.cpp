#include "agent/doctor_nft.h"

#include <unistd.h>

#include <string>

#include "bpf/kernel_probe.h"
#include "nft/conntrack.h"
#include "nft/log_reader.h"
#include "nft/ruleset.h"
#include "nft/transaction.h"

namespace namewall::agent {
namespace {

using State = DoctorCheck::State;

constexpr std::uint16_t kProbedLogGroup = 65000;

DoctorCheck check_of(const char* id, bool holds, std::string sentence) {
  return {"nft", id, holds ? State::kHolds : State::kOptional, std::move(sentence)};
}

// Whether the kernel takes the whole table of such a plan. It keeps nothing of it: the transaction ends with a message
// that fails.
Result<bool> takes_table(nft::NftSocket& socket, const nft::RulesetPlan& plan) {
  const std::string name = "namewall-doctor-" + std::to_string(::getpid());
  nft::Batch batch;
  nft::add_whole_table(batch, nft::TableKind::kPlain, plan, name);
  const std::uint32_t last = batch.delete_table(name + "-none");
  const auto result = socket.commit(batch);
  if (!result) return tl::unexpected(result.error());
  bool is_taken = !result->is_lost;
  for (const nft::MessageError& error : result->errors) is_taken = is_taken && error.sequence == last;
  return is_taken;
}

DoctorCheck check_table(nft::NftSocket& socket, const char* id, bool redirects_dns, const std::string& without) {
  nft::RulesetPlan plan;
  plan.depths = {1, 2};
  plan.parent_depths = {1};
  plan.redirects_dns = redirects_dns;
  const auto taken = takes_table(socket, plan);
  if (!taken) return check_of(id, false, taken.error().message());
  return check_of(id, *taken, *taken ? "" : without);
}

}  // namespace

std::vector<DoctorCheck> check_nft() {
  std::vector<DoctorCheck> out;
  auto socket = nft::NftSocket::open();
  if (!socket)
    return {check_of("nf_tables", false, socket.error().message() + ": `backend = \"nft\"` is not possible")};
  const auto abilities = nft::probe_abilities(*socket);
  if (!abilities) {
    return {check_of("nf_tables", false, abilities.error().message() + ": `backend = \"nft\"` is not possible")};
  }
  out.push_back(check_of("nf_tables", true, ""));
  const bool is_owned = abilities->table == nft::TableKind::kOwned;
  out.push_back(check_of("owned_table", is_owned,
                         is_owned
                             ? ""
                             : "no owner and persist flags (Linux 6.9): others can change the table, and namewalld "
                               "makes it anew within seconds"));
  const bool has_update = abilities->update == nft::UpdateWay::kUpdate;
  out.push_back(check_of("renew_element", has_update,
                         has_update ? "" : "elements cannot be renewed (Linux 6.12): they are added anew"));
  out.push_back(check_of("destroy_element", abilities->has_destroy,
                         abilities->has_destroy ? "" : "no DESTROYSETELEM (Linux 6.3): what is gone is looked for"));
  out.push_back(check_table(*socket, "cgroup_rules", false,
                            "`socket cgroupv2`, dynamic sets, reject or log are missing: `backend = \"nft\"` is not "
                            "possible"));
  out.push_back(check_table(*socket, "dns_redirect", true,
                            "no nat redirect in the output hook: names cannot be looked up under `backend = \"nft\"`"));
  const bool has_marks = bpf::can_receive_marks();
  out.push_back(check_of("datagram_marks", has_marks,
                         has_marks ? ""
                                   : "sockets do not tell a datagram's mark (SO_RCVMARK, Linux 5.19): under "
                                     "`backend = \"nft\"` questions over UDP are nobody's, and refused"));
  const auto log = nft::LogReader::open_socket_here(kProbedLogGroup);
  out.push_back(check_of("nflog", log.has_value(), log ? "" : log.error().message() + ": refusals are not reported"));
  const auto conntrack = nft::open_conntrack_socket_here();
  out.push_back(check_of("conntrack", conntrack.has_value(),
                         conntrack ? "" : conntrack.error().message() + ": older DNS flows keep their way"));
  return out;
}

}  // namespace namewall::agent
