// Scripts of what the DNS proxy's core is asked and answered, with simulated time. Lines; '#' begins a comment.
//
//   policy                       the TOML that follows, up to a line `end`, is a policy
//     ...
//   end
//   workload W [under W2] POLICY  W is held to the policy of that name, nested in W2; said again: another policy
//   limits [flights N] [cache BYTES]   of the core; before the first workload
//   at TIME ACTION               TIME ("0s", "1500ms", "2m") never goes back
//
// Actions:
//   ask W NAME [A|AAAA] [from C] [tcp] [size N] [times N]
//                                W's client C (by default W) asks; `times` N: n1.NAME to nN.NAME
//   turn                         the workloads' turns, until nothing more can be asked
//   answer NAME [A|AAAA] RECORD, ...   the resolver answers its oldest question for that; RECORD is `A|AAAA TTL
//   ADDRESS` answer NAME [A|AAAA] nxdomain TTL  with an SOA; `servfail`: RCODE 2; `none`: no resolver answers forget C
//   the client's connection is gone gone W                       the workload is gone sink REASON                  what
//   the kernel says to lessons from now on; `ok`: it takes them keep                         the agent looks up the
//   names of resolve = "agent" of all workloads, in the background expect asked NAME...         what the resolver was
//   asked since the last such line, in this order; alone: nothing expect reply C NOERROR|SERVFAIL|NXDOMAIN|REFUSED|TC
//   [N answers] [ttl N] [ede N]   the oldest not yet looked at expect no reply expect lesson W NAME [ADDRESS...] [for
//   SECONDS|ever] [replaces N]    likewise expect no lesson expect event W REASON [NAME] [audit] likewise expect no
//   event expect waiting N
#pragma once

#include "tests/replay/replay_script.h"

namespace namewall::testing {

ReplayOutcome run_proxy_script(const std::string& file_name, const std::string& text);

}  // namespace namewall::testing
