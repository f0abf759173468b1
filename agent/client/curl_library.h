// libcurl, loaded when the daemon is first asked: it brings forty libraries, whose loading takes longer (8 of 13 ms)
// than all else that a command does before it begins.
#pragma once

#include <curl/curl.h>

namespace namewall::agent {

// The functions of libcurl under their own names.
struct CurlLibrary {
  decltype(&::curl_easy_init) easy_init = nullptr;
  decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&::curl_easy_setopt) easy_setopt = nullptr;
  decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&::curl_easy_perform) easy_perform = nullptr;
  decltype(&::curl_easy_strerror) easy_strerror = nullptr;
  decltype(&::curl_slist_append) slist_append = nullptr;
  decltype(&::curl_slist_free_all) slist_free_all = nullptr;
};

// For the life of the process; nullptr: it cannot be loaded.
const CurlLibrary* curl_library();

}  // namespace namewall::agent
