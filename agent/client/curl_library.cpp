#include "agent/client/curl_library.h"

#include <dlfcn.h>

#include <optional>

namespace namewall::agent {
namespace {

template <typename Function>
bool find(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(handle, name));
  return function != nullptr;
}

std::optional<CurlLibrary> load() {
  void* const handle = ::dlopen("libcurl.so.4", RTLD_LAZY | RTLD_LOCAL);  // the soname that its headers go with
  if (handle == nullptr) return std::nullopt;
  CurlLibrary library;
  const bool has_all = find(handle, "curl_easy_init", library.easy_init) &&
                       find(handle, "curl_easy_cleanup", library.easy_cleanup) &&
                       find(handle, "curl_easy_setopt", library.easy_setopt) &&
                       find(handle, "curl_easy_getinfo", library.easy_getinfo) &&
                       find(handle, "curl_easy_perform", library.easy_perform) &&
                       find(handle, "curl_easy_strerror", library.easy_strerror) &&
                       find(handle, "curl_slist_append", library.slist_append) &&
                       find(handle, "curl_slist_free_all", library.slist_free_all);
  return has_all ? std::optional(library) : std::nullopt;
}

}  // namespace

const CurlLibrary* curl_library() {
  static const std::optional<CurlLibrary> kLibrary = load();
  return kLibrary ? &*kLibrary : nullptr;
}

}  // namespace namewall::agent
