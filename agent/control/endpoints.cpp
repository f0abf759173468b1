#include "agent/control/endpoints.h"

#include <charconv>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "agent/control/event_stream.h"
#include "agent/control/json_list.h"
#include "agent/control/json_text.h"
#include "agent/control/request_body.h"
#include "agent/control/sets_stream.h"
#include "agent/host/host_json.h"
#include "policy/duration.h"
#include "policy/escape.h"
#include "policy/suggestion.h"

namespace namewall::agent {
namespace {

template <typename View>
Reply view_reply(const View& view) {
  Reply reply;
  reply.body = json_text(view) + "\n";
  return reply;
}

template <typename View>
Reply result_reply(const Result<View>& result) {
  return result ? view_reply(*result) : error_reply(result.error());
}

std::unique_ptr<Reply> refusal_of(Reply reply) { return std::make_unique<Reply>(std::move(reply)); }

ErrorForm obstacle_form(RestrictObstacle obstacle) {
  switch (obstacle) {
    case RestrictObstacle::kDelegated:
      return kDelegatedCgroup;
    case RestrictObstacle::kThreaded:
      return kThreadedCgroup;
    case RestrictObstacle::kFrozen:
      return kFrozenCgroup;
    case RestrictObstacle::kNone:
      break;
  }
  return error_form(ErrorKind::kConflict);
}

std::optional<std::string> find_unknown_key(const ControlRequest& request) {
  for (const auto& [key, value] : request.query) {
    if (std::ranges::find(request.route->query, key) != request.route->query.end()) continue;
    std::string sentence = "unknown query key " + quote_for_display(key);
    if (const auto meant = suggest(key, request.route->query))
      sentence += "; did you mean `" + std::string(*meant) + "`?";
    return sentence;
  }
  return std::nullopt;
}

Result<bool> read_follow(const std::string* text) {
  if (text == nullptr || *text == "0") return false;
  if (*text == "1") return true;
  return fail(ErrorKind::kInvalid, "`follow` is " + quote_for_display(*text) + "; accepted: 0, 1");
}

// "4711": later than this sequence number. "10m": at most that old.
Result<void> read_since(const std::string& text, EventFilter& filter) {
  std::uint64_t sequence = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), sequence);
  if (error == std::errc() && end == text.data() + text.size()) {
    filter.since_sequence = sequence;
    return {};
  }
  const auto age = parse_duration(text);
  if (!age) {
    return fail(ErrorKind::kInvalid, "`since` is " + quote_for_display(text) +
                                         "; accepted: a sequence number, or a duration such as \"10m\"");
  }
  filter.since_s = std::chrono::duration<double>(*age).count();
  return {};
}

}  // namespace

RoutedRequest route_request(std::string_view method, std::string_view target) {
  RoutedRequest routed;
  if (target == "*" && method == "OPTIONS") {
    routed.refusal = refusal_of(
        {.status = 204, .body = "", .source = nullptr, .allow = "GET, HEAD, PUT, PATCH, DELETE, POST, OPTIONS"});
    return routed;
  }
  Result<RequestTarget> parsed = parse_request_target(target);
  if (!parsed) {
    routed.refusal = refusal_of(error_reply(parsed.error()));
    return routed;
  }
  RouteChoice choice = choose_route(method, parsed->segments);
  if (choice.allow.empty()) {
    const std::string path = quote_for_display(target.substr(0, std::min<std::size_t>(target.find('?'), 200)));
    routed.refusal = refusal_of(error_reply(
        kUnknownPath, "there is no " + path + " here (docs/openapi.json lists all; in a name, write \"/\" as %2F)"));
  } else if (choice.route == nullptr) {
    Reply reply = error_reply(kWrongMethod, "this path takes " + choice.allow);
    if (method == "OPTIONS") reply = {.status = 204, .body = "", .source = nullptr, .allow = ""};
    reply.allow = choice.allow;
    routed.refusal = refusal_of(std::move(reply));
  } else if (choice.route->path.find("{name}") != std::string_view::npos && !is_workload_name(choice.name)) {
    routed.refusal = refusal_of(error_reply(
        {ErrorKind::kInvalid, 0,
         quote_for_display(choice.name.substr(0, 200)) +
             " is no name of a workload: 1 to 128 of A-Z a-z 0-9 . _ : @ / -, and no empty, \".\" or \"..\" part"}));
  } else {
    routed.request = {choice.route, std::move(choice.name), std::move(parsed->query), ""};
    if (const auto sentence = find_unknown_key(routed.request)) {
      routed.refusal = refusal_of(error_reply({ErrorKind::kInvalid, 0, *sentence}));
    }
  }
  return routed;
}

template <typename View>
Reply Endpoints::list(std::vector<View> views) {
  if (lists_.use_count() > kMaxLists) {
    return error_reply({ErrorKind::kLimit, 0, std::to_string(kMaxLists) + " lists are being read already"});
  }
  Reply reply;
  reply.source = std::make_shared<JsonList<View>>(std::move(views), lists_);
  return reply;
}

template <typename... Sets>
Reply Endpoints::sets(Sets... sets) {
  if (lists_.use_count() > kMaxLists) {
    return error_reply({ErrorKind::kLimit, 0, std::to_string(kMaxLists) + " lists are being read already"});
  }
  Reply reply;
  reply.content_type = "application/x-ndjson";
  reply.source = std::make_shared<SetsStream>(host_, std::move(sets)..., lists_);
  return reply;
}

Reply Endpoints::events(const ControlRequest& request) {
  const auto value = [&](const char* key) {
    const auto found = request.query.find(key);
    return found == request.query.end() ? nullptr : &found->second;
  };
  EventFilter filter;
  if (const std::string* workload = value("workload")) filter.workload = *workload;
  if (const std::string* reason = value("reason")) filter.reason = *reason;
  const Result<bool> follow = read_follow(value("follow"));
  if (!follow) return error_reply(follow.error());
  if (const std::string* since = value("since")) {
    if (const Result<void> read = read_since(*since, filter); !read) return error_reply(read.error());
    // A number of a daemon before this one: all of this one's are later.
    if (filter.since_sequence > host_.newest_event()) filter.since_sequence = 0;
  } else if (*follow) {
    filter.since_sequence = host_.newest_event();
  }
  Reply reply;
  reply.content_type = "application/x-ndjson";
  reply.source = std::make_shared<EventStream>(host_, std::move(filter), *follow, waiting_events_);
  return reply;
}

Reply Endpoints::explain(const PeerIdentity& identity, const ControlRequest& request) {
  const Result<ExplainRequest> asked = read_explain_request(request.body);
  if (!asked) return error_reply(asked.error());
  const Right right = asked->workload.empty() ? Right::kOwn : Right::kRead;
  const Result<Peer> peer = agent::admit(identity, right, rules_, host_);
  if (!peer) return error_reply(peer.error());
  return result_reply(host_.explain(*peer, asked->workload, asked->target));
}

Reply Endpoints::restrict(const Peer& peer, const ControlRequest& request) {
  const Result<RestrictRequest> asked = read_restrict_request(request.body);
  if (!asked) return error_reply(asked.error());
  const RestrictOutcome outcome = host_.restrict(peer, *asked);
  if (outcome.view || outcome.obstacle == RestrictObstacle::kNone) return result_reply(outcome.view);
  return error_reply(obstacle_form(outcome.obstacle), outcome.view.error().message());
}

Reply Endpoints::answer_change(const Peer& peer, const ControlRequest& request) {
  switch (request.route->endpoint) {
    case Endpoint::kPut: {
      const Result<WorkloadRequest> asked = read_workload_request(request.body);
      if (!asked) return error_reply(asked.error());
      const Result<ChangeView> change = host_.put(peer, request.name, *asked);
      if (!change && change.error().kind == ErrorKind::kInvalid) {
        return error_reply(kPolicyErrors, change.error().message());
      }
      return result_reply(change);
    }
    case Endpoint::kPatch: {
      const Result<RuleChange> asked = read_rule_change(request.body);
      if (!asked) return error_reply(asked.error());
      const Result<ChangeView> change = host_.patch(peer, request.name, *asked);
      if (!change && change.error().kind == ErrorKind::kInvalid) {
        return error_reply(kPolicyErrors, change.error().message());
      }
      return result_reply(change);
    }
    case Endpoint::kRemove: {
      const Result<std::string> reason = read_reason(request.body);
      return reason ? result_reply(host_.remove(peer, request.name, *reason)) : error_reply(reason.error());
    }
    case Endpoint::kTeardown: {
      const Result<TeardownRequest> asked = read_teardown_request(request.body);
      if (!asked) return error_reply(asked.error());
      return result_reply(host_.teardown(peer, asked->workload, asked->reason));
    }
    case Endpoint::kRepair: {
      const Result<void> asked = read_nothing(request.body);
      return asked ? result_reply(host_.repair(peer)) : error_reply(asked.error());
    }
    case Endpoint::kReload: {
      const Result<void> asked = read_nothing(request.body);
      return asked ? view_reply(host_.reload(peer)) : error_reply(asked.error());
    }
    default: {
      const Result<void> asked = read_nothing(request.body);
      return asked ? result_reply(host_.prove(request.name)) : error_reply(asked.error());
    }
  }
}

Reply Endpoints::answer_read(const Peer& peer, const ControlRequest& request) {
  switch (request.route->endpoint) {
    case Endpoint::kWorkloads:
      return list(host_.list());
    case Endpoint::kWorkload:
      return result_reply(host_.show(request.name));
    case Endpoint::kGrants: {
      Result<std::vector<GrantView>> grants = host_.grants(request.name);
      return grants ? list(*std::move(grants)) : error_reply(grants.error());
    }
    case Endpoint::kSets: {
      Result<WorkloadSets> found = host_.sets(request.name);
      return found ? sets(*std::move(found)) : error_reply(found.error());
    }
    case Endpoint::kAllSets:
      return sets(host_.sets_of_host(), host_.armed_workloads());
    case Endpoint::kEvents:
      return events(request);
    case Endpoint::kMetrics: {
      Reply reply;
      reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
      reply.body = host_.metrics();
      return reply;
    }
    case Endpoint::kSelf:
      return view_reply(host_.self(peer));
    default:
      return view_reply(host_.status());
  }
}

Reply Endpoints::answer(const PeerIdentity& identity, const ControlRequest& request) {
  if (request.route->endpoint == Endpoint::kExplain) return explain(identity, request);
  const Result<Peer> peer = admit(identity, request);
  if (!peer) return error_reply(peer.error());
  if (request.route->endpoint == Endpoint::kRestrict) return restrict(*peer, request);
  return request.route->right == Right::kChange ? answer_change(*peer, request) : answer_read(*peer, request);
}

}  // namespace namewall::agent
