// Which hosts of rules lie within each other. Exact for names, addresses and plain wildcards; for inner wildcards as
// exact as the labels alone can tell.
#pragma once

#include "policy/endpoint.h"

namespace namewall {

// Every name that matches `narrow` matches `wide`; of equals, too.
bool covers(const NamePattern& wide, const NamePattern& narrow);
// Every name and address of `narrow` is one of `wide`.
bool covers(const Host& wide, const Host& narrow);
// False: no name and no address is one of both.
bool may_meet(const Host& a, const Host& b);
// Whether an allow rule with the host `wide` has all that one with `narrow` has: a rule that is wider than loopback
// does not reach into it.
bool allow_covers(const Host& wide, const Host& narrow);

}  // namespace namewall
