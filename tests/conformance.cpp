// conformance FILE.json...: runs recorded facts against this build. Prints each failing entry, then "N passed, M
// failed". Exit code: 0 all passed, 1 some failed, 2 a file or an entry could not be read.
#include <cstdio>
#include <fstream>
#include <sstream>

#include "tests/name_pattern_vectors.h"
#include "tests/spin_vectors.h"
#include "tests/vector_reader.h"

namespace namewall {
namespace {

constexpr VectorReader kVectorReaders[] = {
    {are_name_pattern_vectors, run_name_pattern_vectors},
    {are_spin_vectors, run_spin_vectors},
};

Result<VectorOutcome> run_file(const char* path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream.is_open() || text.bad()) return fail(ErrorKind::kNotFound, "cannot be read");
  const auto file = nlohmann::json::parse(text.str(), nullptr, /*allow_exceptions=*/false);
  if (file.is_discarded()) return fail(ErrorKind::kInvalid, "is not JSON");
  for (const VectorReader& reader : kVectorReaders) {
    if (!reader.recognises(file)) continue;
    auto outcome = reader.run(file);
    if (outcome && outcome->passed + outcome->failures.size() == 0)
      return fail(ErrorKind::kInvalid, "holds no entries");
    return outcome;
  }
  return fail(ErrorKind::kInvalid, "holds no vectors of a known kind");
}

int run(int count, char** paths) {
  std::size_t passed = 0;
  std::size_t failed = 0;
  bool all_readable = count > 0;
  if (count == 0) std::fprintf(stderr, "usage: conformance FILE.json...\n");
  for (int i = 0; i < count; ++i) {
    const auto outcome = run_file(paths[i]);
    if (!outcome) {
      std::fprintf(stderr, "%s: %s\n", paths[i], outcome.error().message().c_str());
      all_readable = false;
      continue;
    }
    for (const std::string& note : outcome->notes) std::printf("%s: note: %s\n", paths[i], note.c_str());
    for (const std::string& failure : outcome->failures) std::printf("%s: %s\n", paths[i], failure.c_str());
    passed += outcome->passed;
    failed += outcome->failures.size();
  }
  std::printf("%zu passed, %zu failed\n", passed, failed);
  if (!all_readable) return 2;
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace namewall

int main(int argc, char** argv) { return namewall::run(argc - 1, argv + 1); }
