// Scripts of what happens to one workload, with simulated time. Lines; '#' begins a comment.
//
//   policy                       the TOML that follows, up to a line `end`, is the workload's policy; a later one
//   replaces
//     ...                        it, and what was learned is judged again
//   end
//   host                         the same for host.toml
//   search DOMAIN...             the system's search list, from the next policy on
//   own ADDRESS...               the host's own addresses
//   at TIME ACTION               TIME ("0s", "1500ms", "2m") never goes back
//
// Actions:
//   question NAME                allowed or the test fails
//   answer NAME [RECORD, ...]    judged and learned; RECORD is `[OWNER] A|AAAA TTL ADDRESS` or `[OWNER] CNAME TTL
//   TARGET`,
//                                OWNER is NAME where it is left out. The answer is delivered or the test fails
//   expect allow DESTINATION     DESTINATION is `tcp 192.0.2.1:443`, `udp [2001:db8::1]:53`, `icmp 192.0.2.1`
//   expect refuse REASON DESTINATION
//   expect audit REASON DESTINATION        allowed, and would be refused with this reason
//   expect question refused NAME
//   expect answer withheld REASON NAME RECORD, ...
//   expect answer teaches REASON NAME RECORD, ...      delivered, with this reason (`none` where it just teaches)
//   expect live N                grants that are live
//
// Resolver 192.0.2.53 is the system's.
#pragma once

#include <string>

namespace namewall::testing {

struct ReplayOutcome {
  std::string failure;           // "ttl.replay:12: ..."; "" when every line held
  std::size_t expectations = 0;  // that were looked at
};

ReplayOutcome run_replay_script(const std::string& file_name, const std::string& text);

}  // namespace namewall::testing
