// What comes out of reading a file: a value and what is wrong with the file.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "policy/config_reader.h"
#include "policy/config_tree.h"
#include "policy/diagnostic.h"

namespace namewall {

template <typename T>
struct Loaded {
  T value;                              // meaningful only when ok()
  std::vector<Diagnostic> diagnostics;  // in file order
  bool ok() const { return !has_error(diagnostics); }
};

// `read(ConfigReader&, const ConfigNode& root)` gives the value; it is not called for a text that is not in `format`.
template <typename T, typename Read>
Loaded<T> load_config(std::string_view text, Format format, std::string_view file_name, Read read) {
  Loaded<T> loaded;
  ConfigReader config(file_name);
  const auto tree = parse_config(text, format);
  if (tree) {
    loaded.value = read(config, *tree);
  } else {
    config.error(tree.error().position, tree.error().message);
  }
  loaded.diagnostics = in_file_order(config.take_diagnostics());
  return loaded;
}

}  // namespace namewall
