#include "agent/client/ask_explain.h"

#include "agent/client/client_command.h"
#include "agent/client/outcome_text.h"
#include "agent/client/request_json.h"
#include "agent/client/view_reader.h"
#include "agent/command.h"

namespace namewall::agent {

int ask_explain(const DaemonClient& daemon, const std::string& workload, const std::string& target, bool as_json) {
  const Answer<std::string> body = daemon.send("POST", "/v1/explain", explain_request(workload, target));
  if (!body) return tell(body.error());
  const Answer<ExplainView> explanation = read_view<ExplainView>(*body);
  if (!explanation) return tell(explanation.error());
  if (as_json) {
    print_json(*body);
  } else {
    (void)print(explain_text(*explanation, find_screen()));
  }
  return explanation->allowed ? kExitOk : kExitRefused;
}

}  // namespace namewall::agent
