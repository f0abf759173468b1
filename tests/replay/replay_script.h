// Scripts of what happens to one workload, with simulated time. Lines; '#' begins a comment.
//
//   policy                       the TOML that follows, up to a line `end`, is the workload's policy; a later one
//     ...                        replaces it, and what was learned is judged again
//   end
//   host                         the same for host.toml
//   search DOMAIN...             the system's search list, from the next policy on
//   own ADDRESS...               the host's own addresses
//   workload NAME [in PARENT]    what follows is about this workload; before any such line it is `w`. One that is in
//                                another is held by both policies, and teaches both
//   at TIME ACTION               TIME ("0s", "1500ms", "2m") never goes back
//
// Actions:
//   question NAME                allowed or the test fails
//   answer QUESTION [RECORD, ...]          judged and learned; delivered or the test fails. QUESTION is NAME, NAME/AAAA
//                                or NAME/HTTPS, with !RCODE behind it for an RCODE. RECORD is `[OWNER] A|AAAA TTL
//                                ADDRESS`, `[OWNER] CNAME TTL TARGET`, `[OWNER] A*N TTL ADDRESS` for N addresses
//                                counted up, or `[OWNER] HTTPS TTL PRIORITY/TARGET[/PARAMETER...]`, where PARAMETER is
//                                alpn, ipv4hint=A+B, ech, ipv6hint=A. OWNER is the question's name where it is left out
//   cached AGE QUESTION RECORD, ...        the same from the proxy's cache, where it lay AGE seconds
//   expect allow DESTINATION     DESTINATION is `tcp 192.0.2.1:443`, `udp [2001:db8::1]:53`, `icmp 192.0.2.1`
//   expect refuse REASON DESTINATION
//   expect audit REASON DESTINATION        allowed, and would be refused with this reason
//   expect question refused NAME
//   expect refusal NAME RCODE CODE TEXT    what the client is told: nxdomain, refused or nodata, the INFO-CODE, the
//   text expect answer withheld REASON QUESTION RECORD, ... expect answer teaches REASON QUESTION RECORD, ...
//   delivered, with this reason (`none` where it just teaches) expect ttl SECONDS QUESTION RECORD, ... learned, and
//   this is the smallest TTL that the client sees expect params KEYS QUESTION RECORD, ...            learned, and these
//   are the HTTPS parameters that the client sees:
//                                "1,4,5" or `none`
//   expect live N                grants that are live
//
// Every verdict is also that of the elements that nft would hold of each level (tests/support/nft/table_double.h).
// An answer to a policy of the proxy is edited as the proxy does, and then judged.
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
