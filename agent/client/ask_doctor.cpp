#include "agent/client/ask_doctor.h"

#include "agent/client/outcome_text.h"
#include "agent/client/view_reader.h"
#include "agent/command.h"

namespace namewall::agent {

int ask_doctor(const ClientOptions& options, const std::string& workload) {
  const Answer<std::string> body = DaemonClient(options.socket).get(workload_target(workload));
  if (!body) return tell(body.error());
  const Answer<WorkloadDetail> detail = read_view<WorkloadDetail>(*body);
  if (!detail) return tell(detail.error());
  const WorkloadView& found = detail->workload;
  if (options.json) {
    print_json(*body);
  } else {
    (void)print(diagnosis_text(found, find_screen()));
  }
  return found.state == "failed" || found.state == "partial" ? kExitNotEnforcing : kExitOk;
}

}  // namespace namewall::agent
