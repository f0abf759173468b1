#include "agent/host/helper_protocol.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <cstring>

#include "tests/unit/agent/policy_image_builder.h"

namespace namewall::agent {
namespace {

HelperRequest proof_request() {
  HelperRequest request = make_request(HelperTask::kProve, 5);
  request.proof = to_wire(plan_proof(image_of({}), 3));
  return request;
}

HelperRequest proxy_request() {
  HelperRequest request = make_request(HelperTask::kOpenProxy, 7);
  request.pid = 12;
  request.netns_cookie = 4096;
  put(request, std::vector<ResolverAddress>{{Address::v4({10, 0, 0, 2}), Port{53}},
                                            {*parse_address("2001:db8::53"), Port{5353}}});
  return request;
}

HelperRequest upstream_request(const SocketCounts& counts) {
  HelperRequest request = make_request(HelperTask::kMakeSockets, 8);
  request.netns_cookie = 4096;
  put(request, counts);
  return request;
}

HelperRequest check_processes_request() {
  HelperRequest request = make_request(HelperTask::kCheckProcesses, 9);
  put(request, std::vector<ProcessInNetns>{{4026531992, 1}, {4026532001, 77}});
  return request;
}

HelperRequest sockets_request() {
  HelperRequest request = make_request(HelperTask::kOpenSockets, 6);
  request.pid = 12;
  request.netns_cookie = 4096;
  return request;
}

HelperRequest restricted_request() {
  HelperRequest request = make_request(HelperTask::kMakeRestricted, 10);
  put(request, RestrictOrder{17, 4711, 1000, 42, true, true});
  return request;
}

void set_name(HelperRequest& request, const std::string& name) {
  std::memset(request.proof.refused_name, 0, sizeof request.proof.refused_name);
  std::memcpy(request.proof.refused_name, name.data(), std::min(name.size(), sizeof request.proof.refused_name));
}

TEST(HelperRequests, OfEveryTaskAreUnderstood) {
  EXPECT_TRUE(check_request(sockets_request(), 0));
  EXPECT_TRUE(check_request(proof_request(), 1));
  EXPECT_TRUE(check_request(make_request(HelperTask::kInspect, 7), 1));
  EXPECT_TRUE(check_request(make_request(HelperTask::kListNamespaces, 8), 1));
  EXPECT_TRUE(check_request(proxy_request(), 0));
  EXPECT_TRUE(check_request(upstream_request({4, 2, 4, 2}), 1));
  EXPECT_TRUE(check_request(check_processes_request(), 0));
  EXPECT_TRUE(check_request(make_request(HelperTask::kScanNamespaces, 8), 0));
  HelperRequest tables = sockets_request();
  tables.task = static_cast<std::uint32_t>(HelperTask::kOpenTables);
  EXPECT_TRUE(check_request(tables, 0));
  EXPECT_FALSE(check_request(tables, 1));
  tables.pid = 0;
  EXPECT_FALSE(check_request(tables, 0));
  EXPECT_TRUE(check_answer(make_answer(tables), HelperTask::kOpenTables, 3));
  EXPECT_FALSE(check_answer(make_answer(tables), HelperTask::kOpenTables, 2));
}

TEST(HelperRequests, CarryWhatIsToBeRestricted) {
  const RestrictOrder order = read_order(restricted_request());
  EXPECT_EQ(order.number, 17u);
  EXPECT_EQ(order.cgroup_id, 4711u);
  EXPECT_EQ(order.uid, 1000u);
  EXPECT_EQ(order.child, 42u);
  EXPECT_TRUE(order.may_be_able_to_leave);
  EXPECT_TRUE(order.in_own_netns);
}

TEST(HelperRequests, OfARestrictionAreCheckedFieldByField) {
  const auto is_taken = [](HelperTask task, std::size_t descriptors, auto change) {
    HelperRequest request = task == HelperTask::kMakeRestricted ? restricted_request() : make_request(task, 11);
    if (task == HelperTask::kEnterRestricted) request.restriction.cgroup_id = 4711;
    change(request);
    return check_request(request, descriptors).has_value();
  };
  const auto nothing = [](HelperRequest&) {};
  EXPECT_TRUE(is_taken(HelperTask::kMakeRestricted, 1, nothing));
  EXPECT_TRUE(is_taken(HelperTask::kEnterRestricted, 2, nothing));
  EXPECT_TRUE(is_taken(HelperTask::kRemoveRestricted, 1, nothing));
  EXPECT_FALSE(is_taken(HelperTask::kMakeRestricted, 0, nothing)) << "nobody asks";
  EXPECT_FALSE(is_taken(HelperTask::kMakeRestricted, 2, nothing));
  EXPECT_FALSE(is_taken(HelperTask::kEnterRestricted, 1, nothing)) << "nobody is moved";
  EXPECT_FALSE(is_taken(HelperTask::kRemoveRestricted, 2, nothing));
  const auto is_made = [&](auto change) { return is_taken(HelperTask::kMakeRestricted, 1, change); };
  EXPECT_FALSE(is_made([](auto& request) { request.restriction.number = 0; }));
  EXPECT_FALSE(is_made([](auto& request) { request.restriction.cgroup_id = 0; }));
  EXPECT_FALSE(is_made([](auto& request) { request.restriction.flags = 4; }));
  EXPECT_FALSE(is_made([](auto& request) { request.restriction.reserved = 1; }));
  EXPECT_FALSE(is_made([](auto& request) { request.pid = 1; }));
  EXPECT_FALSE(is_made([](auto& request) { request.count = 1; }));
  const auto is_entered = [&](auto change) { return is_taken(HelperTask::kEnterRestricted, 2, change); };
  EXPECT_FALSE(is_entered([](auto& request) { request.restriction.cgroup_id = 0; }));
  EXPECT_FALSE(is_entered([](auto& request) { request.restriction.uid = 1000; }));
  EXPECT_FALSE(is_entered([](auto& request) { request.restriction.flags = kMayBeAbleToLeave; }));
  EXPECT_FALSE(is_taken(HelperTask::kRemoveRestricted, 1, [](auto& request) { request.restriction.cgroup_id = 1; }));
  EXPECT_FALSE(is_taken(HelperTask::kInspect, 1, [](auto& request) { request.restriction.number = 1; }))
      << "another task's";
}

TEST(HelperAnswers, SayWhatStandsAgainstARestriction) {
  HelperAnswer answer = make_answer(restricted_request());
  EXPECT_TRUE(check_answer(answer, HelperTask::kMakeRestricted, 2));
  EXPECT_FALSE(check_answer(answer, HelperTask::kMakeRestricted, 1));
  answer.obstacle = static_cast<std::uint32_t>(RestrictObstacle::kFrozen);
  EXPECT_EQ(read_obstacle(answer), RestrictObstacle::kFrozen);
  answer.obstacle = 4;
  EXPECT_EQ(read_obstacle(answer), RestrictObstacle::kNone);
}

TEST(HelperRequests, CarryTheListsOfTheProxy) {
  const auto resolvers = read_resolvers(proxy_request());
  ASSERT_EQ(resolvers.size(), 2u);
  EXPECT_EQ(resolvers[0], (ResolverAddress{Address::v4({10, 0, 0, 2}), Port{53}}));
  EXPECT_EQ(resolvers[1], (ResolverAddress{*parse_address("2001:db8::53"), Port{5353}}));
  EXPECT_EQ(read_counts(upstream_request({4, 3, 2, 1})), (SocketCounts{4, 3, 2, 1}));
  EXPECT_THAT(read_processes(check_processes_request()),
              testing::ElementsAre(ProcessInNetns{4026531992, 1}, ProcessInNetns{4026532001, 77}));
}

TEST(HelperRequests, WithListsThatAreNotTheirTasksAreRefused) {
  const auto is_refused = [](HelperRequest request, std::size_t descriptors, auto change) {
    change(request);
    return !check_request(request, descriptors);
  };
  EXPECT_TRUE(is_refused(proxy_request(), 0, [](auto& request) { request.count = 0; })) << "no resolver";
  EXPECT_TRUE(is_refused(proxy_request(), 0, [](auto& request) { request.count = 3; })) << "one that is nothing";
  EXPECT_TRUE(is_refused(proxy_request(), 0, [](auto& request) { request.count = 1; })) << "one too many";
  EXPECT_TRUE(is_refused(proxy_request(), 0, [](auto& request) { request.count = kMaxPlacesPerRequest + 1; }));
  EXPECT_TRUE(is_refused(proxy_request(), 0, [](auto& request) { request.resolvers[1].port = 0; }));
  EXPECT_TRUE(is_refused(proxy_request(), 0, [](auto& request) { request.resolvers[0].reserved[2] = 1; }));
  EXPECT_TRUE(is_refused(proxy_request(), 0, [](auto& request) { request.sockets.udp4 = 1; }));
  EXPECT_TRUE(is_refused(proxy_request(), 0, [](auto& request) { request.pid = 0; }));
  EXPECT_TRUE(is_refused(proxy_request(), 0, [](auto& request) { request.netns_cookie = 0; }));
  EXPECT_TRUE(is_refused(proxy_request(), 1, [](auto&) {})) << "a descriptor";
  EXPECT_TRUE(is_refused(upstream_request({}), 1, [](auto&) {})) << "no socket";
  EXPECT_TRUE(is_refused(upstream_request({16, 16, 1, 0}), 1, [](auto&) {})) << "too many sockets";
  EXPECT_TRUE(is_refused(upstream_request({0xffffffffu, 2, 0, 0}), 1, [](auto&) {})) << "a sum that wraps";
  EXPECT_TRUE(is_refused(upstream_request({1, 0, 0, 0}), 0, [](auto&) {})) << "no namespace";
  EXPECT_TRUE(is_refused(upstream_request({1, 0, 0, 0}), 1, [](auto& request) { request.pid = 5; }));
  EXPECT_TRUE(is_refused(check_processes_request(), 0, [](auto& request) { request.count = 0; }));
  EXPECT_TRUE(is_refused(check_processes_request(), 0, [](auto& request) { request.processes[1].pid = 0; }));
  EXPECT_TRUE(is_refused(check_processes_request(), 0, [](auto& request) { request.processes[9].pid = 4; }));
  EXPECT_TRUE(is_refused(check_processes_request(), 0, [](auto& request) { request.netns_cookie = 4; }));
  EXPECT_TRUE(is_refused(make_request(HelperTask::kScanNamespaces, 8), 0, [](auto& request) { request.count = 1; }));
  EXPECT_TRUE(is_refused(sockets_request(), 0, [](auto& request) { request.count = 1; }));
}

TEST(HelperAnswers, CarryWhatWasOpenedForTheProxy) {
  HelperAnswer answer = make_answer(proxy_request());
  std::vector<Result<ProxySockets>> places;
  places.emplace_back(ProxySockets{});
  places.push_back(fail(ErrorKind::kUnsupported, "loopback is down", ENETDOWN));
  put(answer, places);
  ASSERT_TRUE(check_answer(answer, HelperTask::kOpenProxy, 4));
  const auto read = read_places(answer, 2, 4);
  ASSERT_TRUE(read);
  EXPECT_TRUE((*read)[0]);
  ASSERT_FALSE((*read)[1]);
  EXPECT_EQ((*read)[1].error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ((*read)[1].error().error_number, ENETDOWN);
  EXPECT_FALSE(read_places(answer, 2, 6)) << "more sockets than places";
  EXPECT_FALSE(read_places(answer, 3, 4)) << "another number of places";
  answer.places[0].error = 100;
  EXPECT_FALSE(read_places(answer, 2, 2)) << "no error that there is";
}

TEST(HelperAnswers, CarryWhoIsInOtherNamespaces) {
  NetnsScan scan;
  scan.found.push_back({4096, {4026532001, 77}});
  scan.is_complete = false;
  HelperAnswer answer = make_answer(make_request(HelperTask::kScanNamespaces, 1));
  put(answer, scan);
  const auto read = read_scan(answer);
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->is_complete);
  ASSERT_EQ(read->found.size(), 1u);
  EXPECT_EQ(read->found[0].cookie, 4096u);
  EXPECT_EQ(read->found[0].process, (ProcessInNetns{4026532001, 77}));
  answer.found[0].cookie = 0;
  EXPECT_FALSE(read_scan(answer));
  answer.count = kMaxScannedEntries + 1;
  EXPECT_FALSE(read_scan(answer));
}

TEST(HelperRequests, WithAFieldOfAnotherTaskAreRefused) {
  HelperRequest inspect = make_request(HelperTask::kInspect, 1);
  inspect.pid = 1;  // left out
  EXPECT_TRUE(check_request(inspect, 1));
  inspect.netns_cookie = 1;
  EXPECT_FALSE(check_request(inspect, 1));
  HelperRequest list = make_request(HelperTask::kListNamespaces, 1);
  list.pid = 1;
  EXPECT_FALSE(check_request(list, 1));
  HelperRequest sockets = sockets_request();
  sockets.proof.flags = kProvesLoopback;
  EXPECT_FALSE(check_request(sockets, 0));
  EXPECT_FALSE(check_request(sockets_request(), 1)) << "a descriptor";
  EXPECT_FALSE(check_request(proof_request(), 0)) << "no descriptor";
  HelperRequest nobody = sockets_request();
  nobody.pid = 0;
  EXPECT_FALSE(check_request(nobody, 0));
}

TEST(HelperRequests, OfAnotherVersionOrTaskAreRefused) {
  HelperRequest request = proof_request();
  request.version = kHelperVersion + 1;
  EXPECT_FALSE(check_request(request, 1));
  request = proof_request();
  request.task = 9;
  EXPECT_FALSE(check_request(request, 1));
}

TEST(HelperRequests, ForProofsThatReachAnybodyAreRefused) {
  HelperRequest request = proof_request();
  const Address metadata = Address::v4({169, 254, 169, 254});
  std::ranges::copy(metadata.bytes(), request.proof.refused_address);
  EXPECT_FALSE(check_request(request, 1)) << "an address outside the documentation ranges";
  for (const char* name :
       {"example.com", "probe-aaaaaaaaaaaa.namewall.invalid.evil.example", "probe-aaaaaaaaaaa1.namewall.invalid",
        "probe-AAAAAAAAAAAA.namewall.invalid", "probe-secretsecret.evil.invalid", ""}) {
    request = proof_request();
    set_name(request, name);
    EXPECT_FALSE(check_request(request, 1)) << name;
  }
  request = proof_request();
  std::memset(request.proof.refused_name, 'a', sizeof request.proof.refused_name);
  EXPECT_FALSE(check_request(request, 1)) << "a name without an end";
}

TEST(HelperRequests, CarryThePlan) {
  const ProofPlan plan = plan_proof(image_of({}), 3);
  const ProofPlan read = read_plan(to_wire(plan));
  EXPECT_EQ(read.refused_address, plan.refused_address);
  EXPECT_EQ(read.refused_port, plan.refused_port);
  EXPECT_EQ(read.resolver, plan.resolver);
  EXPECT_EQ(read.refused_name, plan.refused_name);
  EXPECT_EQ(read.loopback, plan.loopback);
  const ProofPlan empty = read_plan(to_wire(ProofPlan{}));
  EXPECT_FALSE(empty.refused_address || empty.resolver || empty.loopback);
}

TEST(HelperAnswers, CarryWhatWasFound) {
  HelperAnswer answer = make_answer(make_request(HelperTask::kInspect, 1));
  put(answer, std::vector<ForeignUser>{{ForeignUserCode::kVsock, 2, 17, std::string(200, 'x')}});
  ASSERT_TRUE(check_answer(answer, HelperTask::kInspect, 0));
  const auto users = read_users(answer);
  ASSERT_TRUE(users);
  ASSERT_EQ(users->size(), 1u);
  EXPECT_EQ(users->at(0).code, ForeignUserCode::kVsock);
  EXPECT_EQ(users->at(0).pid, 17u);
  EXPECT_EQ(users->at(0).detail, std::string(127, 'x')) << "cut";
}

TEST(HelperAnswers, CarryTheOutcomeOfAProof) {
  ProofOutcome outcome;
  outcome.obstacle = ProofOutcome::Obstacle::kFrozen;
  outcome.pid = 99;
  outcome.in_own_cgroup = true;
  outcome.name = {ProofStep::Outcome::kOtherwise, EPERM, std::chrono::nanoseconds(5)};
  HelperAnswer answer = make_answer(proof_request());
  put(answer, outcome);
  const auto read = read_outcome(answer);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->obstacle, outcome.obstacle);
  EXPECT_EQ(read->pid, 99u);
  EXPECT_TRUE(read->in_own_cgroup);
  EXPECT_EQ(read->name.outcome, ProofStep::Outcome::kOtherwise);
  EXPECT_EQ(read->name.error_number, EPERM);
  EXPECT_EQ(read->address.outcome, ProofStep::Outcome::kNotTried);
}

TEST(HelperAnswers, CarryErrors) {
  const HelperAnswer answer = make_answer(sockets_request(), Error{ErrorKind::kConflict, EBUSY, "another namespace"});
  const auto checked = check_answer(answer, HelperTask::kOpenSockets, 0);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kConflict);
  EXPECT_EQ(checked.error().error_number, EBUSY);
  EXPECT_EQ(checked.error().what, "another namespace");
}

TEST(HelperAnswers, WithNumbersThatAreNoValuesAreRefused) {
  HelperAnswer answer = make_answer(proof_request());
  answer.proof.obstacle = 99;
  EXPECT_FALSE(read_outcome(answer));
  answer = make_answer(proof_request());
  answer.proof.steps[2].outcome = 3;
  EXPECT_FALSE(read_outcome(answer));
  answer.count = kMaxForeignUsers + 1;
  EXPECT_FALSE(read_users(answer));
  answer.count = kMaxListedNamespaces + 1;
  EXPECT_FALSE(read_namespaces(answer));
  answer = make_answer(proof_request());
  answer.error = 100;
  EXPECT_FALSE(check_answer(answer, HelperTask::kProve, 0));
}

TEST(HelperAnswers, WithDescriptorsThatDoNotFitAreRefused) {
  const HelperAnswer sockets = make_answer(sockets_request());
  for (const std::size_t count : {0u, 1u, 2u, 4u}) {
    EXPECT_FALSE(check_answer(sockets, HelperTask::kOpenSockets, count)) << count;
  }
  EXPECT_TRUE(check_answer(sockets, HelperTask::kOpenSockets, 3));
  EXPECT_FALSE(check_answer(make_answer(proof_request()), HelperTask::kProve, 1));
  EXPECT_FALSE(check_answer(sockets, HelperTask::kProve, 0)) << "of another task";
  for (const std::size_t count : {0u, 1u, 3u}) {
    EXPECT_FALSE(check_answer(make_answer(proxy_request()), HelperTask::kOpenProxy, count)) << count;
  }
  EXPECT_FALSE(check_answer(make_answer(upstream_request({1, 0, 0, 0})), HelperTask::kMakeSockets, 0));
}

}  // namespace
}  // namespace namewall::agent
