/* Why something was refused, withheld or not learned: one list for the kernel programs, the model and every report.
 * C and C++: the BPF programs include it. Codes are stable; new ones go at the end of their group's gap or the list.
 * X(symbol, stable code, sentence) */
#ifndef NAMEWALL_POLICY_REASON_H
#define NAMEWALL_POLICY_REASON_H

#define NW_REASONS(X)                                                                                           \
  X(NONE, "none", "allowed")                                                                                    \
  /* verdicts on a destination */                                                                               \
  X(NOT_ARMED, "not_armed", "the cgroup has no policy yet")                                                     \
  X(HOST_DENY, "host_deny", "the host policy denies this address")                                              \
  X(DENY_RULE, "deny_rule", "a deny rule names this address")                                                   \
  X(LOOPBACK, "loopback", "no socket of this workload listens there")                                           \
  X(NOT_LOOKED_UP, "not_looked_up", "no rule names this address and no lookup gave it")                         \
  X(EXPIRED, "expired", "the lookup that gave this address is too old")                                         \
  X(PORT, "port", "a rule names it with other ports only")                                              \
  X(PRIVATE_ANSWER, "private_answer", "the lookup gave a private address, which teaches nothing")               \
  X(SPECIAL_ANSWER, "special_answer", "the lookup gave a special-use address, which teaches nothing")           \
  X(NOT_ALLOWED_NOW, "not_allowed_now", "the policy no longer allows the name of this address")                 \
  X(DNS_OVER_TCP, "dns_over_tcp", "DNS over TCP teaches nothing yet") /* no longer given */                     \
  X(UNTRUSTED_NETNS, "untrusted_netns", "this network namespace was made by the workload: its DNS is not trusted") \
  /* DNS questions */                                                                                           \
  X(NAME_NOT_ALLOWED, "name_not_allowed", "no rule names it")                                                   \
  X(QUESTION_MALFORMED, "question_malformed", "not one well-formed DNS question")                               \
  X(QUESTION_NOT_LINEAR, "question_not_linear", "the packet could change after the check")                      \
  X(QUESTION_SEGMENTED, "question_segmented", "several datagrams in one send")                                  \
  X(QUESTION_BUSY, "question_busy", "no scratch space for the check")                                           \
  X(QUESTION_NO_SLOT, "question_no_slot", "no room to remember the question")                                   \
  /* DNS answers */                                                                                             \
  X(ANSWER_UNSOLICITED, "answer_unsolicited", "no pending question has this id and resolver")                   \
  X(ANSWER_MALFORMED, "answer_malformed", "the answer does not parse")                                          \
  X(ANSWER_MISMATCH, "answer_mismatch", "the answer is to another question")                                    \
  X(ANSWER_TOO_LONG, "answer_too_long", "the answer is longer than can be read")                                \
  X(ANSWER_BUSY, "answer_busy", "no scratch space for the answer")                                              \
  X(ANSWER_TRUNCATED, "answer_truncated", "a truncated answer teaches nothing")                                 \
  X(ANSWER_WITHDRAWN, "answer_withdrawn", "the policy no longer allows the name")                               \
  X(GRANTS_FULL, "grants_full", "the workload holds as many addresses as it may")                               \
  X(NAMES_FULL, "names_full", "the workload holds as many names as it may")                                     \
  X(NAME_CONTENDED, "name_contended", "the name was being removed at the same time")                            \
  X(NAME_COLLISION, "name_collision", "two names share one id")                                                 \
  X(REFUSAL_ANSWERED, "refusal_answered", "a refused question was given a positive answer")                     \
  /* packets */                                                                                                 \
  X(PACKET_OPTIONS, "packet_options", "IP options, extension headers or a fragment")                            \
  X(PACKET_PROTOCOL, "packet_protocol", "a protocol that is not TCP, UDP or ICMP")                              \
  X(PACKET_NO_SOCKET, "packet_no_socket", "a packet without a socket")                                          \
  X(PACKET_OLD_SOCKET, "packet_old_socket", "a socket older than its policy sends where the policy does not allow") \
  /* sockets and inbound */                                                                                     \
  X(SOCKET_PROTOCOL, "socket_protocol", "raw sockets and other protocols are not allowed")                      \
  X(BIND_PORT, "bind_port", "the port is not in `listen`")                                                      \
  X(BIND_RESOLVER, "bind_resolver", "the address and port of a trusted resolver")                               \
  X(INBOUND_TCP, "inbound_tcp", "a connection to a port that is not in `listen`")                               \
  X(INBOUND_UDP, "inbound_udp", "a datagram from a peer that is not allowed")                                   \
  /* cgroups that appear */                                                                                     \
  X(CHILD_NO_ROOM, "child_no_room", "too many cgroups appeared while namewalld was away")                       \
  X(UNARMED_CHILD, "unarmed_child", "this cgroup has no policy yet, and its parent refuses such")              \
  /* the DNS proxy */                                                                                          \
  X(NO_PROXY_IN_NETNS, "no_proxy_in_netns", "no DNS proxy serves this network namespace (yet)")                \
  X(BOUND_TO_DEVICE, "bound_to_device", "the socket is bound to a device, where the DNS proxy is not")         \
  X(UNTRUSTED_RESOLVER, "untrusted_resolver", "the policy does not trust this resolver")                       \
  X(ASKER_UNKNOWN, "asker_unknown", "nothing tells which workload sent this question")                         \
  X(QUERIES_IN_FLIGHT, "queries_in_flight", "the workload has as many unanswered questions as it may")         \
  X(QUERY_RATE, "query_rate", "the workload asks more questions a second than it may")                         \
  X(FRESH_NAMES, "fresh_names", "the workload asks more names a second that it never asked before than it may") \
  X(TEACHING_FAILED, "teaching_failed", "the addresses of the answer did not get into the kernel")             \
  X(UPSTREAM_FAILED, "upstream_failed", "the resolver gave no answer")                                         \
  X(AGENT_LOOKUP_FAILED, "agent_lookup_failed", "the agent could not look up a name for the workload")

#define NW_REASON_ENUM(symbol, code, sentence) NW_REASON_##symbol,
enum nw_reason { NW_REASONS(NW_REASON_ENUM) NW_REASON_COUNT };
#undef NW_REASON_ENUM

#ifdef __cplusplus
#include <optional>
#include <string_view>

namespace namewall {
using Reason = nw_reason;
std::string_view code_of(Reason reason);      // "not_looked_up": stable, for JSON and metrics
std::string_view sentence_of(Reason reason);  // for people
std::optional<Reason> reason_of_code(std::string_view code);
}  // namespace namewall
#endif

#endif
