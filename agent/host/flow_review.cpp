#include "agent/host/flow_review.h"

#include <fcntl.h>

#include <utility>

#include "agent/host/cgroup_members.h"
#include "agent/host/socket_list.h"

namespace namewall::agent {
namespace {

// Lives as long as a callback of the helper holds it.
class Review : public std::enable_shared_from_this<Review> {
 public:
  Review(PrivilegedHelper& helper, FlowReviewRequest request, BootTime now, std::function<void(FlowReview)> done)
      : helper_(helper),
        cgroup_(fcntl(request.cgroup_fd, F_DUPFD_CLOEXEC, 0)),
        request_(std::move(request)),
        now_(now),
        done_(std::move(done)) {}

  void start() {
    helper_.list_namespaces(cgroup_.get(), now_, [self = shared_from_this()](Result<NetnsList> list) {
      self->take_namespaces(std::move(list));
    });
  }

 private:
  void take_namespaces(Result<NetnsList> list) {
    if (!list) {
      review_.unjudged.push_back("the network namespaces of its processes are not known (" + list.error().message() +
                                 ")");
      return done_(std::move(review_));
    }
    if (!list->is_complete) review_.unjudged.push_back("not all of its processes could be looked at");
    if (list->sockets_elsewhere > 0) {
      review_.unjudged.push_back("its processes hold " + std::to_string(list->sockets_elsewhere) +
                                 " sockets of network namespaces that none of them is in");
    }
    raw_sockets_ = list->raw_sockets;
    namespaces_ = std::move(list->namespaces);
    next();
  }

  void next() {
    if (namespaces_.empty()) return done_(std::move(review_));
    const NetnsOfProcess netns = namespaces_.back();
    namespaces_.pop_back();
    helper_.open_sockets(netns.pid, netns.cookie, now_,
                         [self = shared_from_this(), netns](Result<NetnsSockets> sockets) {
                           self->judge(netns, std::move(sockets));
                           self->next();
                         });
  }

  void note_unjudged(const NetnsOfProcess& netns, const Error& error) {
    review_.unjudged.push_back("the sockets in the network namespace of process " + std::to_string(netns.pid) +
                               " could not be judged (" + error.message() + ")");
  }

  void judge(const NetnsOfProcess& netns, Result<NetnsSockets> sockets) {
    if (!sockets) return note_unjudged(netns, sockets.error());
    const auto members = list_cgroup_members(cgroup_.get(), kMaxListedProcesses);
    if (!members) return note_unjudged(netns, members.error());
    const int diagnosis = sockets->diagnosis.get();
    const auto listed = list_sockets(diagnosis, members->cgroup_ids);
    if (!listed) return note_unjudged(netns, listed.error());
    if (!listed->has_raw && std::exchange(raw_sockets_, 0) > 0) {
      review_.unjudged.push_back("its processes hold raw sockets, which this kernel cannot end (CONFIG_INET_RAW_DIAG)");
    }
    std::vector<ProxyPlace> places = request_.places;
    std::erase_if(places, [&](const ProxyPlace& place) { return place.netns_cookie != netns.cookie; });
    const auto judged = judge_flows(*request_.image, request_.grants, listed->flows, request_.cut_unattributed, places);
    for (std::size_t i = 0; i < judged.size(); ++i) apply(diagnosis, listed->flows[i], judged[i]);
  }

  void apply(int diagnosis, const Flow& flow, const JudgedFlow& judged) {
    switch (judged.verdict) {
      case FlowVerdict::kUnattributed:
        review_.unattributed.push_back(flow.to_string());
        return;
      case FlowVerdict::kKeep:
        if (flow.is_connected) ++review_.kept;
        return;
      case FlowVerdict::kDestroy:
        break;
    }
    const auto destroyed = destroy_socket(diagnosis, flow);
    if (destroyed) {
      review_.destroyed.push_back({flow, judged.reason});
    } else if (destroyed.error().kind != ErrorKind::kNotFound) {
      review_.unjudged.push_back(flow.to_string() + " could not be ended (" + destroyed.error().message() + ")");
    }
  }

  PrivilegedHelper& helper_;
  FileDescriptor cgroup_;
  FlowReviewRequest request_;
  BootTime now_;
  std::function<void(FlowReview)> done_;
  std::vector<NetnsOfProcess> namespaces_;
  std::uint32_t raw_sockets_ = 0;
  FlowReview review_;
};

}  // namespace

void review_flows(PrivilegedHelper& helper, FlowReviewRequest request, BootTime now,
                  std::function<void(FlowReview)> done) {
  std::make_shared<Review>(helper, std::move(request), now, std::move(done))->start();
}

}  // namespace namewall::agent
