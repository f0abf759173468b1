#include "agent/command_exec.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "agent/command.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

// A name that PATH leads to nowhere, where execvp reports a directory of PATH that this user may not search.
bool is_found_nowhere(const std::string& name) {
  if (name.find('/') != std::string::npos) return false;
  const char* path = ::getenv("PATH");
  std::string_view rest = path == nullptr ? "/bin:/usr/bin" : path;
  for (;;) {
    const std::size_t colon = rest.find(':');
    const std::string directory(rest.substr(0, colon));
    if (::access((directory.empty() ? name : directory + "/" + name).c_str(), F_OK) == 0) return false;
    if (colon == std::string_view::npos) return true;
    rest.remove_prefix(colon + 1);
  }
}

}  // namespace

std::vector<char*> exec_pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

ExecFailure exec_command(const std::vector<std::string>& arguments) {
  const std::vector<char*> pointers = exec_pointers(arguments);
  ::execvp(pointers[0], pointers.data());
  int why = errno;
  if (why == EACCES && is_found_nowhere(arguments[0])) why = ENOENT;
  const int exit_code = why == ENOENT ? kExitNotFound : kExitCannotExecute;
  return {exit_code, std::string(exit_code == kExitNotFound ? "cannot find `" : "cannot execute `") +
                         escape_for_display(arguments[0]) + "`: " + std::strerror(why)};
}

}  // namespace namewall::agent
