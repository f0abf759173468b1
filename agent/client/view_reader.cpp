#include "agent/client/view_reader.h"

#include "agent/host/host_json.h"

namespace namewall::agent {

template <typename View>
Answer<View> read_view(std::string_view json) {
  try {
    return nlohmann::json::parse(json).get<View>();
  } catch (const nlohmann::json::exception&) {
    return tl::unexpected<DaemonError>(
        DaemonError{kExitOwnFailure, "the daemon's answer is not what this namewall reads: are both of one version?"});
  }
}

template Answer<StatusView> read_view(std::string_view);
template Answer<WorkloadView> read_view(std::string_view);
template Answer<std::vector<WorkloadView>> read_view(std::string_view);
template Answer<WorkloadDetail> read_view(std::string_view);
template Answer<EventView> read_view(std::string_view);
template Answer<ExplainView> read_view(std::string_view);
template Answer<SelfView> read_view(std::string_view);
template Answer<ChangeView> read_view(std::string_view);
template Answer<ReloadView> read_view(std::string_view);
template Answer<RepairView> read_view(std::string_view);
template Answer<ProofView> read_view(std::string_view);

}  // namespace namewall::agent
